"""What kind of data lies at a path, by looking at names and at the first rows. Nothing is asked; all is said."""

import csv
import gzip
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.strict import nearest
from pipeline.datasets.members import is_archive, members
from pipeline.datasets.rows import read_rows

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
TABLES = (".csv", ".tsv", ".data", ".jsonl", ".ndjson", ".parquet", ".test")
_SPLIT = re.compile(r"(?:^|[._-])(train|training|test|testing|val|valid|validation|dev)(?=[._-]|$)", re.I)
_USUAL_TARGETS = ("target", "label", "class", "category", "outcome", "y", "income", "species", "survived", "sentiment")
_SHOWN_ROWS = 400
_LONG_TEXT = 4.0
"""Words per cell, on average, from which a column is a text."""


@dataclass
class Found:
    """The format, the settings to write, and what to tell."""

    format: str
    space: str
    keys: dict[str, Any]
    facts: list[str] = field(default_factory=list)


def sniff(path: Path, wishes: Mapping[str, Any]) -> Found:
    """Return what lies at a path; `wishes` are the user's target, text and sensitive columns."""
    if not path.exists():
        raise DataError(f"{path}: not found", fix="give a file, a folder or an archive")
    if is_archive(path):
        return _by_class(path)
    if path.is_file():
        return _files(path.parent, [path], wishes)
    names = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    if any(p.name.startswith("train-images-idx3-ubyte") for p in names):
        return Found("idx", "image", {"path": str(path)}, ["the four files of the MNIST family"])
    kept = [p for p in names if _ending(p) in (*TABLES, ".ts")]
    if kept:
        return _files(path, kept, wishes)
    return _by_class(path)


def _ending(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _by_class(path: Path) -> Found:
    counts: dict[str, dict[str, int]] = {}
    for suffixes, kind in ((IMAGES, "images"), ((".txt",), "text")):
        for member in members(path, suffixes):
            of = counts.setdefault(kind, {})
            of[member.label] = of.get(member.label, 0) + 1
    if not counts:
        fix = "lay them out as <class>/<name>, or give a CSV, TSV, JSONL, Parquet or .ts file"
        raise DataError(f"{path}: no table, series, image or text files by class", fix=fix)
    kind = max(counts, key=lambda k: sum(counts[k].values()))
    classes = counts[kind]
    facts = [f"{sum(classes.values()):,} {'images' if kind == 'images' else 'texts'} in {len(classes)} folders",
             _balance(classes)]  # fmt: skip
    if kind == "images":
        return Found("images", "image", {"path": str(path), "side": 64}, facts)
    return Found("text", "text", {"path": str(path), "text": ["text"], "target": "label", "max_words": 512}, facts)


def _files(folder: Path, files: Sequence[Path], wishes: Mapping[str, Any]) -> Found:
    """Name the train, val and test file and look into the first."""
    given: dict[str, Path] = {}
    rest = []
    for file in files:
        token = _SPLIT.search(file.name.removesuffix(".gz"))
        short = token.group(1).lower() if token else ""
        split = "test" if short.startswith("test") else "train" if short.startswith("train") else "val" if short else ""
        if split and split not in given:
            given[split] = file
        else:
            rest.append(file)
    train = given.get("train") or (rest[0] if len(rest) == 1 else None)
    if train is None:
        listed = ", ".join(f.name for f in files[:8])
        raise DataError(f"{folder}: which file holds the training rows? ({listed})", fix="give the path of that file")
    keys: dict[str, Any] = {"path": str(folder), "train_file": train.name.removesuffix(".gz")}
    for split in ("val", "test"):
        if (split in given and _ending(train) != ".ts") or (split == "test" and split in given):
            keys[f"{split}_file"] = given[split].name.removesuffix(".gz")
    if _ending(train) == ".ts":
        return Found("series", "series", keys | {"val_fraction": 0.25}, ["labelled series in .ts files"])
    return _table(train, keys, wishes)


def _table(file: Path, keys: dict[str, Any], wishes: Mapping[str, Any]) -> Found:
    facts: list[str] = []
    kind = "csv" if _ending(file) in (".data", ".test") else _ending(file).removeprefix(".")
    frame = _cells(file, kind, keys, facts) if kind in ("csv", "tsv") else _records(file)
    columns = [str(c) for c in frame.columns]
    target = _column(wishes.get("target"), columns, file) or _guess_target(columns)
    if "target" not in wishes:
        facts.append(f"target not given: '{target}' was taken; say target=<column> if it is another")
    classes = {str(k): int(n) for k, n in frame[target].value_counts().items()}
    if len(classes) > max(100, 0.2 * len(frame)):
        raise DataError(f"{file}: '{target}' has {len(classes):,} different values; regression is not supported yet",
                        fix="give a column of classes: target=<column>")  # fmt: skip
    words = {c: frame[c].dropna().head(_SHOWN_ROWS).map(lambda v: len(str(v).split())).mean() for c in columns}
    asked = [_column(c, columns, file) for c in wishes.get("text", ())]
    texts = [c for c in asked if c] or [c for c in columns if c != target and words[c] >= _LONG_TEXT]
    facts.append(f"{len(frame):,} rows, {len(columns)} columns; {len(classes)} classes in '{target}'")
    facts.append(_balance(classes))
    sensitive = {c: {"column": c} for c in (_column(s, columns, file) for s in wishes.get("sensitive", ())) if c}
    keys |= {"target": target, "sensitive": sensitive}
    if texts and (asked or len(columns) - len(texts) <= 3):
        return Found("text", "text", keys | {"text": texts}, [*facts, f"text in {', '.join(texts)}"])
    ids = [c for c in columns if c != target and frame[c].nunique() == len(frame) and not _fractions(frame[c])]
    if ids:
        facts.append(f"one value per row, taken for an identifier and left out: {', '.join(ids)}")
    same = [c for c in columns if c != target and frame[c].equals(frame[target])]
    if same:
        facts.append(f"WARNING equal to the target, left out: {', '.join(same)}")
    return Found("csv", "table", keys | {"exclude": sorted({*ids, *same})}, facts)


def _cells(file: Path, kind: str, keys: dict[str, Any], facts: list[str]) -> pd.DataFrame:
    """Read a CSV or TSV file; note in `keys` how it is written."""
    first = _first_rows(file, "\t" if kind == "tsv" else ",")
    if not _has_header(first):
        keys |= {"header": False, "columns": [f"column_{i + 1}" for i in range(len(first[0]))]}
        facts.append("no header line: columns are called column_1, column_2, …; rename them in the file written")
    names = keys.get("columns") or first[0]
    settings = DataSettings(
        name="sniff", format="csv", target=str(names[0]), sensitive={}, slices={},
        header=keys.get("header", True), columns=tuple(keys.get("columns", ())),
    )  # fmt: skip
    try:
        return read_rows(file, settings)
    except DataError:
        frame = read_rows(file, replace(settings, quotes=False))
    keys["quotes"] = False
    facts.append("quotation marks do not enclose cells")
    return frame


def _records(file: Path) -> pd.DataFrame:
    """Read JSON lines or Parquet; the first column stands in for the target, which is not known yet."""
    if _ending(file) == ".parquet":
        first = str(pd.read_parquet(file).columns[0])
    else:
        first = str(pd.read_json(file, lines=True, nrows=1).columns[0])
    return read_rows(file, DataSettings(name="sniff", format="csv", target=first, sensitive={}, slices={}))


def _first_rows(file: Path, separator: str) -> list[list[str]]:
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8-sig", errors="replace", newline="") as lines:
        rows = [row for _, row in zip(range(_SHOWN_ROWS), csv.reader(lines, delimiter=separator), strict=False) if row]
    if not rows:
        raise DataError(f"{file}: the file is empty", fix="give a file with rows")
    return [[cell.strip() for cell in row] for row in rows]


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Tell a header by cells that are no numbers above columns of numbers, or that no row below repeats."""
    head, body = rows[0], rows[1:]
    if any(_number(cell) for cell in head) or len(set(head)) < len(head) or not body:
        return False
    if any(all(_number(r[i]) for r in body[:50] if i < len(r) and r[i] not in ("", "?")) for i in range(len(head))):
        return True
    return not any(cell == r[i] for i, cell in enumerate(head) for r in body if i < len(r))


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _fractions(values: Any) -> bool:
    return all(_number(str(v)) and not float(str(v)).is_integer() for v in values.dropna().head(50))


def _guess_target(columns: Sequence[str]) -> str:
    usual = [c for c in columns if c.lower() in _USUAL_TARGETS]
    return usual[0] if usual else columns[-1]


def _column(name: str | None, columns: Sequence[str], file: Path) -> str | None:
    if name is None or name in columns:
        return name
    near = nearest(name, columns)
    fix = f"did you mean '{near}'?" if near else f"columns: {', '.join(columns[:20])}"
    raise ConfigError(f"{file}: no column '{name}'", fix=fix)


def _balance(classes: Mapping[str, int]) -> str:
    most, least = max(classes, key=lambda c: classes[c]), min(classes, key=lambda c: classes[c])
    return f"largest class '{most}' {classes[most]:,} rows, smallest '{least}' {classes[least]:,}"
