"""Recurrent nets, GRU or LSTM, in both directions: over words, steps, the rows of an image, the columns of a table."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.core.contracts import ForecastInputs, ImageInputs, Inputs, SeriesInputs, TableInputs, TextInputs
from pipeline.models.blocks import conv
from pipeline.models.network import Network, network_for, series_size, stem_for
from pipeline.models.sequence import pooled, split_mask

_FEATURES = 16
_MOST_ROWS = 32
_SMALLEST_POOLED_SIDE = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class RnnArchitecture:
    """`width` is the state of each direction."""

    kind: Literal["rnn"] = "rnn"
    cell: Literal["gru", "lstm"] = "gru"
    width: int
    depth: int = 1
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Sizes are positive."""
        if min(self.width, self.depth) < 1 or not 0 <= self.dropout < 1:
            raise ValueError("width and depth must be at least 1, dropout in [0, 1)")


class ImageRows(nn.Module):
    """(B, C, H, W) to a sequence of rows, each row's features mapped to D.

    Convolutions see neighbours in both directions; pooling halves the sides once, and on until there are 32 rows.
    """

    def __init__(self, inputs: ImageInputs, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, height, across = inputs.channels, inputs.height, inputs.width
        while not layers or (height > _MOST_ROWS and min(height, across) >= _SMALLEST_POOLED_SIDE):
            layers.append(conv(channels, _FEATURES, 3))
            if min(height, across) >= _SMALLEST_POOLED_SIDE:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
                height, across = -(-height // 2), -(-across // 2)
            layers.append(nn.SiLU())
            channels = _FEATURES
        self.grid = nn.Sequential(*layers)
        self.project = nn.Sequential(nn.Linear(_FEATURES * across, width), nn.LayerNorm(width), nn.SiLU())

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return (B, rows, D)."""
        x_BTD: Tensor = self.project(self.grid(x_BCHW).permute(0, 2, 3, 1).flatten(2))
        return x_BTD


class Recurrent(nn.Module):
    """Bidirectional cells over (B, T, D); mean and maximum over time, (B, 4 · width)."""

    def __init__(self, a: RnnArchitecture, channels: int) -> None:
        super().__init__()
        cell = {"gru": nn.GRU, "lstm": nn.LSTM}[a.cell]
        between = a.dropout if a.depth > 1 else 0.0
        self.cells = cell(channels, a.width, a.depth, batch_first=True, dropout=between, bidirectional=True)
        self.norm = nn.LayerNorm(4 * a.width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return one vector per row."""
        states, _ = self.cells(x_BTD)
        out: Tensor = self.norm(torch.cat([states.mean(1), states.amax(1)], dim=1))
        return out


class MaskedRecurrent(Recurrent):
    """The same over (B, T, D + 1), real steps only: neither direction runs over padding."""

    def forward(self, x_BTE: Tensor) -> Tensor:
        """Return one vector per row."""
        x_BTD, mask_BT = split_mask(x_BTE)
        lengths = (mask_BT.detach() * torch.arange(1, mask_BT.shape[1] + 1, device=mask_BT.device)).amax(1).long()
        packed = nn.utils.rnn.pack_padded_sequence(
            x_BTD, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = self.cells(packed)
        x_BTD, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True, total_length=mask_BT.shape[1])
        out: Tensor = self.norm(pooled(x_BTD, mask_BT))
        return out


def build(architecture: RnnArchitecture, inputs: Inputs, outputs: int) -> Network:
    """Return the network with K = `outputs` numbers."""
    stem = stem_for(inputs, architecture.width)
    trunk: nn.Module
    match inputs:
        case ImageInputs():
            rows = ImageRows(inputs, architecture.width)
            trunk = nn.Sequential(rows, Recurrent(architecture, architecture.width))
        case TableInputs():
            trunk = Recurrent(architecture, architecture.width)
        case TextInputs():
            trunk = MaskedRecurrent(architecture, architecture.width)
        case SeriesInputs() | ForecastInputs():
            trunk = MaskedRecurrent(architecture, series_size(inputs)[0])
    return network_for(inputs, stem, trunk, 4 * architecture.width, outputs, architecture.dropout)
