"""Scores of label sets: y (N, K) of 0 and 1 against probabilities (N, K); a label is predicted from 0.5 on."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import ClassScores, Number
from pipeline.metrics.intervals import mean, proportion
from pipeline.metrics.rankings import averaged, logit_number, plain_number, rank_table, ratio
from pipeline.metrics.resampling import undefined
from pipeline.metrics.scores import one_class

THRESHOLD = 0.5
_SMALLEST = 1e-12
"""Probabilities are cut here before the logarithm, so that one certain mistake is dear, not infinite."""
_NOTHING = "no label is true or predicted"

Cells = NDArray[np.bool_]


def label_set_table(y: NDArray[np.int64], p: NDArray[np.float64], level: float) -> Mapping[str, Number]:
    """Return f1_micro, f1_macro, auroc, auprc, subset_accuracy, label_accuracy, log_loss and brier.

    f1_micro = 2 TP / (2 TP + FP + FN) over all cells, f1_macro the mean of the labels' own F1 over labels that are true
    or predicted at least once (Sokolova and Lapalme 2009, table 5); subset_accuracy is the share of rows whose set is
    exactly right (Wilson interval), label_accuracy the share of cells that are right (1 - Hamming loss); log_loss and
    brier are means over cells of -log of the probability of what happened, and of (p - y)²; auroc and auprc are means
    over labels that some rows have and some have not. Rows count whole in every interval.

    Raises:
        ValueError: shapes differ, there are no rows, or a probability is outside [0, 1].
    """
    truth, claimed = _cells(y, p)
    n, labels = truth.shape
    chance = np.where(truth, p, 1 - p)
    losses = -np.log(np.maximum(chance, _SMALLEST))
    right = truth == claimed
    pairs = [(truth[:, k], claimed[:, k]) for k in range(labels)]
    parts = [_one_f1(true, said) for true, said in pairs if (true | said).any()]
    nothing = undefined(n, _NOTHING)
    return {
        "f1_micro": logit_number(*ratio(*_overlap(truth, claimed)), level) if parts else nothing,
        "f1_macro": logit_number(*averaged(parts), level) if parts else nothing,
        **rank_table(((truth[:, k], p[:, k]) for k in range(labels)), n, level),
        "subset_accuracy": proportion(int(right.all(axis=1).sum()), n, level),
        "label_accuracy": mean(right.mean(axis=1), level),
        "log_loss": mean(losses.mean(axis=1), level),
        "brier": mean(((1 - chance) ** 2).mean(axis=1), level),
    }


def label_scores(
    y: NDArray[np.int64], predicted: NDArray[np.int64], names: Sequence[str], level: float
) -> tuple[ClassScores, ...]:
    """Return precision, recall and F1 of each label; y and predicted are (N, K) of 0 and 1."""
    return tuple(one_class(name, y[:, k] == 1, predicted[:, k] == 1, level) for k, name in enumerate(names))


def paired_gain_label_sets(
    y: NDArray[np.int64], p: NDArray[np.float64], q: NDArray[np.float64], level: float
) -> Number:
    """Return f1_micro of probabilities p minus that of q, both (N, K), on the same rows, which are pairs."""
    truth, claimed = _cells(y, p)
    _, other = _cells(y, q)
    ours, theirs = _overlap(truth, claimed), _overlap(truth, other)
    if not ours[1].any() or not theirs[1].any():
        return undefined(len(y), _NOTHING)
    (first, moved), (second, moved_too) = ratio(*ours), ratio(*theirs)
    return plain_number(first - second, moved - moved_too, level)


def _cells(y: NDArray[np.int64], p: NDArray[np.float64]) -> tuple[Cells, Cells]:
    if y.shape != p.shape or not y.size:
        raise ValueError(f"labels {y.shape} and probabilities {p.shape} must have one shape, with rows")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must lie in [0, 1]")
    return y == 1, p >= THRESHOLD


def _one_f1(true: Cells, claimed: Cells) -> tuple[float, NDArray[np.float64]]:
    """Return F1 of one label, and the influence of each row on it."""
    both, either = (true & claimed).astype(np.float64), true.astype(np.float64) + claimed
    return ratio(2 * both, either)


def _overlap(truth: Cells, claimed: Cells) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return 2 TP and 2 TP + FP + FN of each row."""
    return 2.0 * (truth & claimed).sum(axis=1), 1.0 * truth.sum(axis=1) + claimed.sum(axis=1)
