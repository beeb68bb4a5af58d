"""What prepare hands on: the inputs of a network, the features of the audit, the data set's card."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SplitName = Literal["train", "val", "test"]
Task = Literal["binary", "multiclass"]


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
    """A number column; `edges` are increasing bin edges fitted on the training split, in raw units."""

    kind: Literal["numeric"] = "numeric"
    name: str
    edges: tuple[float, ...]
    median: float
    missing: bool
    """Whether training rows lack values; then a 0/1 indicator is packed too."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesInputs:
    """Series as float32 (B, C, T); NaN where a value is missing or the series has ended."""

    kind: Literal["series"] = "series"
    channels: tuple[str, ...]
    length: int
    """T, the longest training series; longer ones are cut."""
    mean: tuple[float, ...]
    std: tuple[float, ...]


Inputs = ImageInputs | TableInputs | TextInputs | SeriesInputs


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
    inputs: Inputs
    rows: Mapping[str, int]
    """Rows per split."""
    class_rows: Mapping[str, tuple[int, ...]]
    """Rows per split and class."""
    audit: tuple[AuditFeature, ...]
    source_digest: str
    """SHA-256 over the raw files (or arrays) in name order."""
    notes: tuple[str, ...]
    """Everything dropped, merged or filled, with counts; repeated in the report."""
