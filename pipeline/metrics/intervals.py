"""Intervals. Rates: Wilson. Differences of rates: Newcombe. Means: bias-corrected accelerated bootstrap, t; Welch.

The percentile bootstrap is not used for rates: at n = 5 its nominal 95 % cover 40 %.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import binomtest, norm, t

from pipeline.core.contracts import Number


def wilson(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the score interval of k successes in n (Wilson 1927)."""
    interval = binomtest(k, n).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def proportion(k: int, n: int, level: float = 0.95, *, empty: str = "no_rows") -> Number:
    """Return k/n with its Wilson interval; undefined with reason `empty` when n is 0."""
    if n == 0:
        return Number(value=None, n=0, reason=empty)
    low, high = wilson(k, n, level)
    return Number(value=k / n, ci_low=low, ci_high=high, ci_level=level, ci_method="Wilson", n=n)


def newcombe(k1: int, n1: int, k2: int, n2: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of k1/n1 - k2/n2 (Newcombe 1998, hybrid score method 10)."""
    p1, p2 = k1 / n1, k2 / n2
    (l1, u1), (l2, u2) = wilson(k1, n1, level), wilson(k2, n2, level)
    return p1 - p2 - math.hypot(p1 - l1, u2 - p2), p1 - p2 + math.hypot(u1 - p1, p2 - l2)


def rate_gap(k1: int, n1: int, k2: int, n2: int, level: float = 0.95) -> Number:
    """Return k1/n1 - k2/n2 with Newcombe's interval; undefined when either side has no rows."""
    if n1 == 0 or n2 == 0:
        return Number(value=None, n=n1, reason="no_rows")
    low, high = newcombe(k1, n1, k2, n2, level)
    gap = k1 / n1 - k2 / n2
    return Number(value=gap, ci_low=low, ci_high=high, ci_level=level, ci_method="Newcombe", n=n1)


def mean(values: NDArray[np.float64], rng: np.random.Generator, resamples: int, level: float = 0.95) -> Number:
    """Return the mean of values (N,) with a BCa bootstrap interval (Efron 1987)."""
    value, n = float(values.mean()), len(values)
    if n < 2 or np.ptp(values) == 0:
        return Number(value=value, n=n, reason="no spread: no interval")
    size = max(1, min(50, 2_000_000 // n))
    draws = np.concatenate(
        [values[rng.integers(n, size=(min(size, resamples - i), n))].mean(axis=1) for i in range(0, resamples, size)]
    )
    # The jackknife of a mean has a closed form: what it needs are the third and second moments.
    away = values - value
    acceleration = float((away**3).sum() / (6 * (away**2).sum() ** 1.5))
    low, high = _bca_shares(value, draws, acceleration, level)
    return Number(
        value=value,
        ci_low=float(np.quantile(draws, low)),
        ci_high=float(np.quantile(draws, high)),
        ci_level=level,
        ci_method=f"BCa bootstrap, {resamples} draws",
        n=n,
    )


def _bca_shares(value: float, draws: NDArray[np.float64], acceleration: float, level: float) -> tuple[float, float]:
    """Return which quantiles of the draws are the limits (Efron and Tibshirani 1993, equation 14.10)."""
    below = ((draws < value).mean() + (draws <= value).mean()) / 2
    shift = ndtri(np.clip(below, 0.5 / len(draws), 1 - 0.5 / len(draws)))
    moved = shift + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    low, high = ndtr(shift + moved / (1 - acceleration * moved))
    return float(low), float(high)


def small_mean(values: NDArray[np.float64], level: float = 0.95) -> Number:
    """Return the mean of a few values (N,) with Student's t interval."""
    value, n = float(values.mean()), len(values)
    if n < 2 or np.ptp(values) == 0:
        return Number(value=value, n=n, reason="no spread: no interval")
    half = float(t.ppf((1 + level) / 2, n - 1)) * float(values.std(ddof=1)) / math.sqrt(n)
    return Number(value=value, ci_low=value - half, ci_high=value + half, ci_level=level, ci_method="t", n=n)


def median(values: NDArray[np.float64], level: float = 0.95) -> Number:
    """Return the median of values (N,) with the distribution-free interval of binomial ranks around it."""
    ordered, n = np.sort(values), len(values)
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt(n) / 2
    low, high = ordered[max(0, int(n / 2 - half))], ordered[min(n - 1, math.ceil(n / 2 + half))]
    return Number(value=float(np.median(ordered)), ci_low=float(low), ci_high=float(high), ci_level=level,
                  ci_method="binomial ranks", n=n)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moments:
    """What a comparison of means needs to know of one side."""

    n: int
    mean: float
    variance: float
    """Sum of squares around the mean over n - 1."""


def moments(values: NDArray[np.float64]) -> Moments:
    """Return count, mean and variance of values (N,); nan where there are too few."""
    n = len(values)
    if n < 2:
        return Moments(n, float(values[0]) if n else math.nan, math.nan)
    # Rounding gives equal values a variance above 0, and a test on it any p.
    return Moments(n, float(values.mean()), float(values.var(ddof=1)) if np.ptp(values) > 0 else 0.0)


def welch(one: Moments, two: Moments, level: float = 0.95) -> tuple[float, float, float]:
    """Return (low, high, two-sided p) of the difference of means, variances not assumed equal (Welch 1947).

    Raises:
        ValueError: neither side has any spread.
    """
    a, b = one.variance / one.n, two.variance / two.n
    if not a + b > 0:
        raise ValueError("means without any spread cannot be compared")
    freedom = (a + b) ** 2 / (a**2 / (one.n - 1) + b**2 / (two.n - 1))
    gap, error = one.mean - two.mean, math.sqrt(a + b)
    half = float(t.ppf((1 + level) / 2, freedom)) * error
    return gap - half, gap + half, float(2 * t.sf(abs(gap) / error, freedom))


def mean_gap(one: Moments, two: Moments, level: float = 0.95) -> Number:
    """Return the difference of means with Welch's interval."""
    gap = one.mean - two.mean
    if one.variance + two.variance == 0:
        return Number(value=gap, n=one.n, reason="no spread: no interval")
    low, high, _ = welch(one, two, level)
    return Number(value=gap, ci_low=low, ci_high=high, ci_level=level, ci_method="Welch", n=one.n)


def from_draws(value: float, draws: NDArray[np.float64], n: int, level: float, method: str) -> Number:
    """Return a value with the central quantiles of its bootstrap draws; undefined draws are left out."""
    known = draws[np.isfinite(draws)]
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Number(value=value, ci_low=float(low), ci_high=float(high), ci_level=level, ci_method=method, n=n)


def detectable_gap(rate: float, n1: int, n2: int, alpha: float, power: float = 0.8) -> float:
    """Return the smallest difference of rates that a two-sided test at `alpha` finds with `power` (normal formula)."""
    return detectable_difference(math.sqrt(max(rate * (1 - rate), 0.0)), n1, n2, alpha, power)


def detectable_difference(spread: float, n1: int, n2: int, alpha: float, power: float = 0.8) -> float:
    """Return the same for means of values with standard deviation `spread`."""
    return float((norm.ppf(1 - alpha / 2) + norm.ppf(power)) * spread * math.sqrt(1 / n1 + 1 / n2))
