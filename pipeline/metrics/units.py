"""What the rows of a comparison are worth: rows of one person say less than rows of as many people.

Rates: hits and rows are divided by the design effect of their clusters, and then treated as if rows stood alone (Rao
and Scott 1992). Means: every unit gives one value, the mean of its rows. Legend: N rows, U units.
"""

import numpy as np
from numpy.typing import NDArray


def worth(hit: NDArray[np.bool_], unit: NDArray[np.int64] | None) -> tuple[int, int]:
    """Return how many hits among how many rows some rows (N,) are worth; as they are where every row is a unit.

    The design effect is the variance of the share with units drawn whole, over that of rows drawn one by one, and 1 at
    least. Where all rows agree it is that of units whose rows always agree.
    """
    k, n = int(hit.sum()), len(hit)
    if unit is None or not n:
        return k, n
    _, unit = np.unique(unit, return_inverse=True)
    rows_U, hits_U = np.bincount(unit), np.bincount(unit, weights=hit)
    units, share = len(rows_U), k / n
    if units == n:
        return k, n
    alike = float((rows_U**2).sum()) / n
    if units < 2 or k in (0, n):
        effect = alike
    else:
        spread = units / (units - 1) * float(((hits_U - share * rows_U) ** 2).sum()) / n**2
        effect = max(1.0, n * spread / (share * (1 - share)))
    least = max(1, int(n / effect + 1e-9))
    return round(share * least), least


def unit_means(
    values: NDArray[np.float64], group: NDArray[np.object_], unit: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    """Return one value and one group per unit (U,): the mean of its known rows; a unit in two groups counts in both."""
    _, code = np.unique(group.astype(str), return_inverse=True)
    _, first, place = np.unique(np.stack([unit, code], axis=1), axis=0, return_index=True, return_inverse=True)
    known, place = np.isfinite(values), place.ravel()
    rows_U = np.bincount(place, weights=known, minlength=len(first))
    sums_U = np.bincount(place, weights=np.where(known, values, 0.0), minlength=len(first))
    return np.divide(sums_U, rows_U, out=np.full(len(first), np.nan), where=rows_U > 0), group[first]
