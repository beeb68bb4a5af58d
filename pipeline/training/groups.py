"""Groups of people in training: rows that count so that groups do, or a loss that follows the groups that fare worst.

A group is one value of a sensitive feature, so a row is in one group of each feature. No network reads groups: they say
how much a row counts, and only while training. Legend: N rows, B rows of a batch, F features, G groups of all features.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.core.contracts import Optimizer
from pipeline.core.errors import ConfigError, SpaceError
from pipeline.training.data import Data

STEP = 0.01
"""Of the adversary's weights, as in the paper."""
LEAST_ROWS = 30
"""Groups of fewer training rows are one for the adversary: on few rows the worst loss is that of chance."""
_ROUNDS = 200


class Adversary:
    """Who weighs groups against the network: more where the loss is high (GroupDRO, Sagawa et al. 2020).

    With q the weights of the groups (G,) and π their shares of the training rows, a row counts Σ q / π over its groups,
    so that the mean over batches is Σ q · (mean loss of the group), whichever rows meet in a batch. Its gradient by q
    is each group's loss, whatever the head; the adversary climbs it in multiplicative steps.
    """

    def __init__(self, groups_NF: NDArray[np.int64], weight_N: NDArray[Any] | None, device: str) -> None:
        G, F = int(groups_NF.max()) + 1, groups_NF.shape[1]
        counted = None if weight_N is None else np.repeat(weight_N, F)
        rows_G = np.bincount(groups_NF.ravel(), weights=counted, minlength=G)
        share_G = np.maximum(rows_G, 1e-12) / (len(groups_NF) if weight_N is None else weight_N.sum())
        self.groups_NF = torch.tensor(groups_NF, device=device)
        self.share_G = torch.tensor(share_G, device=device, dtype=torch.float32)
        self.q_G = torch.full((G,), 1 / G, device=device, requires_grad=True)

    def weight(self, at_B: Tensor) -> Tensor:
        """Return how much rows count (B,), 1 on average over the training rows; backward() reaches q through it."""
        return (self.q_G / self.share_G)[self.groups_NF[at_B]].sum(1)

    @torch.no_grad()
    def step(self, averaged: Callable[[Tensor], Tensor] = lambda gradient: gradient) -> None:
        """Climb the gradient that a backward() left, `averaged` over the processes that share the rows."""
        assert self.q_G.grad is not None
        self.set(self.q_G * (STEP * averaged(self.q_G.grad).nan_to_num(0.0, 0.0, 0.0)).exp())

    @torch.no_grad()
    def set(self, q_G: Tensor) -> None:
        """Take these weights of the groups, made to sum to 1."""
        self.q_G.copy_(q_G / q_G.sum())
        self.q_G.grad = None


def counted(optimizer: Optimizer, data: Data, device: str) -> tuple[NDArray[Any] | None, Adversary | None]:
    """Return how much each training row counts (N,), and who says so anew at every step, as optimizer.groups asks."""
    train, kind = data.train, optimizer.groups
    if kind == "none":
        return train.weight, None
    refuse_groups(kind, data)
    classes = train.y if data.task in ("binary", "multiclass") else None
    codes = [np.unique(group.astype(str), return_inverse=True)[1] for group in train.groups.values()]
    if kind == "worst":
        return train.weight, Adversary(worst_cells(codes, classes), train.weight, device)
    weight = np.ones(len(train.y)) if train.weight is None else train.weight.astype(np.float64)
    if kind == "balanced":
        wanted = [np.full(code.max() + 1, 1 / (code.max() + 1)) for code in codes]
        return raked(codes, wanted, weight), None
    assert classes is not None
    K = int(classes.max()) + 1
    wanted = [np.outer(_shares(code, weight), _shares(classes, weight)).ravel() for code in codes]
    return raked([code * K + classes for code in codes], wanted, weight), None


def refuse_groups(kind: str, data: Data) -> None:
    """Refuse a way of counting groups that these data cannot have."""
    if kind == "none":
        return
    if not data.train.groups:
        raise ConfigError(f"space.optimizer.groups: '{kind}' needs groups of people, and the data declare none",
                          fix="declare a column under data.sensitive, or space.optimizer.groups=none")  # fmt: skip
    if kind == "reweighed" and data.task not in ("binary", "multiclass"):
        raise SpaceError(f"space.optimizer.groups: 'reweighed' needs classes that exclude each other, these data are "
                         f"for {data.task}", fix="space.optimizer.groups=balanced or worst")  # fmt: skip


def raked(
    cells: Sequence[NDArray[np.int64]], wanted: Sequence[NDArray[np.float64]], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return weights (N,) of mean 1, as near to `weight` as can be, under which every cell has the share wanted.

    Feature by feature, in turn until nothing moves (raking, Deming and Stephan 1940). Of one feature this is exact at
    once: shares of groups times shares of classes then give the weights of Kamiran and Calders (2012). What is wanted
    of cells without rows goes to the others.
    """
    share = weight / weight.sum()
    for _ in range(_ROUNDS):
        before = share
        for cell, target in zip(cells, wanted, strict=True):
            mass = np.bincount(cell, weights=share, minlength=len(target))
            factor = np.divide(target, mass, out=np.zeros(len(target)), where=mass > 0)
            share = share * factor[cell]
            share = share / share.sum()
        if np.abs(share - before).max() <= 1e-9 / len(weight):
            break
    return np.asarray(share * len(weight))


def worst_cells(codes: Sequence[NDArray[np.int64]], classes: NDArray[Any] | None) -> NDArray[np.int64]:
    """Return the groups of every row (N, F), numbered through: of each feature value and, where there are any, class.

    A group of each class apart, as in the paper: so it is errors of either kind that are made alike.
    """
    columns, first = [], 0
    for code in codes:
        cell = code if classes is None else code * (int(classes.max()) + 1) + classes
        _, cell, rows = np.unique(cell, return_inverse=True, return_counts=True)
        small = rows < LEAST_ROWS
        place = np.where(small, (~small).sum(), np.cumsum(~small) - 1)
        columns.append(first + place[cell])
        first = int(columns[-1].max()) + 1
    return np.stack(columns, axis=1)


def _shares(code: NDArray[Any], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.bincount(code, weights=weight) / weight.sum())
