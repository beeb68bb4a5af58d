"""Rows of text cells from files of any size, some at a time; a row that cannot be read is named, the rest goes on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets.csv_blocks import Column, csv_file
from pipeline.datasets.csv_table import text_lines
from pipeline.datasets.members import is_archive, members
from pipeline.datasets.rows import LAYOUTS, SEPARATORS, cell_text, decoded, json_row

ROWS = 8192
"""Rows that are read, encoded and written together; bounds the memory."""

Pick = Callable[[str, Sequence[str]], Sequence[str]]
"""Name of a file and its columns to those that are wanted; refuses a file that lacks one."""
Row = tuple[str | None, tuple[str | None, ...] | str]
"""Name of a row where it has one of its own, and its cells, or why it has none."""
Some = tuple[Mapping[str, Column], Sequence[str | None], Sequence[str | None]]
"""Columns of some rows, names of those that have one of their own, and why a row cannot be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cells:
    """Some rows in the order of the file."""

    columns: Mapping[str, Column]
    """The wanted ones as text, None where missing."""
    ids: list[str]
    refused: Sequence[str | None]
    """Why a row cannot be read."""

    @property
    def frame(self) -> pd.DataFrame:
        """The columns side by side."""
        return pd.DataFrame({name: column.cells for name, column in self.columns.items()}, dtype=object)


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
    stem, start = source.name.removesuffix(".gz"), 0
    reads = _csv if layout in SEPARATORS else _rows
    for columns, own, refused in reads(source, settings, pick):
        ids = [name or f"{stem}:{place}" for place, name in enumerate(own, start + 1)]
        yield Cells(columns=columns, ids=ids, refused=refused)
        start += len(ids)
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


def _rows(path: Path, settings: DataSettings, pick: Pick) -> Iterator[Some]:
    """Yield rows of files that are read row by row."""
    reads = _json if layout_of(path, settings) == "jsonl" else _texts
    names, rows = reads(path, settings, pick)
    while held := list(islice(rows, ROWS)):
        yield _some(held, names, settings)


def _some(held: Sequence[Row], names: Sequence[str], settings: DataSettings) -> Some:
    """Return rows column by column, None where a cell means "no value"."""
    missing, empty = set(settings.missing), (None,) * len(names)
    refused = [row if isinstance(row, str) else None for _, row in held]
    tuples = [empty if isinstance(row, str) else row for _, row in held]
    columns = {name: Column.of([None if cell in missing else cell for cell in cells])
               for name, cells in zip(names, zip(*tuples, strict=True), strict=True)}  # fmt: skip
    return columns, [name for name, _ in held], refused


def _csv(path: Path, settings: DataSettings, pick: Pick) -> Iterator[Some]:
    with csv_file(path, settings, SEPARATORS[layout_of(path, settings)]) as file:
        first = file.first()
        if first is None:
            raise DataError(f"{path}: the file is empty", fix="give a file with rows")
        names = first[1] if settings.header else _unnamed(path, *first, settings)
        wanted = pick(str(path), names)
        places = [names.index(name) for name in wanted]
        for block in file.blocks(len(names), places):
            size = len(block[0].at) if isinstance(block, tuple) else len(block)
            for start in range(0, size, ROWS):
                part = slice(start, start + ROWS)
                if isinstance(block, tuple):
                    columns = {name: Column(column.values, column.at[part])
                               for name, column in zip(wanted, block, strict=True)}  # fmt: skip
                    nothing = [None] * len(block[0].at[part])
                    yield columns, nothing, nothing
                else:
                    yield _some([_row(*row, len(names), places) for row in block[part]], wanted, settings)


def _row(number: int, cells: Sequence[str], width: int, places: Sequence[int]) -> Row:
    if len(cells) != width:
        return None, f"line {number} has {len(cells)} cells, expected {width}"
    return None, tuple(cells[place] for place in places)


def _unnamed(path: Path, number: int, cells: Sequence[str], settings: DataSettings) -> list[str]:
    """Return the names of the columns of a file without header: those of the training file, or all but the target."""
    unlabelled = [name for name in settings.columns if name not in settings.targets]
    if len(cells) not in (len(unlabelled), len(settings.columns)):
        raise DataError(f"{path}, line {number}: {len(cells)} cells; the training file had no header and "
                        f"{len(settings.columns)} columns, {len(unlabelled)} without target",
                        fix=f"give these in order: {', '.join(unlabelled)}")  # fmt: skip
    return unlabelled if len(cells) == len(unlabelled) else list(settings.columns)


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
    text = text.where(text.notna() & ~text.isin(settings.missing), None)
    columns = {str(name): Column.of(text[name].tolist()) for name in text.columns}
    return Cells(columns=columns, ids=ids, refused=[None] * len(ids))
