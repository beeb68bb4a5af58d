"""Attribution methods of Captum on our networks: the logit of the explained class, towards a named baseline.

Legend: R rows, C channels, H height, W width, P packed places, T columns. Images get one number per pixel and channel,
tables one per column.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from captum.attr import FeatureAblation, IntegratedGradients, LayerIntegratedGradients, Occlusion
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.core.contracts import ImageInputs, Inputs, TableInputs

COMPLETE_ENOUGH = 0.05
_MOST_STEPS = 512


@dataclass(frozen=True)
class Task:
    """What is explained: rows x (R, C, H, W) or (R, P), the class of each, and what "absent" means."""

    network: nn.Module
    inputs: Inputs
    x: Tensor
    target: Tensor
    baseline: Tensor
    """Same shape as one row, with a leading 1."""

    def logits(self, x: Tensor) -> Tensor:
        """Return the explained logit of each row, (R,)."""
        out: Tensor = self.network(x).gather(1, self.target[:, None])[:, 0]
        return out


@dataclass(frozen=True)
class Attribution:
    """Signed contributions (R, C, H, W) or (R, T)."""

    method: str
    values: NDArray[np.float64]
    promises_completeness: bool
    """Whether the method says that contributions add up to F(x) - F(baseline)."""


def baseline_for(inputs: Inputs) -> tuple[Tensor, str]:
    """Return the reference input and its name: mean grey for images, median and most frequent value for tables."""
    if isinstance(inputs, ImageInputs):
        mean = torch.tensor(inputs.mean).view(1, -1, 1, 1)
        return mean.expand(1, inputs.channels, inputs.height, inputs.width), "mean of the training images, per channel"
    row = [c.median if c.kind == "numeric" else float(c.mode) for c in inputs.columns]
    flags = [0.0] * (inputs.places - len(row))
    return torch.tensor([row + flags]), "median of each number, most frequent value of each category"


def integrated_gradients(task: Task, steps: int) -> tuple[Attribution, int]:
    """Sundararajan et al. 2017; steps double up to 512 until half of the rows add up within 5 %."""
    while True:
        values = _gradients(task, steps)
        if np.median(completeness(task, values)) <= COMPLETE_ENOUGH or steps >= _MOST_STEPS:
            return Attribution("integrated_gradients", values, True), steps
        steps = min(2 * steps, _MOST_STEPS)


def _gradients(task: Task, steps: int) -> NDArray[np.float64]:
    baseline = task.baseline.expand_as(task.x).contiguous()
    options: dict[str, Any] = {"target": task.target, "n_steps": steps, "internal_batch_size": 2048}
    if isinstance(task.inputs, TableInputs):
        layer = LayerIntegratedGradients(task.network, task.network.stem)
        tokens = layer.attribute(task.x, baseline, **options)
        return np.asarray(tokens.detach().double().sum(dim=2))
    return np.asarray(IntegratedGradients(task.network).attribute(task.x, baseline, **options).detach().double())


def occlusion(task: Task) -> Attribution:
    """Zeiler and Fergus 2014: change of the logit when a window of an eighth of the side is set to the baseline."""
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
    """Return the change of the logit when one column, with its missing mark, is set to the baseline."""
    assert isinstance(task.inputs, TableInputs)
    columns = task.inputs.columns
    flagged = [i for i, c in enumerate(columns) if c.kind == "numeric" and c.missing]
    mask = torch.tensor([[*range(len(columns)), *flagged]])
    with torch.no_grad():
        values = FeatureAblation(task.network).attribute(
            task.x, baselines=task.baseline, target=task.target, feature_mask=mask
        )
    return Attribution("feature_ablation", np.asarray(values.double())[:, : len(columns)], False)


METHODS: Mapping[str, tuple[Callable[[Task], Attribution], ...]] = {"image": (occlusion,), "table": (feature_ablation,)}


@torch.no_grad()
def completeness(task: Task, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return |sum of contributions - (F(x) - F(baseline))| / |F(x) - F(baseline)| of each row, (R,)."""
    change = (task.logits(task.x) - task.logits(task.baseline.expand_as(task.x))).double().numpy()
    total = values.reshape(len(values), -1).sum(axis=1)
    return np.asarray(np.abs(total - change) / np.maximum(np.abs(change), 1e-6))


def explain(task: Task, steps: int) -> tuple[tuple[Attribution, ...], str]:
    """Return the attributions of all methods of the modality, and a note on the integration steps."""
    gradients, used = integrated_gradients(task, steps)
    others = tuple(method(task) for method in METHODS[task.inputs.kind])
    return (gradients, *others), f"integrated gradients used {used} steps"
