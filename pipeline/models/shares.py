"""How much of a series answers above a threshold: features of 84 fixed kernels.

MiniRocket (Dempster, Schmidt and Webb 2021, "MiniRocket: A Very Fast (Almost) Deterministic Transform for Time Series
Classification"): every kernel of nine taps with three twos and six minus ones, at dilations that fit the series, on the
steps and on their changes; the feature is the share of steps whose answer is above a threshold, of those at it half.
Where no step is seen it is a half. Thresholds are quantiles of a kernel's answers in one training row, by the golden
ratio spread over 0 to 1.

Legend: B rows, T steps, C channels, D dilations, V views (steps, changes), P patterns, S thresholds.
"""

from collections.abc import Iterator
from itertools import combinations

import torch
from torch import Tensor, nn

from pipeline.models.steps import TAPS, answers, dilations

_PATTERNS = tuple(combinations(range(TAPS), 3))
_GOLDEN, _ROOT = 0.6180339887498949, 0.41421356237309515
"""Multiples of them, less the whole part, spread evenly over 0 to 1, whatever their number."""
_MOST_CHANNELS = 9
_CACHED = 2**18
"""Answers handled at once."""


class Shares(nn.Module):
    """Channels (B, C, T) and mask (B, T) to shares (B, D · V · P · S) from 0 to 1; thresholds need training rows."""

    taps: Tensor
    views: Tensor
    thresholds: Tensor

    def __init__(self, channels: int, length: int, thresholds: int) -> None:
        super().__init__()
        self.dilations = dilations(length)
        taps = torch.full((len(_PATTERNS), TAPS), -1.0)
        for taps_W, twos in zip(taps, _PATTERNS, strict=True):
            taps_W[list(twos)] = 2.0
        self.register_buffer("taps", taps, persistent=False)
        shape = (len(self.dilations), 2, len(_PATTERNS))
        seen = torch.randint(1, min(channels, _MOST_CHANNELS) + 1, (*shape, 1))
        rank = torch.rand(*shape, channels).argsort(-1).argsort(-1)
        self.register_buffer("views", (rank < seen).float())
        self.register_buffer("thresholds", torch.zeros(*shape, thresholds))

    @property
    def features(self) -> int:
        """Numbers of one row."""
        return self.thresholds.numel()

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        """Return the shares of seen steps; a few rows at a time, so that answers stay in the cache.

        A share is a count: no gradient goes through it.
        """
        x_BCT = x_BCT.detach()
        if torch.compiler.is_exporting():  # a graph is the same for any number of rows
            return self._part(x_BCT, mask_BT)
        rows = max(1, _CACHED // (len(_PATTERNS) * x_BCT.shape[2]))
        parts = zip(torch.split(x_BCT, rows), torch.split(mask_BT, rows), strict=True)
        return torch.cat([self._part(x, mask) for x, mask in parts])

    def _part(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        found = []
        for at, answers_BPT, seen_BT in self._answers(x_BCT, mask_BT):
            share_BT1 = (seen_BT / seen_BT.sum(1, keepdim=True).clamp(min=1))[:, :, None]
            for threshold_P in self.thresholds[at].unbind(-1):
                side_BPT = (answers_BPT - threshold_P[:, None]).sign_()
                found.append((1 + side_BPT @ share_BT1)[:, :, 0] / 2)
        return torch.cat(found, dim=1)

    def _answers(self, x_BCT: Tensor, mask_BT: Tensor) -> Iterator[tuple[tuple[int, int], Tensor, Tensor]]:
        """Yield place, answers (B, P, T) and seen steps (B, T) of each dilation and view."""
        change_BCT, both_BT = x_BCT.diff(dim=2) * mask_BT[:, None, 1:], mask_BT[:, 1:]
        for i, dilation in enumerate(self.dilations):
            for j, (steps_BCT, seen_BT) in enumerate(((x_BCT, mask_BT), (change_BCT, both_BT))):
                yield (i, j), answers(steps_BCT, self.taps, self.views[i, j], dilation), seen_BT

    @torch.no_grad()
    def look(self, x_BCT: Tensor, mask_BT: Tensor) -> None:
        """Set the thresholds by training rows; each pattern looks at one of them."""
        patterns = torch.arange(len(_PATTERNS), device=x_BCT.device)
        rows = (_ROOT * (1 + patterns) % 1 * len(x_BCT)).long()
        levels_PS = (_GOLDEN * (1 + torch.arange(self.thresholds[0, 0].numel()))).view(len(_PATTERNS), -1) % 1
        for at, answers_BPT, seen_BT in self._answers(x_BCT, mask_BT):
            own_PT = answers_BPT[rows, patterns].masked_fill(seen_BT[rows] < 0.5, torch.nan)
            found = [own_T.nanquantile(level_S.to(own_T)) for own_T, level_S in zip(own_PT, levels_PS, strict=True)]
            self.thresholds[at] = torch.stack(found).nan_to_num()
