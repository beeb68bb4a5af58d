"""Attention: an image becomes a grid of tokens by a small convolutional stem, a table one token per column.

Blocks are written out over `scaled_dot_product_attention`: the fast path of `nn.TransformerEncoder` computes another
function without gradients than with them, and then attributions explain a function nobody runs.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.core.contracts import ForecastInputs, ImageInputs, Inputs, SeriesInputs, TableInputs, TextInputs
from pipeline.models.network import Network, network_for, series_size, stem_for
from pipeline.models.sequence import pooled, split_mask

_SMALLEST_HALVED_SIDE = 8
_MOST_TOKENS = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerArchitecture:
    """`width` is the size of a token."""

    kind: Literal["transformer"] = "transformer"
    width: int
    depth: int = 2
    heads: int = 4
    mlp_ratio: int = 2
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Heads share the width evenly."""
        if min(self.width, self.depth, self.heads, self.mlp_ratio) < 1 or not 0 <= self.dropout < 1:
            raise ValueError("width, depth, heads and mlp_ratio must be at least 1, dropout in [0, 1)")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not divisible by heads {self.heads}")


class Block(nn.Module):
    """Pre-norm attention and MLP, each with a residual connection; (B, T, D) to (B, T, D)."""

    def __init__(self, a: TransformerArchitecture) -> None:
        super().__init__()
        self.heads, self.dropout = a.heads, a.dropout
        self.norm_1, self.norm_2 = nn.LayerNorm(a.width), nn.LayerNorm(a.width)
        self.qkv = nn.Linear(a.width, 3 * a.width)
        self.project = nn.Linear(a.width, a.width)
        self.mlp = nn.Sequential(
            nn.Linear(a.width, a.mlp_ratio * a.width),
            nn.SiLU(),
            nn.Dropout(a.dropout),
            nn.Linear(a.mlp_ratio * a.width, a.width),
        )

    def forward(self, x_BTD: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        """Let tokens see each other (those of the mask only), then change each on its own."""
        B, T, D = x_BTD.shape
        seen = None if mask_BT is None else (mask_BT > 0.5)[:, None, None, :]
        q, k, v = self.qkv(self.norm_1(x_BTD)).view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=dropout)
        x_BTD = x_BTD + self.project(mixed.transpose(1, 2).reshape(B, T, D))
        out: Tensor = x_BTD + self.mlp(self.norm_2(x_BTD))
        return out


class ImageTokens(nn.Module):
    """Convolution and pooling until the side is below 8; the grid, flattened, plus learned positions."""

    def __init__(self, inputs: ImageInputs, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(inputs.channels, width, 3, padding=1), nn.SiLU()]
        height, across = inputs.height, inputs.width
        while min(height, across) >= _SMALLEST_HALVED_SIDE:
            layers += [nn.MaxPool2d(2), nn.Conv2d(width, width, 3, padding=1), nn.SiLU()]
            height, across = height // 2, across // 2
        self.grid = nn.Sequential(*layers[:-1])
        self.positions = nn.Parameter(torch.randn(height * across, width) * 0.02)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return tokens (B, T, D)."""
        x_BTD: Tensor = self.grid(x_BCHW).flatten(2).transpose(1, 2) + self.positions
        return x_BTD


class TableTokens(nn.Module):
    """A table's tokens plus one learned summary token in front."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.summary = nn.Parameter(torch.randn(1, 1, width) * width**-0.5)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return (B, 1 + T, D)."""
        return torch.cat([self.summary.expand(x_BTD.shape[0], -1, -1), x_BTD], dim=1)


class SummaryBlock(Block):
    """A table's last block, for the summary token alone: nobody reads the others. (B, T, D) to (B, D).

    What follows is the readout of FT-Transformer (Gorishniy et al. 2021, section 3.3): normalise, bend.
    """

    def __init__(self, a: TransformerArchitecture) -> None:
        super().__init__(a)
        self.norm = nn.LayerNorm(a.width)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        """Let the summary see all tokens, then change it on its own."""
        B, T, D = x_BTD.shape
        known_BTD = self.norm_1(x_BTD)
        weight, bias = self.qkv.weight, self.qkv.bias
        q_BHD = nn.functional.linear(known_BTD[:, :1], weight[:D], bias[:D]).view(B, 1, self.heads, -1).transpose(1, 2)
        both = nn.functional.linear(known_BTD, weight[D:], bias[D:]).view(B, T, 2, self.heads, -1)
        k, v = both.permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        mixed = nn.functional.scaled_dot_product_attention(q_BHD, k, v, dropout_p=dropout)
        x_BD = x_BTD[:, 0] + self.project(mixed.reshape(B, D))
        out: Tensor = self.norm(x_BD + self.mlp(self.norm_2(x_BD))).relu()
        return out


class SequenceTransformer(nn.Module):
    """Attention over (B, T, D + 1): patches of steps so that at most 128 remain, learned positions, masked pooling."""

    def __init__(self, a: TransformerArchitecture, channels: int, length: int) -> None:
        super().__init__()
        self.patch = -(-length // _MOST_TOKENS)
        self.project = nn.Linear(channels * self.patch, a.width)
        self.positions = nn.Parameter(torch.randn(-(-length // self.patch), a.width) * 0.02)
        self.blocks = nn.ModuleList(Block(a) for _ in range(a.depth))
        self.norm = nn.LayerNorm(a.width)

    def forward(self, x_BTE: Tensor) -> Tensor:
        """Return one vector per row, (B, 2 · width)."""
        x_BTD, mask_BT = split_mask(x_BTE)
        short = -x_BTD.shape[1] % self.patch
        x_BTD = nn.functional.pad(x_BTD * mask_BT[:, :, None], (0, 0, 0, short))
        mask_BT = nn.functional.pad(mask_BT, (0, short)).reshape(x_BTD.shape[0], -1, self.patch).amax(2)
        patches = x_BTD.reshape(x_BTD.shape[0], mask_BT.shape[1], -1)
        x_BTD = self.project(patches) + self.positions[: mask_BT.shape[1]]
        for block in self.blocks:
            x_BTD = block(x_BTD, mask_BT)
        return pooled(self.norm(x_BTD), mask_BT)


class Pooled(nn.Module):
    """Normalise, then the mean over tokens, (B, D)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return one vector per row."""
        pooled: Tensor = self.norm(x_BTD).mean(1)
        return pooled


def build(architecture: TransformerArchitecture, inputs: Inputs, outputs: int) -> Network:
    """Return the network with K = `outputs` numbers."""
    a = architecture
    stem = stem_for(inputs, a.width)
    match inputs:
        case TextInputs():
            words = SequenceTransformer(a, a.width, inputs.length)
            return network_for(inputs, stem, words, 2 * a.width, outputs, a.dropout)
        case SeriesInputs() | ForecastInputs():
            trunk = SequenceTransformer(a, *series_size(inputs))
            return network_for(inputs, stem, trunk, 2 * a.width, outputs, a.dropout)
        case TableInputs():
            columns = nn.Sequential(TableTokens(a.width), *(Block(a) for _ in range(a.depth - 1)), SummaryBlock(a))
            return network_for(inputs, stem, columns, a.width, outputs, a.dropout)
        case ImageInputs():
            grid = ImageTokens(inputs, a.width)
            blocks = nn.Sequential(grid, *(Block(a) for _ in range(a.depth)), Pooled(a.width))
            return network_for(inputs, stem, blocks, a.width, outputs, a.dropout)
