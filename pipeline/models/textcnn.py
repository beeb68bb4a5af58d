"""Filters over three, four and five neighbouring words, the strongest answer of each in the text.

Kim 2014, "Convolutional Neural Networks for Sentence Classification"; beside it a linear model of words, pairs and
letters.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.core.contracts import TextInputs
from pipeline.models.network import Network
from pipeline.models.wide import word_network, word_stem


@dataclass(frozen=True, kw_only=True, slots=True)
class TextcnnArchitecture:
    """`width` is the size of a word's vector."""

    kind: Literal["textcnn"] = "textcnn"
    width: int = 128
    filters: int = 128
    """Filters of each length."""
    shortest: int = 3
    """Words the shortest filters see."""
    lengths: int = 3
    """How many lengths there are, each one word longer than the one before."""
    dropout: float = 0.5
    vectors: bool = True
    """Whether vectors start from which words stand together in the training texts; else at random."""
    wide: bool = True
    """Whether words, pairs and letters have weights of their own beside the filters (models/wide.py)."""
    wide_rate: float = 3.0
    """How many times as fast as the filters those weights are trained."""

    def __post_init__(self) -> None:
        """Sizes are positive."""
        if min(self.width, self.filters, self.shortest, self.lengths) < 1 or not 0 <= self.dropout < 1:
            raise ValueError("width, filters, shortest and lengths must be at least 1, dropout in [0, 1)")
        if self.wide_rate <= 0:
            raise ValueError("wide_rate must be positive")


class Filters(nn.Module):
    """Convolutions of several lengths over vectors (B, L, D), the maximum of each filter; (B, filters · lengths).

    What lies beyond the end is 0 and no place of a maximum, so padding changes nothing.
    """

    def __init__(self, a: TextcnnArchitecture) -> None:
        super().__init__()
        self.sizes = range(a.shortest, a.shortest + a.lengths)
        self.convs = nn.ModuleList(nn.Conv1d(a.width, a.filters, size) for size in self.sizes)

    def forward(self, x_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        """Return one vector per text."""
        x_BDL = (x_BLD * mask_BL[:, :, None]).transpose(1, 2)
        beyond_B1L = mask_BL[:, None] < 0.5
        lowest = torch.finfo(x_BDL.dtype).min
        best = []
        for size, conv in zip(self.sizes, self.convs, strict=True):
            answers_BFL = conv(nn.functional.pad(x_BDL, ((size - 1) // 2, size // 2)))
            best.append(answers_BFL.masked_fill(beyond_B1L, lowest).max(2).values)
        return nn.functional.silu(torch.cat(best, dim=1))


def build(architecture: TextcnnArchitecture, inputs: TextInputs, outputs: int) -> Network:
    """Return the network with K = `outputs` numbers."""
    a = architecture
    stem = word_stem(inputs, a.width, outputs, vectors=a.vectors, wide_rate=a.wide_rate if a.wide else None)
    return word_network(stem, Filters(a), a.filters * a.lengths, outputs, a.dropout)
