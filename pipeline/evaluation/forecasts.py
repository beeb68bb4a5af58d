"""The judge of forecasts: windows (N, H · T) in training deviations of their series, scored there and in raw units."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.baselines import fitted, name_of
from pipeline.core.contracts import DatasetCard, ForecastInputs, Number, StepError
from pipeline.core.seeds import stream
from pipeline.core.settings import EvaluateSettings
from pipeline.metrics.forecasts import Future, by_step, forecast_table, paired_gain_forecasts

Values = NDArray[np.float64]


class ForecastJudge:
    """Skill over repeating the last value, and the usual errors; windows overlap, so they are resampled in blocks."""

    def __init__(  # noqa: PLR0913 - as judge_for has them
        self,
        card: DatasetCard,
        settings: EvaluateSettings,
        seed: int,
        y: NDArray[Any],
        rows: pd.DataFrame,
        x: NDArray[Any],
        quantile: float | None = None,
        *,
        spacing: int = 1,
    ) -> None:
        assert isinstance(card.inputs, ForecastInputs)
        self.quantile = quantile
        self.card, self.settings, self.seed, self.inputs = card, settings, seed, card.inputs
        self.scale, self.offset, self.change = (
            rows[[f"raw.{kind}.{i}" for i in range(self.inputs.targets)]].to_numpy(float)
            for kind in ("scale", "offset", "change")
        )
        self.y = self.raw(y)
        last = last_known(x[:, : self.inputs.targets, : self.inputs.window])
        shape = (len(y), self.inputs.horizon, self.inputs.targets)
        self.last = self.raw(np.broadcast_to(last[:, None], shape).reshape(len(y), -1))
        self.future = Future(self.y, self.last, self.scale, np.where(self.change > 0, self.change, np.nan))
        series = rows["row_id"].str.rpartition(" @ ")[0]
        self.block = 1 if series.is_unique else min(-(-self.inputs.horizon // spacing), len(y))

    def raw(self, p: NDArray[Any]) -> Values:
        """Return (N, H, T) in raw units from (N, H · T) in training deviations."""
        cube = np.asarray(p, float).reshape(len(p), self.inputs.horizon, self.inputs.targets)
        return np.asarray(cube * self.scale[:, None] + self.offset[:, None])

    def rng(self, *name: str) -> np.random.Generator:
        """Return the random stream of a question."""
        return stream(self.seed, "evaluate", *[part for part in name if part])

    def metrics(self, p: Values, name: str) -> Mapping[str, Number]:
        """Return skill, mae, mse, smape and mase, and pinball where a quantile is forecast."""
        s = self.settings
        return forecast_table(self.future, self.raw(p), self.rng(name), s.resamples, s.level, self.block, self.quantile)

    def headline(self, p: Values, name: str) -> Number:
        """Return the skill."""
        return self.metrics(p, name)["skill"]

    def baseline(
        self,
        kind: str,
        train: tuple[NDArray[Any], NDArray[Any]],
        test_x: NDArray[Any],
        weight: NDArray[Any] | None = None,
    ) -> tuple[str, Values] | None:
        """Return the last value, the last season, or a linear map of the window; windows have no weights."""
        about = self.card.task, self.card.inputs, self.card.outputs
        name = name_of(kind, *about)
        return None if name is None else (name, fitted(name, about, (*train, None), test_x, self.seed))

    def gain(self, p: Values, q: Values, name: str) -> Number:
        """Return the difference of skills."""
        s, rng = self.settings, self.rng(name, "gain")
        return paired_gain_forecasts(self.future, self.raw(p), self.raw(q), rng, s.resamples, s.level, self.block)

    def details(self, p: Values) -> dict[str, Any]:
        """Return errors by step ahead."""
        s = self.settings
        errors = by_step(self.future, self.raw(p), self.rng("steps"), s.resamples, s.level, self.block)
        return {"steps": tuple(StepError(step=k, metrics=m, last_value_mae=last) for k, m, last in errors)}

    def row_errors(self, p: Values) -> tuple[str, Values]:
        """Return the mean distance from what came of each window, in training deviations; NaN where nothing is known.

        Of all windows, also those of which none of the future is known, without a warning.
        """
        error = np.abs(self.raw(p) - self.y) / self.scale[:, None]
        known = np.isfinite(error)
        count = known.sum(axis=(1, 2))
        sums = np.where(known, error, 0.0).sum(axis=(1, 2))
        return "absolute_error", np.divide(sums, count, out=np.full(len(p), np.nan), where=count > 0)

    def table(self, p: Values) -> dict[str, Any]:
        """Return errors and mean forecast per window in training deviations, and what leads from these to raw units.

        Forecasts themselves lie in forecasts.npy.
        """
        error = (self.raw(p) - self.y) / self.scale[:, None]
        parts = {"scale": self.scale, "offset": self.offset, "change": self.change}
        units = {f"raw.{kind}.{i}": part[:, i] for kind, part in parts.items() for i in range(self.inputs.targets)}
        return {
            "absolute_error": np.nanmean(np.abs(error), axis=(1, 2)),
            "signed_error": np.nanmean(error, axis=(1, 2)),
            "forecast": np.asarray(p, float).mean(axis=1),
            **units,
        }


def last_known(x: NDArray[Any]) -> NDArray[Any]:
    """Return the last value that is known of each channel (N, C, W), 0 (the training mean) where none is."""
    known = ~np.isnan(x)
    at = x.shape[2] - 1 - known[:, :, ::-1].argmax(axis=2)
    return np.where(known.any(axis=2), np.take_along_axis(x, at[:, :, None], axis=2)[:, :, 0], 0.0)
