"""Baselines that predict numbers (N, T)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.baselines.designs import design, flat, word_counts
from pipeline.baselines.kernels import kernel_values
from pipeline.core.contracts import Inputs, SeriesInputs, TextInputs
from pipeline.core.seeds import stream, stream_seed

Values = NDArray[np.float64]
Weight = NDArray[Any] | None

ALPHAS = np.logspace(-2, 5, 8)
"""Penalties tried; features are standardised, so that they mean the same in all data."""
_EXACT = 1000
"""Up to this many features (or rows) the penalty is chosen by leave-one-out, which needs a decomposition."""
_FEW_ROWS = 20
"""Below, no rows are held out to stop boosting early."""


def baseline_values(
    name: str,
    inputs: Inputs,
    train: tuple[NDArray[Any], Values],
    test_x: NDArray[Any],
    seed: int,
    weight: Weight = None,
) -> Values:
    """Fit baseline `name` on train (x (N, …), y (N, T) in any units, finite) and return numbers (M, T) for `test_x`.

    "mean" is the training mean; "ridge" a linear model of the standardised features (of texts: TF-IDF) with one penalty
    per target; "gradient_boosting" one model of boosted trees per target. `weight` (N,) says how much each row counts,
    above 0 and 1 on average.
    """
    x, y = train
    match name:
        case "mean":
            return np.tile(np.average(y, axis=0, weights=weight), (len(test_x), 1))
        case "ridge":
            return _ridge(inputs, (x, y, weight), test_x, seed)
        case "gradient_boosting":
            return _boosting(inputs, (x, y, weight), test_x, seed)
        case "random_kernels" if isinstance(inputs, SeriesInputs):
            return kernel_values(inputs, x, y, test_x, seed, weight)
    raise ValueError(f"unknown baseline {name}")


def linear_features(inputs: Inputs, x: NDArray[Any], test_x: NDArray[Any]) -> tuple[Any, Any]:
    """Return the features of linear models for both, scaled as in training: sparse TF-IDF of texts, else (N, F)."""
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.preprocessing import StandardScaler

    if isinstance(inputs, TextInputs):
        words = TfidfTransformer(sublinear_tf=True)
        return words.fit_transform(word_counts(inputs, x)), words.transform(word_counts(inputs, test_x))
    scaler = StandardScaler()
    return scaler.fit_transform(design(inputs, x)), scaler.transform(design(inputs, test_x))


def _ridge(inputs: Inputs, train: tuple[NDArray[Any], Values, Weight], test_x: NDArray[Any], seed: int) -> Values:
    from sklearn.linear_model import Ridge, RidgeCV

    x, y, weight = train
    features, test_features = linear_features(inputs, x, test_x)
    if not isinstance(inputs, TextInputs) and min(features.shape) <= _EXACT:
        model = RidgeCV(ALPHAS, alpha_per_target=True).fit(features.astype(np.float64), y, sample_weight=weight)
        found = model.predict(test_features.astype(np.float64))
    else:
        # Leave-one-out would hold a matrix of rows × rows; an iterative solver and held-out rows stay fast.
        alphas = _held_out_alphas(features, y, seed, weight)
        found = Ridge(alphas, solver="lsqr", tol=1e-4).fit(features, y, sample_weight=weight).predict(test_features)
    return np.asarray(found, dtype=np.float64).reshape(len(test_x), y.shape[1])


def _held_out_alphas(features: Any, y: Values, seed: int, weight: Weight) -> Values:
    """Return the penalty (T,) of least squared error on a tenth of the rows."""
    from sklearn.linear_model import Ridge

    order = stream(seed, "ridge").permutation(len(y))
    off, kept = np.split(order, [max(1, len(y) // 10)])
    if not len(kept):
        return np.full(y.shape[1], ALPHAS[len(ALPHAS) // 2])
    errors = []
    off_weight, kept_weight = (None, None) if weight is None else (weight[off], weight[kept])
    for alpha in ALPHAS:
        model = Ridge(float(alpha), solver="lsqr", tol=1e-3).fit(features[kept], y[kept], sample_weight=kept_weight)
        missed = (model.predict(features[off]).reshape(len(off), -1) - y[off]) ** 2
        errors.append(np.average(missed, axis=0, weights=off_weight))
    return np.asarray(ALPHAS[np.argmin(errors, axis=0)])


def _boosting(inputs: Inputs, train: tuple[NDArray[Any], Values, Weight], test_x: NDArray[Any], seed: int) -> Values:
    from sklearn.ensemble import HistGradientBoostingRegressor

    x, y, weight = train
    features, test_features = flat(inputs, x), flat(inputs, test_x)
    found = np.empty((len(test_x), y.shape[1]))
    for k in range(y.shape[1]):
        model = HistGradientBoostingRegressor(
            max_iter=100,
            early_stopping=len(y) >= _FEW_ROWS,
            random_state=stream_seed(seed, "gradient-boosting", k),
        )
        found[:, k] = model.fit(features, y[:, k], sample_weight=weight).predict(test_features)
    return found
