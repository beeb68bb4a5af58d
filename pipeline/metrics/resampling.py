"""Bootstrap of statistics that are made of sums over rows: draw how often each row counts, multiply, done.

Rows that follow each other in time are resampled in blocks, because neighbours are alike and single rows would promise
too narrow an interval.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from pipeline.core.contracts import Number
from pipeline.metrics.intervals import from_draws

_CELLS = 2_000_000
"""Most weights held at once (16 MB)."""
_MOST_ROWS_DRAWN = 50_000_000
_LEAST_DRAWS = 400
_LEAST_UNITS = 5
"""With fewer rows than this no interval is given."""
_LEAST_BLOCKS = 6
"""Nor with fewer blocks."""


def row_weights(n: int, rng: np.random.Generator, resamples: int, block: int = 1) -> Iterator[NDArray[np.int64]]:
    """Yield how often each row counts in each draw, as arrays (draws, n) of bounded size; a draw sums to n.

    With block 1 rows are drawn with replacement (multinomial counts; Efron 1979). With block > 1 whole runs of `block`
    rows are drawn, the last run cut so that n rows come together, and the rows are joined to a circle so that all count
    equally often (circular block bootstrap, Politis and Romano 1992).

    Raises:
        ValueError: the block is shorter than 1 or longer than n.
    """
    if not 1 <= block <= n:
        raise ValueError(f"a block of {block} rows does not fit {n} rows")
    size = max(1, _CELLS // n)
    for start in range(0, resamples, size):
        draws = min(size, resamples - start)
        yield _single(n, rng, draws) if block == 1 else _blocks(n, rng, draws, block)


def _single(n: int, rng: np.random.Generator, draws: int) -> NDArray[np.int64]:
    rows = rng.integers(n, size=(draws, n))
    rows += np.arange(draws)[:, None] * n
    return np.bincount(rows.ravel(), minlength=draws * n).reshape(draws, n)


def _blocks(n: int, rng: np.random.Generator, draws: int, block: int) -> NDArray[np.int64]:
    count = math.ceil(n / block)
    lengths = np.full(count, block)
    lengths[-1] = n - block * (count - 1)
    starts = rng.integers(n, size=(draws, count))
    # A run adds 1 from its start on and takes it off again behind its end; the part beyond n comes round to the front.
    width = 2 * n + 1
    first = np.arange(draws)[:, None] * width + starts
    steps = np.bincount(first.ravel(), minlength=draws * width)
    steps -= np.bincount((first + lengths).ravel(), minlength=draws * width)
    times = steps.reshape(draws, width).cumsum(axis=1)
    return np.asarray(times[:, :n] + times[:, n : 2 * n], dtype=np.int64)


def draws_for(n: int, resamples: int) -> int:
    """Return how many draws n rows get: fewer than asked where they are many, since limits then hardly depend on it."""
    return min(resamples, max(_LEAST_DRAWS, _MOST_ROWS_DRAWN // n))


def enough(n: int, block: int = 1) -> bool:
    """Say whether n rows in blocks carry an interval."""
    return n // block >= (_LEAST_UNITS if block == 1 else _LEAST_BLOCKS)


def resampled_sums(
    sums: NDArray[np.float64], rng: np.random.Generator, resamples: int, block: int = 1
) -> NDArray[np.float64]:
    """Return the column sums (B, S) of resampled rows of `sums` (N, S); (0, S) where N is too small.

    B is `resamples`, fewer where rows are many (`draws_for`).
    """
    if not enough(len(sums), block):
        return np.empty((0, sums.shape[1]))
    return np.concatenate(
        [weights @ sums for weights in row_weights(len(sums), rng, draws_for(len(sums), resamples), block)]
    )


def interval(
    value: float | None, draws: NDArray[np.float64], n: int, level: float, block: int = 1, *, unit: str | None = None
) -> Number:
    """Return a value with the percentile interval of its bootstrap draws, widened for few rows.

    The plain percentile interval is too narrow by sqrt((m - 1) / m) and by the normal instead of the t quantile, with m
    rows or blocks; the quantiles are moved outwards by both (expanded percentile interval, Hesterberg 2015). With many
    rows this changes nothing. Draws of blocks, which are fewer than rows and lie in no tails that a quantile could move
    to, are stretched instead, and by `overlap_stretch` as well.
    """
    if value is None or not math.isfinite(value):
        return Number(value=None, n=n, unit=unit, reason="undefined")
    known = draws[np.isfinite(draws)]
    if not enough(n, block) or not len(known):
        least = _LEAST_UNITS if block == 1 else _LEAST_BLOCKS
        what = f"blocks of {block} rows" if block > 1 else "rows"
        return Number(value=value, n=n, unit=unit, reason=f"fewer than {least} {what}: no interval")
    if np.ptp(known) <= 1e-12 * np.abs(known).max():
        return Number(value=value, n=n, unit=unit, reason="no spread: no interval")
    expanded = _expanded(level, n / block)
    if block > 1:
        reach = float(norm.ppf((1 + expanded) / 2) / norm.ppf((1 + level) / 2))
        known, expanded = value + reach * overlap_stretch(block) * (known - value), level
    method = f"block bootstrap, blocks of {block} rows" if block > 1 else "bootstrap"
    found = from_draws(value, known, n, expanded, f"{method}, {len(draws)} draws")
    return replace(found, ci_level=level, unit=unit)


def overlap_stretch(block: int) -> float:
    """Return by how much draws of blocks of b rows spread too little where each row is a window of b steps.

    Windows k steps apart share 1 - k / b of their steps, and a block sees only 1 - k / b of such pairs, so of the
    variance 1 + 2 Σ (1 - k / b) = b of a sum it keeps 1 + 2 Σ (1 - k / b)² = (2 b² + 1) / (3 b): two thirds, however
    many windows there are.
    """
    return math.sqrt(3 * block**2 / (2 * block**2 + 1))


def undefined(n: int, reason: str, unit: str | None = None) -> Number:
    """Return a number without value, with the reason."""
    return Number(value=None, n=n, unit=unit, reason=reason)


def _expanded(level: float, units: float) -> float:
    reach = math.sqrt(units / (units - 1)) * float(t.ppf((1 + level) / 2, units - 1))
    return float(1 - 2 * norm.sf(reach))
