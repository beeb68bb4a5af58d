"""Attribution methods on our networks: one output of each row, towards a named baseline. What Captum has is Captum's.

Legend: R rows, C channels, H height, W width, T columns, words or steps, U units. Images and series get one number per
place and channel, tables one per column, texts one per word.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import FeatureAblation, LayerAttribution, LayerGradCam, Occlusion
from torch import Tensor, nn

from pipeline.attribution.rescaling import rescalings, temporal_saliency_rescaling
from pipeline.attribution.task import Attribution, Task, removed, windows_of
from pipeline.core.contracts import ForecastInputs, ImageInputs, Inputs, SeriesInputs, TableInputs
from pipeline.core.seeds import stream

_SMALLEST_GRID = 4
_NORMS_OF_TOKENS = 3
"""Norms from the first of the last block to the one in front of the pooling."""
_PAIRS = 16
"""Orders of columns, each with its reverse, that Shapley values are averaged over."""


@dataclass(frozen=True)
class Method:
    """How attributions are made, and what that costs."""

    name: str
    attribute: Callable[[Task], Attribution]
    forwards: Callable[[Inputs], int]
    """Predictions that one row takes."""


def occlusion(task: Task) -> Attribution:
    """Zeiler and Fergus 2014: change of the output when a window of an eighth of the side is set to the baseline."""
    size, stride = _window(task.inputs)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.filterwarnings("ignore", message=".*sliding window.*")
        values = Occlusion(task.network).attribute(
            task.x, size, stride, baselines=task.baseline, target=task.target, perturbations_per_eval=16
        )
    return Attribution("occlusion", np.asarray(values.double()), False)


def _window(inputs: Inputs) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    assert isinstance(inputs, ImageInputs)
    size = (inputs.channels, max(2, round(inputs.height / 8)), max(2, round(inputs.width / 8)))
    return size, (inputs.channels, max(1, size[1] // 2), max(1, size[2] // 2))


def _windows(inputs: Inputs) -> int:
    (_, down, across), (_, step_down, step_across) = _window(inputs)
    assert isinstance(inputs, ImageInputs)
    return (-(-(inputs.height - down) // step_down) + 1) * (-(-(inputs.width - across) // step_across) + 1)


def feature_ablation(task: Task) -> Attribution:
    """Return the change of the output when one unit is set to the baseline.

    Units are columns with their missing mark, words, or a channel within one of 16 windows of time.
    """
    with torch.no_grad():
        values = FeatureAblation(task.network).attribute(
            task.x, baselines=task.baseline, target=task.target, feature_mask=_units(task.inputs, task.x)
        )
    found = np.nan_to_num(np.asarray(values.double()))
    if isinstance(task.inputs, TableInputs):
        found = found[:, : len(task.inputs.columns)]
    if isinstance(task.inputs, SeriesInputs | ForecastInputs):  # every place has the change of its whole window
        found = found / np.bincount(windows_of(task.inputs)[0])[windows_of(task.inputs)[0]]
    return Attribution("feature_ablation", found, False)


def _units(inputs: Inputs, x: Tensor) -> Tensor:
    """Return the number of the unit each place belongs to, with a leading 1."""
    if isinstance(inputs, TableInputs):
        flagged = [i for i, c in enumerate(inputs.columns) if c.kind == "numeric" and c.missing]
        return torch.tensor([[*range(len(inputs.columns)), *flagged]])
    if isinstance(inputs, SeriesInputs | ForecastInputs):
        return torch.tensor(windows_of(inputs))[None]
    return torch.arange(x.shape[1])[None]


def _ablated(inputs: Inputs) -> int:
    if isinstance(inputs, TableInputs):
        return len(inputs.columns)
    if isinstance(inputs, SeriesInputs | ForecastInputs):
        return int(windows_of(inputs).max()) + 1
    assert not isinstance(inputs, ImageInputs)
    return inputs.length


@torch.no_grad()
def shapley(task: Task) -> Attribution:
    """Return what a column adds, averaged over random orders in which columns come to the baseline one by one.

    Castro et al. 2009; each order is followed by its reverse (Mitchell et al. 2022). Contributions add up exactly, and
    those of an additive model are exact.
    """
    assert isinstance(task.inputs, TableInputs)
    units, rows = len(task.inputs.columns), len(task.x)
    rng = stream(0, "shapley", units)
    drawn = [rng.permutation(units) for _ in range(_PAIRS)]
    total = np.zeros((rows, units))
    for order in (*drawn, *(one[::-1] for one in drawn)):
        left = torch.ones(units, dtype=torch.bool)
        before = task.outputs(task.baseline).double()
        for unit in order:
            left[unit] = False
            after = task.outputs(removed(task, left.expand(rows, -1))).double()
            total[:, unit] += (after - before).numpy()
            before = after
    return Attribution("shapley", total / (2 * _PAIRS), True)


def _orders(inputs: Inputs) -> int:
    return 2 * _PAIRS * (_ablated(inputs) + 1)


def grad_cam(task: Task) -> Attribution:
    """Selvaraju et al. 2017, on the last convolution with a grid of 4 x 4 places, or the last block's normed tokens.

    Without the final ReLU, so that what speaks against the output is seen as well. After the last block of a network
    that reads one summary token the others have no gradient, hence its first norm.
    """
    layer, grid = cam_layer(task.network, task.x)
    assert layer is not None
    if isinstance(layer, nn.LayerNorm):
        values = _token_cam(task, layer).view(len(task.x), 1, *grid)
    else:
        values = LayerGradCam(task.network, layer).attribute(task.x, target=task.target).detach()
    wide = LayerAttribution.interpolate(values, tuple(task.x.shape[2:]), "bilinear")
    return Attribution("grad_cam", np.asarray(wide.double()), False)


def _token_cam(task: Task, layer: nn.Module) -> Tensor:
    """Return the sum of tokens weighted by the mean gradient of each of their numbers, (R, T)."""
    seen: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _, __, out: seen.append(out))
    with torch.enable_grad():
        total = task.outputs(task.x.clone().requires_grad_()).sum()
        (slope_BTD,) = torch.autograd.grad(total, seen[0])
    hook.remove()
    return (seen[0] * slope_BTD.mean(1, keepdim=True)).sum(2).detach()


@torch.no_grad()
def cam_layer(network: nn.Module, x: Tensor) -> tuple[nn.Module | None, tuple[int, int]]:
    """Return the layer that Grad-CAM looks at and its grid of places; None where no layer has one.

    Tokens form a grid where there are as many as places of the last convolution or pooling before them.
    """
    ran: list[tuple[nn.Module, Tensor]] = []
    watched = [part for part in network.modules() if isinstance(part, nn.Conv2d | nn.MaxPool2d | nn.LayerNorm)]
    hooks = [part.register_forward_hook(lambda part, _, out: ran.append((part, out))) for part in watched]
    network(x[:1])
    for hook in hooks:
        hook.remove()
    grids = [out for part, out in ran if not isinstance(part, nn.LayerNorm)]
    last = (int(grids[-1].shape[2]), int(grids[-1].shape[3])) if grids else (0, 0)
    tokens = [part for part, out in ran if isinstance(part, nn.LayerNorm) and out.ndim == 3
              and out.shape[1] == last[0] * last[1]]  # fmt: skip
    if len(tokens) >= _NORMS_OF_TOKENS and min(last) > 1:
        return tokens[-_NORMS_OF_TOKENS], last
    wide = [(part, out) for part, out in ran if isinstance(part, nn.Conv2d) and min(out.shape[2:]) >= _SMALLEST_GRID]
    if not wide:
        return None, (0, 0)
    return wide[-1][0], (int(wide[-1][1].shape[2]), int(wide[-1][1].shape[3]))


_OF_SERIES = (
    Method("feature_ablation", feature_ablation, _ablated),
    Method("temporal_saliency_rescaling", temporal_saliency_rescaling, rescalings),
)
METHODS: Mapping[str, tuple[Method, ...]] = {
    "image": (Method("occlusion", occlusion, _windows), Method("grad_cam", grad_cam, lambda inputs: 3)),
    "table": (Method("feature_ablation", feature_ablation, _ablated), Method("shapley", shapley, _orders)),
    "text": (Method("feature_ablation", feature_ablation, _ablated),),
    "series": _OF_SERIES,
    "forecast": _OF_SERIES,
}


def partners(network: nn.Module, inputs: Inputs, x: Tensor) -> tuple[Method, ...]:
    """Return the methods beside integrated gradients that such a network has."""
    found = METHODS[inputs.kind]
    if isinstance(inputs, ImageInputs) and cam_layer(network, x)[0] is None:
        return tuple(method for method in found if method.name != "grad_cam")
    return found
