"""What prepare hands on: the inputs of a network, the features of the audit, the data set's card."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

SplitName = Literal["train", "val", "reserve", "test"]
"""`reserve` is a part of the validation rows that no trial sees: the last choice among the best is made on it."""
Task = Literal["binary", "multiclass", "multilabel", "regression", "forecast"]


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What a task is judged by."""

    score: str
    """What a search minimises on validation rows."""
    quality: str
    """What people read beside it there; higher is better."""
    headline: str
    """The metric of the first screen; higher is better."""


_CLASSES = TaskFacts("log_loss", "accuracy", "accuracy")
TASKS: Mapping[Task, TaskFacts] = {
    "binary": _CLASSES,
    "multiclass": _CLASSES,
    "multilabel": TaskFacts("log_loss", "label_accuracy", "f1_micro"),
    "regression": TaskFacts("squared_error", "r2", "r2"),
    "forecast": TaskFacts("squared_error", "r2", "skill"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A number to predict; mean and standard deviation are of the training rows, in raw units."""

    name: str
    mean: float
    std: float
    change: float | None = None
    """Forecasts: mean absolute change over one season (or one step) in training, the denominator of MASE."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageInputs:
    """Images as the network receives them: float NCHW in [0, 1]; statistics are of the training split."""

    kind: Literal["image"] = "image"
    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class NumericColumn:
    """A number column; `edges` are increasing bin edges fitted on the training split, in raw units.

    Dates are numbers too: days since the first of the training rows.
    """

    kind: Literal["numeric"] = "numeric"
    name: str
    edges: tuple[float, ...]
    median: float
    missing: bool
    """Whether training rows lack values; then a 0/1 indicator is packed too."""
    atoms: tuple[float, ...] = ()
    """Single values that so many rows share that each has a meaning of its own, increasing, as packed."""
    since: str | None = None
    """Dates: the day that is 0, as an ISO date; none: cells are numbers."""

    def said(self, number: float, form: str = "g") -> str:
        """Return a packed number as people write it: of dates the day."""
        if self.since is None:
            return f"{number:{form}}"
        return (date.fromisoformat(self.since) + timedelta(days=math.floor(number))).isoformat()


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoricalColumn:
    """A category column; code 0 is "unknown or rare", code i is categories[i - 1]."""

    kind: Literal["categorical"] = "categorical"
    name: str
    categories: tuple[str, ...]
    mode: int
    """The most frequent code in training, the reference value of explanations."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableInputs:
    """Rows as one float matrix (B, P).

    One place per column in order (raw number or code), then one 0/1 indicator for each numeric column with
    `missing`, in column order.
    """

    kind: Literal["table"] = "table"
    columns: tuple[NumericColumn | CategoricalColumn, ...]
    rows: int = 0
    """Training rows all this was fitted on, from which networks choose their size; 0: nobody knows."""

    @property
    def places(self) -> int:
        """P, the width of the packed matrix."""
        return len(self.columns) + sum(c.kind == "numeric" and c.missing for c in self.columns)


@dataclass(frozen=True, kw_only=True, slots=True)
class TextInputs:
    """Texts as word numbers (B, L), int32: 0 pads the end, 1 is any other word, i + 2 is vocabulary[i]."""

    kind: Literal["text"] = "text"
    length: int
    """L, the most words kept of a text."""
    vocabulary: tuple[str, ...]
    """Words of the training texts, most frequent first."""
    pairs: int = 0
    """Buckets that pairs of neighbouring words are hashed to, beside the words; 0: none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesInputs:
    """Series as float32 (B, C, T); NaN where a value is missing or the series has ended."""

    kind: Literal["series"] = "series"
    channels: tuple[str, ...]
    length: int
    """T, the longest training series; longer ones are cut."""
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ForecastInputs:
    """Windows of steps as float32 (B, C, window + horizon); NaN where unknown: all but `known` channels in the future.

    The first `targets` channels are to be forecast, the last `known` ones are known for the future too.
    """

    kind: Literal["forecast"] = "forecast"
    channels: tuple[str, ...]
    targets: int
    known: int
    window: int
    horizon: int
    season: int | None
    """Steps of the usual period, as declared."""

    @property
    def length(self) -> int:
        """T, the steps of the packed window: those of the past, and the future ones where something is known."""
        return self.window + (self.horizon if self.known else 0)


Inputs = ImageInputs | TableInputs | TextInputs | SeriesInputs | ForecastInputs


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditFeature:
    """A feature rows are grouped by in the audit: sensitive (of people) or a slice (of the data)."""

    name: str
    role: Literal["sensitive", "slice"]
    source: str
    """Where values come from, for people: "column sex", "mean intensity in 3 bins"."""
    groups: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetCard:
    """artifacts/prepare/fit/dataset.json: what prepare understood and decided."""

    schema: Literal[1] = 1
    name: str
    task: Task
    classes: tuple[str, ...]
    """Names of the classes, or of the labels of a multi-label task; empty where numbers are predicted."""
    targets: tuple[Target, ...] = ()
    """What is predicted where it is numbers."""
    weight: str | None = None
    """Column that says how much a row counts in training; none where all count the same."""
    inputs: Inputs
    rows: Mapping[str, int]
    """Rows per split."""
    class_rows: Mapping[str, tuple[int, ...]]
    """Rows per split and class (multi-label: with the label); empty where numbers are predicted."""
    audit: tuple[AuditFeature, ...]
    unit: str | None = None
    """Column of persons, patients, … that have several rows (data.group_by)."""
    time: str | None = None
    """Column that splits rows (data.time): the last are tested on."""
    source_digest: str
    """SHA-256 over the raw files (or arrays) in name order."""
    notes: tuple[str, ...]
    """Everything dropped, merged or filled, with counts; repeated in the report."""

    @property
    def outputs(self) -> int:
        """Numbers a network gives for one row."""
        if isinstance(self.inputs, ForecastInputs):
            return self.inputs.horizon * self.inputs.targets
        return len(self.classes) or len(self.targets)
