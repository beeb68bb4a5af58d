"""What worse inputs cost each group: errors of the same rows before and after, one difference a row.

A group is compared with the rest as in `means`: Welch's interval of the difference of mean differences, rows relabelled
for p. Legend: N rows.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from pipeline.core.contracts import AuditFeature, Number
from pipeline.core.settings import FairnessSettings
from pipeline.metrics.disparity import Groups
from pipeline.metrics.intervals import Moments
from pipeline.metrics.means import NUMBERS, Compared, Values, compared
from pipeline.metrics.units import unit_means

COSTS = {"wrong": "accuracy lost to", "absolute_error": "absolute error added by"}
"""What the errors of rows are, and what more of them is called."""


def drops(
    features: Sequence[AuditFeature],
    groups: Groups,
    errors: tuple[str, NDArray[np.float64], Mapping[str, NDArray[np.float64]]],
    settings: FairnessSettings,
    seed: int,
    unit: NDArray[np.int64] | None = None,
) -> list[Compared]:
    """Return the cost of every corruption over the groups of every sensitive feature, not judged yet.

    Args:
        features: what rows are grouped by; slices of the data are left out.
        groups: group of every row (N,), by feature.
        errors: what they are, a key of `COSTS`; the error of every row (N,) unchanged, and by corruption. NaN where a
            row has no truth.
        settings: alpha, delta (a share of rows, or in the units of the errors) and sizes.
        seed: of the relabellings.
        unit: number of the person, series, … each row belongs to (N,): each counts once, with the mean of its rows.
    """
    kind, clean, worse = errors
    how = FLIPS if kind == "wrong" and unit is None else NUMBERS
    found = []
    for feature in features:
        if feature.role != "sensitive":
            continue
        for corruption, error in worse.items():
            cost, of = error - clean, groups[feature.name]
            cost, of = (cost, of) if unit is None else unit_means(cost, of, unit)
            metric = f"{COSTS[kind]} {corruption.replace('_', ' ')}"
            found.append(compared(feature, of, metric, cost, settings, seed, how))
    return found


def flip_moments(cost: NDArray[np.float64]) -> Moments:
    """Return count, mean and variance of differences (N,) that are -1, 0 or 1.

    Half a row is added to each of the four ways in which a pair can end, to the variance alone (Agresti and Min 2005):
    rows that all stay as they were do not promise that all others would.
    """
    n = len(cost)
    if not n:
        return Moments(0, math.nan, math.nan)
    p, q = ((int((cost == way).sum()) + 0.5) / (n + 2) for way in (1, -1))
    return Moments(n, float(cost.mean()), (p + q - (p - q) ** 2) * n / (n + 2))


def flip_mean(cost: NDArray[np.float64], level: float) -> Number:
    """Return the mean of differences (N,) that are -1, 0 or 1, with the adjusted Wald interval of pairs."""
    n = len(cost)
    p, q = ((int((cost == way).sum()) + 0.5) / (n + 2) for way in (1, -1))
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    return Number(value=float(cost.mean()), ci_low=p - q - half, ci_high=p - q + half, ci_level=level,
                  ci_method="adjusted Wald of pairs", n=n)  # fmt: skip


FLIPS = Values(flip_moments, flip_mean)
"""Rows that were right and are wrong, or the other way round."""
