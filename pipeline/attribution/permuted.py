"""What the loss of test rows rises by when a part of the inputs is permuted among them (Breiman 2001).

Parts that stand for each other hide each other: alone none seems to count. So those that go together are permuted
together as well.

Legend: N rows, P packed places, C channels, T steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from pipeline.core.contracts import Inputs, SeriesInputs, TableInputs

Values = NDArray[np.float64]

TOGETHER = 0.7
"""Dependence from which on two columns are permuted together."""


@dataclass(frozen=True)
class Part:
    """A column with its missing mark, a channel, or several that go together; `places` along the second axis of x."""

    name: str
    members: tuple[str, ...]
    places: tuple[int, ...]


def parts_of(inputs: Inputs, x: Tensor) -> list[Part]:
    """Return the parts that are permuted: single ones, then groups that go together in rows x (N, P) or (N, C, T)."""
    if isinstance(inputs, SeriesInputs):
        return [Part(name, (name,), (c,)) for c, name in enumerate(inputs.channels)] if len(inputs.channels) > 1 else []
    if not isinstance(inputs, TableInputs):
        return []
    flagged = [i for i, c in enumerate(inputs.columns) if c.kind == "numeric" and c.missing]
    marks = {column: len(inputs.columns) + place for place, column in enumerate(flagged)}
    places = [(i, marks[i]) if i in marks else (i,) for i in range(len(inputs.columns))]
    names = [column.name for column in inputs.columns]
    single = [Part(name, (name,), at) for name, at in zip(names, places, strict=True)]
    together = [group for group in groups(dependence(inputs, x.numpy())) if len(group) > 1]
    return single + [
        Part(" with ".join(names[i] for i in group), tuple(names[i] for i in group),
             tuple(place for i in group for place in places[i]))
        for group in together
    ]  # fmt: skip


def permuted(
    loss: Callable[[Tensor], Values], x: Tensor, parts: Sequence[Part], repeats: int, rng: np.random.Generator
) -> Values:
    """Return the rise of each row's loss (parts, N), averaged over repeats; `loss`: of rows x as packed, (N,)."""
    before = loss(x)
    rises = np.zeros((len(parts), len(x)))
    for _ in range(repeats):
        order = torch.tensor(rng.permutation(len(x)))
        for k, part in enumerate(parts):
            mixed = x.clone()
            mixed[:, list(part.places)] = x[order][:, list(part.places)]
            rises[k] += (loss(mixed) - before) / repeats
    return rises


def dependence(inputs: TableInputs, x_NP: NDArray[Any]) -> Values:
    """Return how far each two columns go together, 0 to 1, (columns, columns).

    Numbers: |Spearman's correlation|. A number and a category: the correlation ratio of its ranks. Categories:
    Cramér's V.
    """
    count = len(inputs.columns)
    found = np.eye(count)
    for i in range(count):
        for j in range(i):
            kinds = inputs.columns[i].kind, inputs.columns[j].kind
            found[i, j] = found[j, i] = _pair(kinds, x_NP[:, i], x_NP[:, j])
    return found


def _pair(kinds: tuple[str, str], a: NDArray[Any], b: NDArray[Any]) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    match kinds:
        case ("numeric", "numeric"):
            return float(abs(np.corrcoef(rankdata(a), rankdata(b))[0, 1]))
        case ("categorical", "categorical"):
            return _cramer(a.astype(int), b.astype(int))
        case ("categorical", _):
            a, b = b, a
    ranks, codes = rankdata(a), np.unique(b, return_inverse=True)[1]
    sizes = np.bincount(codes)
    between = sizes @ (np.bincount(codes, ranks) / sizes - ranks.mean()) ** 2
    return float(np.sqrt(between / ((ranks - ranks.mean()) ** 2).sum()))


def _cramer(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    (_, i), (_, j) = np.unique(a, return_inverse=True), np.unique(b, return_inverse=True)
    seen = np.zeros((i.max() + 1, j.max() + 1))
    np.add.at(seen, (i, j), 1)
    wanted = np.outer(seen.sum(1), seen.sum(0)) / len(a)
    return float(np.sqrt(((seen - wanted) ** 2 / wanted).sum() / len(a) / (min(seen.shape) - 1)))


def groups(dependent: Values) -> list[list[int]]:
    """Return columns that are connected by pairs which go together."""
    left, found = set(range(len(dependent))), []
    while left:
        group, todo = [], [min(left)]
        while todo:
            at = todo.pop()
            if at in left:
                left.remove(at)
                group.append(at)
                todo += [j for j in left if dependent[at, j] > TOGETHER]
        found.append(sorted(group))
    return found
