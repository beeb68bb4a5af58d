"""Which of rival random kernels answers a series best, step by step: counts and sums of wins.

Hydra (Dempster, Schmidt and Webb 2023, "Hydra: Competing Convolutional Kernels for Fast and Accurate Time Series
Classification"): kernels stand in groups, at every step the kernel of a group that fits best wins.

Legend: B rows, T steps, C channels, G groups, K kernels of a group, F features.
"""

import torch
from torch import Tensor, nn

from pipeline.models.steps import TAPS, answers, dilations

_MOST_CHANNELS = 8
"""Channels a group looks at."""
_CACHED = 2**18
"""Numbers of kernels' answers handled at once."""


class Wins(nn.Module):
    """Channels (B, C, T) and mask (B, T) to the square roots of counts and sums of wins (B, F)."""

    kernels: Tensor
    views: Tensor

    def __init__(self, channels: int, length: int, groups: int, kernels: int) -> None:
        """Half of the groups see changes from step to step."""
        super().__init__()
        self.groups, self.rivals = groups // 2, kernels
        self.dilations = dilations(length)
        drawn = torch.randn(len(self.dilations), 2, self.groups * self.rivals, 1, TAPS)
        drawn = drawn - drawn.mean(-1, keepdim=True)
        self.register_buffer("kernels", drawn / drawn.abs().sum(-1, keepdim=True))
        seen = max(1, min(_MOST_CHANNELS, channels // 2))
        rank = torch.rand(len(self.dilations), 2, self.groups, channels).argsort(-1).argsort(-1)
        self.register_buffer("views", (rank < seen).float())

    @property
    def features(self) -> int:
        """F: counts and sums of wins of every kernel."""
        return len(self.dilations) * 2 * 2 * self.groups * self.rivals

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        """Return the square roots of sums of the best answers, and of how often each kernel answered lowest.

        Where all kernels answer the same, as on a constant stretch, nobody wins.
        A few rows at a time, so that the answers of all kernels stay in the cache.
        """
        if torch.compiler.is_exporting():  # a graph is the same for any number of rows
            return self._part(x_BCT, mask_BT)
        rows = max(1, _CACHED // (self.groups * self.rivals * x_BCT.shape[2]))
        parts = zip(torch.split(x_BCT, rows), torch.split(mask_BT, rows), strict=True)
        return torch.cat([self._part(x, mask) for x, mask in parts])

    def _part(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
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
        views_KC = views_GC.repeat_interleave(self.rivals, dim=0)
        found = answers(x_BCT, kernels.view(-1, TAPS), views_KC, dilation)
        found_BGKT = found.view(found.shape[0], self.groups, self.rivals, -1)
        # Comparing with the extreme value is five times as fast as asking for its place; the sign of the difference
        # makes no booleans and is twice as fast again.
        best_BGT, lowest_BGT = found_BGKT.amax(2), found_BGKT.amin(2)
        held_BGKT = found_BGKT.detach()
        wins = 1 + (held_BGKT - best_BGT.detach()[:, :, None]).sign_()
        losses = 1 - (held_BGKT - lowest_BGT.detach()[:, :, None]).sign_()
        told_BGT = seen_B1T * (best_BGT > lowest_BGT)
        sums = wins @ (best_BGT.clamp(min=0) * told_BGT)[..., None]
        counts = losses @ told_BGT[..., None]
        return sums.flatten(1), counts.flatten(1)
