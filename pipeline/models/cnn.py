"""Convolutions: 3 × 3 stages with pooling for images; over the columns' tokens, without pooling, for tables.

Images follow the plain fast nets of speed records (conv, pool, norm, activation, conv, …; global max-pool). For tables
every column keeps its place: the last tokens are flattened, not pooled.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from pipeline.core.contracts import ImageInputs, Inputs
from pipeline.models.network import Network, stem_for, tokens_of

_SMALLEST_POOLED_SIDE = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class CnnArchitecture:
    """Width doubles from stage to stage up to four times the first."""

    kind: Literal["cnn"] = "cnn"
    width: int
    stages: int = 2
    depth: int = 2
    """Convolutions per stage; all but the first have a residual connection."""
    kernel: int = 3
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Odd kernels keep the size."""
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is not odd")
        if min(self.width, self.stages, self.depth, self.kernel) < 1 or not 0 <= self.dropout < 1:
            raise ValueError("width, stages, depth and kernel must be at least 1, dropout in [0, 1)")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each stage."""
        return tuple(self.width * 2 ** min(stage, 2) for stage in range(self.stages))


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus its transformation, same shape."""
        out: Tensor = x + self.body(x)
        return out


def build(architecture: CnnArchitecture, inputs: Inputs, outputs: int) -> Network:
    """Return the network for images or tables with K = `outputs` classes."""
    stem = stem_for(inputs, architecture.width)
    if isinstance(inputs, ImageInputs):
        trunk, features = _image_trunk(architecture, inputs), architecture.widths[-1]
    else:
        trunk, features = _table_trunk(architecture), architecture.widths[-1] * tokens_of(inputs)
    return Network(stem, trunk, features, outputs, architecture.dropout)


def _image_trunk(a: CnnArchitecture, inputs: ImageInputs) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels, side = inputs.channels, min(inputs.height, inputs.width)
    for width in a.widths:
        layers.append(nn.Conv2d(channels, width, a.kernel, padding=a.kernel // 2, bias=False))
        if side >= _SMALLEST_POOLED_SIDE:
            layers.append(nn.MaxPool2d(2))
            side //= 2
        layers += [nn.BatchNorm2d(width), nn.SiLU()]
        for _ in range(a.depth - 1):
            conv = nn.Conv2d(width, width, a.kernel, padding=a.kernel // 2, bias=False)
            layers.append(Residual(nn.Sequential(conv, nn.BatchNorm2d(width), nn.SiLU())))
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten())


def _table_trunk(a: CnnArchitecture) -> nn.Sequential:
    layers: list[nn.Module] = [Transposed()]
    channels = a.width
    for width in a.widths:
        layers += [nn.Conv1d(channels, width, a.kernel, padding=a.kernel // 2), nn.GroupNorm(1, width), nn.SiLU()]
        for _ in range(a.depth - 1):
            conv = nn.Conv1d(width, width, a.kernel, padding=a.kernel // 2)
            layers.append(Residual(nn.Sequential(conv, nn.GroupNorm(1, width), nn.SiLU(), nn.Dropout(a.dropout))))
        channels = width
    return nn.Sequential(*layers, nn.Flatten())


class Transposed(nn.Module):
    """(B, T, D) to (B, D, T)."""

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Swap tokens and channels."""
        return x_BTD.transpose(1, 2)
