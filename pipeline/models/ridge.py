"""Linear maps of least penalised squared error in closed form: from features of all rows, or from sums over parts.

Legend: N rows, F features, K outputs. Sums are taken in float64; the constant bears no penalty.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_SHARES = tuple(10.0 ** (power / 2) for power in range(-10, 5))
"""Penalties tried by leave-one-out, as shares of the mean squared length of a row: 1e-5 to 100."""


@dataclass(frozen=True, slots=True)
class Ridge:
    """A map x @ weight + bias, and what it says of each training row when that row is left out."""

    weight: Tensor
    """(F, K)"""
    bias: Tensor
    left_out: Tensor
    """(N, K)"""


def leave_one_out(
    x_NF: Tensor, y_NK: Tensor, weight_N: Tensor | None = None, shares: Sequence[float] = _SHARES
) -> Ridge:
    """Return the map whose penalty, one of `shares`, has the least squared leave-one-out error.

    In the dual form, so that many features cost nothing: with centred inner products G and A = (G + aI)^-1 the residual
    of a row that is left out is e_i / (1 - h_i), where e = a A y and 1 - h_i = a A_ii - 1 / N (the last term is the
    constant's). Allen 1974, "The Relationship Between Variable Selection and Data Augmentation".

    Weights w > 0 say how much each row counts: means and errors are weighted, rows are scaled by sqrt(w), and the
    constant's term is w_i / sum(w). For one and the same share a row of weight 2 is two rows.
    """
    x, y = x_NF.double(), y_NK.double()
    w = torch.ones_like(y[:, 0]) if weight_N is None else weight_N.to(y)
    total, root = w.sum(), w.sqrt()[:, None]
    mean_F, mean_K = w @ x / total, w @ y / total
    x, y = root * (x - mean_F), root * (y - mean_K)
    gram = x @ x.T
    values, vectors = torch.linalg.eigh(gram)
    values, turned = values.clamp(min=0), vectors.T @ y
    size = float(gram.diagonal().sum() / total) or 1.0
    best: tuple[float, Tensor, Tensor] | None = None
    for penalty in (share * size for share in shares):
        inverse = 1 / (values + penalty)
        dual = vectors @ (inverse[:, None] * turned)
        spare = penalty * (vectors.square() @ inverse) - w / total
        missed = penalty * dual / root / spare[:, None].clamp(min=1e-9)
        error = float((w @ missed.square()).mean() / total)
        if best is None or error < best[0]:
            best = error, dual, missed
    assert best is not None
    weight = x.T @ best[1]
    return Ridge(weight, mean_K - mean_F @ weight, y_NK - best[2])


@dataclass(frozen=True, slots=True)
class Sums:
    """X'X and X'Y of rows whose last feature is the constant 1, and the sum of Y²."""

    square: Tensor
    cross: Tensor
    size: Tensor


def sums(parts: Iterable[tuple[Tensor, Tensor]]) -> Sums | None:
    """Return the sums over parts (x (n, F), y (n, K)), or None where there is none."""
    total: Sums | None = None
    for x_NF, y_NK in parts:
        x, y = torch.nn.functional.pad(x_NF.double(), (0, 1), value=1.0), y_NK.double()
        part = Sums(x.T @ x, x.T @ y, y.square().sum())
        total = part if total is None else together(total, part)
    return total


def together(a: Sums, b: Sums) -> Sums:
    """Return the sums over the rows of both."""
    return Sums(a.square + b.square, a.cross + b.cross, a.size + b.size)


def solved(found: Sums, penalty: float) -> Tensor:
    """Return weights (F + 1, K), the last row the constant's."""
    ridge = torch.full_like(found.square[0], penalty)
    ridge[-1] = 1e-9 * found.square[-1, -1]
    weights: Tensor = torch.linalg.solve(found.square + ridge.diag(), found.cross)
    return weights


def squared_error(weights: Tensor, found: Sums) -> float:
    """Return the squared error of weights (F + 1, K) summed over rows known by their sums."""
    return float(found.size - 2 * (weights * found.cross).sum() + (weights * (found.square @ weights)).sum())
