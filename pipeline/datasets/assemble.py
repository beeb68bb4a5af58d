"""Encoded splits to what prepare hands on: groups of the audit, counts, the card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import AuditFeature, DatasetCard, Inputs, SplitName
from pipeline.core.data_settings import AuditSettings, DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.audit import number_groups, value_groups
from pipeline.datasets.packed import Prepared, Split
from pipeline.datasets.table_encoding import as_numbers


@dataclass(frozen=True)
class Part:
    """One split, encoded: inputs, class numbers, row ids, and what rows can be grouped by."""

    x: NDArray[Any]
    y: NDArray[np.int64]
    ids: Sequence[str]
    properties: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Numbers by name of the property."""
    columns: pd.DataFrame | None = None
    """Text as in the file; kept under raw.<column>."""


Parts = Mapping[SplitName, Part]


def assemble(
    settings: DataSettings, classes: tuple[str, ...], inputs: Inputs, parts: Parts, digest: str, notes: Sequence[str]
) -> Prepared:
    """Return the splits with their audit groups, and the card."""
    features, groups = _audit(settings, parts)
    splits: dict[SplitName, Split] = {}
    for split, part in parts.items():
        rows = pd.DataFrame({"row_id": list(part.ids)} | {f"audit.{f.name}": groups[f.name][split] for f in features})
        if part.columns is not None:
            rows = pd.concat([rows, part.columns.reset_index(drop=True).add_prefix("raw.")], axis=1)
        splits[split] = Split(part.x, part.y, rows)
    card = DatasetCard(
        name=settings.name,
        task="binary" if len(classes) == 2 else "multiclass",
        classes=classes,
        inputs=inputs,
        rows={split: len(part.y) for split, part in parts.items()},
        class_rows={s: tuple(int(n) for n in np.bincount(part.y, minlength=len(classes))) for s, part in parts.items()},
        audit=tuple(features),
        source_digest=digest,
        notes=tuple(notes),
    )
    return Prepared(card, splits)


def _audit(settings: DataSettings, parts: Parts) -> tuple[list[AuditFeature], dict[str, dict[str, NDArray[Any]]]]:
    features, groups = [], {}
    for role, declared in (("sensitive", settings.sensitive), ("slices", settings.slices)):
        for name, setting in declared.items():
            where = f"data.{role}.{name}"
            feature, groups[name] = _groups(name, where, setting, parts)
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
        found = as_numbers(text)
        if found is None:
            raise DataError(f"{source}: not a number in all rows of {split}", fix=f"leave out edges for '{name}'")
        numbers[split] = found
    return number_groups(name, role, source, setting, numbers["train"], numbers)
