"""A table: read, split, fitted on train, encoded, with the groups of its audit."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import SplitName
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.assemble import Part, assemble
from pipeline.datasets.checks import check_columns
from pipeline.datasets.csv_table import find_file, hollow_lines
from pipeline.datasets.idx import digest_files
from pipeline.datasets.labels import Labels, read_labels
from pipeline.datasets.packed import Prepared
from pipeline.datasets.row_weights import read_weights
from pipeline.datasets.rows import read_rows
from pipeline.datasets.splits import Places, RowFacts, split_rows
from pipeline.datasets.table_encoding import encode_table, fit_table
from pipeline.datasets.times import moments


@dataclass(frozen=True)
class Pool:
    """All rows as text, indexed by file and row number, the split the data name for each, and the files read."""

    frame: pd.DataFrame
    given: NDArray[np.object_]
    files: list[Path]
    notes: list[str] = field(default_factory=list)

    def keys(self, columns: list[str]) -> list[bytes]:
        """Return a digest of some columns per row."""
        cells = self.frame[columns].map(lambda v: "\0" if v is None else v)
        hashed = pd.util.hash_pandas_object(cells, index=False)
        return [int(h).to_bytes(8, "little") for h in hashed]


def prepare_table(settings: DataSettings, seed: int) -> Prepared:
    """Read and split a table; input columns are all but target, excluded and undeclared sensitive ones."""
    pool = read_pool(settings)
    labels = read_labels(settings, pool.frame[list(settings.targets)], pool.given, str(pool.files[0]))
    known = [str(c) for c in pool.frame.columns if c not in (*settings.exclude, settings.weight)]
    weight = read_weights(settings, pool.frame, str(pool.files[0]))
    places, split_notes = split_pool(settings, seed, pool, pool.keys(known), labels)
    frames = {split: pool.frame.iloc[rows] for split, rows in places.items()}
    columns, notes = input_columns(settings, frames["train"])
    notes += check_columns(pool.frame, frames["train"], columns, settings, str(pool.files[0]))
    inputs, fitted_notes = fit_table(frames["train"], columns, settings, labels.task)
    parts: dict[SplitName, Part] = {}
    for split, frame in frames.items():
        x = encode_table(frame, inputs, f"{settings.name} {split}")
        ids, own = [str(i) for i in frame.index], None if weight is None else weight[places[split]]
        parts[split] = Part(x, labels.y[places[split]], ids, columns=frame, weight=own)
    notes += split_notes + fitted_notes
    return assemble(settings, labels, inputs, parts, digest_files(pool.files), notes)


def read_pool(settings: DataSettings) -> Pool:
    """Return the rows of all given files."""
    files = raw_files(settings)
    frames: list[pd.DataFrame] = []
    given: list[NDArray[np.object_]] = []
    notes = []
    for split, path in files.items():
        frame = read_rows(path, settings)
        notes += hollow_lines(path, frame)
        frame = frame.set_axis([f"{path.name.removesuffix('.gz')}:{i + 1}" for i in range(len(frame))], axis=0)
        if frames and list(frame.columns) != list(frames[0].columns):
            message = f"{path}: other columns than {files['train'].name}"
            raise DataError(message, fix="give both files the same header")
        frames.append(frame)
        if "(split)" in frame:
            given.append(frame["(split)"].where(frame["(split)"] != "train", "").to_numpy(object))
        else:
            given.append(np.full(len(frame), "" if split == "train" else split, dtype=object))
    return Pool(pd.concat(frames), np.concatenate(given), list(files.values()), notes)


def split_pool(
    settings: DataSettings, seed: int, pool: Pool, keys: list[bytes], labels: Labels
) -> tuple[Places, list[str]]:
    """Return the rows of each split by content, group or time, and notes."""
    where = str(pool.files[0])
    groups, times = None, None
    if settings.group_by is not None:
        groups = pool.frame[settings.group_by].to_numpy(object)
        if gone := sum(g is None for g in groups):
            raise DataError(f"{where}: {gone:,} rows have no '{settings.group_by}' (data.group_by)",
                            fix="give every row its group, or remove these rows")  # fmt: skip
    if settings.time is not None:
        times = moments(pool.frame[settings.time], where)
    facts = RowFacts(keys, pool.given, labels.strata, groups, times, where, settings.format == "csv")
    places, notes = split_rows(settings, seed, facts)
    notes = [*pool.notes, *notes]
    if times is not None:
        late = float(np.nanmin(times[places["test"]])) < float(np.nanmax(times[places["train"]]))
        notes.append(f"split by time ('{settings.time}')" + (": WARNING given test rows begin before training ends"
                                                             if late else ""))  # fmt: skip
    if groups is not None:
        notes.append(f"split by group: {len(set(groups)):,} values of '{settings.group_by}', none on two sides")
    return places, notes


def raw_files(settings: DataSettings) -> dict[SplitName, Path]:
    """Return the file of each given split; texts by class may be data.path itself."""
    if settings.train_file is None:
        if settings.format == "text" and settings.path is not None:
            return {"train": Path(settings.path)}
        raise ConfigError("data.train_file: not set", fix="name the file in data.path")
    named: dict[SplitName, str | None] = {
        "train": settings.train_file,
        "val": settings.val_file,
        "test": settings.test_file,
    }
    return {split: find_file(settings, name) for split, name in named.items() if name is not None}


def input_columns(settings: DataSettings, frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the names of input columns, and notes on those held back."""
    sensitive = {s.column for s in settings.sensitive.values()} - set(settings.sensitive_inputs)
    held = [c for c in frame.columns if c in sensitive]
    notes = [f"sensitive columns are not inputs: {', '.join(held)}"] if held else []
    named = [c for c in (settings.group_by, settings.time) if c and c in frame.columns]
    if named:
        notes.append(f"columns that split the rows are not inputs: {', '.join(named)}")
    dropped = {*settings.targets, *settings.exclude, *held, *named, settings.weight}
    return [str(c) for c in frame.columns if c not in dropped], notes
