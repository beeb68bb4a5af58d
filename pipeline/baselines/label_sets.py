"""Baselines that predict sets of labels (N, K)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.baselines.designs import flat
from pipeline.baselines.kernels import kernel_label_sets
from pipeline.baselines.values import linear_features
from pipeline.core.contracts import Inputs, SeriesInputs, TextInputs
from pipeline.core.errors import ConfigError
from pipeline.core.seeds import stream_seed

MOST_BOOSTED = 20
"""Labels that boosting is fitted for, one model each."""
_FEW_ROWS = 10
"""With fewer rows on one side of a label none are held out to stop boosting early."""

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]
Weight = NDArray[Any] | None


def refused_label_sets(name: str, labels: int) -> str | None:
    """Return why baseline `name` is not fitted for so many labels, for the notes; none where it is."""
    if name == "gradient_boosting" and labels > MOST_BOOSTED:
        return f"gradient_boosting is left out: {labels} labels, it is fitted for at most {MOST_BOOSTED}"
    return None


def baseline_label_sets(
    name: str,
    inputs: Inputs,
    train: tuple[NDArray[Any], Labels],
    test_x: NDArray[Any],
    seed: int,
    weight: Weight = None,
) -> Probabilities:
    """Fit baseline `name` on train (x (N, …), y (N, K) of 0 and 1) and return probabilities (M, K) for `test_x`.

    "majority" gives each label its training share; "logistic_regression" and "gradient_boosting" fit one model per
    label, independent of the others (binary relevance); "random_kernels" is of series. A label with one value in
    training keeps its share, 0 or 1. `weight` (N,) says how much each row counts, above 0 and 1 on average.

    Raises:
        ConfigError: more labels than the baseline is fitted for, see `refused_label_sets`.
    """
    x, y = train
    if refused := refused_label_sets(name, y.shape[1]):
        raise ConfigError(refused, fix="leave gradient_boosting out of evaluate.baselines")
    p = np.tile(np.average(y, axis=0, weights=weight), (len(test_x), 1))
    varied = [k for k in range(y.shape[1]) if 0 < y[:, k].sum() < len(y)]
    match name:
        case "majority":
            return p
        case "logistic_regression":
            return _logistic(inputs, (x, y, weight), test_x, p, varied)
        case "gradient_boosting":
            return _boosting(inputs, (x, y, weight), test_x, p, (varied, seed))
        case "random_kernels" if isinstance(inputs, SeriesInputs):
            return kernel_label_sets(inputs, x, y, test_x, seed, weight)
    raise ValueError(f"unknown baseline {name}")


def _logistic(
    inputs: Inputs,
    train: tuple[NDArray[Any], Labels, Weight],
    test_x: NDArray[Any],
    p: Probabilities,
    varied: list[int],
) -> Probabilities:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.utils._testing import ignore_warnings

    x, y, weight = train
    features, test_features = linear_features(inputs, x, test_x)
    strength = 10 if isinstance(inputs, TextInputs) else 0.1
    with ignore_warnings(category=ConvergenceWarning):
        for k in varied:
            model = LogisticRegression(C=strength, max_iter=100, tol=1e-3).fit(features, y[:, k], weight)
            p[:, k] = model.predict_proba(test_features)[:, 1]
    return p


def _boosting(
    inputs: Inputs,
    train: tuple[NDArray[Any], Labels, Weight],
    test_x: NDArray[Any],
    p: Probabilities,
    which: tuple[list[int], int],
) -> Probabilities:
    from sklearn.ensemble import HistGradientBoostingClassifier

    (x, y, weight), (varied, seed) = train, which
    features, test_features = flat(inputs, x), flat(inputs, test_x)
    for k in varied:
        rare = min(y[:, k].sum(), len(y) - y[:, k].sum()) < _FEW_ROWS
        model = HistGradientBoostingClassifier(
            max_iter=20 if rare else 100,
            early_stopping=not rare,
            random_state=stream_seed(seed, "gradient-boosting", k),
        )
        p[:, k] = model.fit(features, y[:, k], weight).predict_proba(test_features)[:, 1]
    return p
