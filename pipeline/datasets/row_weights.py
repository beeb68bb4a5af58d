"""How much each row counts in training: a column of numbers, checked, and 1 on average over the training rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import SplitName
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.strict import nearest
from pipeline.datasets.labels import Labels

_WITHOUT_COLUMNS = {
    "digits": "the built-in digits have no columns",
    "idx": "idx files have no columns",
    "npz": "arrays of an .npz file have no columns",
    "images": "image files by class have no columns; data.format=image_table reads a table of their paths",
    "forecast": "a forecast learns from windows of many rows, which have no weight of their own",
}


def refuse_without_columns(settings: DataSettings) -> None:
    """Refuse data.weight for data whose rows are not lines of a table."""
    if settings.weight is not None and (why := _WITHOUT_COLUMNS.get(settings.format)):
        raise ConfigError(f"data.weight: {why}", fix="leave data.weight out")


def read_weights(settings: DataSettings, frame: pd.DataFrame, where: str) -> NDArray[np.float64] | None:
    """Return the weight of every row (N,) as in the file, or None where data.weight names no column.

    Args:
        settings: names the column.
        frame: all rows as text, None where missing; the index says where a row stands.
        where: the file, for messages.

    Raises:
        DataError: no such column, a weight that is no finite number of at least 0, or none above 0.
    """
    name = settings.weight
    if name is None:
        return None
    if name not in frame:
        columns = [str(c) for c in frame.columns if not str(c).startswith("(")]
        near = nearest(name, columns)
        fix = f"did you mean '{near}'?" if near else f"columns: {', '.join(columns[:20])}"
        raise DataError(f"{where}: no column '{name}' (data.weight)", fix=fix)
    cells = frame[name]
    numbers = np.array(pd.to_numeric(cells, errors="coerce"), dtype=np.float64)
    right = (numbers >= 0) & (numbers <= np.finfo(np.float32).max)  # a comparison with NaN is false
    if not right.all():
        at = int(np.argmin(right))
        found = "nothing" if cells.iloc[at] is None else repr(cells.iloc[at])
        raise DataError(
            f"{where}: '{name}' (data.weight) is no number of at least 0 in {(~right).sum():,} rows, the first is "
            f"{cells.index[at]} with {found}",
            fix="repair these cells; a row that shall not count has weight 0",
        )
    if not numbers.any():
        raise DataError(f"{where}: '{name}' (data.weight) is 0 in every row", fix="give rows that count more than 0")
    return numbers


def even_weights(
    settings: DataSettings, labels: Labels, rows: Mapping[SplitName, tuple[NDArray[Any], NDArray[np.float64] | None]]
) -> tuple[dict[SplitName, NDArray[np.float32]], list[str]]:
    """Return the weights of each split divided by their training mean, and a note.

    `rows` are the targets and the weights of each split. With a mean of 1 the size of a step, and what it weighs
    against penalties, does not depend on the unit of the weights. One weight for all training rows is none.
    """
    weights = {split: weight for split, (_, weight) in rows.items() if weight is not None}
    if "train" not in weights:
        return {}, []
    train, mean = weights["train"], float(weights["train"].mean())
    if not mean:
        raise DataError(f"{settings.name} train: '{settings.weight}' (data.weight) is 0 in all {len(train):,} rows",
                        fix="give training rows that count more than 0")  # fmt: skip
    if (train == train[0]).all():
        return {}, [f"'{settings.weight}' (data.weight) is {mean:.6g} in all {len(train):,} training rows: they count "
                    "the same, as without it; it is no input"]  # fmt: skip
    counted = rows["train"][0][train > 0]
    alike = (counted == counted[0]).all(axis=0)
    if alike.any() if labels.task == "regression" else labels.task != "multilabel" and alike.all():
        raise DataError(
            f"{settings.name} train: all {len(counted):,} rows with a weight above 0 ('{settings.weight}', "
            "data.weight) have the same target",
            fix="give rows of other targets a weight above 0",
        )
    worth = train.sum() ** 2 / np.square(train).sum()
    none = f", {(train == 0).sum():,} of them not at all" if (train == 0).any() else ""
    note = (
        f"training rows count by '{settings.weight}' (data.weight, mean {mean:.6g}), which is no input{none}; together "
        f"they are worth {worth:,.0f} equal rows of {len(train):,} (Kish 1965); scores on validation and test rows, "
        "and their intervals, count every row alike"
    )
    return {split: (weight / mean).astype(np.float32) for split, weight in weights.items()}, [note]
