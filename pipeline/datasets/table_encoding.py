"""Tables to one float matrix. Everything here is fitted on training rows and then applied to all splits.

Bin edges for the piecewise-linear encoding (Gorishniy et al. 2022, "On Embeddings for Numerical Features") are half
quantiles of the values and half quantiles of the distinct values, so that spikes do not eat all bins. What a spike says
by itself (no capital gain, 40 hours a week) is no point on a line: the frequent values of such columns are atoms.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import CategoricalColumn, NumericColumn, TableInputs, Task
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets.dates import EPOCH, are_dates, days, first_day

_SPIKE = 0.2
"""Share of the rows that the most common value of a column must hold for the column to have atoms."""
_MOST_ATOMS = 128


def as_numbers(values: pd.Series) -> NDArray[np.float64] | None:
    """Return the column as numbers with NaN for missing, or None if some value is no finite number."""
    numbers = np.array(pd.to_numeric(values, errors="coerce"), dtype=float)
    numbers[~np.isfinite(numbers)] = np.nan
    known = np.asarray(values.notna())
    return None if np.isnan(numbers[known]).any() or not known.any() else numbers


def fit_table(
    train: pd.DataFrame, columns: list[str], settings: DataSettings, task: Task
) -> tuple[TableInputs, list[str]]:
    """Return the columns' fitted statistics and the notes on what was merged, filled or left out."""
    notes: list[str] = []
    bins = settings.bins or usual_bins(len(train), task)
    fitted: list[NumericColumn | CategoricalColumn] = []
    for name in columns:
        values = train[name]
        if values.nunique(dropna=False) < 2:
            notes.append(f"column '{name}' is constant in training and left out")
            continue
        numbers, since = as_numbers(values), None
        if numbers is None and _read_as_dates(values, settings):
            since = first_day(values)
            numbers = days(values, since)
            notes.append(f"column '{name}' holds dates and is read as days since {since}, the first in training")
        if numbers is None:
            fitted.append(_categorical(name, values, settings.min_category_rows, notes))
        else:
            fitted.append(_numeric(name, numbers, bins, notes, since))
    if not fitted:
        raise DataError(f"{settings.name}: no input column is left", fix="check data.exclude and data.sensitive")
    return TableInputs(columns=tuple(fitted), rows=len(train)), notes


def encode_table(frame: pd.DataFrame, inputs: TableInputs, where: str) -> NDArray[np.float32]:
    """Return (N, P) float32 as described by TableInputs."""
    places: list[NDArray[Any]] = []
    flags: list[NDArray[Any]] = []
    for column in inputs.columns:
        coded, gone = encode_column(frame[column.name], column, where)
        places.append(coded)
        if column.kind == "numeric" and column.missing:
            flags.append(gone)
    return np.stack([*places, *flags], axis=1).astype(np.float32)


def encode_column(
    cells: pd.Series, column: NumericColumn | CategoricalColumn, where: str
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the number that stands for each cell (N,), and which cells are missing (N,)."""
    gone = cells.isna().to_numpy(bool)
    if column.kind == "categorical":
        codes = {value: i + 1 for i, value in enumerate(column.categories)}
        # A loop over a list takes a third of the time of two Series.map.
        coded = [codes.get("(missing)" if v is None else v, 0) for v in cells.tolist()]
        return np.array(coded, np.float32), gone
    if column.since is not None:
        found = days(cells, column.since)
        _refuse(cells, np.isnan(found) & ~gone, column, where)
        return filled(found, column)
    numbers = np.full(len(cells), np.nan) if gone.all() else as_numbers(cells)
    if numbers is None:
        _refuse(cells, np.asarray(pd.to_numeric(cells, errors="coerce").isna() & cells.notna()), column, where)
        raise AssertionError(column.name)
    return filled(numbers, column)


def filled(numbers: NDArray[np.float64], column: NumericColumn) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return numbers with the column's median where they are NaN (N,), and where that is (N,)."""
    gone = np.isnan(numbers)
    return np.where(gone, column.median, numbers), gone


def _refuse(cells: pd.Series, wrong: NDArray[np.bool_], column: NumericColumn, where: str) -> None:
    """Refuse cells that are not what the column holds in training, if there are any."""
    if not wrong.any():
        return
    at, kind = int(wrong.argmax()), "a number" if column.since is None else "an ISO date"
    other = "" if column.since is None else ", or read all dates as categories: data.dates=[]"
    raise DataError(
        f"{where}: column '{column.name}' is {kind} in training, but not in {wrong.sum():,} rows here, the "
        f"first is {cells.iloc[at]!r} at {cells.index[at]}",
        fix=f"repair the cells, or add their text to data.missing{other}",
    )


def _read_as_dates(values: pd.Series, settings: DataSettings) -> bool:
    """Say whether a column of training cells is read as dates; one that is declared and holds others is refused."""
    if settings.dates == "auto":
        return are_dates(values)
    if values.name not in settings.dates:
        return False
    if are_dates(values):
        return True
    wrong = np.isnan(days(values, EPOCH)) & values.notna().to_numpy(bool)
    if not wrong.any():
        raise DataError(f"{settings.name}: column '{values.name}' (data.dates) has dates with a time zone and without",
                        fix="give all of them a zone, or none")  # fmt: skip
    at = int(wrong.argmax())
    raise DataError(
        f"{settings.name}: column '{values.name}' (data.dates) has {wrong.sum():,} training cells that are no ISO "
        f"dates, the first is {values.iloc[at]!r} at {values.index[at]}",
        fix="repair the cells, or add their text to data.missing",
    )


def usual_bins(rows: int, task: Task) -> int:
    """Return how many bins pay on this many training rows; numbers to predict want finer ones than classes."""
    if rows < 2_000:
        return 16
    return 256 if task == "regression" or rows >= 50_000 else 128


def quantile_edges(values: NDArray[np.float64], bins: int) -> tuple[float, ...]:
    """Return at most `bins` + 1 increasing edges that span the values; the values themselves if they are so few."""
    distinct = np.unique(values.astype(np.float32))
    if len(distinct) <= bins + 1:
        return tuple(float(e) for e in distinct)
    half = max(2, (bins + 2) // 2)
    shares = np.linspace(0, 1, half)
    edges = np.concatenate([np.quantile(values, shares), np.quantile(np.unique(values), shares)])
    return tuple(float(e) for e in np.unique(edges.astype(np.float32)))


def frequent_values(values: NDArray[np.float64], rows: int) -> tuple[float, ...]:
    """Return the atoms of a column with these known values in `rows` rows, increasing; none if it has no spike."""
    distinct, counts = np.unique(values.astype(np.float32), return_counts=True)
    if counts.max() < _SPIKE * rows:
        return ()
    frequent = np.argsort(-counts, kind="stable")[:_MOST_ATOMS]
    frequent = frequent[counts[frequent] >= max(15, rows / 2_000)]
    return tuple(float(v) for v in np.sort(distinct[frequent]))


def _numeric(name: str, numbers: NDArray[np.float64], bins: int, notes: list[str], since: str | None) -> NumericColumn:
    known = numbers[~np.isnan(numbers)]
    gone = len(numbers) - len(known)
    atoms = frequent_values(known, len(numbers))
    column = NumericColumn(name=name, edges=quantile_edges(known, bins), median=float(np.median(known)),
                           missing=gone > 0, atoms=atoms, since=since)  # fmt: skip
    if gone:
        filling = column.said(column.median)
        notes.append(f"column '{name}': {gone:,} missing training values are filled with {filling} and marked")
    return column


def _categorical(name: str, values: pd.Series, least: int, notes: list[str]) -> CategoricalColumn:
    counts = values.map(lambda v: "(missing)" if v is None else v).value_counts()
    kept = sorted(str(v) for v, n in counts.items() if n >= least)
    rare = len(counts) - len(kept)
    if rare:
        notes.append(
            f"column '{name}': {rare} categor{'y' if rare == 1 else 'ies'} with fewer than {least} training rows "
            f"share{'s' if rare == 1 else ''} one code"
        )
    mode = str(counts.index[0])
    return CategoricalColumn(name=name, categories=tuple(kept), mode=kept.index(mode) + 1 if mode in kept else 0)
