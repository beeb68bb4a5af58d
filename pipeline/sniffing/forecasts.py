"""Series to forecast: one table with a line per moment, or tables with a line per series."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.contracts import ForecastInputs
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.forecast_tables import OneSeries, read_long, read_wide
from pipeline.datasets.forecasts import default_window, refuse_copies, stretches
from pipeline.datasets.times import moments
from pipeline.sniffing.files import file_keys
from pipeline.sniffing.found import Found, Wishes, counted, listed
from pipeline.sniffing.rows import Raw

_HOUR, _DAY = 3600.0, 86400.0
_SEASONS = (
    ("a minute", 60, 60, 1440, "a day"),
    ("5 minutes", 300, 300, 288, "a day"),
    ("10 minutes", 600, 600, 144, "a day"),
    ("a quarter of an hour", 900, 900, 96, "a day"),
    ("half an hour", 1800, 1800, 48, "a day"),
    ("an hour", _HOUR, _HOUR, 24, "a day"),
    ("a day", _DAY, _DAY, 7, "a week"),
    ("a week", 7 * _DAY, 7 * _DAY, 52, "a year"),
    ("a month", 28 * _DAY, 31 * _DAY, 12, "a year"),
    ("a quarter", 90 * _DAY, 92 * _DAY, 4, "a year"),
)
"""Usual step, its shortest and longest seconds, steps of the usual season, what that is."""
_NAMED = {"hourly": 24, "daily": 7, "weekly": 52, "monthly": 12, "quarterly": 4}
_LEAST_SEASONS = 4
_MOST_CHANNELS = 30
_LEAST_WIDE = 20
_LEAST_LINES = 5
"""Lines per series, on average, for a column to tell series apart."""


def is_wide(raw: Raw, wishes: Wishes) -> bool:
    """Tell a table with a line per series: an id of its own in each line, then numbers alone."""
    frame = raw.frames["train"]
    name = wishes.id or raw.columns[0]
    rest = [c for c in raw.columns if c != name]
    if wishes.time or wishes.target or len(rest) < _LEAST_WIDE or not frame[name].is_unique:
        return False
    numbers = set(raw.kinds.numbers)
    return name not in raw.kinds.dates and all(c in numbers or frame[c].isna().all() for c in rest)


def looks_continued(raw: Raw) -> bool:
    """Tell train and test files of the same series, which are to be forecast though nobody said horizon=."""
    first = raw.columns[0]
    later = raw.frames.get("test")
    if later is None or first not in later or not is_wide(raw, Wishes()):
        return False
    return len(later.columns) != len(raw.columns) and set(later[first]) == set(raw.frames["train"][first])


def sniff_forecast(raw: Raw, wishes: Wishes) -> Found:
    """Return series to forecast; prepare's own code reads and cuts them.

    Raises:
        ConfigError: it cannot be told what is to be forecast.
        DataError: lines that are no regular series, or too few of them.
    """
    if wishes.sensitive or wishes.group_by or wishes.weight or wishes.task or wishes.text:
        raise ConfigError(
            "init: sensitive=, group_by=, weight=, task= and text= say nothing of a forecast", fix="leave them out"
        )
    found = Found("forecast", "forecast", file_keys(raw.files) | raw.keys | {"horizon": wishes.horizon})
    if wishes.val_fraction:
        found.keys["val_fraction"] = wishes.val_fraction
    series = _wide(found, raw, wishes) if is_wide(raw, wishes) else _long(found, raw, wishes)
    found.facts += raw.facts
    steps = [s.values.shape[1] for s in series]
    found.what = (
        f"{counted(len(series), 'series', 'series')} of {_between(steps)} steps; forecast, {wishes.horizon} steps ahead"
    )
    settings = found.settings()
    window = _window(series, settings, raw)
    cut = stretches(max(series, key=lambda s: s.values.shape[1]), settings)
    told = ", ".join(f"{name} {b - a:,}" for name, (a, b) in cut.items())
    found.facts.append(f"split by time, steps of {'the longest' if len(series) > 1 else 'the'} series: {told}")
    found.facts.append(f"looks back on {window:,} steps (data.window)")
    if gone := int(sum(np.isnan(s.values).sum() for s in series)):
        found.facts.append(f"{counted(gone, 'value')} missing: the last known one stands in, none is a truth")
    found.work = "forecast values"
    found.amount = float(sum(steps) * (len(settings.targets) + len(settings.channels) or 1))
    found.packed = found.amount * 4.5 + sum(steps) * 12
    return found


def _window(series: list[OneSeries], settings: DataSettings, raw: Raw) -> int:
    """Return the steps looked back on; too short series are refused."""
    window, horizon = default_window(series, settings), settings.horizon or 1
    shortest = min(stretches(s, settings)["train"][1] for s in series)
    if shortest < window + horizon:
        raise DataError(f"{raw.where}: the shortest series has {max(shortest, 0):,} training steps, too few for "
                        f"horizon={horizon}", fix="say a lower horizon, or leave short series out")  # fmt: skip
    return window


def _between(steps: Sequence[int]) -> str:
    return f"{min(steps):,}" if min(steps) == max(steps) else f"{min(steps):,} to {max(steps):,}"


def _wide(found: Found, raw: Raw, wishes: Wishes) -> list[OneSeries]:
    found.keys["series_layout"] = "wide"
    raw.files.pop("val", None)
    found.keys.pop("val_file", None)
    if wishes.id:
        found.keys["series_id"] = wishes.id
    for word, season in _NAMED.items():
        if re.search(word, raw.where, re.I):
            _season(found, season, min(len(raw.columns), 10**9), f"by '{word}' in the file's name")
            break
    series, notes = read_wide({str(k): v for k, v in raw.files.items()}, found.settings())
    found.facts += [f"a line per series, its name in '{wishes.id or raw.columns[0]}'", *notes[:3]]
    if given := min(s.given for s in series):
        found.facts.append(f"{raw.files['test'].name}: {given:,} more steps of each, for testing")
        if given < (wishes.horizon or 1):
            raise DataError(f"{raw.files['test']}: {given:,} steps, horizon={wishes.horizon} needs more",
                            fix=f"horizon={given}")  # fmt: skip
    return series


def _long(found: Found, raw: Raw, wishes: Wishes) -> list[OneSeries]:
    if "test" in raw.files or "val" in raw.files:
        others = listed([f.name for s, f in raw.files.items() if s != "train"])
        raise DataError(f"{raw.where}: a forecast from one table is split by time, {others} cannot be used",
                        fix="put all steps into one file, alone in its folder or with another name")  # fmt: skip
    time = wishes.time or next((c for c in raw.kinds.dates if c not in wishes.target), None)
    id_column = wishes.id or _series_column(raw, time)
    numbers = [c for c in raw.columns if c not in (time, id_column) and c in raw.kinds.numbers]
    target = list(wishes.target) or numbers
    if not target or (len(target) > 1 and not wishes.target):
        raise ConfigError(f"{raw.where}: {len(numbers)} columns of numbers; which are to be forecast?",
                          fix=f"target=<column> or several: target=[{','.join(numbers[:3])}]")  # fmt: skip
    found.keys["target"] = target[0] if len(target) == 1 else target
    if not wishes.target:
        found.facts.append(f"target not given: '{target[0]}' is the only column of numbers")
    found.keys |= {"time": time} if time else {}
    found.keys |= {"series_id": id_column} if id_column else {}
    series = _read_long(found, raw)
    _window(series, found.settings(), raw)
    channels = _channels(found, raw, [c for c in numbers if c not in target], target)
    if time is None:
        found.facts.append("no column of dates: lines are taken in their order; say time=<column> if one orders them")
    else:
        found.facts.append(f"in the order of '{time}'" + (f", a series per '{id_column}'" if id_column else ""))
        _season_of(found, raw, time, max(s.values.shape[1] for s in series))
    found.facts.append(
        f"forecasts {listed(target)}" + (f"; looks back on {listed(channels)} as well" if channels else "")
    )
    if unread := [c for c in raw.columns if c not in (time, id_column, *target, *channels)]:
        found.facts.append(f"not read: {listed(unread)}")
    if channels:
        found.hints.append("move columns that are known for the future (calendar, prices) to data.known")
    return series


def _series_column(raw: Raw, time: str | None) -> str | None:
    """Return the one column of texts that tells series apart where moments repeat."""
    frame = raw.frames["train"]
    if time is None or not frame[time].duplicated().any():
        return None
    able = [c for c in raw.columns if c != time and frame[c].nunique() > 1 and not frame.duplicated([c, time]).any()]
    able = [c for c in able if _LEAST_LINES * frame[c].nunique() <= len(frame)]
    able = [c for c in able if c not in raw.kinds.numbers or c.lower().endswith(("id", "nr", "number"))]
    return able[0] if len(able) == 1 else None


def _read_long(found: Found, raw: Raw) -> list[OneSeries]:
    """Read the targets; where moments are missing, say so and count them as missing values."""
    try:
        series, notes = read_long(raw.files["train"], found.settings())
    except DataError:
        try:
            series, notes = read_long(raw.files["train"], found.settings(gaps="fill"))
        except DataError as mistake:
            fix = str(mistake.fix).replace("name data.series_id", "say id=<column> where there are several series")
            raise DataError(mistake.message, fix=fix) from None
        found.keys["gaps"] = "fill"
        found.warnings += [f"WARNING {_short(note, raw)}" for note in notes[:2] if "data.gaps" in note]
        notes = [note for note in notes if "data.gaps" not in note]
    found.facts += [_short(note, raw) for note in notes[:2]]
    return series


def _short(note: str, raw: Raw) -> str:
    name = raw.files["train"].name.partition(".")[0]
    return note.removeprefix(f"{raw.where}: ").replace(f"series '{name}': ", "")


def _channels(found: Found, raw: Raw, others: list[str], target: Sequence[str]) -> list[str]:
    """Return the other columns of numbers, without those that tell the target's future."""
    kept, told = [], []
    names = others[:_MOST_CHANNELS]
    settings = found.settings(channels=names)
    whole, _ = read_long(raw.files["train"], settings)
    t = len(target)
    for i, name in enumerate(names):
        one = [replace(s, values=s.values[[*range(t), t + i]]) for s in whole]
        inputs = ForecastInputs(channels=(*target, name), targets=t, known=0, window=1,
                                horizon=settings.horizon or 1, season=None)  # fmt: skip
        try:
            refuse_copies(one, inputs, raw.where)
            kept.append(name)
        except DataError:
            told.append(name)
    if told:
        found.warnings.append(f"WARNING tells the future of the target, left out: {listed(told)}")
    if kept:
        found.keys["channels"] = kept
    return kept


def _season_of(found: Found, raw: Raw, time: str, steps: int) -> None:
    if time not in raw.kinds.dates:
        return
    frame, id_column = raw.frames["train"], found.keys.get("series_id")
    at = moments(frame[time], raw.where)
    names: Any = np.zeros(len(at)) if id_column is None else pd.factorize(frame[id_column])[0]
    order = np.lexsort((at, names))
    step = np.diff(at[order])[np.diff(names[order]) == 0]
    usual = float(np.median(step)) if len(step) else 0.0
    for name, least, most, season, what in _SEASONS:
        if 0.99 * least <= usual <= 1.01 * most:
            _season(found, season, steps, f"a step is {name}, a season {what}")
            return


def _season(found: Found, season: int, steps: int, reason: str) -> None:
    if steps < _LEAST_SEASONS * season:
        found.facts.append(f"no season: {reason}, but there are too few steps")
        return
    found.keys["season"] = season
    found.why["season"] = reason
    found.facts.append(f"season {season} ({reason}); data.season takes another")
