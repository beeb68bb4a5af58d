"""Changes of training rows that keep their meaning, on the device: drawn from (seed, epoch), never stored."""

import torch
from torch import Tensor

from pipeline.core.contracts import ForecastInputs, ImageInputs, Inputs, Optimizer, SeriesInputs, TextInputs
from pipeline.core.errors import SpaceError

_UNKNOWN = 1
"""The number of a word that is not in the vocabulary."""
_READ_BY: dict[str, tuple[type[Inputs], ...]] = {
    "shift": (ImageInputs,),
    "flip": (ImageInputs,),
    "cutout": (ImageInputs,),
    "mixup": (ImageInputs, SeriesInputs),
    "word_dropout": (TextInputs,),
    "jitter": (SeriesInputs,),
}


def check_changes(optimizer: Optimizer, inputs: Inputs) -> None:
    """Refuse changes that mean nothing for this kind of data: a setting without effect would be searched in vain."""
    for name, kinds in _READ_BY.items():
        if getattr(optimizer, name) and not isinstance(inputs, kinds):
            raise SpaceError(f"space.optimizer.{name}: means nothing for data of kind {inputs.kind}",
                             fix=f"space.optimizer.{name}=0")  # fmt: skip


def changed(x: Tensor, at: Tensor, epoch: int, optimizer: Optimizer, inputs: Inputs, rng: torch.Generator) -> Tensor:
    """Return packed rows x (B, …), numbered `at` (B,) in the training split, as this epoch shows them."""
    match inputs:
        case ImageInputs():
            x = shifted(x, optimizer.shift, rng) if optimizer.shift else x
            x = mirrored(x, at, epoch) if optimizer.flip else x
            x = cut_out(x, optimizer.cutout, inputs, rng) if optimizer.cutout else x
        case TextInputs() if optimizer.word_dropout:
            hidden = torch.rand(x.shape, generator=rng).to(x.device) < optimizer.word_dropout
            x = torch.where(hidden & (x > 0), _UNKNOWN, x)
        case SeriesInputs() if optimizer.jitter:
            std = torch.tensor(inputs.std, device=x.device)[:, None]
            x = x + optimizer.jitter * std * torch.randn(x.shape, generator=rng).to(x.device)
        case ForecastInputs() | _:
            pass
    return x


def shifted(x_BCHW: Tensor, most: int, rng: torch.Generator) -> Tensor:
    """Shift each image by up to `most` pixels; edges are repeated."""
    B, _, H, W = x_BCHW.shape
    device = x_BCHW.device
    move = torch.randint(-most, most + 1, (2, B, 1), generator=rng).to(device)
    down = (torch.arange(H, device=device) + move[0]).clamp(0, H - 1)
    along = (torch.arange(W, device=device) + move[1]).clamp(0, W - 1)
    rows = torch.arange(B, device=device)[:, None, None]
    return x_BCHW[rows, :, down[:, :, None], along[:, None, :]].permute(0, 3, 1, 2)


def mirrored(x_BCHW: Tensor, at: Tensor, epoch: int) -> Tensor:
    """Mirror a fixed half of the images in even epochs, the other half in odd ones (Jordan 2024, "airbench")."""
    half = (at.to(x_BCHW.device) * 2_654_435_761 // 65_536 + epoch) % 2 == 0
    return torch.where(half[:, None, None, None], x_BCHW.flip(-1), x_BCHW)


def cut_out(x_BCHW: Tensor, side: int, inputs: ImageInputs, rng: torch.Generator) -> Tensor:
    """Paint a square of each image in the mean colour (DeVries and Taylor 2017)."""
    B, _, H, W = x_BCHW.shape
    top = torch.randint(1 - side, H, (B, 1), generator=rng)
    left = torch.randint(1 - side, W, (B, 1), generator=rng)
    inside = [(torch.arange(n) >= start) & (torch.arange(n) < start + side) for n, start in ((H, top), (W, left))]
    square = (inside[0][:, :, None] & inside[1][:, None, :])[:, None].to(x_BCHW.device)
    mean = (torch.tensor(inputs.mean) * 255).round().to(x_BCHW)[:, None, None]
    return torch.where(square, mean, x_BCHW)
