"""How fast a candidate is trained on this machine, from its first steps."""

import time
from dataclasses import dataclass

from pipeline.core.contracts import Candidate, Policy
from pipeline.training.budgets import budget_of, settled
from pipeline.training.training import Training
from pipeline.tuning.jobs import Problem

_MOST_STEPS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """Seconds of a training."""

    start: float
    """Before the first step."""
    each: float
    """Of a pass over the training rows."""
    steps: int | None = None
    """Of a pass; None: not counted."""

    def seconds(self, passes: float) -> float:
        """Return what so many passes take."""
        return round(self.start + passes * self.each, 3)

    def passes(self, seconds: float) -> float:
        """Return how many passes the seconds pay for, to a tenth."""
        return round(max(0.0, seconds - self.start) / self.each, 1)


def speed_of(problem: Problem, candidate: Candidate, policy: Policy, most: float) -> Speed:
    """Return the speed, from as many steps as fit into `most` seconds, 30 at most.

    The first one, which is slower than any other, comes before these and is not counted.
    """
    data = problem.data
    candidate = settled(candidate, data.inputs, len(data.train.y))
    budget = budget_of(problem.settings.epochs, None, data.inputs, len(data.train.y))
    training = Training(candidate, data, budget, seed=problem.seed, trainer=problem.trainer, policy=policy)
    training.start()
    start, pace = training.pace.seconds, training.pace
    total = budget.epochs * pace.steps_per_epoch
    training.advance(1 / total)
    _wait(training.device)
    before, began = pace.step, time.monotonic()
    training.advance(min(1.0, (_MOST_STEPS + 1) / total), deadline=began + most)
    _wait(training.device)
    steps = pace.step - before
    each = (time.monotonic() - began) / steps if steps else pace.seconds - start
    return Speed(start=start, each=max(each, 1e-9) * pace.steps_per_epoch, steps=pace.steps_per_epoch)


def _wait(device: str) -> None:
    """Wait for a GPU: what runs on one has not ended when its step returns."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
