"""What a search tried, found and chose."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline.core import bounds
from pipeline.core.bounds import Amounts
from pipeline.core.contracts.candidate import Candidate, Policy
from pipeline.core.contracts.number import Number

Origin = Literal["default", "warm_start", "earlier", "prior", "mutation", "tpe", "random", "grid", "refine"]
"""Who proposed a candidate: a family's default, the space's warm_start list, the best of an earlier study over another
space or other rows, a draw around the defaults, a change of one of the best so far, Optuna's TPE sampler, a blind draw,
the next one of a grid, or the best so far with numbers from a Gaussian process."""

GIVEN: tuple[Origin, ...] = ("default", "warm_start", "earlier")
"""Those that nobody draws."""


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
    folds: tuple[float, ...] = ()
    """Scores on folds of the training rows, in their order, of trainings without the fold; where rows are few."""
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
class AgainstDefault:
    """How much worse a default scored than the trial that would else be handed on, on the same rows."""

    default: int
    """Number of its trial."""
    trial: int
    difference: float
    """Of the means over rows and seeds; above 0 where the default is worse."""
    standard_error: float
    """Of the difference: over rows, and over seeds or folds where there are several."""
    rows: int
    """Of validation and, after these, of the reserve; or of the folds."""
    reserve_rows: int = 0
    """Of these, in reserve."""
    seeds: tuple[tuple[int, ...], tuple[int, ...]]
    """Of the trainings of the default and of the trial: 0 is that of the search, -k the one without fold k."""


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
    against_default: tuple[AgainstDefault, ...] = ()
    """Each default beside the best of the few that lead, on validation and reserve or on folds; none in older records,
    for forecasts (their rows overlap) and with several objectives."""
    reserve_share: float = 0.0
    """Of the reserve in validation rows and those in reserve, which decide together; 0 where none are in reserve."""
    fold_rows: int = 0
    """Rows of each fold of the training rows on which the best few were compared; 0: on none."""
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
        trial = self.trial(self.best)
        if trial.violations:
            return False
        return True if set(self.constraints) <= set(trial.amounts) else None

    def trial(self, number: int) -> TrialRecord:
        """Return the trial with this number: of a search that was stopped, one that came to no score is not here."""
        return next(trial for trial in self.trials if trial.number == number)


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
