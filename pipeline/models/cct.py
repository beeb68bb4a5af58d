"""Compact convolutional transformer (Hassani et al. 2021): tokens by convolution, attention, weighted mean of tokens.

Needs many more passes over the rows than the convolutional families before it is as good.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.core.contracts import ImageInputs, Inputs
from pipeline.models.blocks import DropPath, conv, drop_shares, halvings, stem_stride
from pipeline.models.network import Network, network_for, stem_for
from pipeline.models.transformer import Block, TransformerArchitecture

_SMALLEST_HALVED_SIDE = 12
_NARROWEST = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class CctArchitecture:
    """`width` is the size of a token."""

    kind: Literal["cct"] = "cct"
    width: int = 64
    convolutions: int = 0
    """In front, each with a pooling that halves the side; 0: until the side is below 12. More of them, fewer tokens."""
    depth: int = 2
    """Blocks of attention and MLP."""
    heads: int = 2
    mlp_ratio: int = 2
    drop_path: float = 0.0
    """Share of rows for which the last block is dropped while training; earlier blocks less."""
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Heads share the width evenly."""
        if min(self.width, self.depth, self.heads, self.mlp_ratio) < 1 or self.convolutions < 0:
            raise ValueError("width, depth, heads and mlp_ratio must be at least 1, convolutions not negative")
        if not 0 <= self.drop_path < 1 or not 0 <= self.dropout < 1:
            raise ValueError("drop_path and dropout must be in [0, 1)")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not divisible by heads {self.heads}")


class Tokens(nn.Module):
    """Convolutions and poolings, (B, C, H, W) to a grid of tokens (B, T, D) plus learned positions."""

    def __init__(self, a: CctArchitecture, inputs: ImageInputs) -> None:
        super().__init__()
        stride = stem_stride(inputs)
        height, across = (-(-side // stride) for side in (inputs.height, inputs.width))
        count = a.convolutions or halvings(min(height, across), _SMALLEST_HALVED_SIDE)
        widths = [max(min(_NARROWEST, a.width), a.width // 2**left) for left in reversed(range(max(1, count)))]
        layers: list[nn.Module] = []
        channels = inputs.channels
        for i, width in enumerate(widths):
            layers.append(conv(channels, width, 3, stride if i == 0 else 1))
            if i < count and min(height, across) > 1:
                layers.append(nn.MaxPool2d(3, 2, padding=1))
                height, across = -(-height // 2), -(-across // 2)
            layers.append(nn.SiLU())
            channels = width
        self.grid = nn.Sequential(*layers)
        self.positions = nn.Parameter(torch.randn(height * across, a.width) * 0.02)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return tokens, row by row of the grid."""
        x_BTD: Tensor = self.grid(x_BCHW).flatten(2).transpose(1, 2) + self.positions
        return x_BTD


class DroppedBlock(nn.Module):
    """A block of attention and MLP whose change is dropped for a share of the rows while training."""

    def __init__(self, a: CctArchitecture, share: float) -> None:
        super().__init__()
        plain = TransformerArchitecture(width=a.width, heads=a.heads, mlp_ratio=a.mlp_ratio, dropout=a.dropout)
        self.block = Block(plain)
        self.drop = DropPath(share)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return the same shape."""
        changed_BTD: Tensor = self.block(x_BTD)
        return changed_BTD if self.drop.share == 0 else x_BTD + self.drop(changed_BTD - x_BTD)


class WeightedMean(nn.Module):
    """Mean over tokens, weighted by what a linear map says of each ("sequence pooling"); (B, T, D) to (B, D)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.weigh = nn.Linear(width, 1)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return one vector per row."""
        x_BTD = self.norm(x_BTD)
        out: Tensor = (x_BTD * self.weigh(x_BTD).softmax(1)).sum(1)
        return out


def build(architecture: CctArchitecture, inputs: Inputs, outputs: int) -> Network:
    """Return the network with K = `outputs` numbers."""
    assert isinstance(inputs, ImageInputs)
    a = architecture
    blocks = [DroppedBlock(a, share) for share in drop_shares(a.drop_path, a.depth)]
    trunk = nn.Sequential(Tokens(a, inputs), *blocks, WeightedMean(a.width))
    return network_for(inputs, stem_for(inputs, a.width), trunk, a.width, outputs, a.dropout)
