"""Two classes: from which probability on the second one is predicted, and what each threshold would give.

`held` (N,) says which rows are of the second class, `p` (N,) is its probability.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import Number, ThresholdAim
from pipeline.metrics.intervals import proportion
from pipeline.metrics.scores import balanced_accuracy, f1_number

Values = NDArray[np.float64]
Cells = NDArray[np.bool_]
Curve = tuple[tuple[float, float], ...]

_POINTS = 200


def best_threshold(held: Cells, p: Values, aim: ThresholdAim) -> float | None:
    """Return the threshold with the best balanced accuracy or F1 on these rows; None where one class has no rows.

    It lies halfway between two neighbouring probabilities, so that both are decided with some room; of equally good
    ones it is the one nearest to one half.
    """
    rows, others = int(held.sum()), int((~held).sum())
    if not rows or not others:
        return None
    p_S, hits_S, false_S = _counts(held, p)
    recall_S = hits_S / rows
    worth = 2 * hits_S / (rows + hits_S + false_S) if aim == "f1" else (recall_S + 1 - false_S / others) / 2
    between = (p_S + np.append(p_S[1:], 0.0)) / 2
    good = np.flatnonzero(worth >= worth.max() - 1e-12)
    return float(between[good[np.abs(between[good] - 0.5).argmin()]])


def _counts(held: Cells, p: Values) -> tuple[Values, NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct probabilities from high to low (S,), and true and false claims at each as the threshold."""
    order = np.argsort(-p, kind="stable")
    ordered = p[order]
    last = np.append(ordered[1:] != ordered[:-1], True)
    hits = np.cumsum(held[order])[last]
    claims = np.flatnonzero(last) + 1
    return ordered[last], hits, claims - hits


def curves(held: Cells, p: Values) -> tuple[Curve, Curve]:
    """Return the ROC curve (false, true positive rate) and the precision-recall curve (recall, precision).

    From the highest threshold down, at most 200 points each; empty where one class has no rows.
    """
    rows, others = int(held.sum()), int((~held).sum())
    if not rows or not others:
        return (), ()
    _, hits, false = _counts(held, p)
    kept = np.unique(np.linspace(0, len(hits) - 1, _POINTS).round().astype(int))
    hits, false = hits[kept], false[kept]
    roc = np.stack([false / others, hits / rows], axis=1)
    precise = np.stack([hits / rows, hits / (hits + false)], axis=1)
    return _points(np.concatenate([np.zeros((1, 2)), roc])), _points(precise)


def _points(values: Values) -> Curve:
    return tuple((round(float(a), 6), round(float(b), 6)) for a, b in values)


def claimed(p: Values, threshold: float) -> Cells:
    """Return which rows of p (N, 2) are said to be of the second class (N,), at one half those it is likelier for."""
    return np.asarray(p.argmax(axis=1) == 1 if threshold == 0.5 else p[:, 1] >= threshold)


def decision_table(held: Cells, claimed: Cells, level: float) -> Mapping[str, Number]:
    """Return accuracy, balanced_accuracy, f1, precision, recall and false_positive_rate of a decision (N,)."""
    hits, claims, rows, n = int((held & claimed).sum()), int(claimed.sum()), int(held.sum()), len(held)
    right = held == claimed
    return {
        "accuracy": proportion(int(right.sum()), n, level),
        "balanced_accuracy": balanced_accuracy(held.astype(np.int64), right, 2, level),
        "f1": f1_number(hits, claims - hits, rows - hits, level),
        "precision": proportion(hits, claims, level, empty="never_predicted"),
        "recall": proportion(hits, rows, level, empty="no_rows_of_this_class"),
        "false_positive_rate": proportion(claims - hits, n - rows, level, empty="no_negative_labels"),
    }
