"""TabM-mini: one perceptron that is k at once, which differ in how they scale the tokens and in their heads.

Gorishniy et al. 2024, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling", section 3.3. Each
member is trained on its own loss; their mean predicts. Legend: M members, F features, K outputs.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.core.contracts import TableInputs
from pipeline.models.dropout import ByteDropout
from pipeline.models.mlp import Auto, check_sizes, perceptron, sizes_for
from pipeline.models.network import Network, tokens_of
from pipeline.models.table_stem import Embedding, TableStem


@dataclass(frozen=True, kw_only=True, slots=True)
class TabmArchitecture:
    """As MlpArchitecture, `members` times; a step takes about that many times as long."""

    kind: Literal["tabm"] = "tabm"
    members: int = 8
    width: int | Auto = "auto"
    depth: int | Auto = "auto"
    dropout: float | Auto = "auto"
    token: int = 16
    embedding: Embedding = "ple"
    sigma: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what has no members or layers."""
        check_sizes(self.width, self.depth, self.dropout, self.token)
        if self.members < 1 or self.sigma <= 0:
            raise ValueError("members must be at least 1 and sigma positive")


class Members(nn.Module):
    """Tokens (B, T, D) to (B, M, T · D): each member scales a column's token in its own way.

    A column starts with one random factor per member, so that the members begin with different views of the columns.
    The paper draws factors around 0; around 1 no member begins blind to a column, and few epochs end lower.
    """

    def __init__(self, members: int, tokens: int, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter((1 + 0.5 * torch.randn(members, tokens, 1)).repeat(1, 1, width))

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return the members' inputs."""
        return (x_BTD[:, None] * self.scale).flatten(2)


class MemberHeads(nn.Module):
    """A linear head per member, (B, M, F) to (B, M, K)."""

    def __init__(self, members: int, features: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter((torch.rand(members, features, outputs) * 2 - 1) * features**-0.5)
        self.bias = nn.Parameter((torch.rand(members, outputs) * 2 - 1) * features**-0.5)

    def forward(self, x_BMF: Tensor) -> Tensor:
        """Return the members' outputs."""
        return torch.einsum("bmf,mfk->bmk", x_BMF, self.weight) + self.bias


def build(architecture: TabmArchitecture, inputs: TableInputs, outputs: int) -> Network:
    """Return the network with K = `outputs` numbers."""
    a = architecture
    sizes = sizes_for(a.width, a.depth, a.dropout, inputs, outputs)
    stem = TableStem(inputs, a.token, rectified=True, embedding=a.embedding, sigma=a.sigma)
    members = Members(a.members, tokens_of(inputs), a.token)
    trunk = nn.Sequential(members, *perceptron(tokens_of(inputs) * a.token, sizes))
    network = Network(stem, trunk, sizes.width, outputs, sizes.dropout)
    network.head = nn.Sequential(ByteDropout(sizes.dropout), MemberHeads(a.members, sizes.width, outputs))
    return network
