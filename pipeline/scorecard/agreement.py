"""Do methods say the same? Disagreement is information, not a verdict."""

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from pipeline.core.contracts import Agreement, Number
from pipeline.metrics.intervals import mean

Values = NDArray[np.float64]

_TOP = 0.1
_FEWEST = 4
"""Units, below which ranks say nothing."""


def agreement(maps: Mapping[str, NDArray[np.float32]]) -> tuple[Agreement, ...]:
    """Return for each pair of maps (R, …) the rank correlation of sizes, and the overlap of the largest tenths."""
    sizes = {name: np.abs(_units(values.astype(np.float64))) for name, values in maps.items()}
    return tuple(
        Agreement(
            methods=(one, two),
            rank_correlation=_mean([_ranks(a, b) for a, b in zip(sizes[one], sizes[two], strict=True)]),
            overlap=_mean([_overlap(a, b) for a, b in zip(sizes[one], sizes[two], strict=True)]),
        )
        for one, two in itertools.combinations(maps, 2)
    )


def _units(values: Values) -> Values:
    summed = values.sum(axis=1) if values.ndim == 4 else values
    return np.asarray(summed.reshape(len(values), -1))


def _ranks(a: Values, b: Values) -> float:
    told = (a > 0) | (b > 0)  # padding has no contribution, in both
    if told.sum() < _FEWEST or np.ptp(a[told]) == 0 or np.ptp(b[told]) == 0:
        return np.nan
    return float(spearmanr(a[told], b[told]).statistic)


def _overlap(a: Values, b: Values) -> float:
    """Return the Jaccard index of the tenths with the largest contributions, at least one unit."""
    count = max(1, round(_TOP * len(a)))
    one, two = (set(np.argsort(-size, kind="stable")[:count].tolist()) for size in (a, b))
    return len(one & two) / len(one | two)


def _mean(found: list[float]) -> Number:
    known = np.array([v for v in found if np.isfinite(v)])
    return mean(known) if len(known) else Number(value=None, n=0, reason="maps are constant")
