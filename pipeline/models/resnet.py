"""Residual nets with the norm first (He et al. 2016, "Identity Mappings in Deep Residual Networks").

Branches start near zero, so that the net starts as its shortcuts, which halve an image by averaging (He et al. 2019,
"Bag of Tricks", ResNet-D).
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from pipeline.core.contracts import ImageInputs, Inputs
from pipeline.models.blocks import (
    MeanOfPlaces,
    Residual,
    SqueezeExcite,
    conv,
    drop_shares,
    halvings,
    shortest_side,
    stem_stride,
)
from pipeline.models.network import Network, network_for, stem_for

_SMALLEST_HALVED_SIDE = 12
_MOST_STAGES = 4
_FIRST_SCALE = 0.1
"""Of a branch's last norm; not quite zero, so that every weight moves from the first step on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResnetArchitecture:
    """Width doubles from stage to stage."""

    kind: Literal["resnet"] = "resnet"
    width: int = 16
    stages: int = 0
    """0: two to four, until the side is below 12."""
    blocks: int = 1
    """Per stage, of two convolutions each."""
    kernel: int = 3
    squeeze_excite: bool = False
    """Whether each block weighs its channels by their means."""
    drop_path: float = 0.0
    """Share of rows for which the last block is dropped while training; earlier blocks less."""
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Odd kernels keep the size."""
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is not odd")
        if min(self.width, self.blocks, self.kernel) < 1 or self.stages < 0:
            raise ValueError("width, blocks and kernel must be at least 1, stages not negative")
        if not 0 <= self.drop_path < 1 or not 0 <= self.dropout < 1:
            raise ValueError("drop_path and dropout must be in [0, 1)")


def build(architecture: ResnetArchitecture, inputs: Inputs, outputs: int) -> Network:
    """Return the network with K = `outputs` numbers."""
    assert isinstance(inputs, ImageInputs)
    a, stride = architecture, stem_stride(inputs)
    side = -(-shortest_side(inputs) // stride)
    stages = a.stages or min(_MOST_STAGES, max(2, 1 + halvings(side, _SMALLEST_HALVED_SIDE)))
    shares = iter(drop_shares(a.drop_path, stages * a.blocks))
    layers: list[nn.Module] = [conv(inputs.channels, a.width, 3, stride)]
    channels = a.width
    for stage in range(stages):
        width = a.width * 2**stage
        for place in range(a.blocks):
            halved = stage > 0 and place == 0 and side > 2
            side = -(-side // 2) if halved else side
            layers.append(block(a, channels, width, 2 if halved else 1, next(shares)))
            channels = width
    trunk = nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.SiLU(), MeanOfPlaces())
    return network_for(inputs, stem_for(inputs, a.width), trunk, channels, outputs, a.dropout)


def block(a: ResnetArchitecture, channels: int, width: int, stride: int, share: float) -> nn.Module:
    """Return norm, activation, convolution, twice, beside the shortcut; (B, channels, H, W) to (B, width, …)."""
    last = nn.BatchNorm2d(width)
    nn.init.constant_(last.weight, _FIRST_SCALE)
    body: list[nn.Module] = [nn.BatchNorm2d(channels), nn.SiLU(), conv(channels, width, a.kernel, stride)]
    body += [last, nn.SiLU(), conv(width, width, a.kernel)]
    if a.squeeze_excite:
        body.append(SqueezeExcite(width, max(4, width // 8)))
    shortcut: list[nn.Module] = [nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False)] if stride > 1 else []
    if channels != width:
        shortcut.append(conv(channels, width, 1))
    return Residual(nn.Sequential(*body), nn.Sequential(*shortcut), share)
