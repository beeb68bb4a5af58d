"""Data sets of the Hugging Face hub by name, read as texts (data.text is set) or as a table."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError, PipelineError
from pipeline.core.store import ARTIFACTS
from pipeline.datasets.members import SPLIT_FOLDERS
from pipeline.datasets.packed import Prepared
from pipeline.datasets.tables import prepare_table
from pipeline.datasets.texts import prepare_texts


def prepare_hub(settings: DataSettings, seed: int) -> Prepared:
    """Load a data set by data.hf_name; needs the extra `hf`, and the network the first time."""
    if not settings.hf_name:
        raise ConfigError("data.hf_name: not set", fix="data.hf_name=<name on the hub>")
    try:
        import datasets
    except ImportError:
        raise ConfigError(
            "data.format=hf: the library datasets is not installed", fix="pip install archline[hf]"
        ) from None
    name, _, revision = settings.hf_name.partition("@")
    try:
        found = datasets.load_dataset(name, settings.hf_config, revision=revision or None)
    except (OSError, ValueError, RuntimeError) as wrong:
        fix = "check data.hf_name, data.hf_config and the network"
        raise DataError(f"{settings.hf_name}: {' '.join(str(wrong).split())[:300]}", fix=fix) from None
    frames, notes = frames_of(found, settings)
    return prepare_frames(settings, seed, frames, notes)


def frames_of(splits: Mapping[str, Any], settings: DataSettings) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return the rows of train, val and test, class numbers as names, and notes on what is left out.

    Each split has `to_pandas()` and `features`, as in `datasets.DatasetDict`. A split without any label is left out.
    """
    where, notes = str(settings.hf_name), []
    frames: dict[str, pd.DataFrame] = {}
    for name, rows in splits.items():
        split = SPLIT_FOLDERS.get(str(name).lower(), "train" if len(splits) == 1 else "")
        if not split:
            notes.append(f"split '{name}' is left out, {len(rows):,} rows: it is none of train, validation, test")
            continue
        if split in frames:
            raise DataError(f"{where}: two splits mean {split}: {', '.join(splits)}", fix="name another configuration")
        frame = _named(rows.to_pandas(), rows.features)
        known = [target for target in settings.targets if target in frame]
        if split != "train" and known and frame[known].isna().to_numpy().all():
            notes.append(f"split '{name}' is left out, {len(frame):,} rows: it has no labels")
            continue
        frames[split] = frame
    if "train" not in frames:
        raise DataError(f"{where}: no split of training rows among {', '.join(splits)}",
                        fix="name another data.hf_config")  # fmt: skip
    columns = [str(c) for c in frames["train"].columns]
    nested = [c for c in columns if any(_is_nested(frame[c]) for frame in frames.values() if c in frame)]
    if asked := sorted({*settings.targets, *settings.text} & set(nested)):
        raise DataError(f"{where}: '{asked[0]}' holds lists or objects", fix="name a column of text or numbers")
    if nested:
        notes.append(f"columns of lists or objects are left out: {', '.join(nested)}")
    return {split: frame.drop(columns=nested, errors="ignore") for split, frame in frames.items()}, notes


def prepare_frames(settings: DataSettings, seed: int, frames: Mapping[str, pd.DataFrame], notes: list[str]) -> Prepared:
    """Prepare rows that lie in memory, by split, as the files of a table or of labelled texts would be."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ARTIFACTS) as folder:
        for split, frame in frames.items():
            frame.to_parquet(Path(folder) / f"{split}.parquet", index=False)
        train, val, test = (f"{split}.parquet" if split in frames else None for split in ("train", "val", "test"))
        alone = replace(settings, format="text" if settings.text else "csv", path=folder, layout="parquet",
                        train_file=train, val_file=val, test_file=test)  # fmt: skip
        try:
            prepared = (prepare_texts if settings.text else prepare_table)(alone, seed)
        except PipelineError as wrong:
            message = wrong.message.replace(f"{folder}/", f"{settings.hf_name}: ")
            raise type(wrong)(message, fix=wrong.fix) from None
    return replace(prepared, card=replace(prepared.card, notes=(*notes, *prepared.card.notes)))


def _named(frame: pd.DataFrame, features: Mapping[str, Any]) -> pd.DataFrame:
    """Return class numbers as names; a negative one means that the label is withheld."""
    for column, feature in features.items():
        names = getattr(feature, "names", None)
        if names and column in frame:
            frame[column] = [names[int(v)] if pd.notna(v) and v >= 0 else None for v in frame[column]]
    return frame


def _is_nested(cells: pd.Series) -> bool:
    first = cells.dropna().head(1)
    return len(first) > 0 and isinstance(first.iloc[0], list | tuple | dict | bytes | np.ndarray)
