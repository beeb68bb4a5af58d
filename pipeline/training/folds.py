"""Few rows, none in reserve: each training row decides once, by a network that did not see it (cross-validation).

A handful of validation rows ranks candidates by luck, and the best of many is the luckiest. The best few are therefore
trained again on the validation rows and all training rows but a fold, and are compared on that fold.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.core.seeds import stream
from pipeline.training.data import Arrays, Data

_MOST = 4
"""With the usual fifth for validation, so many folds are as large as that split."""
_FEW = 250
"""Validation rows. More tell candidates apart, and trainings take longer."""
_LEAST = 2
"""Rows of a fold."""


def folds_of(data: Data) -> int:
    """Return the number of folds; 0 where rows are in reserve, are not exchangeable, or are too many or too few."""
    if data.reserve is not None or not data.exchangeable or data.train.weight is not None or len(data.val.y) > _FEW:
        return 0
    sizes = len(data.train.y), len(data.val.y)
    return _count(*sizes) if fold_rows(*sizes) >= _LEAST else 0


def fold_rows(train: int, val: int) -> int:
    """Return the rows of each fold of so many training rows; what is left over is trained on always."""
    return train // _count(train, val)


def _count(train: int, val: int) -> int:
    return min(_MOST, max(2, round(train / val)))


def fold(data: Data, k: int, seed: int) -> Data:
    """Return the data with fold `k` (1, …) as validation rows and all others as training rows; made once."""
    if (k, seed) not in data.folded:
        sizes = len(data.train.y), len(data.val.y)
        count, rows = _count(*sizes), fold_rows(*sizes)
        off = np.zeros(len(data.train.y), bool)
        off[_dealt(data, seed)[k - 1 : count * rows : count]] = True
        val = _of(data.train, off)
        data.folded[k, seed] = replace(
            data, train=_both(_of(data.train, ~off), data.val), val=val, sensitive=val.groups
        )
    return data.folded[k, seed]


def _dealt(data: Data, seed: int) -> NDArray[np.int64]:
    """Return the training rows in the order in which they are dealt to folds: at random, class by class."""
    order = stream(seed, "folds").permutation(len(data.train.y))
    if data.task in ("binary", "multiclass"):
        return order[np.argsort(data.train.y[order], kind="stable")]
    return order


def _of(arrays: Arrays, mask: NDArray[np.bool_]) -> Arrays:
    return Arrays(arrays.x[mask], arrays.y[mask], groups={name: group[mask] for name, group in arrays.groups.items()})


def _both(first: Arrays, second: Arrays) -> Arrays:
    return Arrays(
        np.concatenate([first.x, second.x]),
        np.concatenate([first.y, second.y]),
        groups={name: np.concatenate([first.groups[name], second.groups[name]]) for name in first.groups},
    )
