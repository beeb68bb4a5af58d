"""One judge per task. All of them answer the same questions about predictions on the same test rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.baselines import fitted, name_of
from pipeline.baselines.label_sets import MOST_BOOSTED
from pipeline.core.contracts import DatasetCard, Number
from pipeline.core.seeds import stream
from pipeline.core.settings import EvaluateSettings
from pipeline.evaluation.forecasts import ForecastJudge
from pipeline.metrics.calibration import reliability
from pipeline.metrics.intervals import proportion
from pipeline.metrics.label_sets import label_scores, label_set_table, paired_gain_label_sets
from pipeline.metrics.scores import class_scores, confusion, paired_gain, score_table
from pipeline.metrics.values import paired_gain_values, pinball, value_scores, value_table

Values = NDArray[np.float64]
Rows = tuple[NDArray[Any], NDArray[Any]]
"""Packed inputs x (N, …) and what is to be predicted, y (N,) or (N, K)."""


class Judge(Protocol):
    """What evaluate asks of a task."""

    block: int
    """Rows that follow each other in time and are resampled together; 1: rows stand alone."""

    def metrics(self, p: Values, name: str) -> Mapping[str, Number]:
        """Return the metrics of predictions `p` (N, K); `name` separates their random streams."""

    def headline(self, p: Values, name: str) -> Number:
        """Return the metric of the first screen alone."""

    def baseline(
        self, kind: str, train: Rows, test_x: NDArray[Any], weight: NDArray[Any] | None = None
    ) -> tuple[str, Values] | None:
        """Return name and predictions of a simple model, or None where the task has none of this kind.

        `weight` (N,) says how much each training row counts.
        """

    def gain(self, p: Values, q: Values, name: str) -> Number:
        """Return the headline metric of `p` minus that of `q`, paired by row."""

    def details(self, p: Values) -> dict[str, Any]:
        """Return the fields of Scores that only this task has."""

    def row_errors(self, p: Values) -> tuple[str, Values]:
        """Return what the error of a row is, `wrong` (0 or 1) or `absolute_error`, and that of each row (N,)."""

    def table(self, p: Values) -> dict[str, Any]:
        """Return columns for predictions.parquet."""


@dataclass(frozen=True)
class _Base:
    card: DatasetCard
    settings: EvaluateSettings
    seed: int
    y: NDArray[Any]
    quantile: float | None = None
    """Which quantile the network was trained to predict; None: a mean or a median."""
    block = 1

    def rng(self, *name: str) -> np.random.Generator:
        return stream(self.seed, "evaluate", *[part for part in name if part])

    def baseline(
        self, kind: str, train: Rows, test_x: NDArray[Any], weight: NDArray[Any] | None = None
    ) -> tuple[str, Values] | None:
        """Return name and predictions of the simple model of a kind, None where there is none for such data."""
        about = self.card.task, self.card.inputs, self.card.outputs
        name = name_of(kind, *about)
        return None if name is None else (name, fitted(name, about, (*train, weight), test_x, self.seed))


class ClassJudge(_Base):
    """Classes that exclude each other; p are probabilities (N, K)."""

    def metrics(self, p: Values, name: str) -> Mapping[str, Number]:
        """Return accuracy, balanced accuracy, F1, areas under curves, log loss, Brier score and calibration."""
        return score_table(self.y, p, self.rng(name), self.settings.level)

    def headline(self, p: Values, name: str) -> Number:
        """Return the accuracy."""
        return proportion(int((p.argmax(1) == self.y).sum()), len(self.y), self.settings.level)

    def gain(self, p: Values, q: Values, name: str) -> Number:
        """Return the difference of accuracies."""
        right, other = p.argmax(1) == self.y, q.argmax(1) == self.y
        return paired_gain(right, other, self.settings.level)

    def details(self, p: Values) -> dict[str, Any]:
        """Return per-class scores, confusion and reliability."""
        level, predicted = self.settings.level, p.argmax(1)
        counts = confusion(self.y, predicted, len(self.card.classes))
        return {
            "classes": class_scores(self.y, predicted, self.card.classes, level),
            "confusion": tuple(tuple(int(n) for n in row) for row in counts),
            "reliability": reliability(self.y, p, 15, level),
            "notes": many_classes(self.card, self.settings),
        }

    def row_errors(self, p: Values) -> tuple[str, Values]:
        """Return which rows get another class."""
        return "wrong", (p.argmax(1) != self.y).astype(float)

    def table(self, p: Values) -> dict[str, Any]:
        """Return true and predicted class and probabilities."""
        columns: dict[str, Any] = {"y_true": self.y, "y_pred": p.argmax(1)}
        return columns | {f"p_{k}": p[:, k] for k in range(p.shape[1])}


class LabelSetJudge(_Base):
    """Labels that do not exclude each other; p are probabilities (N, K)."""

    def metrics(self, p: Values, name: str) -> Mapping[str, Number]:
        """Return F1, areas under curves, subset and label accuracy, log loss and Brier score."""
        return label_set_table(self.y, p, self.settings.level)

    def headline(self, p: Values, name: str) -> Number:
        """Return micro F1."""
        return self.metrics(p, name)["f1_micro"]

    def gain(self, p: Values, q: Values, name: str) -> Number:
        """Return the difference of micro F1."""
        return paired_gain_label_sets(self.y, p, q, self.settings.level)

    def details(self, p: Values) -> dict[str, Any]:
        """Return per-label scores."""
        predicted = (p >= 0.5).astype(np.int64)
        found = label_scores(self.y, predicted, self.card.classes, self.settings.level)
        return {"classes": found, "notes": many_classes(self.card, self.settings)}

    def row_errors(self, p: Values) -> tuple[str, Values]:
        """Return which rows do not get every label right."""
        return "wrong", ((p >= 0.5) != (self.y == 1)).any(axis=1).astype(float)

    def table(self, p: Values) -> dict[str, Any]:
        """Return true labels and probabilities."""
        columns = {f"y_true_{k}": self.y[:, k] for k in range(p.shape[1])}
        return columns | {f"p_{k}": p[:, k] for k in range(p.shape[1])}


class ValueJudge(_Base):
    """Numbers in raw units, (N, T)."""

    def metrics(self, p: Values, name: str) -> Mapping[str, Number]:
        """Return R², absolute and squared errors and bias, and pinball where a quantile is predicted."""
        level, scale = self.settings.level, np.array([t.std for t in self.card.targets])
        found = value_table(self.y, p, scale, level)
        if self.quantile is not None:
            found["pinball"] = pinball(self.y, p, scale, self.quantile, level)
        return found

    def headline(self, p: Values, name: str) -> Number:
        """Return R²."""
        return self.metrics(p, name)["r2"]

    def gain(self, p: Values, q: Values, name: str) -> Number:
        """Return the difference of R²."""
        return paired_gain_values(self.y, p, q, self.settings.level)

    def details(self, p: Values) -> dict[str, Any]:
        """Return scores per target, and points of a figure."""
        names = [t.name for t in self.card.targets]
        shown = self.rng("points").permutation(len(p))[:_POINTS]
        return {
            "targets": value_scores(names, self.y, p, self.settings.level),
            "points": tuple((float(self.y[i, 0]), float(p[i, 0])) for i in np.sort(shown)),
        }

    def row_errors(self, p: Values) -> tuple[str, Values]:
        """Return the distance from the true number; of several targets the mean in training deviations."""
        scale = np.array([t.std for t in self.card.targets])
        return "absolute_error", np.abs((p - self.y) / (scale if len(scale) > 1 else 1.0)).mean(axis=1)

    def table(self, p: Values) -> dict[str, Any]:
        """Return true and predicted numbers."""
        columns = {f"y_true_{k}": self.y[:, k] for k in range(p.shape[1])}
        return columns | {f"y_pred_{k}": p[:, k] for k in range(p.shape[1])}


_POINTS = 400


def many_classes(card: DatasetCard, settings: EvaluateSettings) -> tuple[str, ...]:
    """Return the note on a baseline that is left out because it would cost more than the search."""
    if "gradient_boosting" not in settings.baselines or len(card.classes) <= MOST_BOOSTED:
        return ()
    return (f"gradient boosting is left out: it fits trees for each of {len(card.classes)} classes",)


def judge_for(  # noqa: PLR0913 - two of them are for single tasks
    card: DatasetCard,
    settings: EvaluateSettings,
    seed: int,
    y: NDArray[Any],
    rows: pd.DataFrame,
    x: NDArray[Any],
    quantile: float | None = None,
    *,
    spacing: int = 1,
) -> Judge:
    """Return the judge of the card's task for test rows: truth y, inputs x, and what prepare knows of each row.

    `quantile`: which one the network was trained to predict, if any. `spacing` says that the rows are one in so many of
    the split, in its order.
    """
    match card.task:
        case "binary" | "multiclass":
            return ClassJudge(card, settings, seed, y)
        case "multilabel":
            return LabelSetJudge(card, settings, seed, y)
        case "regression":
            return ValueJudge(card, settings, seed, y, quantile)
        case "forecast":
            return ForecastJudge(card, settings, seed, y, rows, x, quantile, spacing=spacing)
