"""Convolutions: 3 × 3 stages with pooling for images; over the columns' tokens, without pooling, for tables.

Images follow the plain fast nets of speed records (conv, pool, norm, activation, conv, …; global max-pool). For tables
every column keeps its place: the last tokens are flattened, not pooled. Texts and series are convolved over steps.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.core.contracts import ForecastInputs, ImageInputs, Inputs, SeriesInputs, TableInputs, TextInputs
from pipeline.models.network import Network, network_for, series_size, stem_for, tokens_of
from pipeline.models.sequence import pooled, split_mask

_SMALLEST_POOLED_SIDE = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class CnnArchitecture:
    """Width doubles from stage to stage up to four times the first."""

    kind: Literal["cnn"] = "cnn"
    width: int
    stages: int = 2
    depth: int = 2
    """Convolutions per stage; all but the first have a residual connection."""
    kernel: int = 3
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Odd kernels keep the size."""
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is not odd")
        if min(self.width, self.stages, self.depth, self.kernel) < 1 or not 0 <= self.dropout < 1:
            raise ValueError("width, stages, depth and kernel must be at least 1, dropout in [0, 1)")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each stage."""
        return tuple(self.width * 2 ** min(stage, 2) for stage in range(self.stages))


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus its transformation, same shape."""
        out: Tensor = x + self.body(x)
        return out


def build(architecture: CnnArchitecture, inputs: Inputs, outputs: int) -> Network:
    """Return the network with K = `outputs` numbers."""
    stem = stem_for(inputs, architecture.width)
    trunk: nn.Module
    match inputs:
        case ImageInputs():
            trunk, features = _image_trunk(architecture, inputs), architecture.widths[-1]
        case TableInputs():
            trunk, features = _table_trunk(architecture), architecture.widths[-1] * tokens_of(inputs)
        case TextInputs():
            trunk, features = SequenceCnn(architecture, architecture.width), 2 * architecture.widths[-1]
        case SeriesInputs() | ForecastInputs():
            trunk, features = SequenceCnn(architecture, series_size(inputs)[0]), 2 * architecture.widths[-1]
    return network_for(inputs, stem, trunk, features, outputs, architecture.dropout)


def _image_trunk(a: CnnArchitecture, inputs: ImageInputs) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels, side = inputs.channels, min(inputs.height, inputs.width)
    for width in a.widths:
        layers.append(nn.Conv2d(channels, width, a.kernel, padding=a.kernel // 2, bias=False))
        if side >= _SMALLEST_POOLED_SIDE:
            layers.append(nn.MaxPool2d(2))
            side //= 2
        layers += [nn.BatchNorm2d(width), nn.SiLU()]
        for _ in range(a.depth - 1):
            conv = nn.Conv2d(width, width, a.kernel, padding=a.kernel // 2, bias=False)
            layers.append(Residual(nn.Sequential(conv, nn.BatchNorm2d(width), nn.SiLU())))
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten())


def _table_trunk(a: CnnArchitecture) -> nn.Sequential:
    layers: list[nn.Module] = [Transposed()]
    channels = a.width
    for width in a.widths:
        layers += [nn.Conv1d(channels, width, a.kernel, padding=a.kernel // 2), nn.GroupNorm(1, width), nn.SiLU()]
        for _ in range(a.depth - 1):
            conv = nn.Conv1d(width, width, a.kernel, padding=a.kernel // 2)
            layers.append(Residual(nn.Sequential(conv, nn.GroupNorm(1, width), nn.SiLU(), nn.Dropout(a.dropout))))
        channels = width
    return nn.Sequential(*layers, nn.Flatten())


class SequenceCnn(nn.Module):
    """1-D convolutions over (B, T, D + 1), halving the steps from stage to stage; (B, 2 · last width).

    What lies beyond the end stays 0 before every convolution and never wins a pooling, so padding changes nothing.
    """

    def __init__(self, a: CnnArchitecture, channels: int) -> None:
        super().__init__()
        self.first = nn.ModuleList()
        self.more = nn.ModuleList()
        self.depth = a.depth
        for width in a.widths:
            self.first.append(StepConv(channels, width, a))
            self.more.extend(StepConv(width, width, a) for _ in range(a.depth - 1))
            channels = width

    def forward(self, x_BTE: Tensor) -> Tensor:
        """Return one vector per row."""
        x_BTD, mask_BT = split_mask(x_BTE)
        x_BDT, mask_B1T = x_BTD.transpose(1, 2), mask_BT[:, None]
        for i, first in enumerate(self.first):
            if i and x_BDT.shape[2] > 1:
                lowest = torch.finfo(x_BDT.dtype).min
                x_BDT = nn.functional.max_pool1d(x_BDT.masked_fill(mask_B1T < 0.5, lowest), 2, ceil_mode=True)
                mask_B1T = nn.functional.max_pool1d(mask_B1T, 2, ceil_mode=True)
            x_BDT = first(x_BDT * mask_B1T)
            for conv in self.more[i * (self.depth - 1) : (i + 1) * (self.depth - 1)]:
                x_BDT = x_BDT + conv(x_BDT * mask_B1T)
        return pooled(x_BDT.transpose(1, 2), mask_B1T[:, 0])


class StepConv(nn.Module):
    """Convolution over steps, each step normalised over its channels; (B, C, T) to (B, width, T)."""

    def __init__(self, channels: int, width: int, a: CnnArchitecture) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, width, a.kernel, padding=a.kernel // 2)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(a.dropout)

    def forward(self, x_BCT: Tensor) -> Tensor:
        """Return transformed steps."""
        x_BTD = self.norm(self.conv(x_BCT).transpose(1, 2))
        out: Tensor = self.dropout(nn.functional.silu(x_BTD)).transpose(1, 2)
        return out


class Transposed(nn.Module):
    """(B, T, D) to (B, D, T)."""

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Swap tokens and channels."""
        return x_BTD.transpose(1, 2)
