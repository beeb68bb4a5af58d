"""What evaluate hands on: numbers with their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

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

    name: Literal["single network", "averaged seeds", "ensemble", "mixed ensemble"]
    """averaged seeds: the winner trained several times; ensemble: trials alone; mixed: trials and simple models."""
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
    """Mean absolute error of forecasts some steps ahead, in training deviations, beside repeating the last value."""

    step: int
    mae: float
    last_value_mae: float


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
    targets: tuple[TargetScores, ...] = ()
    """Numbers: each target in its own units."""
    points: tuple[tuple[float, float], ...] = ()
    """Numbers: true and predicted values of some rows, of the first target."""
    steps: tuple[StepError, ...] = ()
    """Forecasts: errors by step ahead."""
    baselines: tuple[BaselineScores, ...]
    front: tuple[Alternative, ...] = ()
    """Speed and accuracy: the single network, the ensembles of the search where there are any, and averaged seeds."""
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
