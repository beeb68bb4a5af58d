"""Inverted residuals: expand the channels, convolve each alone, weigh them, contract.

After Sandler et al. 2018 (MobileNetV2) and Tan & Le 2019 (EfficientNet). Few weights; depthwise convolutions are slower
on a CPU than their operations suggest.
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

_SMALLEST_ENTERED_BY_TWO = 24
_SMALLEST_HALVED_SIDE = 7
_MOST_STAGES = 4
_LAST_RATIO = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class MbconvArchitecture:
    """Width doubles from stage to stage."""

    kind: Literal["mbconv"] = "mbconv"
    width: int = 16
    stages: int = 0
    """0: two to four, until the side is below 7."""
    blocks: int = 1
    """Per stage."""
    expand: int = 4
    """Channels inside a block, as a multiple of those it reads."""
    kernel: int = 3
    squeeze_excite: bool = True
    """Whether each block weighs its channels by their means."""
    drop_path: float = 0.0
    """Share of rows for which the last block is dropped while training; earlier blocks less."""
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Odd kernels keep the size."""
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is not odd")
        if min(self.width, self.blocks, self.expand, self.kernel) < 1 or self.stages < 0:
            raise ValueError("width, blocks, expand and kernel must be at least 1, stages not negative")
        if not 0 <= self.drop_path < 1 or not 0 <= self.dropout < 1:
            raise ValueError("drop_path and dropout must be in [0, 1)")


def build(architecture: MbconvArchitecture, inputs: Inputs, outputs: int) -> Network:
    """Return the network with K = `outputs` numbers."""
    assert isinstance(inputs, ImageInputs)
    a, side = architecture, shortest_side(inputs)
    stride = stem_stride(inputs) * (2 if side >= _SMALLEST_ENTERED_BY_TWO else 1)
    side = -(-side // stride)
    stages = a.stages or min(_MOST_STAGES, max(2, 1 + halvings(side, _SMALLEST_HALVED_SIDE)))
    shares = iter(drop_shares(a.drop_path, stages * a.blocks))
    layers: list[nn.Module] = [conv(inputs.channels, a.width, 2 * stride - 1 if stride > 1 else 3, stride)]
    layers += [nn.BatchNorm2d(a.width), nn.SiLU()]
    channels = a.width
    for stage in range(stages):
        width = a.width * 2**stage
        for place in range(a.blocks):
            halved = stage > 0 and place == 0 and side > 2
            side = -(-side // 2) if halved else side
            layers.append(block(a, channels, width, 2 if halved else 1, next(shares)))
            channels = width
    features = _LAST_RATIO * channels
    layers += [conv(channels, features, 1), nn.BatchNorm2d(features), nn.SiLU(), MeanOfPlaces()]
    return network_for(inputs, stem_for(inputs, a.width), nn.Sequential(*layers), features, outputs, a.dropout)


def block(a: MbconvArchitecture, channels: int, width: int, stride: int, share: float) -> nn.Module:
    """Return an inverted residual (B, channels, H, W) to (B, width, …); with a shortcut where the shapes agree."""
    inside = channels * a.expand
    body: list[nn.Module] = []
    if a.expand > 1:
        body += [conv(channels, inside, 1), nn.BatchNorm2d(inside), nn.SiLU()]
    body += [conv(inside, inside, a.kernel, stride, groups=inside), nn.BatchNorm2d(inside), nn.SiLU()]
    if a.squeeze_excite:
        body.append(SqueezeExcite(inside, max(4, channels // 4)))
    body += [conv(inside, width, 1), nn.BatchNorm2d(width)]
    whole = nn.Sequential(*body)
    return Residual(whole, share=share) if stride == 1 and channels == width else whole
