"""Does an attribution find what the network uses? Remove input by its order, and in random groups, and watch.

Curves of each method are compared with random orders on the same rows, its sums over groups with those of its own
scores in random places: an attribution that is no better than chance is said to be so.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.attribution.task import Attribution, Task, cells, movable, removed, unit_scores

Values = NDArray[np.float64]

_SHUFFLES = 20


@dataclass(frozen=True)
class Deletion:
    """What falls (Task.worth) after removing 0, 1/k, …, all of the input; (R, k + 1)."""

    curves: Values
    random: Values
    """The same, averaged over random orders."""
    insertion: Values
    """What comes back after giving 0, 1/k, …, all of the input to the baseline, most important first."""


@dataclass(frozen=True)
class Removals:
    """What random groups of cells change when they are removed, the same for all methods."""

    gone: NDArray[np.bool_]
    """(M, R, cells)."""
    change: Values
    """F(x) - F(without them), (M, R)."""
    movable: NDArray[np.bool_]
    """Cells that differ from the baseline at all, (R, cells)."""


def deletion(task: Task, attribution: Attribution, steps: int, random: Values) -> Deletion:
    """Return the curves by descending contribution, beside that of random orders, which is the same for all methods."""
    order = np.argsort(-ranked(task, attribution.values), axis=1, kind="stable")
    backwards = curve(task, order[:, ::-1], steps)[:, ::-1]
    return Deletion(curve(task, order, steps), random, backwards)


def ranked(task: Task, values: Values) -> Values:
    """Return by what units (R, U) are ordered: their scores, absolute where numbers may be moved either way."""
    scores = unit_scores(values)
    return np.abs(scores) if task.task in ("regression", "forecast") else scores


def random_deletion(
    task: Task, attribution: Attribution, steps: int, orders: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the mean curve (R, steps + 1) of random orders of the units that an attribution scores."""
    shape = unit_scores(attribution.values).shape
    drawn = [curve(task, np.argsort(rng.random(shape), axis=1), steps) for _ in range(orders)]
    return np.asarray(np.mean(drawn, axis=0))


@torch.no_grad()
def curve(task: Task, order: NDArray[np.int64], steps: int) -> Values:
    """Return what is left of the prediction (R, steps + 1) while units are removed in the given order (R, U)."""
    rank = torch.tensor(np.argsort(order, axis=1))
    units = order.shape[1]
    counts = [round(units * step / steps) for step in range(steps + 1)]
    found = {count: task.worth(removed(task, rank < count)).numpy() for count in sorted(set(counts))}
    return np.stack([found[count] for count in counts], axis=1)


@torch.no_grad()
def draw_removals(task: Task, draws: int, rng: np.random.Generator) -> Removals:
    """Remove random groups of cells: a share drawn anew for each group, every cell with that probability."""
    of = cells(task.inputs)
    count, rows = int(of.max()) + 1, len(task.x)
    can = movable(task).astype(np.float64) @ np.eye(count)[of] > 0
    gone = rng.random((draws, rows, count)) < rng.uniform(0.1, 0.9, (draws, 1, 1))
    full = task.outputs(task.x).double()
    change = [full - task.outputs(removed(task, torch.tensor(group[:, of]))).double() for group in gone]
    return Removals(gone, np.stack([part.numpy() for part in change]), can)


def infidelity(removals: Removals, inputs_cells: NDArray[np.int64], values: Values) -> Values:
    """Return the share of the squared changes that the sums of removed contributions miss, (R,); nan without change.

    Normalised infidelity (Yeh et al. 2019, section 3): contributions are scaled by the best factor β = Σ ad / Σ a² for
    sums a and changes d, so that Σ (βa - d)² / Σ d² does not depend on the scale of a map; one that points backwards
    misses all.
    """
    return _missed(removals, by_cell(values, inputs_cells))


def random_infidelity(
    removals: Removals, inputs_cells: NDArray[np.int64], values: Values, rng: np.random.Generator
) -> Values:
    """Return the same, averaged over maps with each row's own contributions in random places, (R,)."""
    scores = by_cell(values, inputs_cells)
    total = np.zeros(len(scores))
    for _ in range(_SHUFFLES):
        moved = scores.copy()
        for row, can in enumerate(removals.movable):
            moved[row, can] = rng.permutation(scores[row, can])
        total += _missed(removals, moved)
    return total / _SHUFFLES


def by_cell(values: Values, of: NDArray[np.int64]) -> Values:
    """Return the sum of the contributions of each cell, (R, cells); `of`: the cell of each unit (U,)."""
    return np.asarray(unit_scores(values) @ np.eye(int(of.max()) + 1)[of])


def _missed(removals: Removals, scores: Values) -> Values:
    told = np.einsum("mrc,rc->mr", removals.gone.astype(np.float64), scores)
    squares, fit = (removals.change**2).sum(0), np.maximum((told * removals.change).sum(0), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        explained = np.where(fit > 0, fit**2 / (told**2).sum(0) / squares, 0.0)
        return np.asarray(np.where(squares > 0, 1 - explained, np.nan))
