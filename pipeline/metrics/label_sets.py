"""Scores of label sets: y (N, K) of 0 and 1 against probabilities (N, K); a label is predicted from 0.5 on."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import ClassScores, Number
from pipeline.metrics.intervals import proportion
from pipeline.metrics.resampling import enough, interval, resampled_sums, row_weights, undefined
from pipeline.metrics.scores import one_class

THRESHOLD = 0.5
_SMALLEST = 1e-12
"""Probabilities are cut here before the logarithm, so that one certain mistake is dear, not infinite."""
_LABELS = 64
"""Labels counted at once, so that memory stays bounded."""
_NOTHING = "no label is true or predicted"

Cells = NDArray[np.bool_]


def label_set_table(
    y: NDArray[np.int64], p: NDArray[np.float64], rng: np.random.Generator, resamples: int, level: float
) -> Mapping[str, Number]:
    """Return f1_micro, f1_macro, subset_accuracy, label_accuracy, log_loss and brier.

    f1_micro = 2 TP / (2 TP + FP + FN) over all cells, f1_macro the mean of the labels' own F1 over labels that are true
    or predicted at least once (Sokolova and Lapalme 2009, table 5); subset_accuracy is the share of rows whose set is
    exactly right (Wilson interval), label_accuracy the share of cells that are right (1 - Hamming loss); log_loss and
    brier are means over cells of -log of the probability of what happened, and of (p - y)². Rows are resampled whole.

    Raises:
        ValueError: shapes differ, there are no rows, or a probability is outside [0, 1].
    """
    truth, claimed = _cells(y, p)
    n = len(truth)
    chance = np.where(truth, p, 1 - p)
    losses = -np.log(np.maximum(chance, _SMALLEST))
    right = truth == claimed
    sums = [*_overlap(truth, claimed), right.mean(axis=1), losses.mean(axis=1), ((1 - chance) ** 2).mean(axis=1)]
    rows = np.stack(sums, axis=1).astype(np.float64)
    drawn, macro = _resampled(rows, truth, claimed, rng, resamples)
    whole = rows.sum(axis=0)
    none = whole[1] == 0
    f1_macro = float(_macro(_counts(np.ones((1, n)), truth, claimed))[0])
    means = {
        name: interval(float(whole[k] / n), drawn[:, k] / n, n, level)
        for k, name in enumerate(("label_accuracy", "log_loss", "brier"), 2)
    }
    return {
        "f1_micro": undefined(n, _NOTHING)
        if none
        else interval(float(_share(whole[None])[0]), _share(drawn), n, level),
        "f1_macro": undefined(n, _NOTHING) if none else interval(f1_macro, macro, n, level),
        "subset_accuracy": proportion(int(right.all(axis=1).sum()), n, level),
    } | means


def label_scores(
    y: NDArray[np.int64], predicted: NDArray[np.int64], names: Sequence[str], rng: np.random.Generator, level: float
) -> tuple[ClassScores, ...]:
    """Return precision, recall and F1 of each label; y and predicted are (N, K) of 0 and 1."""
    return tuple(one_class(name, y[:, k] == 1, predicted[:, k] == 1, rng, level) for k, name in enumerate(names))


def paired_gain_label_sets(
    y: NDArray[np.int64],
    p: NDArray[np.float64],
    q: NDArray[np.float64],
    rng: np.random.Generator,
    resamples: int,
    level: float,
) -> Number:
    """Return f1_micro of probabilities p minus that of q, both (N, K), on the same rows, resampled as pairs."""
    truth, claimed = _cells(y, p)
    _, other = _cells(y, q)
    rows = np.stack([*_overlap(truth, claimed), *_overlap(truth, other)], axis=1).astype(np.float64)
    whole, drawn = rows.sum(axis=0)[None], resampled_sums(rows, rng, resamples)
    if whole[0, 1] == 0 or whole[0, 3] == 0:
        return undefined(len(y), _NOTHING)
    gain = float((_share(whole) - _share(whole[:, 2:]))[0])
    return interval(gain, _share(drawn) - _share(drawn[:, 2:]), len(y), level)


def _cells(y: NDArray[np.int64], p: NDArray[np.float64]) -> tuple[Cells, Cells]:
    if y.shape != p.shape or not y.size:
        raise ValueError(f"labels {y.shape} and probabilities {p.shape} must have one shape, with rows")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must lie in [0, 1]")
    return y == 1, p >= THRESHOLD


def _overlap(truth: Cells, claimed: Cells) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return 2 TP and 2 TP + FP + FN of each row."""
    return 2 * (truth & claimed).sum(axis=1), truth.sum(axis=1) + claimed.sum(axis=1)


def _share(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the first column over the second; NaN where that is 0."""
    return np.asarray(np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] > 0))


def _resampled(
    rows: NDArray[np.float64], truth: Cells, claimed: Cells, rng: np.random.Generator, resamples: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return drawn column sums (B, S) and macro F1 (B,) of the same draws."""
    if not enough(len(rows)):
        return np.empty((0, rows.shape[1])), np.empty(0)
    drawn, macro = [], []
    for weights in row_weights(len(rows), rng, resamples):
        drawn.append(weights @ rows)
        macro.append(_macro(_counts(weights, truth, claimed)))
    return np.concatenate(drawn), np.concatenate(macro)


def _counts(weights: NDArray[np.generic], truth: Cells, claimed: Cells) -> NDArray[np.float32]:
    """Return (2, B, K): 2 TP and 2 TP + FP + FN of each label under the weights (B, N)."""
    light = weights.astype(np.float32)  # exact: counts stay far below 2**24
    found = []
    for start in range(0, truth.shape[1], _LABELS):
        part = slice(start, start + _LABELS)
        both = (truth[:, part] & claimed[:, part]).astype(np.float32)
        either = truth[:, part].astype(np.float32) + claimed[:, part]
        found.append(np.stack([2 * (light @ both), light @ either]))
    return np.concatenate(found, axis=2)


def _macro(counts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean F1 (B,) over labels that are true or predicted; NaN where none is."""
    hits, either = counts.astype(np.float64)
    known = (either > 0).sum(axis=1)
    total = np.divide(hits, either, out=np.zeros_like(hits), where=either > 0).sum(axis=1)
    return np.asarray(np.divide(total, known, out=np.full(len(total), np.nan), where=known > 0))
