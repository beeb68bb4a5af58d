"""Which files of a folder belong together, by their names, and how their bytes are letters."""

import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.core.contracts import SplitName
from pipeline.core.errors import DataError
from pipeline.datasets.rows import text_of
from pipeline.sniffing.found import listed

TABLES = (".csv", ".tsv", ".data", ".jsonl", ".ndjson", ".json", ".parquet")
_BY_CONTENT = (".train", ".test", ".dev", ".val", ".valid", ".all", ".txt")
"""Endings that say nothing of how rows are written."""
_SPLIT = re.compile(r"(?:^|(?<=[._-]))(train|training|test|testing|val|valid|validation|dev)(?=[._-]|$)", re.I)

Files = dict[SplitName, Path]


def ending(path: Path) -> str:
    """Return the ending in lower case, without .gz."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def row_files(folder: Path) -> list[Path]:
    """Return the files of a folder that may hold rows, by name: tables and .ts files, else files to look into."""
    names = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    known = [p for p in names if ending(p) in (*TABLES, ".ts")]
    known = [p for p in known if ending(p) != ".json" or len(names) == 1] or known
    plain = [p for p in names if ending(p) in _BY_CONTENT]
    return [*known, *(p for p in plain if split_of(p)[0])] if known else plain


def split_of(path: Path) -> tuple[SplitName | None, str]:
    """Return the split that a file's name speaks of, and the name without it."""
    name = path.name.removesuffix(".gz")
    found = _SPLIT.search(name)
    if found is None:
        return None, name
    word = found.group(1).lower()
    split: SplitName = "train" if word.startswith("train") else "test" if word.startswith("test") else "val"
    return split, f"{name[: found.start()]}*{name[found.end() :]}"


def with_siblings(path: Path) -> tuple[Files, list[str]]:
    """Return the files of the splits for one file that was named: those beside it with the same name but the split."""
    split, stem = split_of(path)
    files: Files = {"train": path}
    if split != "train":
        return files, []
    for other in sorted(path.parent.iterdir()):
        its, name = split_of(other)
        if other.is_file() and name == stem and its in ("val", "test") and ending(other) not in (".md", ".names"):
            files.setdefault(its, other)
    told = ", ".join(f"{files[s].name} ({s})" for s in ("val", "test") if s in files)
    return files, [f"found beside it: {told}"] if told else []


def of_folder(folder: Path, files: Sequence[Path]) -> tuple[Files, list[str]]:
    """Return the files of the splits in a folder, and a note on those that are not used.

    Raises:
        DataError: it cannot be told which file holds the training rows.
    """
    known = [(*split_of(file), file) for file in files]
    trains = [(stem, file) for split, stem, file in known if split == "train"]
    plain = [file for split, _, file in known if split is None]
    stem, train = min(trains, key=lambda pair: (len(pair[0]), pair[0]), default=("", folder))
    variants = all(other.startswith(stem.partition("*")[0]) for other, _ in trains)  # x_TRAIN, x_eq_TRAIN
    if not trains and len(plain) == 1:
        stem, train = "", plain[0]
    elif not trains or not variants:
        raise DataError(f"{folder}: which file holds the training rows? ({listed([f.name for f in files], 8)})",
                        fix="give the path of that file")  # fmt: skip
    found: Files = {"train": train}
    for same in (True, False):  # a file of the same name but for the split comes first
        for split, other, file in known:
            wanted = other == stem if same else len(trains) < 2
            if split in ("val", "test") and wanted:
                found.setdefault(split, file)
    unused = [file.name for file in files if file not in found.values()]
    return found, [f"not used: {listed(unused, 4)}; give the path of a file to use it"] if unused else []


def file_keys(files: Files) -> dict[str, str]:
    """Return data.path and the keys of the files."""
    named = {f"{split}_file": files[split].name.removesuffix(".gz") for split in ("train", "val", "test")
             if split in files}  # fmt: skip
    return {"path": str(files["train"].parent), **named}


def encoding_of(files: Files, facts: list[str]) -> str:
    """Return utf-8, or what the bytes that are no utf-8 look like; then it is told."""
    wrong: dict[str, bytes] = {}
    right: list[str] = []
    for file in files.values():
        if ending(file) != ".parquet":
            data = text_of(file, "latin-1").encode("latin-1")
            if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
                facts.append("the file is in utf-16")
                return "utf-16"
            try:
                right += [file.name] if len(data.decode("utf-8")) < len(data) else []
            except UnicodeDecodeError:
                wrong[file.name] = data
    if not wrong:
        return "utf-8"
    found = "latin-1"
    if any(re.search(rb"[\x80-\x9f]", data) for data in wrong.values()):
        found = "cp1252"
        for data in wrong.values():
            try:
                data.decode("cp1252")
            except UnicodeDecodeError:
                found = "latin-1"
    facts.append(f"{listed(list(wrong))}: not utf-8, read as {found}; check some words with accents")
    if right:
        facts.append(f"WARNING {listed(right)}: in utf-8, accents in it will be wrong; write all files alike")
    return found
