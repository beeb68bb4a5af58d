"""Baselines that continue series: windows (N, C, W) to horizons (N, H, T), the targets being the first T channels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import ConfigError

Values = NDArray[np.float64]

_CELLS = 4_000_000
"""Numbers of windows handled at once (32 MB)."""
_PENALTIES = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Tried, as shares of the mean square of the inputs."""
_PASSES = 10
"""Most rounds of filling missing true values with the fit's own forecasts."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """Mean and standard deviation (T,) of the true values of training; 0 and 1 where nothing is known or constant."""

    mean: Values
    std: Values


def refused_forecasts(name: str, season: int | None, width: int) -> str | None:
    """Return why baseline `name` cannot be had for windows of `width` steps, for the notes; none where it can."""
    if name != "seasonal_naive" or (season is not None and 1 <= season <= width):
        return None
    why = "no season is declared" if season is None else f"a season of {season} steps does not fit {width} steps"
    return f"seasonal_naive is left out: {why}"


def baseline_forecasts(
    name: str,
    train: tuple[NDArray[np.float32], Values],
    test_x: NDArray[np.float32],
    horizon: int,
    season: int | None,
    seed: int,
) -> Values:
    """Fit baseline `name` on train (x (N, C, W), y (N, H, T)) and return forecasts (M, H, T) for `test_x` (M, C, W).

    "last_value" repeats the last known value. "seasonal_naive" repeats the last season (Hyndman and Athanasopoulos
    2021, section 5.2); cells missing in it come from the season before, or are the last value. "ridge" is one linear
    map, shared by all targets, from a target's own window to its horizon, both less the last value (NLinear, Zeng et
    al. 2023) and in units of the target's standard deviation. NaN is missing, in x and y; a window without any value
    continues with the training mean. No baseline draws at random, so `seed` changes nothing.

    Raises:
        ConfigError: the baseline cannot be had, see `refused_forecasts`.
    """
    x, y = train
    if refused := refused_forecasts(name, season, test_x.shape[2]):
        raise ConfigError(refused, fix="leave seasonal_naive out of evaluate.baselines, or declare a season that fits")
    scale = _scale(y)
    found = np.empty((len(test_x), horizon, y.shape[2]))
    weights = _fit(x, y, scale) if name == "ridge" else None
    for rows in _parts(len(test_x), y.shape[2] * (test_x.shape[2] + horizon)):
        window = _filled(test_x[rows, : y.shape[2]], scale)
        match name:
            case "last_value":
                found[rows] = window[:, None, :, -1]
            case "seasonal_naive":
                found[rows] = _season(test_x[rows, : y.shape[2]], window[:, :, -1:], int(season or 1), horizon)
            case "ridge" if weights is not None:
                found[rows] = _applied(window, weights, scale)
            case _:
                raise ValueError(f"unknown baseline {name}")
    return found


def _parts(n: int, cells: int) -> Iterator[slice]:
    """Yield slices of n rows that hold at most _CELLS together, `cells` each."""
    size = max(1, _CELLS // max(1, cells))
    yield from (slice(start, start + size) for start in range(0, n, size))


def _scale(y: Values) -> _Scale:
    shape = y.shape[2]
    count, total, squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for rows in _parts(len(y), y[:1].size):
        known = np.isfinite(y[rows])
        count += known.sum(axis=(0, 1))
        total += np.where(known, y[rows], 0).sum(axis=(0, 1))
    mean = total / np.maximum(count, 1)
    for rows in _parts(len(y), y[:1].size):
        squares += (np.where(np.isfinite(y[rows]), y[rows] - mean, 0) ** 2).sum(axis=(0, 1))
    std = np.sqrt(squares / np.maximum(count, 1))
    return _Scale(mean, np.where(std > 0, std, 1.0))


def _filled(x: NDArray[np.float32], scale: _Scale) -> Values:
    """Return windows (N, T, W) whose gaps hold the value before, at the start the first known one."""
    known: NDArray[np.bool_] = np.asarray(np.isfinite(x))
    places = np.where(known, np.arange(x.shape[2]), -1)
    before = np.maximum.accumulate(places, axis=2)
    first = np.where(known.any(axis=2), known.argmax(axis=2), 0)
    chosen = np.where(before >= 0, before, first[..., None])
    values = np.take_along_axis(x, chosen, axis=2).astype(np.float64)
    some = np.asarray(known.any(axis=2))[..., None]
    return np.where(some, values, scale.mean[None, :, None])


def _season(x: NDArray[np.float32], last: Values, season: int, horizon: int) -> Values:
    found = np.full((*x.shape[:2], season), np.nan)
    width = x.shape[2]
    for end in range(width, season - 1, -season):
        found = np.where(np.isfinite(found), found, x[:, :, end - season : end])
    found = np.where(np.isfinite(found), found, last)
    return np.asarray(found[:, :, np.arange(horizon) % season].transpose(0, 2, 1))


def _inputs(window: Values, scale: _Scale) -> Values:
    """Return (N T, W + 1): each target's window less its last value in standard deviations, and a column of ones."""
    away = (window - window[:, :, -1:]) / scale.std[None, :, None]
    flat = away.reshape(-1, window.shape[2])
    return np.concatenate([flat, np.ones((len(flat), 1))], axis=1)


def _outputs(y: Values, window: Values, scale: _Scale) -> Values:
    away = (y - window[:, None, :, -1]) / scale.std
    return np.asarray(away.transpose(0, 2, 1).reshape(-1, y.shape[1]))


def _applied(window: Values, weights: Values, scale: _Scale) -> Values:
    away = (_inputs(window, scale) @ weights).reshape(*window.shape[:2], -1).transpose(0, 2, 1)
    return np.asarray(away * scale.std + window[:, None, :, -1])


def _fit(x: NDArray[np.float32], y: Values, scale: _Scale) -> Values:
    """Return weights (W + 1, H) of least penalised squared error over the known true values.

    The penalty is the one of least error on the last fifth of the windows. Missing true values are filled with the
    fit's own forecasts until nothing moves, which solves the equations without them (Healy and Westmacott 1956).
    """
    cut = len(y) - len(y) // 5
    fitted, held = (_products(x[part], y[part], scale, None) for part in (slice(cut), slice(cut, None)))
    errors = [_error(_solved(*fitted[:2], penalty), *held) for penalty in _PENALTIES]
    penalty = _PENALTIES[int(np.argmin(errors))] if cut < len(y) else _PENALTIES[3]
    square = fitted[0] + held[0]
    weights = _solved(square, fitted[1] + held[1], penalty)
    if all(np.isfinite(y[rows]).all() for rows in _parts(len(y), y[:1].size)):
        return weights
    for _ in range(_PASSES):
        before, weights = weights, _solved(square, _products(x, y, scale, weights)[1], penalty)
        if np.abs(weights - before).max() < 1e-3:
            break
    return weights


def _products(x: NDArray[np.float32], y: Values, scale: _Scale, weights: Values | None) -> tuple[Values, Values, float]:
    """Return X'X, X'Y and the sum of Y², some rows at a time.

    Missing Y are the last value at first (weights none); then they come from `weights`, and X'X is not summed again.
    """
    width, horizon = x.shape[2] + 1, y.shape[1]
    square, cross, size = np.zeros((width, width)), np.zeros((width, horizon)), 0.0
    for rows in _parts(len(y), y.shape[2] * (width + horizon)):
        window = _filled(x[rows, : y.shape[2]], scale)
        inputs, outputs = _inputs(window, scale), _outputs(y[rows], window, scale)
        outputs = np.where(np.isfinite(outputs), outputs, 0.0 if weights is None else inputs @ weights)
        square += inputs.T @ inputs if weights is None else 0.0
        cross += inputs.T @ outputs
        size += float((outputs**2).sum())
    return square, cross, size


def _solved(square: Values, cross: Values, penalty: float) -> Values:
    """Solve the normal equations; the last input, the constant, bears no penalty."""
    width = len(square) - 1
    mean = np.trace(square[:width, :width]) / width
    ridge = np.append(np.full(width, penalty * mean if mean > 0 else 1.0), 0.0)
    return np.asarray(np.linalg.solve(square + np.diag(ridge), cross), dtype=np.float64)


def _error(weights: Values, square: Values, cross: Values, size: float) -> float:
    """Return the squared error of weights on rows known by their products."""
    return float(size - 2 * (weights * cross).sum() + (weights * (square @ weights)).sum())
