"""Images and labels as arrays: the four files of the MNIST family, and .npz files."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.idx import read_pair
from pipeline.datasets.npz import array_names, as_channels, as_labels, read_array
from pipeline.datasets.splits import RowFacts, array_keys, given_splits, split_rows
from pipeline.sniffing.found import Found, Wishes, counted
from pipeline.sniffing.labels import labelled
from pipeline.sniffing.tables import tell_split

Arrays = dict[str, tuple[NDArray[Any], NDArray[Any]]]
"""Images (N, C, H, W) and labels of each split."""


def sniff_idx(folder: Path, wishes: Wishes, seed: int) -> Found:
    """Return the four files of the MNIST family; the t10k files are the test split."""
    found = Found("idx", "image", {"path": str(folder)})
    _check(wishes, folder)
    arrays = {split: read_pair(folder, prefix)[:2] for split, prefix in (("train", "train"), ("test", "t10k"))}
    return _tell(found, wishes, seed, arrays)


def sniff_npz(path: Path, wishes: Wishes, seed: int) -> Found:
    """Return the arrays of an .npz file."""
    found = Found("npz", "image", {"path": str(path)})
    _check(wishes, path)
    if wishes.task:
        found.keys["task"] = wishes.task
    arrays: Arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for split, (x, y) in array_names(path, archive).items():
                images = as_channels(f"{path}: {x}", read_array(path, archive, x))
                arrays[split] = images, as_labels(f"{path}: {y}", read_array(path, archive, y), found.settings())
    except zipfile.BadZipFile as wrong:
        raise DataError(f"{path}: not an .npz file, or cut off ({wrong})", fix="download the file again") from None
    for split, (images, labels) in arrays.items():
        if len(images) != len(labels):
            raise DataError(f"{path}: {len(images):,} images of {split}, but {len(labels):,} labels",
                            fix="write the file again with a label per image")  # fmt: skip
    return _tell(found, wishes, seed, arrays)


def _check(wishes: Wishes, path: Path) -> None:
    if said := [*wishes.columns(), *(["horizon"] if wishes.horizon else [])]:
        raise ConfigError(f"init: {said[0]}= says something of columns, but {path} holds arrays of images",
                          fix=f"leave {said[0]}= out")  # fmt: skip


def _tell(found: Found, wishes: Wishes, seed: int, arrays: Arrays) -> Found:
    if wishes.val_fraction:
        found.keys["val_fraction"] = wishes.val_fraction
    where = str(found.keys["path"])
    given = given_splits(**{split: len(y) for split, (_, y) in arrays.items()})
    values = np.concatenate([y for _, y in arrays.values()])
    shape = arrays["train"][0].shape[1:]
    found.what = (
        f"{counted(len(values), 'image')} of {shape[2]} x {shape[1]} pixels, {'grey' if shape[0] == 1 else 'in colour'}"
    )
    numbered = values.ndim == 1 and np.issubdtype(values.dtype, np.integer) and wishes.task is None
    more = {"classes": [str(i) for i in range(int(values.max()) + 1)]} if numbered else {}
    columns = values[:, None] if values.ndim == 1 else values
    names = ["label"] if columns.shape[1] == 1 else [f"label_{i + 1}" for i in range(columns.shape[1])]
    labels = labelled(found, wishes, pd.DataFrame(columns.astype(str), columns=names, dtype=object), given, where, more)
    if numbered:
        found.hints = ["data.classes takes names for the classes 0, 1, 2, …"]
    facts = RowFacts(array_keys(*[x for x, _ in arrays.values()]), given, labels.strata, where=where)
    named = [split for split in arrays if split != "train"]
    tell_split(
        found, labels, lambda settings: split_rows(settings, seed, facts), "by content, stratified by class", named
    )
    found.work, found.amount = "image bytes", float(len(values) * np.prod(shape))
    found.packed = found.amount
    return found
