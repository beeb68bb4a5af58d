"""Parts that several families share: dropped paths, squeeze-and-excite, norms over channels, sizes of stages.

Legend: B rows, C channels, H height, W width, … any number of places.
"""

import torch
from torch import Tensor, nn

from pipeline.core.contracts import ImageInputs

_LARGE_SIDE = 96


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): while training, drop whole rows of a branch and scale up the others."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, …) of the same mean."""
        if not self.training or self.share == 0:
            return x
        kept = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) >= self.share
        return x * (kept / (1 - self.share)).to(x.dtype)


def drop_shares(highest: float, blocks: int) -> list[float]:
    """Return each block's share of dropped rows: later blocks are dropped more often, the last `highest`."""
    return [highest * (i + 1) / blocks for i in range(blocks)]


class SqueezeExcite(nn.Module):
    """Scale each channel of (B, C, …) by what the means of all channels say (Hu et al. 2018)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        gate_BC: Tensor = self.gate(x.flatten(2).mean(2))
        return x * gate_BC.view(*gate_BC.shape, *[1] * (x.ndim - 2))


class Residual(nn.Module):
    """shortcut(x) + body(x); rows of the body are dropped by `share` while training."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None, share: float = 0.0) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut if shortcut is not None else nn.Identity()
        self.drop = DropPath(share)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum."""
        out: Tensor = self.shortcut(x) + self.drop(self.body(x))
        return out


class MeanOfPlaces(nn.Module):
    """(B, C, H, W) to the mean over the image, (B, C)."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return one vector per row."""
        return x_BCHW.mean((2, 3))


def conv(channels: int, width: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Return a convolution without bias that gives sides of ceil(side / stride)."""
    return nn.Conv2d(channels, width, kernel, stride, padding=(kernel - 1) // 2, groups=groups, bias=False)


def shortest_side(inputs: ImageInputs) -> int:
    """Return the smaller one of height and width."""
    return min(inputs.height, inputs.width)


def stem_stride(inputs: ImageInputs) -> int:
    """Return the stride with which a network enters images: 2 from 96 pixels on, where full resolution costs most."""
    return 2 if shortest_side(inputs) >= _LARGE_SIDE else 1


def halvings(side: int, least: int) -> int:
    """Return how often `side` can be halved, rounding up, while it is at least `least`."""
    count = 0
    while side >= least:
        side, count = -(-side // 2), count + 1
    return count
