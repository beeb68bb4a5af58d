"""How the rows of a file are written: letters, cells, quotation marks, header, marks of missing cells."""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.contracts import SplitName
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.core.strict import read
from pipeline.datasets.rows import read_rows, text_of
from pipeline.sniffing.columns import Kinds, kinds
from pipeline.sniffing.files import Files, encoding_of, ending
from pipeline.sniffing.found import listed

_SHOWN = 400
_MISSING = ("nan", "null", "none", "n/a", "#n/a", "-", "--", ".")
"""Words for "no value" where all other cells of a column are numbers; in lower case."""
_LABEL_TEXT = re.compile(r"(\S{1,30}) \S")
_WHOLE = {"name": "init", "format": "csv", "sensitive": {}, "slices": {}}
_NOTHING = read(DataSettings, _WHOLE, "data").missing


@dataclass
class Raw:
    """The rows of each file as text cells, and the keys that say how they are written."""

    frames: dict[SplitName, pd.DataFrame]
    files: Files
    keys: dict[str, Any]
    facts: list[str]

    @property
    def columns(self) -> list[str]:
        """The columns of the training rows."""
        return [str(c) for c in self.frames["train"].columns]

    @property
    def where(self) -> str:
        """The training file, for messages."""
        return str(self.files["train"])

    @cached_property
    def kinds(self) -> Kinds:
        """What the columns of the training rows hold."""
        return kinds(self.frames["train"])

    def one_table(self) -> None:
        """Leave out files that lack a column, which have no labels as a rule; other columns are refused.

        Raises:
            DataError: a file has the columns in another order, or further ones.
        """
        for split in [s for s in self.frames if s != "train"]:
            own = [str(c) for c in self.frames[split].columns]
            if lost := [c for c in self.columns if c not in own]:
                self.facts.append(f"{self.files[split].name} is not used: it has no column {listed(lost, 2)}")
                del self.frames[split], self.files[split]
            elif own != self.columns:
                message = f"{self.files[split]}: other columns than {self.files['train'].name}"
                raise DataError(message, fix="give both files the same header")


def read_raw(files: Files) -> Raw:
    """Find out how files are written, by the training rows, and read them all.

    Raises:
        DataError: a file that is empty, or no rows of cells in a way that is known.
    """
    train = files["train"]
    keys: dict[str, Any] = {}
    facts: list[str] = []
    encoding = encoding_of(files, facts)
    if encoding != "utf-8":
        keys["encoding"] = encoding
    layout = "parquet" if ending(train) == ".parquet" else _layout(train, _text(train, encoding))
    if layout not in ("parquet", _by_name(train)):
        keys["layout"] = layout
    if layout == "label_text":
        facts.append("lines of a label, a space and a text")
        keys["text"] = ["text"]
    if layout in ("csv", "tsv"):
        rows = _first_rows(train, _text(train, encoding), layout)
        if len(rows) < 2:
            raise DataError(f"{train}: a single line", fix="give a file with rows below a header")
        if not _has_header(rows):
            keys |= {"header": False, "columns": [f"column_{i + 1}" for i in range(len(rows[0]))]}
            facts.append("no header line: columns are called column_1, column_2, …; rename them in the file written")
    try:
        frames = _frames(files, layout, encoding, keys)
    except DataError as mistake:
        try:
            frames = _frames(files, layout, encoding, {**keys, "quotes": False})
        except DataError:
            raise mistake from None
        keys["quotes"] = False
        facts.append("quotation marks do not enclose cells")
    if words := _missing_words(frames["train"]):
        keys["missing"] = [*_NOTHING, *words]
        cells = sum(int(frame.isin(words).to_numpy().sum()) for frame in frames.values())
        facts.append(f"WARNING {cells:,} cells {listed([repr(w) for w in words])} among numbers: taken for 'no value'")
        frames = {split: frame.where(~frame.isin(words), None) for split, frame in frames.items()}
    return Raw(frames, files, keys, facts)


def _frames(files: Files, layout: str, encoding: str, keys: dict[str, Any]) -> dict[SplitName, pd.DataFrame]:
    """Read all files; the first column of each stands in for the target, which is not known yet."""
    frames = {}
    for split, file in files.items():
        whole = {**_WHOLE, **keys, "target": _first_column(file, layout, encoding, keys)}
        frames[split] = read_rows(file, read(DataSettings, whole, "data"))
    return frames


def _first_column(file: Path, layout: str, encoding: str, keys: dict[str, Any]) -> str:
    if layout == "parquet":
        return _parquet_column(file)
    if layout == "label_text":
        return "label"
    if layout == "jsonl":
        return _json_key(file, _text(file, encoding))
    return str((keys.get("columns") or _first_rows(file, _text(file, encoding), layout)[0])[0])


def _text(file: Path, encoding: str) -> str:
    text = text_of(file, encoding)
    if not text.strip():
        raise DataError(f"{file}: the file is empty", fix="give a file with rows")
    return text


def _by_name(file: Path) -> str:
    named = {".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
    return named.get(ending(file), "csv")


def _layout(file: Path, text: str) -> str:
    """Return how rows are written: by the file's name if its lines agree, else by its lines."""
    lines = [line for line in text[:200_000].splitlines()[:_SHOWN] if line.strip()]
    if "\0" in text[:1000]:
        raise DataError(f"{file}: not a text file", fix="give a CSV, TSV, JSONL, Parquet or .ts file")
    if _by_name(file) == "jsonl" or (lines[0][0] == "{" and lines[0].rstrip()[-1] == "}"):
        return "jsonl"
    if lines[0][0] == "[" and ending(file) == ".json":
        raise DataError(f"{file}: one JSON list", fix='write one object per line: {"a": 1, "b": "x"}')
    marks = {mark: sum(mark in line for line in lines) / len(lines) for mark in (",", "\t", ";")}
    whole = [mark for mark in marks if marks[mark] > 0.99]
    labels = [found.group(1) for line in lines if (found := _LABEL_TEXT.match(line))]
    repeat = 0.95 * len(lines) < len(labels) and len(set(labels)) <= max(2, 0.2 * len(labels))
    if repeat and ending(file) not in (".csv", ".tsv", ".data") and "\t" not in whole:
        return "label_text"
    if "\t" in whole:
        return "tsv"
    if ";" in whole and lines[0].count(";") > lines[0].count(","):
        raise DataError(f"{file}: cells are parted by ';'", fix="save it with commas, or with tabs as .tsv")
    if "," in whole or marks[","] > 0.5 or (ending(file) == ".csv" and not any(" " in line for line in lines)):
        return _by_name(file)
    raise DataError(f"{file}, line 1: no cells parted by commas or tabs: {lines[0][:60]!r}",
                    fix="save it as CSV or TSV, or as lines of a label, a space and a text")  # fmt: skip


def _json_key(file: Path, text: str) -> str:
    line = next(line for line in text.splitlines() if line.strip())
    try:
        row = json.loads(line)
    except ValueError as wrong:
        raise DataError(f"{file}, line 1: not JSON ({wrong})", fix="write one object per line") from None
    if not isinstance(row, dict) or not row:
        raise DataError(f"{file}, line 1: not a JSON object with keys", fix="write one {…} per line")
    return str(next(iter(row)))


def _parquet_column(file: Path) -> str:
    try:
        return str(pd.read_parquet(file).columns[0])
    except (OSError, ValueError, IndexError) as wrong:
        raise DataError(f"{file}: not a readable Parquet file ({wrong})", fix="write the file again") from None


def _first_rows(file: Path, text: str, layout: str) -> list[list[str]]:
    separator = "\t" if layout == "tsv" else ","
    reader = csv.reader(io.StringIO(text[:2_000_000]), delimiter=separator, skipinitialspace=True)
    try:
        rows = [row for _, row in zip(range(_SHOWN), reader, strict=False) if row]
    except csv.Error as wrong:
        raise DataError(f"{file}: {wrong}", fix="check the quotes of the first lines") from None
    return [[cell.strip() for cell in row] for row in rows]


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Tell a header by cells that are no numbers above columns of numbers, or that no row below repeats."""
    head, body = rows[0], rows[1:]
    if not body:
        return False
    numbers = [float(cell) for cell in head if _number(cell)]
    if numbers:  # steps may be named 1, 2, 3, …
        return len(numbers) >= 3 and all(b - a == 1 for a, b in pairwise(numbers))
    gone = (*_NOTHING, *_MISSING)
    columns = [[r[i] for r in body[:50] if i < len(r) and r[i].lower() not in gone] for i in range(len(head))]
    if any(column and all(map(_number, column)) for column in columns):
        return True
    if len(set(head)) < len(head):
        return False
    return not any(cell == r[i] for i, cell in enumerate(head) for r in body if i < len(r))


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _missing_words(frame: pd.DataFrame) -> list[str]:
    """Return the words that stand among numbers alone and mean "no value", and infinite numbers."""
    found: set[str] = set()
    for column in frame.columns:
        known = pd.Series(frame[column].dropna().unique(), dtype=object)
        numbers = np.array(pd.to_numeric(known, errors="coerce"), dtype=float)
        strange = [str(s) for s in known[~np.isfinite(numbers)]]
        words = [str(s) for s in known[np.isnan(numbers)]]
        if strange and len(strange) < len(known) and all(word.lower() in _MISSING for word in words):
            found.update(strange)
    return sorted(found)
