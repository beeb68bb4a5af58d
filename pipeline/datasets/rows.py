"""Rows of text cells from the formats that tables and labelled texts come in."""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets.csv_table import check_names, line_number, read_csv
from pipeline.datasets.members import File, is_archive, members

_LINE_END = re.compile(r"\r\n|\n|\r")
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def read_rows(path: Path, settings: DataSettings) -> pd.DataFrame:
    """Return the rows of a file or folder, every cell text or None; `settings.layout` wins over the file's name."""
    return _READERS[_layout(path, settings)](path, settings)


def place_of(path: Path, settings: DataSettings, row: int) -> str:
    """Return "file, line n" of a row (from 0) that read_rows gave; formats without lines: "file, row n" (from 1)."""
    layout = _layout(path, settings)
    if layout in SEPARATORS:
        return f"{path}, line {line_number(path, settings, SEPARATORS[layout], row)}"
    if layout in ("jsonl", "label_text"):
        lines = enumerate(lines_of(text_of(path, settings.encoding)), 1)
        return f"{path}, line {[number for number, line in lines if line.strip()][row]}"
    return f"{path}, row {row + 1}"


def _layout(path: Path, settings: DataSettings) -> str:
    if path.is_dir() or is_archive(path):
        return "folder"
    return settings.layout or LAYOUTS.get(Path(path.name.removesuffix(".gz")).suffix.lower(), "csv")


def text_of(path: Path, encoding: str) -> str:
    """Return the decoded text of a file, unpacked if it ends in .gz."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as wrong:
        raise DataError(f"{path}: cannot be unpacked ({wrong})", fix="download the file again") from None
    return decoded(data, encoding, str(path))


def lines_of(text: str) -> list[str]:
    """Return the lines of a text: str.splitlines would also break at signs within them, such as U+0085 and U+2028."""
    return _LINE_END.split(text)


def decoded(data: bytes, encoding: str, where: str) -> str:
    """Return text; bytes that are not in the declared encoding are refused with their line."""
    try:
        return data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as wrong:
        line = data.count(b"\n", 0, wrong.start) + 1
        fix = "declare the file's encoding (data.encoding), for example latin-1"
        raise DataError(f"{where}, line {line}: not {encoding} ({wrong.reason})", fix=fix) from None


def _json_lines(path: Path, settings: DataSettings) -> pd.DataFrame:
    lines = enumerate(lines_of(text_of(path, settings.encoding)), 1)
    rows = [json_row(line, f"{path}, line {number}") for number, line in lines if line.strip()]
    return _as_text(path, pd.DataFrame(rows, dtype=object), settings)


def json_row(line: str, where: str) -> dict[str, Any]:
    """Return the object on a line; anything else is refused."""
    try:
        row = json.loads(line, object_pairs_hook=_object)
        if _ESCAPED_HALF.search(line):
            json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DataError(f"{where}: \\ud800 to \\udfff alone is half a character",
                        fix="write both halves, or \\ufffd for what is lost") from None  # fmt: skip
    except (ValueError, RecursionError) as wrong:
        raise DataError(f"{where}: not JSON ({wrong})", fix="repair the line") from None
    if not isinstance(row, dict):
        raise DataError(f"{where}: not a JSON object", fix="write one {…} per line")
    return row


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"'{next(name for name in names if names.count(name) > 1)}' stands in it twice")
    return held


def _parquet(path: Path, settings: DataSettings) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path, dtype_backend="pyarrow")  # numpy would make whole numbers with gaps fractions
    except (OSError, ValueError) as wrong:
        raise DataError(f"{path}: not a readable Parquet file ({wrong})", fix="write the file again") from None
    if frame.index.names != [None]:
        frame = frame.reset_index()
    return _as_text(path, frame.astype(object), settings)


def _as_text(path: Path, frame: pd.DataFrame, settings: DataSettings) -> pd.DataFrame:
    if frame.empty:
        raise DataError(f"{path}: holds no rows", fix="point data.path at a file with rows")
    check_names(path, [str(name) for name in frame.columns], settings)
    text = frame.map(cell_text).astype(object)
    return text.where(text.notna() & ~text.isin(settings.missing), None)


def cell_text(value: Any) -> str | None:
    """Return a value as text; lists and records as JSON."""
    if isinstance(value, list | dict | np.ndarray):
        plain = value.tolist() if isinstance(value, np.ndarray) else value
        return json.dumps(plain, ensure_ascii=False, default=str)
    return None if pd.isna(value) else str(value).strip()


def _label_text(path: Path, settings: DataSettings) -> pd.DataFrame:
    """Read lines of a label, a space and a text."""
    rows = []
    for number, line in enumerate(lines_of(text_of(path, settings.encoding)), 1):
        label, space, text = line.strip().partition(" ")
        if not label:
            continue
        if not space:
            raise DataError(f"{path}, line {number}: a label without a text", fix="write: label, space, text")
        rows.append((label, text))
    if not rows:
        raise DataError(f"{path}: holds no rows", fix="point data.path at a file with rows")
    return pd.DataFrame(rows, columns=[settings.targets[0], settings.text[0]], dtype=object)


def _folder(path: Path, settings: DataSettings) -> pd.DataFrame:
    """Read a folder or archive of .txt files by class."""
    rows = [
        (m.label, decoded(_bytes(m, path), settings.encoding, f"{path}: {m.name}"), m.split or "", m.name)
        for m in members(path, (".txt",))
    ]
    if not rows:
        raise DataError(f"{path}: no .txt files by class", fix="lay them out as <class>/<name>.txt")
    columns = [settings.targets[0], settings.text[0], "(split)", "(name)"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _bytes(file: File, path: Path) -> bytes:
    try:
        return file.data
    except OSError as wrong:
        why = wrong.strerror or str(wrong)
        raise DataError(f"{path}: {file.name} cannot be read ({why})", fix="repair or remove it") from None


LAYOUTS = {".csv": "csv", ".data": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
SEPARATORS = {"csv": ",", "tsv": "\t"}
_READERS: Mapping[str, Callable[[Path, DataSettings], pd.DataFrame]] = {
    "csv": read_csv,
    "tsv": lambda path, settings: read_csv(path, settings, SEPARATORS["tsv"]),
    "jsonl": _json_lines,
    "parquet": _parquet,
    "label_text": _label_text,
    "folder": _folder,
}
