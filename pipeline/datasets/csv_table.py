"""Reader of CSV tables: every cell stays text here; ragged rows, wrong headers and empty files are refused."""

import csv
import gzip
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.strict import nearest

_MARKS = {",": "a comma", "\t": "a tab"}


def read_csv(path: Path, settings: DataSettings, separator: str = ",") -> pd.DataFrame:
    """Return the rows of a file as text, stripped; marks of `missing` become None; the label's end is cut."""
    lines = _lines(path, settings, separator)
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
    return frame.where(~frame.isin(settings.missing), None)


def line_number(path: Path, settings: DataSettings, separator: str, row: int) -> int:
    """Return the line of the file on which row number `row` (from 0, without the header) ends."""
    lines = _lines(path, settings, separator)
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


def _lines(path: Path, settings: DataSettings, separator: str) -> Iterator[tuple[int, list[str]]]:
    unpacked = gzip.open if path.suffix == ".gz" else open
    encoding = "utf-8-sig" if settings.encoding == "utf-8" else settings.encoding
    with unpacked(path, "rt", encoding=encoding, newline="") as opened:
        quoting: Any = csv.QUOTE_MINIMAL if settings.quotes else csv.QUOTE_NONE
        reader = csv.reader(opened, delimiter=separator, skipinitialspace=True, strict=True, quoting=quoting)
        try:
            for cells in reader:
                if cells and any(cells):
                    yield reader.line_num, list(map(str.strip, cells))
        except UnicodeDecodeError as wrong:
            raise DataError(
                f"{path}, near line {reader.line_num + 1}: not {settings.encoding} ({wrong.reason})",
                fix="declare the file's encoding (data.encoding), for example latin-1",
            ) from None
        except (OSError, EOFError, zlib.error) as wrong:
            raise DataError(f"{path}: cannot be unpacked ({wrong})", fix="download the file again") from None
        except csv.Error as wrong:
            raise DataError(f"{path}, line {reader.line_num}: {wrong}", fix="repair the quotes of this line") from None


def check_names(path: Path, names: list[str], settings: DataSettings) -> None:
    """Refuse columns that stand there twice, and settings that name a column which is not there."""
    if not settings.targets and settings.format != "forecast":
        raise ConfigError("data.target: not set", fix="name the column to predict")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: column '{twice[0]}' appears twice", fix="rename one of them")
    asked = {"data.target": settings.targets, "data.exclude": settings.exclude, "data.text": settings.text,
             "data.time": [settings.time] if settings.time else [],
             "data.group_by": [settings.group_by] if settings.group_by else []}  # fmt: skip
    for role in ("sensitive", "slices"):
        if settings.side_table is None:
            asked |= {f"data.{role}.{k}": [s.column] for k, s in getattr(settings, role).items() if s.column}
    for key, columns in asked.items():
        for column in columns:
            if column not in names:
                near = nearest(column, names)
                fix = f"did you mean '{near}'?" if near else f"columns: {', '.join(names[:20])}"
                raise DataError(f"{path}: no column '{column}' ({key})", fix=fix)
