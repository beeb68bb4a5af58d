"""Which simple model is had for which data: one list for evaluate's baselines and for the members of an ensemble."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.baselines.classification import baseline_probabilities
from pipeline.baselines.forecasts import baseline_forecasts
from pipeline.baselines.label_sets import MOST_BOOSTED, baseline_label_sets
from pipeline.baselines.values import baseline_values
from pipeline.core.contracts import ForecastInputs, Inputs, SeriesInputs, Task, TextInputs

Values = NDArray[np.float64]

_CLASSES = {"constant": "majority", "linear": "logistic_regression", "ngram_svm": "ngram_svm",
            "gradient_boosting": "gradient_boosting", "random_kernels": "random_kernels"}  # fmt: skip
NAMES: Mapping[Task, Mapping[str, str]] = {
    "binary": _CLASSES,
    "multiclass": _CLASSES,
    "multilabel": {
        "constant": "majority", "linear": "logistic_regression", "gradient_boosting": "gradient_boosting",
    },
    "regression": {
        "constant": "mean", "linear": "ridge", "gradient_boosting": "gradient_boosting",
        "random_kernels": "random_kernels",
    },
    "forecast": {"constant": "last_value", "linear": "ridge", "seasonal": "seasonal_naive"},
}  # fmt: skip
"""{kind of evaluate.baselines and search.members: what the model of this kind is called}, by task."""


def name_of(kind: str, task: Task, inputs: Inputs, outputs: int) -> str | None:
    """Return the name of the simple model of a kind for such data, None where there is none."""
    reads = {"random_kernels": SeriesInputs, "ngram_svm": TextInputs}.get(kind)
    if reads is not None and not isinstance(inputs, reads):
        return None
    if kind == "gradient_boosting" and task != "regression" and outputs > MOST_BOOSTED:
        return None
    if kind == "seasonal" and isinstance(inputs, ForecastInputs) and not 1 <= (inputs.season or 0) <= inputs.window:
        return None
    return NAMES[task].get(kind)


def fitted(
    name: str,
    about: tuple[Task, Inputs, int],
    train: tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None],
    asked_x: NDArray[Any],
    seed: int,
) -> Values:
    """Fit the simple model `name` on train (x (N, …), y, how much each row counts); return what it says of `asked_x`.

    `about`: task, inputs and outputs K. The answer (M, K) is probabilities, or values in the units of y; of forecasts,
    whose x are windows and whose y are (N, H · T), it is (M, H · T), and rows have no weights.
    """
    (task, inputs, outputs), (x, y, weight) = about, train
    match task:
        case "binary" | "multiclass":
            return baseline_probabilities(name, inputs, (x, y), asked_x, outputs, seed, weight)
        case "multilabel":
            return baseline_label_sets(name, inputs, (x, y), asked_x, seed, weight)
        case "regression":
            return baseline_values(name, inputs, (x, y), asked_x, seed, weight)
        case "forecast":
            assert isinstance(inputs, ForecastInputs)
            future = y.reshape(len(y), inputs.horizon, inputs.targets)
            past, asked = x[:, :, : inputs.window], asked_x[:, :, : inputs.window]
            found = baseline_forecasts(name, (past, future), asked, inputs.horizon, inputs.season, seed)
            return np.asarray(found.reshape(len(found), -1))
