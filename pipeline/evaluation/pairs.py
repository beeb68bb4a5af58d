"""Two runs on the same test rows: what tells whether the rows are the same, and differences paired by row.

Legend: N rows, K outputs.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import TASKS, DatasetCard, Number
from pipeline.evaluation.judges import Judge
from pipeline.evaluation.stored import Said
from pipeline.metrics.intervals import mean

Values = NDArray[np.float64]
_SMALLEST = 1e-12
"""As in metrics/scores.py."""
_NOT_PAIRED = "no paired interval for this metric"


def rows_digest(card: DatasetCard, said: Said) -> str:
    """Return the SHA-256 over the task, what is predicted, and id and truth of each test row, in their order."""
    names = card.classes or [target.name for target in card.targets]
    about = [card.task, list(names), said.rows["row_id"].astype(str).tolist()]
    whole = hashlib.sha256(json.dumps(about, ensure_ascii=False).encode())
    whole.update(np.ascontiguousarray(said.y, dtype=np.float64).tobytes())
    return whole.hexdigest()


def paired_gains(
    card: DatasetCard,
    judge: Judge,
    ours: tuple[Said, Mapping[str, Number]],
    theirs: tuple[Said, Mapping[str, Number]],
    level: float,
) -> dict[str, Number]:
    """Return each metric of one run minus that of the other, from predictions and metrics of both.

    The headline metric is paired as the judge pairs it. Means over rows are means of differences, with the interval of
    a mean. Of the others the difference has no interval: the two runs do not speak of independent rows.
    """
    (one, metrics), (two, others) = ours, theirs
    headline = TASKS[card.task].headline
    mine, yours = row_values(card, one.y, one.p), row_values(card, two.y, two.p)
    found = {}
    for name, number in metrics.items():
        other = others.get(name)
        if name == headline:
            found[name] = judge.gain(one.p, two.p, "compare")
        elif other is None or number.value is None or other.value is None:
            found[name] = Number(value=None, n=number.n, reason="one of the runs has no value")
        elif name in mine:
            found[name] = replace(mean(mine[name] - yours[name], level), unit=number.unit)
        else:
            found[name] = Number(value=number.value - other.value, n=number.n, unit=number.unit, reason=_NOT_PAIRED)
    return found


def row_values(card: DatasetCard, y: NDArray[Any], p: Values) -> Mapping[str, Values]:
    """Return what each row (N,) brings to those metrics that are means over rows."""
    match card.task:
        case "binary" | "multiclass":
            return _of_classes(y, p)
        case "multilabel":
            return _of_labels(y, p)
        case "regression" if p.shape[1] == 1:
            error = (p - y)[:, 0]
            return {"mae": np.abs(error), "bias": error}
    return {}


def _of_classes(y: NDArray[np.int64], p: Values) -> dict[str, Values]:
    losses = -np.log(np.maximum(p[np.arange(len(y)), y], _SMALLEST))
    return {"log_loss": losses, "brier": ((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1)}


def _of_labels(y: NDArray[np.int64], p: Values) -> dict[str, Values]:
    chance, right = np.where(y == 1, p, 1 - p), (y == 1) == (p >= 0.5)
    return {
        "log_loss": -np.log(np.maximum(chance, _SMALLEST)).mean(axis=1),
        "brier": ((1 - chance) ** 2).mean(axis=1),
        "label_accuracy": right.mean(axis=1),
        "subset_accuracy": right.all(axis=1).astype(float),
    }
