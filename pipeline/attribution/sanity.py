"""Would an attribution be the same whatever the network had learned, or with another baseline, or a shade beside?

Rank correlations are of sizes of contributions, over the units of a row that differ from the baseline.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from captum.metrics import sensitivity_max
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn

from pipeline.attribution.task import Task, unit_scores
from pipeline.core.contracts import ForecastInputs, ImageInputs, SeriesInputs, TableInputs, TextInputs

Values = NDArray[np.float64]

_FEWEST = 4
"""Units, below which ranks say nothing."""
_NOTHING = 1e-9
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


def similarity(one: Values, two: Values, movable: NDArray[np.bool_], given: Values | None = None) -> Values:
    """Return the rank correlation of the sizes of two maps' contributions, (R,); nan where a map is constant.

    `given` (R, U): what both may follow for a reason that says nothing; then the partial correlation is returned.
    """
    a, b = np.abs(unit_scores(one)), np.abs(unit_scores(two))
    found = np.full(len(a), np.nan)
    for row, can in enumerate(movable):
        if can.sum() >= _FEWEST and np.ptp(a[row, can]) > 0 and np.ptp(b[row, can]) > 0:
            found[row] = _correlation(a[row, can], b[row, can], None if given is None else given[row, can])
    return found


def _correlation(a: Values, b: Values, given: Values | None) -> float:
    plain = float(spearmanr(a, b).statistic)
    if given is None or np.ptp(given) == 0:
        return plain
    of_a, of_b = float(spearmanr(a, given).statistic), float(spearmanr(b, given).statistic)
    left = (1 - of_a**2) * (1 - of_b**2)
    if left < _NOTHING:  # a map that is how far the input is from the baseline, and nothing else
        return plain
    return (plain - of_a * of_b) / float(np.sqrt(left))


def mean_known(found: Sequence[Values]) -> Values:
    """Return the mean of several (R,) where they are known; nan where none is."""
    known = np.isfinite(found)
    total = np.where(known, found, 0.0).sum(axis=0)
    return np.asarray(np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan))


def distance(task: Task) -> Values | None:
    """Return how far places of images and series are from the baseline, (R, U); other inputs have no common measure.

    Contributions of most methods grow with it whatever a network has learned.
    """
    away = (task.x - task.baseline).nan_to_num().abs().double() if task.x.is_floating_point() else None
    match task.inputs:
        case ImageInputs():
            assert away is not None
            return np.asarray(away.sum(1).flatten(1))
        case SeriesInputs():
            assert away is not None
            return np.asarray((away / torch.tensor(task.inputs.std).view(1, -1, 1)).flatten(1))
        case ForecastInputs():
            assert away is not None
            return np.asarray(away.flatten(1))
    return None


def sensitivity(task: Task, attribute: Callable[[Task], Values], rng: np.random.Generator) -> Values:
    """Return the largest relative change of the maps when inputs move by two hundredths of a deviation, (R,).

    Yeh et al. 2019, equation 2. Categories and missing marks stay as they are; of numbers of a table half of the range
    between their quartiles stands for a deviation.
    """
    reach = _reach(task)

    def explained(given: tuple[Tensor, ...] | Tensor) -> tuple[Tensor, ...]:
        x = given if isinstance(given, Tensor) else given[0]
        values = np.ascontiguousarray(attribute(replace(task, x=x)))
        return (torch.tensor(values),)  # of a tensor, Captum would take the rows for inputs

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
