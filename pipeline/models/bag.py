"""Words without order: the mean and maximum of their vectors, beside a linear model of words, pairs and letters.

The first candidate for texts: on a few thousand of them it is as good as networks that read the order, in a tenth of
their time (Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification").
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from pipeline.core.contracts import TextInputs
from pipeline.models.network import Network
from pipeline.models.sequence import pooled
from pipeline.models.wide import word_network, word_stem


@dataclass(frozen=True, kw_only=True, slots=True)
class BagArchitecture:
    """`width` is the size of a word's vector."""

    kind: Literal["bag"] = "bag"
    width: int = 128
    dropout: float = 0.5
    vectors: bool = True
    """Whether vectors start from which words stand together in the training texts; else at random."""
    wide: bool = True
    """Whether words, pairs and letters have weights of their own beside the vectors (models/wide.py)."""
    wide_rate: float = 3.0
    """How many times as fast as the vectors those weights are trained."""

    def __post_init__(self) -> None:
        """Sizes are positive."""
        if self.width < 1 or self.wide_rate <= 0 or not 0 <= self.dropout < 1:
            raise ValueError("width must be at least 1, wide_rate positive, dropout in [0, 1)")


class Bag(nn.Module):
    """Mean and maximum of vectors (B, L, D) where the mask (B, L) is 1, (B, 2 · D)."""

    def forward(self, x_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        """Return one vector per text."""
        return pooled(x_BLD, mask_BL)


def build(architecture: BagArchitecture, inputs: TextInputs, outputs: int) -> Network:
    """Return the network with K = `outputs` numbers."""
    a = architecture
    stem = word_stem(inputs, a.width, outputs, vectors=a.vectors, wide_rate=a.wide_rate if a.wide else None)
    return word_network(stem, Bag(), 2 * a.width, outputs, a.dropout)
