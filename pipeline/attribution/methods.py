"""Attribution methods of Captum on our networks: one output of each row, towards a named baseline.

Legend: R rows, C channels, H height, W width, P packed places, T columns, words or steps. Images and series get one
number per place and channel, tables one per column, texts one per word.
"""

import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from captum.attr import FeatureAblation, IntegratedGradients, LayerIntegratedGradients, Occlusion
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.core.contracts import ForecastInputs, ImageInputs, Inputs, SeriesInputs, TableInputs, TextInputs
from pipeline.core.contracts import Task as TaskName

COMPLETE_ENOUGH = 0.05
_MOST_STEPS = 512
_HELPS = 0.9
"""What is missed falls at least to this share when steps double, else doubling does not help."""
_MOST_ROWS, _MOST_BYTES = 2048, 512e6
"""Rows times steps that go through a network at once, and what they may keep for the backward pass."""
_WINDOWS = 16


@dataclass(frozen=True)
class Task:
    """What is explained: packed rows x, the output of each (class, label, number), and what "absent" means."""

    network: nn.Module
    inputs: Inputs
    x: Tensor
    target: Tensor
    baseline: Tensor
    """Same shape as x."""
    task: TaskName = "multiclass"

    def outputs(self, x: Tensor) -> Tensor:
        """Return the explained output of each row, (R,)."""
        out: Tensor = self.network(x).gather(1, self.target[:, None])[:, 0]
        return out

    def worth(self, x: Tensor) -> Tensor:
        """Return what falls when important input is removed, (R,).

        The probability of the class or label; for numbers minus the distance from the full prediction, in training
        standard deviations.
        """
        if self.task in ("binary", "multiclass"):
            p: Tensor = self.network(x).double().softmax(1).gather(1, self.target[:, None])[:, 0]
            return p
        out = self.outputs(x).double()
        return out.sigmoid() if self.task == "multilabel" else -(out - self.outputs(self.x).double()).abs()


@dataclass(frozen=True)
class Attribution:
    """Signed contributions: images (R, C, H, W), series (R, C, T), columns of a table or words (R, T)."""

    method: str
    values: NDArray[np.float64]
    promises_completeness: bool
    """Whether the method says that contributions add up to F(x) - F(baseline)."""


def baseline_for(inputs: Inputs, x: Tensor) -> tuple[Tensor, str]:
    """Return the reference input of each row (same shape as x), and its name."""
    match inputs:
        case ImageInputs():
            mean = torch.tensor(inputs.mean).view(1, -1, 1, 1)
            return mean.expand_as(x), "mean of the training images, per channel"
        case TableInputs():
            row = [c.median if c.kind == "numeric" else float(c.mode) for c in inputs.columns]
            usual = torch.tensor(row + [0.0] * (inputs.places - len(row)))
            return usual.expand_as(x), "median of each number, most frequent value of each category"
        case TextInputs():
            return (x > 0).to(x.dtype), "the unknown word in place of every word"
        case ForecastInputs():
            steps = torch.arange(x.shape[2])
            seen = torch.where(x.isnan() | (steps >= inputs.window), -1, steps).amax(2, keepdim=True)
            last = torch.where(seen >= 0, x.gather(2, seen.clamp(min=0)), 0.0)
            flat = torch.where(steps < inputs.window, last, 0.0)
            return torch.where(x.isnan(), x, flat), "last known value of each channel, repeated"
        case SeriesInputs():
            mean = torch.tensor(inputs.mean).view(1, -1, 1).expand_as(x)
            return torch.where(x.isnan(), x, mean), "training mean of each channel"


def integrated_gradients(task: Task, steps: int, seconds: float = math.inf) -> tuple[Attribution, int, str]:
    """Sundararajan et al. 2017; steps double up to 512 until half of the rows add up within 5 %.

    They stop doubling where that hardly helps (outputs that jump, as counts do, never add up), and where it would take
    longer than so many seconds in all. Returns the steps used and, where they might have been more, why not.
    """
    before, start = math.inf, time.monotonic()
    while True:
        values = _gradients(task, steps)
        missed, spent = float(np.median(completeness(task, values))), time.monotonic() - start
        why = None
        if missed <= COMPLETE_ENOUGH or steps >= _MOST_STEPS:
            why = ""
        elif missed > _HELPS * before:
            why = "; twice as many hardly added up better"
        elif 3 * spent > seconds:  # twice as many steps take twice as long again
            why = f"; twice as many would have taken longer than {seconds:g} s in all"
        if why is not None:
            return Attribution("integrated_gradients", values, True), steps, why
        before, steps = missed, min(2 * steps, _MOST_STEPS)


def _gradients(task: Task, steps: int) -> NDArray[np.float64]:
    """Return the contributions of all rows, so many rows and steps at a time as memory allows."""
    most = max(1, int(_MOST_BYTES // max(1, saved_bytes(task))))
    parts = [
        _gradients_of(replace(task, x=x, baseline=baseline, target=target), steps, max(len(x), min(_MOST_ROWS, most)))
        for x, baseline, target in zip(
            *(torch.split(part, most) for part in (task.x, task.baseline, task.target)), strict=True
        )
    ]
    return np.concatenate(parts)


def saved_bytes(task: Task) -> int:
    """Return the bytes that a row keeps for the backward pass, weights aside."""
    own = {tensor.data_ptr() for tensor in (*task.network.parameters(), *task.network.buffers())}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            kept[tensor.data_ptr()] = max(kept.get(tensor.data_ptr(), 0), tensor.nbytes)
        return tensor

    row = task.x[:1].clone()
    if row.is_floating_point():
        row.requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = task.network(row)
    del out
    return sum(kept.values())


def _gradients_of(task: Task, steps: int, at_once: int) -> NDArray[np.float64]:
    options: dict[str, Any] = {"target": task.target, "n_steps": steps, "internal_batch_size": at_once}
    if isinstance(task.inputs, ImageInputs):
        found = IntegratedGradients(task.network).attribute(task.x, task.baseline.contiguous(), **options)
        return np.asarray(found.detach().double())
    layer = LayerIntegratedGradients(task.network, task.network.stem)
    tokens = layer.attribute(task.x, task.baseline.contiguous(), **options).detach().double()
    if isinstance(task.inputs, SeriesInputs | ForecastInputs):
        return np.asarray(tokens[:, :, :-1].transpose(1, 2))
    return np.asarray(tokens.sum(dim=2))


def occlusion(task: Task) -> Attribution:
    """Zeiler and Fergus 2014: change of the output when a window of an eighth of the side is set to the baseline."""
    _, C, H, W = task.x.shape
    size = (C, max(2, round(H / 8)), max(2, round(W / 8)))
    stride = (C, max(1, size[1] // 2), max(1, size[2] // 2))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.filterwarnings("ignore", message=".*sliding window.*")
        values = Occlusion(task.network).attribute(
            task.x, size, stride, baselines=task.baseline, target=task.target, perturbations_per_eval=16
        )
    return Attribution("occlusion", np.asarray(values.double()), False)


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
    if isinstance(
        task.inputs, SeriesInputs | ForecastInputs
    ):  # Captum gives every place the change of its whole window
        found = found / max(1, round(task.inputs.length / min(_WINDOWS, task.inputs.length)))
    return Attribution("feature_ablation", found, False)


def _units(inputs: Inputs, x: Tensor) -> Tensor:
    """Return the number of the unit each place belongs to, with a leading 1."""
    if isinstance(inputs, TableInputs):
        flagged = [i for i, c in enumerate(inputs.columns) if c.kind == "numeric" and c.missing]
        return torch.tensor([[*range(len(inputs.columns)), *flagged]])
    if isinstance(inputs, SeriesInputs | ForecastInputs):
        windows = min(_WINDOWS, inputs.length)
        of_step = torch.arange(inputs.length) * windows // inputs.length
        return (torch.arange(len(inputs.channels))[:, None] * windows + of_step)[None]
    return torch.arange(x.shape[1])[None]


METHODS: Mapping[str, tuple[Callable[[Task], Attribution], ...]] = {
    "image": (occlusion,),
    "table": (feature_ablation,),
    "text": (feature_ablation,),
    "series": (feature_ablation,),
    "forecast": (feature_ablation,),
}


@torch.no_grad()
def completeness(task: Task, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return |sum of contributions - (F(x) - F(baseline))| / |F(x) - F(baseline)| of each row, (R,)."""
    change = (task.outputs(task.x) - task.outputs(task.baseline)).double().numpy()
    total = values.reshape(len(values), -1).sum(axis=1)
    return np.asarray(np.abs(total - change) / np.maximum(np.abs(change), 1e-6))


def explain(task: Task, steps: int, seconds: float = math.inf) -> tuple[tuple[Attribution, ...], str]:
    """Return the attributions of all methods of the modality, and a note on the integration steps."""
    gradients, used, why = integrated_gradients(task, steps, seconds)
    others = tuple(method(task) for method in METHODS[task.inputs.kind])
    return (gradients, *others), f"integrated gradients used {used} steps{why}"
