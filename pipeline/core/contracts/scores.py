"""What evaluate hands on: numbers with their intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


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
