"""Texts and series as sequences: stems that give (B, T, D + 1), the last place telling real steps (1) from padding (0).

The mask travels with the tokens, so that a trunk needs nothing but its stem's output and attributions can be taken
there. Legend: B rows, L words, C channels, T steps, D token width.
"""

import torch
from torch import Tensor, nn

from pipeline.core.contracts import SeriesInputs, TextInputs


class TextStem(nn.Module):
    """Word numbers (B, L) to embedded words (B, L, D + 1). While training, padding common to a batch is cut off."""

    def __init__(self, inputs: TextInputs, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(inputs.vocabulary) + 2, width, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[0].zero_()

    def forward(self, x_BL: Tensor) -> Tensor:
        """Return the tokens and their mask."""
        assert x_BL.ndim == 2
        mask_BL = x_BL > 0
        if self.training:
            longest = max(1, int(mask_BL.any(0).sum()))
            x_BL, mask_BL = x_BL[:, :longest], mask_BL[:, :longest]
        return with_mask(self.embedding(x_BL.long()), mask_BL)


class SeriesStem(nn.Module):
    """Series (B, C, T) to standardised steps (B, T, C + 1); what is missing inside becomes the training mean."""

    mean: Tensor
    std: Tensor

    def __init__(self, inputs: SeriesInputs) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(inputs.mean).view(1, -1, 1))
        self.register_buffer("std", torch.tensor(inputs.std).view(1, -1, 1))

    def forward(self, x_BCT: Tensor) -> Tensor:
        """Return the steps and their mask."""
        assert x_BCT.ndim == 3
        known = ~x_BCT.isnan()
        x_BCT = torch.where(known, (torch.where(known, x_BCT, 0.0) - self.mean) / self.std, 0.0)
        return with_mask(x_BCT.transpose(1, 2), known.any(1))


def with_mask(x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """Append the mask; a row without any step keeps its first one, so that nothing divides by zero."""
    first = torch.zeros_like(mask_BT)
    first[:, 0] = True
    mask_BT = mask_BT | (first & ~mask_BT.any(1, keepdim=True))
    return torch.cat([x_BTD, mask_BT[:, :, None].to(x_BTD.dtype)], dim=2)


def split_mask(x_BTE: Tensor) -> tuple[Tensor, Tensor]:
    """Return tokens (B, T, D) and mask (B, T) of a stem's output."""
    return x_BTE[:, :, :-1], x_BTE[:, :, -1]


def pooled(x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """Return mean and maximum over real steps, (B, 2 · D)."""
    mask_BT1 = mask_BT[:, :, None]
    mean = (x_BTD * mask_BT1).sum(1) / mask_BT1.sum(1).clamp(min=1e-6)
    largest = x_BTD.masked_fill(mask_BT1 < 0.5, torch.finfo(x_BTD.dtype).min).amax(1)
    return torch.cat([mean, largest], dim=1)
