"""How good probabilities are in each group of people: squared error, calibration, ranking, curves, sets.

Small groups look worse calibrated than they are: the error that a calibrated model would show on so many rows stands
beside the one measured. Legend: N rows, K classes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import AuditFeature, GroupScores, Number
from pipeline.core.seeds import stream
from pipeline.core.settings import FairnessSettings
from pipeline.metrics.calibration import ece_numbers
from pipeline.metrics.disparity import Groups
from pipeline.metrics.intervals import mean
from pipeline.metrics.rankings import LEAST_OF_CLASS, area_under_roc, logit_number
from pipeline.metrics.thresholds import curves

_POINTS = 40
_GRID = np.linspace(0.05, 0.95, 19)


def group_scores(
    features: Sequence[AuditFeature],
    groups: Groups,
    y: NDArray[np.int64],
    p: NDArray[np.float64],
    sets: NDArray[np.bool_] | None,
    settings: FairnessSettings,
    seed: int,
) -> tuple[GroupScores, ...]:
    """Return the scores of every group of every sensitive feature; y (N,), p (N, K), `sets` (N, K) where any are."""
    return tuple(
        _scores(feature.name, name, y[own], p[own], None if sets is None else sets[own], settings, seed)
        for feature in features
        if feature.role == "sensitive"
        for name in feature.groups
        for own in [groups[feature.name] == name]
    )


def _scores(
    feature: str,
    group: str,
    y: NDArray[np.int64],
    p: NDArray[np.float64],
    sets: NDArray[np.bool_] | None,
    settings: FairnessSettings,
    seed: int,
) -> GroupScores:
    n, level, binary = len(y), 1 - settings.alpha, p.shape[1] == 2
    if n < settings.min_listed:
        few = Number(value=None, n=n, reason="no_rows" if not n else f"fewer than {settings.min_listed} rows")
        gone = few if binary else None
        return GroupScores(feature=feature, group=group, brier=few, ece=few, ece_null=few, above=gone, auroc=gone,
                           set_size=None if sets is None else few)  # fmt: skip
    ece, null = ece_numbers(y, p, stream(seed, "fairness", "calibration", feature, group), level)
    squares = ((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1)
    held = y == 1
    return GroupScores(
        feature=feature,
        group=group,
        brier=mean(squares, level),
        ece=ece,
        ece_null=null,
        above=mean(p[:, 1] - held, level) if binary else None,
        auroc=_ranking(held, p[:, 1], level) if binary else None,
        set_size=None if sets is None else mean(sets.sum(axis=1).astype(float), level),
        roc=_thinned(curves(held, p[:, 1])[0]) if binary else (),
        by_threshold=_by_threshold(held, p[:, 1]) if binary else (),
    )


def _ranking(held: NDArray[np.bool_], score: NDArray[np.float64], level: float) -> Number:
    rows, others = int(held.sum()), int((~held).sum())
    if min(rows, others) < LEAST_OF_CLASS:
        return Number(value=None, n=len(held), reason=f"fewer than {LEAST_OF_CLASS} rows of a class")
    return logit_number(*area_under_roc(held, score), level)


def _by_threshold(held: NDArray[np.bool_], score: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    """Return (threshold, selection, true and false positive rate); empty where one class has no rows."""
    if held.all() or not held.any():
        return ()
    chosen = [score >= cut for cut in _GRID]
    return tuple(
        (round(float(cut), 2), *(round(float(some.mean()), 6) for some in (at, at[held], at[~held])))
        for cut, at in zip(_GRID, chosen, strict=True)
    )


def _thinned(curve: Sequence[tuple[float, float]]) -> tuple[tuple[float, ...], ...]:
    if not curve:
        return ()
    kept = np.unique(np.linspace(0, len(curve) - 1, _POINTS).round().astype(int))
    return tuple(curve[i] for i in kept)
