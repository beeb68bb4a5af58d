"""Which predictions are best together on some rows, and by what.

Legend: M members, N rows, K classes, labels or values.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.training.data import Data
from pipeline.training.temperature import softening

_MOST_PICKS = 25
_LEAST_GAIN = 1e-9
"""More picks must lower the loss by this share of it: less is rounding, as when the only member is picked again."""
_SMALLEST = torch.finfo(torch.float64).tiny

Loss = Callable[[Tensor], float]
"""The search's score of predictions (N, K)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """How much each member counts, and what that is worth on the rows it was chosen on."""

    shares: tuple[float, ...]
    """(M,), sum 1."""
    score: float
    scores: tuple[float, ...]
    """(M,): of each alone."""

    @property
    def single(self) -> int:
        """The best alone, the earlier one on ties."""
        return self.scores.index(min(self.scores))


def select(p_MNK: Tensor, loss: Loss, most: int = _MOST_PICKS) -> Selection:
    """Pick members one by one, with replacement, each time the one whose addition to the mean lowers the loss most.

    Caruana et al. 2004, "Ensemble Selection from Libraries of Models", begun with the best alone as in their paper of
    2006. As there all `most` picks are made and the best of the nested ensembles is returned, the smaller one on ties:
    the second pick moves half of all shares, so a member that deserves a tenth is reached over some that gain nothing.
    Ties between members go to the earlier.
    """
    scores = [loss(p_NK) for p_NK in p_MNK]
    picks = [scores.index(min(scores))]
    best, size, sum_NK = scores[picks[0]], 1, p_MNK[picks[0]].clone()
    while len(picks) < most and len(p_MNK) > 1:
        losses = [loss((sum_NK + p_NK).div_(len(picks) + 1)) for p_NK in p_MNK]
        picks.append(losses.index(min(losses)))
        sum_NK += p_MNK[picks[-1]]
        if min(losses) < best - _LEAST_GAIN * abs(best):
            best, size = min(losses), len(picks)
    shares = tuple(picks[:size].count(m) / size for m in range(len(p_MNK)))
    return Selection(shares=shares, score=best, scores=tuple(scores))


def loss_on(data: Data, y: Tensor) -> Loss:
    """Return the score that the search minimises (training/heads.py) as a function of predictions in raw units (N, K).

    Log losses have the heads' softened targets. Each member's probabilities are taken at its own temperature, fitted on
    validation rows; their mean has none of its own.
    """
    if data.task in ("binary", "multiclass"):
        soft = softening(len(y), data.outputs)
        true_NK = torch.nn.functional.one_hot(y, data.outputs).double() * (1 - soft) + soft / data.outputs
        return lambda p_NK: -_dot(true_NK, _log(p_NK)) / len(y)
    if data.task == "multilabel":
        soft = softening(y.numel(), 2)
        true_NK = y.double() * (1 - soft) + soft / 2
        return lambda p_NK: -(_dot(true_NK, _log(p_NK)) + _dot(1 - true_NK, _log(1 - p_NK))) / y.numel()
    known_NK, y_NK = ~y.isnan(), y.double()
    # Of a row its known values count, of the mean the rows that have one.
    weight_NK = known_NK.double() / known_NK.sum(1, keepdim=True).clamp(min=1) / known_NK.any(1).sum()
    std_K = torch.tensor([1.0] if data.task == "forecast" else [t.std for t in data.targets], dtype=torch.float64)
    return lambda p_NK: float((weight_NK * ((torch.where(known_NK, y_NK, p_NK) - p_NK) / std_K).square()).sum())


def _log(p_NK: Tensor) -> Tensor:
    return p_NK.clamp(min=_SMALLEST).log_()


def _dot(a_NK: Tensor, b_NK: Tensor) -> float:
    return float(torch.dot(a_NK.flatten(), b_NK.flatten()))
