"""Encoded splits to what prepare hands on: groups of the audit, counts, the card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import AuditFeature, DatasetCard, Inputs, SplitName
from pipeline.core.data_settings import AuditSettings, DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.audit import number_groups, value_groups
from pipeline.datasets.labels import Labels
from pipeline.datasets.leaks import imbalance_note
from pipeline.datasets.packed import WINDOW_MARK, Prepared, Split
from pipeline.datasets.row_weights import even_weights
from pipeline.datasets.table_encoding import as_numbers


@dataclass(frozen=True)
class Part:
    """One split, encoded: inputs, what is to be predicted, row ids, and what rows can be grouped by."""

    x: NDArray[Any]
    y: NDArray[Any]
    ids: Sequence[str]
    properties: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Numbers by name of the property."""
    columns: pd.DataFrame | None = None
    """Text as in the file; kept under raw.<column>."""
    paths: Sequence[str] = ()
    """Names of the rows' own files, where they have one."""
    weight: NDArray[np.float64] | None = None
    """How much each row counts in training, as in the file."""


Parts = Mapping[SplitName, Part]


def assemble(
    settings: DataSettings, labels: Labels, inputs: Inputs, parts: Parts, digest: str, notes: Sequence[str]
) -> Prepared:
    """Return the splits with their audit groups, and the card."""
    weights, weight_notes = even_weights(
        settings, labels, {split: (part.y, part.weight) for split, part in parts.items()}
    )
    joined, side_notes = _with_side_table(settings, parts)
    features, groups = _audit(settings, joined)
    splits: dict[SplitName, Split] = {}
    for split, part in parts.items():
        rows = pd.DataFrame({"row_id": list(part.ids)} | {f"audit.{f.name}": groups[f.name][split] for f in features})
        if part.columns is not None:
            rows = pd.concat([rows, part.columns.reset_index(drop=True).add_prefix("raw.")], axis=1)
        splits[split] = Split(part.x, part.y, rows, weights.get(split))
    y = {split: part.y for split, part in parts.items()}
    counts = labels.counts(y)
    card = DatasetCard(
        name=settings.name,
        task=labels.task,
        classes=labels.classes,
        targets=labels.targets(y["train"], weights.get("train")),
        weight=settings.weight if weights else None,
        inputs=inputs,
        rows={split: len(part.y) for split, part in parts.items()},
        class_rows=counts,
        audit=tuple(features),
        unit=settings.group_by if "train" in joined and _has(joined["train"], settings.group_by) else None,
        time=settings.time if settings.series_id is None else None,  # else it orders the steps of each series
        source_digest=digest,
        notes=(*notes, *weight_notes, *side_notes, *_imbalance(labels, counts)),
    )
    return Prepared(card, splits)


def _has(part: Part, column: str | None) -> bool:
    return column is not None and part.columns is not None and column in part.columns


def _imbalance(labels: Labels, counts: Mapping[str, tuple[int, ...]]) -> list[str]:
    if labels.task not in ("binary", "multiclass"):
        return []
    note = imbalance_note(dict(zip(labels.classes, counts.get("train", ()), strict=False)))
    return [note] if note else []


def _with_side_table(settings: DataSettings, parts: Parts) -> tuple[Parts, list[str]]:
    """Join the columns of data.side_table to every row, for the audit alone."""
    if settings.side_table is None:
        return parts, []
    from pipeline.datasets.rows import read_rows

    if settings.side_key is None:
        raise ConfigError("data.side_key: not set", fix="name the column of data.side_table that names the rows")
    path = Path(settings.path or ".") / settings.side_table
    if not path.is_file():
        raise DataError(f"{path}: not found (data.side_table)", fix="give its path from data.path")
    alone = replace(settings, target=settings.side_key, sensitive={}, slices={}, exclude=(), text=(), layout=None,
                    time=None, group_by=None, weight=None, header=True, columns=(), strip_label="")  # fmt: skip
    table = read_rows(path, alone).set_index(settings.side_key)
    if lost := int(np.asarray(table.index.isna()).sum()):
        raise DataError(f"{path}: {lost:,} rows have no '{settings.side_key}'", fix="name or remove them")
    if not table.index.is_unique:
        twice = list(table.index[table.index.duplicated(keep=False)])
        raise DataError(f"{path}: '{twice[0]}' stands in {twice.count(twice[0]):,} rows; {len(set(twice)):,} names do "
                        "so in all", fix="give every name one row")  # fmt: skip
    found, notes = {}, []
    for split, part in parts.items():
        own = part.columns is not None and settings.side_key in part.columns
        names = part.columns[settings.side_key] if own and part.columns is not None else list(part.paths or part.ids)
        if settings.format == "forecast":  # rows are windows, the table is about series
            names = [name.rsplit(WINDOW_MARK, 1)[0] for name in names]
        there = table.reindex(names)
        there = there.astype(object).where(there.notna(), None).reset_index(drop=True)
        if gone := int((~pd.Index(names).isin(table.index)).sum()):
            notes.append(f"{gone:,} rows of {split} are not in {path.name}: their groups are missing")
        kept = part.columns.reset_index(drop=True) if part.columns is not None else pd.DataFrame(index=there.index)
        if both := [str(c) for c in there.columns if c in kept]:
            raise DataError(
                f"{path}: column '{both[0]}' is one of the rows' own too", fix="rename it in the side table"
            )
        found[split] = replace(part, columns=pd.concat([kept, there], axis=1))
    return found, notes


def _audit(settings: DataSettings, parts: Parts) -> tuple[list[AuditFeature], dict[str, dict[str, NDArray[Any]]]]:
    features, groups = [], {}
    for role, declared in (("sensitive", settings.sensitive), ("slices", settings.slices)):
        for name, setting in declared.items():
            where = f"data.{role}.{name}"
            feature, groups[name] = _groups(name, where, setting, parts)
            if setting.origin:
                feature = replace(feature, source=f"{feature.source}, {setting.origin.replace('_', '-')}")
            features.append(feature)
    return features, groups


def _groups(
    name: str, where: str, setting: AuditSettings, parts: Parts
) -> tuple[AuditFeature, dict[str, NDArray[Any]]]:
    role = "sensitive" if ".sensitive." in where else "slice"
    if setting.property is not None:
        known = parts["train"].properties
        if setting.property not in known:
            listed = ", ".join(known) or "none"
            raise ConfigError(f"{where}: these data have no property '{setting.property}'", fix=f"properties: {listed}")
        values = {str(split): part.properties[setting.property] for split, part in parts.items()}
        words = setting.property.replace("_", " ")
        return number_groups(name, role, words, setting, values["train"], values)
    if setting.folder is not None:
        levels = {str(split): _folders(part, setting.folder, where) for split, part in parts.items()}
        return value_groups(name, role, f"folder {setting.folder} above the file", levels)
    column = str(setting.column)
    frames = {str(split): part.columns for split, part in parts.items()}
    texts = {split: frame[column] for split, frame in frames.items() if frame is not None and column in frame}
    if len(texts) < len(frames):
        raise ConfigError(f"{where}: these data have no column '{column}'", fix="give property, or another column")
    source = f"column '{column}'"
    if not (setting.edges or setting.quantiles):
        return value_groups(name, role, source, {s: t.to_numpy(object) for s, t in texts.items()})
    numbers = {}
    for split, text in texts.items():
        found = as_numbers(text) if text.notna().any() else np.full(len(text), np.nan)
        if found is None:
            raise DataError(f"{source}: not a number in all rows of {split}", fix=f"leave out edges for '{name}'")
        numbers[split] = found
    return number_groups(name, role, source, setting, numbers["train"], numbers)


def _folders(part: Part, level: int, where: str) -> NDArray[Any]:
    if not part.paths:
        raise ConfigError(f"{where}: these rows have no files of their own", fix="give column or property")
    parents = [PurePosixPath(path).parents for path in part.paths]
    return np.array([p[level - 1].name or None if len(p) > level - 1 else None for p in parents], dtype=object)
