"""Corruptions of texts: on the words that prepare kept of each, because it keeps no raw texts of test rows.

Where texts are cut into words, a known word is its lower-case letters, and a changed one is looked up anew: that is
what the same slip in the raw text would give. A word without a number of its own stays one. Byte-pair pieces are joined
to their text, changed, and cut again.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np

from pipeline.core.contracts import TextInputs
from pipeline.datasets.bpe import SPACE, Pieces
from pipeline.datasets.texts import encode_texts
from pipeline.datasets.texts import words as cut
from pipeline.robustness.corruptions import Apply, Corruption, Packed

Words = Sequence[Sequence[str]]
Change = Callable[[Sequence[str], float, np.random.Generator], Sequence[str]]
"""The words of one text, the amount and a generator to other words."""

_UNKNOWN = ""
"""Stands for a word that has no number of its own; no word is empty."""
_BYTES = re.compile("((?:<0X[0-9A-F]{2}>)+)")


@dataclass(frozen=True, slots=True)
class TextCode:
    """Packed texts to words and back."""

    inputs: TextInputs
    pieces: Pieces | None = None
    """data.tokens=bpe: the fitted cutter."""

    def words(self, x: Packed) -> list[list[str]]:
        """Return the words of packed texts (N, L)."""
        names = ("", _UNKNOWN, *self.inputs.vocabulary)
        cut = [[names[number] for number in row if number] for row in x.tolist()]
        return cut if self.pieces is None else [joined(pieces).split() for pieces in cut]

    def packed(self, words: Words) -> Packed:
        """Return texts (N, L) as word numbers."""
        cut = words if self.pieces is None else self.pieces.cut([" ".join(text) for text in words])
        return encode_texts(cut, self.inputs)

    def respelt(self, words: Words) -> Packed:
        """Return words of other texts, which may be cut otherwise, packed as ours."""
        return self.packed([[part for word in text for part in cut(word) or [word]] for text in words])


def joined(pieces: Sequence[str]) -> str:
    """Return the text that was cut into these named pieces; a letter that the end cut through is a question mark."""
    parts = _BYTES.split("".join(pieces).replace(SPACE, " "))
    whole = b"".join(bytes.fromhex(part.replace("<0X", "").replace(">", "")) if i % 2 else part.encode()
                     for i, part in enumerate(parts))  # fmt: skip
    return whole.decode("utf-8", "replace").replace("\ufffd", "?")


def text_corruptions(code: TextCode) -> tuple[Corruption, ...]:
    """Return all corruptions of such texts."""
    return (
        Corruption(name="typos", words="a share a of the words of two letters or more has two letters swapped, one "
                   "left out, or one replaced",
                   amounts=(0.02, 0.05, 0.1, 0.2, 0.4), apply=on_words(code, typos)),
        Corruption(name="truncation", words="the last share a of the words is cut off",
                   amounts=(0.1, 0.25, 0.5, 0.75, 0.9), apply=on_words(code, truncation)),
        Corruption(name="word_dropout", words="each word is left out with probability a",
                   amounts=(0.05, 0.1, 0.2, 0.4, 0.6), apply=on_words(code, word_dropout)),
        Corruption(name="word_order", words="words stand in the order of their place plus a u, u uniform in [-1, 1]",
                   amounts=(0.75, 1.5, 3.0, 6.0, 12.0), apply=on_words(code, word_order)),
    )  # fmt: skip


def on_words(code: TextCode, change: Change) -> Apply:
    """Return what applies a change of words to packed texts."""

    def apply(x: Packed, amount: float, rng: np.random.Generator) -> Packed:
        return code.packed([change(text, amount, rng) for text in code.words(x)])

    return apply


def typos(words: Sequence[str], amount: float, rng: np.random.Generator) -> list[str]:
    """Return words of which some are misspelt."""
    draws = rng.random((len(words), 4))
    return [_misspelt(word, *draw[1:]) if draw[0] < amount and len(word) > 1 else word
            for word, draw in zip(words, draws.tolist(), strict=True)]  # fmt: skip


def _misspelt(word: str, kind: float, place: float, letter: float) -> str:
    """Return a word with one slip; `kind`, `place` and `letter` are draws of [0, 1)."""
    if kind < 1 / 3:
        at = int(place * (len(word) - 1))
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    at = int(place * len(word))
    other = "" if kind < 2 / 3 else ascii_lowercase[int(letter * len(ascii_lowercase))]
    return word[:at] + other + word[at + 1 :]


def truncation(words: Sequence[str], amount: float, rng: np.random.Generator) -> Sequence[str]:
    """Return the beginning; with a = 1 nothing."""
    return words[: int(np.ceil((1 - amount) * len(words)))]


def word_dropout(words: Sequence[str], amount: float, rng: np.random.Generator) -> list[str]:
    """Return some of the words; with a = 1 none."""
    draws = rng.random(len(words))
    return [word for word, draw in zip(words, draws, strict=True) if draw >= amount]


def word_order(words: Sequence[str], amount: float, rng: np.random.Generator) -> list[str]:
    """Return the words in another order, none more than 2 a places from its own."""
    places = np.arange(len(words)) + amount * rng.uniform(-1, 1, len(words))
    return [words[place] for place in np.argsort(places, kind="stable")]
