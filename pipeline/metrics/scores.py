"""Scores of class probabilities p (N, K) against labels y (N,), each with its interval."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from pipeline.core.contracts import ClassScores, Number
from pipeline.metrics.calibration import ece_numbers
from pipeline.metrics.intervals import mean, proportion
from pipeline.metrics.rankings import averaged, logit_number, rank_table, ratio

_SMALLEST = 1e-12
"""Probabilities are cut here before the logarithm, so that one certain mistake is dear, not infinite."""


def score_table(
    y: NDArray[np.int64], p: NDArray[np.float64], rng: np.random.Generator, level: float
) -> Mapping[str, Number]:
    """Return accuracy, balanced_accuracy, f1_macro, auroc, auprc, log_loss, brier, ece and ece_null.

    f1_macro is the mean F1 over classes that have rows or are predicted; auroc and auprc are means over the classes
    that have rows, each against the rest (of two classes the second alone, which is what people mean there).
    """
    predicted = p.argmax(axis=1)
    right = predicted == y
    losses = -np.log(np.maximum(p[np.arange(len(y)), y], _SMALLEST))
    squares = ((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1)
    ece, ece_null = ece_numbers(y, p, rng, level)
    return {
        "accuracy": proportion(int(right.sum()), len(y), level),
        "balanced_accuracy": balanced_accuracy(y, right, p.shape[1], level),
        "f1_macro": f1_macro(y, predicted, p.shape[1], level),
        **rank_table(((y == k, p[:, k]) for k in range(1 if p.shape[1] == 2 else 0, p.shape[1])), len(y), level),
        "log_loss": mean(losses, level),
        "brier": mean(squares, level),
        "ece": ece,
        "ece_null": ece_null,
    }


def balanced_accuracy(y: NDArray[np.int64], right: NDArray[np.bool_], classes: int, level: float) -> Number:
    """Return the mean recall over the m classes that have rows.

    The interval is the adjusted Wald of a sum of rates, which adds 2 / m right and 2 / m wrong rows to each (Price and
    Bonett 2004): a bootstrap within small classes that are all right would find no spread at all.
    """
    rows = np.bincount(y, minlength=classes)
    hits = np.bincount(y, weights=right, minlength=classes)[rows > 0]
    rows = rows[rows > 0]
    value, more = float((hits / rows).mean()), 2 / len(rows)
    rates = (hits + more) / (rows + 2 * more)
    error = math.sqrt(float((rates * (1 - rates) / (rows + 2 * more)).sum())) / len(rows)
    half = float(norm.ppf((1 + level) / 2)) * error
    return Number(
        value=value,
        ci_low=max(0.0, min(value, float(rates.mean()) - half)),
        ci_high=min(1.0, max(value, float(rates.mean()) + half)),
        ci_level=level,
        ci_method="adjusted Wald of the classes' rates",
        n=len(y),
    )


def f1_macro(y: NDArray[np.int64], predicted: NDArray[np.int64], classes: int, level: float) -> Number:
    """Return the mean of the F1 of each class that has rows or is predicted."""
    pairs = [(y == k, predicted == k) for k in range(classes)]
    parts = [ratio(2.0 * (true & claimed), 1.0 * true + claimed) for true, claimed in pairs if (true | claimed).any()]
    return logit_number(*averaged(parts), level)


def class_scores(
    y: NDArray[np.int64], predicted: NDArray[np.int64], names: Sequence[str], level: float
) -> tuple[ClassScores, ...]:
    """Return precision, recall and F1 of each class against the rest."""
    return tuple(one_class(name, y == k, predicted == k, level) for k, name in enumerate(names))


def one_class(name: str, true: NDArray[np.bool_], claimed: NDArray[np.bool_], level: float) -> ClassScores:
    """Return precision, recall and F1 of one class or label from where it is (N,) and where it is predicted (N,)."""
    hits, rows, claims = int((true & claimed).sum()), int(true.sum()), int(claimed.sum())
    return ClassScores(
        name=name,
        precision=proportion(hits, claims, level, empty="never_predicted"),
        recall=proportion(hits, rows, level, empty="no_rows_of_this_class"),
        f1=f1_number(hits, claims - hits, rows - hits, level),
    )


def f1_number(hits: int, false: int, missed: int, level: float) -> Number:
    """Return F1 = 2 hits / (2 hits + false + missed).

    It grows with the share of hits among rows that are true or claimed, F1 = 2 J / (1 + J), which is a rate: its Wilson
    limits are carried over.
    """
    share = proportion(hits, hits + false + missed, level, empty="class_absent_and_never_predicted")
    if share.value is None or share.ci_low is None or share.ci_high is None:
        return share
    value, low, high = (2 * j / (1 + j) for j in (share.value, share.ci_low, share.ci_high))
    return replace(share, value=value, ci_low=low, ci_high=high, ci_method="Wilson of hits among true or claimed")


def confusion(y: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return counts (K, K): true classes in rows, predicted ones in columns."""
    counts = np.bincount(y * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def paired_gain(right: NDArray[np.bool_], other_right: NDArray[np.bool_], level: float) -> Number:
    """Return an accuracy minus another one on the same rows; the rows are pairs.

    Half a row is added to each of the four ways in which a pair can end (Agresti and Min 2005): rows on which the two
    agree do not promise that they always do.
    """
    n = len(right)
    better, worse = int((right & ~other_right).sum()), int((~right & other_right).sum())
    p, q = (better + 0.5) / (n + 2), (worse + 0.5) / (n + 2)
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    return Number(
        value=(better - worse) / n,
        ci_low=p - q - half,
        ci_high=p - q + half,
        ci_level=level,
        ci_method="adjusted Wald of pairs",
        n=n,
    )
