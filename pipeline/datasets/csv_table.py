"""Reader of CSV tables: every cell stays text here; ragged rows, wrong headers and empty files are refused."""

import codecs
import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import pandas as pd

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.strict import nearest

_MARKS = {",": "a comma", "\t": "a tab"}
LONGEST = 16 * 1024**2
"""Characters of a line; texts have long ones, but a file that is one line is none of rows."""
csv.field_size_limit(LONGEST)


def read_csv(path: Path, settings: DataSettings, separator: str = ",") -> pd.DataFrame:
    """Return the rows of a file as text, stripped; marks of `missing` become None; the label's end is cut.

    Lines of empty cells alone are no rows; attrs["hollow"] lists their numbers.
    """
    hollow: list[int] = []
    lines = csv_lines(path, settings, separator, hollow)
    names = list(settings.columns) if not settings.header else next(lines, (0, []))[1]
    if not names:
        raise DataError(f"{path}: the file is empty", fix="point data.path at a file with rows")
    check_names(path, names, settings)
    rows: list[tuple[str, ...]] = []
    for number, cells in lines:
        if len(cells) != len(names):
            raise DataError(
                f"{path}, line {number}: {len(cells)} cells, expected {len(names)}",
                fix=f"repair the line, or check data.columns and the separator ({_MARKS[separator]})",
            )
        rows.append(tuple(cells))  # the garbage collector leaves tuples of text alone, which halves the time
    if not rows:
        raise DataError(f"{path}: holds no rows", fix="point data.path at a file with rows")
    frame = pd.DataFrame(rows, columns=names, dtype=object)
    if settings.strip_label:
        for target in settings.targets:
            frame[target] = [label.rstrip(settings.strip_label) for label in frame[target]]
    frame = frame.where(~frame.isin(settings.missing), None)
    frame.attrs["hollow"] = hollow
    return frame


def hollow_lines(path: Path, frame: pd.DataFrame) -> list[str]:
    """Return a note on the lines of a file without any value, if it has some; they became no rows."""
    hollow = frame.attrs.get("hollow")
    return (
        [f"{path.name}: {len(hollow):,} lines of empty cells are no rows, the first is line {hollow[0]}"]
        if hollow
        else []
    )


def line_number(path: Path, settings: DataSettings, separator: str, row: int) -> int:
    """Return the line of the file on which row number `row` (from 0, without the header) ends."""
    lines = csv_lines(path, settings, separator, [])
    return next(islice(lines, row + settings.header, None))[0]


def find_file(settings: DataSettings, name: str) -> Path:
    """Return data.path/name or data.path/name.gz."""
    folder = require_folder(settings)
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(f"{folder}: neither {name} nor {name}.gz is there", fix="point data.path at the folder that has it")


def require_folder(settings: DataSettings) -> Path:
    """Return data.path as an existing folder."""
    if settings.path is None:
        what = "idx.gz files" if settings.format == "idx" else f"{settings.train_file}"
        raise ConfigError(
            f"data.path: not set; {settings.name} is read from your own folder", fix=f"data.path=<folder of {what}>"
        )
    folder = Path(settings.path)
    if not folder.is_dir():
        state = "not a folder" if folder.exists() else "not found"
        raise DataError(f"{folder}: {state}", fix="set data.path to the folder with the raw files")
    return folder


def csv_lines(path: Path, settings: DataSettings, separator: str, hollow: list[int]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line (of its last one, where a cell holds line breaks) and its cells, stripped.

    Lines of empty cells alone are left out, and their numbers put into `hollow`.
    """
    with open_text(path, settings.encoding) as file, readable(path, settings.encoding):
        yield from parted(_bounded(file, path), 0, path, settings, separator, hollow)


def parted(
    lines: Iterator[str], before: int, path: Path, settings: DataSettings, separator: str, hollow: list[int]
) -> Iterator[tuple[int, list[str]]]:
    """Yield the same of lines that are read already, `before` of which went before them."""
    quoting: Any = csv.QUOTE_MINIMAL if settings.quotes else csv.QUOTE_NONE
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True, quoting=quoting)
    try:
        for cells in reader:
            if any(cells) or len(cells) == 1:  # "" alone is a missing value
                yield before + reader.line_num, list(map(str.strip, cells))
            elif cells:
                hollow.append(before + reader.line_num)
    except csv.Error as wrong:
        line = before + reader.line_num
        raise DataError(f"{path}, line {line}: {wrong}", fix="repair the quotes of this line") from None


def text_lines(path: Path, settings: DataSettings) -> Iterator[tuple[int, str]]:
    """Yield number and text of the lines of a file that are not blank, without their ends; memory stays flat."""
    with open_text(path, settings.encoding, newline=None) as file, readable(path, settings.encoding):
        for number, line in enumerate(_bounded(file, path), 1):
            if line.strip():
                yield number, line.rstrip("\n")


@contextmanager
def readable(path: Path, encoding: str) -> Iterator[None]:
    """Turn what can go wrong in reading text into errors that name the place."""
    try:
        yield
    except UnicodeDecodeError as wrong:
        line, start = _undecodable(path, _codec(encoding))
        guess = "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "latin-1"
        raise DataError(
            f"{path}, line {line}: not {encoding} ({wrong.reason})",
            fix=f"declare the file's encoding (data.encoding), for example {guess}",
        ) from None
    except (OSError, EOFError, zlib.error, UnicodeError) as wrong:
        raise DataError(f"{path}: cannot be unpacked ({wrong})", fix="download the file again") from None


def _codec(encoding: str) -> str:
    return "utf-8-sig" if encoding == "utf-8" else encoding


def open_text(path: Path, encoding: str, newline: str | None = "") -> IO[str]:
    """Return a text file, unpacked if it ends in .gz."""
    try:
        if path.suffix == ".gz":
            return cast(IO[str], gzip.open(path, "rt", encoding=_codec(encoding), newline=newline))
        return path.open(encoding=_codec(encoding), newline=newline)
    except OSError as wrong:
        raise DataError(f"{path}: cannot be opened ({wrong.strerror})", fix="make the file readable") from None


def _bounded(opened: IO[str], path: Path) -> Iterator[str]:
    """Yield lines that are none to refuse."""
    for number, line in enumerate(iter(lambda: opened.readline(LONGEST), ""), 1):
        yield refuse_line(line, number, path)


def refuse_line(line: str, number: int, path: Path) -> str:
    """Return a line; one that would fill the memory, or that is no text, is refused."""
    if len(line) == LONGEST:
        raise DataError(f"{path}, line {number}: longer than {LONGEST:,} characters",
                        fix="check that lines end with a line feed and quotes are closed")  # fmt: skip
    if "\0" in line:
        raise DataError(f"{path}, line {number}: a NUL character, which no text has",
                        fix="check the file, or declare the encoding, such as data.encoding=utf-16")  # fmt: skip
    return line


def _undecodable(path: Path, encoding: str) -> tuple[int, bytes]:
    """Return the first line that is not in the encoding, and the first two bytes of the file."""
    unpacked: Any = gzip.open if path.suffix == ".gz" else open
    decoder, line, start = codecs.getincrementaldecoder(encoding)(), 1, b""
    with unpacked(path, "rb") as opened:
        for part in iter(lambda: opened.read(2**20), b""):
            start = start or part[:2]
            try:
                decoder.decode(part)
            except UnicodeDecodeError as wrong:
                return line + wrong.object.count(b"\n", 0, wrong.start), start
            line += part.count(b"\n")
    return line, start


def check_names(path: Path, names: list[str], settings: DataSettings) -> None:
    """Refuse columns that stand there twice, and settings that name a column which is not there."""
    if not settings.targets and settings.format != "forecast":
        raise ConfigError("data.target: not set", fix="name the column to predict")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: column '{twice[0]}' appears twice", fix="rename one of them")
    if len(names) == 1 and (mark := next((m for m in "\t;|" if m in names[0]), None)):
        raise DataError(f"{path}: one column only, '{names[0]}'; are cells parted by {mark!r}?",
                        fix="data.layout=tsv for tabs; write other files with commas")  # fmt: skip
    asked = {"data.target": settings.targets, "data.exclude": settings.exclude, "data.text": settings.text,
             "data.time": [settings.time] if settings.time else [],
             "data.group_by": [settings.group_by] if settings.group_by else [],
             "data.weight": [settings.weight] if settings.weight else [],
             "data.dates": () if settings.dates == "auto" else settings.dates}  # fmt: skip
    for role in ("sensitive", "slices"):
        if settings.side_table is None:
            asked |= {f"data.{role}.{k}": [s.column] for k, s in getattr(settings, role).items() if s.column}
    for key, columns in asked.items():
        for column in columns:
            if column not in names:
                near = nearest(column, names)
                fix = f"did you mean '{near}'?" if near else f"columns: {', '.join(names[:20])}"
                raise DataError(f"{path}: no column '{column}' ({key})", fix=fix)
