"""What each way of proposing candidates brought."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.core.contracts import Origin, TrialRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """All trials of one origin."""

    origin: Origin
    trials: int
    promoted: int
    """Trained past their first rung."""
    complete: int
    """Trained to their end."""
    failed: int
    best: float | None
    """Lowest score of a complete trial that keeps all bounds."""


def arms_of(trials: Sequence[TrialRecord]) -> tuple[Arm, ...]:
    """Return the arms in the order in which they proposed first."""
    return tuple(
        _arm(origin, [t for t in trials if t.origin == origin]) for origin in dict.fromkeys(t.origin for t in trials)
    )


def _arm(origin: Origin, trials: Sequence[TrialRecord]) -> Arm:
    scores = [t.score for t in trials if t.state == "complete" and t.score is not None and not t.violations]
    return Arm(
        origin=origin,
        trials=len(trials),
        promoted=sum(len(t.curve) > 1 for t in trials),
        complete=sum(t.state == "complete" for t in trials),
        failed=sum(t.state == "failed" for t in trials),
        best=min(scores, default=None),
    )
