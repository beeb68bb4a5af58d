"""The times of steps: numbers or ISO dates, their order and how regular they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets.rows import place_of
from pipeline.datasets.times import one_clock

_SAME = 0.01
"""Distances that differ by less than this share count as equal; times are often rounded."""


def read_times(path: Path, settings: DataSettings, cells: pd.Series) -> NDArray[Any]:
    """Return the time of each line: int64, float64 or datetime64 (in UTC where the file gives a zone).

    Raises:
        DataError: a cell is missing, or neither a number nor an ISO date like the others.
    """
    column, text = str(cells.name), cells.to_numpy(object)
    numbers = np.asarray(pd.to_numeric(pd.Series(text, dtype=object), errors="coerce"))
    wrong, kind = ~np.isfinite(numbers), "number"
    if not wrong.any():
        return numbers
    if wrong.mean() > 0.5:
        dates = pd.to_datetime(pd.Series(text, dtype=object), format="ISO8601", utc=True, errors="coerce")
        if dates.notna().all():
            one_clock(cells, str(path))
            return dates.dt.tz_localize(None).to_numpy()
        wrong, kind = np.asarray(dates.isna()), "ISO date"
    row = int(np.argmax(wrong))
    where = f"{place_of(path, settings, row)}, column '{column}'"
    what = "no time" if text[row] is None else f"'{text[row]}' is no {kind}"
    raise DataError(f"{where}: {what} ({wrong.sum():,} such lines)", fix="write numbers, or dates as 2024-01-31T13:00")


def out_of_order(series: NDArray[np.int64], times: NDArray[Any]) -> int:
    """Count lines whose time lies before that of the line of the same series above them in the file."""
    by_series = np.argsort(series, kind="stable")
    same, later = np.diff(series[by_series]) == 0, times[by_series]
    return int((same & (later[1:] < later[:-1])).sum())


def irregular(series: NDArray[np.int64], times: NDArray[Any]) -> list[str]:
    """Return notes on steps at another distance than is usual, which is the median, in their series.

    Args:
        series: number of the series of each line, sorted.
        times: time of each line, rising within a series. Dates on the same day of each month count in months.
    """
    inside = np.flatnonzero(np.diff(series) == 0)
    if not len(inside):
        return []
    of = series[inside]
    steps = np.diff(_even(times))[inside].astype(float)
    sizes = np.bincount(of)
    firsts = np.cumsum(sizes) - sizes
    middle = (firsts + (sizes - 1) // 2)[sizes > 0]
    usual = np.full(len(sizes), np.nan)
    usual[sizes > 0] = steps[np.lexsort((steps, of))][middle]
    odd = np.abs(steps - usual[of]) > _SAME * usual[of]
    notes = []
    if odd.any():
        many = f"{odd.sum():,} of {len(steps):,} steps, in {len(np.unique(of[odd])):,} of {len(middle):,} series"
        notes.append(f"{many}, are not at the distance usual in their series (gaps; nothing is filled in)")
    known = usual[sizes > 0]
    if known.max() > (1 + _SAME) * known.min():
        notes.append("the usual distance between steps is not the same in all series")
    return notes


def _even(times: NDArray[Any]) -> NDArray[Any]:
    """Return times as numbers; months, which differ in length, as their number."""
    if times.dtype.kind != "M":
        return times
    for days in (0, 1):  # first or any other day of the month; its last day
        moved = times + np.timedelta64(days, "D")
        months = moved.astype("datetime64[M]")
        within = moved - months
        if (within == within[0]).all():
            return months.astype(np.int64)
    return times.astype(np.int64)
