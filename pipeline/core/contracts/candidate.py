"""What is trained, how it is computed, and what it may spend."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimizer:
    """How a candidate's weights are trained."""

    kind: Literal["adamw", "sgd", "muon"] = "adamw"
    """sgd: with Nesterov momentum; muon: Muon for hidden matrices and filters, AdamW for the rest."""
    lr: float = 1e-3
    """Peak of the learning rate; with muon, that of AdamW for the rest."""
    muon_lr: float = 0.02
    """Peak of Muon's learning rate."""
    momentum: float = 0.9
    """Of sgd and Muon."""
    weight_decay: float = 0.01
    batch_size: int | Literal["auto"] = 64
    """Rows of a step; auto: what is usual for so many rows of such data (training/budgets.py)."""
    schedule: Literal["cosine", "linear", "wsd"] = "cosine"
    """After the warm-up: half a cosine, a line to zero, or stable and then a cool-down."""
    warm_up: float = 0.05
    """Share of the budget over which the learning rate rises."""
    cool_down: float = 0.3
    """wsd: share of the budget over which it falls, as 1 - sqrt."""
    ema: float = 0.0
    """Half-life of the average of weights that is scored and kept, as a share of the budget; 0: the weights as they
    are."""
    clip: float = 1.0
    """Largest norm of a step's gradient; 0: any."""
    loss: Literal["auto", "squared", "absolute", "huber", "quantile"] = "auto"
    """Of regression and forecasts; auto: squared. Classes and labels have cross-entropy."""
    quantile: float = 0.5
    """What loss=quantile aims at."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: rare classes count as much as frequent ones, so that probabilities are no longer those of the data."""
    groups: Literal["none", "reweighed", "balanced", "worst"] = "none"
    """How groups of the sensitive features count: as they are; so that group and class are independent; all alike; or
    more the higher their loss is (training/groups.py)."""
    label_smoothing: float = 0.0
    mixup: float = 0.0
    """Images, series: alpha of the Beta distribution that blends pairs of rows; 0: none."""
    shift: int = 0
    """Images: random shift of up to this many pixels, per image and epoch."""
    flip: bool = False
    """Images: left-right mirror, every other epoch."""
    cutout: int = 0
    """Images: side of a square that is greyed out."""
    word_dropout: float = 0.0
    """Texts: share of words hidden, per text and epoch."""
    jitter: float = 0.0
    """Series: noise added, in training deviations."""

    def __post_init__(self) -> None:
        """Refuse values no training can use."""
        no_batch = self.batch_size != "auto" and self.batch_size < 1
        if self.lr <= 0 or self.muon_lr <= 0 or no_batch or not 0 <= self.label_smoothing < 1:
            raise ValueError("lr, muon_lr and batch_size must be positive, label_smoothing in [0, 1)")
        if not 0 <= self.warm_up < 1 or not 0 <= self.cool_down <= 1 - self.warm_up or not 0 <= self.ema < 1:
            raise ValueError("warm_up, cool_down and ema are shares of the budget, the first two 1 at most together")
        if not 0 < self.quantile < 1 or not 0 <= self.momentum < 1 or self.weight_decay < 0 or self.clip < 0:
            raise ValueError("quantile must be in (0, 1), momentum in [0, 1), weight_decay and clip not negative")
        if min(self.mixup, self.shift, self.cutout, self.jitter) < 0 or not 0 <= self.word_dropout < 1:
            raise ValueError("mixup, shift, cutout and jitter must not be negative, word_dropout in [0, 1)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A point of the search space: an architecture and how to train it."""

    architecture: Mapping[str, Any]
    """`kind` names the family; the rest are the fields of its architecture dataclass."""
    optimizer: Optimizer


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """How the numbers of a training are computed. Part of its record: who goes on with it computes as it did."""

    device: Literal["cpu", "cuda"]
    precision: Literal["fp32", "bf16"]
    """bf16: of forward and backward pass; weights, optimiser and all scores are fp32."""
    memory_format: Literal["contiguous", "channels_last"] | None
    """Of images; None where there are none."""
    compile: bool
    parts: int = 1
    """The rows of a step go through the network in so many: as declared, or twice as many where memory ran out."""

    @property
    def words(self) -> str:
        """For people."""
        layout = "" if self.memory_format is None else f", {self.memory_format.replace('_', ' ')}"
        parts = "" if self.parts == 1 else f", steps in {self.parts} parts"
        return f"{self.precision}{layout}{', compiled' if self.compile else ''}{parts}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What one training may spend. The schedule ends where the first of the two runs out."""

    epochs: int
    seconds: float | None = None
