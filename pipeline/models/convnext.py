"""ConvNeXt (Liu et al. 2022): depthwise convolutions of a large kernel, then an MLP over the channels of each place.

Layers normalise each place over its channels, so nothing depends on the batch. Tensors lie channels last in memory, so
that norms and MLPs read them without a copy. Activations are SiLU, a third faster than GELU on a CPU.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.core.contracts import ImageInputs, Inputs
from pipeline.models.blocks import DropPath, MeanOfPlaces, conv, drop_shares, halvings, shortest_side, stem_stride
from pipeline.models.network import Network, network_for, stem_for

_SMALLEST_HALVED_SIDE = 7
_MOST_STAGES = 4
_RATIO = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvnextArchitecture:
    """Width doubles from stage to stage."""

    kind: Literal["convnext"] = "convnext"
    width: int = 32
    stages: int = 0
    """0: two to four, until the side is below 7."""
    blocks: int = 1
    """Per stage."""
    kernel: int = 5
    patch: int = 0
    """Stride of the first convolution, so that one place stands for so many pixels; 0: 2, from 96 pixels on 4."""
    layer_scale: float = 0.1
    """Factor of each branch at the start. 0.1 is right up to 18 blocks (Touvron et al. 2021, CaiT)."""
    drop_path: float = 0.0
    """Share of rows for which the last block is dropped while training; earlier blocks less."""
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Odd kernels keep the size."""
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is not odd")
        if min(self.width, self.blocks, self.kernel) < 1 or min(self.stages, self.patch) < 0:
            raise ValueError("width, blocks and kernel must be at least 1, stages and patch not negative")
        if self.layer_scale <= 0 or not 0 <= self.drop_path < 1 or not 0 <= self.dropout < 1:
            raise ValueError("layer_scale must be positive, drop_path and dropout in [0, 1)")


class ChannelNorm(nn.LayerNorm):
    """Normalise each place of (B, C, H, W) over its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the same shape."""
        return super().forward(x_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """x + scale · MLP(norm(depthwise convolution of x)), (B, C, H, W) to the same shape."""

    def __init__(self, a: ConvnextArchitecture, width: int, share: float) -> None:
        super().__init__()
        self.depthwise = conv(width, width, a.kernel, groups=width)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, _RATIO * width), nn.SiLU(), nn.Linear(_RATIO * width, width))
        self.scale = nn.Parameter(torch.full((width,), a.layer_scale))
        self.drop = DropPath(share)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Mix places, then channels."""
        mixed_BHWC = self.norm(self.depthwise(x_BCHW).permute(0, 2, 3, 1))
        out: Tensor = x_BCHW + self.drop(self.mlp(mixed_BHWC) * self.scale).permute(0, 3, 1, 2)
        return out


def build(architecture: ConvnextArchitecture, inputs: Inputs, outputs: int) -> Network:
    """Return the network with K = `outputs` numbers."""
    assert isinstance(inputs, ImageInputs)
    a = architecture
    patch = a.patch or 2 * stem_stride(inputs)
    side = -(-shortest_side(inputs) // patch)
    stages = a.stages or min(_MOST_STAGES, max(2, 1 + halvings(side, _SMALLEST_HALVED_SIDE)))
    shares = iter(drop_shares(a.drop_path, stages * a.blocks))
    # Kernels overlap, and rows at the edge count whatever the size is.
    layers: list[nn.Module] = [conv(inputs.channels, a.width, 2 * patch - 1, patch), ChannelNorm(a.width)]
    for stage in range(stages):
        width = a.width * 2**stage
        if stage > 0:
            layers += [ChannelNorm(width // 2), conv(width // 2, width, 3, 2)]
        layers += [Block(a, width, next(shares)) for _ in range(a.blocks)]
    features = a.width * 2 ** (stages - 1)
    trunk = nn.Sequential(*layers, MeanOfPlaces(), nn.LayerNorm(features))
    return network_for(inputs, stem_for(inputs, a.width), trunk, features, outputs, a.dropout)
