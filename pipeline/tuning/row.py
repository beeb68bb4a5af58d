"""One candidate of a study and how far it came: what decisions, proposals and the record are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count, takewhile

from optuna.distributions import BaseDistribution

from pipeline.core import bounds
from pipeline.core.bounds import Amounts
from pipeline.core.contracts import Candidate, Origin, Policy, TrialRecord
from pipeline.space import Scalar
from pipeline.tuning.jobs import Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One candidate and how far it came."""

    place: int
    origin: Origin
    candidate: Candidate
    answers: Mapping[str, Scalar]
    """By name, of all questions with more than one answer."""
    distributions: Mapping[str, BaseDistribution]
    """The ranges of these."""
    skipped: tuple[str, ...] = ()
    """Why draws before it at this place were no candidates."""
    gauged: Amounts = field(default_factory=dict)
    """(amount, its bound) of what was known before training."""
    aimed: Mapping[str, float] = field(default_factory=dict)
    """What is minimised beside the score, as far as it was known before training."""
    policy: Policy | None = None
    """How it is computed, decided once."""
    outcome: Outcome | None = None
    repeats: tuple[Outcome, ...] = ()
    """With fresh seeds."""
    pack: tuple[int, int] | None = None
    """Place of the candidate whose shapes it shares and with which it is trained to the first rung, and how many were
    to be trained so."""
    over: bool = False
    """Nothing more will be trained of it."""
    busy: bool = False
    """Whether it is trained now, …"""
    repeating: frozenset[int] = frozenset()
    """… and with which fresh seeds."""

    @property
    def running(self) -> int:
        """How many trainings of it are at work."""
        return self.busy + len(self.repeating)

    def scores(self, rungs: Sequence[float]) -> tuple[float, ...]:
        """Return the scores at the rungs reached, lowest rung first; one that was leapt over has the next one's."""
        return () if self.outcome is None else _scores_at(self.outcome.curve, tuple(rungs))

    @property
    def complete(self) -> bool:
        """Whether it was trained to its end."""
        return self.outcome is not None and self.outcome.state == "complete"

    @property
    def failed(self) -> bool:
        """Whether it failed."""
        return self.outcome is not None and self.outcome.state == "failed"

    @property
    def paused(self) -> bool:
        """Whether it could go on."""
        return not self.over and not self.busy and self.outcome is not None

    @property
    def last_score(self) -> float | None:
        """The score where it stands."""
        return self.outcome.curve[-1][1] if self.outcome and self.outcome.curve and not self.failed else None

    @property
    def amounts(self) -> Amounts:
        """(amount, its bound) of all that was measured so far."""
        return {**self.gauged, **(self.outcome.amounts if self.outcome else {})}

    @property
    def objectives(self) -> Mapping[str, float]:
        """What is minimised beside the score, as far as it was measured."""
        return {**self.aimed, **(self.outcome.objectives if self.outcome else {})}

    @property
    def excess(self) -> float:
        """By which share of its bound an amount exceeds it; 0 as long as nothing says so."""
        if not self.gauged and (self.outcome is None or not self.outcome.amounts):
            return 0.0
        return bounds.excess(self.amounts)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of its trainings that came to their end, if its own did: 0 is that of the search."""
        return (0, *(again.repeat for again in self.repeats if again.state == "complete" and again.repeat > 0))

    @property
    def folds(self) -> tuple[float, ...]:
        """Score on each fold, in their order, until one that was not trained to its end."""
        done = {-again.repeat: again.curve[-1][1] for again in self.repeats if again.state == "complete"}
        return tuple(done[k] for k in takewhile(done.__contains__, count(1)))

    def record(self) -> TrialRecord:
        """Return what later stages may know of it."""
        outcome = self.outcome
        assert outcome is not None
        return TrialRecord(
            number=self.place,
            state="complete" if self.complete else "failed" if self.failed else "pruned",
            score=self.last_score,
            standard_error=outcome.standard_error,
            quality=None if self.failed else outcome.quality,
            reserve_score=outcome.reserve_score,
            origin=self.origin,
            candidate=self.candidate,
            policy=self.policy,
            parameters=None if self.failed else outcome.parameters,
            multiply_adds=outcome.multiply_adds,
            epochs=outcome.passes,
            seconds=outcome.seconds,
            ended=outcome.ended,
            curve=outcome.curve,
            amounts=self.amounts,
            gaps=outcome.gaps,
            objectives=self.objectives,
            repeats=tuple((r.curve[-1][1], r.reserve_score) for r in self.repeats if r.repeat in self.seeds),
            folds=self.folds,
            error=outcome.error,
            traceback=outcome.traceback,
        )


@lru_cache(maxsize=1 << 16)
def _scores_at(curve: tuple[tuple[float, float], ...], rungs: tuple[float, ...]) -> tuple[float, ...]:
    """Decisions ask for the scores of all rows, over and over."""
    found: list[float] = []
    for share, score in curve:
        reached = sum(rung <= share + 5e-5 for rung in rungs)  # shares are stored with four places
        found += [score] * (reached - len(found))
    return tuple(found)
