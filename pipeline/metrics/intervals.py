"""Intervals. Rates: Wilson. Differences of rates: Newcombe. Means: bias-corrected accelerated bootstrap.

The percentile bootstrap is not used for rates: at n = 5 its nominal 95 % cover 40 %.
"""

import math
import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, bootstrap, norm

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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interval = bootstrap(
            (values,), np.mean, n_resamples=resamples, batch=50, confidence_level=level, method="BCa", rng=rng
        ).confidence_interval
    return Number(
        value=value,
        ci_low=float(interval.low),
        ci_high=float(interval.high),
        ci_level=level,
        ci_method=f"BCa bootstrap, {resamples} draws",
        n=n,
    )


def from_draws(value: float, draws: NDArray[np.float64], n: int, level: float, method: str) -> Number:
    """Return a value with the central quantiles of its bootstrap draws; undefined draws are left out."""
    known = draws[np.isfinite(draws)]
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Number(value=value, ci_low=float(low), ci_high=float(high), ci_level=level, ci_method=method, n=n)


def detectable_gap(rate: float, n1: int, n2: int, alpha: float, power: float = 0.8) -> float:
    """Return the smallest difference of rates that a two-sided test at `alpha` finds with `power` (normal formula)."""
    spread = math.sqrt(max(rate * (1 - rate), 0.0) * (1 / n1 + 1 / n2))
    return float((norm.ppf(1 - alpha / 2) + norm.ppf(power)) * spread)
