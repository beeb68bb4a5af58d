"""Texts and series as sequences: stems that give (B, T, D + 1), the last place telling real steps (1) from padding (0).

The mask travels with the tokens, so that a trunk needs nothing but its stem's output and attributions can be taken
there. Legend: B rows, L words, C channels, T steps, D token width.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pipeline.core.contracts import ForecastInputs, SeriesInputs, TextInputs
from pipeline.models.word_vectors import training_texts, word_vectors

if TYPE_CHECKING:
    from pipeline.models.network import TrainingRows

_MOST_TOKENS = 48


class TextStem(nn.Module):
    """Word numbers (B, L) to embedded words (B, L, D + 1). While training, padding common to a batch is cut off.

    Where the inputs say so, a word's vector is the sum of its own and that of the pair it makes with the word before.
    With `wide`, what each word adds to the K logits stands behind its vector: (B, L, D + K + 1).
    """

    def __init__(self, inputs: TextInputs, width: int, *, vectors: bool = True, wide: nn.Module | None = None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(inputs.vocabulary) + 2, width, padding_idx=0, sparse=True)
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[0].zero_()
        self.pairs = nn.Embedding(inputs.pairs, width, sparse=True) if inputs.pairs else None
        if self.pairs is not None:
            nn.init.zeros_(self.pairs.weight)
        self.vectors = vectors
        self.wide = wide

    @torch.no_grad()
    def start_from(self, rows: "TrainingRows", seed: int) -> None:
        """Take over what the training texts say of each word; words they do not speak of keep their random vector."""
        if self.vectors:
            table = self.embedding.weight
            words, width = table.shape
            found = torch.from_numpy(word_vectors(training_texts(rows, seed), words, width, seed)).to(table)
            table.copy_(torch.where(found == 0, table, found))

    def forward(self, x_BL: Tensor) -> Tensor:
        """Return the tokens and their mask."""
        assert x_BL.ndim == 2
        mask_BL = x_BL > 0
        if self.training:
            longest = max(1, int(mask_BL.any(0).sum()))
            x_BL, mask_BL = x_BL[:, :longest], mask_BL[:, :longest]
        x_BL = x_BL.long()
        words_U, at_BL = torch.unique(x_BL, return_inverse=True)
        # Every word's vector is looked up once: the gradient has a row per word, not per place.
        x_BLD = nn.functional.embedding(at_BL, self.embedding(words_U))
        if self.pairs is not None:
            both_BL1 = (mask_BL[:, 1:] & mask_BL[:, :-1])[:, :, None]
            pairs_BLD = self.pairs(hashed_pairs(x_BL, self.pairs.num_embeddings)) * both_BL1
            x_BLD = x_BLD + nn.functional.pad(pairs_BLD, (0, 0, 1, 0))
        if self.wide is not None:
            x_BLD = torch.cat([x_BLD, self.wide(x_BL, words_U, at_BL)], dim=2)
        return with_mask(x_BLD, mask_BL)


def hashed_pairs(x_BL: Tensor, buckets: int) -> Tensor:
    """Return a bucket for each word and the one before it, (B, L - 1): hashed n-grams (Joulin et al. 2017)."""
    first, second = x_BL[:, :-1].long(), x_BL[:, 1:].long()
    return (first * 1_000_003 + second * 998_244_353).remainder(2_147_483_647).remainder(buckets)


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


class ForecastStem(nn.Module):
    """Windows (B, C, T), in training deviations already, to steps (B, T, C + 1).

    What is unknown is the last known value before it, or 0.
    """

    def forward(self, x_BCT: Tensor) -> Tensor:
        """Return the steps and their mask."""
        assert x_BCT.ndim == 3
        known = ~x_BCT.isnan()
        steps = torch.arange(x_BCT.shape[2], device=x_BCT.device)
        latest = torch.where(known, steps, 0).cummax(dim=2).values
        x_BCT = torch.where(known, x_BCT, 0.0).gather(2, latest)
        return with_mask(x_BCT.transpose(1, 2), known.any(1))


def steps_per_token(inputs: ForecastInputs) -> int:
    """Return how many neighbouring steps make one token, so that a window has at most 48."""
    return -(-inputs.length // _MOST_TOKENS)


class ForecastTrunk(nn.Module):
    """A trunk that sees each window relative to its last value, beside a linear map of the same.

    Subtracting the last value and adding it to the forecast makes a linear map as good as much larger networks on the
    usual long-horizon sets (NLinear, Zeng et al. 2023). The linear map is shared by all target channels; the trunk gets
    neighbouring steps joined to tokens (PatchTST, Nie et al. 2023). Returns (B, features + H · N): the trunk's
    features, and last value plus linear part of H steps of N targets.
    """

    def __init__(self, trunk: nn.Module, inputs: ForecastInputs) -> None:
        super().__init__()
        self.trunk = trunk
        self.past = len(inputs.channels) - inputs.known
        self.targets, self.window = inputs.targets, inputs.window
        self.patch = steps_per_token(inputs)
        self.linear = nn.Linear(inputs.window, inputs.horizon)
        with torch.no_grad():
            self.linear.weight.zero_()
            self.linear.bias.zero_()

    def forward(self, x_BTE: Tensor) -> Tensor:
        """Return features and the simple forecast beside them."""
        x_BTC, mask_BT = split_mask(x_BTE)
        last_B1P = x_BTC[:, self.window - 1 : self.window, : self.past]
        shift_B1C = nn.functional.pad(last_B1P, (0, x_BTC.shape[2] - self.past))
        seen_BT1 = mask_BT[:, :, None]
        x_BTC = (x_BTC - shift_B1C) * seen_BT1
        simple_BNH = self.linear(x_BTC[:, : self.window, : self.targets].transpose(1, 2))
        simple_BHN = simple_BNH.transpose(1, 2) + last_B1P[:, :, : self.targets]
        whole_BTE = nn.functional.pad(torch.cat([x_BTC, seen_BT1], dim=2), (0, 0, -x_BTC.shape[1] % self.patch, 0))
        tokens_BNPE = whole_BTE.view(len(whole_BTE), -1, self.patch, whole_BTE.shape[2])
        mask_BN1 = tokens_BNPE[:, :, :, -1].amax(2, keepdim=True)
        features: Tensor = self.trunk(torch.cat([tokens_BNPE[:, :, :, :-1].flatten(2), mask_BN1], dim=2))
        return torch.cat([features, simple_BHN.flatten(1)], dim=1)


class ForecastHead(nn.Module):
    """Features and simple forecast (B, F + K) to forecasts (B, K): a linear map of the features, added."""

    def __init__(self, features: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.features = features
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features, outputs)
        with torch.no_grad():
            self.linear.weight.mul_(0.1)
            self.linear.bias.zero_()

    def forward(self, x_BF: Tensor) -> Tensor:
        """Return the sum."""
        out: Tensor = self.linear(self.dropout(x_BF[:, : self.features])) + x_BF[:, self.features :]
        return out


def with_mask(x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """Append the mask; a row without any step keeps its first one, so that nothing divides by zero."""
    first = torch.zeros_like(mask_BT)
    first[:, 0] = True
    mask_BT = mask_BT | (first & ~mask_BT.any(1, keepdim=True))
    return torch.cat([x_BTD, mask_BT[:, :, None].to(x_BTD.dtype)], dim=2)


def split_mask(x_BTE: Tensor) -> tuple[Tensor, Tensor]:
    """Return tokens (B, T, D) and mask (B, T) of a stem's output; nothing is learnt through the mask."""
    return x_BTE[:, :, :-1], x_BTE[:, :, -1].detach()


def pooled(x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """Return mean and maximum over real steps, (B, 2 · D)."""
    share_B1T = (mask_BT / mask_BT.sum(1, keepdim=True).clamp(min=1e-6))[:, None]
    beyond_BT1 = mask_BT[:, :, None] < 0.5
    largest = x_BTD.masked_fill(beyond_BT1, torch.finfo(x_BTD.dtype).min).max(1).values
    return torch.cat([torch.bmm(share_B1T, x_BTD)[:, 0], largest], dim=1)
