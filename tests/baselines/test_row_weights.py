"""Baselines count rows by weight: with 2 like two rows, and rows that hardly count say nothing."""

from typing import Any

import numpy as np
import pytest

from pipeline.baselines import baseline_label_sets, baseline_probabilities, baseline_values, kernels, subsample, values
from pipeline.core.contracts import Inputs
from tests.baselines.test_baselines import SERIES, TABLE, TEXT, rows, series, texts

TIMES = np.random.default_rng(0).integers(1, 4, size=300)


def found(task: str, name: str, inputs: Inputs, train: tuple[Any, Any], x: Any, weight: Any = None) -> np.ndarray:
    """Return predictions; numbers and label sets are made of the classes."""
    train_x, y = train
    classes = int(y.max()) + 1
    if task == "classes":
        return baseline_probabilities(name, inputs, train, x, classes, 7, weight)
    if task == "labels":
        return baseline_label_sets(name, inputs, (train_x, np.eye(classes, dtype=np.int64)[y]), x, 7, weight)
    return baseline_values(name, inputs, (train_x, 10 + np.eye(classes)[y]), x, 7, weight)


DATA: dict[str, tuple[Inputs, Any]] = {"table": (TABLE, rows), "text": (TEXT, texts), "series": (SERIES, series)}


@pytest.mark.parametrize(("task", "name"), [("classes", "majority"), ("labels", "majority"), ("numbers", "mean")])
def test_constants_of_weighed_rows_are_those_of_copies(task: str, name: str) -> None:
    x, y = rows(300, 0)
    copies = x.repeat(TIMES, 0), y.repeat(TIMES)
    weighed = found(task, name, TABLE, (x, y), x[:2], TIMES / TIMES.mean())
    assert weighed == pytest.approx(found(task, name, TABLE, copies, x[:2]))
    assert weighed != pytest.approx(found(task, name, TABLE, (x, y), x[:2]))


@pytest.mark.parametrize(
    ("task", "name", "data"),
    [
        ("classes", "logistic_regression", "table"),
        ("classes", "logistic_regression", "text"),
        ("classes", "gradient_boosting", "table"),
        ("classes", "ngram_svm", "text"),
        ("classes", "random_kernels", "series"),
        ("labels", "logistic_regression", "table"),
        ("labels", "gradient_boosting", "table"),
        ("labels", "random_kernels", "series"),
        ("numbers", "ridge", "table"),
        ("numbers", "ridge", "text"),
        ("numbers", "gradient_boosting", "table"),
        ("numbers", "random_kernels", "series"),
    ],
)
def test_rows_that_hardly_count_may_be_wrong(task: str, name: str, data: str) -> None:
    """A third of the rows have labels of another class; who believes them is off on new rows."""
    inputs, make = DATA[data]
    (x, y), (new_x, new_y) = make(300, 0), make(200, 1)
    classes = int(y.max()) + 1
    wrong = np.arange(300) % 3 == 0
    spoiled = np.where(wrong, (y + 1) % classes, y)
    weight = np.where(wrong, 1e-6, 1.0)

    def missed(weight: Any) -> float:
        target = np.eye(classes)[new_y] + (10 if task == "numbers" else 0)
        return float(np.square(found(task, name, inputs, (x, spoiled), new_x, weight / weight.mean()) - target).mean())

    assert missed(weight) < 0.8 * missed(np.ones(300))


def test_a_ridge_of_weighed_rows_is_that_of_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """At one penalty, and with features that are scaled alike."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(300, 4)), rng.normal(size=(300, 2))
    monkeypatch.setattr(kernels, "_SHARES", np.array([0.1]))
    _, weighed = kernels._ridge(x, x[:9], y, TIMES.astype(float))
    _, copies = kernels._ridge(x.repeat(TIMES, 0), x[:9], y.repeat(TIMES, 0), np.ones(TIMES.sum()))
    assert weighed == pytest.approx(copies)


def test_the_penalty_on_held_out_rows_counts_them_by_weight() -> None:
    """Two kinds of rows: a line where a small penalty is right, and noise where a large one is."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, 80))
    line = np.arange(400) % 2 == 0
    y = np.where(line, x[:, 0], 30 * rng.normal(size=400))[:, None]
    believed = values._held_out_alphas(x, y, 7, np.where(line, 1.0, 1e-9))
    assert believed[0] < values._held_out_alphas(x, y, 7, np.where(line, 1e-9, 1.0))[0]


def test_rows_of_weight_zero_are_never_drawn() -> None:
    y, weight = np.arange(100) % 3, np.where(np.arange(100) % 4, 1.5, 0.0)
    drawn = subsample(y, 30, 7, weight)
    assert len(drawn) == len(set(drawn)) == 30
    assert (weight[drawn] > 0).all()
    assert list(subsample(y, 99, 7, weight)) == list(np.flatnonzero(weight))
    assert list(subsample(y, 30, 7, np.ones(100))) == list(subsample(y, 30, 7))
