"""What all families share: a stem that reads the inputs, a trunk of the family's own, a linear head.

Legend: B rows, C channels, H height, W width, T tokens, D token width, K classes, P packed places of a table.
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from pipeline.core.contracts import ForecastInputs, ImageInputs, Inputs, SeriesInputs, TableInputs, TextInputs
from pipeline.models.dropout import ByteDropout
from pipeline.models.sequence import ForecastHead, ForecastStem, ForecastTrunk, SeriesStem, TextStem, steps_per_token
from pipeline.models.table_stem import TableStem


class TrainingRows(Protocol):
    """Rows of the training split, on the device of the network."""

    @property
    def weight(self) -> Tensor | None:
        """How much each row counts (N,), 1 on average; none where all count the same."""

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
        self.head: nn.Module = nn.Sequential(ByteDropout(dropout), nn.Linear(features, outputs))
        self.register_buffer("temperature", torch.ones(()))

    @torch.no_grad()
    def start_from(self, rows: TrainingRows, seed: int) -> None:
        """Let every part that wants to look at the training split before the first step do so."""
        for part in self.modules():
            if part is not self and isinstance(part, StartsFromData):
                part.start_from(rows, seed)

    def members(self, x: Tensor) -> Tensor:
        """Return the outputs of each of the networks that this one is at once, (B, M, K); M is 1 for most.

        Training minimises the mean of the members' losses, not the loss of their mean.
        """
        out: Tensor = self.head(self.trunk(self.stem(x))) / self.temperature
        return out if out.ndim == 3 else out[:, None]

    def forward(self, x: Tensor) -> Tensor:
        """Return logits or values (B, K), the mean of the members'."""
        return self.members(x).mean(1)


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
    channels_last: bool = True
    """How images lie in memory, which convolutions hand on. On most CPUs this is the faster way."""

    def __init__(self, inputs: ImageInputs) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(inputs.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(inputs.std).view(1, -1, 1, 1))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return images of about zero mean and unit deviation, same shape."""
        assert x_BCHW.ndim == 4
        x_BCHW = (x_BCHW - self.mean) / self.std
        B, C, H, W = x_BCHW.shape
        if C == 1:  # torch takes one channel for both layouts at once, and convolutions guess from the strides
            grey_BHW = x_BCHW.reshape(B, H, W)
            return grey_BHW[..., None].permute(0, 3, 1, 2) if self.channels_last else grey_BHW[:, None]
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return x_BCHW.contiguous(memory_format=layout)


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
