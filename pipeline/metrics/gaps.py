"""One number for how differently groups are treated: the largest difference between two groups in a rate.

Demographic parity: in the share predicted positive. Equalised odds: in the true and in the false positive rate (Hardt
et al. 2016). A group counts where the rate has at least 30 rows in it.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import Number
from pipeline.metrics.disparity import Groups
from pipeline.metrics.intervals import newcombe
from pipeline.metrics.rates import rates_of

LEAST_ROWS = 30
RATES: Mapping[str, tuple[str, ...]] = {
    "demographic_parity_gap": ("selection_rate",),
    "equalized_odds_gap": ("true_positive_rate", "false_positive_rate"),
}
"""Which rates a gap looks at."""
_POSITIVE = 1

Counts = tuple[int, int]
"""Hits and rows of a group."""


def largest_gap(
    name: str, y: NDArray[np.int64], predicted: NDArray[np.int64], groups: Groups, level: float = 0.95
) -> Number:
    """Return a gap of two classes over all features, y and predicted (N,), the second class being the positive one.

    The interval is Newcombe's of each pair of groups, at a level corrected for their number (Bonferroni), and then the
    largest of the lower and of the upper limits: it covers the largest difference at least as often as it says, while
    the difference itself is flattered by no choice but noise, which can only widen it.
    """
    pairs = list(_pairs(name, y, predicted, groups))
    if not pairs:
        return Number(value=None, n=len(y), reason="fewer than two groups are large enough")
    gap = max(abs(k1 / n1 - k2 / n2) for (k1, n1), (k2, n2) in pairs)
    each = 1 - (1 - level) / len(pairs)
    limits = [_of_size(*newcombe(*one, *two, each)) for one, two in pairs]
    low, high = max(low for low, _ in limits), max(high for _, high in limits)
    method = f"Newcombe, corrected for {len(pairs)} pairs" if len(pairs) > 1 else "Newcombe"
    return Number(value=gap, ci_low=low, ci_high=high, ci_level=level, ci_method=method, n=len(y))


def _pairs(
    name: str, y: NDArray[np.int64], predicted: NDArray[np.int64], groups: Groups
) -> Iterator[tuple[Counts, Counts]]:
    """Yield all pairs of groups of one feature that are large enough for a rate."""
    for rate in rates_of(y, predicted, _POSITIVE):
        if rate.name not in RATES[name]:
            continue
        for group_N in groups.values():
            counted = [(rate.counts & (group_N == value), rate.hit) for value in dict.fromkeys(group_N)]
            counts = [(int((rows & hit).sum()), int(rows.sum())) for rows, hit in counted]
            yield from combinations([(k, n) for k, n in counts if n >= LEAST_ROWS], 2)


def _of_size(low: float, high: float) -> tuple[float, float]:
    """Return the limits of |d| from those of d."""
    return (0.0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))
