"""Intervals of forecasts from held-out windows: one limit per step ahead and target, in training deviations."""

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import Conformal, Coverage, DatasetCard, ForecastInputs, HeldOut, Number
from pipeline.core.seeds import stream
from pipeline.core.settings import EvaluateSettings
from pipeline.evaluation.calibration import too_few
from pipeline.metrics.conformal import limits
from pipeline.metrics.resampling import interval, resampled_sums
from pipeline.metrics.values import STD_UNIT

Values = NDArray[np.float64]

_STEPS = 24
_NO_LAW = "windows follow each other in time: no chance of exchangeable rows to compare with"


def forecast_conformal(
    card: DatasetCard,
    settings: EvaluateSettings,
    held: HeldOut,
    strange_NC: Values,
    outcome: tuple[Values, Values],
    block: int,
    seed: int,
) -> Conformal:
    """Return how intervals do on test windows; `outcome` is true values and forecasts (N, H · T), NaN where unknown.

    Windows overlap, so their coverage is resampled in runs of `block`.
    """
    assert isinstance(card.inputs, ForecastInputs)
    y, p = outcome
    limit_C = limits(strange_NC, settings.coverage)
    counted_NC = np.isfinite(y) & np.isfinite(limit_C)
    if not counted_NC.any():
        return too_few(held, settings.coverage, len(y), "intervals")
    hit_NC = counted_NC & (np.abs(y - p) <= limit_C)
    rng, level = stream(seed, "evaluate", "conformal"), settings.level

    def share(columns: NDArray[np.int64]) -> Number:
        sums = np.stack([hit_NC[:, columns].sum(axis=1), counted_NC[:, columns].sum(axis=1)], axis=1).astype(float)
        whole, drawn = sums.sum(axis=0), resampled_sums(sums, rng, settings.resamples, block)
        if whole[1] == 0:
            return Number(value=None, n=0, reason="no true value is known")
        with np.errstate(invalid="ignore"):
            return interval(float(whole[0] / whole[1]), drawn[:, 0] / drawn[:, 1], len(y), level, block)

    def width(columns: NDArray[np.int64]) -> Number:
        known = limit_C[columns][np.isfinite(limit_C[columns])]
        if not len(known):
            return Number(value=None, n=len(y), reason="insufficient_evidence", unit=STD_UNIT)
        return Number(value=float(2 * known.mean()), n=len(y), unit=STD_UNIT)

    horizon, targets = card.inputs.horizon, card.inputs.targets
    steps = np.unique(np.linspace(0, horizon - 1, min(_STEPS, horizon)).round().astype(int))
    at = {int(step) + 1: np.arange(step * targets, (step + 1) * targets) for step in steps}
    every = np.arange(horizon * targets)
    coverage = share(every)
    missed = coverage.ci_high is not None and coverage.ci_high < settings.coverage
    return Conformal(
        kind="intervals",
        promised=settings.coverage,
        split=held.split,
        rows=held.rows,
        verdict="not kept" if missed else "kept" if coverage.ci_high is not None else "insufficient_evidence",
        coverage=coverage,
        expected=Number(value=None, n=len(y), reason=_NO_LAW),
        size=width(every),
        parts=tuple(
            Coverage(name=f"{step} ahead", coverage=share(columns), size=width(columns)) for step, columns in at.items()
        ),
        notes=held.notes,
    )
