"""Scores of predicted numbers (N, T) against true ones, in raw units, each with its interval.

Means have that of `intervals.mean`. Roots and ratios of means have Student's t around the statistic, with the error
that leaving out one row at a time shows (the jackknife, Tukey 1958): rmse and 1 - r2 on the log scale, on which squares
of few rows are nearly symmetric. Nothing is resampled.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from pipeline.core.contracts import Number, TargetScores
from pipeline.metrics.intervals import mean
from pipeline.metrics.resampling import undefined

Values = NDArray[np.float64]

UNIT = "target"
STD_UNIT = "training standard deviations"
_CONSTANT = "a target is constant in these rows"
_NO_SCALE = "a target is constant in the training rows"
_LEAST_ROWS = 5


def value_table(y: Values, predicted: Values, scale: Values, level: float) -> dict[str, Number]:
    """Return r2, mae, rmse and bias over all targets.

    r2 is the mean over targets of 1 - SSE / SST, SST around the mean of these rows (coefficient of determination;
    scikit-learn's `uniform_average`); undefined where a target is constant. mae = mean |error|, rmse = root of the mean
    over targets of mean error², bias = mean of predicted minus true: in the target's units when there is one target, as
    means over targets of errors / `scale` when there are several.

    Args:
        y: true numbers (N, T) in raw units.
        predicted: predicted numbers (N, T) in raw units.
        scale: standard deviation (T,) of each target in the training rows.
        level: of the intervals.

    Raises:
        ValueError: shapes differ, there are no rows, or a number is not finite.
    """
    _check(y, predicted)
    several = y.shape[1] > 1
    unit = STD_UNIT if several else UNIT
    if several and not (scale > 0).all():
        blank = dict.fromkeys(("mae", "rmse", "bias"), undefined(len(y), _NO_SCALE, unit))
        return {"r2": _r2(y, predicted, level)} | blank
    error = (predicted - y) / (scale if several else 1)
    return {
        "r2": _r2(y, predicted, level),
        "mae": _mean(np.abs(error), unit, level),
        "rmse": _root(error, unit, level),
        "bias": _mean(error, unit, level),
    }


def value_scores(names: Sequence[str], y: Values, predicted: Values, level: float) -> tuple[TargetScores, ...]:
    """Return r2, mae, rmse and bias of each target in its own units; arguments and formulas as in `value_table`."""
    alone = ((name, y[:, k : k + 1], predicted[:, k : k + 1]) for k, name in enumerate(names))
    return tuple(TargetScores(name=name, metrics=value_table(u, v, np.ones(1), level)) for name, u, v in alone)


def paired_gain_values(y: Values, predicted: Values, other: Values, level: float) -> Number:
    """Return r2 of `predicted` minus r2 of `other`, both (N, T), on the same rows, which are left out as pairs."""
    _check(y, predicted, other)
    saved = (other - y) ** 2 - (predicted - y) ** 2
    return _jackknifed(y, saved, level, lambda value: value, lambda at: at)


def pinball_loss(missed: Values, quantile: float) -> Values:
    """Return max(q e, (q - 1) e) of e, true minus predicted: lowest on average for the q-quantile (Koenker 1978)."""
    return np.asarray(np.maximum(quantile * missed, (quantile - 1) * missed))


def pinball(y: Values, predicted: Values, scale: Values, quantile: float, level: float) -> Number:
    """Return the mean pinball loss over targets: in the target's units, of several in those of `scale` (T,)."""
    several = y.shape[1] > 1
    unit = STD_UNIT if several else UNIT
    if several and not (scale > 0).all():
        return undefined(len(y), _NO_SCALE, unit)
    return _mean(pinball_loss((y - predicted) / (scale if several else 1), quantile), unit, level)


def _check(y: Values, *others: Values) -> None:
    if any(other.shape != y.shape for other in others) or not len(y):
        raise ValueError(f"true and predicted numbers must have one shape, with rows: {y.shape}")
    if not all(np.isfinite(values).all() for values in (y, *others)):
        raise ValueError("true and predicted numbers must be finite")


def _mean(values: Values, unit: str, level: float) -> Number:
    found = mean(values.mean(axis=1), level)
    return replace(found if len(values) >= _LEAST_ROWS else _few(found.value, len(values)), unit=unit)


def _few(value: float | None, n: int) -> Number:
    return Number(value=value, n=n, reason=f"fewer than {_LEAST_ROWS} rows: no interval")


def _root(error: Values, unit: str, level: float) -> Number:
    """Return the root of the mean over targets of mean error²."""
    squares = (error**2).mean(axis=1)
    n, total = len(squares), float(squares.sum())
    without = (total - squares) / max(1, n - 1)
    found = _around(math.sqrt(total / n), total / n, without, level, np.log, lambda at: math.exp(at / 2))
    return replace(found, unit=unit)


def _r2(y: Values, predicted: Values, level: float) -> Number:
    """Return the coefficient of determination, its interval made of the logarithm of what is not explained."""
    return _jackknifed(y, (predicted - y) ** 2, level, np.log, math.exp, flipped=True)


def _jackknifed(
    y: Values,
    part: Values,
    level: float,
    there: Callable[[Values], Values],
    back: Callable[[float], float],
    *,
    flipped: bool = False,
) -> Number:
    """Return the mean over targets of the sum of `part` (N, T) by SST, or 1 minus that where `flipped`.

    The limits are made where `there` leads to, and brought `back`.
    """
    if bool((np.ptp(y, axis=0) == 0).any()):
        return undefined(len(y), _CONSTANT)
    n = len(y)
    away = (y - y.mean(axis=0)) ** 2
    whole = float((part.sum(axis=0) / away.sum(axis=0)).mean())
    # Without a row the mean moves, too: SST falls by n / (n - 1) times its squared distance.
    left = away.sum(axis=0) - away * n / max(1, n - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        without = ((part.sum(axis=0) - part) / np.where(left > 1e-12 * away.sum(axis=0), left, np.nan)).mean(axis=1)
    found = _around(whole, whole, without, level, there, back)
    if not flipped or found.value is None:
        return found
    low, high = (None if end is None else 1 - end for end in (found.ci_high, found.ci_low))
    return replace(found, value=1 - found.value, ci_low=low, ci_high=high)


def _around(
    shown: float,
    value: float,
    without: Values,
    level: float,
    there: Callable[[Values], Values],
    back: Callable[[float], float],
) -> Number:
    """Return `shown` with limits around `value`, which is `without` (N,) when one row after the other is left out."""
    n = len(without)
    if n < _LEAST_ROWS:
        return _few(shown, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.asarray(there(np.append(without, value)))
    if not np.isfinite(moved[:-1]).all():
        if value == 0:
            return Number(value=shown, n=n, reason="no spread: no interval")
        return Number(value=shown, n=n, reason="all hangs on a single row: no interval")
    error = math.sqrt((n - 1) / n * float(((moved[:-1] - moved[:-1].mean()) ** 2).sum()))
    if error <= 1e-12 * max(1.0, abs(float(moved[-1]))):
        return Number(value=shown, n=n, reason="no spread: no interval")
    half = float(t.ppf((1 + level) / 2, n - 1)) * error
    low, high = back(float(moved[-1]) - half), back(float(moved[-1]) + half)
    return Number(value=shown, ci_low=low, ci_high=high, ci_level=level, ci_method="jackknife, t", n=n)
