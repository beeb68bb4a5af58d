"""Whether inputs, or what the network makes of them, give the groups away."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import DatasetCard, Proxy, TableInputs, TextInputs
from pipeline.core.seeds import stream
from pipeline.core.store import TRAIN
from pipeline.datasets import Split
from pipeline.metrics.proxies import probed
from pipeline.training.predict import features_of
from pipeline.training.weights import load_model


def probes(card: DatasetCard, val: Split, seed: int, level: float) -> Iterator[Proxy]:
    """Return how well inputs, and what the network makes of them, tell the groups of validation rows."""
    people = [feature for feature in card.audit if feature.role == "sensitive"]
    if not people or card.task == "forecast":
        return
    names = [column.name for column in card.inputs.columns] if isinstance(card.inputs, TableInputs) else []
    seen = {"inputs": (flat_inputs(card, val.x), names)}
    seen["features of the network"] = (features_of(load_model(TRAIN)[0], val.x), [])
    for feature in people:
        group = val.rows[f"audit.{feature.name}"].to_numpy(object)
        for source, (x, columns) in seen.items():
            rng = stream(seed, "fairness", "probe", feature.name, source)
            yield probed(feature.name, source, x, group, rng, level, columns)


def flat_inputs(card: DatasetCard, x: NDArray[Any]) -> NDArray[np.float64]:
    """Return inputs as columns (N, C): of tables one per column, of texts counts of the 512 most frequent words."""
    if isinstance(card.inputs, TableInputs):
        return np.asarray(x[:, : len(card.inputs.columns)], dtype=np.float64)
    if isinstance(card.inputs, TextInputs):
        counts = np.zeros((len(x), 514))
        for row, words in enumerate(x):
            np.add.at(counts[row], words[words < 514], 1)
        return counts[:, 1:]
    return np.nan_to_num(np.asarray(x, dtype=np.float64).reshape(len(x), -1))
