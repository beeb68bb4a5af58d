"""CSV files some thousand rows at a time, for who reads them once and keeps nothing.

Lines without quotation marks are parted many at once; where there are any, where a line has another number of cells, or
anything else is unusual, row by row as csv_table does. What comes out is the same.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from pipeline.core.data_settings import DataSettings
from pipeline.datasets.csv_table import LONGEST, open_text, parted, readable, refuse_line

_CHARACTERS = 2**20
"""Read at once, and to the end of the line."""

Rows = list[tuple[int, list[str]]]
"""Number of the last line of each row, and its cells."""
Columns = tuple["Column", ...]


@dataclass(frozen=True, slots=True)
class Column:
    """N cells of a column, many of them alike."""

    values: NDArray[np.object_]
    """(U,) texts, None where missing; two may be the same."""
    at: NDArray[Any]
    """(N,) the place of each cell's text among the values."""

    @property
    def cells(self) -> NDArray[np.object_]:
        """The texts (N,)."""
        return np.asarray(self.values[self.at])

    @classmethod
    def of(cls, cells: Sequence[str | None]) -> "Column":
        """Return a column of cells of which nothing is known."""
        values = np.empty(len(cells), dtype=object)
        values[:] = cells
        return cls(values, np.arange(len(cells)))


class CsvFile:
    """Rows of an open file."""

    def __init__(self, file: IO[str], path: Path, settings: DataSettings, separator: str) -> None:
        self._file, self._path, self._settings, self._separator = file, path, settings, separator
        self._line = 0
        """Lines taken so far."""
        self._ahead = ""
        """Lines that are read and not taken."""

    def first(self) -> tuple[int, list[str]] | None:
        """Return the number of the first row's last line and its cells, None where there is none.

        Without header it is one of the rows, and comes again.
        """
        taken: list[str] = []

        def lines() -> Iterator[str]:
            for line in self._lines(""):
                taken.append(line)
                yield line

        found = next(self._parted(lines()), None)
        if not self._settings.header:
            self._line = 0
            self._ahead = "".join(taken) + self._read()
        return found

    def blocks(self, width: int, places: Sequence[int]) -> Iterator[Columns | Rows]:
        """Yield the columns at some places of rows that all have `width` cells, or rows of any kind, in order."""
        while text := self._ahead or self._read():
            self._ahead = ""
            columns = self._columns(text, width, places)
            if columns is None:
                yield self._rows(text)
            else:
                self._line += text.count("\n") + (text[-1] != "\n")
                yield columns

    def _read(self) -> str:
        return self._file.read(_CHARACTERS) + self._file.readline(LONGEST)

    def _lines(self, text: str) -> Iterator[str]:
        """Yield the lines of a text, and of what follows it if they are asked for."""
        held = io.StringIO(text, newline="")
        while line := held.readline(LONGEST) or self._file.readline(LONGEST):
            self._line += 1
            yield refuse_line(line, self._line, self._path)

    def _parted(self, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
        return parted(lines, self._line, self._path, self._settings, self._separator, [])

    def _rows(self, text: str) -> Rows:
        """Return the rows of some lines, and of those that the last of them goes on in."""
        end, rows = self._line + sum(1 for _ in io.StringIO(text, newline="")), []
        for row in self._parted(self._lines(text)):
            rows.append(row)
            if self._line >= end:
                break
        return rows

    def _columns(self, text: str, width: int, places: Sequence[int]) -> Columns | None:
        """Return columns of lines that are parted alike by any reader, None where these may not be."""
        quoted = self._settings.quotes and '"' in text
        broken = "\r" in text and text.count("\r") != text.count("\r\n")
        if quoted or broken or "\0" in text or len(text) >= LONGEST:
            return None
        names = [str(place) for place in range(width)]
        kept = [names[place] for place in places]
        try:
            data = text.encode()
            table = csv.read_csv(
                io.BytesIO(data),
                csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
                csv.ParseOptions(delimiter=self._separator, quote_char=False),
                csv.ConvertOptions(column_types=dict.fromkeys(kept, pa.dictionary(pa.int32(), pa.string())),
                                   include_columns=kept, check_utf8=False),
            )  # fmt: skip
        except (pa.ArrowInvalid, UnicodeEncodeError):  # a line of another width; half a character
            return None
        columns = tuple(_column(table.column(name).combine_chunks(), self._settings) for name in kept)
        return None if width > 1 and _blank(columns) else columns


def _column(cells: Any, settings: DataSettings) -> Column:
    missing = set(settings.missing)
    stripped = [text.strip() for text in cells.dictionary.to_pylist()]
    values = np.array([None if text in missing else text for text in stripped], dtype=object)
    return Column(values, cells.indices.to_numpy())


def _blank(columns: Sequence[Column]) -> bool:
    """Say whether some row may have no cell that holds anything; such lines are no rows."""
    blank = np.ones(len(columns[0].at), dtype=bool)
    for column in columns:
        blank &= np.array([not value for value in column.values], dtype=bool)[column.at]
        if not blank.any():
            return False
    return True


@contextmanager
def csv_file(path: Path, settings: DataSettings, separator: str) -> Iterator[CsvFile]:
    """Open a file; what cannot be read of it is an error with its place."""
    with open_text(path, settings.encoding) as file, readable(path, settings.encoding):
        yield CsvFile(file, path, settings, separator)
