"""Validation rows, predicted by a network that has not seen them: what thresholds, sets and intervals are made of."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.bounds import GAPS
from pipeline.core.contracts import DatasetCard, HeldOut, ThresholdAim
from pipeline.core.errors import ArtifactError
from pipeline.core.store import missing, read_record
from pipeline.metrics.conformal import (
    sorted_columns,
    strangeness_of_classes,
    strangeness_of_labels,
    strangeness_of_values,
)
from pipeline.metrics.group_thresholds import group_thresholds
from pipeline.metrics.thresholds import best_threshold
from pipeline.models import Network
from pipeline.training.data import Arrays, Data, Rows
from pipeline.training.heads import head_for
from pipeline.training.predict import predict, targets_of

_AIMS: tuple[ThresholdAim, ...] = ("balanced_accuracy", "f1")
_CELLS = 1_000_000
"""Most numbers kept (8 MB); of more rows every second, third, … is taken."""


def held_out(card: DatasetCard, data: Data, network: Network, *, refit: bool, ordered: bool) -> tuple[HeldOut, Any]:
    """Return the record and the sorted strangeness (N, C) of held-out rows under `network` (CPU, evaluation mode).

    `refit`: the network that is handed on is another one, trained with these rows too. `ordered`: later rows are in
    later splits.
    """
    split, rows = ("reserve", data.reserve) if data.reserve is not None else ("val", data.val)
    notes = []
    if split == "val":
        notes.append("calibrated on the validation rows that also chose the model: there are too few to keep some back")
    if refit:
        notes.append("calibrated with the network before it was trained once more with the validation rows")
    if ordered:
        notes.append("calibration rows lie before test rows in time: the promise holds as far as the future is alike")
    strange = strangeness(card, data, network, rows)
    thresholds, by_group, chosen_on = thresholds_of(card, data, network)
    record = HeldOut(
        split="reserve" if split == "reserve" else "val",
        rows=len(strange),
        thresholds=thresholds,
        threshold_rows=chosen_on,
        group_thresholds=by_group,
        notes=tuple(notes),
    )
    return record, strange


def strangeness(card: DatasetCard, data: Data, network: Network, rows: Arrays) -> NDArray[np.float64]:
    """Return how strange rows are (N, C), each column sorted."""
    step = max(1, -(-len(rows.y) * (1 if card.classes else card.outputs) // _CELLS))
    some = Arrays(rows.x if card.task == "forecast" else rows.x[::step], rows.y[::step])
    y, p = answered(card, data, network, some)
    match card.task:
        case "binary" | "multiclass":
            return sorted_columns(strangeness_of_classes(y, p))
        case "multilabel":
            return sorted_columns(strangeness_of_labels(y, p))
        case _:
            return sorted_columns(strangeness_of_values(y.astype(float), p))


def thresholds_of(
    card: DatasetCard, data: Data, network: Network
) -> tuple[dict[ThresholdAim, float], dict[str, dict[str, dict[str, float]]], int]:
    """Return the best threshold of two classes by aim, those by gap, feature and group, and the rows behind them.

    None where a class is missing. All validation rows count: few numbers are chosen, and sets do not depend on them.
    """
    if card.task != "binary":
        return {}, {}, 0
    parts = [rows for rows in (data.val, data.reserve) if rows is not None]
    found = [answered(card, data, network, rows) for rows in parts]
    y, p = (np.concatenate(said) for said in zip(*found, strict=True))
    groups = {name: np.concatenate([rows.groups[name] for rows in parts]) for name in data.val.groups}
    by_gap = {gap: {name: group_thresholds(gap, y == 1, p[:, 1], group) for name, group in groups.items()}
              for gap in GAPS}  # fmt: skip
    by_group = {gap: {name: some for name, some in of.items() if some is not None} for gap, of in by_gap.items()}
    best = {aim: best_threshold(y == 1, p[:, 1], aim) for aim in _AIMS}
    return {aim: value for aim, value in best.items() if value is not None}, by_group, len(y)


def answered(
    card: DatasetCard, data: Data, network: Network, arrays: Arrays
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return true and predicted values of packed rows."""
    rows = Rows(arrays.x, arrays.y, data.inputs, "cpu")
    return targets_of(rows), predict(network, rows, head_for(card.task, card.inputs, card.targets))


def load_held_out(folder: Path) -> tuple[HeldOut, NDArray[np.float64]]:
    """Return held_out.json and the sorted strangeness (N, C) beside it.

    Raises:
        ArtifactError: one is missing or damaged, or they do not belong together.
    """
    record, path = read_record(HeldOut, folder / "held_out.json"), folder / "held_out.npy"
    try:
        strange = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise missing(path) from None
    except (OSError, ValueError) as wrong:
        raise ArtifactError(f"{path}: damaged ({wrong})", fix="run `dvc repro train`") from None
    if strange.ndim != 2 or len(strange) != record.rows:
        raise ArtifactError(f"{path}: not the rows that held_out.json describes", fix="run `dvc repro train`")
    return record, strange
