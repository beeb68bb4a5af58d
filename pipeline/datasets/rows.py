"""Rows of text cells from the formats that tables and labelled texts come in."""

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets.csv_table import check_names, line_number, read_csv
from pipeline.datasets.members import is_archive, members


def read_rows(path: Path, settings: DataSettings) -> pd.DataFrame:
    """Return the rows of a file or folder, every cell text or None; `settings.layout` wins over the file's name."""
    return _READERS[_layout(path, settings)](path, settings)


def place_of(path: Path, settings: DataSettings, row: int) -> str:
    """Return "file, line n" of a row (from 0) that read_rows gave; formats without lines: "file, row n" (from 1)."""
    layout = _layout(path, settings)
    if layout in _SEPARATORS:
        return f"{path}, line {line_number(path, settings, _SEPARATORS[layout], row)}"
    if layout in ("jsonl", "label_text"):
        lines = enumerate(text_of(path, settings.encoding).splitlines(), 1)
        return f"{path}, line {[number for number, line in lines if line.strip()][row]}"
    return f"{path}, row {row + 1}"


def _layout(path: Path, settings: DataSettings) -> str:
    if path.is_dir() or is_archive(path):
        return "folder"
    return settings.layout or _LAYOUTS.get(Path(path.name.removesuffix(".gz")).suffix.lower(), "csv")


def text_of(path: Path, encoding: str) -> str:
    """Return the decoded text of a file, unpacked if it ends in .gz."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as wrong:
        raise DataError(f"{path}: cannot be unpacked ({wrong})", fix="download the file again") from None
    return decoded(data, encoding, str(path))


def decoded(data: bytes, encoding: str, where: str) -> str:
    """Return text; bytes that are not in the declared encoding are refused with their line."""
    try:
        return data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as wrong:
        line = data.count(b"\n", 0, wrong.start) + 1
        fix = "declare the file's encoding (data.encoding), for example latin-1"
        raise DataError(f"{where}, line {line}: not {encoding} ({wrong.reason})", fix=fix) from None


def _json_lines(path: Path, settings: DataSettings) -> pd.DataFrame:
    rows = []
    for number, line in enumerate(text_of(path, settings.encoding).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as wrong:
            raise DataError(f"{path}, line {number}: not JSON ({wrong})", fix="repair the line") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: not a JSON object", fix="write one {…} per line")
        rows.append(row)
    return _as_text(path, pd.DataFrame(rows, dtype=object), settings)


def _parquet(path: Path, settings: DataSettings) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as wrong:
        raise DataError(f"{path}: not a readable Parquet file ({wrong})", fix="write the file again") from None
    return _as_text(path, frame.astype(object), settings)


def _as_text(path: Path, frame: pd.DataFrame, settings: DataSettings) -> pd.DataFrame:
    if frame.empty:
        raise DataError(f"{path}: holds no rows", fix="point data.path at a file with rows")
    check_names(path, [str(name) for name in frame.columns], settings)
    text = frame.map(lambda cell: None if pd.isna(cell) else str(cell).strip())
    return text.where(~text.isin(settings.missing), None)


def _label_text(path: Path, settings: DataSettings) -> pd.DataFrame:
    """Read lines of a label, a space and a text."""
    rows = []
    for number, line in enumerate(text_of(path, settings.encoding).splitlines(), 1):
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
        (m.label, decoded(m.data, settings.encoding, f"{path}: {m.name}"), m.split or "", m.name)
        for m in members(path, (".txt",))
    ]
    if not rows:
        raise DataError(f"{path}: no .txt files by class", fix="lay them out as <class>/<name>.txt")
    columns = [settings.targets[0], settings.text[0], "(split)", "(name)"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


_LAYOUTS = {".csv": "csv", ".data": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_SEPARATORS = {"csv": ",", "tsv": "\t"}
_READERS: Mapping[str, Callable[[Path, DataSettings], pd.DataFrame]] = {
    "csv": read_csv,
    "tsv": lambda path, settings: read_csv(path, settings, _SEPARATORS["tsv"]),
    "jsonl": _json_lines,
    "parquet": _parquet,
    "label_text": _label_text,
    "folder": _folder,
}
