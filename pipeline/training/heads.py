"""What the numbers of a network mean, by task: loss, score on validation rows, and prediction.

Legend: B rows, K classes, labels or targets.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from pipeline.core.contracts import ForecastInputs, Inputs, Target, Task


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


class Head(Protocol):
    """What a task makes of outputs (B, K)."""

    def loss(self, out: Tensor, y: Tensor, smoothing: float) -> Tensor:
        """Return the mean loss that training minimises."""

    def score(self, out: Tensor, y: Tensor) -> ValidationScore:
        """Return how good outputs of all validation rows are."""

    def predict(self, out: Tensor) -> Tensor:
        """Return probabilities, or values in raw units."""


class ClassHead:
    """Logits of classes that exclude each other; y (B,) class numbers."""

    def loss(self, out: Tensor, y: Tensor, smoothing: float) -> Tensor:
        """Return cross-entropy with label smoothing."""
        return nn.functional.cross_entropy(out, y, label_smoothing=smoothing)

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
    """Logits of labels that do not exclude each other; y (B, K) of 0 and 1."""

    def loss(self, out: Tensor, y: Tensor, smoothing: float) -> Tensor:
        """Return the binary cross-entropy of all labels, smoothed towards one half."""
        return nn.functional.binary_cross_entropy_with_logits(out, y.float() * (1 - smoothing) + smoothing / 2)

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

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        self.mean, self.std = mean, std

    def loss(self, out: Tensor, y: Tensor, smoothing: float) -> Tensor:
        """Return the mean squared error; smoothing has no meaning here."""
        errors, known = self._errors(out, y)
        return errors.sum() / known.sum().clamp(min=1)

    def score(self, out: Tensor, y: Tensor) -> ValidationScore:
        """Return the mean squared error over targets, and R² over all of them together."""
        errors, known = self._errors(out.double(), y.double())
        rows = errors.sum(1) / known.sum(1).clamp(min=1)
        rows = rows[known.any(1)]
        target = torch.where(known, y.double(), torch.nan)
        spread = ((target - target.nanmean(0)) / self.std.to(out.device)).square().nansum()
        return _score(rows, float(1 - errors.sum() / spread.clamp(min=1e-12)), 1.0)

    def predict(self, out: Tensor) -> Tensor:
        """Return values in raw units."""
        return out * self.std.to(out.device) + self.mean.to(out.device)

    def _errors(self, out: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        known = ~y.isnan()
        true = (torch.where(known, y, 0.0) - self.mean.to(out.device)) / self.std.to(out.device)
        return torch.where(known, (out - true).square(), 0.0), known


def head_for(task: Task, inputs: Inputs, targets: tuple[Target, ...]) -> Head:
    """Return the head of a task; forecasts are packed in training deviations of each series already."""
    if task in ("binary", "multiclass"):
        return ClassHead()
    if task == "multilabel":
        return LabelSetHead()
    if isinstance(inputs, ForecastInputs):
        return ValueHead(torch.zeros(()), torch.ones(()))
    return ValueHead(torch.tensor([t.mean for t in targets]), torch.tensor([t.std for t in targets]))


def _score(losses: Tensor, quality: float, temperature: float) -> ValidationScore:
    spread = losses.std() / len(losses) ** 0.5 if len(losses) > 1 else losses.new_zeros(())
    return ValidationScore(float(losses.mean()), float(spread), quality, temperature)


def softening(rows: int, classes: int) -> float:
    """Return the label smoothing that leaves 1 / (rows + 2) for the other classes.

    After n right answers Laplace's rule of succession expects one mistake in n + 2. Without it, a network that makes
    no mistake on few rows gets a temperature near 0 and a score that no honest doubt could reach.
    """
    return classes / (max(1, classes - 1) * (rows + 2))


class LossAt(Protocol):
    """Losses of all rows at a temperature."""

    def __call__(self, t: float) -> Tensor:
        """Return (B,)."""


def best_temperature(losses: LossAt, halvings: int = 30) -> float:
    """Return the T in [0.05, 20] with the lowest log loss of logits / T (Guo et al. 2017), by golden section.

    The loss is convex in 1 / T, so there is one minimum.
    """

    def at(log_t: float) -> float:
        return float(losses(math.exp(log_t)).mean())

    low, high, golden = math.log(0.05), math.log(20), (math.sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = at(left), at(right)
    for _ in range(halvings):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = at(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = at(right)
    return math.exp((low + high) / 2)
