"""Words without order: the mean and maximum of their vectors, beside a linear model of words, pairs and letters.

The first candidate for texts: on a few thousand of them it is as good as networks that read the order, in a tenth of
their time (Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification").
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from pipeline.core.contracts import TextInputs
from pipeline.models.network import Network
from pipeline.models.sequence import TextStem, pooled, split_mask
from pipeline.models.wide import wide_network


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
    wide_rate: float = 20.0
    """How many times as fast as the vectors those weights are trained."""

    def __post_init__(self) -> None:
        """Sizes are positive."""
        if self.width < 1 or self.wide_rate <= 0 or not 0 <= self.dropout < 1:
            raise ValueError("width must be at least 1, wide_rate positive, dropout in [0, 1)")


class Bag(nn.Module):
    """Mean and maximum of the vectors of (B, L, D + 1), (B, 2 · D)."""

    def forward(self, x_BLE: Tensor) -> Tensor:
        """Return one vector per text."""
        return pooled(*split_mask(x_BLE))


def build(architecture: BagArchitecture, inputs: TextInputs, outputs: int) -> Network:
    """Return the network with K = `outputs` numbers."""
    a = architecture
    if a.wide:
        return wide_network(
            a.width, Bag(), 2 * a.width, inputs, outputs, vectors=a.vectors, rate=a.wide_rate, dropout=a.dropout
        )
    return Network(TextStem(inputs, a.width, vectors=a.vectors), Bag(), 2 * a.width, outputs, a.dropout)
