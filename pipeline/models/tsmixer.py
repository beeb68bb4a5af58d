"""Forecasts by mixing: linear layers over steps, shared by channels, and over channels, shared by steps.

Chen et al. 2023, "TSMixer: An All-MLP Architecture for Time Series Forecasting"; normalised over each step's channels
and each channel's steps, so that a window does not depend on others in its batch.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from pipeline.core.contracts import ForecastInputs
from pipeline.models.linear_forecast import direct, small
from pipeline.models.network import Network


@dataclass(frozen=True, kw_only=True, slots=True)
class TsmixerArchitecture:
    """`width` is the hidden size of the layers over channels."""

    kind: Literal["tsmixer"] = "tsmixer"
    width: int = 64
    depth: int = 2
    dropout: float = 0.5

    def __post_init__(self) -> None:
        """Sizes are positive."""
        if min(self.width, self.depth) < 1 or not 0 <= self.dropout < 1:
            raise ValueError("width and depth must be at least 1, dropout in [0, 1)")


class Mixing(nn.Module):
    """(B, C, T) to (B, C, T): steps change by what other steps hold, then by what other channels hold."""

    def __init__(self, a: TsmixerArchitecture, channels: int, length: int) -> None:
        super().__init__()
        self.steps = nn.Sequential(
            nn.LayerNorm(length), nn.Linear(length, length), nn.SiLU(), nn.Dropout(a.dropout)
        )  # fmt: skip
        self.channels = nn.Sequential(
            nn.Linear(channels, a.width), nn.SiLU(), nn.Dropout(a.dropout), nn.Linear(a.width, channels),
            nn.Dropout(a.dropout),
        )  # fmt: skip

    def forward(self, x_BCT: Tensor) -> Tensor:
        """Mix."""
        x_BCT = x_BCT + self.steps(x_BCT)
        out: Tensor = x_BCT + self.channels(x_BCT.transpose(1, 2)).transpose(1, 2)
        return out


class Mixer(nn.Module):
    """Relative windows (B, T, C) to changes (B, H, N)."""

    def __init__(self, a: TsmixerArchitecture, inputs: ForecastInputs) -> None:
        super().__init__()
        self.targets = inputs.targets
        self.blocks = nn.Sequential(*(Mixing(a, len(inputs.channels), inputs.length) for _ in range(a.depth)))
        self.last = small(nn.Linear(inputs.length, inputs.horizon))

    def forward(self, x_BTC: Tensor) -> Tensor:
        """Return the changes."""
        x_BCT = self.blocks(x_BTC.transpose(1, 2))
        out: Tensor = self.last(x_BCT[:, : self.targets]).transpose(1, 2)
        return out


def build(architecture: TsmixerArchitecture, inputs: ForecastInputs, outputs: int) -> Network:
    """Return the network; it gives K = horizon · targets numbers."""
    assert outputs == inputs.horizon * inputs.targets
    return direct(inputs, Mixer(architecture, inputs))
