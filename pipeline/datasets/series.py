"""Labelled series in the .ts format of the UCR and UEA archives: equal or unequal length, one or several channels."""

from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import SeriesInputs, SplitName
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.assemble import Part, assemble
from pipeline.datasets.csv_table import find_file
from pipeline.datasets.idx import digest_files
from pipeline.datasets.packed import Prepared
from pipeline.datasets.rows import text_of
from pipeline.datasets.splits import check_classes, shared_rows, stratified

_MISSING = ("?", "NaN", "nan")

Series = list[NDArray[np.float32]]
"""One array (C, own length) per row."""


def prepare_series(settings: DataSettings, seed: int) -> Prepared:
    """Read and split series; statistics and length are those of the training rows."""
    if settings.train_file is None:
        raise ConfigError("data.train_file: not set", fix="name the .ts file in data.path")
    files = [find_file(settings, settings.train_file)]
    rows, names = read_ts(files[0], settings)
    if settings.test_file is not None:
        files.append(find_file(settings, settings.test_file))
        test, test_names = read_ts(files[1], settings)
        if {r.shape[0] for r in test} != {r.shape[0] for r in rows}:
            raise DataError(f"{files[1]}: other channels than {files[0].name}", fix="give both files the same channels")
    classes = settings.classes or tuple(sorted(set(names)))
    y = numbers(names, classes, files[0])
    check_classes(y, classes, str(files[0]), least=2)
    ids = [f"{files[0].name}:{i + 1}" for i in range(len(rows))]
    taken = np.arange(len(rows))
    parts: dict[SplitName, tuple[Series, NDArray[np.int64], list[str]]] = {}
    if settings.test_file is not None:
        known = [f"{files[1].name}:{i + 1}" for i in range(len(test))]
        parts["test"] = test, numbers(test_names, classes, files[1]), known
    else:
        taken, off = stratified(y, settings.test_fraction, seed, "test")
        parts["test"] = [rows[i] for i in off], y[off], [ids[i] for i in off]
    kept, off = stratified(y[taken], settings.val_fraction, seed, "val")
    own: dict[SplitName, NDArray[np.int64]] = {"train": taken[kept], "val": taken[off]}
    parts |= {split: ([rows[i] for i in at], y[at], [ids[i] for i in at]) for split, at in own.items()}
    inputs = fit_series(parts["train"][0])
    notes = []
    packed: dict[SplitName, Part] = {}
    for split in get_args(SplitName):
        series, labels, names_of = parts[split]
        if cut := sum(r.shape[1] > inputs.length for r in series):
            notes.append(f"{cut:,} series of {split} are longer than any in training and cut at {inputs.length} steps")
        length = np.array([r.shape[1] for r in series], dtype=float)
        packed[split] = Part(pack(series, inputs.length), labels, names_of, {"length": length})
    if gone := int(np.isnan(np.concatenate([r.ravel() for r in rows])).sum()):
        notes.append(f"{gone:,} values are missing and stand for the training mean")
    if same := shared_rows([packed["train"].x, packed["val"].x], packed["test"].x):
        notes.append(f"{same:,} test series equal some training series")
    return assemble(settings, classes, inputs, packed, digest_files(files), notes)


def read_ts(path: Path, settings: DataSettings) -> tuple[Series, list[str]]:
    """Return the series (C, T) and the class name of each row; `?` and NaN are missing values."""
    rows: Series = []
    labels: list[str] = []
    in_data = False
    for number, line in enumerate(text_of(path, settings.encoding).splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if not in_data:
            head = text.lower().split()
            if head[:2] in (["@timestamps", "true"], ["@classlabel", "false"], ["@targetlabel", "true"]):
                raise DataError(f"{path}, line {number}: {text.split()[0]} {head[1]} is not supported yet",
                                fix="give series with a class label and without time stamps")  # fmt: skip
            in_data = head[0] == "@data"
            continue
        *channels, label = text.split(":")
        rows.append(_row(path, number, channels))
        labels.append(label.strip())
    if not rows:
        raise DataError(f"{path}: holds no series", fix="check that the file is in the .ts format, with @data")
    if len({r.shape[0] for r in rows}) > 1:
        raise DataError(f"{path}: rows have different numbers of channels", fix="repair the file")
    return rows, labels


def _row(path: Path, number: int, channels: list[str]) -> NDArray[np.float32]:
    found = []
    for channel in channels:
        try:
            found.append([np.nan if cell.strip() in _MISSING else float(cell) for cell in channel.split(",")])
        except ValueError as wrong:
            raise DataError(f"{path}, line {number}: {wrong}", fix="values are numbers, or ? where missing") from None
    if not found or len({len(c) for c in found}) > 1:
        raise DataError(f"{path}, line {number}: channels of different length", fix="pad them with ?")
    row = np.array(found, np.float32)
    if np.isinf(row).any():
        raise DataError(f"{path}, line {number}: an infinite value", fix="write ? for a missing value")
    return row


def numbers(names: list[str], classes: tuple[str, ...], path: Path) -> NDArray[np.int64]:
    """Return class numbers (N,)."""
    index = {name: i for i, name in enumerate(classes)}
    strange = next((name for name in names if name not in index), None)
    if strange is not None:
        raise DataError(f"{path}: label '{strange}' is not among the classes {', '.join(classes[:10])}",
                        fix="list it in data.classes")  # fmt: skip
    return np.array([index[name] for name in names], dtype=np.int64)


def fit_series(train: Series) -> SeriesInputs:
    """Return length, and mean and deviation per channel of the known values."""
    channels = train[0].shape[0]
    values = [np.concatenate([row[c] for row in train]) for c in range(channels)]
    with np.errstate(invalid="ignore"):
        mean = [float(np.nan_to_num(np.nanmean(v))) for v in values]
        std = [max(float(np.nan_to_num(np.nanstd(v), nan=1.0)), 1e-6) for v in values]
    names = tuple(f"channel {c + 1}" for c in range(channels)) if channels > 1 else ("value",)
    return SeriesInputs(channels=names, length=max(r.shape[1] for r in train), mean=tuple(mean), std=tuple(std))


def pack(series: Series, length: int) -> NDArray[np.float32]:
    """Return (N, C, T), NaN after the end of a row."""
    x = np.full((len(series), series[0].shape[0], length), np.nan, np.float32)
    for i, row in enumerate(series):
        x[i, :, : min(length, row.shape[1])] = row[:, :length]
    return x
