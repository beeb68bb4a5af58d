"""Who proposes the next candidate: defaults first, then a mixture of arms, or what a simpler search would do.

Every proposal is a function of (seed, place, rows before it), so a study that was killed proposes what it would have.
Arms: draws around the defaults, changes of the best so far (of the front, where there are several objectives), TPE over
the highest rung that has enough rows, and blind draws. The share of each depends on how many rows there are (PriorBand,
Mallik et al. 2023, with TPE as a fourth arm), and so does how far a draw around the defaults goes: a search that ends
soon looks close to them. The arm `refine` has a phase of its own (refining.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from optuna.distributions import BaseDistribution

from pipeline.core.bounds import Amounts
from pipeline.core.contracts import GIVEN, Candidate, Origin
from pipeline.core.errors import SpaceError
from pipeline.core.seeds import stream, stream_seed
from pipeline.models import read_architecture
from pipeline.space import (
    FAMILY,
    Chooser,
    Confidence,
    DefaultChooser,
    Forbidden,
    GridChooser,
    MutationChooser,
    PriorChooser,
    RandomChooser,
    Scalar,
    Space,
    sample,
)
from pipeline.training.packing import bucket
from pipeline.tuning.aims import ALONE
from pipeline.tuning.chooser import Like, Noted, TrialChooser
from pipeline.tuning.constraints import Gauge, OutOfBounds
from pipeline.tuning.refining import refined
from pipeline.tuning.row import Row
from pipeline.tuning.samplers import STARTUP, best_rows, best_rung, stock_study, tpe
from pipeline.tuning.view import Refine

TRIED = "tried before"
_MOST_SKIPPED = 100
"""After so many draws in a row that are no candidates there is hardly one."""
_MOST_LIKE = 20
"""And so many where the shapes are given: what is left open may be little."""


class Exhausted(Exception):  # noqa: N818  no error: a finite space was tried in full
    """No candidate is left: all were proposed, or those that are left break a bound."""

    def __init__(self, skipped: Sequence[str]) -> None:
        super().__init__()
        self.skipped = tuple(skipped)


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """A candidate for a place, how it was asked for, and what was passed over before it."""

    place: int
    origin: Origin
    candidate: Candidate
    answers: Mapping[str, Scalar]
    distributions: Mapping[str, BaseDistribution]
    skipped: tuple[str, ...]
    gauged: Amounts
    """(amount, its bound) of what can be known before training."""
    aimed: Mapping[str, float]
    """Objectives beside the score that can be known then."""


First = Sequence[tuple[Origin, Mapping[str, Scalar]]]
Draw = Callable[[int], tuple[Origin, Chooser]]
"""From the number of draws passed over to who draws next."""


def proposal(
    space: Space,
    rows: Sequence[Row],
    rungs: Sequence[float],
    first: First,
    gauge: Gauge,
    seed: int,
    wanted: Row | Refine | None = None,
) -> Proposal:
    """Return the candidate of the next place.

    `wanted`: one that can be packed with that row, or the best one with other numbers.
    """
    place, settings, names = len(rows), gauge.settings, (*ALONE, *gauge.others)
    like = wanted if isinstance(wanted, Row) else None

    def draw(attempt: int) -> tuple[Origin, Chooser]:
        if isinstance(wanted, Refine):
            chooser = refined(rows, rungs, wanted.rung, seed, attempt)
            if chooser is None:
                raise Exhausted(())
            return "refine", chooser
        if settings.strategy in ("engine", "default_only"):
            if place < len(first) and (attempt == 0 or settings.strategy == "default_only"):
                return first[place][0], DefaultChooser(first[place][1])  # named twice, it leaves its place to others
            return _mixture(rows, rungs, seed, attempt, names)
        if settings.strategy == "grid":
            before = sum(1 + len(row.skipped) for row in rows)
            return "grid", GridChooser(before + attempt, settings.grid_points)
        if settings.strategy == "tpe_hyperband":
            stock, _ = stock_study(rows, rungs, settings.eta, stream_seed(seed, "sampler", place, attempt))
            return "tpe", TrialChooser(stock.ask())
        return "random", RandomChooser(stream(seed, "random", place, attempt))

    known = [row.answers for row in rows]
    skipped: list[str] = []
    broken: list[OutOfBounds] = []
    while len(skipped) < (_MOST_SKIPPED if wanted is None else _MOST_LIKE):
        origin, chooser = draw(len(skipped))
        noted = Noted(chooser if like is None else Like(chooser, like.answers))
        try:
            candidate = feasible(space, noted)
            if like is not None and bucket(candidate) != bucket(like.candidate):
                raise Forbidden(
                    f"space: shapes depend on how trial {like.place} is trained, so no other is packed with it"
                )
        except Forbidden as wrong:
            skipped.append(wrong.message)
            continue
        if noted.answers in known or (isinstance(chooser, GridChooser) and chooser.beyond):
            skipped.append(TRIED)
            continue
        try:
            gauged = gauge.kept(candidate)
            aimed = gauge.objectives(candidate, gauged)
        except OutOfBounds as wrong:
            skipped.append(wrong.message)
            broken.append(wrong)
            continue
        return Proposal(place=place, origin=origin, candidate=candidate, answers=noted.answers,
                        distributions=noted.distributions, skipped=tuple(skipped), gauged=gauged,
                        aimed=aimed)  # fmt: skip
    if wanted is not None or TRIED in skipped or (rows and broken):  # what was trained so far is not thrown away
        raise Exhausted(skipped)
    raise _no_candidate(skipped, broken)


def _no_candidate(skipped: Sequence[str], broken: Sequence[OutOfBounds]) -> SpaceError:
    """Return what to say where no draw is a candidate."""
    if broken:
        return SpaceError(
            f"search: no candidate keeps all bounds ({len(skipped)} draws in a row); the closest, "
            f"{min(broken, key=lambda wrong: wrong.excess).words}",
            fix="raise the bound under search.constraints, or let the space hold such candidates",
        )
    return SpaceError(
        f"search: every draw is infeasible ({len(skipped)} in a row), the last with: {skipped[-1]}",
        fix="forbid less, or narrow the ranges to what can be built",
    )


def feasible(space: Space, chooser: Chooser) -> Candidate:
    """Return a candidate; Forbidden if its values are each right but do not go together."""
    candidate = None
    try:
        candidate = sample(space, chooser)
        read_architecture(candidate.architecture)
    except SpaceError as wrong:
        if isinstance(wrong.__cause__, ValueError):  # a dataclass refused the combination
            raise Forbidden(wrong.message) from wrong
        if candidate is None:
            raise
        # A field that no architecture has stays one failed trial.
    return candidate


def arm_shares(sampled: int, has_scores: bool) -> dict[Origin, float]:
    """Return how likely each arm is once so many rows were sampled; TPE needs scores."""
    late = _lateness(sampled)
    shares: dict[Origin, float] = {
        "prior": 0.5 - 0.4 * late, "mutation": 0.35 + 0.05 * late, "tpe": 0.15 + 0.25 * late, "random": 0.1 * late,
    }  # fmt: skip
    if not has_scores:
        shares["prior"] += shares.pop("tpe")
    return shares


def _lateness(sampled: int) -> float:
    """Return how far a search is from its first proposals (0) to where shares stay as they are (1)."""
    return min(1.0, sampled / 30)


def nearness(sampled: int) -> dict[Confidence, float]:
    """Return how likely each width is of a draw around the defaults, where a space says none."""
    late = _lateness(sampled)
    return {"high": 0.6 - 0.3 * late, "medium": 0.3 + 0.05 * late, "low": 0.1 + 0.25 * late}


def families(rows: Sequence[Row], rungs: Sequence[float]) -> list[Scalar]:
    """Return the families that were scored: first those that came furthest, of these the best."""
    best: dict[Scalar, tuple[float, ...]] = {}
    for row in rows:
        scores = row.scores(rungs)
        if FAMILY in row.answers and scores and not row.failed:
            rank = (row.excess, -len(scores), scores[-1], row.place)
            family = row.answers[FAMILY]
            best[family] = min(best.get(family, rank), rank)
    return sorted(best, key=lambda family: best[family])


def _family(rows: Sequence[Row], rungs: Sequence[float], sampled: int, rng: np.random.Generator) -> Scalar | None:
    """Return around whose defaults to draw: each family has a share of what the one before it has, later a larger one.

    None: nothing is known yet.
    """
    ranked = families(rows, rungs)
    if not ranked:
        return None
    weights = (0.25 + 0.25 * _lateness(sampled)) ** np.arange(len(ranked))
    return ranked[int(rng.choice(len(ranked), p=weights / weights.sum()))]


def _mixture(
    rows: Sequence[Row], rungs: Sequence[float], seed: int, attempt: int, names: Sequence[str]
) -> tuple[Origin, Chooser]:
    place = len(rows)
    rng = stream(seed, "arm", place, attempt)
    sampled = attempt + sum(row.origin not in GIVEN for row in rows)  # near ones may be used up
    parents = best_rows(rows, rungs, names) or [row for row in rows if row.complete]
    shares = arm_shares(sampled, best_rung(rows, rungs, STARTUP) is not None)
    if not parents:
        shares.pop("mutation")
    arms = list(shares)
    weights = np.array([shares[name] for name in arms])
    arm = arms[int(rng.choice(len(arms), p=weights / weights.sum()))]
    if arm == "prior":
        near = nearness(sampled)
        width = list(near)[int(rng.choice(len(near), p=list(near.values())))]
        return arm, PriorChooser(rng, unsure=width, family=_family(rows, rungs, sampled, rng))
    if arm == "mutation":
        parent = parents[int(rng.integers(len(parents)))]
        return arm, MutationChooser(parent.answers, rng)
    if arm == "tpe":
        return arm, tpe(rows, rungs, stream_seed(seed, "sampler", place, attempt), names)
    return arm, RandomChooser(rng)
