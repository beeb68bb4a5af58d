"""What one stage hands to the next: frozen records, each with a schema number, read strictly.

Arrays lie beside them as `.npy`, tables as Parquet, weights as safetensors; nothing is pickled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SplitName = Literal["train", "val", "test"]
Task = Literal["binary", "multiclass"]
Origin = Literal["default", "warm_start", "sampler"]
"""Who proposed a candidate: a family's default, the space's warm_start list, or the sampler."""


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


Inputs = ImageInputs | TableInputs


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimizer:
    """How a candidate's weights are trained."""

    kind: Literal["adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.01
    batch_size: int = 64
    label_smoothing: float = 0.0
    shift: int = 0
    """Images: random shift of up to this many pixels, per image and epoch."""
    flip: bool = False
    """Images: random left-right mirror."""

    def __post_init__(self) -> None:
        """Refuse values no training can use."""
        if self.lr <= 0 or self.batch_size < 1 or not 0 <= self.label_smoothing < 1:
            raise ValueError("lr and batch_size must be positive, label_smoothing in [0, 1)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A point of the search space: an architecture and how to train it."""

    architecture: Mapping[str, Any]
    """`kind` names the family; the rest are the fields of its architecture dataclass."""
    optimizer: Optimizer


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What one training may spend. The schedule ends where the first of the two runs out."""

    epochs: int
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRecord:
    """One evaluated candidate; what every later stage may know of the search."""

    number: int
    state: Literal["complete", "pruned", "failed"]
    score: float | None
    """Validation log loss at the last rung reached (lower is better); None if failed."""
    accuracy: float | None
    """Validation accuracy there."""
    origin: Origin
    candidate: Candidate
    parameters: int | None
    """Trainable weights of the network."""
    epochs: float
    """Passes over the training split."""
    seconds: float
    curve: tuple[tuple[float, float], ...]
    """(share of the trial's budget spent, validation log loss) at each rung."""
    error: str | None = None
    """Class of the failure."""
    traceback: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchRecord:
    """artifacts/search/search.json: the exported study."""

    schema: Literal[1] = 1
    study: str
    storage: str
    metric: Literal["log_loss"] = "log_loss"
    trials: tuple[TrialRecord, ...]
    best: int
    """Number of the best trial."""
    seconds: float
    """Training seconds of all trials, over restarts."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """artifacts/search/best.json: the candidate that train takes."""

    schema: Literal[1] = 1
    number: int
    score: float
    candidate: Candidate


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """Where a training stood: after an epoch, or at a rung of a trial."""

    epoch: int
    """Whole passes finished when this was measured."""
    train_loss: float
    """Mean loss of the optimiser since the last record."""
    val_log_loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """artifacts/train/card.json: how the weights beside it were made and how to rebuild the network."""

    schema: Literal[1] = 1
    candidate: Candidate
    inputs: Inputs
    classes: tuple[str, ...]
    parameters: int
    seed: int
    device: str
    precision: str
    epochs: tuple[EpochRecord, ...]
    seconds: float
    search_score: float
    """Validation log loss the search saw; beside val_log_loss it shows how well the rebuilt winner agrees."""
    val_log_loss: float
    val_accuracy: float
    weights_sha256: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A reported number. Undefined is `value: null` with a reason, never 0 or NaN."""

    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_level: float | None = None
    ci_method: str | None = None
    n: int
    unit: str | None = None
    reason: str | None = None
    """Why the value is undefined."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScores:
    """One class of the test split, one against the rest."""

    name: str
    precision: Number
    recall: Number
    f1: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class BaselineScores:
    """A simple model on the same rows, and the paired difference model minus baseline."""

    name: str
    fitted_on: str
    metrics: Mapping[str, Number]
    accuracy_gain: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """One bar of the reliability diagram."""

    confidence: float
    accuracy: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """artifacts/evaluate/scores.json: the test split, read once."""

    schema: Literal[1] = 1
    metrics: Mapping[str, Number]
    """accuracy, balanced_accuracy, log_loss, brier, ece, ece_null (ECE expected of a calibrated model at this n)."""
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Rows are true classes, columns predicted ones."""
    reliability: tuple[Bin, ...]
    baselines: tuple[BaselineScores, ...]
    latency_ms: Number
    """Median milliseconds for one row on the evaluation device."""
    notes: tuple[str, ...] = ()


Verdict = Literal["pass", "warn", "fail", "not_assessed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodCheck:
    """How far one attribution method can be believed on this model."""

    method: str
    baseline: str
    """What "absent" means for this method, in words."""
    completeness: Number
    """Median |sum of attributions - (F(x) - F(baseline))| / |F(x) - F(baseline)|."""
    deletion_gain: Number
    """Mean area between the deletion curves of random order and of this method (positive: better than random)."""
    deletion_curve: tuple[float, ...]
    """Mean probability of the explained class after removing 0, 1/k … all of the input, most important first."""
    random_curve: tuple[float, ...]
    verdict: Verdict
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainedRow:
    """One test row of the gallery; maps lie in attributions.npz under `<method>` at this index."""

    index: int
    row_id: str
    true: str
    predicted: str
    probability: float
    why_chosen: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """Mean absolute attribution of one feature (table column or image region) over the explained rows."""

    name: str
    value: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanations:
    """artifacts/interpret/checks.json; arrays in attributions.npz: one (R, …) array per method and `inputs`."""

    schema: Literal[1] = 1
    target: str
    sampling: str
    rows: tuple[ExplainedRow, ...]
    methods: tuple[MethodCheck, ...]
    importance: Mapping[str, tuple[Importance, ...]]
    notes: tuple[str, ...] = ()
    not_assessed: tuple[str, ...] = ()
    seconds: float = 0.0


FairnessVerdict = Literal["disparity_found", "equivalent_within_delta", "insufficient_evidence", "not_assessed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupRate:
    """One rate in one group; n of the Number is the rate's own denominator."""

    group: str
    rate: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupGap:
    """One group against the rest: signed difference, corrected p, smallest gap that could have been seen."""

    group: str
    gap: Number
    p: float | None
    p_adjusted: float | None
    detectable: float | None
    verdict: FairnessVerdict
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureAudit:
    """One metric over the groups of one audit feature."""

    feature: str
    role: Literal["sensitive", "slice"]
    metric: str
    higher_is_better: bool
    overall: Number
    groups: tuple[GroupRate, ...]
    gaps: tuple[GroupGap, ...]
    spread: Number
    """Highest minus lowest rate of the groups that are large enough to judge."""
    spread_p: float | None
    """Share of random relabellings of the rows with at least this spread."""
    verdict: FairnessVerdict


@dataclass(frozen=True, kw_only=True, slots=True)
class FairnessRecord:
    """artifacts/fairness/groups.json."""

    schema: Literal[1] = 1
    audits: tuple[FeatureAudit, ...]
    positive_class: str | None
    delta: float | None
    tests: int
    """Tests in the family that the Benjamini-Hochberg correction covers."""
    notes: tuple[str, ...] = ()
    not_assessed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Provenance:
    """What stands behind the numbers of one stage."""

    stage: str
    command: str
    config: Mapping[str, Any] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
