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
_LEAST_UNITS = 5
"""With fewer rows (or blocks) than this no interval is given."""


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


def enough(n: int, block: int = 1) -> bool:
    """Say whether n rows in blocks carry an interval."""
    return n // block >= _LEAST_UNITS


def resampled_sums(
    sums: NDArray[np.float64], rng: np.random.Generator, resamples: int, block: int = 1
) -> NDArray[np.float64]:
    """Return the column sums (resamples, S) of resampled rows of `sums` (N, S); (0, S) where N is too small."""
    if not enough(len(sums), block):
        return np.empty((0, sums.shape[1]))
    return np.concatenate([weights @ sums for weights in row_weights(len(sums), rng, resamples, block)])


def interval(
    value: float | None, draws: NDArray[np.float64], n: int, level: float, block: int = 1, *, unit: str | None = None
) -> Number:
    """Return a value with the percentile interval of its bootstrap draws, widened for few rows.

    The plain percentile interval is too narrow by sqrt((m - 1) / m) and by the normal instead of the t quantile, with m
    rows or blocks; the quantiles are moved outwards by both (expanded percentile interval, Hesterberg 2015). With many
    rows this changes nothing.
    """
    if value is None or not math.isfinite(value):
        return Number(value=None, n=n, unit=unit, reason="undefined")
    known = draws[np.isfinite(draws)]
    if not enough(n, block) or not len(known):
        what = f"blocks of {block} rows" if block > 1 else "rows"
        return Number(value=value, n=n, unit=unit, reason=f"fewer than {_LEAST_UNITS} {what}: no interval")
    if np.ptp(known) <= 1e-12 * np.abs(known).max():
        return Number(value=value, n=n, unit=unit, reason="no spread: no interval")
    method = f"block bootstrap, blocks of {block} rows" if block > 1 else "bootstrap"
    found = from_draws(value, known, n, _expanded(level, n / block), f"{method}, {len(draws)} draws")
    return replace(found, ci_level=level, unit=unit)


def undefined(n: int, reason: str, unit: str | None = None) -> Number:
    """Return a number without value, with the reason."""
    return Number(value=None, n=n, unit=unit, reason=reason)


def _expanded(level: float, units: float) -> float:
    reach = math.sqrt(units / (units - 1)) * float(t.ppf((1 + level) / 2, units - 1))
    return float(1 - 2 * norm.sf(reach))
