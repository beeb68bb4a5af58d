"""Random convolution kernels and a ridge regression: for few labelled series hard to beat, and fitted in seconds.

Two kinds of features stand beside each other, wins of rival kernels (pipeline/models/wins.py) and shares of steps above
thresholds (pipeline/models/shares.py), as Dempster, Schmidt and Webb found the two to be better together. Nothing of it
is trained: kernels are drawn with the weights, and `start_from` sets thresholds and solves for the head in closed form.
Only one number is left to the training loop, the scale of the outputs: with classes it is undone by the temperature
that is set on validation rows, so that training changes no ranking; with numbers it stays near 1.

Legend: B rows, T steps, C channels, G groups, K kernels of a group, F features, O outputs.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.core.contracts import SeriesInputs
from pipeline.models.network import Network, TrainingRows, stem_for
from pipeline.models.ridge import leave_one_out
from pipeline.models.sequence import split_mask
from pipeline.models.shares import Shares
from pipeline.models.wins import Wins

_MOST_ROWS = 2048
"""Rows the ridge is solved for: the cost grows with their cube."""
_PART = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelsArchitecture:
    """`groups` of `kernels` each, at every dilation that fits the series; half of them see changes from step to step.

    `thresholds` for each answer of each fixed kernel; 0: no fixed kernels. `frozen` keeps the head as solved; else
    training goes on from it.
    """

    kind: Literal["kernels"] = "kernels"
    groups: int = 64
    kernels: int = 8
    thresholds: int = 8
    frozen: bool = True

    def __post_init__(self) -> None:
        """Kernels compete in groups."""
        if self.groups < 2 or self.groups % 2 or self.kernels < 2:
            raise ValueError("groups must be even and positive, kernels at least 2")
        if self.thresholds < 0:
            raise ValueError("thresholds must not be negative")


class RandomKernels(nn.Module):
    """Steps (B, T, C + 1) to standardised wins and shares (B, F); mean and spread are those of the training rows."""

    mean: Tensor
    spread: Tensor

    def __init__(self, a: KernelsArchitecture, inputs: SeriesInputs) -> None:
        super().__init__()
        channels = len(inputs.channels)
        self.wins = Wins(channels, inputs.length, a.groups, a.kernels)
        self.shares = Shares(channels, inputs.length, a.thresholds) if a.thresholds else None
        self.features = self.wins.features + (self.shares.features if self.shares is not None else 0)
        self.register_buffer("mean", torch.zeros(self.features))
        self.register_buffer("spread", torch.ones(self.features))

    def forward(self, x_BTE: Tensor) -> Tensor:
        """Return standardised features."""
        return self.standardised(self.raw(x_BTE))

    def raw(self, x_BTE: Tensor) -> Tensor:
        """Return the features as they are."""
        steps = channels_and_mask(x_BTE)
        wins_BF = self.wins(*steps)
        return wins_BF if self.shares is None else torch.cat([wins_BF, self.shares(*steps)], dim=1)

    def standardised(self, raw_BF: Tensor) -> Tensor:
        """Return features with the mean and spread of training rows; a kernel that never won tells nothing and is 0."""
        told_BF = torch.ones_like(raw_BF)
        told_BF[:, : self.wins.features] = (raw_BF[:, : self.wins.features] > 0).to(raw_BF.dtype)
        return (raw_BF - self.mean) * told_BF / self.spread

    def look(self, x_BTE: Tensor) -> None:
        """Set thresholds by training rows."""
        if self.shares is not None:
            self.shares.look(*channels_and_mask(x_BTE))

    def measure(self, raw_NF: Tensor) -> None:
        """Take mean and spread of training rows; the spread of wins that are rare is not believed."""
        self.mean.copy_(raw_NF.mean(0))
        rare_F = (raw_NF == 0).float().mean(0) ** 4
        rare_F[self.wins.features :] = 0.0
        self.spread.copy_(raw_NF.std(0, correction=0) + rare_F + 1e-8)


def channels_and_mask(x_BTE: Tensor) -> tuple[Tensor, Tensor]:
    """Return channels (B, C, T), 0 where there is no step, and mask (B, T)."""
    x_BTC, mask_BT = split_mask(x_BTE)
    return (x_BTC * mask_BT[:, :, None]).transpose(1, 2), mask_BT


class SolvedHead(nn.Module):
    """Features (B, F) to (B, O): a linear map that is solved for, times a scale that is trained."""

    def __init__(self, features: int, outputs: int, frozen: bool) -> None:
        super().__init__()
        self.frozen = frozen
        self.linear = nn.Linear(features, outputs).requires_grad_(not frozen)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x_BF: Tensor) -> Tensor:
        """Return logits or values."""
        out: Tensor = self.linear(x_BF) * self.scale
        return out


class KernelNetwork(Network):
    """Steps → random kernels → solved head.

    While the head is frozen nothing but one scale changes from pass to pass, so answers are remembered row by row:
    passes after the first cost next to nothing. Explanations look at the stem; for them all is computed.
    """

    trunk: RandomKernels
    head: SolvedHead

    def __init__(self, a: KernelsArchitecture, inputs: SeriesInputs, outputs: int) -> None:
        trunk = RandomKernels(a, inputs)
        super().__init__(stem_for(inputs, 1), trunk, 1, outputs, 0.0)
        self.head = SolvedHead(trunk.features, outputs, a.frozen)
        self._known: dict[bytes, Tensor] = {}
        self._state: tuple[object, ...] = ()

    def members(self, x: Tensor) -> Tensor:
        """Return logits or values (B, 1, O)."""
        if torch.compiler.is_exporting():  # memory is no part of a graph
            return super().members(x)
        explained = (torch.is_grad_enabled() and not self.training) or x.requires_grad
        watched = self.stem._forward_hooks or self.stem._forward_pre_hooks
        if not self.head.frozen or explained or watched or x.is_meta or torch.is_inference_mode_enabled():
            return super().members(x)
        out_BO = self._answers(x) * self.head.scale / self.temperature
        return out_BO[:, None]

    @torch.no_grad()
    def _answers(self, x: Tensor) -> Tensor:
        """Return the solved map's answers; those of rows seen before, with the same weights, are remembered."""
        fixed = [*self.stem.buffers(), *self.trunk.buffers(), *self.head.linear.parameters()]
        state = (x.device, *((id(t), t._version) for t in fixed))
        if state != self._state:
            self._known, self._state = {}, state
        names = [row.tobytes() for row in x.cpu().numpy()]
        new = [i for i, name in enumerate(names) if name not in self._known]
        found = self.head.linear(self.trunk(self.stem(x[new]))) if new else x.new_empty(0)
        fresh = {names[i]: answer for i, answer in zip(new, found, strict=True)}
        answers = torch.stack([fresh[name] if name in fresh else self._known[name] for name in names])
        if len(self._known) + len(fresh) <= _MOST_ROWS:
            self._known |= fresh
        return answers

    @torch.no_grad()
    def start_from(self, rows: TrainingRows, seed: int) -> None:
        """Standardise the features and solve for the head, on at most 2,048 rows drawn by the seed.

        Classes and labels become targets of -1 and 1; the scale is the one of least log loss of the answers for rows
        left out. Numbers are in deviations of the rows, as the network gives them, and need no scale. Where rows count
        differently, so they do here, and those that do not count are not drawn.
        """
        at = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
        weight_N = rows.weight
        if weight_N is not None:
            at = at[weight_N.cpu()[at] > 0]
        at = at[:_MOST_ROWS].sort().values
        weight_N = None if weight_N is None else weight_N[at.to(weight_N.device)]
        parts = [rows.take(part) for part in torch.split(at, _PART)]
        self.trunk.look(self.stem(parts[0][0]))
        raw_NF = torch.cat([self.trunk.raw(self.stem(x)) for x, _ in parts])
        y = torch.cat([part for _, part in parts])
        self.trunk.measure(raw_NF)
        x_NF = self.trunk.standardised(raw_NF)
        outputs = self.head.linear.out_features
        if y.is_floating_point():
            found = leave_one_out(x_NF, _standardised(y.view(len(y), -1), weight_N), weight_N)
            scale = 1.0
        else:
            signs = 2.0 * (y if y.ndim > 1 else nn.functional.one_hot(y, outputs)) - 1
            found = leave_one_out(x_NF, signs, weight_N)
            scale = _best_scale(found.left_out, y, weight_N)
        self.head.linear.weight.copy_(found.weight.T * scale)
        self.head.linear.bias.copy_(found.bias * scale)


def _standardised(y_NO: Tensor, weight_N: Tensor | None) -> Tensor:
    """Return numbers in deviations, as much as each row counts; what nobody knows is the mean."""
    known = ~y_NO.isnan()
    counts = known.to(y_NO) if weight_N is None else known * weight_N.to(y_NO)[:, None]
    n = counts.sum(0).clamp(min=1e-9)
    mean = (counts * torch.where(known, y_NO, 0.0)).sum(0) / n
    away = torch.where(known, y_NO - mean, 0.0)
    spread = ((counts * away.square()).sum(0) / n).sqrt()
    return away / torch.where(spread > 0, spread, 1.0)


def _best_scale(scores_NK: Tensor, y: Tensor, weight_N: Tensor | None) -> float:
    """Return the factor in 2^0 … 2^6 with the lowest log loss, as much as each row counts."""
    weight = torch.ones(()) if weight_N is None else weight_N.to(scores_NK)

    def loss(scale: float) -> float:
        if y.ndim > 1:
            signs = y.to(scores_NK)
            each = nn.functional.binary_cross_entropy_with_logits(scale * scores_NK, signs, reduction="none").mean(1)
        else:
            each = nn.functional.cross_entropy(scale * scores_NK, y, reduction="none")
        return float((weight * each).mean())

    scales: list[float] = [2.0 ** (i / 2) for i in range(13)]
    return min(scales, key=loss)


def build(architecture: KernelsArchitecture, inputs: SeriesInputs, outputs: int) -> Network:
    """Return the network with O = `outputs` numbers."""
    return KernelNetwork(architecture, inputs, outputs)
