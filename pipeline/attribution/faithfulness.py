"""Does an attribution find what the network uses? Remove its most important input first and watch the prediction.

The curve of each method is compared with random orders on the same rows: an attribution that is no better than chance
is said to be so.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.attribution.methods import Attribution, Task
from pipeline.core.contracts import ImageInputs, TableInputs


@dataclass(frozen=True)
class Deletion:
    """What falls (Task.worth) after removing 0, 1/k, …, all of the input; (R, k + 1)."""

    curves: NDArray[np.float64]
    random: NDArray[np.float64]
    """The same, averaged over random orders."""

    @property
    def gains(self) -> NDArray[np.float64]:
        """Area between random order and this order, per row (R,): positive is better than random."""
        return np.asarray(np.trapezoid(self.random - self.curves, dx=1 / (self.curves.shape[1] - 1), axis=1))


def unit_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one score per removable unit, (R, U): pixels over all channels, places of a series, columns, words."""
    summed = values.sum(axis=1) if values.ndim == 4 else values
    return summed.reshape(len(values), -1)


def deletion(task: Task, attribution: Attribution, steps: int, random: NDArray[np.float64]) -> Deletion:
    """Return the curve by descending contribution, beside that of random orders, which is the same for all methods."""
    scores = unit_scores(attribution.values)
    if task.task in ("regression", "forecast"):  # numbers may be moved either way
        scores = np.abs(scores)
    return Deletion(curve(task, np.argsort(-scores, axis=1, kind="stable"), steps), random)


def random_deletion(
    task: Task, attribution: Attribution, steps: int, orders: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the mean curve (R, steps + 1) of random orders of the units that an attribution scores."""
    shape = unit_scores(attribution.values).shape
    drawn = [curve(task, np.argsort(rng.random(shape), axis=1), steps) for _ in range(orders)]
    return np.asarray(np.mean(drawn, axis=0))


@torch.no_grad()
def curve(task: Task, order: NDArray[np.int64], steps: int) -> NDArray[np.float64]:
    """Return what is left of the prediction (R, steps + 1) while units are removed in the given order (R, U)."""
    rank = torch.tensor(np.argsort(order, axis=1))
    units = order.shape[1]
    found = []
    for step in range(steps + 1):
        gone = rank < round(units * step / steps)
        found.append(task.worth(removed(task, gone)).numpy())
    return np.stack(found, axis=1)


def removed(task: Task, gone: Tensor) -> Tensor:
    """Return the rows with units `gone` (R, U) set to the baseline."""
    if isinstance(task.inputs, TableInputs):
        columns = task.inputs.columns
        flagged = [i for i, c in enumerate(columns) if c.kind == "numeric" and c.missing]
        places = torch.cat([gone, gone[:, flagged]], dim=1)
        return torch.where(places, task.baseline, task.x)
    if isinstance(task.inputs, ImageInputs):
        gone = gone.view(len(gone), 1, task.inputs.height, task.inputs.width)
    else:
        gone = gone.view_as(task.x)
    return torch.where(gone, task.baseline, task.x)
