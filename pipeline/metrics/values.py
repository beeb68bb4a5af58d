"""Scores of predicted numbers (N, T) against true ones, in raw units, each with its interval."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import Number, TargetScores
from pipeline.metrics.resampling import interval, resampled_sums, undefined

Values = NDArray[np.float64]

UNIT = "target"
STD_UNIT = "training standard deviations"
_CONSTANT = "a target is constant in these rows"
_NO_SCALE = "a target is constant in the training rows"


def value_table(
    y: Values,
    predicted: Values,
    scale: Values,
    rng: np.random.Generator,
    resamples: int,
    level: float,
    block: int = 1,
) -> dict[str, Number]:
    """Return r2, mae, rmse and bias over all targets.

    r2 is the mean over targets of 1 - SSE / SST, SST around the mean of these rows (coefficient of determination;
    scikit-learn's `uniform_average`); undefined where a target is constant. mae = mean |error|, rmse = root of the mean
    over targets of mean error², bias = mean of predicted minus true: in the target's units when there is one target, as
    means over targets of errors / `scale` when there are several.

    Args:
        y: true numbers (N, T) in raw units.
        predicted: predicted numbers (N, T) in raw units.
        scale: standard deviation (T,) of each target in the training rows.
        rng: where the draws come from.
        resamples: bootstrap draws.
        level: of the intervals.
        block: rows resampled together; above 1 for rows in order of time.

    Raises:
        ValueError: shapes differ, there are no rows, or a number is not finite.
    """
    _check(y, predicted)
    several = y.shape[1] > 1
    unit = STD_UNIT if several else UNIT
    if several and not (scale > 0).all():
        blank = dict.fromkeys(("mae", "rmse", "bias"), undefined(len(y), _NO_SCALE, unit))
        return {"r2": value_table(y, predicted, np.ones(y.shape[1]), rng, resamples, level, block)["r2"]} | blank
    units = scale if several else np.ones(1)
    values, draws = _statistics(y / units, predicted / units, rng, resamples, block)
    found = {
        name: interval(
            float(_pooled(name, values[name])[0]), _pooled(name, draws[name]), len(y), level, block, unit=unit
        )
        for name in ("mae", "rmse", "bias")
    }
    if _constant(y).any():
        return {"r2": undefined(len(y), _CONSTANT)} | found
    r2 = interval(float(values["r2"].mean()), draws["r2"].mean(axis=1), len(y), level, block)
    return {"r2": r2} | found


def value_scores(
    names: Sequence[str],
    y: Values,
    predicted: Values,
    rng: np.random.Generator,
    resamples: int,
    level: float,
    block: int = 1,
) -> tuple[TargetScores, ...]:
    """Return r2, mae, rmse and bias of each target in its own units; arguments and formulas as in `value_table`."""
    values, draws = _statistics(y, predicted, rng, resamples, block)
    constant = _constant(y)
    found = []
    for k, name in enumerate(names):
        r2 = interval(float(values["r2"][0, k]), draws["r2"][:, k], len(y), level, block)
        metrics = {"r2": undefined(len(y), _CONSTANT) if constant[k] else r2}
        for m in ("mae", "rmse", "bias"):
            value, drawn = _root(m, values[m])[0, k], _root(m, draws[m])[:, k]
            metrics[m] = interval(float(value), drawn, len(y), level, block, unit=UNIT)
        found.append(TargetScores(name=name, metrics=metrics))
    return tuple(found)


def paired_gain_values(
    y: Values,
    predicted: Values,
    other: Values,
    rng: np.random.Generator,
    resamples: int,
    level: float,
    block: int = 1,
) -> Number:
    """Return r2 of `predicted` minus r2 of `other`, both (N, T), on the same rows, which are resampled as pairs."""
    _check(y, predicted, other)
    if _constant(y).any():
        return undefined(len(y), _CONSTANT)
    n, targets = y.shape
    centred = y - y.mean(axis=0)
    sums = np.concatenate([(other - y) ** 2 - (predicted - y) ** 2, centred, centred**2], axis=1)
    total = (centred**2).sum(axis=0)

    def gains(drawn: Values) -> Values:
        saved, first, second = (drawn[:, i * targets : (i + 1) * targets] for i in range(3))
        return np.asarray((saved / _spread(first, second, n, total)).mean(axis=1))

    draws = gains(resampled_sums(sums, rng, resamples, block))
    return interval(float(gains(sums.sum(axis=0)[None])[0]), draws, n, level, block)


def _check(y: Values, *others: Values) -> None:
    if any(other.shape != y.shape for other in others) or not len(y):
        raise ValueError(f"true and predicted numbers must have one shape, with rows: {y.shape}")
    if not all(np.isfinite(values).all() for values in (y, *others)):
        raise ValueError("true and predicted numbers must be finite")


def _constant(y: Values) -> NDArray[np.bool_]:
    return np.asarray(np.ptp(y, axis=0) == 0)


def _statistics(
    y: Values, predicted: Values, rng: np.random.Generator, resamples: int, block: int
) -> tuple[Mapping[str, Values], Mapping[str, Values]]:
    """Return each statistic as (1, T) and its draws (B, T); rmse still as mean squared error."""
    _check(y, predicted)
    n, targets = y.shape
    error, centred = predicted - y, y - y.mean(axis=0)
    sums = np.concatenate([error, np.abs(error), error**2, centred, centred**2], axis=1)
    total = (centred**2).sum(axis=0)

    def of(drawn: Values) -> Mapping[str, Values]:
        off, absolute, square, first, second = (drawn[:, i * targets : (i + 1) * targets] for i in range(5))
        r2 = 1 - square / _spread(first, second, n, total)
        return {"r2": r2, "mae": absolute / n, "rmse": square / n, "bias": off / n}

    return of(sums.sum(axis=0)[None]), of(resampled_sums(sums, rng, resamples, block))


def _spread(first: Values, second: Values, n: int, total: Values) -> Values:
    """Return SST (B, T) around each draw's own mean; NaN where a draw holds one value only."""
    spread = second - first**2 / n
    return np.where(spread > 1e-12 * total, spread, np.nan)


def _pooled(name: str, values: Values) -> Values:
    return np.asarray(_root(name, values.mean(axis=1)))


def _root(name: str, values: Values) -> Values:
    return np.sqrt(values) if name == "rmse" else values
