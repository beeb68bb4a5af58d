"""What training texts say about words before any label is read: vectors, and how rare a word, pair or letters are.

Texts are word numbers (N, L) as TextInputs has them: 0 pads, 1 is any other word. Legend: N texts, L words, V numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.models.once import once

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from pipeline.models.network import TrainingRows

Numbers = NDArray[np.int64]
_MOST_WORDS = 3_000_000
"""More texts than hold about so many words are a sample: seconds, not minutes."""
_WINDOW = 5
_SMOOTHING = 0.75
"""Exponent of the context's frequency (Levy et al. 2015, "Improving Distributional Similarity", section 3.1)."""
_STD = 0.1
_SPARE = 16
_ITERATIONS = 4
_ALL_READ = 0
"""Seed of the decomposition where no texts are drawn."""
_AT_ONCE = 1024
_SHORTEST, _LONGEST = 2, 5
_PIECE = "\u2581"
"""Stands for the blank before a word where the vocabulary is one of pieces."""


def drawn_by(rows: "TrainingRows", seed: int) -> int | None:
    """Return the seed by which training texts are drawn; None where all of them are read."""
    longest = rows.take(torch.zeros(1, dtype=torch.long))[0].shape[1]
    return seed if len(rows) * longest > _MOST_WORDS else None


def training_texts(rows: "TrainingRows", seed: int) -> Numbers:
    """Return word numbers of all training texts (N, L), or of as many drawn ones as hold about three million words."""
    longest = rows.take(torch.zeros(1, dtype=torch.long))[0].shape[1]
    at = torch.arange(len(rows))
    if drawn_by(rows, seed) is not None:
        rng = np.random.default_rng(seed)
        at = torch.from_numpy(np.sort(rng.choice(len(rows), max(1, _MOST_WORDS // longest), replace=False)))
    return rows.take(at)[0].cpu().numpy().astype(np.int64)


def word_vectors(x_NL: Numbers, words: int, width: int, seed: int) -> NDArray[np.float32]:
    """Return a vector of each word number, (words, width), of deviation 0.1; zeros for words without company."""
    return vectors_of(company(x_NL, words), width, seed)


def vectors_from(rows: "TrainingRows", words: int, width: int, seed: int) -> NDArray[np.float32]:
    """Return the vectors that training texts give; what was computed for these rows is not computed again.

    The seed decides which texts are drawn. Where all are read every seed has the same vectors: that they are found by
    chance is no property of the texts, and finding them takes as long as many a piece of a trial.
    """
    drawn = drawn_by(rows, seed)
    seed = _ALL_READ if drawn is None else drawn

    def found() -> NDArray[np.float32]:
        counted = once(rows, ("company", words, drawn), lambda: company(training_texts(rows, seed), words))
        return vectors_of(counted, width, seed)

    return once(rows, ("word vectors", words, width, seed), found)


def company(x_NL: Numbers, words: int) -> "csr_matrix":
    """Return the positive pointwise mutual information of words at most 5 apart, (words, words)."""
    from scipy.sparse import coo_matrix, csr_matrix

    keys = [
        x_NL[:, :-far][both] * words + x_NL[:, far:][both]
        for far in range(1, min(_WINDOW, x_NL.shape[1] - 1) + 1)
        for both in ((x_NL[:, :-far] > 1) & (x_NL[:, far:] > 1),)
    ]
    seen, counts = np.unique(np.concatenate(keys) if keys else np.zeros(0, np.int64), return_counts=True)
    if len(seen) == 0:
        return csr_matrix((words, words))
    once = coo_matrix((counts.astype(np.float64), (seen // words, seen % words)), shape=(words, words))
    both = (once + once.T).tocoo()
    of_word = np.asarray(both.sum(axis=1)).ravel()
    of_context = of_word**_SMOOTHING
    information = np.log(both.data * of_context.sum() / (of_word[both.row] * of_context[both.col]))
    kept = information > 0
    return coo_matrix((information[kept], (both.row[kept], both.col[kept])), shape=both.shape).tocsr()


def vectors_of(ppmi: "csr_matrix", width: int, seed: int) -> NDArray[np.float32]:
    """Return factors of the mutual information of words, (words, width).

    U · √S (Levy and Goldberg 2014, "Neural Word Embedding as Implicit Matrix Factorization"), by a randomised SVD
    (Halko et al. 2011, algorithm 4.4), with LU instead of QR between its iterations (Li et al. 2017, "Algorithm 971")
    and in single precision: a third of the time and less, vectors the same to four digits.
    """
    from scipy.linalg import lu

    words = ppmi.shape[0]
    found = np.zeros((words, width), np.float32)
    if ppmi.nnz == 0:
        return found
    rng, rank = np.random.default_rng(seed), min(width, words)
    ppmi = ppmi.astype(np.float32)
    basis = ppmi @ rng.normal(size=(words, min(rank + _SPARE, words))).astype(np.float32)
    for _ in range(_ITERATIONS):
        basis = ppmi.T @ lu(basis, permute_l=True)[0]
        basis = ppmi @ lu(basis, permute_l=True)[0]
    basis = np.linalg.qr(basis)[0]
    projected = (ppmi.T @ basis).astype(np.float64)
    squares, left = np.linalg.eigh(projected.T @ projected)  # those of its SVD: it is tall
    sizes, left = np.sqrt(squares[::-1].clip(0)), left[:, ::-1]
    factors = (basis @ left)[:, :rank] * np.sqrt(sizes[:rank])
    met = ppmi.getnnz(axis=1) > 0
    found[met, :rank] = _STD * factors[met] / max(factors[met].std(), 1e-12) if met.any() else 0.0
    return found


def rarity(texts: int, holding: NDArray[Any]) -> NDArray[np.float32]:
    """Return the inverse document frequency ln((1 + N) / (1 + n)) + 1 of what n of N texts hold; 0 for n = 0."""
    return np.where(holding > 0, np.log((1 + texts) / (1 + holding)) + 1, 0).astype(np.float32)


def texts_with_word(x_NL: Numbers, words: int) -> Numbers:
    """Return how many texts hold each word number, (words,); padding counts as nowhere."""
    return np.bincount(_held(x_NL)[1], minlength=words)


def frequent_pairs(x_NL: Numbers, words: int, most: int) -> tuple[Numbers, Numbers]:
    """Return the pairs of neighbouring words that at least two texts hold, and how many hold them.

    A pair is written first · words + second; of more than `most` the most frequent are kept. Sorted by pair.
    """
    both = (x_NL[:, :-1] > 0) & (x_NL[:, 1:] > 0)
    at_row = np.nonzero(both)[0]
    pair = x_NL[:, :-1][both] * words + x_NL[:, 1:][both]
    kinds, number = np.unique(pair, return_inverse=True)
    once = np.unique(at_row * max(1, len(kinds)) + number)
    texts = np.bincount(once % max(1, len(kinds)), minlength=len(kinds))
    kept = np.flatnonzero(texts >= 2)
    kept = np.sort(kept[np.argsort(-texts[kept], kind="stable")[:most]])
    return kinds[kept], texts[kept]


@dataclass(frozen=True, slots=True)
class LetterGrams:
    """The numbers of the n-grams of letters of each word; those of word w are `flat[starts[w]:starts[w+1]]`."""

    flat: Numbers
    starts: Numbers
    """(V + 1,)"""
    kinds: int

    def texts(self, x_NL: Numbers) -> Numbers:
        """Return how many texts hold each n-gram, (kinds,)."""
        from scipy.sparse import csr_matrix

        words = len(self.starts) - 1
        of_word = csr_matrix((np.ones(len(self.flat), np.float32), self.flat, self.starts), shape=(words, self.kinds))
        counts = np.zeros(self.kinds, np.int64)
        for start in range(0, len(x_NL), _AT_ONCE):
            part = x_NL[start : start + _AT_ONCE]
            at_row, at_word = _held(part)
            held = csr_matrix((np.ones(len(at_row), np.float32), (at_row, at_word)), shape=(len(part), words))
            counts += (held @ of_word).getnnz(axis=0)
        return counts


@lru_cache(maxsize=4)
def letter_grams(vocabulary: Sequence[str]) -> LetterGrams:
    """Return the n-grams of 2 to 5 letters inside each word, the blanks around it included; none of padding and 1.

    Those of scikit-learn's `char_wb`. Pieces of words keep the blank that their own name has.
    """
    pieces = any(_PIECE in word for word in vocabulary)
    number: dict[str, int] = {}
    flat, starts = [], [0, 0, 0]
    for word in vocabulary:
        letters = word.replace(_PIECE, " ") if pieces else f" {word} "
        flat += [number.setdefault(gram, len(number)) for gram in _grams(letters)]
        starts.append(len(flat))
    return LetterGrams(np.array(flat, np.int64), np.array(starts, np.int64), len(number))


def _grams(letters: str) -> Iterator[str]:
    for size in range(_SHORTEST, _LONGEST + 1):
        if len(letters) <= size:
            yield letters
            return
        for start in range(len(letters) - size + 1):
            yield letters[start : start + size]


def _held(x_NL: Numbers) -> tuple[Numbers, Numbers]:
    """Return row and word number of each word a text holds, once."""
    at_row, place = np.nonzero(x_NL)
    words = int(x_NL.max(initial=0)) + 1
    once = np.unique(at_row * words + x_NL[at_row, place])
    return once // words, once % words
