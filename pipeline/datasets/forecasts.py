"""Series to forecast: split by time, scaled by the training steps, packed once; windows are cut when they are used.

A split owns a stretch of time. Its windows forecast steps of that stretch alone, so no target straddles two splits;
what a window looks back on may lie before it. Legend: C channels, S steps, W window, H horizon.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import ForecastInputs, SeriesScale, SplitName, Target
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.assemble import Part, assemble
from pipeline.datasets.csv_table import find_file
from pipeline.datasets.forecast_tables import OneSeries, channel_names, read_long, read_wide
from pipeline.datasets.idx import digest_files
from pipeline.datasets.labels import Labels
from pipeline.datasets.packed import WINDOW_MARK, Prepared

_LEAST_RESERVE = 100
_COPY = 0.999
_ORDER: tuple[SplitName, ...] = ("train", "val", "reserve", "test")

Stretch = dict[SplitName, tuple[int, int]]
"""First step of each split, and the first after it."""


@dataclass
class _Packing:
    """One split while series are added: values side by side, windows, and how to get raw units back."""

    values: list[NDArray[np.float32]] = field(default_factory=list)
    starts: list[NDArray[np.int64]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    scales: list[NDArray[np.float64]] = field(default_factory=list)
    used: int = 0


def prepare_forecast(settings: DataSettings, seed: int) -> Prepared:
    """Read, check, split, scale and pack; the seed decides nothing here, time does."""
    if settings.horizon is None or settings.train_file is None:
        raise ConfigError("data.horizon, data.train_file: both are needed", fix="data.horizon=24 forecasts 24 steps")
    files = {split: find_file(settings, name) for split, name in (("train", settings.train_file),
             ("test", settings.test_file)) if name is not None}  # fmt: skip
    if settings.series_layout == "wide":
        series, notes = read_wide(files, settings)
        names: tuple[str, ...] = ("value",)
    else:
        if "test" in files or not settings.targets:
            raise ConfigError("data.target: name it; data.test_file: only with data.series_layout=wide",
                              fix="one file with all steps is split by time")  # fmt: skip
        series, notes = read_long(files["train"], settings)
        names = channel_names(settings)
    inputs = ForecastInputs(
        channels=names,
        targets=len(settings.targets) or 1,
        known=len(settings.known),
        window=settings.window or default_window(series, settings),
        horizon=settings.horizon,
        season=settings.season,
    )
    refuse_copies(series, inputs, str(files["train"]))
    notes += _missing_notes(series, names)
    scales = scales_of(series, inputs, settings, str(files["train"]))
    parts, targets = pack_series(series, scales, inputs, settings)
    labels = Labels("forecast", (), names[: inputs.targets], np.empty(0), targets)
    notes.append(f"{len(series):,} series; windows of {inputs.window} steps forecast the next {inputs.horizon}")
    prepared = assemble(settings, labels, inputs, parts, digest_files(list(files.values())), notes)
    return replace(prepared, scales=scales)


def default_window(series: list[OneSeries], settings: DataSettings) -> int:
    """Return 336 steps, at least two seasons, at most what half of the shortest training stretch allows."""
    assert settings.horizon is not None
    shortest = min(stretches(s, settings)["train"][1] for s in series)
    wanted = max(336, 2 * (settings.season or 0))
    return max(1, min(wanted, (shortest - settings.horizon) // 2))


def stretches(series: OneSeries, settings: DataSettings) -> Stretch:
    """Return the steps of each split: as declared in data.steps, by a given test, or by shares."""
    length, horizon = series.values.shape[1], settings.horizon or 1
    if settings.steps:
        train, val, test = settings.steps
        if train + val + test > length:
            raise DataError(f"series '{series.name}' has {length:,} steps, data.steps need {train + val + test:,}",
                            fix="lower data.steps")  # fmt: skip
    else:
        test = series.given or max(horizon, round(settings.test_fraction * length))
        val = max(horizon, round(settings.val_fraction * (length - test)))
        train = length - test - val
        if train < 1:
            raise DataError(f"series '{series.name}' has {length:,} steps: {test:,} for test and {val:,} for val leave "
                            "none for training", fix="lower data.horizon, or leave the series out")  # fmt: skip
    reserve = int(settings.reserve_fraction * val)
    if reserve < _LEAST_RESERVE + horizon or val - reserve < horizon:
        reserve = 0
    cuts = np.cumsum([0, train, val - reserve, reserve, test])
    return {split: (int(a), int(b)) for split, a, b in zip(_ORDER, cuts, cuts[1:], strict=False) if b > a}


def scales_of(
    series: list[OneSeries], inputs: ForecastInputs, settings: DataSettings, where: str
) -> tuple[SeriesScale, ...]:
    """Return mean and deviation of each series' training steps, which must hold a window and a horizon."""
    found = []
    for one in series:
        train = one.values[:, : stretches(one, settings)["train"][1]]
        if train.shape[1] < inputs.window + inputs.horizon:
            raise DataError(
                f"{where}: series '{one.name}' has {max(0, train.shape[1]):,} training steps, a window of "
                f"{inputs.window} and a horizon of {inputs.horizon} need {inputs.window + inputs.horizon}",
                fix="lower data.window or data.horizon, or leave the series out",
            )
        found.append(scale_of(train, one.name, inputs, where))
    return tuple(found)


def scaled(values: NDArray[np.float64], scale: SeriesScale) -> NDArray[np.float32]:
    """Return values (C, S) in deviations from the mean of the training steps."""
    mean, std = np.array(scale.mean), np.array(scale.std)
    return np.asarray((values - mean[:, None]) / std[:, None], dtype=np.float32)


def pack_series(
    series: list[OneSeries], scales: Sequence[SeriesScale], inputs: ForecastInputs, settings: DataSettings
) -> tuple[dict[SplitName, Part], tuple[Target, ...]]:
    """Return the packed splits and the statistics of the targets over all series."""
    packing: dict[SplitName, _Packing] = {}
    train_parts = []
    for one, scale in zip(series, scales, strict=True):
        stretch = stretches(one, settings)
        train = one.values[: inputs.targets, : stretch["train"][1]]
        change = seasonal_change(train, inputs.season or 1)
        train_parts.append((train, change))
        facts = np.r_[scale.mean[: inputs.targets], scale.std[: inputs.targets], change]
        for split, (first, after) in stretch.items():
            _add(packing.setdefault(split, _Packing()), one, scaled(one.values, scale), (first, after), inputs, facts)
    columns = [f"{kind}.{i}" for kind in ("offset", "scale", "change") for i in range(inputs.targets)]
    parts: dict[SplitName, Part] = {}
    for split, held in packing.items():
        frame = pd.DataFrame(np.concatenate(held.scales), columns=columns)
        parts[split] = Part(np.concatenate(held.values, axis=1), np.concatenate(held.starts), held.ids, columns=frame)
    return parts, tuple(_target(inputs.channels[i], i, train_parts) for i in range(inputs.targets))


def _add(
    held: _Packing,
    one: OneSeries,
    values: NDArray[np.float32],
    stretch: tuple[int, int],
    inputs: ForecastInputs,
    facts: NDArray[np.float64],
) -> None:
    """Add the windows of one series that forecast steps of a stretch, and the values they need."""
    first, after = max(stretch[0], inputs.window), stretch[1]
    begin = first - inputs.window
    at = np.arange(first, after - inputs.horizon + 1)
    known = ~np.isnan(values[: inputs.targets])
    some = np.concatenate([[0], known.any(axis=0).cumsum()])
    at = at[some[at + inputs.horizon] > some[at]]  # windows without any known truth teach and test nothing
    held.values.append(values[:, begin:after])
    held.starts.append(at - begin + held.used)
    held.ids += [f"{one.name}{WINDOW_MARK}{one.steps[i]}" for i in at]
    held.scales.append(np.tile(facts, (len(at), 1)))
    held.used += after - begin


def scale_of(values: NDArray[np.float64], name: str, inputs: ForecastInputs, where: str) -> SeriesScale:
    """Return mean and deviation of each channel (C, S) of a series."""
    known = (~np.isnan(values)).sum(axis=1)
    if (known < 2).any():
        channel = inputs.channels[int((known < 2).argmax())]
        raise DataError(f"{where}: series '{name}': '{channel}' has no known training steps", fix="leave it out")
    std = np.nanstd(values, axis=1)
    std = np.where(std > 1e-12, std, 1.0)
    return SeriesScale(name=name, mean=tuple(np.nanmean(values, axis=1).tolist()), std=tuple(std.tolist()))


def seasonal_change(train: NDArray[np.float64], season: int) -> NDArray[np.float64]:
    """Return the mean absolute change over one season, the denominator of MASE (Hyndman and Koehler 2006), (T,)."""
    changes = np.abs(train[:, season:] - train[:, :-season])
    with np.errstate(invalid="ignore"):
        return np.array([np.nanmean(c) if np.isfinite(c).any() else np.nan for c in changes])


def _target(name: str, i: int, parts: list[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Target:
    values = np.concatenate([train[i] for train, _ in parts])
    change = float(np.nanmean([c[i] for _, c in parts]))
    return Target(name=name, mean=float(np.nanmean(values)), std=float(np.nanstd(values)) or 1.0,
                  change=change if np.isfinite(change) else None)  # fmt: skip


def refuse_copies(series: list[OneSeries], inputs: ForecastInputs, where: str) -> None:
    """Refuse a channel that holds what is to be forecast: the target's future, or the target itself as known."""
    past = len(inputs.channels) - inputs.known
    values = max((s.values for s in series), key=lambda v: v.shape[1])
    for c in range(inputs.targets, len(inputs.channels)):
        for i in range(inputs.targets):
            for ahead in range(0 if c >= past else 1, inputs.horizon + 1):
                now, then = values[c, : values.shape[1] - ahead], values[i, ahead:]
                both = ~(np.isnan(now) | np.isnan(then))
                if both.sum() < 50 or np.ptp(then[both]) == 0:
                    continue
                if np.isclose(now[both], then[both]).mean() > _COPY:
                    raise DataError(
                        f"{where}: '{inputs.channels[c]}' equals '{inputs.channels[i]}' {ahead} steps later: it tells "
                        "the future", fix="leave it out of data.channels and data.known",
                    )  # fmt: skip


def _missing_notes(series: list[OneSeries], names: tuple[str, ...]) -> list[str]:
    notes = []
    for c, name in enumerate(names):
        if gone := sum(int(np.isnan(s.values[c]).sum()) for s in series):
            notes.append(f"'{name}': {gone:,} values are missing: the last known one stands in, none is a truth")
    return notes
