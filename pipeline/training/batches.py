"""Batches from arrays that lie on the device as a whole: no loader processes, no copy per step.

The order of an epoch depends on (seed, epoch) alone and the changes of a batch on (seed, epoch, step), so a training
that goes on sees the same batches.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.core.contracts import Optimizer
from pipeline.core.seeds import stream_seed
from pipeline.training.augment import changed, check_changes
from pipeline.training.budgets import batch_of
from pipeline.training.data import Rows
from pipeline.training.groups import Adversary
from pipeline.training.predict import model_input


class Batch(NamedTuple):
    """Rows of one step: inputs as the network reads them and targets, both blended where rows are."""

    x: Tensor
    y: Tensor
    other: Tensor
    """Targets of the rows that x is blended with; y itself where nothing is."""
    share: float
    """Of y in the blend; 1 where there is none."""
    weight: Tensor | None = None
    """How much each row counts, (B,); none where all count the same."""
    other_weight: Tensor | None = None
    """Of the rows that x is blended with."""


class Batches:
    """The batches of every pass over the rows. Sizes differ by one row at most."""

    def __init__(self, rows: Rows, optimizer: Optimizer, seed: int, adversary: Adversary | None = None) -> None:
        check_changes(optimizer, rows.inputs)
        self.rows = rows
        self.optimizer = optimizer
        self.seed = seed
        self.adversary = adversary
        self.steps = max(1, round(len(rows) / batch_of(optimizer, rows.inputs, len(rows))))

    def __len__(self) -> int:
        """Steps of one epoch."""
        return self.steps

    def of(self, epoch: int, place: int = 0) -> Iterator[Batch]:
        """Go through all rows once in the order of this epoch, from its step `place` on."""
        rng = torch.Generator().manual_seed(stream_seed(self.seed, "order", epoch))
        order = torch.randperm(len(self.rows), generator=rng).tensor_split(self.steps)
        for step in range(place, self.steps):
            at = order[step]
            rng.manual_seed(stream_seed(self.seed, "changes", epoch, step))
            x, y = self.rows.take(at)
            x = model_input(changed(x, at, epoch, self.optimizer, self.rows.inputs, rng))
            weight = self._weight(at.to(y.device))
            batch = Batch(x, y, y, 1.0, weight, weight)
            yield blended(batch, self.optimizer.mixup, rng) if self.optimizer.mixup else batch

    def _weight(self, at_B: Tensor) -> Tensor | None:
        """Return how much rows count (B,) in this step."""
        own = None if self.rows.weight is None else self.rows.weight[at_B]
        if self.adversary is None:
            return own
        worst = self.adversary.weight(at_B)
        return worst if own is None else own * worst


def blended(batch: Batch, alpha: float, rng: torch.Generator) -> Batch:
    """Blend each row with another of the batch, all in one proportion from Beta(alpha, alpha) (Zhang et al. 2018)."""
    pair = torch._standard_gamma(torch.full((2,), alpha, dtype=torch.float64), generator=rng)
    share = float((pair[0] / pair.sum()).nan_to_num(1.0))
    x, y, weight = batch.x, batch.y, batch.weight
    other = torch.randperm(len(x), generator=rng).to(x.device)
    other_weight = None if weight is None else weight[other]
    return Batch(share * x + (1 - share) * x[other], y, y[other], share, weight, other_weight)
