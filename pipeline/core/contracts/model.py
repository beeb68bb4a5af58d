"""artifacts/train: how the trained network came about, and how it is rebuilt."""

from dataclasses import dataclass
from typing import Literal

from pipeline.core.contracts.candidate import Candidate
from pipeline.core.contracts.data import Inputs
from pipeline.core.contracts.layer import Layer
from pipeline.core.contracts.retraining import Ablated, FullTraining


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
    lr: float | None = None
    """Learning rate of the next step; None in records written before it was noted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """How long a network takes for the predictions of one batch, as measured."""

    batch: int
    device: str
    threads: int
    """Of the CPU."""
    milliseconds: float
    """Median over repeats."""
    spread: float
    """Milliseconds between the quartiles."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """artifacts/train/card.json: how the weights beside it were made and how to rebuild the network."""

    schema: Literal[1] = 1
    candidate: Candidate
    """As it was built: numbers stand where the trial may say auto."""
    inputs: Inputs
    outputs: int
    parameters: int
    multiply_adds: int | None = None
    """Of one row, forward; None in cards written before it was counted."""
    activation_mb: float | None = None
    """Megabytes (10^6) kept for the backward pass of the rows that a process takes at once, in fp32; None as above."""
    latency: Latency | None = None
    """Of predictions; None as above."""
    seed: int
    device: str
    processes: int = 1
    """That shared the rows of each step."""
    precision: str
    memory_format: Literal["contiguous", "channels_last"] | None = None
    """In which images lay while training; None where there are none, and in cards written before it was chosen."""
    compiled: bool = False
    parts: int = 1
    """In which the rows of each step went through the network."""
    refit_rows: int | None = None
    """Training rows of the weights, validation rows among them, where these were trained on once more; all scores, and
    the temperature, are of the training before."""
    epochs: tuple[EpochRecord, ...]
    seconds: float
    processor_seconds: float | None = None
    """Of all cores together; None where an earlier process had begun, and in older cards."""
    energy_wh: float | None = None
    """Watt-hours; None where they were not measured, or not from the start."""
    energy_of: str = ""
    """What they are of, with all else that ran on it, or why nothing was measured."""
    search_score: float
    """Validation score the search saw; beside val_score it shows how well the rebuilt winner agrees."""
    val_score: float
    val_quality: float
    familiarity_floor: float | None = None
    """Free energy that 5 % of the validation rows do not reach: predict calls a row below it unlike training. None
    where numbers are predicted, and in cards written before it was measured."""
    weights_sha256: str
    seeds: tuple[FullTraining, ...] = ()
    """All trainings of the candidate, the one that is handed on first; none in cards written before there were several.
    Seconds are of each."""
    default: FullTraining | None = None
    """The untouched default candidate, trained alike."""
    default_trial: int | None = None
    """Its number in the search."""
    no_default: str = ""
    """Why none was trained."""
    distilled: FullTraining | None = None
    """The candidate, trained on what several networks say of the training rows (train.distill)."""
    ablation: tuple[Ablated, ...] = ()
    """In short trainings of their own (train.ablate_seconds)."""
    layers: tuple[Layer, ...] = ()
    """What the network is made of, in the order of the forward pass; none in cards written before it was asked."""
    notes: tuple[str, ...] = ()
