"""How well a score tells rows of one kind (inside, expected higher) from rows of another (outside)."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from pipeline.core.contracts import Number
from pipeline.metrics.intervals import proportion

Scores = NDArray[np.float64]


def auroc(inside: Scores, outside: Scores, level: float = 0.95, *, paired: bool = False) -> Number:
    """Return the chance that an inside row scores higher than an outside row, ties counting half.

    The variance is that of the rows' placements (DeLong, DeLong and Clarke-Pearson 1988); where each outside row was
    made of the inside row at the same place (`paired`), the two are one unit (Obuchowski 1997). Limits are found on the
    logit scale, so that they stay within 0 and 1 (Pepe 2003, section 5.2.4).
    """
    n = len(inside) + len(outside)
    if not len(inside) or not len(outside):
        return Number(value=None, n=n, reason="no_rows")
    of_inside, of_outside = _placements(inside, outside), 1 - _placements(outside, inside)
    value = float(of_inside.mean())
    if min(len(inside), len(outside)) < 2:
        return Number(value=value, n=n, reason="too few rows: no interval")
    if paired:
        variance = float((of_inside + of_outside).var(ddof=1)) / len(inside)
    else:
        variance = float(of_inside.var(ddof=1)) / len(inside) + float(of_outside.var(ddof=1)) / len(outside)
    if variance <= 0 or not 0 < value < 1:
        return Number(value=value, n=n, reason="no spread: no interval")
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt(variance) / (value * (1 - value))
    low, high = expit(math.log(value / (1 - value)) + np.array([-half, half]))
    method = "DeLong, logit limits" + (", paired rows" if paired else "")
    return Number(value=value, ci_low=float(low), ci_high=float(high), ci_level=level, ci_method=method, n=n)


def false_positive_rate(inside: Scores, outside: Scores, level: float = 0.95, kept: float = 0.95) -> Number:
    """Return the share of outside rows that pass the score which a share `kept` of the inside rows passes.

    The false positive rate at 95 % true positives (Liang, Li and Srikant 2018); the interval holds the limit fixed.
    """
    if not len(inside):
        return Number(value=None, n=0, reason="no_rows")
    limit = np.quantile(inside, 1 - kept, method="lower")
    return proportion(int((outside >= limit).sum()), len(outside), level)


def _placements(rows: Scores, others: Scores) -> Scores:
    """Return for each row the share of the others below it, ties counting half."""
    ordered = np.sort(others)
    below, up_to = np.searchsorted(ordered, rows, "left"), np.searchsorted(ordered, rows, "right")
    return np.asarray((below + up_to) / (2 * len(others)))
