"""Files of series to forecast: long tables (a line per moment, several series by an id) and wide ones (a line each).

Every series is checked on its own: moments in order and without repetition, steps of one length.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.csv_table import hollow_lines
from pipeline.datasets.rows import read_rows
from pipeline.datasets.table_encoding import as_numbers
from pipeline.datasets.times import moments

_GAP = 1.5
"""Steps longer than this many usual ones are gaps (months differ by less)."""
_MOST_FILLED = 0.2


@dataclass(frozen=True)
class OneSeries:
    """Values (C, S), NaN where missing, and what each step is called; `given` steps at the end are a given test."""

    name: str
    values: NDArray[np.float64]
    steps: list[str]
    given: int = 0


def channel_names(settings: DataSettings) -> tuple[str, ...]:
    """Return target, past and known channels in order."""
    names = (*settings.targets, *settings.channels, *settings.known)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"data: column '{twice[0]}' stands in two of target, channels and known", fix="keep one")
    return names


def read_long(path: Path, settings: DataSettings) -> tuple[list[OneSeries], list[str]]:
    """Return the series of a table with a line per moment, and notes."""
    frame = read_rows(path, settings)
    notes = hollow_lines(path, frame)
    if notes and settings.time is None:
        raise DataError(f"{path}: {notes[0]}", fix="write NA for missing values, or name the time column (data.time)")
    frame = frame.set_axis([f"line {i + 1 + settings.header}" for i in range(len(frame))], axis=0)
    names = channel_names(settings)
    unknown = [n for n in (*names, settings.series_id) if n is not None and n not in frame]
    if unknown:
        raise DataError(f"{path}: no column '{unknown[0]}'", fix=f"columns: {', '.join(map(str, frame.columns[:20]))}")
    values = np.stack([_numbers(frame[name], path) for name in names])
    moment = None if settings.time is None else moments(frame[settings.time], str(path))
    words = frame.index.to_numpy(str) if settings.time is None else frame[settings.time].to_numpy(str)
    found = []
    for name, rows in _by_series(frame, settings, path):
        at = rows
        if moment is not None:
            at, more = _in_order(moment[rows], rows, f"{path}: series '{name}'", settings)
            notes += more
        held = np.full((len(names), len(at)), np.nan)
        held[:, at >= 0] = values[:, at[at >= 0]]
        found.append(OneSeries(name, held, [words[i] if i >= 0 else "(filled)" for i in at]))
    return found, _shortened(notes)


def read_wide(paths: dict[str, Path], settings: DataSettings) -> tuple[list[OneSeries], list[str]]:
    """Return one series per line: an id, then its values; a given test file continues the same series."""
    notes: list[str] = []
    tables = {split: _wide(path, settings, notes) for split, path in paths.items()}
    later = tables.get("test", {})
    lost = sorted(set(later) ^ set(tables["train"])) if later else []
    if lost:
        raise DataError(f"{paths['test']}: series '{lost[0]}' is not in both files", fix="give both the same series")
    found = []
    for name, values in tables["train"].items():
        rest = later.get(name, np.empty(0))
        whole = np.concatenate([values, rest])[None]
        found.append(OneSeries(name, whole, [str(i + 1) for i in range(whole.shape[1])], len(rest)))
    return found, notes


def _wide(path: Path, settings: DataSettings, notes: list[str]) -> dict[str, NDArray[np.float64]]:
    named = replace(settings, target=None, channels=(), known=(), text=())
    frame = read_rows(path, named)
    notes += hollow_lines(path, frame)
    column = settings.series_id or str(frame.columns[0])
    if column not in frame:
        raise DataError(f"{path}: no column '{column}' (data.series_id)", fix=f"the first is '{frame.columns[0]}'")
    if frame[column].duplicated().any():
        twice = frame[column][frame[column].duplicated()].iloc[0]
        raise DataError(f"{path}: series '{twice}' stands in two lines", fix="give every series one line")
    cells = frame.drop(columns=column)
    values = np.stack([_numbers(cells[name], path) for name in cells.columns], axis=1)
    last = [int(np.flatnonzero(~np.isnan(row)).max(initial=-1)) + 1 for row in values]
    return {str(name): row[:end] for name, row, end in zip(frame[column], values, last, strict=True)}


def _numbers(cells: pd.Series, path: Path) -> NDArray[np.float64]:
    if cells.isna().all():
        return np.full(len(cells), np.nan)
    numbers = as_numbers(cells)
    if numbers is None:
        wrong = (pd.to_numeric(cells, errors="coerce").isna() & cells.notna()).to_numpy()
        at = int(wrong.argmax())
        raise DataError(f"{path}, {cells.index[at]}: '{cells.name}' is no number: {cells.iloc[at]!r}",
                        fix="repair the cell, or add its text to data.missing")  # fmt: skip
    return numbers


def _by_series(frame: pd.DataFrame, settings: DataSettings, path: Path) -> Iterator[tuple[str, NDArray[np.int64]]]:
    if settings.series_id is None:
        yield settings.name, np.arange(len(frame))
        return
    names = frame[settings.series_id]
    if names.isna().any():
        where = frame.index[int(names.isna().to_numpy().argmax())]
        raise DataError(f"{path}, {where}: no '{settings.series_id}' (data.series_id)", fix="name the series")
    for name, rows in names.groupby(names, sort=True).indices.items():
        yield str(name), np.sort(rows)


def _in_order(
    moment: NDArray[np.float64], rows: NDArray[np.int64], where: str, settings: DataSettings
) -> tuple[NDArray[np.int64], list[str]]:
    """Return the rows in the order of time, -1 where a step is missing, and notes."""
    order = np.argsort(moment, kind="stable")
    notes = []
    if unsorted := int((np.diff(moment) < 0).sum()):
        notes.append(f"{where}: {unsorted:,} lines are out of order and were sorted by '{settings.time}'")
    moment, rows = moment[order], rows[order]
    steps = np.diff(moment)
    if (steps == 0).any():
        at = int((steps == 0).argmax())
        raise DataError(f"{where}: {int((steps == 0).sum()):,} moments stand there twice, the first in data row "
                        f"{rows[at + 1] + 1}", fix="keep one line per moment, or name data.series_id")  # fmt: skip
    usual = float(np.median(steps)) if len(steps) else 1.0
    gaps = np.flatnonzero(steps > _GAP * usual)
    if not len(gaps):
        return rows, notes
    missing = np.round(steps[gaps] / usual).astype(int) - 1
    told = f"{len(gaps):,} gaps, {int(missing.sum()):,} steps in all; the first after data row {rows[gaps[0]] + 1}"
    if settings.gaps != "fill":
        raise DataError(f"{where}: {told}", fix="complete the file, or data.gaps=fill: those steps count as missing")
    if missing.sum() > _MOST_FILLED * len(rows):
        raise DataError(f"{where}: {told}: too many to fill", fix="give a series with regular steps")
    filled = np.insert(rows, np.repeat(gaps + 1, missing), -1)
    return filled, [*notes, f"{where}: {told}; they count as missing (data.gaps=fill)"]


def _shortened(notes: list[str]) -> list[str]:
    return notes if len(notes) <= 5 else [*notes[:5], f"the same holds for {len(notes) - 5:,} more series"]
