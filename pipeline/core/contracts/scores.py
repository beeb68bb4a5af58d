"""What evaluate hands on: numbers with their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.core.contracts.held_out import ThresholdAim
from pipeline.core.contracts.number import Number
from pipeline.core.contracts.worth import Curse, SeedSpread, Worth


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScores:
    """One class of the test split, one against the rest."""

    name: str
    precision: Number
    recall: Number
    f1: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class BaselineScores:
    """A simple model, or the default candidate, on the same rows, and the paired difference model minus baseline."""

    name: str
    fitted_on: str
    metrics: Mapping[str, Number]
    gain: Number
    """The network's headline metric minus this model's."""


def best_baseline(baselines: Sequence[BaselineScores], headline: str) -> BaselineScores | None:
    """Return the baseline with the highest headline metric."""

    def value(baseline: BaselineScores) -> float:
        found = baseline.metrics[headline].value
        return float("-inf") if found is None else found

    return max(baselines, key=value, default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Alternative:
    """One way to use what was found: how well it predicts, and what a prediction costs."""

    name: Literal["single network", "averaged seeds", "distilled", "ensemble", "mixed ensemble"]
    """averaged seeds: the winner trained several times; distilled: trained on what several networks say; ensemble:
    trials alone; mixed: trials and simple models."""
    networks: int
    simple: tuple[tuple[str, float], ...] = ()
    """(name, share) of the members that are no networks."""
    parameters: int | None
    """Of all networks together."""
    multiply_adds: int | None
    """Of one row, forward, of all networks together."""
    metrics: Mapping[str, Number]
    gain: Number | None
    """Its headline metric minus that of the single network, paired by row; None of that network itself."""
    verdict: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ConstraintCheck:
    """A bound of the search, kept or not by the network that is handed on."""

    name: str
    bound: float
    search: float | None
    """The amount that the search saw, where it depends on rows on validation rows; None if it was not measured."""
    test: Number
    """The amount of the final network, on test rows."""
    verdict: Literal["holds", "does not hold", "cannot tell"]
    """Cannot tell: the interval reaches over the bound, or there is no amount."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """One bar of the reliability diagram."""

    confidence: float
    accuracy: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetScores:
    """One target of a regression, in its own units: r2, mae, rmse and bias (mean of predicted minus true)."""

    name: str
    metrics: Mapping[str, Number]


@dataclass(frozen=True, kw_only=True, slots=True)
class StepError:
    """Errors of forecasts some steps ahead, and the mean absolute error of repeating the last value."""

    step: int
    metrics: Mapping[str, Number]
    """As those of the forecasts as a whole."""
    last_value_mae: float
    """In training deviations, as mae."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tempering:
    """Probabilities of the test rows before their logits were divided by the temperature."""

    temperature: float
    rows: int
    """Validation rows it was fitted on."""
    metrics: Mapping[str, Number]
    """Of the probabilities before; those after stand among the metrics of the network."""
    reliability: tuple[Bin, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """Two classes: the second one is predicted from this probability on."""

    value: float
    chosen_for: ThresholdAim | None
    """None: declared as a number."""
    rows: int | None
    """Validation rows it was chosen on."""
    reason: str = ""
    """Why none was chosen."""
    positive: str
    """Name of the second class."""
    metrics: Mapping[str, Number]
    """Test rows, at this threshold."""
    argmax: Mapping[str, Number]
    """The same at one half."""
    roc: tuple[tuple[float, float], ...]
    """(false positive rate, true positive rate) of test rows, from the highest threshold down."""
    precision_recall: tuple[tuple[float, float], ...]
    """(recall, precision), likewise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """How often sets or intervals held the truth among some of the test rows, and how large they were."""

    name: str
    """A class, a target, or steps ahead."""
    coverage: Number
    size: Number
    """Mean number of classes in a set, or mean width of an interval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conformal:
    """Sets of classes or labels, or intervals of numbers, that promise to hold the truth (split conformal)."""

    kind: Literal["sets", "intervals"]
    promised: float
    split: Literal["val", "reserve"]
    rows: int
    """Rows of it that they were calibrated on."""
    verdict: Literal["kept", "not kept", "insufficient_evidence"]
    coverage: Number
    """Measured on test rows."""
    expected: Number
    """What may be measured when the promise holds: it is kept on average over calibration rows, not by each draw."""
    size: Number
    parts: tuple[Coverage, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """artifacts/evaluate/scores.json: the test split, read once."""

    schema: Literal[1] = 1
    headline: str
    """The metric of the first screen; higher is better."""
    metrics: Mapping[str, Number]
    """Of the task; classes: accuracy, balanced_accuracy, log_loss, brier, ece, ece_null (of a calibrated model)."""
    classes: tuple[ClassScores, ...] = ()
    """Classes or labels."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """Rows are true classes, columns predicted ones."""
    reliability: tuple[Bin, ...] = ()
    tempering: Tempering | None = None
    """Classes and labels: what dividing logits by the temperature has changed."""
    threshold: Threshold | None = None
    """Two classes."""
    conformal: Conformal | None = None
    """None before it was measured."""
    targets: tuple[TargetScores, ...] = ()
    """Numbers: each target in its own units."""
    points: tuple[tuple[float, float], ...] = ()
    """Numbers: true and predicted values of some rows, of the first target."""
    steps: tuple[StepError, ...] = ()
    """Forecasts: errors by step ahead."""
    baselines: tuple[BaselineScores, ...]
    front: tuple[Alternative, ...] = ()
    """Speed and accuracy: the single network, the ensembles of the search where there are any, averaged seeds and the
    distilled network."""
    constraints: tuple[ConstraintCheck, ...] = ()
    """The bounds of the search, each on the final network."""
    default: BaselineScores | None = None
    """The untouched default candidate, a network trained alike; None where none was trained."""
    seeds: SeedSpread | None = None
    """None where the winner was trained once."""
    worth: Worth | None = None
    """None in records written before it was asked."""
    curse: Curse | None = None
    """None as above."""
    latency_ms: Number
    """Median milliseconds for one row on the evaluation device."""
    notes: tuple[str, ...] = ()
