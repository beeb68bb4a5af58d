"""Raw tables and labelled texts to encoded rows."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import Intake, NumericColumn, TableInputs, TextInputs
from pipeline.core.errors import DataError
from pipeline.core.strict import nearest
from pipeline.datasets.bpe import read_pieces
from pipeline.datasets.dates import days
from pipeline.datasets.table_encoding import encode_column, filled
from pipeline.datasets.texts import cutter, encode_texts, joined
from pipeline.prediction.block import Block, Remarks, unusual
from pipeline.prediction.cells import Cells, Pick, cells_of

log = logging.getLogger("pipeline.predict")

_LARGEST = float(np.finfo(np.float32).max)


def wanted(columns: Sequence[str], intake: Intake) -> Pick:
    """Return what picks these columns; a file that lacks one is refused, columns new to it are told and not read."""

    def pick(where: str, names: Sequence[str]) -> Sequence[str]:
        for name in columns:
            if name not in names:
                near = nearest(name, list(names))
                fix = f"did you mean '{near}'?" if near else f"columns: {', '.join(names[:20])}"
                raise DataError(f"{where}: no column '{name}', which the network reads", fix=fix)
            if list(names).count(name) > 1:
                raise DataError(f"{where}: column '{name}' appears twice", fix="rename one of them")
        if strange := [name for name in names if intake.columns and name not in intake.columns]:
            log.info("%s: not read, because the training file had no such columns: %s", where, ", ".join(strange[:20]))
        return columns

    return pick


def table_blocks(source: Path | pd.DataFrame, intake: Intake, inputs: TableInputs) -> Iterator[Block]:
    """Yield encoded rows of a table."""
    pick = wanted([column.name for column in inputs.columns], intake)
    for cells in cells_of(source, intake.data, pick):
        yield _table_block(cells, inputs)


def _table_block(cells: Cells, inputs: TableInputs) -> Block:
    """Encode what is different in each column once, and look at it once; rows have it by its place."""
    remarks, reasons = Remarks(len(cells.ids)), Remarks(len(cells.ids))
    read = np.array([why is None for why in cells.refused])
    places, marks = [], []
    for column in inputs.columns:
        texts, at = cells.columns[column.name].values, cells.columns[column.name].at
        if column.kind == "numeric":
            coded, gone = _numbers(texts, at, column, remarks, reasons, read)
            if column.missing:
                marks.append(gone[at])
        else:
            coded, _ = encode_column(pd.Series(texts, dtype=object), column, "rows")
            remarks.add(read & (coded == 0)[at], lambda row, c=column.name, t=texts, p=at: _unknown(c, t[p[row]]))  # type: ignore[misc]
        places.append(coded.astype(np.float32)[at])
    x = np.stack([*places, *marks], axis=1).astype(np.float32, copy=False)
    if not reasons:
        return Block(ids=cells.ids, x=x[read], flags=remarks.listed(), refused=cells.refused)
    refused = [why or wrong for why, wrong in zip(cells.refused, reasons.listed(), strict=True)]
    kept = np.array([why is None for why in refused])
    flags = [None if why else flag for flag, why in zip(remarks.listed(), refused, strict=True)]
    return Block(ids=cells.ids, x=x[kept], flags=flags, refused=refused)


def _numbers(
    texts: NDArray[np.object_], at: NDArray[np.int64], column: NumericColumn, remarks: Remarks, reasons: Remarks,
    read: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:  # fmt: skip
    """Return the numbers that stand for different texts, and which texts are missing.

    Texts that are no numbers, or no dates where the column holds dates, are reasons to refuse their rows.
    """
    series = pd.Series(texts, dtype=object)
    is_date = column.since is not None
    read_as = days(series, column.since) if column.since is not None else pd.to_numeric(series, errors="coerce")
    numbers = np.array(read_as, dtype=np.float64)
    known = series.notna().to_numpy(bool)
    with np.errstate(invalid="ignore"):
        right = np.abs(numbers) <= _LARGEST
    what = "no ISO date, such as 2014-08-13 or 2014-08-13T06:03:42" if is_date else "no finite number of 32 bits"
    reasons.add((known & ~right)[at], lambda row: f"{column.name}: {texts[at[row]]!r} is {what}")
    remarks.add(read & ~known[at], f"{column.name} missing, {column.said(column.median)} stands in")
    numbers[~right] = np.nan
    coded, gone = filled(numbers, column)
    low, high = column.edges[0], column.edges[-1]
    beyond = (coded.astype(np.float32) < low) | (coded.astype(np.float32) > high)
    usual = f"{column.said(low, '.6g')} to {column.said(high, '.6g')}"
    remarks.add(read & beyond[at], lambda row: f"{column.name} {texts[at[row]]}, {usual} in training")
    return coded, gone


def _unknown(name: str, cell: str | None) -> str:
    return f"{name} {'missing' if cell is None else repr(cell)}, as in few training rows or none"


def text_blocks(source: Path | pd.DataFrame, intake: Intake, inputs: TextInputs) -> Iterator[Block]:
    """Yield encoded texts."""
    cut = cutter(read_pieces(intake.pieces) if intake.pieces else None)
    for cells in cells_of(source, intake.data, wanted(intake.data.text, intake)):
        remarks = Remarks(len(cells.ids))
        kept = np.flatnonzero([why is None for why in cells.refused])
        texts = cut(joined(cells.frame.iloc[kept], intake.data))
        x = encode_texts(texts, inputs)
        empty = np.zeros(len(cells.ids), bool)
        empty[kept] = ~x.any(axis=1)
        remarks.add(empty, "no words")
        unusual(x, inputs, intake, remarks, kept)
        yield Block(ids=cells.ids, x=x, flags=remarks.listed(), refused=cells.refused)
