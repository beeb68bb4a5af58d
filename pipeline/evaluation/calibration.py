"""What held-out validation rows promise about predictions, and whether test rows keep it.

Temperature: probabilities before and after. Threshold: the decision between two classes. Conformal: sets and intervals.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import (
    Conformal,
    Coverage,
    DatasetCard,
    HeldOut,
    Number,
    Tempering,
    Threshold,
    ThresholdAim,
)
from pipeline.core.errors import ConfigError
from pipeline.core.settings import EvaluateSettings
from pipeline.evaluation.judges import Judge
from pipeline.metrics.calibration import reliability, untempered
from pipeline.metrics.conformal import TOO_FEW, class_sets, expected_coverage, label_sets, limits
from pipeline.metrics.intervals import mean, proportion
from pipeline.metrics.thresholds import claimed, curves, decision_table
from pipeline.metrics.values import STD_UNIT, UNIT

Values = NDArray[np.float64]

BINS = 15
_SHOWN = ("log_loss", "brier", "ece", "ece_null")


def tempering(
    card: DatasetCard, judge: Judge, temperature: float, y: NDArray[Any], p: Values, level: float
) -> Tempering | None:
    """Return the probabilities' errors before the temperature, None where numbers are predicted."""
    if not card.classes:
        return None
    labels = card.task == "multilabel"
    before = untempered(p, temperature, labels=labels)
    found = judge.metrics(before, "untempered")
    return Tempering(
        temperature=temperature,
        rows=card.rows["val"],
        metrics={name: found[name] for name in _SHOWN if name in found},
        reliability=() if labels else reliability(y, before, BINS, level),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """Where a decision between two classes is made, and why there."""

    value: float = 0.5
    chosen_for: ThresholdAim | None = None
    rows: int | None = None
    reason: str = ""
    """Why none was chosen."""


def cut_of(card: DatasetCard, settings: EvaluateSettings, held: HeldOut) -> Cut:
    """Return the declared or chosen threshold; one half where there is nothing to choose.

    Raises:
        ConfigError: one is declared, and there are not two classes.
    """
    auto = settings.threshold == "auto"
    if settings.threshold == 0.5 or (auto and card.task != "binary"):
        return Cut()
    if card.task != "binary":
        raise ConfigError(
            f"evaluate.threshold: only two classes that exclude each other have one, this task is {card.task}",
            fix="evaluate.threshold=0.5",
        )
    if not isinstance(settings.threshold, str):
        return Cut(value=settings.threshold)
    aim = settings.threshold_for
    if aim not in held.thresholds:
        return Cut(reason="validation rows hold one class only, nothing can be chosen on them")
    return Cut(value=held.thresholds[aim], chosen_for=aim, rows=held.threshold_rows)


def threshold(card: DatasetCard, cut: Cut, y: NDArray[Any], p: Values, level: float) -> Threshold | None:
    """Return what test rows say about a threshold, None where there are not two classes."""
    if card.task != "binary":
        return None
    held, second = y == 1, p[:, 1]
    argmax = decision_table(held, claimed(p, 0.5), level)
    roc, precision_recall = curves(held, second)
    return Threshold(
        value=cut.value,
        chosen_for=cut.chosen_for,
        rows=cut.rows,
        reason=cut.reason,
        positive=card.classes[1],
        metrics=argmax if cut.value == 0.5 else decision_table(held, claimed(p, cut.value), level),
        argmax=argmax,
        roc=roc,
        precision_recall=precision_recall,
    )


def conformal(
    card: DatasetCard, settings: EvaluateSettings, held: HeldOut, strange_NC: Values, y: NDArray[Any], p: Values
) -> Conformal | None:
    """Return how sets or intervals from held-out rows do on test rows; None for forecasts.

    Intervals of several targets are promised one by one, not together.
    """
    if card.task == "forecast":
        return None
    limit_C, n = limits(strange_NC, settings.coverage), len(y)
    if not np.isfinite(limit_C).all():
        return too_few(held, settings.coverage, n, "sets" if card.classes else "intervals")
    level = settings.level
    expected = expected_coverage(held.rows, settings.coverage, n, level)
    if card.classes:
        labels = card.task == "multilabel"
        sets_NK = (label_sets if labels else class_sets)(p, float(limit_C[0]))
        true_NK = y == 1 if labels else np.eye(len(card.classes), dtype=bool)[y]
        hit_N, size_N = (sets_NK | ~true_NK).all(axis=1), sets_NK.sum(axis=1).astype(float)
        parts = [_part(name, sets_NK[true_NK[:, k], k], size_N[true_NK[:, k]], level)
                 for k, name in enumerate(card.classes)]  # fmt: skip
        coverage, size = proportion(int(hit_N.sum()), n, level), mean(size_N, level)
        kept = _reached(coverage, expected)
    else:
        hit_NC = np.abs(y - p) <= limit_C
        widths = [Number(value=float(2 * limit), n=n, unit=UNIT) for limit in limit_C]
        parts = [
            Coverage(name=target.name, coverage=proportion(int(hit_N.sum()), n, level), size=width)
            for target, hit_N, width in zip(card.targets, hit_NC.T, widths, strict=True)
        ]
        coverage, size = parts[0].coverage, widths[0]
        if len(parts) > 1:
            coverage = mean(hit_NC.mean(axis=1), level)
            relative = 2 * limit_C / np.array([target.std for target in card.targets])
            size = Number(value=float(relative.mean()), n=n, unit=STD_UNIT)
        # As many tests as targets, so each must fail at a stricter level (Bonferroni).
        strict = expected_coverage(held.rows, settings.coverage, n, 1 - (1 - level) / len(parts))
        kept = all(_reached(part.coverage, strict) for part in parts)
    return Conformal(
        kind="sets" if card.classes else "intervals",
        promised=settings.coverage,
        split=held.split,
        rows=held.rows,
        verdict="kept" if kept else "not kept",
        coverage=coverage,
        expected=expected,
        size=size,
        parts=tuple(parts),
        notes=held.notes,
    )


def _part(name: str, hit: NDArray[np.bool_], size: Values, level: float) -> Coverage:
    if not len(hit):
        gone = Number(value=None, n=0, reason="no_rows_of_this_class")
        return Coverage(name=name, coverage=gone, size=gone)
    return Coverage(name=name, coverage=proportion(int(hit.sum()), len(hit), level), size=mean(size, level))


def _reached(coverage: Number, expected: Number) -> bool:
    """Say whether a measured coverage is not lower than chance explains."""
    return coverage.value is not None and expected.ci_low is not None and coverage.value >= expected.ci_low


def too_few(held: HeldOut, promised: float, n: int, kind: Literal["sets", "intervals"]) -> Conformal:
    """Return the record of a promise that nobody can give: only sets of everything would keep it."""
    gone = Number(value=None, n=n, reason=TOO_FEW)
    least = int(np.ceil(1 / (1 - promised) - 1e-9))
    why = f"{held.rows} {held.split} rows cannot promise {promised:.4g}: at least {least} are needed"
    return Conformal(
        kind=kind,
        promised=promised,
        split=held.split,
        rows=held.rows,
        verdict="insufficient_evidence",
        coverage=gone,
        expected=gone,
        size=gone,
        notes=(why, *held.notes),
    )
