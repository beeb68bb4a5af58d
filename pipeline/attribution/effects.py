"""How a prediction moves with one number column: accumulated local effects (Apley and Zhu 2020).

Between two edges, rows that lie there are moved from one to the other, and nothing else of them: no row is asked about
a mixture of values that nobody has, as partial dependence does where columns go together.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from torch import Tensor

from pipeline.core.contracts import Effect, EffectPoint, TableInputs

Values = NDArray[np.float64]

_BINS = 10
_LEVEL = 0.95


def effects(
    predict: Callable[[Tensor], Values], inputs: TableInputs, x_NP: Tensor, columns: Sequence[int]
) -> tuple[Effect, ...]:
    """Return the effects of number columns on one output, (N,) of rows as packed; rows without the number are left out.

    Limits hold for each point: local effects are means of different rows, so the variances of those up to it add up.
    """
    found = []
    flagged = [i for i, c in enumerate(inputs.columns) if c.kind == "numeric" and c.missing]
    for column in columns:
        own = x_NP
        if column in flagged:
            own = x_NP[x_NP[:, len(inputs.columns) + flagged.index(column)] == 0]
        points = _points(predict, own, column)
        if points:
            of = inputs.columns[column]
            unit = f"days since {of.since}" if of.kind == "numeric" and of.since is not None else None
            found.append(Effect(name=of.name, points=points, unit=unit))
    return tuple(found)


def _points(predict: Callable[[Tensor], Values], x_NP: Tensor, column: int) -> tuple[EffectPoint, ...]:
    values = x_NP[:, column].double().numpy()
    edges = (
        np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1), method="inverted_cdf")) if len(values) else values
    )
    if len(edges) < 2:
        return ()
    bins = np.clip(np.searchsorted(edges, values, side="left"), 1, len(edges) - 1)
    low, high = x_NP.clone(), x_NP.clone()
    low[:, column] = torch.tensor(edges[bins - 1], dtype=x_NP.dtype)
    high[:, column] = torch.tensor(edges[bins], dtype=x_NP.dtype)
    change = predict(high) - predict(low)
    rows = np.bincount(bins, minlength=len(edges))
    steps = np.bincount(bins, change, minlength=len(edges)) / np.maximum(rows, 1)
    squares = np.bincount(bins, (change - steps[bins]) ** 2, minlength=len(edges))
    error = np.sqrt(np.cumsum(np.where(rows > 1, squares / np.maximum(rows - 1, 1) / np.maximum(rows, 1), 0.0)))
    at = np.cumsum(steps)
    middle = (at[1:] + at[:-1]) / 2 @ rows[1:] / rows.sum()  # over rows the effect is 0 on average
    half = norm.ppf((1 + _LEVEL) / 2) * error
    return tuple(
        EffectPoint(at=float(e), value=float(v), low=float(v - h), high=float(v + h), rows=int(n))
        for e, v, h, n in zip(edges, at - middle, half, rows, strict=True)
    )
