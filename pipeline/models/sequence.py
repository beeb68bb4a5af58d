"""Texts and series as sequences: stems that give (B, T, D + 1), the last place telling real steps (1) from padding (0).

The mask travels with the tokens, so that a trunk needs nothing but its stem's output and attributions can be taken
there. Legend: B rows, L words, C channels, T steps, D token width.
"""

import functools
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from pipeline.core.contracts import ForecastInputs, SeriesInputs, TextInputs
from pipeline.models.once import once
from pipeline.models.ridge import Sums, solved, squared_error, sums, together
from pipeline.models.word_vectors import vectors_from

if TYPE_CHECKING:
    from pipeline.models.network import TrainingRows

_MOST_TOKENS = 48
_PENALTIES = tuple(10.0 ** (power / 2) for power in range(-2, 13))
"""Tried for the linear map of forecasts, which are in training deviations: 0.1 to a million."""
_MOST_PRODUCTS = 3e10
"""Of the inner products the linear map is solved from: some seconds of one core."""
_LEAST_WINDOWS = 2000
_PART = 256
_ROUNDS = 8


class Windows(Protocol):
    """Windows and what followed them, as training rows give them."""

    def __len__(self) -> int:
        """N."""

    def take(self, at: Tensor) -> tuple[Tensor, Tensor]:
        """Return windows (B, C, T) and futures (B, H · N)."""


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
            found = torch.from_numpy(vectors_from(rows, words, width, seed)).to(table)
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


class RelativeWindows(nn.Module):
    """A linear map of each window relative to its last value, that value added: what every forecast starts from.

    Subtracting the last value and adding it to the forecast makes a linear map as good as much larger networks on the
    usual long-horizon sets (NLinear, Zeng et al. 2023). One map serves all target channels. It reads a target's own
    window, and what is known of the future. `start_from` solves for it in closed form, which beats the same map trained
    by gradients from zero; its weights stay as solved unless `trained`, the constant is always trained.
    """

    def __init__(self, inputs: ForecastInputs, *, trained: bool = False) -> None:
        super().__init__()
        self.past = len(inputs.channels) - inputs.known
        self.targets, self.window, self.horizon = inputs.targets, inputs.window, inputs.horizon
        self.linear = nn.Linear(inputs.window + inputs.known * inputs.horizon, inputs.horizon)
        self.linear.weight.requires_grad_(trained)
        with torch.no_grad():
            self.linear.weight.zero_()
            self.linear.bias.zero_()

    def relative(self, x_BTE: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return steps less the last value (B, T, C), 0 where nothing is seen, the mask (B, T), last values (B, N)."""
        x_BTC, mask_BT = split_mask(x_BTE)
        last_B1P = x_BTC[:, self.window - 1 : self.window, : self.past]
        shift_B1C = nn.functional.pad(last_B1P, (0, x_BTC.shape[2] - self.past))
        return (x_BTC - shift_B1C) * mask_BT[:, :, None], mask_BT, last_B1P[:, 0, : self.targets]

    def read(self, x_BTC: Tensor) -> Tensor:
        """Return what the map reads for each target, (B, N, F): its window, and the known future by channel."""
        own_BNW = x_BTC[:, : self.window, : self.targets].transpose(1, 2)
        if self.past == x_BTC.shape[2]:
            return own_BNW
        known_BF = x_BTC[:, self.window :, self.past :].transpose(1, 2).flatten(1)
        return torch.cat([own_BNW, known_BF[:, None].expand(-1, self.targets, -1)], dim=2)

    def simple(self, x_BTC: Tensor, last_BN: Tensor) -> Tensor:
        """Return the linear forecast (B, H, N)."""
        out: Tensor = self.linear(self.read(x_BTC)).transpose(1, 2) + last_BN[:, None]
        return out

    @torch.no_grad()
    def start_from(self, rows: Windows, seed: int) -> None:
        """Solve for the map: least squared error with the penalty that is best on the last fifth of the windows.

        Before that fifth a horizon of windows is left out, so that no truth is on both sides. Of very many windows only
        some, evenly spread, are read. Targets nobody knows are filled with the map's own forecasts, over a few rounds,
        which solves the equations without them (Healy and Westmacott 1956).
        """
        shape = (self.past, self.targets, self.window, self.horizon, self.linear.in_features)
        self._set(once(rows, ("linear map", *shape), lambda: self._solved(rows)))

    def _solved(self, rows: Windows) -> Tensor:
        """Return the map's weights and, below them, its constants."""
        wanted = max(_LEAST_WINDOWS, int(_MOST_PRODUCTS / self.linear.in_features**2 / self.targets))
        at = torch.linspace(0, len(rows) - 1, min(wanted, len(rows))).round().long()
        cut = len(at) - len(at) // 5
        gap = max(cut // 2, int((at < at[min(cut, len(at) - 1)] - self.horizon).sum()))
        fitted, between, held = (self._sums(rows, part) for part in (at[:gap], at[gap:cut], at[cut:]))
        if fitted is None:
            return torch.cat([self.linear.weight.T, self.linear.bias[None]])
        penalty = _PENALTIES[len(_PENALTIES) // 2]
        if held is not None:
            penalty = min(_PENALTIES, key=lambda p: squared_error(solved(fitted, p), held))
        whole = functools.reduce(together, [part for part in (fitted, between, held) if part is not None])
        found = solved(whole, penalty)
        for _ in range(_ROUNDS if self._unknown(rows, at) else 0):
            self._set(found)
            filled = self._sums(rows, at)
            assert filled is not None
            found = solved(filled, penalty)
        return found

    def _set(self, weights: Tensor) -> None:
        self.linear.weight.copy_(weights[:-1].T)
        self.linear.bias.copy_(weights[-1])

    def _unknown(self, rows: Windows, at: Tensor) -> bool:
        return any(bool(rows.take(part)[1].isnan().any()) for part in torch.split(at, _PART))

    def _sums(self, rows: Windows, at: Tensor) -> Sums | None:
        return sums(self._pairs(rows, part) for part in torch.split(at, _PART) if len(part))

    def _pairs(self, rows: Windows, at: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is read (B · N, F) and what is to be told (B · N, H); unknown truths as the map has them now."""
        x_BCT, y_BK = rows.take(at)
        x_BTC, _, last_BN = self.relative(ForecastStem()(x_BCT))
        y_BHN = y_BK.view(len(y_BK), self.horizon, self.targets)
        y_BHN = torch.where(y_BHN.isnan(), self.simple(x_BTC, last_BN), y_BHN) - last_BN[:, None]
        return self.read(x_BTC).flatten(0, 1), y_BHN.transpose(1, 2).flatten(0, 1)


class ForecastTrunk(RelativeWindows):
    """A trunk that sees the relative window beside the linear map, neighbouring steps joined to tokens.

    Tokens as in PatchTST (Nie et al. 2023), of all channels together. Returns (B, features + H · N): the trunk's
    features, and the simple forecast.
    """

    def __init__(self, trunk: nn.Module, inputs: ForecastInputs) -> None:
        super().__init__(inputs, trained=True)
        self.trunk = trunk
        self.patch = steps_per_token(inputs)

    def forward(self, x_BTE: Tensor) -> Tensor:
        """Return features and the simple forecast beside them."""
        x_BTC, mask_BT, last_BN = self.relative(x_BTE)
        whole_BTE = torch.cat([x_BTC, mask_BT[:, :, None]], dim=2)
        whole_BTE = nn.functional.pad(whole_BTE, (0, 0, -x_BTC.shape[1] % self.patch, 0))
        tokens_BNPE = whole_BTE.view(whole_BTE.shape[0], -1, self.patch, whole_BTE.shape[2])
        mask_BN1 = tokens_BNPE[:, :, :, -1].amax(2, keepdim=True)
        features: Tensor = self.trunk(torch.cat([tokens_BNPE[:, :, :, :-1].flatten(2), mask_BN1], dim=2))
        return torch.cat([features, self.simple(x_BTC, last_BN).flatten(1)], dim=1)


class DirectForecast(RelativeWindows):
    """A trunk from relative windows (B, T, C) to changes (B, H, N) of the linear forecast; returns (B, H · N)."""

    def __init__(self, trunk: nn.Module | None, inputs: ForecastInputs, *, trained: bool = False) -> None:
        super().__init__(inputs, trained=trained)
        self.trunk = trunk

    def forward(self, x_BTE: Tensor) -> Tensor:
        """Return the forecasts."""
        x_BTC, _, last_BN = self.relative(x_BTE)
        out_BHN = self.simple(x_BTC, last_BN)
        return (out_BHN if self.trunk is None else out_BHN + self.trunk(x_BTC)).flatten(1)


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
