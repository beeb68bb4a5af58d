"""Images and texts by class, in folders or archives."""

import hashlib
from pathlib import Path

import numpy as np

from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.decoding import SUFFIXES
from pipeline.datasets.members import OnDisk, members
from pipeline.datasets.photos import given_folders
from pipeline.datasets.splits import RowFacts, split_rows
from pipeline.datasets.texts import words
from pipeline.sniffing.found import Found, Wishes, counted
from pipeline.sniffing.images import look, picture_keys
from pipeline.sniffing.labels import folder_cells, labelled
from pipeline.sniffing.tables import tell_split

_MAX_WORDS = 512


def sniff_classes(path: Path, wishes: Wishes, seed: int) -> Found:
    """Return what a folder or archive by class holds; every file is looked at, no image is decoded.

    Raises:
        ConfigError: a wish for columns, which files by class do not have.
        DataError: no files by class.
    """
    if said := [*wishes.columns(), *(["horizon"] if wishes.horizon else [])]:
        raise ConfigError(f"init: {said[0]}= says something of columns, but {path} holds files by class",
                          fix=f"leave {said[0]}= out; data.side_table takes a table about the files")  # fmt: skip
    pictures = look(members(path, SUFFIXES))
    if pictures.files or pictures.unreadable:
        found = Found("images", "image", {"path": str(path)})
        found.what = counted(len(pictures.files), "image") + " by folder"
        _more(found, wishes)
        picture_keys(found, pictures, str(path))
        return _by_folder(found, wishes, seed, pictures.files, pictures.keys)
    found = Found("text", "text", {"path": str(path), "text": ["text"], "target": "label", "max_words": _MAX_WORDS})
    _more(found, wishes)
    files, keys = _texts(found, path)
    return _by_folder(found, wishes, seed, files, keys)


def _more(found: Found, wishes: Wishes) -> None:
    if wishes.val_fraction:
        found.keys["val_fraction"] = wishes.val_fraction


def _by_folder(found: Found, wishes: Wishes, seed: int, files: list[OnDisk], keys: list[bytes]) -> Found:
    path = str(found.keys["path"])
    folders = {file.label for file in files}
    if len(folders) == 1:
        raise DataError(f"{path}: all {len(files):,} files lie in one folder, '{folders.pop()}'",
                        fix="lay them out as <class>/<name>, or give a table with their paths")  # fmt: skip
    splits = [file.split or "" for file in files]
    given = np.array(["" if split == "train" else split for split in splits], dtype=object)
    if found.format == "images":
        given = given_folders(splits)
    names = [file.name for file in files]
    labels = labelled(found, wishes, folder_cells([file.label for file in files], names), given, path)
    facts = RowFacts(keys, given, labels.strata, where=path)
    named = [f"folder {split}" for split in ("val", "test") if split in splits]
    tell_split(
        found, labels, lambda settings: split_rows(settings, seed, facts), "by content, stratified by class", named
    )
    return found


def _texts(found: Found, path: Path) -> tuple[list[OnDisk], list[bytes]]:
    """Return the files and what tells equal texts; set the encoding and tell the lengths."""
    files: list[OnDisk] = []
    keys: list[bytes] = []
    lengths: list[int] = []
    strange = 0
    for file in members(path, (".txt",)):
        text = decoded(file.data)
        strange += text is None
        cut = words(text if text is not None else file.data.decode("latin-1"))
        lengths.append(len(cut))
        keys.append(hashlib.blake2b("\0".join(cut).encode(), digest_size=16).digest())
        files.append(OnDisk(file.name, ""))
    if not files:
        fix = "lay them out as <class>/<name>, or give a CSV, TSV, JSONL, Parquet, .npz or .ts file"
        raise DataError(f"{path}: no table, series, image or text files by class", fix=fix)
    if strange:
        found.keys["encoding"] = "latin-1"
        found.facts.append(f"{counted(strange, 'file')} not in utf-8, all are read as latin-1")
    usual = int(np.quantile(lengths, 0.95))
    found.what = counted(len(files), "text") + " by folder"
    found.facts.append(f"{int(np.median(lengths)):,} words as a rule, 95 % up to {usual:,}; "
                       f"cut after {min(usual, _MAX_WORDS):,} (data.max_words)")  # fmt: skip
    found.work, found.amount = "text words", float(sum(lengths))
    found.packed = float(len(files) * min(usual, _MAX_WORDS) * 4)
    return files, keys


def decoded(data: bytes) -> str | None:
    """Return the text, or None if it is not in utf-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
