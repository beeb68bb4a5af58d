"""How far a training is: share of its budget, and the learning rate that follows from it."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.core.contracts import Budget, Optimizer

_TRUST_CLOCK_FROM = 0.1
"""Share of `seconds` after which elapsed time may drive the schedule: the first steps are slow and prove nothing."""


def learning_rate_factor(progress: float, chosen: Optimizer) -> float:
    """Return the share of the peak: a linear warm-up, then half a cosine, a line or 1 and 1 - sqrt, to zero.

    Warm-up, stable phase and cool-down by 1 - sqrt: Hägele et al. 2024, "Scaling Laws and Compute-Optimal Training
    Beyond Fixed Training Durations".
    """
    if progress < chosen.warm_up:
        return max(progress, 1e-3) / chosen.warm_up
    left = min(1.0, (1 - progress) / (1 - chosen.warm_up))
    if chosen.schedule == "cosine":
        return 0.5 * (1 - math.cos(math.pi * left))
    if chosen.schedule == "linear":
        return left
    falling = progress - (1 - chosen.cool_down)
    return 1 - math.sqrt(min(1.0, falling / chosen.cool_down)) if falling > 0 else 1.0


class Pace:
    """Progress is the larger of steps done / planned and seconds spent / granted, so a budget always ends in order.

    Before the first step it is 0, however long the start took: what is handed on was trained.
    """

    def __init__(self, budget: Budget, steps_per_epoch: int) -> None:
        self.budget, self.steps_per_epoch = budget, steps_per_epoch
        self.step = 0
        self._spent = 0.0
        self._since: float | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the clock run; outside it stands still."""
        assert self._since is None
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._spent, self._since = self.seconds, None

    @property
    def seconds(self) -> float:
        """Training seconds so far, over pauses and restarts."""
        return self._spent + (0.0 if self._since is None else time.monotonic() - self._since)

    @property
    def progress(self) -> float:
        """Share of the budget spent."""
        if not self.step:
            return 0.0
        done = self.step / (self.budget.epochs * self.steps_per_epoch)
        spent = self.seconds / self.budget.seconds if self.budget.seconds else 0.0
        return min(1.0, max(done, spent if spent > _TRUST_CLOCK_FROM else 0.0))

    @property
    def epoch(self) -> int:
        """Whole passes over the training split so far."""
        return self.step // self.steps_per_epoch

    @property
    def passes(self) -> float:
        """Passes over the training split so far."""
        return self.step / self.steps_per_epoch

    def resume(self, step: int, seconds: float) -> None:
        """Go on from there."""
        self.step, self._spent = step, seconds
