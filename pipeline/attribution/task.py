"""What is explained, towards which baseline, and what is left of an input when parts of it are removed.

Legend: R rows, C channels, H height, W width, P packed places, T columns, words or steps, U units that can be removed:
pixels over all channels, places of a series, columns of a table with their missing marks, words.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.core.contracts import ForecastInputs, ImageInputs, Inputs, SeriesInputs, TableInputs, TextInputs
from pipeline.core.contracts import Task as TaskName

_CELLS = 8
"""Squares of an image, per side."""
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

    def of(self, rows: slice) -> "Task":
        """Return the same question of some of the rows."""
        return replace(self, x=self.x[rows], target=self.target[rows], baseline=self.baseline[rows])

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
    """Signed contributions: images (R, C or 1, H, W), series (R, C, T), columns of a table or words (R, T)."""

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


def other_baseline(inputs: Inputs, x: Tensor, drawn: Tensor) -> tuple[Tensor, str]:
    """Return another reference input of each row, same shape as x, to see how much hangs on the first; and its name.

    `drawn`: as many training rows, packed as the network reads them.
    """
    match inputs:
        case ImageInputs():
            return _blurred(x), "the image itself, blurred"
        case TextInputs():
            return torch.where(x > 0, torch.full_like(x, 2), x), "the most frequent word in place of every word"
        case TableInputs():
            return drawn, "a training row drawn for each"
        case SeriesInputs() | ForecastInputs():
            mean = torch.zeros(1) if isinstance(inputs, ForecastInputs) else torch.tensor(inputs.mean).view(1, -1, 1)
            known = torch.where(drawn.isnan(), mean.expand_as(drawn), drawn)
            return torch.where(x.isnan(), x, known), "a training series drawn for each"


def _blurred(x: Tensor) -> Tensor:
    """Return images (R, C, H, W) after a mean over a quarter of the shorter side, three times: about a Gaussian."""
    reach = max(1, min(x.shape[2:]) // 8)
    for _ in range(3):
        inside = torch.nn.functional.pad(x, (reach,) * 4, mode="replicate")
        x = torch.nn.functional.avg_pool2d(inside, 2 * reach + 1, stride=1)
    return x


def unit_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one score per removable unit, (R, U)."""
    summed = values.sum(axis=1) if values.ndim == 4 else values
    return summed.reshape(len(values), -1)


def removed(task: Task, gone: Tensor) -> Tensor:
    """Return the rows with units `gone` (R, U) set to the baseline."""
    return torch.where(_places(task, gone), task.baseline, task.x)


def movable(task: Task) -> NDArray[np.bool_]:
    """Return which units differ from the baseline at all, (R, U)."""
    away = (task.x != task.baseline) & ~task.x.isnan()
    if isinstance(task.inputs, ImageInputs):
        return np.asarray(away.any(1).flatten(1))
    if isinstance(task.inputs, TableInputs):
        flags = _flagged(task.inputs)
        own = away[:, : len(task.inputs.columns)].clone()
        own[:, flags] |= away[:, len(task.inputs.columns) :]
        return np.asarray(own)
    return np.asarray(away.flatten(1))


def cells(inputs: Inputs) -> NDArray[np.int64]:
    """Return which cell each unit belongs to, (U,): squares of images, windows of a channel, single columns, words."""
    if isinstance(inputs, ImageInputs):
        down, across = (np.arange(side) * min(_CELLS, side) // side for side in (inputs.height, inputs.width))
        return np.asarray((down[:, None] * min(_CELLS, inputs.width) + across).ravel())
    if isinstance(inputs, SeriesInputs | ForecastInputs):
        return np.asarray(windows_of(inputs).ravel())
    return np.arange(len(inputs.columns) if isinstance(inputs, TableInputs) else inputs.length)


def unit_count(inputs: Inputs) -> int:
    """Return U."""
    match inputs:
        case ImageInputs():
            return inputs.height * inputs.width
        case TableInputs():
            return len(inputs.columns)
        case TextInputs():
            return inputs.length
    return len(inputs.channels) * inputs.length


def windows_of(inputs: SeriesInputs | ForecastInputs) -> NDArray[np.int64]:
    """Return the number of each place's window, (C, T): a channel within one of 16 windows of time."""
    windows = min(_WINDOWS, inputs.length)
    of_step = np.arange(inputs.length) * windows // inputs.length
    return np.asarray(np.arange(len(inputs.channels))[:, None] * windows + of_step)


def _places(task: Task, gone: Tensor) -> Tensor:
    """Return which packed places the units cover, broadcastable to x."""
    if isinstance(task.inputs, TableInputs):
        return torch.cat([gone, gone[:, _flagged(task.inputs)]], dim=1)
    if isinstance(task.inputs, ImageInputs):
        return gone.view(len(gone), 1, task.inputs.height, task.inputs.width)
    return gone.view_as(task.x)


def _flagged(inputs: TableInputs) -> list[int]:
    """Return the columns that have a missing mark, in the order of the marks."""
    return [i for i, c in enumerate(inputs.columns) if c.kind == "numeric" and c.missing]


@torch.no_grad()
def completeness(task: Task, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return |sum of contributions - (F(x) - F(baseline))| / |F(x) - F(baseline)| of each row, (R,)."""
    change = (task.outputs(task.x) - task.outputs(task.baseline)).double().numpy()
    total = values.reshape(len(values), -1).sum(axis=1)
    return np.asarray(np.abs(total - change) / np.maximum(np.abs(change), 1e-6))
