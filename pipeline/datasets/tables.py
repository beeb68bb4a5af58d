"""A CSV table: read, split, fitted on train, encoded, with the groups of its audit."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import SplitName
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.assemble import Part, assemble
from pipeline.datasets.csv_table import find_file
from pipeline.datasets.idx import digest_files
from pipeline.datasets.packed import Prepared
from pipeline.datasets.rows import read_rows
from pipeline.datasets.splits import check_classes, shared_rows, stratified
from pipeline.datasets.table_encoding import encode_table, fit_table


def prepare_table(settings: DataSettings, seed: int) -> Prepared:
    """Read and split a table; input columns are all but target, excluded and undeclared sensitive ones."""
    frames, files = read_frames(settings, seed)
    classes = class_names(settings, frames, str(files[0]))
    labels = {split: codes(frame[str(settings.target)], classes, str(files[-1])) for split, frame in frames.items()}
    check_classes(np.concatenate(list(labels.values())), classes, str(files[0]))
    columns, notes = input_columns(settings, frames["train"])
    inputs, fitted_notes = fit_table(frames["train"], columns, settings)
    x = {split: encode_table(frame, inputs, f"{settings.name} {split}") for split, frame in frames.items()}
    if same := shared_rows([x["train"], x["val"]], x["test"]):
        share = same / len(x["test"])
        fitted_notes.append(f"{same:,} test rows ({share:.1%}) have the same inputs as some training row")
    parts = {s: Part(x[s], labels[s], [str(i) for i in frame.index], columns=frame) for s, frame in frames.items()}
    return assemble(settings, classes, inputs, parts, digest_files(files), notes + fitted_notes)


def read_frames(settings: DataSettings, seed: int) -> tuple[dict[SplitName, pd.DataFrame], list[Path]]:
    """Return the raw rows per split, indexed by file and row number, and the files read."""
    files = raw_files(settings)
    whole = _numbered(read_rows(files["train"], settings), files["train"])
    given: dict[SplitName, pd.DataFrame] = {}
    if "(split)" in whole:
        given = {s: whole[whole["(split)"] == s] for s in ("val", "test") if (whole["(split)"] == s).any()}
        whole = whole[~whole["(split)"].isin(list(given))]
    for split in ("val", "test"):
        if split in files:
            frame = _numbered(read_rows(files[split], settings), files[split])
            if list(frame.columns) != list(whole.columns):
                message = f"{files[split]}: other columns than {files['train'].name}"
                raise DataError(message, fix="give both files the same header")
            given[split] = frame
    shares: dict[SplitName, float] = {"test": settings.test_fraction, "val": settings.val_fraction}
    for split, share in shares.items():
        if split not in given:
            kept, off = stratified(_rough_codes(whole[str(settings.target)]), share, seed, split)
            whole, given[split] = whole.iloc[kept], whole.iloc[off]
    return {"train": whole, "val": given["val"], "test": given["test"]}, list(files.values())


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


def class_names(settings: DataSettings, frames: dict[SplitName, pd.DataFrame], where: str) -> tuple[str, ...]:
    """Return the declared class names, or the sorted labels of train and val."""
    target = str(settings.target)
    for split, frame in frames.items():
        if gone := int(frame[target].isna().sum()):
            raise DataError(
                f"{where}: {gone} rows of {split} have no label in '{target}'", fix="remove or label these rows"
            )
    found = {str(v) for split in ("train", "val") for v in frames[split][target]}
    return settings.classes or tuple(sorted(found))


def codes(labels: pd.Series, classes: tuple[str, ...], where: str) -> NDArray[np.int64]:
    """Return class numbers (N,); a label that is not among the classes is refused."""
    numbers = labels.map({name: i for i, name in enumerate(classes)})
    if numbers.isna().any():
        strange = str(labels[numbers.isna()].iloc[0])
        raise DataError(
            f"{where}: label '{strange}' is not among the classes {', '.join(classes[:10])}",
            fix="list it in data.classes, or check data.strip_label",
        )
    return np.asarray(numbers, dtype=np.int64)


def input_columns(settings: DataSettings, frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the names of input columns, and a note on the sensitive ones held back."""
    sensitive = {s.column for s in settings.sensitive.values()} - set(settings.sensitive_inputs)
    held = [c for c in frame.columns if c in sensitive]
    notes = [f"sensitive columns are not inputs: {', '.join(held)}"] if held else []
    dropped = {str(settings.target), *settings.exclude, *held}
    return [str(c) for c in frame.columns if c not in dropped], notes


def _numbered(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    return frame.set_axis([f"{path.name.removesuffix('.gz')}:{i + 1}" for i in range(len(frame))], axis=0)


def _rough_codes(labels: pd.Series) -> NDArray[np.int64]:
    return np.asarray(pd.factorize(labels, sort=True)[0], dtype=np.int64)
