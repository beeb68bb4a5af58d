"""Multi-layer perceptron over a table's tokens, flattened: the strongest network per second of training on one core.

Gorishniy et al. 2022, "On Embeddings for Numerical Features": what matters is how numbers are encoded, not the trunk.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

from torch import nn

from pipeline.core.contracts import TableInputs
from pipeline.models.dropout import ByteDropout
from pipeline.models.network import Network, tokens_of
from pipeline.models.table_stem import Embedding, TableStem

Auto = Literal["auto"]
"""As the number of training rows suggests."""
_FEW_ROWS = 2_000


@dataclass(frozen=True, kw_only=True, slots=True)
class MlpArchitecture:
    """`depth` layers of `width`; auto: 2 of 64 below 2,000 training rows, else 3 of 192, or of 256 for one number."""

    kind: Literal["mlp"] = "mlp"
    width: int | Auto = "auto"
    depth: int | Auto = "auto"
    dropout: float | Auto = "auto"
    """auto: 0.4 below 2,000 training rows, else 0.2, or 0.1 for one number."""
    token: int = 16
    """Size of a column's token."""
    embedding: Embedding = "ple"
    sigma: float = 1.0
    """periodic: deviation of the frequencies at the start; the best one differs a hundredfold between data sets."""

    def __post_init__(self) -> None:
        """Refuse what has no layers."""
        check_sizes(self.width, self.depth, self.dropout, self.token)
        if self.sigma <= 0:
            raise ValueError(f"sigma {self.sigma} is not positive")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """A perceptron's size, without any auto."""

    width: int
    depth: int
    dropout: float


def check_sizes(width: int | Auto, depth: int | Auto, dropout: float | Auto, token: int) -> None:
    """Refuse sizes that no perceptron has."""
    if (width != "auto" and width < 1) or (depth != "auto" and depth < 1) or token < 1:
        raise ValueError("width, depth and token must be at least 1")
    if dropout != "auto" and not 0 <= dropout < 1:
        raise ValueError("dropout must be in [0, 1)")


def sizes_for(width: int | Auto, depth: int | Auto, dropout: float | Auto, inputs: TableInputs, outputs: int) -> Sizes:
    """Return the sizes with auto resolved. A single output is a number: classes and labels are two or more."""
    few, number = 0 < inputs.rows < _FEW_ROWS, outputs == 1
    usual = Sizes(width=64, depth=2, dropout=0.4) if few else Sizes(width=192, depth=3, dropout=0.2)
    if number and not few:
        usual = Sizes(width=256, depth=3, dropout=0.1)
    return Sizes(
        width=usual.width if width == "auto" else width,
        depth=usual.depth if depth == "auto" else depth,
        dropout=usual.dropout if dropout == "auto" else dropout,
    )


def settled(described: Mapping[str, Any], inputs: TableInputs, outputs: int) -> dict[str, Any]:
    """Return a described architecture with the numbers that its auto sizes come to."""
    sizes = sizes_for(described["width"], described["depth"], described["dropout"], inputs, outputs)
    return {**described, **asdict(sizes)}


def perceptron(features: int, sizes: Sizes) -> list[nn.Module]:
    """Return layers from (…, features) to (…, width); dropout between them, the head has its own."""
    layers: list[nn.Module] = []
    for before, after in pairwise([features] + [sizes.width] * sizes.depth):
        layers += [nn.Linear(before, after), nn.ReLU(), ByteDropout(sizes.dropout)]
    return layers[:-1]


def build(architecture: MlpArchitecture, inputs: TableInputs, outputs: int) -> Network:
    """Return the network with K = `outputs` numbers."""
    a = architecture
    sizes = sizes_for(a.width, a.depth, a.dropout, inputs, outputs)
    stem = TableStem(inputs, a.token, rectified=True, embedding=a.embedding, sigma=a.sigma)
    trunk = nn.Sequential(nn.Flatten(), *perceptron(tokens_of(inputs) * a.token, sizes))
    return Network(stem, trunk, sizes.width, outputs, sizes.dropout)
