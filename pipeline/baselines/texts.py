"""The strong simple model of texts: a linear support vector machine on n-grams of words and of letters."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import TextInputs
from pipeline.core.seeds import stream, stream_seed

Weight = NDArray[Any] | None

_PENALTIES = (0.2, 1.0)
_MOST_FEATURES = 200_000
_HELD_OUT = 5
"""One row of so many is held out."""
_PIECE, _UNKNOWN = "\u2581", "\ufffd"


def ngram_svm(
    inputs: TextInputs,
    x: NDArray[Any],
    y: NDArray[np.int64],
    test_x: NDArray[Any],
    classes: int,
    seed: int,
    weight: Weight = None,
) -> NDArray[np.float64]:
    """Fit on word numbers x (N, L) and classes y (N,); return class probabilities (M, K) for `test_x`.

    Features are tf-idf of words and pairs of words, and of 2 to 5 letters inside words. The model reads what the
    network reads: words without a number are one sign. A support vector machine has margins, not probabilities: these
    are the softmax of the margins times a factor, chosen with the penalty by log loss on a held-out fifth of x.
    The machine that is returned is then fitted on all of x. Classes that x lacks get probability 0. `weight` (N,) says
    how much each row of x counts in all of this; which texts hold a word or n-gram does not ask for it.
    """
    texts, test_texts = readable(inputs, x), readable(inputs, test_x)
    kept, held = _hold_out(y, stream(seed, "ngram-svm"))
    penalty, factor = _PENALTIES[0], 1.0
    if len(held) and len(np.unique(y)) > 1:
        some = y[kept], None if weight is None else weight[kept]
        found = _margins([texts[i] for i in kept], some, [texts[i] for i in held], _PENALTIES, seed)
        answers = np.searchsorted(np.unique(y[kept]), y[held]), None if weight is None else weight[held]
        _, factor, penalty = min((*_best_factor(m_HK, *answers), c) for c, m_HK in zip(_PENALTIES, found, strict=True))
    whole = np.zeros((len(test_x), classes))
    if len(np.unique(y)) == 1:
        whole[:, y[0]] = 1.0
        return whole
    (margins_MK,) = _margins(texts, (y, weight), test_texts, (penalty,), seed)
    whole[:, np.unique(y)] = _softmax(factor * margins_MK)
    return whole


def readable(inputs: TextInputs, x: NDArray[Any]) -> list[str]:
    """Return the texts of word numbers (N, L), one blank between words, or pieces of words joined again."""
    names = ["", _UNKNOWN, *inputs.vocabulary]
    if any(_PIECE in name for name in inputs.vocabulary):
        return ["".join(names[i] for i in row).replace(_PIECE, " ") for row in x]
    return [" ".join(names[i] for i in row if i) for row in x]


def _margins(
    texts: list[str], train: tuple[NDArray[np.int64], Weight], other: list[str], penalties: tuple[float, ...], seed: int
) -> list[NDArray[np.float64]]:
    """Return the margins (M, K) of `other` texts for each penalty, K classes of y in order.

    `train` are the classes y of `texts` and how much each counts.
    """
    from scipy.sparse import csr_matrix, hstack
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC
    from sklearn.utils._testing import ignore_warnings

    shared = {"lowercase": False, "sublinear_tf": True, "max_features": _MOST_FEATURES, "dtype": np.float32}
    readers = [
        TfidfVectorizer(analyzer="word", tokenizer=str.split, token_pattern=None, ngram_range=(1, 2), **shared),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), **shared),
    ]
    features = csr_matrix(hstack([reader.fit_transform(texts) for reader in readers]))
    asked = csr_matrix(hstack([reader.transform(other) for reader in readers]))
    found = []
    for penalty in penalties:
        model = LinearSVC(C=penalty, random_state=stream_seed(seed, "ngram-svm"))
        with ignore_warnings(category=ConvergenceWarning):
            model.fit(features, *train)
        margins = model.decision_function(asked)
        found.append(np.stack([-margins / 2, margins / 2], axis=1) if margins.ndim == 1 else margins)
    return found


def _hold_out(y: NDArray[np.int64], rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to fit and those held out; one row of every class at least is fitted."""
    order = rng.permutation(len(y))
    free = np.delete(order, np.unique(y[order], return_index=True)[1])
    held = np.sort(free[: len(y) // _HELD_OUT])
    return np.setdiff1d(np.arange(len(y)), held), held


def _best_factor(margins_HK: NDArray[np.float64], y: NDArray[np.int64], weight: Weight) -> tuple[float, float]:
    """Return the lowest log loss of softmax(factor · margins), and the factor."""
    from scipy.optimize import minimize_scalar

    def loss(log_factor: float) -> float:
        p = _softmax(np.exp(log_factor) * margins_HK)[np.arange(len(y)), y]
        return float(np.average(-np.log(np.maximum(p, 1e-12)), weights=weight))

    found = minimize_scalar(loss, bounds=(-3.0, 4.0), method="bounded")
    return float(found.fun), float(np.exp(found.x))


def _softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))
