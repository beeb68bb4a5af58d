"""Baselines are real models: they learn, and they know their limits."""

import numpy as np
import pytest

from pipeline.baselines import baseline_probabilities, design, subsample, word_counts
from pipeline.baselines.designs import averaged, flat
from pipeline.core.contracts import CategoricalColumn, ImageInputs, NumericColumn, SeriesInputs, TableInputs, TextInputs

TABLE = TableInputs(
    columns=(
        NumericColumn(name="a", edges=(0.0, 1.0), median=0.5, missing=True),
        CategoricalColumn(name="b", categories=("x", "y"), mode=1),
    )
)
IMAGE = ImageInputs(channels=1, height=2, width=2, mean=(0.5,), std=(0.5,))


def rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.stack([rng.random(n), rng.integers(3, size=n), rng.integers(2, size=n)], 1).astype(np.float32)
    return x, ((x[:, 0] > 0.5) ^ (rng.random(n) < 0.05)).astype(np.int64)


@pytest.mark.parametrize(("name", "least"), [("logistic_regression", 0.88), ("gradient_boosting", 0.88)])
def test_they_learn(name: str, least: float) -> None:
    x, y = rows(400, 1)
    p = baseline_probabilities(name, TABLE, rows(600, 0), x, 3, 7)
    assert p.shape == (400, 3)
    assert p.sum(1) == pytest.approx(np.ones(400))
    assert (p[:, 2] == 0).all()  # a class that no fitted row has
    assert (p.argmax(1) == y).mean() > least


def test_the_majority_is_the_training_shares() -> None:
    p = baseline_probabilities("majority", TABLE, (np.zeros((4, 3)), np.array([0, 1, 1, 1])), np.zeros((2, 3)), 3, 7)
    assert p.tolist() == [[0.25, 0.75, 0.0]] * 2


def test_linear_models_see_one_column_per_category() -> None:
    x = np.array([[0.3, 2, 1], [0.7, 0, 0]], np.float32)
    assert design(TABLE, x).tolist() == pytest.approx(np.array([[0.3, 0, 0, 1, 1], [0.7, 1, 0, 0, 0]]))
    assert design(IMAGE, np.full((1, 1, 2, 2), 255, np.uint8)).tolist() == [[1, 1, 1, 1]]


def test_a_subsample_is_sorted_and_without_repetition() -> None:
    y = np.zeros(100, np.int64)
    found = subsample(y, 30, 1)
    assert len(set(found)) == 30
    assert list(found) == sorted(found)
    assert list(subsample(y, 100, 1)) == list(range(100))


TEXT = TextInputs(length=5, vocabulary=("a", "b", "c"))
SERIES = SeriesInputs(channels=("x",), length=8, mean=(1.0,), std=(2.0,))


def texts(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    x = rng.integers(3, 5, size=(n, 5))
    x[:, 0] = np.where(y == 1, 2, 1)
    return x.astype(np.int32), y


def series(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    x = rng.normal(size=(n, 1, 8)) + 2 * y[:, None, None]
    x[rng.random(x.shape) < 0.1] = np.nan
    return x.astype(np.float32), y


@pytest.mark.parametrize("name", ["logistic_regression", "gradient_boosting"])
def test_they_learn_from_texts_and_series(name: str) -> None:
    x, y = texts(100, 1)
    assert (baseline_probabilities(name, TEXT, texts(200, 0), x, 2, 7).argmax(1) == y).mean() > 0.95
    x, y = series(100, 1)
    assert (baseline_probabilities(name, SERIES, series(300, 0), x, 2, 7).argmax(1) == y).mean() > 0.9


def test_word_counts_leave_padding_out() -> None:
    counts = word_counts(TEXT, np.array([[2, 2, 1, 0, 0], [4, 0, 0, 0, 0]]))
    assert counts.toarray().tolist() == [[0, 1, 2, 0, 0], [0, 0, 0, 0, 1]]


def test_missing_steps_are_the_mean_of_a_linear_model() -> None:
    x = np.full((1, 1, 8), np.nan, np.float32)
    x[0, 0, 0] = 5.0
    assert design(SERIES, x).tolist() == [[2.0] + [0.0] * 7]


def test_boosting_can_do_with_one_row_of_a_class() -> None:
    x, y = rows(60, 0)
    y[0] = 2
    p = baseline_probabilities("gradient_boosting", TABLE, (x, y), x, 3, 7)
    assert p.sum(1) == pytest.approx(np.ones(60))


def test_trees_see_large_images_averaged() -> None:
    x = np.arange(2 * 3 * 5 * 6, dtype=np.uint8).reshape(2, 3, 5, 6)
    small = averaged(x, 2)
    assert small.shape == (2, 3, 2, 3)
    assert small[1, 2, 1, 2] == int(x[1, 2, 2:4, 4:6].sum()) // 4
    assert averaged(x, 1) is x
    inputs = ImageInputs(channels=1, height=32, width=20, mean=(0.0,), std=(1.0,))
    assert flat(inputs, np.zeros((4, 1, 32, 20), np.uint8)).shape == (4, 16 * 10)
