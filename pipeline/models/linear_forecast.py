"""The default of forecasts: one linear map for all targets, in closed form, and a small net for what it misses."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.core.contracts import ForecastInputs
from pipeline.models.network import Network, stem_for
from pipeline.models.sequence import DirectForecast

_FIRST_CHANGE = 0.01
"""Of the usual size of last weights, so that training starts from the linear forecast but every weight learns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearArchitecture:
    """`residual` is the hidden width of the net beside the linear map; 0: none."""

    kind: Literal["linear"] = "linear"
    residual: int = 256
    frozen: bool = True
    """Whether the linear map stays as solved; else training goes on from it."""
    dropout: float = 0.5

    def __post_init__(self) -> None:
        """Sizes are not negative."""
        if self.residual < 0 or not 0 <= self.dropout < 1:
            raise ValueError("residual must not be negative, dropout in [0, 1)")


class ResidualNet(nn.Module):
    """Relative windows (B, T, C) to changes (B, H, N): the same two layers for every target, on its own channel.

    Channels known for the future are read beside it.
    """

    def __init__(self, a: LinearArchitecture, inputs: ForecastInputs) -> None:
        super().__init__()
        self.window, self.targets = inputs.window, inputs.targets
        self.past = len(inputs.channels) - inputs.known
        self.first = nn.Linear(inputs.window + inputs.known * inputs.length, a.residual)
        self.dropout = nn.Dropout(a.dropout)
        self.last = small(nn.Linear(a.residual, inputs.horizon))

    def forward(self, x_BTC: Tensor) -> Tensor:
        """Return the changes."""
        out_BNH: Tensor = self.last(self.dropout(nn.functional.silu(self.first(self.seen(x_BTC)))))
        return out_BNH.transpose(1, 2)

    def seen(self, x_BTC: Tensor) -> Tensor:
        """Return what the net reads for each target, (B, N, F)."""
        own_BNW = x_BTC[:, : self.window, : self.targets].transpose(1, 2)
        known_BF = x_BTC[:, :, self.past :].flatten(1)
        return torch.cat([own_BNW, known_BF[:, None].expand(-1, self.targets, -1)], dim=2)


def small(layer: nn.Linear) -> nn.Linear:
    """Return the layer with weights near zero."""
    with torch.no_grad():
        layer.weight.mul_(_FIRST_CHANGE)
        layer.bias.zero_()
    return layer


def direct(inputs: ForecastInputs, trunk: nn.Module | None, *, trained: bool = False) -> Network:
    """Return the network of a trunk that gives forecasts itself: no head is needed."""
    network = Network(stem_for(inputs, 1), DirectForecast(trunk, inputs, trained=trained), 1, 1, 0.0)
    network.head = nn.Identity()
    return network


def build(architecture: LinearArchitecture, inputs: ForecastInputs, outputs: int) -> Network:
    """Return the network; it gives K = horizon · targets numbers."""
    assert outputs == inputs.horizon * inputs.targets
    residual = ResidualNet(architecture, inputs) if architecture.residual else None
    return direct(inputs, residual, trained=not architecture.frozen)
