"""The wide part of a text network: a linear model of words, pairs and letters, beside the one of vectors.

Cheng et al. 2016, "Wide & Deep Learning for Recommender Systems". Legend: B rows, L words, D token width, F features,
K outputs, U different words of a batch, G n-grams of letters in them.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pipeline.core.contracts import TextInputs
from pipeline.models.network import Network
from pipeline.models.once import once
from pipeline.models.sequence import TextStem
from pipeline.models.word_vectors import (
    Numbers,
    drawn_by,
    frequent_pairs,
    letter_grams,
    rarity,
    texts_with_word,
    training_texts,
)

if TYPE_CHECKING:
    from pipeline.models.network import TrainingRows

_PAIRS = 32_768
"""Most pairs that have weights; 32,768 · K of them."""
_NO_PAIR = torch.iinfo(torch.int64).max


class Wide(nn.Module):
    """Word numbers (B, L) to what each word adds to the K outputs, (B, L, K).

    Features are words, pairs of neighbouring words (those of at least two training texts; a pair counts for its later
    word) and n-grams of letters inside words. Each weighs its inverse document frequency in the training texts; words
    with pairs, and letters, are scaled to length 1 per text, every occurrence standing for itself. So the sum over the
    words is a linear model of tf-idf features, and attributions to words are exact for it.

    Weights start at zero and are multiplied by `rate`, so that Adam moves them `rate` times as fast as all others:
    features are many and small, and at the learning rate of the vectors most would still be near zero at the end.
    """

    rarity: Tensor
    pairs: Tensor
    flat: Tensor
    starts: Tensor

    def __init__(self, inputs: TextInputs, outputs: int, rate: float) -> None:
        super().__init__()
        self.grams = letter_grams(inputs.vocabulary)
        self.words, self.rate = len(inputs.vocabulary) + 2, rate
        self.first_pair = self.words + self.grams.kinds
        # One table of words, letters and pairs, in this order.
        self.table = nn.Embedding(self.first_pair + _PAIRS, outputs, sparse=True)
        nn.init.zeros_(self.table.weight)
        weights = torch.ones(len(self.table.weight))
        weights[0] = 0
        self.register_buffer("rarity", weights)
        self.register_buffer("pairs", torch.full((_PAIRS,), _NO_PAIR))
        self.register_buffer("flat", torch.from_numpy(self.grams.flat + self.words), persistent=False)
        self.register_buffer("starts", torch.tensor(self.grams.starts), persistent=False)

    @torch.no_grad()
    def start_from(self, rows: "TrainingRows", seed: int) -> None:
        """Choose the pairs, and count in how many training texts each feature occurs."""
        key = ("wide", self.words, self.first_pair, drawn_by(rows, seed))
        pairs, weights = once(rows, key, lambda: self._counted(training_texts(rows, seed)))
        self.pairs.fill_(_NO_PAIR)
        self.pairs[: len(pairs)] = pairs.to(self.pairs)
        self.rarity.copy_(weights)

    def _counted(self, x_NL: Numbers) -> tuple[Tensor, Tensor]:
        """Return the pairs, and the rarity of every feature."""
        pairs, with_pair = frequent_pairs(x_NL, self.words, _PAIRS)
        weights = torch.zeros(len(self.table.weight))
        with_word, with_gram = texts_with_word(x_NL, self.words), self.grams.texts(x_NL)
        for first, holding in ((0, with_word), (self.words, with_gram), (self.first_pair, with_pair)):
            weights[first : first + len(holding)] = torch.from_numpy(rarity(len(x_NL), holding))
        return torch.from_numpy(pairs), weights

    def forward(self, x_BL: Tensor, words_U: Tensor, at_BL: Tensor) -> Tensor:
        """Return what each word adds; `words_U` are the different words, and word (b, l) is number `at_BL` of them."""
        letters_UK, size_U = self.letters(words_U)
        words_UK = self.table(words_U) * self.rarity[words_U, None]
        pairs_BL = self.pair_rows(x_BL)
        there = pairs_BL > 0
        pairs_MK = self.table(pairs_BL[there]) * self.rarity[pairs_BL[there]][:, None]
        words_BLK = nn.functional.embedding(at_BL, words_UK).index_put((there,), pairs_MK, accumulate=True)
        letters_BLK = nn.functional.embedding(at_BL, letters_UK)
        size_B = (self.rarity[x_BL] ** 2 + self.rarity[pairs_BL] ** 2).sum(1)
        return words_BLK * self.scale(size_B) + letters_BLK * self.scale(size_U[at_BL].sum(1))

    def scale(self, size_B: Tensor) -> Tensor:
        """Return what brings features of these squared lengths to length 1, times the rate, (B, 1, 1)."""
        return self.rate * size_B.clamp(min=1e-6).rsqrt()[:, None, None]

    def letters(self, words_U: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the letters of each word add before scaling, (U, K), and their squared length, (U,)."""
        starts_U = self.starts[words_U]
        sizes_U = self.starts[words_U + 1] - starts_U
        bags_U = sizes_U.cumsum(0) - sizes_U
        inside_G = torch.arange(int(sizes_U.sum()), device=words_U.device)
        at_G = self.flat[inside_G + (starts_U - bags_U).repeat_interleave(sizes_U)]
        weights_G = self.rarity[at_G]
        added_UK = nn.functional.embedding_bag(
            at_G, self.table.weight, bags_U, mode="sum", sparse=True, per_sample_weights=weights_G
        )
        length_U = nn.functional.embedding_bag(at_G, self.rarity[:, None] ** 2, bags_U, mode="sum")[:, 0]
        return added_UK, length_U

    def pair_rows(self, x_BL: Tensor) -> Tensor:
        """Return the row of the pair each word makes with the one before it, 0 where that is none of ours, (B, L)."""
        asked = (x_BL[:, :-1] * self.words + x_BL[:, 1:]).contiguous()  # of turned rows it is not
        at = torch.searchsorted(self.pairs, asked).clamp(max=_PAIRS - 1)
        known = (self.pairs[at] == asked) & (x_BL[:, 1:] > 0)
        return nn.functional.pad(torch.where(known, self.first_pair + at, 0), (1, 0))


class WordTrunk(nn.Module):
    """A body over vectors (B, L, D) and mask (B, L) of a stem's (B, L, D + K + 1); features and sums (B, F + K).

    The K places of a stem without a wide part are none.
    """

    def __init__(self, body: nn.Module, outputs: int) -> None:
        super().__init__()
        self.body = body
        self.outputs = outputs

    def forward(self, x_BLE: Tensor) -> Tensor:
        """Return the body's features and the sum of what words added."""
        width = x_BLE.shape[2] - self.outputs - 1
        x_BLD, added_BLK, mask_BL1 = torch.split(
            x_BLE, [width, self.outputs, 1], dim=2
        )  # one copy backwards, not three
        features_BF: Tensor = self.body(x_BLD, mask_BL1.detach()[:, :, 0])
        return torch.cat([features_BF, added_BLK.sum(1)], dim=1) if self.outputs else features_BF


class WideHead(nn.Module):
    """A linear map of the features plus what the words added, (B, F + K) to (B, K)."""

    def __init__(self, features: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.features = features
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features, outputs)

    def forward(self, x_BC: Tensor) -> Tensor:
        """Return the sum."""
        out: Tensor = self.linear(self.dropout(x_BC[:, : self.features])) + x_BC[:, self.features :]
        return out


def word_network(stem: TextStem, body: nn.Module, features: int, outputs: int, dropout: float) -> Network:
    """Return the network of a body over the words of a stem, which may have a wide part."""
    if stem.wide is None:
        return Network(stem, WordTrunk(body, 0), features, outputs, dropout)
    network = Network(stem, WordTrunk(body, outputs), features, outputs, dropout)
    network.head = WideHead(features, outputs, dropout)
    return network


def word_stem(inputs: TextInputs, width: int, outputs: int, *, vectors: bool, wide_rate: float | None) -> TextStem:
    """Return the stem; without a rate it has no wide part."""
    wide = None if wide_rate is None else Wide(inputs, outputs, wide_rate)
    return TextStem(inputs, width, vectors=vectors, wide=wide)
