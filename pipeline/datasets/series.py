"""Labelled series, of .ts files (UCR and UEA archives) or tables: equal or unequal length, one or more channels."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import SeriesInputs, SplitName
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.assemble import Part, assemble
from pipeline.datasets.checks import check_channels
from pipeline.datasets.csv_table import find_file
from pipeline.datasets.idx import digest_files
from pipeline.datasets.labels import read_labels
from pipeline.datasets.packed import Prepared
from pipeline.datasets.row_weights import read_weights
from pipeline.datasets.rows import lines_of, text_of
from pipeline.datasets.series_tables import SeriesRows, read_long, read_wide
from pipeline.datasets.splits import RowFacts, given_splits, split_rows

_MISSING = ("?", "NaN", "nan")

Series = list[NDArray[np.float32]]
"""One array (C, own length) per row."""


def prepare_series(settings: DataSettings, seed: int) -> Prepared:
    """Read and split series; statistics and length are those of the training rows."""
    if settings.train_file is None:
        raise ConfigError("data.train_file: not set", fix="name the file in data.path")
    named = {"train": settings.train_file, "val": settings.val_file, "test": settings.test_file}
    files = {split: find_file(settings, name) for split, name in named.items() if name is not None}
    found = {split: read_series(path, settings) for split, path in files.items()}
    first = found["train"]
    other = next((s for s in found if found[s].channels != first.channels), None)
    if other:
        raise DataError(f"{files[other]}: other channels than {files['train'].name}",
                        fix="give both files the same channels")  # fmt: skip
    rows, names, ids = ([v for part in found.values() for v in getattr(part, what)]
                        for what in ("series", "labels", "ids"))  # fmt: skip
    given = given_splits(**{split: len(part.series) for split, part in found.items()})
    where = str(files["train"])
    cells = pd.DataFrame({(settings.targets or ("label",))[0]: names}, index=ids, dtype=object)
    labels = read_labels(settings, cells, given, where, least=2)
    weights = [cell for part in found.values() for cell in part.weights]
    column = pd.DataFrame({settings.weight: weights}, index=ids, dtype=object) if weights else None
    weight = None if column is None else read_weights(settings, column, where)
    facts = RowFacts([digest(row) for row in rows], given, labels.strata, where=where)
    places, split_notes = split_rows(settings, seed, facts)
    notes = [note for part in found.values() for note in part.notes] + split_notes
    check_channels([rows[i] for i in places["train"]], cells.iloc[places["train"]], first.channels, settings, where)
    inputs = replace(fit_series([rows[i] for i in places["train"]]), channels=first.channels)
    packed: dict[SplitName, Part] = {}
    for split, at in places.items():
        series = [rows[i] for i in at]
        if cut := sum(r.shape[1] > inputs.length for r in series):
            notes.append(f"{cut:,} series of {split} are longer than any in training and cut at {inputs.length} steps")
        length = np.array([r.shape[1] for r in series], dtype=float)
        own = None if weight is None else weight[at]
        x, names_at = pack(series, inputs.length), [ids[i] for i in at]
        packed[split] = Part(x, labels.y[at], names_at, {"length": length}, weight=own)
    if gone := int(np.isnan(np.concatenate([r.ravel() for r in rows])).sum()):
        notes.append(f"{gone:,} values are missing and stand for the training mean")
    return assemble(settings, labels, inputs, packed, digest_files(list(files.values())), notes)


def digest(row: NDArray[np.float32]) -> bytes:
    """Return a digest of a series' shape and values."""
    return hashlib.blake2b(str(row.shape).encode() + row.tobytes(), digest_size=16).digest()


def read_series(path: Path, settings: DataSettings) -> SeriesRows:
    """Read a file by data.series_layout, or by what its name and the settings say."""
    long = settings.series_id is not None and settings.time is not None
    is_ts = path.name.removesuffix(".gz").lower().endswith(".ts")
    layout = settings.series_layout or ("ts" if is_ts else "long" if long else "wide")
    if layout != "ts":
        return (read_long if layout == "long" else read_wide)(path, settings)
    if settings.weight is not None:
        raise ConfigError(f"data.weight: {path} is a .ts file, which has no columns", fix="leave data.weight out")
    rows, labels = read_ts(path, settings)
    channels = tuple(f"channel {c + 1}" for c in range(len(rows[0]))) if len(rows[0]) > 1 else ("value",)
    return SeriesRows(rows, labels, [f"{path.name}:{i + 1}" for i in range(len(rows))], channels)


def read_ts(path: Path, settings: DataSettings) -> tuple[Series, list[str]]:
    """Return the series (C, T) and the label of each row, a class or a number as text; `?` and NaN are missing."""
    rows: Series = []
    labels: list[str] = []
    in_data = False
    for number, line in enumerate(lines_of(text_of(path, settings.encoding)), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if not in_data:
            refuse_head(text, ("@timestamps true", "@classlabel false"), f"{path}, line {number}")
            in_data = text.lower().split()[0] == "@data"
            continue
        *channels, label = text.split(":")
        rows.append(ts_row(str(path), number, channels))
        labels.append(label.strip())
    if not rows:
        raise DataError(f"{path}: holds no series", fix="check that the file is in the .ts format, with @data")
    if len({r.shape[0] for r in rows}) > 1:
        raise DataError(f"{path}: rows have different numbers of channels", fix="repair the file")
    return rows, labels


def refuse_head(text: str, kinds: tuple[str, ...], where: str) -> None:
    """Refuse a line of the head that announces what is not read here."""
    if " ".join(text.lower().split()[:2]) in kinds:
        raise DataError(f"{where}: {' '.join(text.split()[:2])} is not supported yet",
                        fix="give series with a label and without time stamps")  # fmt: skip


def ts_row(where: str, number: int, channels: list[str]) -> NDArray[np.float32]:
    """Return one series (C, T) from the text of each channel."""
    found = []
    for channel in channels:
        try:
            found.append([np.nan if cell.strip() in _MISSING else float(cell) for cell in channel.split(",")])
        except ValueError as wrong:
            raise DataError(f"{where}, line {number}: {wrong}", fix="values are numbers, or ? where missing") from None
    if not found or len({len(c) for c in found}) > 1:
        raise DataError(f"{where}, line {number}: channels of different length", fix="pad them with ?")
    row = np.array(found, np.float32)
    if np.isinf(row).any():
        raise DataError(f"{where}, line {number}: an infinite value", fix="write ? for a missing value")
    return row


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
