"""Checks of a table before training: columns that give the target away, name the row or the date, or hold no number.

All take a frame of text cells (None is missing) as `rows.read_rows` gives it, and change nothing. What to do about a
finding, refuse, leave out or tell, is the caller's choice.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.seeds import stream
from pipeline.datasets.dates import are_dates
from pipeline.datasets.table_encoding import as_numbers

_SAME_ORDER = 0.9999
_LEAST_NUMBERS = 10
"""Rows from which the same order is no chance."""
_LEAST_IDS = 50
_SHUFFLES = 50
_NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.I)
_LARGEST = float(np.finfo(np.float32).max)
_UNBALANCED = 10
_NEARLY_ALL = 0.95
_SAMPLE = 300
_TIME_NAME = re.compile(r"year|date|time", re.I)
_DATE_SIGNS = re.compile(r"\d.*[-/.:, ]|[-/.:, ].*\d", re.S)
_DAYS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%y", "%d/%m/%y",
         "%m/%d/%y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y")  # fmt: skip
_FORMATS = ("ISO8601", *(day + clock for day in _DAYS for clock in ("", " %H:%M", " %H:%M:%S")), "%b %Y", "%B %Y",
            "%b-%Y", "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S %z")  # fmt: skip


def equal_to_target(frame: pd.DataFrame, target: str, columns: Sequence[str]) -> list[str]:
    """Return the columns that give the target away.

    Such a column is equal to the target; or each of its values stands with one target value and the other way round
    (missing cells aside, if at least half of the cells are known); or its values, missing being one, settle the
    target with fewer than half as many values as rows, where they would not settle a shuffled target; or both are
    numbers in the same or in the opposite order (Spearman correlation beyond 0.9999, at least 10 rows).
    """
    wanted = frame[target]
    classes = _kinds(wanted.to_numpy(object))
    numbers = _finite(wanted)
    if classes.max(initial=0) < 1:
        return []
    found = []
    for column in columns:
        values = np.asarray(pd.factorize(frame[column].to_numpy(object))[0], dtype=np.int64)
        if (
            np.array_equal(frame[column].to_numpy(object), wanted.to_numpy(object))
            or _one_to_one(values, classes)
            or _settles(np.where(values < 0, values.max(initial=0) + 1, values), classes)
            or (numbers is not None and _same_order(frame[column], numbers))
        ):
            found.append(column)
    return found


def _one_to_one(values: NDArray[np.int64], classes: NDArray[np.int64]) -> bool:
    """Tell whether the kinds of the known values (-1 is missing) group the rows as the classes do."""
    known = values >= 0
    if 2 * known.sum() < len(known):
        return False
    values = values[known]
    # Kinds are numbered as they appear, so that the same grouping of the rows gives the same numbers. A value of its
    # own for each row says nothing: any such column would group the rows alike.
    return 0 < values.max(initial=0) < len(values) - 1 and np.array_equal(values, _kinds(classes[known]))


def _settles(values: NDArray[np.int64], classes: NDArray[np.int64]) -> bool:
    kinds = len(pd.unique(values))
    if kinds < 2 or 2 * kinds >= len(values) or _pairs(values, classes) > kinds:
        return False
    rng = stream(0, "leaks")  # a rare class may fall on values of one row by chance
    return all(_pairs(values, rng.permutation(classes)) > kinds for _ in range(_SHUFFLES))


def _same_order(cells: pd.Series, target: NDArray[np.float64]) -> bool:
    from scipy.stats import rankdata

    values = _finite(cells)
    if values is None:
        return False
    both = ~np.isnan(values) & ~np.isnan(target)
    if both.sum() < max(_LEAST_NUMBERS, len(values) / 2):
        return False
    a, b = rankdata(values[both]), rankdata(target[both])
    return bool(a.std() and b.std() and abs(np.corrcoef(a, b)[0, 1]) > _SAME_ORDER)


def _kinds(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the number of the kind of each value, in the order of appearance; missing is a kind."""
    return np.asarray(pd.factorize(values, use_na_sentinel=False)[0], dtype=np.int64)


def _pairs(values: NDArray[np.int64], classes: NDArray[np.int64]) -> int:
    return len(pd.unique(values * (classes.max() + 1) + classes))


def id_like(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return the columns of whole numbers or texts with another value in every row, of at least 50 rows.

    ISO dates name no row: they are read as numbers.
    """
    if len(frame) < _LEAST_IDS:
        return []
    unique = [
        c for c in columns if frame[c].iloc[:_LEAST_IDS].is_unique and frame[c].is_unique and frame[c].notna().all()
    ]
    return [column for column in unique if not _has_fractions(frame[column]) and not are_dates(frame[column])]


def _has_fractions(cells: pd.Series) -> bool:
    numbers = _numbers(cells)
    numbers = numbers[np.isfinite(numbers)]
    return 2 * len(numbers) > len(cells) and bool((numbers % 1 != 0).any())


def imbalance_note(counts: Mapping[str, int]) -> str | None:
    """Return a note when the largest class has more than 10 times the training rows of the smallest."""
    if not counts:
        return None
    most, least = max(counts, key=lambda c: counts[c]), min(counts, key=lambda c: counts[c])
    if counts[most] <= _UNBALANCED * counts[least]:
        return None
    times = f"{counts[most] / counts[least]:,.0f} times" if counts[least] else "against"
    return (f"classes are out of balance: '{most}' has {counts[most]:,} training rows, {times} the {counts[least]:,} "
            f"of '{least}'; accuracy alone says little")  # fmt: skip


def time_like(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return the columns of dates: rows may have to be split by them, or their future told from their past.

    At least 95 % of the known cells are dates, as ISO or in a usual way of writing. Plain whole numbers are none,
    but for years from 1900 to 2100 in a column whose name speaks of year, date or time.
    """
    return [column for column in columns if _is_time(column, frame[column])]


def known_values(cells: pd.Series) -> NDArray[Any]:
    """Return the different known values; looking for missing ones among all cells would take most of the time."""
    values = cells.unique()
    return np.asarray(values[pd.notna(values)], dtype=object)


def _is_time(name: str, whole: pd.Series) -> bool:
    cells = pd.Series(known_values(whole), dtype=object)
    if cells.empty:
        return False
    numbers = _finite(cells)
    if numbers is not None:
        years = (numbers % 1 == 0) & (numbers >= 1900) & (numbers <= 2100)
        return bool(_TIME_NAME.search(name)) and bool(years.all())
    sample = cells.iloc[:: max(1, len(cells) // _SAMPLE)]
    if sample.str.contains(_DATE_SIGNS).mean() < _NEARLY_ALL / 2:  # trying all formats takes time
        return False
    formats = [f for f in _FORMATS if _dates(sample, (f,)).mean() > 1 - _NEARLY_ALL]
    if _dates(sample, formats).mean() < _NEARLY_ALL / 2:
        return False
    dates = cells[_dates(cells, formats) & cells.str.contains(_DATE_SIGNS).to_numpy(bool) & np.isnan(_numbers(cells))]
    return bool(whole.dropna().isin(dates).mean() >= _NEARLY_ALL)


def _dates(cells: pd.Series, formats: Sequence[str]) -> NDArray[np.bool_]:
    """Tell (N,) which cells are dates in one of the formats."""
    found = np.zeros(len(cells), dtype=bool)
    for form in formats:
        found |= np.asarray(pd.to_datetime(cells, format=form, errors="coerce", utc=True).notna())
    return found


def infinite_cells(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return one line for each number column with cells that float32 cannot hold and that are not declared as missing.

    Such are inf, nan and 1e39. A column counts as numbers if all its other known cells are, and there are any. The
    line tells how many such cells there are, and the first with its row.
    """
    found = []
    for column in columns:
        values = known_values(frame[column])
        numbers = _numbers(values)
        held = np.abs(numbers) <= _LARGEST
        if held.all() or not np.isfinite(numbers).any():
            continue
        if all(_NOT_FINITE.fullmatch(value) for value in values[np.isnan(numbers)]):
            strange = frame[column].isin(values[~held]).to_numpy(bool)
            cell, row = frame[column].iloc[int(strange.argmax())], frame.index[int(strange.argmax())]
            told = f"{strange.sum():,} cells are no finite numbers of 32 bits, the first '{cell}' at {row}"
            found.append(f"column '{column}': {told}")
    return found


def _finite(cells: pd.Series) -> NDArray[np.float64] | None:
    """Do what as_numbers does, but tell texts by the first few."""
    return None if as_numbers(cells.dropna().head(_LEAST_IDS)) is None else as_numbers(cells)


def _numbers(cells: pd.Series | NDArray[Any]) -> NDArray[np.float64]:
    return np.array(pd.to_numeric(pd.Series(cells, dtype=object), errors="coerce"), dtype=float)
