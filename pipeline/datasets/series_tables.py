"""Labelled series from tables: long (a line is one step of a series) and wide (a line is a whole series)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.strict import nearest
from pipeline.datasets.csv_table import hollow_lines
from pipeline.datasets.rows import place_of, read_rows
from pipeline.datasets.series_times import irregular, out_of_order, read_times
from pipeline.datasets.tables import input_columns

_MOSTLY = 0.5
"""Share of numbers from which a column counts as numbers, so that its other cells are mistakes."""


@dataclass(frozen=True)
class SeriesRows:
    """Labelled series as a file gives them."""

    series: list[NDArray[np.float32]]
    """One array (C, own length) per series; NaN where a value is missing."""
    labels: list[str]
    ids: list[str]
    """What a series is called in results: the file's name, and the series or its row."""
    channels: tuple[str, ...]
    notes: tuple[str, ...] = ()
    weights: tuple[str | None, ...] = ()
    """One cell per series, where data.weight names a column."""


def read_long(path: Path, settings: DataSettings) -> SeriesRows:
    """Read one line per series and time; series are in the order of their first line, steps in the order of time.

    Raises:
        ConfigError: data.series_id or data.time is not set, or a setting names a column that is not there.
        DataError: a cell that is no number or no time, two lines of one series and time, a label or weight that
            changes.
    """
    return long_series(path, settings, read_rows(path, settings))


def long_series(path: Path, settings: DataSettings, frame: pd.DataFrame) -> SeriesRows:
    """Return the series of a long table whose lines are read already; see read_long."""
    series_id, time = settings.series_id, settings.time
    if series_id is None or time is None:
        raise ConfigError("data.series_id, data.time: not set", fix="name the columns with the series and the time")
    _check_columns(path, frame, settings)
    target = settings.targets[0]
    _no_gaps(path, settings, frame, series_id, "no series")
    _no_gaps(path, settings, frame, target, "no label")
    if settings.weight is not None:
        _no_gaps(path, settings, frame, settings.weight, "no weight")
    numbers, names = pd.factorize(frame[series_id])
    times = read_times(path, settings, frame[time])
    values, channels, notes = _channels(path, settings, frame.drop(columns=[series_id, time]))
    notes += hollow_lines(path, frame)
    if late := out_of_order(numbers, times):
        notes.append(f"{path.name}: {late:,} lines stood below a later time of their series; steps are sorted by time")
    classes, labels = pd.factorize(frame[target])
    order = np.lexsort((times, numbers))
    numbers, times, classes = numbers[order], times[order], classes[order]
    _check_times(path, numbers, times, names, frame[time], order)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(numbers)) + 1])
    _check_one(path, "label", numbers, classes, names, labels.rename(target))
    weights: tuple[str | None, ...] = ()
    if settings.weight is not None:
        kinds, cells = pd.factorize(frame[settings.weight])
        _check_one(path, "weight", numbers, kinds[order], names, cells.rename(settings.weight))
        weights = tuple(str(cells[i]) for i in kinds[order][starts])
    notes += [f"{path.name}: {note}" for note in irregular(numbers, times)]
    parts = [np.ascontiguousarray(part) for part in np.split(values[:, order], starts[1:], axis=1)]
    firsts = [str(labels[i]) for i in classes[starts]]
    return SeriesRows(parts, firsts, [f"{_short(path)}:{name}" for name in names], channels, tuple(notes), weights)


def read_wide(path: Path, settings: DataSettings) -> SeriesRows:
    """Read one line per series: label, perhaps an id, and the steps of one channel in the order of the columns.

    Missing cells at the end mean that the series has ended, others are missing values.

    Raises:
        ConfigError: data.time is set, or a setting names a column that is not there.
        DataError: a cell that is no number, a line without values or label, an id that stands there twice.
    """
    if settings.time is not None:
        raise ConfigError("data.time: in a wide table a line is a whole series, without a time column",
                          fix="give data.series_id too if a line is one step, or leave out data.time")  # fmt: skip
    frame = read_rows(path, settings)
    _check_columns(path, frame, settings)
    steps, notes = value_columns(settings, frame.drop(columns=settings.series_id or []))
    if not steps:
        raise DataError(f"{path}: no columns with steps", fix="give one column per step besides target and series_id")
    _no_gaps(path, settings, frame, settings.targets[0], "no label")
    cells = frame[steps].to_numpy(object)
    values = as_float32(cells.ravel()).reshape(cells.shape)
    known = np.asarray(pd.notna(cells), dtype=bool)
    if (wrong := known & ~np.isfinite(values)).any():
        row, place = (int(i) for i in np.argwhere(wrong)[0])
        _refuse(path, settings, row, steps[place], cells[row, place])
    lengths = np.where(known.any(axis=1), known.shape[1] - np.argmax(known[:, ::-1], axis=1), 0)
    if (lengths == 0).any():
        where = place_of(path, settings, int(np.argmin(lengths)))
        raise DataError(f"{where}: a series without values", fix="remove the line")
    series = [values[i : i + 1, :n].copy() for i, n in enumerate(lengths)]
    notes += hollow_lines(path, frame)
    if gone := sum(int(np.isnan(s).sum()) for s in series):
        notes.append(f"{path.name}: {gone:,} values inside of series are missing")
    if short := int((lengths < len(steps)).sum()):
        notes.append(f"{path.name}: {short:,} series end before the last of {len(steps):,} columns")
    labels, ids = list(frame[settings.targets[0]]), _wide_ids(path, settings, frame)
    weights = () if settings.weight is None else tuple(frame[settings.weight])
    return SeriesRows(series, labels, ids, ("value",), tuple(notes), weights)


def _short(path: Path) -> str:
    return path.name.removesuffix(".gz")


def _check_columns(path: Path, frame: pd.DataFrame, settings: DataSettings) -> None:
    """Refuse settings that name a column which is not there, or one column for two things."""
    asked = [("series_id", settings.series_id), ("time", settings.time), ("weight", settings.weight),
             *(("channels", c) for c in settings.channels)]  # fmt: skip
    taken = {settings.targets[0]: "target"}
    for key, column in asked:
        if column is None:
            continue
        if column not in frame:
            near = nearest(column, list(frame.columns))
            fix = f"did you mean '{near}'?" if near else f"columns: {', '.join(list(frame.columns)[:20])}"
            raise ConfigError(f"{path}: no column '{column}' (data.{key})", fix=fix)
        if column in taken:
            raise ConfigError(f"data.{key}: '{column}' is data.{taken[column]} already", fix="name another column")
        taken[column] = key


def value_columns(settings: DataSettings, frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return data.channels or all columns that may be inputs, and a note on those held back."""
    allowed, notes = input_columns(settings, frame)
    if held := [c for c in settings.channels if c not in allowed]:
        fix = "leave it out of data.channels, or out of data.exclude, or declare it in data.sensitive_inputs"
        raise ConfigError(f"data.channels: '{held[0]}' is excluded or sensitive", fix=fix)
    return list(settings.channels) or allowed, notes


def _channels(
    path: Path, settings: DataSettings, frame: pd.DataFrame
) -> tuple[NDArray[np.float32], tuple[str, ...], list[str]]:
    """Return values (C, lines) of the named or of all number columns, their names, and notes."""
    columns, notes = value_columns(settings, frame)
    values, left_out, gaps = {}, [], []
    for column in columns:
        cells = frame[column].to_numpy(object)
        numbers = as_float32(cells)
        known = np.asarray(frame[column].notna())
        right = known & np.isfinite(numbers)
        if not settings.channels and (not known.any() or (~np.isnan(numbers)).sum() < _MOSTLY * known.sum()):
            left_out.append(column)
            continue
        if (wrong := known & ~right).any():
            row = int(np.argmax(wrong))
            _refuse(path, settings, row, column, cells[row])
        values[column] = numbers
        if gone := int((~known).sum()):
            gaps.append(f"{gone:,} in '{column}'")
    if not values:
        raise DataError(f"{path}: no column of numbers besides series, time and target", fix="set data.channels")
    if left_out:
        notes.append(f"{path.name}: columns without numbers are no channels: {', '.join(left_out)}")
    if gaps:
        notes.append(f"{path.name}: values are missing, {', '.join(gaps)}")
    return np.stack(list(values.values())), tuple(values), notes


def as_float32(cells: NDArray[Any]) -> NDArray[np.float32]:
    """Return float32 numbers; NaN for a missing cell and for one that is no number, infinite for one too large."""
    with np.errstate(over="ignore"):
        return np.asarray(pd.to_numeric(pd.Series(cells, dtype=object), errors="coerce"), dtype=float).astype(
            np.float32
        )


def _refuse(path: Path, settings: DataSettings, row: int, column: str, cell: str) -> Never:
    where = place_of(path, settings, row)
    fix = "repair the cell, or add its text to data.missing if it means 'no value'"
    raise DataError(f"{where}, column '{column}': '{cell}' is not a finite number", fix=fix)


def _no_gaps(path: Path, settings: DataSettings, frame: pd.DataFrame, column: str, what: str) -> None:
    gone = np.asarray(frame[column].isna())
    if gone.any():
        where = place_of(path, settings, int(np.argmax(gone)))
        raise DataError(f"{where}: {what} in '{column}' ({gone.sum():,} such lines)", fix="fill or remove these lines")


def _check_times(
    path: Path, numbers: NDArray[Any], times: NDArray[Any], names: pd.Index, cells: pd.Series, order: NDArray[Any]
) -> None:
    """Refuse two lines of one series and time; `numbers` and `times` are sorted by `order`."""
    twice = (np.diff(numbers) == 0) & (times[1:] == times[:-1])
    if twice.any():
        at = int(np.argmax(twice))
        count = int(((numbers == numbers[at]) & (times == times[at])).sum())
        more = f"; {twice.sum():,} lines too many in all" if twice.sum() >= count else ""
        where = f"{path}: series '{names[numbers[at]]}' has {count:,} lines of time '{cells.iloc[order[at]]}'{more}"
        raise DataError(where, fix="keep one line per series and time, or check data.series_id")


def _check_one(
    path: Path, what: str, numbers: NDArray[Any], kinds: NDArray[Any], names: pd.Index, cells: pd.Index
) -> None:
    """Refuse a label or weight that changes within a series; line i has `cells[kinds[i]]`."""
    changes = (np.diff(numbers) == 0) & (np.diff(kinds) != 0)
    if changes.any():
        number = numbers[int(np.argmax(changes))]
        found = ", ".join(f"'{cells[i]}'" for i in pd.unique(kinds[numbers == number])[:5])
        raise DataError(f"{path}: series '{names[number]}' has several {what}s in '{cells.name}': {found}",
                        fix=f"give all lines of a series one {what}, or cut it into series of one {what}")  # fmt: skip


def _wide_ids(path: Path, settings: DataSettings, frame: pd.DataFrame) -> list[str]:
    if settings.series_id is None:
        return [f"{_short(path)}:{i + 1}" for i in range(len(frame))]
    _no_gaps(path, settings, frame, settings.series_id, "no series")
    names = frame[settings.series_id]
    if (twice := np.asarray(names.duplicated())).any():
        where = place_of(path, settings, int(np.argmax(twice)))
        fix = "give each series a name of its own, or set data.series_layout=long and data.time"
        raise DataError(f"{where}: series '{names[twice].iloc[0]}' stands there already", fix=fix)
    return [f"{_short(path)}:{name}" for name in names]
