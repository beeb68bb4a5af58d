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
from pipeline.training.heads import Head
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
    part: Tensor | float | None = None
    """How much the mean loss of these rows counts in that of the step they are a part of; None: they are all of it."""
    other_part: Tensor | float | None = None
    """The same for the targets of the rows that x is blended with."""


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
            y = y if self.rows.said is None else self.rows.said[at.to(y.device)]
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


def parts_of(batch: Batch, head: Head, parts: int, rank: int = 0, ranks: int = 1) -> list[Batch]:
    """Return the parts of a step's rows that one of `ranks` processes takes one after the other, a row each at least.

    The sum of their losses, averaged over the processes, is the mean loss of the step: a part counts as much in it as
    what its own mean is divided by does.
    """
    if parts == ranks == 1:
        return [batch]
    own = torch.arange(len(batch.x)).tensor_split(ranks)[rank]
    whole, other = head.counted(batch.y, batch.weight), head.counted(batch.other, batch.other_weight)
    found = []
    for at in own.tensor_split(min(parts, len(own))):
        rows = slice(int(at[0]), int(at[-1]) + 1)
        part = Batch(
            x=batch.x[rows],
            y=batch.y[rows],
            other=batch.other[rows],
            share=batch.share,
            weight=None if batch.weight is None else batch.weight[rows],
            other_weight=None if batch.other_weight is None else batch.other_weight[rows],
        )
        counts = ranks * head.counted(part.y, part.weight) / whole
        found.append(part._replace(part=counts, other_part=ranks * head.counted(part.other, part.other_weight) / other))
    return found
