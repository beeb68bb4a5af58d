"""Labelled series by a residual net over steps: Wang, Yan and Oates 2017, "Time Series Classification from Scratch"."""

import itertools
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from pipeline.core.contracts import SeriesInputs
from pipeline.models.network import Network, network_for, stem_for
from pipeline.models.sequence import pooled, split_mask
from pipeline.models.steps import StepNorm, odd_kernel, step_conv

_KERNELS = (7, 5, 3)


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesResnetArchitecture:
    """`width` channels in the first block, twice as many in the others."""

    kind: Literal["series_resnet"] = "series_resnet"
    width: int = 24
    blocks: int = 3
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Sizes are positive."""
        if min(self.width, self.blocks) < 1 or not 0 <= self.dropout < 1:
            raise ValueError("width and blocks must be at least 1, dropout in [0, 1)")


class Block(nn.Module):
    """Three convolutions of falling length and a shortcut; (B, C, T) to (B, width, T), 0 beyond the end."""

    def __init__(self, channels: int, width: int, length: int) -> None:
        super().__init__()
        sizes = [channels, width, width]
        self.convs = nn.ModuleList(
            step_conv(size, width, odd_kernel(kernel, length)) for size, kernel in zip(sizes, _KERNELS, strict=True)
        )
        self.norms = nn.ModuleList(StepNorm(width) for _ in _KERNELS)
        self.shortcut = step_conv(channels, width, 1)
        self.shortcut_norm = StepNorm(width)

    def forward(self, x_BCT: Tensor, mask_B1T: Tensor) -> Tensor:
        """Return transformed steps."""
        beside = self.shortcut_norm(self.shortcut(x_BCT), mask_B1T)
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x_BCT = norm(conv(x_BCT), mask_B1T)
            x_BCT = nn.functional.silu(x_BCT if i < len(_KERNELS) - 1 else x_BCT + beside) * mask_B1T
        return x_BCT


class SeriesResnet(nn.Module):
    """Steps (B, T, C + 1) through all blocks; mean and maximum over real steps (B, 2 · last width)."""

    def __init__(self, a: SeriesResnetArchitecture, inputs: SeriesInputs) -> None:
        super().__init__()
        widths = [len(inputs.channels), a.width, *[2 * a.width] * (a.blocks - 1)]
        self.blocks = nn.ModuleList(
            Block(channels, width, inputs.length) for channels, width in itertools.pairwise(widths)
        )
        self.features = 2 * widths[-1]

    def forward(self, x_BTE: Tensor) -> Tensor:
        """Return one vector per row."""
        x_BTC, mask_BT = split_mask(x_BTE)
        x_BCT, mask_B1T = x_BTC.transpose(1, 2) * mask_BT[:, None], mask_BT[:, None]
        for block in self.blocks:
            x_BCT = block(x_BCT, mask_B1T)
        return pooled(x_BCT.transpose(1, 2), mask_BT)


def build(architecture: SeriesResnetArchitecture, inputs: SeriesInputs, outputs: int) -> Network:
    """Return the network with K = `outputs` numbers."""
    trunk = SeriesResnet(architecture, inputs)
    return network_for(inputs, stem_for(inputs, 1), trunk, trunk.features, outputs, architecture.dropout)
