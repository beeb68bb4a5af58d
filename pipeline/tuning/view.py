"""What may be decided, and what a decision may depend on: the table, the shares of the budget, nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pipeline.tuning.aims import ALONE, best_first
from pipeline.tuning.row import Row

SEARCH_UNTIL = 0.72
"""Share of the seconds after which no new candidate starts, …"""
REFINE_SHARE = 0.10
"""The last so much before that goes to numbers of the best candidate, where trials take long enough, …"""
FINISH_UNTIL = 0.86
"""… the best paused ones were trained on, …"""
_WRITING = (0.01, 4.0, 0.03)
"""The best few are trained again with fresh seeds until that many seconds are left to write what was found, but no less
and no more than these shares."""


def confirm_until(seconds: float | None) -> float:
    """Return the share of the seconds after which nothing is trained; without seconds it is asked of energy alone."""
    least, writing, most = _WRITING
    return 1 - (most if seconds is None else min(most, max(least, writing / seconds)))


@dataclass(frozen=True, slots=True)
class Start:
    """A new candidate, trained to this rung."""

    rung: int


@dataclass(frozen=True, slots=True)
class Continue:
    """The candidate of a place goes on to this rung."""

    place: int
    rung: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """The candidate of a place is trained again with another seed, or without a fold of the training rows."""

    place: int
    repeat: int
    """As in Job."""


@dataclass(frozen=True, slots=True)
class Refine:
    """The best candidate with other numbers, trained to this rung."""

    rung: int


Decision = Start | Continue | Repeat | Refine


@dataclass(frozen=True, kw_only=True)
class View:
    """What a decision may depend on."""

    rows: Sequence[Row]
    rungs: Sequence[float]
    n_trials: int
    eta: int
    seed: int
    repeats: int
    folds: int = 0
    """Few rows decide: instead of fresh seeds so many folds of the training rows, each predicted without it."""
    reserve_share: float = 1.0
    """Of the reserve in the rows that decide."""
    mode: Literal["search", "seeds"] = "search"
    """seeds: there is no time to search; the default alone is trained, with several seeds."""
    seconds: float | None = None
    used: float = 0.0
    """Of these."""
    trial_seconds: float | None = None
    objectives: tuple[str, ...] = ALONE
    refine: int | None = None
    """The rung at which numbers of the best candidate are compared; None: they are not refined."""
    most_refined: int = 0
    lost: frozenset[int] = frozenset()
    """Places of paused rows whose files are gone: they start anew."""

    @property
    def share(self) -> float:
        """Of the seconds that is used; 0 where only trials count."""
        return self.used / self.seconds if self.seconds else 0.0

    @cached_property
    def standings(self) -> tuple[Sequence[Row], ...]:
        """For each rung but the last: rows that reached it and did not fail, best first."""
        going = [row for row in self.rows if not row.failed]
        found = []
        for rung in range(self.last):
            going = [row for row in going if len(row.scores(self.rungs)) > rung]
            found.append(best_first(going, rung, self.rungs, self.objectives))
        return tuple(found)

    @property
    def last(self) -> int:
        """The rung that ends a trial."""
        return len(self.rungs) - 1

    @property
    def open(self) -> bool:
        """Whether candidates may be added."""
        return len(self.rows) < self.n_trials and self.share < self.search_until

    @property
    def search_until(self) -> float:
        """Share of the seconds after which none is."""
        return SEARCH_UNTIL - (REFINE_SHARE if self.refine is not None else 0.0)

    @property
    def confirm_until(self) -> float:
        """Share of the seconds after which nothing is trained."""
        return confirm_until(self.seconds)

    @property
    def refining(self) -> bool:
        """Whether the best candidate may have other numbers tried."""
        count = sum(row.origin == "refine" for row in self.rows)
        return len(self.rows) < self.n_trials and self.share < SEARCH_UNTIL and count < self.most_refined

    def time_for(self, seconds: float, until: float) -> bool:
        """Say whether so many seconds end before that share of all seconds."""
        return self.seconds is None or self.used + seconds <= until * self.seconds

    def reached(self, row: Row) -> int:
        """Return the number of rungs with a score; a busy row counts as one further."""
        return len(row.scores(self.rungs)) + row.busy

    def cost(self, row: Row, rung: int) -> float:
        """Return the seconds that a row will take to a rung, by what it took so far."""
        outcome = row.outcome
        if outcome is None or not outcome.curve or outcome.state == "failed":
            return self.trial_seconds or 0.0
        share = outcome.curve[-1][0]
        alone = row.pack[1] if row.pack is not None and len(outcome.curve) == 1 else 1  # at most so much slower
        had = 0.0 if row.place in self.lost else share
        return alone * outcome.seconds * (self.rungs[rung] - had) / share
