"""Simple models on the packed inputs: what a network must beat to be worth its cost."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import Inputs, TableInputs
from pipeline.core.seeds import stream, stream_seed

log = logging.getLogger(__name__)


def baseline_probabilities(
    name: str,
    inputs: Inputs,
    train: tuple[NDArray[Any], NDArray[np.int64]],
    test_x: NDArray[Any],
    classes: int,
    seed: int,
) -> NDArray[np.float64]:
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


def _prior(y: NDArray[np.int64], classes: int, rows: int) -> NDArray[np.float64]:
    shares = np.bincount(y, minlength=classes) / len(y)
    whole = np.zeros((rows, classes))
    whole[:] = shares
    return whole


def design(inputs: Inputs, x: NDArray[Any]) -> NDArray[np.float32]:
    """Return (N, F) for linear models: pixels / 255, or numbers with one-hot categories and missing flags."""
    if not isinstance(inputs, TableInputs):
        return np.asarray(x.reshape(len(x), -1) / 255, dtype=np.float32)
    parts = []
    for place, column in enumerate(inputs.columns):
        if column.kind == "numeric":
            parts.append(x[:, place : place + 1])
        else:
            parts.append(np.eye(len(column.categories) + 1, dtype=np.float32)[x[:, place].astype(int)])
    return np.concatenate([*parts, x[:, len(inputs.columns) :]], axis=1).astype(np.float32)


def _logistic(
    inputs: Inputs, x: NDArray[Any], y: NDArray[Any], test_x: NDArray[Any], classes: int
) -> NDArray[np.float64]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils._testing import ignore_warnings

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=100, tol=1e-3))
    with ignore_warnings(category=ConvergenceWarning):
        model.fit(design(inputs, x), y)
    return _spread(model.predict_proba(design(inputs, test_x)), model.classes_, classes)


def _boosting(
    inputs: Inputs, x: NDArray[Any], y: NDArray[Any], test_x: NDArray[Any], classes: int, seed: int
) -> NDArray[np.float64]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=100 if classes == 2 else 40,
        early_stopping=True,
        random_state=stream_seed(seed, "gradient-boosting"),
    )
    flat, flat_test = x.reshape(len(x), -1), test_x.reshape(len(test_x), -1)
    model.fit(flat, y)
    return _spread(model.predict_proba(flat_test), model.classes_, classes)


def _spread(p: NDArray[np.float64], present: Sequence[int], classes: int) -> NDArray[np.float64]:
    """Give classes absent from the fitted rows a column of zeros."""
    whole = np.zeros((len(p), classes))
    whole[:, np.asarray(present, dtype=int)] = p
    return whole
