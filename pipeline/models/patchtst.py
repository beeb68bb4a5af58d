"""Forecasts by attention between patches of one channel, the same weights for all: Nie et al. 2023 (PatchTST).

Patches do not overlap, which is three times as fast and no worse; channels known for the future are one more token.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.core.contracts import ForecastInputs
from pipeline.models.linear_forecast import direct, small
from pipeline.models.network import Network
from pipeline.models.transformer import Block, TransformerArchitecture


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchtstArchitecture:
    """`width` is the size of a token, `patch` the steps it holds (at most the window)."""

    kind: Literal["patchtst"] = "patchtst"
    width: int = 64
    depth: int = 2
    heads: int = 4
    patch: int = 24
    mlp_ratio: int = 2
    dropout: float = 0.2

    def __post_init__(self) -> None:
        """What holds for attention, and patches are not empty."""
        if self.patch < 1:
            raise ValueError("patch must be at least 1")
        self.attention  # noqa: B018

    @property
    def attention(self) -> TransformerArchitecture:
        """The blocks."""
        return TransformerArchitecture(
            width=self.width, depth=self.depth, heads=self.heads, mlp_ratio=self.mlp_ratio, dropout=self.dropout
        )


class ChannelPatches(nn.Module):
    """Relative windows (B, T, C) to changes (B, H, N), each target on its own."""

    def __init__(self, a: PatchtstArchitecture, inputs: ForecastInputs) -> None:
        super().__init__()
        self.window, self.targets = inputs.window, inputs.targets
        self.past = len(inputs.channels) - inputs.known
        self.patch = min(a.patch, inputs.window)
        tokens = -(-inputs.window // self.patch) + bool(inputs.known)
        self.project = nn.Linear(self.patch, a.width)
        self.known = nn.Linear(inputs.known * inputs.length, a.width) if inputs.known else None
        self.positions = nn.Parameter(torch.randn(tokens, a.width) * 0.02)
        self.blocks = nn.Sequential(*(Block(a.attention) for _ in range(a.depth)), nn.LayerNorm(a.width))
        self.dropout = nn.Dropout(a.dropout)
        self.last = small(nn.Linear(tokens * a.width, inputs.horizon))

    def forward(self, x_BTC: Tensor) -> Tensor:
        """Return the changes."""
        own_BNW = x_BTC[:, : self.window, : self.targets].transpose(1, 2)
        own_BNW = nn.functional.pad(own_BNW, (-self.window % self.patch, 0)).contiguous()
        x_BNPD = self.project(own_BNW.view(x_BTC.shape[0], self.targets, -1, self.patch))
        if self.known is not None:
            known_BD = self.known(x_BTC[:, :, self.past :].flatten(1))
            x_BNPD = torch.cat([x_BNPD, known_BD[:, None, None].expand(-1, self.targets, -1, -1)], dim=2)
        tokens = self.blocks((x_BNPD + self.positions).flatten(0, 1))
        out_BNH: Tensor = self.last(self.dropout(tokens.flatten(1))).view(x_BTC.shape[0], self.targets, -1)
        return out_BNH.transpose(1, 2)


def build(architecture: PatchtstArchitecture, inputs: ForecastInputs, outputs: int) -> Network:
    """Return the network; it gives K = horizon · targets numbers."""
    assert outputs == inputs.horizon * inputs.targets
    return direct(inputs, ChannelPatches(architecture, inputs))
