"""Scores of forecasts (N windows, H steps, T targets) in raw units, with intervals, and against doing nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import Number
from pipeline.metrics.resampling import interval, resampled_sums, undefined
from pipeline.metrics.values import pinball_loss

Values = NDArray[np.float64]

STD_UNIT = "training standard deviations"
_CELLS = 4_000_000
"""Numbers handled at once (32 MB each)."""
_NOTHING = "no true value is known"
_STILL = "repeating the last value makes no error"
_NO_SCALE = "a target is constant in the training rows"


@dataclass(frozen=True, slots=True)
class Future:
    """What came, and what forecasts of it are measured with."""

    y: Values
    """True values (N, H, T) in raw units; NaN where unknown, which is left out everywhere."""
    last: Values
    """The last value seen before each window, repeated: (N, H, T) in raw units, finite."""
    std: Values
    """Standard deviation (T,) of each target in training, or (N, T) where windows are of different series."""
    mase_scale: Values
    """Mean absolute change (T,) or (N, T) of each target in training, over one step or one season."""

    def __post_init__(self) -> None:
        """One shape, one scale per target."""
        if self.y.shape != self.last.shape or self.y.ndim != 3 or not len(self.y):
            raise ValueError(f"y {self.y.shape} and last {self.last.shape} must be (N, H, T) with rows")
        sizes = (self.y.shape[2:], (len(self.y), self.y.shape[2]))
        if self.std.shape not in sizes or self.mase_scale.shape not in sizes:
            raise ValueError("std and mase_scale must hold one number per target, or per window and target")

    def scales(self, rows: slice) -> tuple[Values, Values]:
        """Return std and mase_scale of some windows, ready to divide (n, H, T)."""
        std, change = (s if s.ndim == 1 else s[rows][:, None] for s in (self.std, self.mase_scale))
        return std, change


def forecast_table(
    future: Future,
    predicted: Values,
    rng: np.random.Generator,
    resamples: int,
    level: float,
    block: int = 1,
    quantile: float | None = None,
) -> dict[str, Number]:
    """Return skill, mae, mse, smape and mase over all known cells; windows are resampled in runs of `block`.

    With a quantile also pinball: the mean of max(q e, (q - 1) e), e true minus forecast, lowest for the q-quantile
    (Koenker and Bassett 1978).

    In units of each target's standard deviation in training: mae = mean |error|, mse = mean error², skill = 1 - mae /
    (mae of repeating the last value). In raw units: smape = mean of 200 |y - f| / (|y| + |f|) in %, 0 where both are 0
    (Makridakis, Spiliotis and Assimakopoulos 2020, the M4 competition); mase = mean |error| / mase_scale (Hyndman and
    Koehler 2006). All targets and steps are pooled.

    Raises:
        ValueError: `predicted` has another shape, or a forecast or last value is not finite where the truth is known.
    """
    sums = _sums(future, predicted, quantile)
    n = int((sums[:, 0] > 0).sum())
    whole, drawn = sums.sum(axis=0)[None], resampled_sums(sums, rng, resamples, block)
    pairs = {"skill": (1, 3), "mae": (1, 0), "mse": (2, 0), "smape": (4, 0), "mase": (5, 0)}
    units = {"skill": None, "mae": STD_UNIT, "mse": f"{STD_UNIT}, squared", "smape": "%", "mase": None}
    if quantile is not None:
        pairs["pinball"], units["pinball"] = (6, 0), STD_UNIT
    found = {}
    for name, (over, under) in pairs.items():
        value, draws = _ratio(whole, over, under), _ratio(drawn, over, under)
        if name == "skill":
            value, draws = 1 - value, 1 - draws
        found[name] = interval(float(value[0]), draws, n, level, block, unit=units[name])
    return found | _undefined(future, n, whole[0, 3] == 0, units)


def by_step(
    future: Future,
    predicted: Values,
    rng: np.random.Generator,
    resamples: int,
    level: float,
    block: int = 1,
    most: int = 24,
) -> list[tuple[int, dict[str, Number], float]]:
    """Return (step from 1, its table as `forecast_table`, mae of the last value in training standard deviations).

    At most `most` steps, evenly spaced; one without a known true value, or a scale, is left out.
    """
    horizon = future.y.shape[1]
    steps = np.unique(np.linspace(0, horizon - 1, min(most, horizon)).round().astype(int))
    found = []
    for step in steps:
        one = slice(step, step + 1)
        ahead = Future(future.y[:, one], future.last[:, one], future.std, future.mase_scale)
        known = np.isfinite(future.y[:, step])
        if known.any():
            table = forecast_table(ahead, predicted[:, one], rng, resamples, level, block)
            if table["mae"].value is not None:
                last_mae = float((np.abs(future.last[:, step] - future.y[:, step]) / future.std)[known].mean())
                found.append((int(step) + 1, table, last_mae))
    return found


def paired_gain_forecasts(
    future: Future,
    predicted: Values,
    other: Values,
    rng: np.random.Generator,
    resamples: int,
    level: float,
    block: int = 1,
) -> Number:
    """Return the skill of `predicted` minus that of `other`, both (N, H, T), on the same windows (paired)."""
    sums, second = _sums(future, predicted), _sums(future, other)
    rows = np.stack([second[:, 1] - sums[:, 1], sums[:, 3]], axis=1)
    n = int((sums[:, 0] > 0).sum())
    whole, drawn = rows.sum(axis=0)[None], resampled_sums(rows, rng, resamples, block)
    gone = _undefined(future, n, whole[0, 1] == 0, {"skill": None})
    gain = interval(float(_ratio(whole, 0, 1)[0]), _ratio(drawn, 0, 1), n, level, block)
    return gone.get("skill", gain)


def _undefined(future: Future, n: int, still: bool, units: Mapping[str, str | None]) -> dict[str, Number]:
    """Return the numbers that these rows cannot have."""
    if n == 0:
        return {name: undefined(n, _NOTHING, unit) for name, unit in units.items()}
    gone = {}
    if not (future.std > 0).all():
        gone = dict.fromkeys(("skill", "mae", "mse", "pinball"), _NO_SCALE)
    elif still:
        gone = {"skill": _STILL}
    if not (future.mase_scale > 0).all():
        gone["mase"] = _NO_SCALE
    return {name: undefined(n, reason, units[name]) for name, reason in gone.items() if name in units}


def _sums(future: Future, predicted: Values, quantile: float | None = None) -> Values:
    """Return sums (N, 7): known cells, |error|, error², |error of last| (in std), smape, scaled |error|, pinball."""
    if predicted.shape != future.y.shape:
        raise ValueError(f"forecasts {predicted.shape} must have the shape of the truth {future.y.shape}")
    found = np.empty((len(predicted), 7))
    rows = max(1, _CELLS // max(1, future.y[0].size))
    for start in range(0, len(predicted), rows):
        part = slice(start, start + rows)
        found[part] = _part(future, part, predicted[part], 0.5 if quantile is None else quantile)
    return found


def _part(future: Future, rows: slice, predicted: Values, quantile: float) -> Values:
    known = np.isfinite(future.y[rows])
    truth, f, last = (np.where(known, values, 0.0) for values in (future.y[rows], predicted, future.last[rows]))
    if not (np.isfinite(f).all() and np.isfinite(last).all()):
        raise ValueError("forecasts and last values must be finite where the truth is known")
    error, size = np.abs(f - truth), np.abs(truth) + np.abs(f)
    std, mase_scale = (np.where(scale > 0, scale, 1.0) for scale in future.scales(rows))
    smape = np.divide(200 * error, size, out=np.zeros_like(error), where=size > 0)
    pinball = pinball_loss(truth - f, quantile) / std
    cells = [known, error / std, (error / std) ** 2, np.abs(last - truth) / std, smape, error / mase_scale, pinball]
    return np.stack([cell.sum(axis=(1, 2)) for cell in cells], axis=1)


def _ratio(sums: Values, over: int, under: int) -> Values:
    """Return one column over another; NaN where the other is 0."""
    top, bottom = sums[:, over], sums[:, under]
    return np.asarray(np.divide(top, bottom, out=np.full(len(sums), np.nan), where=bottom > 0))
