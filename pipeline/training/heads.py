"""What the numbers of a network mean, by task: loss, score on validation rows, and prediction.

Rows may count differently in a loss: then it is the mean over rows of weight times loss, with weights of mean 1 in the
training split. It is not divided by the sum of a batch's weights, so that the mean over batches is the loss of the
split, whichever rows meet in a batch. Scores count every row alike.

Legend: B rows, K classes, labels or targets.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.core.contracts import ForecastInputs, Inputs, Optimizer, Target, Task
from pipeline.core.errors import SpaceError
from pipeline.training.temperature import best_temperature, softening


@dataclass(frozen=True, slots=True)
class ValidationScore:
    """How well a network does on some rows."""

    score: float
    """What a search minimises: mean log loss after temperature scaling, or squared error in training deviations."""
    standard_error: float
    """Of that mean, over rows."""
    quality: float
    """What people read beside it: accuracy, label accuracy or R²; higher is better."""
    temperature: float = 1.0
    losses: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    """What the score is the mean of, one for each row (N,) whose target is known."""


class Head(Protocol):
    """What a task makes of outputs (B, K)."""

    def loss(self, out: Tensor, y: Tensor, smoothing: float, weight_B: Tensor | None = None) -> Tensor:
        """Return the mean loss that training minimises; `weight_B` says how much each row counts."""

    def counted(self, y: Tensor, weight_B: Tensor | None = None) -> Tensor | float:
        """Return what `loss` divides a sum over rows by: means of parts of a batch count so much in that of all."""

    def score(self, out: Tensor, y: Tensor) -> ValidationScore:
        """Return how good outputs of all validation rows are."""

    def predict(self, out: Tensor) -> Tensor:
        """Return probabilities, or values in raw units."""


class ClassHead:
    """Logits of classes that exclude each other; y (B,) class numbers, or (B, K) probabilities to be learned.

    `weights` (K,) say how much each class counts.
    """

    def __init__(self, weights: Tensor | None = None) -> None:
        self.weights = weights

    def loss(self, out: Tensor, y: Tensor, smoothing: float, weight_B: Tensor | None = None) -> Tensor:
        """Return cross-entropy with label smoothing.

        Without weights of rows, class weights are divided by those of the batch; a row that does not count must not
        change that by its class, so else they are divided by their training mean, which is 1 over weighed rows.
        """
        weights = None if self.weights is None else self.weights.to(out)
        if weight_B is None:
            return nn.functional.cross_entropy(out, y, weight=weights, label_smoothing=smoothing)
        each = nn.functional.cross_entropy(out, y, weight=weights, label_smoothing=smoothing, reduction="none")
        return (weight_B * each).mean()

    def counted(self, y: Tensor, weight_B: Tensor | None = None) -> Tensor | float:
        """Return the class weights of the batch, where the loss is divided by them, else its rows."""
        if self.weights is None or weight_B is not None or y.is_floating_point():
            return float(len(y))
        return self.weights.to(y.device)[y].sum()

    def score(self, out: Tensor, y: Tensor) -> ValidationScore:
        """Return log loss at the best temperature; targets are softened by the rule of succession.

        How sure a network is costs nothing, how well it ranks does; rows without a mistake prove no certainty.
        """
        soft = softening(*out.shape)

        def losses(t: float) -> Tensor:
            return nn.functional.cross_entropy(out / t, y, reduction="none", label_smoothing=soft)

        temperature = best_temperature(losses) if bool(out.isfinite().all()) else 1.0
        return _score(losses(temperature), float((out.argmax(1) == y).double().mean()), temperature)

    def predict(self, out: Tensor) -> Tensor:
        """Return class probabilities."""
        return out.softmax(1)


class LabelSetHead:
    """Logits of labels that do not exclude each other; y (B, K) of 0 and 1.

    `weights` (2, K) say how much absence and presence of each label count.
    """

    def __init__(self, weights: Tensor | None = None) -> None:
        self.weights = weights

    def loss(self, out: Tensor, y: Tensor, smoothing: float, weight_B: Tensor | None = None) -> Tensor:
        """Return the binary cross-entropy of all labels, smoothed towards one half."""
        weights = None
        if self.weights is not None:
            absent, present = self.weights.to(out).unbind()
            weights = torch.where(y > 0.5, present, absent)
        if weight_B is not None:
            weights = weight_B[:, None] if weights is None else weight_B[:, None] * weights
        soft = y.to(out.dtype) * (1 - smoothing) + smoothing / 2
        return nn.functional.binary_cross_entropy_with_logits(out, soft, weight=weights)

    def counted(self, y: Tensor, weight_B: Tensor | None = None) -> Tensor | float:
        """Return the rows."""
        return float(len(y))

    def score(self, out: Tensor, y: Tensor) -> ValidationScore:
        """Return the mean log loss per label at the best temperature."""
        soft = softening(len(out) * out.shape[1], 2)
        target = y.double() * (1 - soft) + soft / 2

        def losses(t: float) -> Tensor:
            each = nn.functional.binary_cross_entropy_with_logits(out.double() / t, target, reduction="none")
            return each.mean(1)

        temperature = best_temperature(losses) if bool(out.isfinite().all()) else 1.0
        return _score(losses(temperature), float(((out > 0) == (y > 0.5)).double().mean()), temperature)

    def predict(self, out: Tensor) -> Tensor:
        """Return the probability of each label."""
        return out.sigmoid()


class ValueHead:
    """Numbers, predicted in training standard deviations; y (B, K) in raw units, NaN where nobody knows it."""

    def __init__(self, mean: Tensor, std: Tensor, kind: str = "auto", quantile: float = 0.5) -> None:
        self.mean, self.std = mean, std
        self.kind, self.quantile = kind, quantile

    def loss(self, out: Tensor, y: Tensor, smoothing: float, weight_B: Tensor | None = None) -> Tensor:
        """Return the mean loss of the kind asked for; smoothing has no meaning here."""
        missed, known = self.missed(out, y)
        each = loss_of(missed, self.kind, self.quantile)
        each = each if weight_B is None else weight_B[:, None] * each
        return each.sum() / known.sum().clamp(min=1)

    def counted(self, y: Tensor, weight_B: Tensor | None = None) -> Tensor | float:
        """Return how many values are known."""
        return (~y.isnan()).sum().clamp(min=1)

    def score(self, out: Tensor, y: Tensor) -> ValidationScore:
        """Return the mean squared error over targets, and R² over all of them together."""
        missed, known = self.missed(out.double(), y.double())
        errors = missed.square()
        rows = errors.sum(1) / known.sum(1).clamp(min=1)
        rows = rows[known.any(1)]
        target = torch.where(known, y.double(), torch.nan)
        spread = ((target - target.nanmean(0)) / self.std.to(out.device)).square().nansum()
        return _score(rows, float(1 - errors.sum() / spread.clamp(min=1e-12)), 1.0)

    def predict(self, out: Tensor) -> Tensor:
        """Return values in raw units."""
        return out * self.std.to(out.device) + self.mean.to(out.device)

    def missed(self, out: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return true minus predicted in training deviations, 0 where nobody knows it, and what is known (B, K)."""
        known = ~y.isnan()
        true = (torch.where(known, y, 0.0) - self.mean.to(out.device)) / self.std.to(out.device)
        return torch.where(known, true - out, 0.0), known


def loss_of(missed: Tensor, kind: str, quantile: float) -> Tensor:
    """Return the loss of what was missed, true minus predicted, in training deviations; elementwise.

    huber: squared up to one deviation, then as slow as the absolute error (Huber 1964); quantile: pinball loss
    (Koenker and Bassett 1978), lowest at that quantile.
    """
    match kind:
        case "absolute":
            return missed.abs()
        case "huber":
            return nn.functional.huber_loss(missed, torch.zeros_like(missed), reduction="none")
        case "quantile":
            return torch.maximum(quantile * missed, (quantile - 1) * missed)
        case _:
            return missed.square()


def head_for(
    task: Task,
    inputs: Inputs,
    targets: tuple[Target, ...],
    optimizer: Optimizer | None = None,
    y: NDArray[Any] | None = None,
    weight: NDArray[Any] | None = None,
) -> Head:
    """Return the head of a task; forecasts are packed in training deviations of each series already.

    Class weights come from the training targets `y` and from how much each of these rows counts. Without an optimiser
    the head scores and predicts, and that does not depend on how a network was trained.
    """
    optimizer = optimizer or Optimizer()
    values = task == "regression" or isinstance(inputs, ForecastInputs)
    if optimizer.loss != "auto" and not values:
        raise SpaceError(f"space.optimizer.loss: '{optimizer.loss}' is a loss of numbers, not of classes",
                         fix="space.optimizer.loss=auto")  # fmt: skip
    balanced = optimizer.class_weights == "balanced"
    if balanced and values:
        fix = "space.optimizer.class_weights=none"
        raise SpaceError("space.optimizer.class_weights: numbers have no classes", fix=fix)
    weights = balanced_weights(y, weight) if balanced and y is not None else None
    if task in ("binary", "multiclass"):
        return ClassHead(weights)
    if task == "multilabel":
        return LabelSetHead(weights)
    if isinstance(inputs, ForecastInputs):
        return ValueHead(torch.zeros(()), torch.ones(()), optimizer.loss, optimizer.quantile)
    mean, std = torch.tensor([t.mean for t in targets]), torch.tensor([t.std for t in targets])
    return ValueHead(mean, std, optimizer.loss, optimizer.quantile)


def balanced_weights(y: NDArray[Any], weight: NDArray[Any] | None = None) -> Tensor:
    """Return weights in inverse proportion to frequency, 1 on average over rows: (K,) of classes, (2, K) of labels.

    A row of weight 2 is two rows, for the frequency and for the average.
    """
    weight = np.ones(len(y)) if weight is None else weight.astype(np.float64)
    if y.ndim == 1:
        counts = np.bincount(y, weights=weight)
        each = weight.sum() / (np.count_nonzero(counts) * np.where(counts > 0, counts, 1))
        return torch.tensor(each, dtype=torch.float32)
    present = np.average(y, axis=0, weights=weight)
    return torch.tensor(0.5 / np.maximum(np.stack([1 - present, present]), 1 / len(y)), dtype=torch.float32)


def _score(losses: Tensor, quality: float, temperature: float) -> ValidationScore:
    spread = losses.std() / len(losses) ** 0.5 if len(losses) > 1 else losses.new_zeros(())
    each = losses.detach().float().cpu().numpy()
    return ValidationScore(float(losses.mean()), float(spread), quality, temperature, each)
