"""Labelled series by convolutions of several lengths at once: Ismail Fawaz et al. 2020, "InceptionTime"."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.core.contracts import SeriesInputs
from pipeline.models.network import Network, network_for, stem_for
from pipeline.models.sequence import pooled, split_mask
from pipeline.models.steps import StepNorm, odd_kernel, step_conv

_BLOCK = 3
"""Layers that a residual connection spans."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InceptionArchitecture:
    """`width` filters of each of three lengths and as many of the pooled steps; `depth` layers."""

    kind: Literal["inception"] = "inception"
    width: int = 16
    depth: int = 6
    kernel: int = 40
    """Steps of the longest filters, the others a half and a quarter; at most the length of the series."""
    lite: bool = False
    """Long filters see one channel each, which saves weights rather than time (Ismail-Fawaz et al. 2023, LITE)."""
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Three lengths need four steps."""
        if min(self.width, self.depth) < 1 or not 0 <= self.dropout < 1:
            raise ValueError("width and depth must be at least 1, dropout in [0, 1)")
        if self.kernel < 4:
            raise ValueError("kernel must be at least 4")


class InceptionLayer(nn.Module):
    """Steps (B, C, T) to (B, 4 · width, T): narrowed, convolved by three lengths; beside it pooled and narrowed."""

    def __init__(self, a: InceptionArchitecture, channels: int, length: int) -> None:
        super().__init__()
        self.narrow = step_conv(channels, a.width, 1)
        lengths = [odd_kernel(a.kernel // part, length) for part in (1, 2, 4)]
        groups = a.width if a.lite else 1
        self.filters = nn.ModuleList(step_conv(a.width, a.width, kernel, groups=groups) for kernel in lengths)
        self.pooled = step_conv(channels, a.width, 1)
        self.norm = StepNorm(4 * a.width)

    def forward(self, x_BCT: Tensor, mask_B1T: Tensor) -> Tensor:
        """Return transformed steps, 0 beyond the end."""
        narrow = self.narrow(x_BCT)
        lowest = torch.finfo(x_BCT.dtype).min
        highest = nn.functional.max_pool1d(x_BCT.masked_fill(mask_B1T < 0.5, lowest), 3, 1, padding=1) * mask_B1T
        parts = [conv(narrow) for conv in self.filters]
        out: Tensor = nn.functional.silu(self.norm(torch.cat([*parts, self.pooled(highest)], 1), mask_B1T)) * mask_B1T
        return out


class Shortcut(nn.Module):
    """Steps (B, C, T) to the width of a block, to be added to what the block gives."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv, self.norm = step_conv(channels, width, 1), StepNorm(width)

    def forward(self, x_BCT: Tensor, mask_B1T: Tensor) -> Tensor:
        """Return the projected steps."""
        out: Tensor = self.norm(self.conv(x_BCT), mask_B1T)
        return out


class Inception(nn.Module):
    """Steps (B, T, C + 1) through all layers, residual over every three; mean and maximum (B, 8 · width)."""

    def __init__(self, a: InceptionArchitecture, inputs: SeriesInputs) -> None:
        super().__init__()
        channels, wide = len(inputs.channels), 4 * a.width
        self.layers, self.shortcuts = nn.ModuleList(), nn.ModuleList()
        for i in range(a.depth):
            self.layers.append(InceptionLayer(a, channels if i == 0 else wide, inputs.length))
            if i % _BLOCK == _BLOCK - 1:
                self.shortcuts.append(Shortcut(channels if i == _BLOCK - 1 else wide, wide))

    def forward(self, x_BTE: Tensor) -> Tensor:
        """Return one vector per row."""
        x_BTC, mask_BT = split_mask(x_BTE)
        mask_B1T = mask_BT[:, None]
        x_BCT = before = x_BTC.transpose(1, 2) * mask_B1T
        for i, layer in enumerate(self.layers):
            x_BCT = layer(x_BCT, mask_B1T)
            if i % _BLOCK == _BLOCK - 1:
                x_BCT = nn.functional.silu(x_BCT + self.shortcuts[i // _BLOCK](before, mask_B1T)) * mask_B1T
                before = x_BCT
        return pooled(x_BCT.transpose(1, 2), mask_BT)


def build(architecture: InceptionArchitecture, inputs: SeriesInputs, outputs: int) -> Network:
    """Return the network with K = `outputs` numbers."""
    trunk = Inception(architecture, inputs)
    return network_for(inputs, stem_for(inputs, 1), trunk, 8 * architecture.width, outputs, architecture.dropout)
