"""conf/data/*.yaml: what users say about their data."""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditSettings:
    """How rows are grouped by one feature: give `column`, `property` (brightness or length) or `folder`."""

    column: str | None = None
    property: Literal["mean_intensity", "length"] | None = None
    folder: int | None = None
    """images, texts by class: the folder above the file, counted from the file: 1 is the class, 2 the one above."""
    origin: Literal["self_declared", "administrative", "inferred"] | None = None
    """Where the values come from, in the words of the report; none: not said."""
    edges: tuple[float, ...] = ()
    """Inner bin edges in raw units; a value equal to an edge falls in the upper bin."""
    quantiles: int = 0
    """Or this many bins of equal size, fitted on the training split."""

    def __post_init__(self) -> None:
        """One source, at most one way to bin."""
        if sum(source is not None for source in (self.column, self.property, self.folder)) != 1:
            raise ValueError("give exactly one of column, property, folder")
        if self.edges and self.quantiles:
            raise ValueError("give edges or quantiles, not both")
        if self.property and not (self.edges or self.quantiles):
            raise ValueError("a property needs edges or quantiles")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSettings:
    """conf/data/*.yaml."""

    name: str
    format: Literal["digits", "idx", "npz", "images", "image_table", "csv", "text", "series", "forecast", "hf"]
    path: str | None = None
    """Folder of the raw files; none for data that come with scikit-learn. Text: also a tar or zip by class."""
    url: str | None = None
    """Instead of path: where the file is fetched from, once (http or https); kept below data/fetched."""
    sha256: str | None = None
    """The file's checksum, 64 hex digits; a file with another one is never read."""
    hf_name: str | None = None
    """hf: the data set's name on the Hugging Face hub, with `@revision` where a certain one is meant."""
    hf_config: str | None = None
    """hf: its configuration, where it has several."""
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
    image_column: str | None = None
    """image_table: the column with the images' paths, from data.path."""
    side: int | None = None
    """Image files: pixels of each side; the short side is scaled to it, the middle cut out. None: all have one size."""
    max_unreadable: float = 0.01
    """Image files: share of them that may be unreadable; they are left out and named."""
    series_layout: Literal["ts", "long", "wide"] | None = None
    """series, forecast: .ts files, tables with a line per moment, or per series; none: as the other keys suggest."""
    series_id: str | None = None
    """series, forecast: the column that names the series a line belongs to."""
    channels: tuple[str, ...] = ()
    """series: the columns with values; forecast: columns seen up to now beside the target."""
    known: tuple[str, ...] = ()
    """forecast: columns known for the future as well (calendar, prices)."""
    horizon: int | None = None
    """forecast: steps to forecast."""
    window: int | None = None
    """forecast: steps looked back on; none: 336, or half of what there is."""
    season: int | None = None
    """forecast: steps of the usual period, for the seasonal baseline and MASE."""
    steps: tuple[int, ...] = ()
    """forecast: steps of train, val and test from the start, instead of shares; the rest is not used."""
    gaps: Literal["error", "fill"] = "error"
    """forecast: whether missing moments are refused or counted as missing values."""
    text: tuple[str, ...] = ()
    """text: the columns with texts."""
    max_words: int = 256
    """text: longer texts are cut; the length is that of 95 % of the training texts if that is shorter."""
    vocabulary: int = 20_000
    """text: most words with a number of their own."""
    pairs: int = 0
    """text: buckets that pairs of neighbouring words are hashed to, beside the words; 0: none."""
    min_word_rows: int = 2
    """text: words of fewer training texts share one number."""
    tokens: Literal["words", "bpe"] = "words"
    """text: what texts are cut into and max_words and vocabulary count; bpe: pieces of words, none is unknown."""
    header: bool = True
    columns: tuple[str, ...] = ()
    """csv without header: the column names in order."""
    target: str | tuple[str, ...] | None = None
    """Column to predict; several: as many numbers, or labels of 0 and 1."""
    task: Literal["binary", "multiclass", "multilabel", "regression"] | None = None
    """None: as the target suggests."""
    label_separator: str = ""
    """Parts the labels of a cell where a row may have several."""
    time: str | None = None
    """Column that orders the rows (numbers or dates): the last ones become test and val; series: orders the steps."""
    group_by: str | None = None
    """Column of persons, patients, …: no group straddles two splits."""
    weight: str | None = None
    """Column of numbers of at least 0: how much a row counts in training; never an input. Scores count rows alike."""
    duplicates: Literal["error", "keep", "drop"] = "error"
    """Test rows that also stand among training rows: refused, declared and counted, or left out of training."""
    side_table: str | None = None
    """A table (path from data.path) with further columns of the rows, for the audit; never inputs."""
    side_key: str | None = None
    """Its column with the rows' names (files) or with the values of the rows' own column of that name."""
    missing: tuple[str, ...] = ("", "?", "NA")
    """Cell texts that mean "no value"."""
    strip_label: str = ""
    """Characters cut off the end of labels (adult.test writes '>50K.')."""
    exclude: tuple[str, ...] = ()
    """Columns that are never model inputs."""
    sensitive_inputs: tuple[str, ...] = ()
    """Columns of sensitive features that are declared as inputs all the same."""
    bins: int | None = None
    """Most bins per number column for the piecewise-linear encoding; none: as the number of training rows suggests."""
    dates: Literal["auto"] | tuple[str, ...] = "auto"
    """Tables: columns of ISO dates, read as days since the first; auto: those whose training cells all are such."""
    min_category_rows: int = 10
    """Rarer categories share the code "unknown or rare"."""
    classes: tuple[str, ...] = ()
    """Class names in order; none: sorted label values. For binary tasks the last is the positive class."""
    val_fraction: float = 0.15
    test_fraction: float = 0.2
    reserve_fraction: float = 0.33
    """Share of the validation rows that no trial sees, for the last choice; none below a hundred rows."""
    sensitive: Mapping[str, AuditSettings]
    slices: Mapping[str, AuditSettings]

    def __post_init__(self) -> None:
        """Fractions leave rows to train on."""
        if not (0 < self.val_fraction < 1 and 0 < self.test_fraction < 1):
            raise ValueError("val_fraction and test_fraction must lie between 0 and 1")
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction + test_fraction must leave rows to train on")
        if self.time is not None and self.group_by is not None:
            raise ValueError("give time or group_by, not both")
        if self.weight is not None and self.weight in (*self.targets, *self.text, *self.channels):
            raise ValueError("weight must name another column than target, text and channels")
        if self.steps and (len(self.steps) != 3 or min(self.steps) < 1):
            raise ValueError("steps: give three positive numbers, of train, val and test")
        if any(n is not None and n < 1 for n in (self.horizon, self.window, self.season)):
            raise ValueError("horizon, window and season must be at least 1")
        if not 0 <= self.reserve_fraction < 1:
            raise ValueError("reserve_fraction must lie in [0, 1)")
        if not 0 <= self.max_unreadable < 1 or (self.side is not None and self.side < 4):
            raise ValueError("max_unreadable must lie in [0, 1), side must be at least 4")
        if self.pairs < 0:
            raise ValueError("pairs must be at least 0")
        if min(self.max_words, self.vocabulary, self.min_word_rows) < 1 or (self.bins is not None and self.bins < 1):
            raise ValueError("max_words, vocabulary, min_word_rows and bins must be at least 1")
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise ValueError(f"there is no encoding '{self.encoding}'") from None

    @property
    def targets(self) -> tuple[str, ...]:
        """The target columns."""
        return (self.target,) if isinstance(self.target, str) else self.target or ()
