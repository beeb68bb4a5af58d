"""What a space is looked at on: the inputs of a prepared data set, or such as stand for a kind of data."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.core.contracts import (
    CategoricalColumn,
    DatasetCard,
    ForecastInputs,
    ImageInputs,
    Inputs,
    NumericColumn,
    SeriesInputs,
    TableInputs,
    Target,
    Task,
    TextInputs,
)
from pipeline.core.errors import SpaceError
from pipeline.linting.tree import families
from pipeline.models import FAMILIES
from pipeline.space import Space

_CLASSES = 10


@dataclass(frozen=True, slots=True)
class Subject:
    """Inputs, task and number of training rows; rows are None where no data set is meant."""

    name: str
    inputs: Inputs
    outputs: int
    task: Task
    targets: tuple[Target, ...] = ()
    rows: int | None = None


def subject_of(card: DatasetCard) -> Subject:
    """Return what prepare found."""
    return Subject(card.name, card.inputs, card.outputs, card.task, card.targets, card.rows["train"])


def _numeric(name: str) -> NumericColumn:
    return NumericColumn(name=name, edges=tuple(i / 48 for i in range(49)), median=0.5, missing=False)


def _categorical(name: str) -> CategoricalColumn:
    return CategoricalColumn(name=name, categories=tuple(f"{name}{i}" for i in range(10)), mode=1)


_IMAGE = ImageInputs(channels=3, height=32, width=32, mean=(0.5,) * 3, std=(0.25,) * 3)
_TEXT = TextInputs(length=128, vocabulary=tuple(f"word {i}" for i in range(20_000)))
_SERIES = SeriesInputs(channels=("x",), length=256, mean=(0.0,), std=(1.0,))
_FORECAST = ForecastInputs(channels=tuple("abcdefg"), targets=1, known=0, window=336, horizon=96, season=24)
_TABLE = TableInputs(columns=(*(_numeric(f"n{i}") for i in range(6)), *(_categorical(f"c{i}") for i in range(8))))
TYPICAL: Mapping[str, Subject] = {
    "image": Subject("images of 3 × 32 × 32 pixels in 10 classes", _IMAGE, _CLASSES, "multiclass"),
    "text": Subject("texts of 128 words out of 20,000 in 10 classes", _TEXT, _CLASSES, "multiclass"),
    "series": Subject("series of 256 steps of one channel in 10 classes", _SERIES, _CLASSES, "multiclass"),
    "forecast": Subject("forecasts of 96 steps of one of 7 channels from 336", _FORECAST, 96, "forecast"),
    "table": Subject("tables of 6 numbers and 8 categories in 10 classes", _TABLE, _CLASSES, "multiclass"),
}
"""What stands for a kind of data where no data set is named."""


def subjects_for(space: Space, name: str) -> tuple[Subject, ...]:
    """Return the kind of data that a space is named after, or else all kinds that one of its families reads."""
    if name in TYPICAL:
        return (TYPICAL[name],)
    reading = [FAMILIES[family].reads for family in families(space) if family in FAMILIES]
    if not reading:
        raise SpaceError(f"space.architecture: no family is known: {', '.join(families(space))}",
                         fix=f"families: {', '.join(FAMILIES)}")  # fmt: skip
    return tuple(s for s in TYPICAL.values() if any(isinstance(s.inputs, reads) for reads in reading))
