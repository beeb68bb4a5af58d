"""Two classes: a threshold for each group of one feature, so that groups are decided alike (Hardt et al. 2016).

Each group gets the threshold at which its rates come nearest to those of all rows at one half: so the gap shrinks and
the decision as a whole stays what it was. Thresholds are numbers, never draws: equal rows of one group are decided
equally. Whoever decides so uses the feature when predicting, which may be forbidden.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.metrics.gaps import LEAST_ROWS

Values = NDArray[np.float64]


def group_thresholds(
    gap: str, held: NDArray[np.bool_], p: Values, group: NDArray[np.object_]
) -> dict[str, float] | None:
    """Return the threshold of each group of these rows; None where fewer than two groups are large enough.

    Args:
        gap: demographic_parity_gap looks at the share decided positive, equalized_odds_gap at true and false positive
            rates.
        held: which rows are positive (N,).
        p: their probability of it (N,).
        group: group of each row (N,). One with fewer than 30 rows behind a rate keeps one half.
    """
    sides = [held, ~held] if gap == "equalized_odds_gap" else [np.ones(len(held), bool)]
    aims = [float((p[side] >= 0.5).mean()) if side.any() else 0.0 for side in sides]
    found, moved = {}, 0
    for name in sorted({str(value) for value in group}):
        own = group == name
        if min(int((own & side).sum()) for side in sides) < LEAST_ROWS:
            found[name] = 0.5
            continue
        known = np.unique(p[own])
        cuts = np.concatenate([[0.0], (known[1:] + known[:-1]) / 2, [1.0], [0.5]])
        missed = np.max([np.abs(_share_from(p[own & side], cuts) - aim) for side, aim in zip(sides, aims, strict=True)],
                        axis=0)  # fmt: skip
        best = np.flatnonzero(missed <= missed.min() + 1e-12)
        found[name] = float(cuts[best[np.abs(cuts[best] - 0.5).argmin()]])
        moved += 1
    return found if moved > 1 else None


def _share_from(p: Values, cuts: Values) -> Values:
    """Return the share of p that is at least each cut."""
    return np.asarray(1 - np.searchsorted(np.sort(p), cuts, side="left") / len(p))


def decided(p: Values, group: NDArray[np.object_], thresholds: Mapping[str, float], feature: str) -> NDArray[np.bool_]:
    """Return which rows are decided positive (N,).

    Raises:
        DataError: a group for which there is no threshold; no other group's is taken instead.
    """
    strange = [str(value) for value in dict.fromkeys(group) if value not in thresholds]
    if strange:
        rows = int(np.isin(group.astype(str), strange).sum())
        raise DataError(
            f"{feature}: no threshold for '{strange[0]}', which {rows:,} rows have and those of fitting had not",
            fix="decide about these rows without thresholds by group",
        )
    return np.asarray(p >= np.array([thresholds[value] for value in group]))
