"""Integrated gradients, as many rows and steps at a time as memory allows, with steps that double where it helps."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from captum.attr import IntegratedGradients, LayerIntegratedGradients
from numpy.typing import NDArray
from torch import Tensor

from pipeline.attribution.task import Attribution, Task, completeness
from pipeline.core.contracts import ForecastInputs, ImageInputs, SeriesInputs

COMPLETE_ENOUGH = 0.05
_MOST_STEPS = 512
_HELPS = 0.9
"""What is missed falls at least to this share when steps double, else doubling does not help."""
_MOST_ROWS, _MOST_BYTES = 2048, 512e6
"""Rows times steps that go through a network at once, and what they may keep for the backward pass."""


def integrated_gradients(
    task: Task, steps: int, seconds: float = math.inf, now: Callable[[], float] = time.monotonic
) -> tuple[Attribution, int, str]:
    """Sundararajan et al. 2017; steps double up to 512 until half of the rows add up within 5 %.

    They stop doubling where that hardly helps (outputs that jump, as counts do, never add up), and where it would take
    longer than so many seconds in all. Returns the steps used and, where they might have been more, why not.
    """
    before, start = math.inf, now()
    while True:
        values = gradients_at(task, steps)
        missed, spent = float(np.median(completeness(task, values))), now() - start
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


def gradients_at(task: Task, steps: int) -> NDArray[np.float64]:
    """Return the contributions of all rows with so many steps, as many at a time as memory allows."""
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
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
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
