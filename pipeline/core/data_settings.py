"""conf/data/*.yaml: what users say about their data."""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditSettings:
    """How rows are grouped by one feature. Give `column` (tables, texts) or `property` (brightness or length)."""

    column: str | None = None
    property: Literal["mean_intensity", "length"] | None = None
    edges: tuple[float, ...] = ()
    """Inner bin edges in raw units; a value equal to an edge falls in the upper bin."""
    quantiles: int = 0
    """Or this many bins of equal size, fitted on the training split."""

    def __post_init__(self) -> None:
        """One source, at most one way to bin."""
        if (self.column is None) == (self.property is None):
            raise ValueError("give exactly one of column, property")
        if self.edges and self.quantiles:
            raise ValueError("give edges or quantiles, not both")
        if self.property and not (self.edges or self.quantiles):
            raise ValueError("a property needs edges or quantiles")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSettings:
    """conf/data/*.yaml."""

    name: str
    format: Literal["digits", "idx", "images", "csv", "text", "series"]
    path: str | None = None
    """Folder of the raw files; none for data that come with scikit-learn. Text: also a tar or zip by class."""
    layout: Literal["csv", "tsv", "jsonl", "parquet", "label_text", "folder"] | None = None
    """csv, text: how rows are written; none: by the file's name."""
    encoding: str = "utf-8"
    """Of text files."""
    quotes: bool = True
    """Whether quotation marks enclose cells of csv and tsv files."""
    train_file: str | None = None
    """File in `path` with the training rows (.gz is tried too)."""
    val_file: str | None = None
    """csv, text: file with the given validation rows; none: a share of the training rows is split off."""
    test_file: str | None = None
    """File with the given test rows; none: a share is split off."""
    side: int | None = None
    """images: pixels of each side; the short side is scaled to it and the middle cut out. None: all have one size."""
    max_unreadable: float = 0.01
    """images: share of the files that may be unreadable; they are left out and named."""
    text: tuple[str, ...] = ()
    """text: the columns with texts."""
    max_words: int = 256
    """text: longer texts are cut; the length is that of 95 % of the training texts if that is shorter."""
    vocabulary: int = 20_000
    """text: most words with a number of their own."""
    min_word_rows: int = 2
    """text: words of fewer training texts share one number."""
    header: bool = True
    columns: tuple[str, ...] = ()
    """csv without header: the column names in order."""
    target: str | None = None
    missing: tuple[str, ...] = ("", "?", "NA")
    """Cell texts that mean "no value"."""
    strip_label: str = ""
    """Characters cut off the end of labels (adult.test writes '>50K.')."""
    exclude: tuple[str, ...] = ()
    """Columns that are never model inputs."""
    sensitive_inputs: tuple[str, ...] = ()
    """Columns of sensitive features that are declared as inputs all the same."""
    bins: int = 48
    """Most bin edges per number column for the piecewise-linear encoding."""
    min_category_rows: int = 10
    """Rarer categories share the code "unknown or rare"."""
    classes: tuple[str, ...] = ()
    """Class names in order; none: sorted label values. For binary tasks the last is the positive class."""
    val_fraction: float = 0.15
    test_fraction: float = 0.2
    sensitive: Mapping[str, AuditSettings]
    slices: Mapping[str, AuditSettings]

    def __post_init__(self) -> None:
        """Fractions leave rows to train on."""
        if not (0 < self.val_fraction < 1 and 0 < self.test_fraction < 1):
            raise ValueError("val_fraction and test_fraction must lie between 0 and 1")
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction + test_fraction must leave rows to train on")
        if not 0 <= self.max_unreadable < 1 or (self.side is not None and self.side < 4):
            raise ValueError("max_unreadable must lie in [0, 1), side must be at least 4")
        if min(self.max_words, self.vocabulary, self.min_word_rows, self.bins) < 1:
            raise ValueError("max_words, vocabulary, min_word_rows and bins must be at least 1")
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise ValueError(f"there is no encoding '{self.encoding}'") from None
