"""A CSV table: read, split, fitted on train, encoded, with the groups of its audit."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import AuditFeature, DatasetCard, SplitName
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.settings import AuditSettings, DataSettings
from pipeline.datasets.audit import number_groups, value_groups
from pipeline.datasets.csv_table import find_file, read_csv
from pipeline.datasets.idx import digest_files
from pipeline.datasets.packed import Prepared, Split
from pipeline.datasets.splits import check_classes, shared_rows, stratified
from pipeline.datasets.table_encoding import as_numbers, encode_table, fit_table


def prepare_table(settings: DataSettings, seed: int) -> Prepared:
    """Read and split a table; input columns are all but target, excluded and undeclared sensitive ones."""
    frames, files = read_frames(settings, seed)
    classes = class_names(settings, frames, str(files[0]))
    labels = {split: codes(frame[str(settings.target)], classes, str(files[-1])) for split, frame in frames.items()}
    check_classes(np.concatenate(list(labels.values())), classes, str(files[0]))
    columns, notes = input_columns(settings, frames["train"])
    inputs, fitted_notes = fit_table(frames["train"], columns, settings)
    x = {split: encode_table(frame, inputs, f"{settings.name} {split}") for split, frame in frames.items()}
    audit, groups = audit_features(settings, frames)
    splits: dict[SplitName, Split] = {}
    for split, frame in frames.items():
        rows = pd.DataFrame({"row_id": frame.index.astype(str)})
        for feature in audit:
            rows[f"audit.{feature.name}"] = groups[feature.name][split]
        raw = frame.reset_index(drop=True).add_prefix("raw.")
        splits[split] = Split(x[split], labels[split], pd.concat([rows, raw], axis=1))
    if same := shared_rows(np.concatenate([x["train"], x["val"]]), x["test"]):
        share = same / len(x["test"])
        fitted_notes.append(f"{same:,} test rows ({share:.1%}) have the same inputs as some training row")
    card = DatasetCard(
        name=settings.name,
        task="binary" if len(classes) == 2 else "multiclass",
        classes=classes,
        inputs=inputs,
        rows={split: len(y) for split, y in labels.items()},
        class_rows={s: tuple(int(n) for n in np.bincount(y, minlength=len(classes))) for s, y in labels.items()},
        audit=tuple(audit),
        source_digest=digest_files(files),
        notes=tuple(notes + fitted_notes),
    )
    return Prepared(card, splits)


def read_frames(settings: DataSettings, seed: int) -> tuple[dict[SplitName, pd.DataFrame], list[Path]]:
    """Return the raw rows per split, indexed by file and row number, and the files read."""
    if settings.train_file is None:
        raise ConfigError("data.train_file: not set", fix="name the CSV file in data.path")
    files = [find_file(settings, settings.train_file)]
    whole = _numbered(read_csv(files[0], settings), files[0])
    if settings.test_file is not None:
        files.append(find_file(settings, settings.test_file))
        test = _numbered(read_csv(files[1], settings), files[1])
        if list(test.columns) != list(whole.columns):
            raise DataError(f"{files[1]}: other columns than {files[0].name}", fix="give both files the same header")
    else:
        rest, off = stratified(_rough_codes(whole[str(settings.target)]), settings.test_fraction, seed, "test")
        whole, test = whole.iloc[rest], whole.iloc[off]
    kept, off = stratified(_rough_codes(whole[str(settings.target)]), settings.val_fraction, seed, "val")
    return {"train": whole.iloc[kept], "val": whole.iloc[off], "test": test}, files


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


def audit_features(
    settings: DataSettings, frames: dict[SplitName, pd.DataFrame]
) -> tuple[list[AuditFeature], dict[str, dict[str, NDArray[Any]]]]:
    """Return the audit features and the group of every row, per feature and split."""
    features, groups = [], {}
    declared = [("sensitive", settings.sensitive), ("slice", settings.slices)]
    for role, settings_of in declared:
        for name, setting in settings_of.items():
            feature, groups[name] = _column_groups(name, role, setting, frames)
            features.append(feature)
    return features, groups


def _column_groups(
    name: str, role: str, setting: AuditSettings, frames: dict[SplitName, pd.DataFrame]
) -> tuple[AuditFeature, dict[str, NDArray[Any]]]:
    if setting.column is None:
        raise ConfigError(f"data.{role}.{name}: tables have no property '{setting.property}'", fix="give column")
    source = f"column '{setting.column}'"
    if not (setting.edges or setting.quantiles):
        texts = {str(s): frame[setting.column].to_numpy(object) for s, frame in frames.items()}
        return value_groups(name, role, source, texts)
    numbers = {}
    for split, frame in frames.items():
        values = as_numbers(frame[setting.column])
        if values is None:
            raise DataError(f"{source}: not a number in all rows of {split}", fix=f"leave out edges for '{name}'")
        numbers[str(split)] = values
    return number_groups(name, role, source, setting, numbers["train"], numbers)


def _numbered(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    return frame.set_axis([f"{path.name.removesuffix('.gz')}:{i + 1}" for i in range(len(frame))], axis=0)


def _rough_codes(labels: pd.Series) -> NDArray[np.int64]:
    return np.asarray(pd.factorize(labels, sort=True)[0], dtype=np.int64)
