"""Baselines that classify."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.baselines.designs import design, flat, may_hold_out, word_counts
from pipeline.baselines.kernels import kernel_probabilities
from pipeline.baselines.texts import ngram_svm
from pipeline.core.contracts import Inputs, SeriesInputs, TextInputs
from pipeline.core.seeds import stream, stream_seed

Probabilities = NDArray[np.float64]
Weight = NDArray[Any] | None


def baseline_probabilities(
    name: str,
    inputs: Inputs,
    train: tuple[NDArray[Any], NDArray[np.int64]],
    test_x: NDArray[Any],
    classes: int,
    seed: int,
    weight: Weight = None,
) -> Probabilities:
    """Fit baseline `name` on train (x (N, …), y (N,)) and return class probabilities (M, K) for `test_x`.

    `weight` (N,) says how much each row counts, above 0 and 1 on average; none: all count the same.
    """
    x, y = train
    match name:
        case "majority":
            return _prior(y, classes, len(test_x), weight)
        case "logistic_regression":
            return _logistic(inputs, (x, y, weight), test_x, classes)
        case "gradient_boosting":
            return _boosting(inputs, (x, y, weight), test_x, classes, seed)
        case "ngram_svm" if isinstance(inputs, TextInputs):
            return ngram_svm(inputs, x, y, test_x, classes, seed, weight)
        case "random_kernels" if isinstance(inputs, SeriesInputs):
            return kernel_probabilities(inputs, x, y, test_x, classes, seed, weight)
    raise ValueError(f"unknown baseline {name}")


def subsample(y: NDArray[np.int64], most: int, seed: int, weight: Weight = None) -> NDArray[np.int64]:
    """Return the sorted indices of at most `most` rows drawn without replacement; those of weight 0 are never drawn."""
    if weight is not None and not weight.all():
        counted = np.flatnonzero(weight)
        return np.asarray(counted[subsample(y[counted], most, seed)])
    if len(y) <= most:
        return np.arange(len(y))
    return np.sort(stream(seed, "baseline-rows").choice(len(y), most, replace=False))


def _prior(y: NDArray[np.int64], classes: int, rows: int, weight: Weight) -> Probabilities:
    counts = np.bincount(y, weight, minlength=classes)
    shares = counts / counts.sum()
    whole = np.zeros((rows, classes))
    whole[:] = shares
    return whole


def _logistic(
    inputs: Inputs, train: tuple[NDArray[Any], NDArray[Any], Weight], test_x: NDArray[Any], classes: int
) -> Probabilities:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils._testing import ignore_warnings

    x, y, weight = train
    if isinstance(inputs, TextInputs):
        model = make_pipeline(TfidfTransformer(sublinear_tf=True), LogisticRegression(C=10, max_iter=100, tol=1e-3))
        features, test_features = word_counts(inputs, x), word_counts(inputs, test_x)
    else:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=100, tol=1e-3))
        features, test_features = design(inputs, x), design(inputs, test_x)
    with ignore_warnings(category=ConvergenceWarning):
        model.fit(features, y, logisticregression__sample_weight=weight)
    return _spread(model.predict_proba(test_features), model.classes_, classes)


def _boosting(
    inputs: Inputs, train: tuple[NDArray[Any], NDArray[Any], Weight], test_x: NDArray[Any], classes: int, seed: int
) -> Probabilities:
    from sklearn.ensemble import HistGradientBoostingClassifier

    x, y, weight = train
    model = HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=100 if classes == 2 else 40,
        early_stopping=may_hold_out(y),
        random_state=stream_seed(seed, "gradient-boosting"),
    )
    model.fit(flat(inputs, x), y, sample_weight=weight)
    return _spread(model.predict_proba(flat(inputs, test_x)), model.classes_, classes)


def _spread(p: NDArray[np.float64], present: Sequence[int], classes: int) -> Probabilities:
    """Give classes absent from the fitted rows a column of zeros."""
    whole = np.zeros((len(p), classes))
    whole[:, np.asarray(present, dtype=int)] = p
    return whole
