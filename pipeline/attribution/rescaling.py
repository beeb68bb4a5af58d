"""Temporal saliency rescaling: first which times count, then which channels at these times (Ismail et al. 2020).

"Benchmarking Deep Learning Interpretability in Time Series Predictions", NeurIPS, algorithm 1. Gradients of recurrent
networks spread over channels and steps; how much the whole map changes when a time is set to the baseline says which
times count, and the same of single channels within the times that count says which channels do. The map is the gradient
times the distance from the baseline: a plain gradient does not change at all where a network is linear.

Legend: R rows, C channels, T steps, G groups of neighbouring steps (single steps where there are few).
"""

import numpy as np
import torch
from captum.attr import Saliency
from numpy.typing import NDArray
from torch import Tensor

from pipeline.attribution.task import Attribution, Task
from pipeline.core.contracts import ForecastInputs, Inputs, SeriesInputs

Values = NDArray[np.float64]

_MOST_GROUPS, _FEWEST_GROUPS, _MOST_CELLS = 32, 8, 512
_ABOVE = 0.55
"""Quantile of a row's times from which on channels are looked at, as in the authors' code."""
_UNSEEN = 0.1
"""What channels count for where they are not, as there."""
_THERE_AND_BACK = 3
"""Predictions that a gradient costs as much as."""


def temporal_saliency_rescaling(task: Task) -> Attribution:
    """Return sizes that are products of how a time and a channel in it count, (R, C, T).

    Three things are added to the paper: long series are masked by groups of steps, of which each step has its share;
    signs are those of what masking does to the output; and sizes of a row sum to |F(x) - F(baseline)|, so that rows
    compare.
    """
    of_step = group_of(task.inputs)
    groups, channels = int(of_step.max()) + 1, task.x.shape[1]
    before, full = _map(task, task.x), _outputs(task, task.x)
    times, signs = np.zeros((len(task.x), groups)), np.zeros((len(task.x), channels, groups))
    for group in range(groups):
        masked = _masked(task, of_step == group)
        times[:, group] = np.abs(_map(task, masked) - before).sum((1, 2))
        signs[:, :, group] = np.sign(full - _outputs(task, masked))[:, None]
    shares = np.full((len(task.x), channels, groups), 1.0 if channels == 1 else _UNSEEN)
    counts = times > np.quantile(times, _ABOVE, axis=1, keepdims=True)
    for group in range(groups) if channels > 1 else ():
        rows = np.flatnonzero(counts[:, group])
        if len(rows):
            own, sign = _channels(task, torch.tensor(rows), of_step == group, before[rows], full[rows])
            shares[rows, :, group], signs[rows, :, group] = own, sign
    sizes = (times[:, None] * shares)[:, :, of_step] / np.bincount(of_step)[of_step]
    total = sizes.sum((1, 2), keepdims=True)
    change = np.abs(full - _outputs(task, task.baseline))[:, None, None]
    scaled = np.divide(sizes * change, total, out=np.zeros_like(sizes), where=total > 0)
    return Attribution("temporal_saliency_rescaling", signs[:, :, of_step] * scaled, False)


def _channels(
    task: Task, rows: Tensor, steps: NDArray[np.bool_], before: Values, full: Values
) -> tuple[Values, Values]:
    """Return what each channel counts for within some steps, 1 the most, and the sign of what it does, (R, C) each."""
    part = Task(task.network, task.inputs, task.x[rows], task.target[rows], task.baseline[rows], task.task)
    found, signs = np.zeros((len(rows), task.x.shape[1])), np.zeros((len(rows), task.x.shape[1]))
    for channel in range(task.x.shape[1]):
        masked = _masked(part, steps, channel)
        found[:, channel] = np.abs(_map(part, masked) - before).sum((1, 2))
        signs[:, channel] = np.sign(full - _outputs(part, masked))
    most = found.max(1, keepdims=True)
    return np.divide(found, most, out=np.zeros_like(found), where=most > 0), signs


def _masked(task: Task, steps: NDArray[np.bool_], channel: int | None = None) -> Tensor:
    places = torch.zeros(task.x.shape[1:], dtype=torch.bool)
    places[slice(None) if channel is None else channel, torch.tensor(steps)] = True
    return torch.where(places, task.baseline, task.x)


def _map(task: Task, x: Tensor) -> Values:
    """Return gradient times distance from the baseline of rows x, (R, C, T)."""
    away: Values = np.nan_to_num(np.asarray((x - task.baseline).double()))
    return gradients(task, x) * away


def gradients(task: Task, x: Tensor) -> Values:
    """Return the gradient of the explained output by rows x, (R, C, T); 0 where nothing is known."""
    with torch.enable_grad():
        found = Saliency(task.network).attribute(x.clone().requires_grad_(), target=task.target, abs=False)
    known: Values = np.nan_to_num(np.asarray(found.detach().double()))
    return known


@torch.no_grad()
def _outputs(task: Task, x: Tensor) -> Values:
    return np.asarray(task.outputs(x).double())


def group_of(inputs: Inputs) -> NDArray[np.int64]:
    """Return the group of each step, (T,): fewer where there are many channels."""
    assert isinstance(inputs, SeriesInputs | ForecastInputs)
    fitting = max(_FEWEST_GROUPS, min(_MOST_GROUPS, _MOST_CELLS // len(inputs.channels)))
    return np.arange(inputs.length) * min(fitting, inputs.length) // inputs.length


def rescalings(inputs: Inputs) -> int:
    """Return as how many predictions a row costs."""
    assert isinstance(inputs, SeriesInputs | ForecastInputs)
    groups, channels = int(group_of(inputs).max()) + 1, len(inputs.channels)
    looked_at = 0 if channels == 1 else channels * round(groups * (1 - _ABOVE))
    return (1 + groups + looked_at) * (_THERE_AND_BACK + 1) + 1
