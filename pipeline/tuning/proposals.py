"""Who proposes the next candidate: defaults first, then a mixture of arms, or what a simpler search would do.

Every proposal is a function of (seed, place, rows before it), so a study that was killed proposes what it would have.
Arms: draws around the defaults, changes of the best so far (of the front, where there are several objectives), TPE over
the highest rung that has enough rows, and blind draws. The share of each depends on how many rows there are (PriorBand,
Mallik et al. 2023, with TPE as a fourth arm).
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from pipeline.core.bounds import Amounts
from pipeline.core.contracts import Candidate, Origin
from pipeline.core.errors import SpaceError
from pipeline.core.seeds import stream, stream_seed
from pipeline.models import read_architecture
from pipeline.space import (
    Choice,
    Chooser,
    DefaultChooser,
    FloatRange,
    Forbidden,
    GridChooser,
    IntRange,
    MutationChooser,
    PriorChooser,
    RandomChooser,
    Scalar,
    Space,
    sample,
)
from pipeline.training.packing import OWN, bucket
from pipeline.tuning.aims import ALONE, front_rows, point_of
from pipeline.tuning.chooser import TrialChooser
from pipeline.tuning.constraints import Gauge, OutOfBounds
from pipeline.tuning.table import Row

STARTUP = 6
"""TPE needs so many rows at a rung."""
TRIED = "tried before"
_MOST_SKIPPED = 100
"""After so many draws in a row that are no candidates there is hardly one."""
_MOST_LIKE = 20
"""And so many where the shapes are given: what is left open may be little."""
_PARENTS = 3
"""Mutation starts from one of the best so many."""


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
    like: Row | None = None,
) -> Proposal:
    """Return the candidate of the next place; with `like`, one that can be packed with that row's."""
    place, settings, names = len(rows), gauge.settings, (*ALONE, *gauge.others)

    def draw(attempt: int) -> tuple[Origin, Chooser]:
        if settings.strategy in ("engine", "default_only"):
            if place < len(first):
                return first[place][0], DefaultChooser(first[place][1])
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
    while len(skipped) < (_MOST_SKIPPED if like is None else _MOST_LIKE):
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
    if like is not None or TRIED in skipped or (rows and broken):  # what was trained so far is not thrown away
        raise Exhausted(skipped)
    if broken:
        raise SpaceError(
            f"search: no candidate keeps all bounds ({len(skipped)} draws in a row); the closest, "
            f"{min(broken, key=lambda wrong: wrong.excess).words}",
            fix="raise the bound under search.constraints, or let the space hold such candidates",
        )
    raise SpaceError(
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


def free(name: str) -> bool:
    """Say whether candidates of a pack may differ in the answer to this question."""
    match name.split("."):
        case ["optimizer", field]:
            return field in OWN
        case ["architecture", _, "dropout"]:
            return True
    return False


class Like:
    """Gives the answers of another candidate to all questions in which a pack has one answer for all."""

    def __init__(self, chooser: Chooser, answers: Mapping[str, Scalar]) -> None:
        self._chooser: Chooser = chooser
        self._given: Chooser = DefaultChooser(answers)

    def choice(self, name: str, node: Choice) -> Scalar:
        """Answer a question with options."""
        return (self._chooser if free(name) else self._given).choice(name, node)

    def integer(self, name: str, node: IntRange) -> int:
        """Answer a question for an integer."""
        return (self._chooser if free(name) else self._given).integer(name, node)

    def number(self, name: str, node: FloatRange) -> float:
        """Answer a question for a number."""
        return (self._chooser if free(name) else self._given).number(name, node)


class Noted:
    """Passes questions on and keeps the answers, with what Optuna calls the range of each question."""

    def __init__(self, chooser: Chooser) -> None:
        self._chooser = chooser
        self.answers: dict[str, Scalar] = {}
        self.distributions: dict[str, BaseDistribution] = {}

    def choice(self, name: str, node: Choice) -> Scalar:
        """Pass a question with options on; one option is no question."""
        if len(node.options) == 1:
            return node.options[0]
        answer = self._chooser.choice(name, node)
        self.answers[name], self.distributions[name] = answer, CategoricalDistribution(list(node.options))
        return answer

    def integer(self, name: str, node: IntRange) -> int:
        """Pass a question for an integer on."""
        answer = self._chooser.integer(name, node)
        self.answers[name] = answer
        self.distributions[name] = IntDistribution(node.low, node.high, log=node.log, step=node.step)
        return answer

    def number(self, name: str, node: FloatRange) -> float:
        """Pass a question for a number on."""
        answer = self._chooser.number(name, node)
        self.answers[name], self.distributions[name] = answer, FloatDistribution(node.low, node.high, log=node.log)
        return answer


def arm_shares(sampled: int, has_scores: bool) -> dict[Origin, float]:
    """Return how likely each arm is once so many rows were sampled; TPE needs scores."""
    late = min(1.0, sampled / 30)
    shares: dict[Origin, float] = {
        "prior": 0.5 - 0.4 * late, "mutation": 0.25 + 0.15 * late, "tpe": 0.15 + 0.25 * late, "random": 0.1,
    }  # fmt: skip
    if not has_scores:
        shares["prior"] += shares.pop("tpe")
    return shares


def _mixture(
    rows: Sequence[Row], rungs: Sequence[float], seed: int, attempt: int, names: Sequence[str]
) -> tuple[Origin, Chooser]:
    place = len(rows)
    rng = stream(seed, "arm", place, attempt)
    sampled = sum(row.origin not in ("default", "warm_start") for row in rows)
    parents = best_rows(rows, rungs, names)
    shares = arm_shares(sampled, best_rung(rows, rungs, STARTUP) is not None)
    if not parents:
        shares.pop("mutation")
    arms = list(shares)
    weights = np.array([shares[name] for name in arms])
    arm = arms[int(rng.choice(len(arms), p=weights / weights.sum()))]
    if arm == "mutation":
        parent = parents[int(rng.integers(len(parents)))]
        return arm, MutationChooser(parent.answers, rng)
    if arm == "tpe":
        return arm, _tpe(rows, rungs, stream_seed(seed, "sampler", place, attempt), names)
    return arm, PriorChooser(rng, unsure="low") if arm == "prior" else RandomChooser(rng)


def best_rung(rows: Sequence[Row], rungs: Sequence[float], least: int) -> int | None:
    """Return the highest rung at which at least so many rows have a score."""
    reached = [len(row.scores(rungs)) for row in rows if not row.failed]
    able = [rung for rung in range(len(rungs)) if sum(n > rung for n in reached) >= least]
    return max(able) if able else None


def best_rows(rows: Sequence[Row], rungs: Sequence[float], names: Sequence[str] = ALONE) -> list[Row]:
    """Return the rows with the lowest scores at the highest rung that has as many as are asked for.

    Rows that are known to break a bound come after all others. With several objectives: the front at that rung.
    """
    rung = best_rung(rows, rungs, _PARENTS)
    if rung is None:
        return []
    here = [row for row in rows if not row.failed and len(row.scores(rungs)) > rung]
    if len(names) > 1 and (ahead := front_rows(here, rung, rungs, names)):
        return ahead
    return sorted(here, key=lambda row: (row.excess, row.scores(rungs)[rung], row.place))[:_PARENTS]


def _tpe(rows: Sequence[Row], rungs: Sequence[float], seed: int, names: Sequence[str] = ALONE) -> Chooser:
    """Return the questions of a trial of TPE that knows the scores of one rung: of several it would confuse them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # group=True is what conditions need
        sampler = optuna.samplers.TPESampler(n_startup_trials=0, multivariate=True, group=True, seed=seed)
    rung = best_rung(rows, rungs, 2 * STARTUP)
    rung = best_rung(rows, rungs, STARTUP) if rung is None else rung
    assert rung is not None
    here = [row for row in rows if not row.failed and len(row.scores(rungs)) > rung]
    points = [point_of(row, rung, rungs, names) for row in here]
    study = _in_memory(sampler, objectives=len(points[0]))
    study.add_trials(
        create_trial(
            params=dict(row.answers),
            distributions=dict(row.distributions),
            values=list(point),
            constraints=_relative(row),
        )
        for row, point in zip(here, points, strict=True)
    )
    return TrialChooser(study.ask())


def _relative(row: Row) -> dict[str, float]:
    """Return by which share of its bound each amount exceeds it; Optuna calls 0 and less feasible."""
    return {name: amount / bound - 1 for name, (amount, bound) in row.amounts.items()}


def _in_memory(
    sampler: optuna.samplers.BaseSampler, pruner: optuna.pruners.BasePruner | None = None, objectives: int = 1
) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    directions = [StudyDirection.MINIMIZE] * objectives
    return optuna.create_study(directions=directions, sampler=sampler, pruner=pruner, study_name="in memory")


def stock_study(rows: Sequence[Row], rungs: Sequence[float], eta: int, seed: int) -> tuple[optuna.Study, bool]:
    """Return the study of Optuna's own TPE and Hyperband that the rows make, and whether it would stop the last one.

    Nothing of it is kept between two decisions: the rows are told to it again, in order.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        pruner = optuna.pruners.HyperbandPruner(
            min_resource=1, max_resource=eta ** (len(rungs) - 1), reduction_factor=eta
        )
    study = _in_memory(optuna.samplers.TPESampler(seed=seed), pruner)
    stop = False
    for row in rows:
        study.add_trial(create_trial(state=TrialState.RUNNING, params=dict(row.answers),
                                     distributions=dict(row.distributions)))  # fmt: skip
        trial = optuna.Trial(study, study.get_trials(deepcopy=False)[-1]._trial_id)
        for rung, score in enumerate(row.scores(rungs)):
            trial.report(score, eta**rung)
            stop = trial.should_prune()
        for name, amount in _relative(row).items():
            trial.set_constraint(name, amount)
        if row.over:
            state = TrialState.COMPLETE if row.complete else TrialState.FAIL if row.failed else TrialState.PRUNED
            study.tell(trial.number, row.last_score if row.complete else None, state=state)
    return study, stop
