"""How well scores rank: areas under the ROC and the precision-recall curve, of one class or the mean over several.

Their intervals, and that of any smooth function of means, come from influence values: how much the statistic moves with
the weight of each row (the infinitesimal jackknife, Jaeckel 1972; for the area under the ROC curve that is what DeLong
et al. 1988 compute). Nothing is resampled, so a hundred thousand rows cost a few sorts.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import rankdata, t

from pipeline.core.contracts import Number

Values = NDArray[np.float64]
Influenced = tuple[float, Values]
"""A statistic, and the influence value (N,) of each row, which sum to 0."""
Cases = Iterable[tuple[NDArray[np.bool_], Values]]
"""Of each class or label: which rows have it (N,), and their scores (N,)."""

LEAST_ROWS = 20
"""An area has an interval where its spread is known by so many rows, see `known_by`, …"""
LEAST_OF_CLASS = 10
"""… and each class has so many rows, and so many beside them: of fewer nobody knows how much they vary."""
_ONE_KIND = "no class has rows and rows of another class beside them"
_FEW = f"a class has fewer than {LEAST_OF_CLASS} rows, or all together are too few: no interval"
_FLAT = "no spread: no interval"


def rank_table(cases: Cases, n: int, level: float) -> dict[str, Number]:
    """Return auroc and auprc of n rows, each the mean over the classes that have rows and rows beside them."""
    found: list[tuple[Influenced, Influenced]] = []
    of_class = []
    for held, score in cases:
        if 0 < held.sum() < n:
            of_class.append(held)
            found.append((area_under_roc(held, score), average_precision(held, score)))
    if not found:
        return dict.fromkeys(("auroc", "auprc"), Number(value=None, n=n, reason=_ONE_KIND))
    numbers, least = {}, min(min(int(held.sum()), n - int(held.sum())) for held in of_class)
    for name, parts in zip(("auroc", "auprc"), zip(*found, strict=True), strict=True):
        value, influence = averaged(parts)
        units = known_by(parts, of_class)
        few = units < LEAST_ROWS or least < LEAST_OF_CLASS
        numbers[name] = Number(value=value, n=n, reason=_FEW) if few else logit_number(value, influence, level, units)
    return numbers


def known_by(parts: Sequence[Influenced], of_class: Sequence[NDArray[np.bool_]]) -> float:
    """Return how many rows the spread of a mean over classes is known by, its degrees of freedom and one.

    The rows of a class (`of_class`, (N,) each) and those beside them each have a variance that is known by their own
    number; their sum is known as Satterthwaite (1946) says. One row knows nothing of its variance and counts as half a
    degree.
    """
    sides = [(influence, side) for (_, influence), held in zip(parts, of_class, strict=True) for side in (held, ~held)]
    spread = np.array([float((influence[side] ** 2).sum()) for influence, side in sides])
    rows = np.array([int(side.sum()) for _, side in sides])
    if not spread.any():
        return float(rows.min())
    return 1 + float(spread.sum() ** 2 / (spread**2 / np.maximum(rows - 1, 0.5)).sum())


def area_under_roc(held: NDArray[np.bool_], score: Values) -> Influenced:
    """Return how often a row that has the class scores above one that has not, ties counting half (Mann-Whitney)."""
    n, rows = len(held), int(held.sum())
    ranks = rankdata(score)
    below = np.empty(n)  # share of the other side that a row is on the right side of
    below[held] = (ranks[held] - rankdata(score[held])) / (n - rows)
    below[~held] = 1 - (ranks[~held] - rankdata(score[~held])) / rows
    value = float(below[held].mean())
    return value, (below - value) * np.where(held, n / rows, n / (n - rows))


def average_precision(held: NDArray[np.bool_], score: Values) -> Influenced:
    """Return the mean, over rows that have the class, of the precision at their score; nothing is interpolated.

    With g(s) the share of rows that score at least s, and a(s) the share that also has the class, it is the mean of
    a / g over rows with the class. A row at score s moves that by its own a / g and by its part in a and g of all
    lower scores.
    """
    n, rows = len(held), int(held.sum())
    _, place, sizes = np.unique(-score, return_inverse=True, return_counts=True)
    of_class = np.bincount(place, weights=held, minlength=len(sizes))
    at_least, hits = np.cumsum(sizes), np.cumsum(of_class)
    precision = hits / at_least
    value = float((of_class * precision).sum() / rows)
    gained, lost = (_from_below(part) for part in (of_class / at_least, of_class * hits / at_least**2))
    own = held * (precision[place] - value)
    return value, n / rows * (own + held * gained[place] - lost[place])


def _from_below(values: Values) -> Values:
    """Return sums from each place to the end."""
    return np.asarray(np.cumsum(values[::-1])[::-1])


def averaged(parts: Sequence[Influenced]) -> Influenced:
    """Return the mean of several statistics of the same rows."""
    total = sum(influence for _, influence in parts)
    return sum(value for value, _ in parts) / len(parts), np.asarray(total) / len(parts)


def ratio(over: Values, under: Values) -> Influenced:
    """Return the sum of `over` (N,) by the sum of `under` (N,), which is not 0."""
    value = float(over.sum() / under.sum())
    return value, (over - value * under) / under.mean()


def logit_number(value: float, influence: Values, level: float, units: float | None = None) -> Number:
    """Return a statistic of [0, 1] with its interval on the logit scale, where it is nearly normal near its ends.

    `units` says how many rows its spread is known by, where these are not all N: Student's t has as many degrees less
    one, and the variance is that of so few.
    """
    half = _half(influence, level, units)
    if not 0 < value < 1 or half is None:
        return Number(value=value, n=len(influence), reason=_FLAT)
    half /= value * (1 - value)
    low, high = float(expit(logit(value) - half)), float(expit(logit(value) + half))
    method = "influence values on the logit scale"
    return Number(value=value, ci_low=low, ci_high=high, ci_level=level, ci_method=method, n=len(influence))


def plain_number(value: float, influence: Values, level: float) -> Number:
    """Return a statistic of any range, such as a difference, with its interval around it."""
    half = _half(influence, level)
    if half is None:
        return Number(value=value, n=len(influence), reason=_FLAT)
    low, high = value - half, value + half
    return Number(value=value, ci_low=low, ci_high=high, ci_level=level, ci_method="influence values", n=len(influence))


def _half(influence: Values, level: float, units: float | None = None) -> float | None:
    """Return half the width of the interval of a normal statistic, None where nothing moves it."""
    n = len(influence)
    units = n if units is None else units
    if units < 2 or np.ptp(influence) <= 1e-12:
        return None
    error = math.sqrt(float((influence**2).sum()) / n**2 * units / (units - 1))
    return float(t.ppf((1 + level) / 2, units - 1)) * error
