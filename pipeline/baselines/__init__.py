"""Simple models on the packed inputs: what a network must beat to be worth its cost."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import ImageInputs, Inputs, SeriesInputs, TableInputs, TextInputs
from pipeline.core.seeds import stream, stream_seed

log = logging.getLogger(__name__)

_TREE_WORDS = 256
Probabilities = NDArray[np.float64]


def baseline_probabilities(
    name: str,
    inputs: Inputs,
    train: tuple[NDArray[Any], NDArray[np.int64]],
    test_x: NDArray[Any],
    classes: int,
    seed: int,
) -> Probabilities:
    """Fit baseline `name` on train (x (N, …), y (N,)) and return class probabilities (M, K) for `test_x`."""
    x, y = train
    match name:
        case "majority":
            return _prior(y, classes, len(test_x))
        case "logistic_regression":
            return _logistic(inputs, x, y, test_x, classes)
        case "gradient_boosting":
            return _boosting(inputs, x, y, test_x, classes, seed)
    raise ValueError(f"unknown baseline {name}")


def subsample(y: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """Return the sorted indices of at most `most` rows drawn without replacement."""
    if len(y) <= most:
        return np.arange(len(y))
    return np.sort(stream(seed, "baseline-rows").choice(len(y), most, replace=False))


def _prior(y: NDArray[np.int64], classes: int, rows: int) -> Probabilities:
    shares = np.bincount(y, minlength=classes) / len(y)
    whole = np.zeros((rows, classes))
    whole[:] = shares
    return whole


def design(inputs: Inputs, x: NDArray[Any]) -> NDArray[np.float32]:
    """Return (N, F) for linear models: pixels / 255, standardised steps, numbers with one-hot categories and flags."""
    match inputs:
        case ImageInputs():
            return np.asarray(x.reshape(len(x), -1) / 255, dtype=np.float32)
        case SeriesInputs():
            mean, std = (np.array(v)[None, :, None] for v in (inputs.mean, inputs.std))
            return np.asarray(np.nan_to_num((x - mean) / std).reshape(len(x), -1), dtype=np.float32)
        case TableInputs():
            parts = []
            for place, column in enumerate(inputs.columns):
                if column.kind == "numeric":
                    parts.append(x[:, place : place + 1])
                else:
                    parts.append(np.eye(len(column.categories) + 1, dtype=np.float32)[x[:, place].astype(int)])
            return np.concatenate([*parts, x[:, len(inputs.columns) :]], axis=1).astype(np.float32)
    raise TypeError(f"no linear design for {inputs.kind}")


def word_counts(inputs: TextInputs, x: NDArray[Any]) -> Any:
    """Return a sparse matrix (N, V + 2) of how often each word number occurs; padding is not counted."""
    from scipy.sparse import csr_matrix

    rows, places = np.nonzero(x)
    return csr_matrix((np.ones(len(rows)), (rows, x[rows, places])), shape=(len(x), len(inputs.vocabulary) + 2))


def _logistic(inputs: Inputs, x: NDArray[Any], y: NDArray[Any], test_x: NDArray[Any], classes: int) -> Probabilities:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils._testing import ignore_warnings

    if isinstance(inputs, TextInputs):
        model = make_pipeline(TfidfTransformer(sublinear_tf=True), LogisticRegression(C=10, max_iter=100, tol=1e-3))
        features, test_features = word_counts(inputs, x), word_counts(inputs, test_x)
    else:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=100, tol=1e-3))
        features, test_features = design(inputs, x), design(inputs, test_x)
    with ignore_warnings(category=ConvergenceWarning):
        model.fit(features, y)
    return _spread(model.predict_proba(test_features), model.classes_, classes)


def _flat(inputs: Inputs, x: NDArray[Any]) -> NDArray[Any]:
    """Return (N, F) for trees; of texts the counts of the most frequent words."""
    if isinstance(inputs, TextInputs):
        return np.asarray(word_counts(inputs, x)[:, 2 : 2 + _TREE_WORDS].todense())
    return x.reshape(len(x), -1)


def _boosting(
    inputs: Inputs, x: NDArray[Any], y: NDArray[Any], test_x: NDArray[Any], classes: int, seed: int
) -> Probabilities:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=100 if classes == 2 else 40,
        early_stopping=True,
        random_state=stream_seed(seed, "gradient-boosting"),
    )
    model.fit(_flat(inputs, x), y)
    return _spread(model.predict_proba(_flat(inputs, test_x)), model.classes_, classes)


def _spread(p: NDArray[np.float64], present: Sequence[int], classes: int) -> Probabilities:
    """Give classes absent from the fitted rows a column of zeros."""
    whole = np.zeros((len(p), classes))
    whole[:, np.asarray(present, dtype=int)] = p
    return whole
