"""Random convolution kernels and a ridge regression: for few labelled series hard to beat, and fitted in seconds.

Hydra (Dempster, Schmidt and Webb 2023, "Hydra: Competing Convolutional Kernels for Fast and Accurate Time Series
Classification"): kernels stand in groups, at every step the kernel of a group that fits best wins, and the features
count wins. Nothing of it is trained: kernels are drawn with the weights, and `start_from` solves for the head in closed
form. Only one number is left to the training loop, the scale of the outputs: with classes it is undone by the
temperature that is set on validation rows, so that training changes no ranking; with numbers it stays near 1.

Legend: B rows, T steps, C channels, G groups, K kernels of a group, F features, O outputs.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.core.contracts import SeriesInputs
from pipeline.models.network import Network, TrainingRows, stem_for
from pipeline.models.ridge import leave_one_out
from pipeline.models.sequence import split_mask

_TAPS = 9
_MOST_ROWS = 2048
"""Rows the ridge is solved for: the cost grows with their cube."""
_MOST_CHANNELS = 8
"""Channels a group looks at."""
_PART = 64
_CACHED = 2**18
"""Numbers of kernels' answers handled at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelsArchitecture:
    """`groups` of `kernels` each, at every dilation that fits the series; half of them see changes from step to step.

    `frozen` keeps the head as solved; else training goes on from it.
    """

    kind: Literal["kernels"] = "kernels"
    groups: int = 64
    kernels: int = 8
    frozen: bool = True

    def __post_init__(self) -> None:
        """Kernels compete in groups."""
        if self.groups < 2 or self.groups % 2 or self.kernels < 2:
            raise ValueError("groups must be even and positive, kernels at least 2")


class RandomKernels(nn.Module):
    """Steps (B, T, C + 1) to standardised counts of wins (B, F); mean and spread are those of the training rows."""

    kernels: Tensor
    views: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, a: KernelsArchitecture, inputs: SeriesInputs) -> None:
        super().__init__()
        self.groups, self.rivals = a.groups // 2, a.kernels
        self.dilations = [2**i for i in range(1 + int(math.log2(max(1.0, (inputs.length - 1) / (_TAPS - 1)))))]
        drawn = torch.randn(len(self.dilations), 2, self.groups * self.rivals, 1, _TAPS)
        drawn = drawn - drawn.mean(-1, keepdim=True)
        self.register_buffer("kernels", drawn / drawn.abs().sum(-1, keepdim=True))
        channels = len(inputs.channels)
        seen = max(1, min(_MOST_CHANNELS, channels // 2))
        rank = torch.rand(len(self.dilations), 2, self.groups, channels).argsort(-1).argsort(-1)
        self.register_buffer("views", (rank < seen).float())
        self.register_buffer("mean", torch.zeros(self.features))
        self.register_buffer("spread", torch.ones(self.features))

    @property
    def features(self) -> int:
        """F: counts and sums of wins of every kernel."""
        return len(self.dilations) * 2 * 2 * self.groups * self.rivals

    def forward(self, x_BTE: Tensor) -> Tensor:
        """Return standardised features; what never won tells nothing and is 0."""
        raw_BF = self.wins(x_BTE)
        return (raw_BF - self.mean) * (raw_BF > 0) / self.spread

    def wins(self, x_BTE: Tensor) -> Tensor:
        """Return the square roots of sums of the best answers, and of how often each kernel answered lowest.

        Where all kernels answer the same, as on a constant stretch, nobody wins.
        A few rows at a time, so that the answers of all kernels stay in the cache.
        """
        rows = max(1, _CACHED // (self.groups * self.rivals * x_BTE.shape[1]))
        return torch.cat([self._wins(part) for part in torch.split(x_BTE, rows)])

    def _wins(self, x_BTE: Tensor) -> Tensor:
        x_BTC, mask_BT = split_mask(x_BTE)
        x_BCT = (x_BTC * mask_BT[:, :, None]).transpose(1, 2)
        change_BCT = x_BCT.diff(dim=2) * mask_BT[:, None, 1:]
        features: list[Tensor] = []
        for i, dilation in enumerate(self.dilations):
            for j, (steps_BCT, seen_BT) in enumerate(((x_BCT, mask_BT), (change_BCT, mask_BT[:, 1:]))):
                features += self._rivalry(steps_BCT, seen_BT[:, None], self.kernels[i, j], self.views[i, j], dilation)
        raw_BF = torch.cat(features, dim=1)
        won = raw_BF > 0
        return torch.where(won, torch.where(won, raw_BF, 1.0).sqrt(), 0.0)

    def _rivalry(
        self, x_BCT: Tensor, seen_B1T: Tensor, kernels: Tensor, views_GC: Tensor, dilation: int
    ) -> tuple[Tensor, Tensor]:
        steps = x_BCT.shape[2]
        x_BGT = x_BCT if x_BCT.shape[1] == 1 else torch.einsum("bct,gc->bgt", x_BCT, views_GC)
        answers = nn.functional.conv1d(
            x_BGT, kernels, padding=dilation * (_TAPS // 2), dilation=dilation, groups=x_BGT.shape[1]
        ).view(len(x_BCT), self.groups, self.rivals, steps)
        # Comparing with the extreme value is five times as fast as asking for its place.
        best_BGT, lowest_BGT = answers.amax(2), answers.amin(2)
        wins = (answers == best_BGT[:, :, None]).to(answers.dtype)
        losses = (answers == lowest_BGT[:, :, None]).to(answers.dtype)
        told_BGT = seen_B1T * (best_BGT > lowest_BGT)
        sums = wins @ (best_BGT.clamp(min=0) * told_BGT)[..., None]
        counts = losses @ told_BGT[..., None]
        return sums.flatten(1), counts.flatten(1)


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
        raw_NF = torch.cat([self.trunk.wins(self.stem(x)) for x, _ in parts])
        y = torch.cat([part for _, part in parts])
        zero_F = (raw_NF == 0).float().mean(0)
        self.trunk.mean.copy_(raw_NF.mean(0))
        self.trunk.spread.copy_(raw_NF.std(0, correction=0) + zero_F**4 + 1e-8)
        x_NF = (raw_NF - self.trunk.mean) * (raw_NF > 0) / self.trunk.spread
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
