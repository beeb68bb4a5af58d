"""What differences of means between groups would be if the groups meant nothing: rows dealt out anew, many times."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MOST_CELLS = 50_000_000
"""Most rows dealt out for one metric; many rows get fewer relabellings, but never fewer than 200."""


@dataclass(frozen=True, slots=True)
class Dealt:
    """Sums and sums of squares (B, G) of each group, first as seen (row 0), then in B - 1 relabellings."""

    sizes: NDArray[np.int64]
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]


def deal(groups: Sequence[NDArray[np.float64]], rng: np.random.Generator, draws: int) -> Dealt:
    """Deal all rows out to groups of the same sizes, at random; empty groups are not among `groups`."""
    rows = np.concatenate(groups)
    rows = rows - rows.mean()
    sizes = np.array([len(own) for own in groups])
    starts = np.concatenate([[0], sizes.cumsum()[:-1]])
    count = 1 + max(min(draws, _MOST_CELLS // len(rows)), min(draws, 200))
    sums, squares = np.empty((count, len(groups))), np.empty((count, len(groups)))
    for i in range(count):
        dealt = rng.permutation(rows) if i else rows
        sums[i], squares[i] = np.add.reduceat(dealt, starts), np.add.reduceat(dealt**2, starts)
    return Dealt(sizes, sums, squares)


def spread_share(dealt: Dealt, which: Sequence[int]) -> float:
    """Return the share of relabellings whose means of the groups `which` lie at least as far apart as those seen.

    What was seen counts as one of them, which keeps the test's level (Phipson and Smyth 2010).
    """
    means = dealt.sums[:, which] / dealt.sizes[list(which)]
    return _share(np.ptp(means, axis=1))


def gap_share(dealt: Dealt, k: int) -> float:
    """Return the share of relabellings whose Welch statistic of group k against the rest is at least the one seen.

    The statistic holds the spread of both sides, so that the test keeps its level where only the means are equal and
    rows are many (Janssen 1997), and at any size where the groups mean nothing at all.
    """
    n, rest = dealt.sizes[k], dealt.sizes.sum() - dealt.sizes[k]
    own, own_squares = dealt.sums[:, k], dealt.squares[:, k]
    others, others_squares = dealt.sums.sum(axis=1) - own, dealt.squares.sum(axis=1) - own_squares
    error = (own_squares - own**2 / n) / (n - 1) / n + (others_squares - others**2 / rest) / (rest - 1) / rest
    gap = np.abs(own / n - others / rest)
    return _share(np.divide(gap, np.sqrt(np.maximum(error, 0.0)), out=np.full(len(gap), np.inf), where=error > 0))


def _share(statistic: NDArray[np.float64]) -> float:
    """Return how many reach the first, as a share; rounding must not tell equal ones apart."""
    return float((statistic >= statistic[0] * (1 - 1e-9)).mean())
