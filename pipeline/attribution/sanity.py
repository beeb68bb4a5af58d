"""Would an attribution be the same whatever the network had learned, or with another baseline, or a shade beside?

Rank correlations are of sizes of contributions, over the units of a row that differ from the baseline.
"""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from captum.metrics import sensitivity_max
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn

from pipeline.attribution.task import Task, unit_scores
from pipeline.core.contracts import ImageInputs, SeriesInputs, TableInputs, TextInputs

Values = NDArray[np.float64]

_FEWEST = 4
"""Units, below which ranks say nothing."""
_RADIUS = 0.02
SHADES = 4
"""Inputs beside each row."""


@torch.no_grad()
def randomised(network: nn.Module, rng: np.random.Generator) -> nn.Module:
    """Return a copy that has learned nothing: the numbers of each weight tensor in random order.

    Adebayo et al. 2018, "Sanity Checks for Saliency Maps", all layers at once. Shuffled weights keep the scale that the
    layers need; parameters that stand outside layers are reached as well.
    """
    other = copy.deepcopy(network)
    for weight in other.parameters():
        order = torch.tensor(rng.permutation(weight.numel()), device=weight.device)
        weight.copy_(weight.flatten()[order].view_as(weight))
    return other.eval()


def similarity(one: Values, two: Values, movable: NDArray[np.bool_]) -> Values:
    """Return the rank correlation of the sizes of two maps' contributions, (R,); nan where a map is constant."""
    a, b = np.abs(unit_scores(one)), np.abs(unit_scores(two))
    found = np.full(len(a), np.nan)
    for row, can in enumerate(movable):
        if can.sum() >= _FEWEST and np.ptp(a[row, can]) > 0 and np.ptp(b[row, can]) > 0:
            found[row] = spearmanr(a[row, can], b[row, can]).statistic
    return found


def sensitivity(task: Task, attribute: Callable[[Task], Values], rng: np.random.Generator) -> Values:
    """Return the largest relative change of the maps when inputs move by two hundredths of a deviation, (R,).

    Yeh et al. 2019, equation 2. Categories and missing marks stay as they are; of numbers of a table half of the range
    between their quartiles stands for a deviation.
    """
    reach = _reach(task)

    def explained(given: tuple[Tensor, ...] | Tensor) -> Tensor:
        return torch.tensor(attribute(replace(task, x=given if isinstance(given, Tensor) else given[0])))

    def moved(x: Tensor) -> Tensor:
        return x + torch.tensor(rng.uniform(-1, 1, tuple(x.shape)), dtype=x.dtype) * reach

    found = sensitivity_max(explained, task.x, moved, n_perturb_samples=SHADES, max_examples_per_batch=len(task.x))
    return np.asarray(found.double())


def _reach(task: Task) -> Tensor:
    """Return how far inputs move at most, broadcastable to x."""
    match task.inputs:
        case ImageInputs() | SeriesInputs():
            std = torch.tensor(task.inputs.std)
            return _RADIUS * (std.view(1, -1, 1, 1) if isinstance(task.inputs, ImageInputs) else std.view(1, -1, 1))
        case TableInputs():
            spans = [0.0 if c.kind != "numeric" else _half_range(c.edges) for c in task.inputs.columns]
            return _RADIUS * torch.tensor([*spans, *[0.0] * (task.inputs.places - len(spans))])
    assert not isinstance(task.inputs, TextInputs)
    return torch.tensor(_RADIUS)


def _half_range(edges: tuple[float, ...]) -> float:
    low, high = np.quantile(edges, [0.25, 0.75])
    return float(high - low) / 2
