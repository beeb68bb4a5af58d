"""The settings each stage reads: its slice of conf/, and nothing else.

`STAGE_KEYS` is the one list of who may read what. dvc.yaml's `params:` must say the same (a test compares them),
so that a changed key re-runs exactly the stages that can see it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.core.bounds import Constraints
from pipeline.core.contracts.held_out import ThresholdAim
from pipeline.core.data_settings import DataSettings
from pipeline.core.objectives import ObjectiveSettings

LONGEST_TEXT = 4000
"""Characters of a text that a report prints whole."""

STAGE_KEYS: Mapping[str, tuple[str, ...]] = {
    "prepare": ("seed", "data"),
    "search": ("seed", "space", "objective", "search", "trainer"),
    "train": ("seed", "train", "trainer"),
    "evaluate": ("seed", "evaluate"),
    "interpret": ("seed", "interpret"),
    "fairness": ("seed", "fairness"),
    "report": ("report",),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainerSettings:
    """conf/trainer/*.yaml: where and how numbers are computed."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    """Of images."""
    compile: bool | Literal["auto"] = "auto"
    threads: int = 1
    """CPU threads of one training process; more than one is slower when cores are shared."""
    accumulate: int = 1
    """The rows of a step go through the network in so many parts, so that they fit memory; the step stays the same."""
    devices: int = 1
    """Processes of a node that share the rows of each step, one a GPU; of the final training alone."""
    nodes: int = 1

    def __post_init__(self) -> None:
        """A step has a part, a training a process."""
        if min(self.accumulate, self.devices, self.nodes) < 1:
            raise ValueError("accumulate, devices and nodes must be at least 1")

    @property
    def processes(self) -> int:
        """Of the final training."""
        return self.devices * self.nodes


SimpleKind = Literal["linear", "ngram_svm", "gradient_boosting", "random_kernels", "seasonal"]
"""A simple model that predicts from its inputs: what may be a member of an ensemble beside networks."""
Strategy = Literal["engine", "random", "grid", "tpe_hyperband", "one_epoch_topk", "default_only"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSettings:
    """conf/search/*.yaml. `n_trials`, `seconds` and `energy_wh` are totals over all restarts."""

    strategy: Strategy = "engine"
    """engine: ours. The others are what it is measured against: blind draws, all combinations, Optuna's own TPE with
    Hyperband, one rung for all and then the best, the default alone."""
    n_trials: int
    seconds: float | None = None
    """Of wall time."""
    energy_wh: float | None = None
    """Watt-hours of what trains (core/energy.py): the GPU and, where it can be read, the CPU."""
    epochs: int | None = None
    """Budget of a trial that is never stopped; None: what is usual for the data (training/budgets.py)."""
    eta: int = 3
    """Of each rung's trials one in eta goes on; rungs lie at budget/eta^k."""
    first_steps: int = 60
    """No rung lies before so many steps, counted for the default and, with `seconds`, in the time that a trial has.

    Rank correlations of scores at a rung with those at the end, over some 40 draws from the shipped spaces, trainings
    of 4.5 s: 0.2 or less before 35 steps (but for small images), 0.5 to 0.8 from 60 steps on.
    """
    trial_share: float = 0.25
    """No trial may use more than this share of `seconds`, nor longer than the default, raised (but see trial_limit)."""
    repeats: int = 2
    """The best few are trained again with so many fresh seeds, as far as `seconds` allow."""
    refine: int = 40
    """strategy=engine: so many candidates at most are the best one with other numbers, towards the end of a search with
    `seconds` or `energy_wh` whose trials take longer than five seconds; 0: none."""
    grid_points: int = 3
    """strategy=grid: values per float."""
    reuse: bool = True
    """strategy=engine: candidates of an earlier study of the same task, over another space or other rows, are tried
    early."""
    workers: int | None = None
    """Processes that train; None: one per core or GPU; 0: this process, without isolation."""
    pack: int | None = 1
    """strategy=engine: so many new candidates of equal shapes are trained to the first rung as one; 1: each alone.

    None: 4, 8 or 16 where a measurement says that it pays. What is measured differs from run to run, so without
    `seconds` nothing is measured and each is trained alone: such a search repeats.
    """
    silence: float = 300.0
    """Seconds without a sign of life after which a worker is given up, and its trial with it."""
    storage: str | None = None
    """Optuna storage URL; none: SQLite under state/."""
    max_parameters: int = 20_000_000
    """Larger networks are refused before training."""
    keep: int = 8
    """Weights of so many best trials are kept for an ensemble; 0: none, and no ensemble."""
    members: Literal["auto"] | tuple[SimpleKind, ...] = ()
    """Simple models that may be members of an ensemble as well; auto: the strong one of such data, if there is one."""
    member_rows: int = 50_000
    """They are fitted on at most this many training rows."""
    disk_mb: float = 2000.0
    """Megabytes (10^6) under state/ that paused trials may take; a trial that lost its files starts anew."""
    constraints: Constraints = Constraints()  # noqa: RUF009  frozen
    """Upper bounds that the model handed on has to keep."""
    latency_batch: int = 1
    """Rows that are predicted at once when constraints.latency_ms is measured."""

    def __post_init__(self) -> None:
        """A search needs at least one trial of at least one epoch."""
        if min(self.n_trials, self.first_steps, 1 if self.epochs is None else self.epochs) < 1 or self.eta < 2:
            raise ValueError("n_trials, epochs and first_steps must be at least 1, eta at least 2")
        if min(self.seconds or 1, self.energy_wh or 1) <= 0 or 0 in (self.seconds, self.energy_wh):
            raise ValueError("seconds and energy_wh must be positive")
        if not 0 < self.trial_share <= 1:
            raise ValueError("trial_share must lie in (0, 1]")
        if self.repeats < 0 or self.grid_points < 1 or self.silence <= 0 or (self.workers or 0) < 0:
            raise ValueError("repeats and workers must not be negative, grid_points and silence be positive")
        if self.keep < 0 or self.latency_batch < 1 or (self.pack is not None and self.pack < 1):
            raise ValueError("keep must not be negative, latency_batch and pack at least 1")
        if self.member_rows < 1 or len(set(self.members)) < len(self.members):
            raise ValueError("member_rows must be at least 1, members differ from each other")
        if self.disk_mb <= 0 or self.refine < 0:
            raise ValueError("disk_mb must be positive, refine not negative")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainSettings:
    """conf/config.yaml `train`."""

    epochs: int | None = None
    """None: what is usual for the data (training/budgets.py)."""
    seconds: float | None = None
    refit: bool = False
    """Train once more, from the start, with the validation and reserve rows among the training rows."""
    seeds: int = 3
    """So often the winner is trained; the first network is handed on, the others tell how much is luck."""
    default: bool = True
    """Train the untouched default candidate alike, where the search found another."""
    distill: bool = False
    """Train the winner once more on what several networks say of the training rows (training/distilling.py)."""
    ablate_seconds: float = 0.0
    """For short trainings of the winner with one choice turned back to its default each; 0: none."""
    tensorboard: bool = False
    """Write the curves for TensorBoard as well, under state/."""
    latency_batch: int = 1
    """Rows that are predicted at once when latency is measured."""

    def __post_init__(self) -> None:
        """At least one epoch, a seed and a row."""
        if (self.epochs is not None and self.epochs < 1) or (self.seconds is not None and self.seconds <= 0):
            raise ValueError("epochs must be at least 1, seconds positive")
        if self.latency_batch < 1 or self.seeds < 1 or self.ablate_seconds < 0:
            raise ValueError("latency_batch and seeds must be at least 1, ablate_seconds not negative")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateSettings:
    """conf/config.yaml `evaluate`."""

    level: float = 0.95
    resamples: int = 2000
    """Bootstrap draws for scores without a closed form."""
    baselines: tuple[Literal["constant", "linear", "ngram_svm", "gradient_boosting", "random_kernels", "seasonal"], ...]
    baseline_rows: int = 20_000
    """Baselines are fitted on at most this many training rows (said in the report)."""
    baseline_pixels: int = 20_000_000
    """Images: and on rows with at most this many pixels in all."""
    random_search: str | None = None
    """predictions.parquet of another run's evaluate, whose search was a random one."""
    coverage: float = 0.9
    """Sets of classes and intervals of numbers promise to hold the truth in this share of rows."""
    threshold: float | Literal["auto"] = "auto"
    """Two classes: the second one is predicted from this probability on; auto: chosen on validation rows."""
    threshold_for: ThresholdAim = "balanced_accuracy"
    """What it is chosen for."""

    robustness: Literal["auto"] | tuple[str, ...] = "auto"
    """Corruptions and attacks of test rows; auto: all that such data can have."""
    robustness_rows: int = 2000
    """Most test rows that are corrupted."""
    robustness_seconds: float = 60.0
    """Fewer rows are taken where corruptions and attacks would last longer."""
    attack_rows: int = 256
    """Most test rows that are attacked."""
    ood: str | None = None
    """Folder of another prepared data set, whose rows should look unfamiliar to the network."""

    def __post_init__(self) -> None:
        """Shares and probabilities lie between 0 and 1; some rows, and some time."""
        if not 0 < self.coverage < 1:
            raise ValueError("coverage must lie between 0 and 1")
        if not isinstance(self.threshold, str) and not 0 < self.threshold < 1:
            raise ValueError("threshold must lie between 0 and 1, or be auto")
        if min(self.robustness_rows, self.attack_rows) < 1 or self.robustness_seconds <= 0:
            raise ValueError("robustness_rows and attack_rows must be at least 1, robustness_seconds positive")


@dataclass(frozen=True, kw_only=True, slots=True)
class InterpretSettings:
    """conf/config.yaml `interpret`."""

    rows: int = 24
    """Test rows explained."""
    steps: int = 64
    """First number of integration steps; doubled up to 512 until completeness passes."""
    seconds: float = 30.0
    """Of all that interpret does; rows, steps and checks are reduced to fit."""
    deletion_steps: int = 20
    random_orders: int = 5
    influence: bool = False
    """Whether to look for the training rows that predictions rest on; their ids then stand in the report."""
    concepts: str | None = None
    """Folder of examples of concepts: a sub-folder of pictures each, or a .txt file of phrases each."""
    concept_layers: tuple[str, ...] = ("features",)
    """Parts of the network that concepts are looked for in; features: what the head reads."""
    concept_runs: int = 30
    """Random sets of training rows that each concept is compared with."""

    def __post_init__(self) -> None:
        """Concepts need a layer, and random sets enough for a test."""
        if self.concept_runs < 20:
            raise ValueError("concept_runs must be at least 20: fewer random sets say little")
        if not self.concept_layers or len(set(self.concept_layers)) < len(self.concept_layers):
            raise ValueError("concept_layers must name at least one part, each once")


@dataclass(frozen=True, kw_only=True, slots=True)
class FairnessSettings:
    """conf/config.yaml `fairness`."""

    delta: float | None = None
    """Largest gap you call equal; none: the verdict "equivalent" is never given."""
    alpha: float = 0.05
    permutations: int = 2000
    min_listed: int = 10
    """Below this denominator a rate is listed without an interval and never judged."""
    min_judged: int = 30
    """Below this denominator: interval only, "too small"."""
    severity: int = 3
    """Of 1 to 5: what corruptions cost is compared between groups at this one."""
    reference: Mapping[str, Mapping[str, float]] | None = None
    """Shares of groups, by sensitive feature, where the model is to be used; none: they are compared with nothing."""

    def __post_init__(self) -> None:
        """Corruptions have five severities."""
        if not 1 <= self.severity <= 5:
            raise ValueError("severity must lie between 1 and 5")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScopeSettings:
    """conf/config.yaml `report.scope`: what only a person can say, printed as it is written; none: to be written."""

    intended_use: str | None = None
    """Who is to use the model, and what for."""
    out_of_scope: str | None = None
    """What it is not to be used for."""
    affected_people: str | None = None
    """About whom it decides, or who bears its mistakes."""
    labels_made_by: str | None = None
    """Who said what is true of the rows, and how."""
    human_oversight: str | None = None
    """Who looks at its answers, and may overrule it."""

    def __post_init__(self) -> None:
        """A text says something, and is shown whole."""
        for name in ("intended_use", "out_of_scope", "affected_people", "labels_made_by", "human_oversight"):
            text = getattr(self, name)
            if text is not None and not text.strip():
                raise ValueError(f"{name} is blank; write what it is, or null")
            if text is not None and len(text) > LONGEST_TEXT:
                raise ValueError(f"{name} has {len(text):,} characters, more than {LONGEST_TEXT:,}; link to the rest")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportSettings:
    """conf/config.yaml `report`."""

    title: str
    purpose: str = ""
    """One sentence on what the model is for; a person writes it."""
    include_raw: bool = False
    """Whether the report may show single texts, values of single rows, and inputs of data with sensitive features."""
    license: str = ""
    """Of the model, as the Hugging Face hub names licences; a person decides it."""
    scope: ScopeSettings = ScopeSettings()

    def __post_init__(self) -> None:
        """An identifier, no sentence."""
        if self.license and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", self.license):
            raise ValueError(f"license {self.license!r} is no identifier, such as mit, apache-2.0 or cc-by-4.0")


@dataclass(frozen=True, kw_only=True, slots=True)
class PrepareSlice:
    """What `prepare` may read."""

    seed: int
    data: DataSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSlice:
    """What `search` may read. `space` stays a plain tree: pipeline.space parses it."""

    seed: int
    space: Mapping[str, Any]
    objective: ObjectiveSettings
    search: SearchSettings
    trainer: TrainerSettings

    def __post_init__(self) -> None:
        """What stops trials by their scores alone would stop the cheap ones."""
        name = self.search.strategy
        if self.objective.others and name in ("tpe_hyperband", "one_epoch_topk"):
            able = "engine, random, grid or default_only"
            raise ValueError(f"search.strategy {name} compares scores alone; objective=pareto takes {able}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainSlice:
    """What `train` may read."""

    seed: int
    train: TrainSettings
    trainer: TrainerSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateSlice:
    """What `evaluate` may read."""

    seed: int
    evaluate: EvaluateSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class InterpretSlice:
    """What `interpret` may read."""

    seed: int
    interpret: InterpretSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class FairnessSlice:
    """What `fairness` may read."""

    seed: int
    fairness: FairnessSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportSlice:
    """What `report` may read."""

    report: ReportSettings
