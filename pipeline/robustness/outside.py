"""Rows of another data set, read as rows of this one, to see whether the network's familiarity tells them apart."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import DatasetCard, ForecastInputs, ImageInputs, Inputs, Intake, TableInputs, TextInputs
from pipeline.core.errors import ConfigError
from pipeline.core.store import read_record
from pipeline.datasets import Split, load_split
from pipeline.datasets.bpe import read_pieces
from pipeline.datasets.table_encoding import encode_table
from pipeline.robustness.corruptions import Packed
from pipeline.robustness.texts import TextCode

_FIX = "name a folder that prepare wrote of other data of this kind and shape: …/artifacts/prepare/fit"


@dataclass(frozen=True, slots=True)
class Outside:
    """Packed rows of another data set, as this network reads them."""

    name: str
    x: Packed


def outside_rows(
    folder: Path, card: DatasetCard, code: TextCode | None, rows: int, rng: np.random.Generator
) -> Outside:
    """Return at most so many validation rows of the data set in `folder`, drawn at random; `code` is of our texts.

    Raises:
        ConfigError: no such folder, the same data set, or rows of another kind or shape.
    """
    where = f"evaluate.ood: {folder}"
    if not (folder / "dataset.json").exists():
        raise ConfigError(f"{where}: holds no dataset.json", fix=_FIX)
    other = read_record(DatasetCard, folder / "dataset.json")
    if other.source_digest == card.source_digest:
        raise ConfigError(f"{where}: these are the data the network was trained on", fix=_FIX)
    if not _alike(card.inputs, other.inputs):
        ours, theirs = _shape(card.inputs), _shape(other.inputs)
        raise ConfigError(f"{where}: holds {theirs}, the network reads {ours}", fix=_FIX)
    split = load_split(folder, "val")
    picked = np.sort(rng.permutation(len(split.y))[:rows])
    return Outside(other.name, _read(folder, split, picked, card.inputs, other.inputs, code))


def _read(
    folder: Path, split: Split, picked: NDArray[np.int64], ours: Inputs, theirs: Inputs, code: TextCode | None
) -> Packed:
    """Return rows as ours: words and categories have other numbers there, texts and cells are the same."""
    if isinstance(ours, TextInputs) and isinstance(theirs, TextInputs):
        assert code is not None
        pieces = read_record(Intake, folder / "intake.json").pieces
        return code.respelt(TextCode(theirs, read_pieces(pieces) if pieces else None).words(split.x[picked]))
    if isinstance(ours, TableInputs):
        raw = split.rows.iloc[picked].rename(columns=lambda name: str(name).removeprefix("raw."))
        return encode_table(raw.astype(object).where(raw.notna(), None), ours, str(folder))
    return np.asarray(split.x[picked])


def _alike(ours: Inputs, theirs: Inputs) -> bool:
    if ours.kind != theirs.kind or isinstance(ours, ForecastInputs):
        return False
    return isinstance(ours, TextInputs) or _shape(ours) == _shape(theirs)


def _shape(inputs: Inputs) -> str:
    match inputs:
        case ImageInputs():
            return f"images of {inputs.channels} x {inputs.height} x {inputs.width}"
        case TextInputs():
            return "texts"
        case TableInputs():
            return f"tables of {', '.join(sorted(column.name for column in inputs.columns))}"
        case _:
            return f"{inputs.kind} of {len(inputs.channels)} channels and {inputs.length} steps"
