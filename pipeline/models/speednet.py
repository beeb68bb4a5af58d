"""The plain fast net of speed records: whitened patches, stages of two 3 × 3 convolutions, global maximum.

After Jordan 2024, "94 % on CIFAR-10 in 3.29 seconds" (airbench): a fixed convolution that whitens patches, filters that
start as the identity, no residual connections up to two convolutions per stage.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.core.contracts import ImageInputs, Inputs
from pipeline.models.blocks import Residual, conv, halvings, shortest_side, stem_stride
from pipeline.models.network import ImageStem, Network, TrainingRows, network_for, stem_for
from pipeline.models.once import once

_SMALLEST_POOLED_SIDE = 6
_PATCH = 2
_MOST_IMAGES = 5_000
_MOST_PIXELS = 5_120_000
_FLOOR = 5e-4
"""Added to the patches' variances, as in airbench: about that of rounding to grey levels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeednetArchitecture:
    """Stages have `width`, `growth` times that, and from the third on twice the second."""

    kind: Literal["speednet"] = "speednet"
    width: int = 32
    growth: int = 2
    stages: int = 0
    """0: as many as halvings until the side is below 6, two at least. Beyond that stages no longer pool."""
    depth: int = 2
    """Convolutions per stage; from the third on with a residual connection."""
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Sizes are positive."""
        if min(self.width, self.growth, self.depth) < 1 or self.stages < 0 or not 0 <= self.dropout < 1:
            raise ValueError("width, growth and depth must be at least 1, stages not negative, dropout in [0, 1)")

    def widths(self, side: int) -> tuple[int, ...]:
        """Channels of each stage over a map of `side`."""
        second = self.width * self.growth
        stages = self.stages or max(2, halvings(side, _SMALLEST_POOLED_SIDE))
        return (self.width, second, *[2 * second] * (stages - 2))[:stages]


class Whitening(nn.Module):
    """Normalised images (B, C, H, W) to decorrelated 2 × 2 patches of unit variance and their negatives, activated.

    The filters are eigenvectors of the training patches' covariance, divided by their deviations. They are not trained,
    only the biases are. Before `start_from` they are the Hadamard basis of each channel's patch.
    """

    filters: Tensor

    def __init__(self, inputs: ImageInputs) -> None:
        super().__init__()
        self.stride = stem_stride(inputs)
        self.inputs = inputs
        kernel = min(_PATCH, shortest_side(inputs))
        signs = torch.tensor([[1.0]] if kernel == 1 else [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
        basis = torch.kron(torch.eye(inputs.channels), signs / kernel)
        self.register_buffer("filters", both_signs(basis, (inputs.channels, kernel, kernel)))
        self.bias = nn.Parameter(torch.zeros(len(self.filters)))

    @property
    def outputs(self) -> int:
        """Channels it gives: 2 · C · 2 · 2."""
        return len(self.filters)

    def start_from(self, rows: TrainingRows, seed: int) -> None:
        """Take the filters from up to 5,000 training images, fewer if they are large."""
        shape = self.filters.shape[1:]
        kernel = shape[1]
        covariance = once(rows, ("patches", kernel, seed), lambda: patch_covariance(rows, seed, self.inputs, kernel))
        variances, vectors = torch.linalg.eigh(covariance)
        basis = (vectors / (variances.clamp(min=0) + _FLOOR).sqrt()).T.flip(0)
        self.filters.copy_(both_signs(basis, shape))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return (B, 2 · C · 4, …), one pixel smaller per side.

        In 32 bits whatever follows: of neighbours that are nearly alike, 16 bits lose what whitening magnifies.
        """
        device = x_BCHW.device.type
        if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
            return self._whitened(x_BCHW)
        with torch.autocast(device, enabled=False):
            return self._whitened(x_BCHW.float())

    def _whitened(self, x_BCHW: Tensor) -> Tensor:
        return nn.functional.silu(nn.functional.conv2d(x_BCHW, self.filters, self.bias, self.stride))


def both_signs(basis: Tensor, shape: Sequence[int]) -> Tensor:
    """Return filters (2 · F, *shape) of a basis (F, C · k · k) and its negative."""
    filters = basis.reshape(-1, *shape)
    return torch.cat([filters, -filters])


def patch_covariance(rows: TrainingRows, seed: int, inputs: ImageInputs, kernel: int) -> Tensor:
    """Return the covariance (F, F) of patches of normalised images, F = C · k · k, in double precision on the CPU."""
    stem = ImageStem(inputs).to(rows.take(torch.zeros(1, dtype=torch.long))[0].device)
    pixels, features = inputs.height * inputs.width, inputs.channels * kernel * kernel
    most = min(_MOST_IMAGES, max(16, _MOST_PIXELS // pixels))
    picked = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:most]
    total = torch.zeros(features, dtype=torch.double)
    squares = torch.zeros(features, features, dtype=torch.double)
    count = 0
    for at in torch.split(picked, max(1, _MOST_PIXELS // (50 * pixels))):
        x_BCHW, _ = rows.take(at)
        patches = nn.functional.unfold(stem(x_BCHW.float() / 255), kernel).transpose(0, 1).flatten(1)
        total += patches.sum(1).cpu()
        squares += (patches @ patches.T).cpu()
        count += patches.shape[1]
    mean = total / count
    return squares / count - torch.outer(mean, mean)


def build(architecture: SpeednetArchitecture, inputs: Inputs, outputs: int) -> Network:
    """Return the network with K = `outputs` numbers."""
    assert isinstance(inputs, ImageInputs)
    whitening = Whitening(inputs)
    side = (shortest_side(inputs) - 1) // whitening.stride + (1 if whitening.stride > 1 else 0)
    widths = architecture.widths(side)
    layers: list[nn.Module] = [whitening]
    channels = whitening.outputs
    for width in widths:
        pool = nn.MaxPool2d(2) if side >= _SMALLEST_POOLED_SIDE else nn.Identity()
        side = side // 2 if side >= _SMALLEST_POOLED_SIDE else side
        layers += [identity_conv(channels, width), pool, nn.BatchNorm2d(width), nn.SiLU()]
        for place in range(1, architecture.depth):
            more = nn.Sequential(identity_conv(width, width), nn.BatchNorm2d(width), nn.SiLU())
            layers.append(Residual(more) if place > 1 else more)
        channels = width
    trunk = nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten())
    return network_for(inputs, stem_for(inputs, channels), trunk, channels, outputs, architecture.dropout)


def identity_conv(channels: int, width: int) -> nn.Conv2d:
    """Return a 3 × 3 convolution whose first filters hand their channel on; the others are drawn as usual."""
    layer = conv(channels, width, 3)
    with torch.no_grad():
        nn.init.dirac_(layer.weight[:channels])
    return layer
