"""Does the model know anything? Pictures of one that does not describe noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import DatasetCard
from pipeline.metrics.intervals import wilson


def no_better_than_guessing(card: DatasetCard, y: NDArray[Any], p: NDArray[np.float64]) -> list[str]:
    """Return a warning when the model knows nothing: then pictures of it describe noise."""
    if card.task in ("binary", "multiclass"):
        right = int((p.argmax(1) == y).sum())
        if wilson(right, len(y))[0] <= np.bincount(y).max() / len(y):
            return ["the model is not better than always guessing the largest class: these pictures describe noise"]
    if (
        card.task == "regression"
        and (np.abs(p - y).mean(axis=0) >= np.abs(y - np.median(y, axis=0)).mean(axis=0)).all()
    ):
        return ["the model is not better than always guessing the median: these pictures describe noise"]
    return []
