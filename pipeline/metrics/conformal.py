"""Sets and intervals that hold the truth as often as they promise: split conformal prediction.

Rows that the network has not seen say how strange true answers are; what is not stranger than the quantile of theirs is
kept for a new row. If those rows and the new one are exchangeable, the truth is kept with at least the promised
probability, whatever the network is (Vovk et al. 2005; Lei et al. 2018). Legend: N rows, K classes, C columns.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom

from pipeline.core.contracts import Number

Values = NDArray[np.float64]

TOO_FEW = "insufficient_evidence"


def strangeness_of_classes(y: NDArray[np.int64], p: Values) -> Values:
    """Return one minus the probability of the true class (N, 1): the smallest sets on average (Sadinle et al. 2019)."""
    return np.asarray(1 - p[np.arange(len(y)), y])[:, None]


def strangeness_of_labels(y: NDArray[np.int64], p: Values) -> Values:
    """Return one minus the lowest probability of a true label (N, 1), 0 where none is true.

    So a set that is not too strange holds all of them (the outer sets of Cauchois et al. 2021); y (N, K) of 0 and 1.
    """
    return np.asarray(1 - np.where(y == 1, p, 1.0).min(axis=1))[:, None]


def strangeness_of_values(y: Values, p: Values) -> Values:
    """Return absolute residuals (N, C), NaN where the true value is not known."""
    return np.abs(p - y)


def sorted_columns(strange_NC: Values) -> Values:
    """Return each column increasing, unknown values at the end."""
    return np.sort(strange_NC, axis=0)


def rank_of(rows: int, coverage: float) -> int | None:
    """Return which of `rows` increasing values is the limit, counted from 1: ⌈(rows + 1) · coverage⌉.

    None: fewer than 1 / (1 - coverage) rows promise nothing, only an infinite limit would.
    """
    if rows * (1 - coverage) < 1 - 1e-9:
        return None
    rank = math.ceil((rows + 1) * coverage - 1e-9)
    return rank if rank <= rows else None


def limits(sorted_NC: Values, coverage: float) -> Values:
    """Return the limit of each column (C,); NaN where too few rows are known."""
    found = np.full(sorted_NC.shape[1], np.nan)
    for column, rows in enumerate(np.isfinite(sorted_NC).sum(axis=0)):
        rank = rank_of(int(rows), coverage)
        if rank is not None:
            found[column] = sorted_NC[rank - 1, column]
    return found


def class_sets(p: Values, limit: float) -> NDArray[np.bool_]:
    """Return which classes are in the set of each row (N, K): those not stranger than the limit, and the likeliest.

    Without the likeliest, a good network's sets would be empty for the rows it is least sure of, to cover no more than
    was promised.
    """
    held = 1 - p <= limit
    held[np.arange(len(p)), p.argmax(axis=1)] = True
    return np.asarray(held)


def label_sets(p: Values, limit: float) -> NDArray[np.bool_]:
    """Return which labels are in the set of each row (N, K): those not stranger than the limit, and the predicted ones.

    A row without any true label is covered by every set, the empty one too.
    """
    return np.asarray((1 - p <= limit) | (p >= 0.5))


def expected_coverage(rows: int, coverage: float, tested: int, level: float) -> Number:
    """Return the share of `tested` new rows that a limit from `rows` rows covers, when the promise holds.

    Over calibration rows and new rows alike it is beta-binomial, the limit being the k-th smallest of n exchangeable
    values: Beta(k, n + 1 - k) of a continuous population (Vovk 2012).
    """
    rank = rank_of(rows, coverage)
    if rank is None:
        return Number(value=None, n=tested, reason=TOO_FEW)
    ahead = betabinom(tested, rank, rows + 1 - rank)
    low, high = ahead.ppf((1 - level) / 2) / tested, ahead.ppf((1 + level) / 2) / tested
    return Number(
        value=rank / (rows + 1),
        ci_low=float(low),
        ci_high=float(high),
        ci_level=level,
        ci_method="beta-binomial",
        n=tested,
    )
