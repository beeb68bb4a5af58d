"""ResNet for tables, Gorishniy et al. 2021, "Revisiting Deep Learning Models for Tabular Data", section 3.2."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from pipeline.core.contracts import TableInputs
from pipeline.models.cnn import Residual
from pipeline.models.dropout import ByteDropout
from pipeline.models.network import Network, tokens_of
from pipeline.models.table_stem import Embedding, TableStem


@dataclass(frozen=True, kw_only=True, slots=True)
class TableResnetArchitecture:
    """`depth` blocks of `width`, `hidden` times as wide inside."""

    kind: Literal["table_resnet"] = "table_resnet"
    width: int = 192
    depth: int = 2
    hidden: int = 2
    dropout: float = 0.2
    """Inside a block; half of it before the head."""
    token: int = 16
    """Size of a column's token."""
    embedding: Embedding = "ple"
    sigma: float = 1.0
    """periodic: deviation of the frequencies at the start."""

    def __post_init__(self) -> None:
        """Refuse what has no blocks."""
        if min(self.width, self.depth, self.hidden, self.token) < 1 or not 0 <= self.dropout < 1:
            raise ValueError("width, depth, hidden and token must be at least 1, dropout in [0, 1)")
        if self.sigma <= 0:
            raise ValueError(f"sigma {self.sigma} is not positive")


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that takes its running statistics for a batch of one, which has no deviation."""

    def forward(self, x_BD: Tensor) -> Tensor:
        """Return (B, D)."""
        if self.training and len(x_BD) > 1:
            return super().forward(x_BD)
        return nn.functional.batch_norm(x_BD, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def build(architecture: TableResnetArchitecture, inputs: TableInputs, outputs: int) -> Network:
    """Return the network with K = `outputs` numbers."""
    a = architecture
    stem = TableStem(inputs, a.token, rectified=True, embedding=a.embedding, sigma=a.sigma)
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(tokens_of(inputs) * a.token, a.width)]
    for _ in range(a.depth):
        inside = [nn.Linear(a.width, a.hidden * a.width), nn.ReLU(), ByteDropout(a.dropout)]
        layers.append(Residual(nn.Sequential(BatchNorm(a.width), *inside, nn.Linear(a.hidden * a.width, a.width))))
    trunk = nn.Sequential(*layers, BatchNorm(a.width), nn.ReLU())
    return Network(stem, trunk, a.width, outputs, a.dropout / 2)
