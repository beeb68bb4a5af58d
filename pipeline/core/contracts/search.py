"""What search and train hand on: candidates, budgets, trials, the model's card."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.core import bounds
from pipeline.core.bounds import Amounts
from pipeline.core.contracts.data import Inputs
from pipeline.core.contracts.layer import Layer
from pipeline.core.contracts.number import Number
from pipeline.core.contracts.retraining import Ablated, FullTraining

Origin = Literal["default", "warm_start", "prior", "mutation", "tpe", "random", "grid", "refine"]
"""Who proposed a candidate: a family's default, the space's warm_start list, a draw around the defaults, a change of
one of the best so far, Optuna's TPE sampler, a blind draw, the next one of a grid, or the best so far with numbers from
a Gaussian process."""


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

    @property
    def words(self) -> str:
        """For people."""
        layout = "" if self.memory_format is None else f", {self.memory_format.replace('_', ' ')}"
        return f"{self.precision}{layout}{', compiled' if self.compile else ''}"


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
    policy: Policy | None = None
    """None in records written before it was chosen per trial."""
    parameters: int | None
    """Trainable weights of the network."""
    multiply_adds: int | None = None
    """Of one row, forward; counted for trials that came to their end."""
    epochs: float
    """Passes over the training split."""
    seconds: float
    """Of training and scoring."""
    ended: float | None = None
    """Wall seconds of the search, over restarts, when it came to where it stands; None in older records."""
    curve: tuple[tuple[float, float], ...]
    """(share of the trial's budget spent, score) at each rung."""
    repeats: tuple[tuple[float, float | None], ...] = ()
    """(score, score on the reserve) of trainings with fresh seeds."""
    amounts: Amounts = field(default_factory=dict)
    """(amount, its bound) of each constraint that was measured: some before training, some at the end of a complete
    trial, on validation rows."""
    objectives: Mapping[str, float] = field(default_factory=dict)
    """What is minimised beside the score, as far as it was measured: as with `amounts`."""
    gaps: Mapping[str, Number] = field(default_factory=dict)
    """Two classes and sensitive features: largest gaps between groups of a complete trial, on validation rows."""
    error: str | None = None
    """Class of the failure."""
    traceback: str | None = None

    @property
    def violations(self) -> Amounts:
        """Of the amounts, those above their bounds."""
        return bounds.violations(self.amounts)

    @property
    def excess(self) -> float:
        """By which share of its bound an amount exceeds it at most; 0 where all are kept."""
        return bounds.excess(self.amounts)

    def objective(self, name: str) -> float | None:
        """Return an objective, or another number that every complete trial has."""
        known = {"score": self.score, "parameters": self.parameters, "multiply_adds": self.multiply_adds}
        return self.objectives.get(name, known.get(name))


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingImportance:
    """How much a setting of the space explains of the scores."""

    name: str
    """Dotted, as the space has it."""
    share: float | None
    """Of the variance of the scores' ranks, by the setting alone (fANOVA); None of fewer than 20 trials."""
    trials: int
    """That have the setting; the share is one of their variance."""
    of_trials: float
    """The same as a share of all that were compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Importances:
    """What mattered in the search, judged at one rung, where scores have cost the same."""

    trials: int
    budget: float | None = None
    """The rung, as a share of a trial's budget."""
    settings: tuple[SettingImportance, ...] = ()
    """Largest share first."""
    reason: str = ""
    """Why there are none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TriedDefault:
    """A value that a default may rise to, and what its first steps took here."""

    value: int | float
    pass_seconds: float | None
    """Of a pass over the training rows; None where it was not measured."""
    passes: float | None
    """That the seconds of one training pay for."""
    reason: str = ""
    """Why it was not measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RaisedDefault:
    """A default with `passes` in the space: what it is here, and what was measured to tell."""

    name: str
    """Dotted, as the space has it."""
    declared: int | float
    value: int | float
    """What the first candidate has: the declared one, or a larger one."""
    least_passes: float
    """That one training has to pay for."""
    seconds: float
    """Of one training."""
    policy: Policy
    """How the first candidate was computed when it was measured."""
    tried: tuple[TriedDefault, ...]
    """The declared value first; where one does not pay, no larger one was measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchRecord:
    """artifacts/search/search.json: the exported study."""

    schema: Literal[1] = 1
    study: str
    storage: str
    metric: str
    """What the score is."""
    objectives: tuple[str, ...] = ("score",)
    """What was minimised."""
    trials: tuple[TrialRecord, ...]
    best: int
    """Number of the trial that is handed on; `notes` say when it is not the one with the lowest score."""
    seconds: float
    """Training seconds of all trials, over restarts."""
    phases: tuple[tuple[str, float], ...] = ()
    """(what the search was at, wall seconds), over restarts; none in records written before they were counted."""
    energy_wh: float | None = None
    """Watt-hours over restarts; None where not all was measured."""
    energy_of: str = ""
    """What they are of, with all else that ran on it, or why nothing was measured."""
    processor_seconds: float | None = None
    """Of all processes and cores together, over restarts; None where one of them was interrupted, and in older
    records."""
    constraints: Mapping[str, float] = field(default_factory=dict)
    """Upper bounds by name."""
    latency_batch: int = 1
    """Rows that the bound on latency_ms is about."""
    importances: Importances | None = None
    """None in records written before they were computed."""
    raised: tuple[RaisedDefault, ...] = ()
    """Defaults of the first candidate that may rise as time allows; none where the search had no seconds."""
    gap_fronts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """By gap, the trials that no other betters in score and gap at once, lowest score first."""
    notes: tuple[str, ...] = ()

    @property
    def wall_seconds(self) -> float:
        """What the search took; training seconds in records written before phases were counted."""
        return round(sum(seconds for _, seconds in self.phases), 3) if self.phases else self.seconds

    @property
    def feasible(self) -> bool | None:
        """Whether the trial that is handed on keeps all bounds; None if it did not come as far as being measured."""
        trial = next(t for t in self.trials if t.number == self.best)
        if trial.violations:
            return False
        return True if set(self.constraints) <= set(trial.amounts) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """artifacts/search/best.json: the candidate that train takes."""

    schema: Literal[1] = 1
    number: int
    score: float
    candidate: Candidate
    policy: Policy | None = None
    """How its trial was computed; None as in TrialRecord."""
    feasible: bool | None = True
    """Whether it keeps all bounds of the search on validation rows; None if that was not measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontMember:
    """A trial that no other betters in all objectives at once."""

    number: int
    score: float
    standard_error: float | None
    """Of the score, over validation rows."""
    objectives: Mapping[str, float]
    """Each but the score, by name."""
    candidate: Candidate


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontRecord:
    """artifacts/search/front.json: what can be had of one objective without giving up more of another."""

    schema: Literal[1] = 1
    objectives: tuple[str, ...]
    """The score first; all are minimised."""
    metric: str
    """What the score is."""
    declared: bool
    """Whether the search minimised all of them; else it minimised the score, and this is what it came across."""
    compared: int
    """Trials: complete, and within all bounds."""
    members: tuple[FrontMember, ...]
    """Lowest score first; the earlier one of equals."""
    best: int
    """Number of the trial that is handed on."""
    default: int | None
    """Number of the first default that is among those compared."""
    reference: tuple[float, ...]
    """What the hypervolume is taken below: of each objective the largest among those compared, and a tenth of the
    range more."""
    ideal: tuple[float, ...]
    """Of each objective the smallest among those compared."""
    hypervolume: float
    """Volume of what lies below the reference and is bettered by a member, in the units of the objectives."""
    hypervolume_share: float
    """Of the box between ideal and reference, which only a trial that is best in all objectives would fill."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One network of an ensemble; its weights lie in artifacts/search/members/trial-<number>.safetensors."""

    number: int
    """Of the trial whose weights these are."""
    repeat: int = 0
    """0: trained with the seed of the search; k: again with the k-th fresh one (file trial-<number>-seed-<k>)."""
    share: float
    """How much its predictions count; the shares of all members sum to 1."""
    score: float
    """Its own, on the rows the ensemble was chosen on."""
    candidate: Candidate
    temperature: float
    """What its logits are divided by; part of the weights."""
    parameters: int | None
    multiply_adds: int | None
    """Of one row, forward; None as in TrialRecord."""
    weights_sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SimpleMember:
    """A simple model, no network, as a member of an ensemble.

    Nothing fitted is stored: evaluate fits it again from the same training rows, and what it says of the rows the
    ensemble was chosen on must be what lies in artifacts/search/members/<name>.npy.
    """

    kind: str
    """As in search.members."""
    name: str
    """What the model of this kind is called for such data."""
    share: float
    """How much its predictions count; 0: fitted, and not chosen."""
    score: float
    """Its own, on the rows the ensemble was chosen on."""
    rows: int
    """It is fitted on at most so many training rows, drawn with `seed`."""
    seed: int
    fitted_on: str
    """The same in words."""
    predictions_sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MixedEnsemble:
    """An ensemble that was free to choose among networks and simple models; all shares sum to 1."""

    members: tuple[Member, ...]
    """Networks, largest share first; none where simple models alone are best."""
    simple: tuple[SimpleMember, ...]
    """All that were fitted, largest share first."""
    score: float
    """On the rows it was chosen on; flattered by the choice."""

    @property
    def chosen(self) -> tuple[SimpleMember, ...]:
        """The simple models that count."""
        return tuple(simple for simple in self.simple if simple.share > 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class EnsembleRecord:
    """artifacts/search/ensemble.json: trials that predict best together, an alternative to the winner."""

    schema: Literal[1] = 1
    metric: str
    """What the scores are."""
    members: tuple[Member, ...]
    """Largest share first; one alone if no ensemble is better, none if no weights were kept."""
    score: float | None
    """Of the ensemble, on the rows it was chosen on; flattered by the choice."""
    single: int | None
    """Number of the kept trial that is best alone on these rows."""
    single_score: float | None
    split: Literal["reserve", "val"]
    """Where these rows are from; those of val were seen by every trial."""
    rows: int
    considered: tuple[int, ...]
    """Trials whose weights were there to choose from."""
    mixed: MixedEnsemble | None = None
    """Chosen from the same networks and simple models; None where none was fitted."""
    notes: tuple[str, ...] = ()


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
