"""What search and train hand on: candidates, budgets, trials, the model's card."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.core.contracts.data import Inputs

Origin = Literal["default", "warm_start", "sampler"]
"""Who proposed a candidate: a family's default, the space's warm_start list, or the sampler."""


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
    """What the task's search minimises (TASKS) on validation rows, at the last rung reached; None if failed.

    Log losses are taken after temperature scaling, squared errors in training standard deviations.
    """
    standard_error: float | None = None
    """Of the score of a complete trial, over validation rows."""
    quality: float | None
    """What people read beside it there (TASKS): accuracy, label accuracy or R²."""
    reserve_score: float | None = None
    """The score of a complete trial on the reserve, which no proposal and no early stop ever saw."""
    origin: Origin
    candidate: Candidate
    parameters: int | None
    """Trainable weights of the network."""
    epochs: float
    """Passes over the training split."""
    seconds: float
    curve: tuple[tuple[float, float], ...]
    """(share of the trial's budget spent, score) at each rung."""
    error: str | None = None
    """Class of the failure."""
    traceback: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchRecord:
    """artifacts/search/search.json: the exported study."""

    schema: Literal[1] = 1
    study: str
    storage: str
    metric: str
    """What the score is."""
    trials: tuple[TrialRecord, ...]
    best: int
    """Number of the trial that is handed on; `notes` say when it is not the one with the lowest score."""
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
    val_score: float
    val_quality: float
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """artifacts/train/card.json: how the weights beside it were made and how to rebuild the network."""

    schema: Literal[1] = 1
    candidate: Candidate
    inputs: Inputs
    outputs: int
    parameters: int
    seed: int
    device: str
    precision: str
    epochs: tuple[EpochRecord, ...]
    seconds: float
    search_score: float
    """Validation score the search saw; beside val_score it shows how well the rebuilt winner agrees."""
    val_score: float
    val_quality: float
    weights_sha256: str
    notes: tuple[str, ...] = ()
