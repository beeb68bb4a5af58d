"""Scores of class probabilities p (N, K) against labels y (N,), each with its interval."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import ClassScores, Number
from pipeline.metrics.calibration import ece_numbers
from pipeline.metrics.intervals import from_draws, mean, proportion

_SMALLEST = 1e-12
"""Probabilities are cut here before the logarithm, so that one certain mistake is dear, not infinite."""


def score_table(
    y: NDArray[np.int64], p: NDArray[np.float64], rng: np.random.Generator, resamples: int, level: float
) -> Mapping[str, Number]:
    """Return accuracy, balanced_accuracy, log_loss, brier, ece and ece_null."""
    right = p.argmax(axis=1) == y
    losses = -np.log(np.maximum(p[np.arange(len(y)), y], _SMALLEST))
    squares = ((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1)
    ece, ece_null = ece_numbers(y, p, rng, level)
    return {
        "accuracy": proportion(int(right.sum()), len(y), level),
        "balanced_accuracy": balanced_accuracy(y, right, p.shape[1], level),
        "log_loss": mean(losses, rng, resamples, level),
        "brier": mean(squares, rng, resamples, level),
        "ece": ece,
        "ece_null": ece_null,
    }


def balanced_accuracy(y: NDArray[np.int64], right: NDArray[np.bool_], classes: int, level: float) -> Number:
    """Return the mean recall over the classes that have rows.

    The interval combines the classes' Wilson limits (MOVER, Zou and Donner 2008): a bootstrap within small classes
    that are all right would find no spread at all.
    """
    rows = np.bincount(y, minlength=classes)
    hits = np.bincount(y, weights=right, minlength=classes).astype(int)
    recalls = [proportion(int(k), int(n), level) for k, n in zip(hits, rows, strict=True) if n]
    values, lows, highs = (
        np.array([getattr(r, name) for r in recalls], dtype=float) for name in ("value", "ci_low", "ci_high")
    )
    value = float(values.mean())
    below, above = (float(np.sqrt(((values - limits) ** 2).sum()) / len(values)) for limits in (lows, highs))
    return Number(
        value=value,
        ci_low=max(0.0, value - below),
        ci_high=min(1.0, value + above),
        ci_level=level,
        ci_method="Wilson limits combined over classes",
        n=len(y),
    )


def class_scores(
    y: NDArray[np.int64], predicted: NDArray[np.int64], names: Sequence[str], rng: np.random.Generator, level: float
) -> tuple[ClassScores, ...]:
    """Return precision, recall and F1 of each class against the rest."""
    return tuple(one_class(name, y == k, predicted == k, rng, level) for k, name in enumerate(names))


def one_class(
    name: str, true: NDArray[np.bool_], claimed: NDArray[np.bool_], rng: np.random.Generator, level: float
) -> ClassScores:
    """Return precision, recall and F1 of one class or label from where it is (N,) and where it is predicted (N,)."""
    hits, rows, claims = int((true & claimed).sum()), int(true.sum()), int(claimed.sum())
    return ClassScores(
        name=name,
        precision=proportion(hits, claims, level, empty="never_predicted"),
        recall=proportion(hits, rows, level, empty="no_rows_of_this_class"),
        f1=_f1(hits, claims - hits, rows - hits, len(true), rng, level),
    )


def _f1(hits: int, false: int, missed: int, n: int, rng: np.random.Generator, level: float) -> Number:
    if hits + false + missed == 0:
        return Number(value=None, n=0, reason="class_absent_and_never_predicted")
    value = 2 * hits / (2 * hits + false + missed)
    shares = np.array([hits, false, missed, n - hits - false - missed]) / n
    drawn = rng.multinomial(n, shares, size=2000)
    with np.errstate(invalid="ignore"):
        f1 = 2 * drawn[:, 0] / (2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2])
    return from_draws(value, f1, hits + missed, level, "bootstrap, 2000 draws")


def confusion(y: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return counts (K, K): true classes in rows, predicted ones in columns."""
    counts = np.bincount(y * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def paired_gain(
    right: NDArray[np.bool_], baseline_right: NDArray[np.bool_], level: float, rng: np.random.Generator, resamples: int
) -> Number:
    """Return the accuracy minus a baseline's on the same rows; rows are resampled as pairs."""
    n = len(right)
    better, worse = int((right & ~baseline_right).sum()), int((~right & baseline_right).sum())
    drawn = rng.multinomial(n, np.array([better, worse, n - better - worse]) / n, size=resamples)
    method = f"paired bootstrap, {resamples} draws"
    return from_draws((better - worse) / n, (drawn[:, 0] - drawn[:, 1]) / n, n, level, method)
