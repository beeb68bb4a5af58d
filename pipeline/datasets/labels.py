"""Cells of the target to what a network learns: the task follows from them unless it is declared."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import SplitName, Target, Task
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.splits import check_classes
from pipeline.datasets.table_encoding import as_numbers

_MOST_NUMBER_CLASSES = 20
"""Whole numbers with more different values than this are taken for a quantity, not for classes."""
_STRATA = 10


@dataclass(frozen=True)
class Labels:
    """The task and what is to be predicted of every row."""

    task: Task
    classes: tuple[str, ...]
    names: tuple[str, ...]
    """Of the numbers to predict."""
    y: NDArray[Any]
    """Class numbers (N,), labels (N, K) of 0 and 1, or numbers (N, T) in raw units."""
    forecast: tuple[Target, ...] = ()
    """Forecasts: the targets, fitted on training steps."""

    @property
    def strata(self) -> NDArray[np.int64] | None:
        """Class, bin of the first number, or rarest label of each row: splits are to resemble each other in it."""
        if self.task in ("binary", "multiclass"):
            return np.asarray(self.y, dtype=np.int64)
        if self.task == "regression":
            edges = np.quantile(self.y[:, 0], np.arange(1, _STRATA) / _STRATA)
            return np.asarray(np.digitize(self.y[:, 0], edges), dtype=np.int64)
        order = np.argsort(self.y.sum(axis=0), kind="stable")
        return np.asarray(np.where(self.y.any(axis=1), self.y[:, order].argmax(axis=1) + 1, 0), dtype=np.int64)

    def targets(self, train: NDArray[Any], weight: NDArray[Any] | None = None) -> tuple[Target, ...]:
        """Return the numbers to predict with mean and deviation of the training rows, as much as each counts."""
        if self.task != "regression":
            return self.forecast
        found = []
        for name, values in zip(self.names, train.T, strict=True):
            mean, std = values.mean(), values.std()
            if weight is not None:
                mean = np.average(values, weights=weight)
                std = np.sqrt(np.average((values - mean) ** 2, weights=weight))
            found.append(Target(name=name, mean=float(mean), std=max(float(std), 1e-12)))
        return tuple(found)

    def counts(self, y: Mapping[SplitName, NDArray[Any]]) -> dict[str, tuple[int, ...]]:
        """Return rows per split and class or label."""
        if self.task in ("regression", "forecast"):
            return {}
        if self.task == "multilabel":
            return {split: tuple(int(n) for n in rows.sum(axis=0)) for split, rows in y.items()}
        return {s: tuple(int(n) for n in np.bincount(rows, minlength=len(self.classes))) for s, rows in y.items()}


def read_labels(
    settings: DataSettings, cells: pd.DataFrame, given: NDArray[np.object_], where: str, least: int = 3
) -> Labels:
    """Return the labels of all rows; `cells` are the target columns as text, None where missing.

    `least` rows of every class are needed.
    """
    for name in cells.columns:
        gone = np.flatnonzero(cells[name].isna())
        if len(gone):
            first = cells.index[gone[0]]
            raise DataError(f"{where}: {len(gone):,} rows have no label in '{name}', the first is {first}",
                            fix="remove or label these rows")  # fmt: skip
    task = settings.task or inferred_task(settings, cells)
    if task == "regression":
        return _numbers(cells, where)
    if task == "multilabel":
        return _label_sets(settings, cells, given, where)
    if len(cells.columns) > 1:
        raise ConfigError(f"data.target: {len(cells.columns)} columns, but data.task={task}", fix="name one column")
    labels = cells.iloc[:, 0].astype(str)
    found = sorted(set(labels[given != "test"]))
    classes = settings.classes or tuple(found)
    y = codes(labels, classes, where)
    check_classes(y[given != "test"], classes, where, least, cells.index[given != "test"])
    if task == "binary" and len(classes) != 2:
        raise ConfigError(f"data.task: binary, but there are {len(classes)} classes", fix="leave data.task out")
    return Labels("binary" if len(classes) == 2 else "multiclass", classes, (), y)


def inferred_task(settings: DataSettings, cells: pd.DataFrame) -> Task:
    """Return the task that target cells suggest.

    A separator means label sets. Columns of 0 and 1 alone are labels, other columns of numbers are quantities when
    they have fractions or more than 20 different values; everything else is a class.
    """
    if settings.label_separator:
        return "multilabel"
    numbers = [as_numbers(cells[name]) for name in cells.columns]
    if settings.classes:
        return "multiclass"
    if len(numbers) > 1:
        if all(n is not None and set(np.unique(n)) <= {0.0, 1.0} for n in numbers):
            return "multilabel"
        if all(n is not None for n in numbers):
            return "regression"
        raise ConfigError("data.target: several columns that are not all numbers", fix="name one column, or numbers")
    values = numbers[0]
    if values is None:
        return "multiclass"
    distinct = np.unique(values)
    fractions = bool((distinct != np.round(distinct)).any())
    return "regression" if fractions or len(distinct) > _MOST_NUMBER_CLASSES else "multiclass"


def codes(labels: pd.Series, classes: tuple[str, ...], where: str) -> NDArray[np.int64]:
    """Return class numbers (N,); a label that is not among the classes is refused."""
    numbers = labels.map({name: i for i, name in enumerate(classes)})
    if numbers.isna().any():
        strange = labels[numbers.isna()]
        raise DataError(
            f"{where}: label '{strange.iloc[0]}' is not among the classes {', '.join(classes[:10])} ({len(strange):,} "
            f"rows have such labels, the first is {strange.index[0]})",
            fix="list it in data.classes, or check data.strip_label",
        )
    return np.asarray(numbers, dtype=np.int64)


def _numbers(cells: pd.DataFrame, where: str) -> Labels:
    columns = []
    for name in cells.columns:
        numbers = as_numbers(cells[name])
        if numbers is None:
            wrong = pd.to_numeric(cells[name], errors="coerce").isna()
            first = cells.index[int(np.argmax(wrong.to_numpy()))]
            raise DataError(f"{where}: '{name}' of row {first} is no number: {cells.loc[first, name]!r}",
                            fix="repair the cell, or declare data.task")  # fmt: skip
        if (large := np.abs(numbers) > np.finfo(np.float32).max).any():
            first = cells.index[int(large.argmax())]
            raise DataError(f"{where}: target '{name}' is too large for 32 bits in {large.sum():,} rows, the first is "
                            f"{first}", fix="write it in a larger unit")  # fmt: skip
        if np.ptp(numbers) == 0:
            raise DataError(f"{where}: target '{name}' is {numbers[0]:g} in every row", fix="name another target")
        columns.append(numbers)
    return Labels("regression", (), tuple(str(c) for c in cells.columns), np.stack(columns, axis=1))


def _label_sets(settings: DataSettings, cells: pd.DataFrame, given: NDArray[np.object_], where: str) -> Labels:
    if settings.label_separator:
        if len(cells.columns) > 1:
            raise ConfigError("data.label_separator: several target columns", fix="name one column in data.target")
        sets = [{s.strip() for s in str(v).split(settings.label_separator)} - {""} for v in cells.iloc[:, 0]]
        known = [s for s, split in zip(sets, given, strict=True) if split != "test"]
        classes = settings.classes or tuple(sorted(set().union(*known)))
        strange = sorted(set().union(*sets) - set(classes))
        if strange:
            having = [i for i, held in enumerate(sets) if held & set(strange)]
            raise DataError(f"{where}: label '{strange[0]}' is not among the labels {', '.join(classes[:10])} "
                            f"({len(having):,} rows have such labels, the first is {cells.index[having[0]]})",
                            fix="list it in data.classes")  # fmt: skip
        y = np.array([[name in held for name in classes] for held in sets], dtype=np.int64)
    else:
        classes = tuple(str(c) for c in cells.columns)
        values = np.stack([pd.to_numeric(cells[name], errors="coerce") for name in cells.columns], axis=1)
        wrong = ~np.isin(values, (0.0, 1.0))
        for name, strange in zip(classes, wrong.T, strict=True):
            if strange.any():
                first = cells.index[int(strange.argmax())]
                raise DataError(f"{where}: label column '{name}' holds other values than 0 and 1 in {strange.sum():,} "
                                f"rows, the first is {first}", fix="repair them")  # fmt: skip
        y = values.astype(np.int64)
    held = y[given != "test"].sum(axis=0)
    for name, n in zip(classes, held, strict=True):
        if n < 3 or n == len(y):
            raise DataError(f"{where}: label '{name}' stands in {n} of {len(y):,} rows", fix="merge or remove it")
    return Labels("multilabel", classes, (), y)
