"""Rows of text cells from files of any size, some at a time; a row that cannot be read is named, the rest goes on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets.csv_table import csv_lines, text_lines
from pipeline.datasets.members import is_archive, members
from pipeline.datasets.rows import LAYOUTS, SEPARATORS, cell_text, decoded, json_row

ROWS = 8192
"""Rows that are read, encoded and written together; bounds the memory."""

Pick = Callable[[str, Sequence[str]], Sequence[str]]
"""Name of a file and its columns to those that are wanted; refuses a file that lacks one."""
Row = tuple[str | None, tuple[str | None, ...] | str]
"""Name of a row where it has one of its own, and its cells, or why it has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cells:
    """Some rows in the order of the file."""

    frame: pd.DataFrame
    """The wanted columns as text, None where missing."""
    ids: list[str]
    refused: list[str | None]
    """Why a row cannot be read."""


def cells_of(source: Path | pd.DataFrame, settings: DataSettings, pick: Pick) -> Iterator[Cells]:
    """Yield the rows of a file, a folder of texts or a frame.

    Raises:
        DataError: no rows, no wanted column, or a file that cannot be read any further, with the line.
    """
    if isinstance(source, pd.DataFrame):
        yield from _frame(source, settings, pick)
        return
    if not source.exists():
        raise DataError(f"{source}: not found", fix="check the path")
    layout = layout_of(source, settings)
    if layout == "parquet":
        yield from _parquet(source, settings, pick)
        return
    reads = _csv if layout in SEPARATORS else _json if layout == "jsonl" else _texts
    names, rows = reads(source, settings, pick)
    stem, start = source.name.removesuffix(".gz"), 0
    while held := list(islice(rows, ROWS)):
        ids = [own or f"{stem}:{start + i + 1}" for i, (own, _) in enumerate(held)]
        refused = [row if isinstance(row, str) else None for _, row in held]
        empty = (None,) * len(names)
        tuples = [empty if isinstance(row, str) else row for _, row in held]
        yield Cells(frame=_marked(tuples, names, settings), ids=ids, refused=refused)
        start += len(held)
    if not start:
        raise DataError(f"{source}: holds no rows", fix="give a file with rows")


def layout_of(path: Path, settings: DataSettings) -> str:
    """Return how rows are written: the ending of Parquet, JSON and .txt files counts, then how the training file was.

    A .txt file is text by line, unless the training file had a label before each.
    """
    if path.is_dir() or is_archive(path):
        return "folder"
    ending = Path(path.name.removesuffix(".gz")).suffix.lower()
    by_name = LAYOUTS.get(ending)
    if by_name in ("parquet", "jsonl"):
        return by_name
    if ending == ".txt" and settings.format == "text" and settings.layout != "label_text":
        return "lines"
    declared = settings.layout if settings.layout in ("csv", "tsv", "label_text") else None
    return declared or by_name or "csv"


def rows_about(path: Path, settings: DataSettings) -> int | None:
    """Return how many rows a file has, by its lines where it is open text, for a progress bar; None: nobody knows."""
    layout = layout_of(path, settings) if path.is_file() else "folder"
    if layout == "parquet":
        from pyarrow.parquet import read_metadata

        return int(read_metadata(path).num_rows)
    if layout == "folder" or path.suffix == ".gz":
        return None
    with path.open("rb") as opened:
        return sum(part.count(b"\n") for part in iter(lambda: opened.read(2**22), b""))


def _marked(rows: Sequence[tuple[str | None, ...]], names: Sequence[str], settings: DataSettings) -> pd.DataFrame:
    """Return rows as a frame, None where a cell means "no value"."""
    missing = set(settings.missing)
    columns = {name: [None if cell in missing else cell for cell in cells]
               for name, cells in zip(names, zip(*rows, strict=True), strict=True)}  # fmt: skip
    return pd.DataFrame(columns, dtype=object, index=range(len(rows)))


def _csv(path: Path, settings: DataSettings, pick: Pick) -> tuple[Sequence[str], Iterator[Row]]:
    lines = csv_lines(path, settings, SEPARATORS[layout_of(path, settings)], [])
    first = next(lines, None)
    if first is None:
        raise DataError(f"{path}: the file is empty", fix="give a file with rows")
    if settings.header:
        names = first[1]
    else:
        unlabelled = [name for name in settings.columns if name not in settings.targets]
        if len(first[1]) not in (len(unlabelled), len(settings.columns)):
            raise DataError(f"{path}, line {first[0]}: {len(first[1])} cells; the training file had no header and "
                            f"{len(settings.columns)} columns, {len(unlabelled)} without target",
                            fix=f"give these in order: {', '.join(unlabelled)}")  # fmt: skip
        names = unlabelled if len(first[1]) == len(unlabelled) else list(settings.columns)
        lines = chain([first], lines)
    wanted = pick(str(path), names)
    places = [names.index(name) for name in wanted]
    take: Callable[[Any], Any] = itemgetter(*places) if len(places) > 1 else lambda cells: (cells[places[0]],)
    width = len(names)

    def rows() -> Iterator[Row]:
        for number, cells in lines:
            if len(cells) == width:
                yield None, take(cells)
            else:
                yield None, f"line {number} has {len(cells)} cells, expected {width}"

    return wanted, rows()


def _json(path: Path, settings: DataSettings, pick: Pick) -> tuple[Sequence[str], Iterator[Row]]:
    lines = text_lines(path, settings)

    def read(number: int, line: str) -> dict[str, Any] | str:
        try:
            return json_row(line, f"line {number}")
        except DataError as wrong:
            return wrong.message

    read_rows = (read(number, line) for number, line in lines)
    first = list(islice(read_rows, ROWS))  # writers leave out what a row lacks: the first rows together have all names
    names = list(dict.fromkeys(name for row in first if isinstance(row, dict) for name in row))
    wanted = pick(str(path), names)
    held = (row if isinstance(row, str) else tuple(cell_text(row.get(name)) for name in wanted)
            for row in chain(first, read_rows))  # fmt: skip
    return wanted, ((None, row) for row in held)


def _texts(path: Path, settings: DataSettings, pick: Pick) -> tuple[Sequence[str], Iterator[Row]]:
    """Return texts that have no columns: lines, lines after a label, or files of a folder or archive."""
    wanted = pick(str(path), settings.text[:1])
    layout = layout_of(path, settings)

    def rows() -> Iterator[Row]:
        if layout == "folder":
            for file in members(path, (".txt",)):
                try:
                    yield file.name, (decoded(file.data, settings.encoding, file.name),)
                except DataError as wrong:
                    yield file.name, wrong.message
                except OSError as wrong:
                    yield file.name, f"cannot be read ({wrong.strerror or wrong})"
            return
        for number, line in text_lines(path, settings):
            text = line.strip()
            if layout == "label_text":
                text = text.partition(" ")[2]
            yield None, (text,) if text else f"line {number}: a label without a text"

    return wanted, rows()


def _parquet(path: Path, settings: DataSettings, pick: Pick) -> Iterator[Cells]:
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    start = 0
    try:
        with pq.ParquetFile(path) as opened:
            wanted = list(pick(str(path), opened.schema_arrow.names))
            for batch in opened.iter_batches(ROWS, columns=wanted):
                frame = batch.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True).astype(object)
                yield _cells(frame[wanted], [f"{path.name}:{start + i + 1}" for i in range(len(frame))], settings)
                start += len(frame)
    except (OSError, ArrowException) as wrong:
        why = " ".join(str(wrong).split())
        raise DataError(f"{path}: not a readable Parquet file ({why})", fix="write the file again") from None
    if not start:
        raise DataError(f"{path}: holds no rows", fix="give a file with rows")


def _frame(source: pd.DataFrame, settings: DataSettings, pick: Pick) -> Iterator[Cells]:
    if source.empty:
        raise DataError("the frame: holds no rows", fix="give rows")
    wanted = list(pick("the frame", [str(name) for name in source.columns]))
    named = source.set_axis([str(name) for name in source.columns], axis=1)
    for start in range(0, len(named), ROWS):
        part = named[wanted].iloc[start : start + ROWS]
        yield _cells(part, [str(i) for i in part.index], settings)


def _cells(frame: pd.DataFrame, ids: list[str], settings: DataSettings) -> Cells:
    text = frame.map(cell_text).astype(object)
    text = text.where(text.notna() & ~text.isin(settings.missing), None).reset_index(drop=True)
    return Cells(frame=text, ids=ids, refused=[None] * len(ids))
