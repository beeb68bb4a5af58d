"""What all families share: a stem that reads the inputs, a trunk of the family's own, a linear head.

Legend: B rows, C channels, H height, W width, T tokens, D token width, K classes, P packed places of a table.
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from pipeline.core.contracts import ForecastInputs, ImageInputs, Inputs, SeriesInputs, TableInputs, TextInputs
from pipeline.models.sequence import ForecastHead, ForecastStem, ForecastTrunk, SeriesStem, TextStem, steps_per_token


class TrainingRows(Protocol):
    """Rows of the training split, on the device of the network."""

    def __len__(self) -> int:
        """N."""

    def take(self, at: Tensor) -> tuple[Tensor, Tensor]:
        """Return x (B, …) as packed and y of some rows."""


@runtime_checkable
class StartsFromData(Protocol):
    """A module some of whose weights or buffers are fitted to the training split before the first step."""

    def start_from(self, rows: TrainingRows, seed: int) -> None:
        """Set them. Reads training rows alone; the same rows and seed give the same values."""


class Network(nn.Module):
    """stem → trunk → head; packed inputs of any modality to logits or values in training deviations (B, K).

    `temperature` divides logits; it is 1 while training and set on the validation rows afterwards, and stays 1 for
    values.
    """

    temperature: Tensor

    def __init__(self, stem: nn.Module, trunk: nn.Module, features: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.stem = stem
        self.trunk = trunk
        self.head: nn.Module = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, outputs))
        self.register_buffer("temperature", torch.ones(()))

    @torch.no_grad()
    def start_from(self, rows: TrainingRows, seed: int) -> None:
        """Let every part that wants to look at the training split before the first step do so."""
        for part in self.modules():
            if part is not self and isinstance(part, StartsFromData):
                part.start_from(rows, seed)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits or values (B, K)."""
        out_BK: Tensor = self.head(self.trunk(self.stem(x))) / self.temperature
        return out_BK


def network_for(
    inputs: Inputs, stem: nn.Module, trunk: nn.Module, features: int, outputs: int, dropout: float
) -> Network:
    """Return the network of a family's trunk; forecasts get the simple forecast beside it."""
    if not isinstance(inputs, ForecastInputs):
        return Network(stem, trunk, features, outputs, dropout)
    network = Network(stem, ForecastTrunk(trunk, inputs), features, outputs, dropout)
    network.head = ForecastHead(features, outputs, dropout)
    return network


class ImageStem(nn.Module):
    """Normalise each channel by the training split's mean and deviation; no weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, inputs: ImageInputs) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(inputs.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(inputs.std).view(1, -1, 1, 1))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return images of about zero mean and unit deviation, same shape.

        They lie channels last in memory, and convolutions hand that on: 1.5 times the images per second of fp32
        training on a CPU.
        """
        assert x_BCHW.ndim == 4
        return ((x_BCHW - self.mean) / self.std).contiguous(memory_format=torch.channels_last)


class TableStem(nn.Module):
    """One token per column: piecewise-linear encoding of numbers, embeddings of categories.

    Piecewise-linear encoding: Gorishniy et al. 2022, "On Embeddings for Numerical Features", section 3.2. All number
    columns go through one einsum: shorter columns are padded with empty bins.
    """

    low: Tensor
    width: Tensor
    numbers: Tensor
    flags: Tensor
    categories: Tensor
    offsets: Tensor
    order: Tensor

    def __init__(self, inputs: TableInputs, width: int) -> None:
        super().__init__()
        numeric = [(i, c) for i, c in enumerate(inputs.columns) if c.kind == "numeric"]
        categorical = [(i, c) for i, c in enumerate(inputs.columns) if c.kind == "categorical"]
        bins = max((len(c.edges) - 1 for _, c in numeric), default=1)
        low, span = torch.zeros(len(numeric), bins), torch.full((len(numeric), bins), torch.inf)
        for row, (_, column) in enumerate(numeric):
            edges = torch.tensor(column.edges)
            low[row, : len(edges) - 1], span[row, : len(edges) - 1] = edges[:-1], edges.diff()
        flagged = [row for row, (_, c) in enumerate(numeric) if c.missing]
        flag_places = torch.full((len(numeric),), -1)
        flag_places[flagged] = torch.arange(len(flagged)) + len(inputs.columns)
        sizes = [len(c.categories) + 1 for _, c in categorical]
        self.register_buffer("low", low)
        self.register_buffer("width", span)
        self.register_buffer("numbers", torch.tensor([i for i, _ in numeric], dtype=torch.long))
        self.register_buffer("flags", flag_places)
        self.register_buffer("categories", torch.tensor([i for i, _ in categorical], dtype=torch.long))
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.long))
        places = torch.tensor([i for i, _ in numeric] + [i for i, _ in categorical])
        self.register_buffer("order", places.argsort())
        scale = width**-0.5
        if numeric:
            self.weight = nn.Parameter(torch.randn(len(numeric), bins, width) * scale)
            self.bias = nn.Parameter(torch.randn(len(numeric), width) * scale)
        if flagged:
            self.missing = nn.Parameter(torch.randn(len(numeric), width) * scale)
        if categorical:
            self.embedding = nn.Embedding(sum(sizes), width)
            nn.init.normal_(self.embedding.weight, std=scale)

    def forward(self, x_BP: Tensor) -> Tensor:
        """Return tokens (B, T, D), T in the order of the columns."""
        assert x_BP.ndim == 2
        tokens = []
        if len(self.numbers):
            x_BN = x_BP[:, self.numbers]
            encoded = ((x_BN[:, :, None] - self.low) / self.width).clamp(0, 1)
            number_BND = torch.einsum("bnq,nqd->bnd", encoded, self.weight) + self.bias
            if hasattr(self, "missing"):
                gone_BN = torch.where(self.flags >= 0, x_BP[:, self.flags.clamp(min=0)], 0.0)
                number_BND = number_BND + gone_BN[:, :, None] * self.missing
            tokens.append(number_BND)
        if len(self.categories):
            tokens.append(self.embedding(x_BP[:, self.categories].long() + self.offsets))
        return torch.cat(tokens, dim=1)[:, self.order]


def tokens_of(inputs: TableInputs) -> int:
    """T: one token per column."""
    return len(inputs.columns)


def series_size(inputs: SeriesInputs | ForecastInputs) -> tuple[int, int]:
    """Return (C, T) as trunks see them: channels and steps, of forecasts neighbouring steps joined to tokens."""
    if isinstance(inputs, SeriesInputs):
        return len(inputs.channels), inputs.length
    patch = steps_per_token(inputs)
    return len(inputs.channels) * patch, -(-inputs.length // patch)


def parameter_count(network: nn.Module) -> int:
    """Return the number of trainable weights."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def stem_for(inputs: Inputs, width: int) -> nn.Module:
    """Return the stem of the modality; `width` is D, used by tables and texts."""
    match inputs:
        case ImageInputs():
            return ImageStem(inputs)
        case TableInputs():
            return TableStem(inputs, width)
        case TextInputs():
            return TextStem(inputs, width)
        case SeriesInputs():
            return SeriesStem(inputs)
        case ForecastInputs():
            return ForecastStem()
