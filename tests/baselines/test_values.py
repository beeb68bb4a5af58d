"""Baselines of numbers and label sets learn what is there, in the units they were given."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from pipeline.baselines import baseline_label_sets, baseline_values, values
from pipeline.baselines.label_sets import refused_label_sets
from pipeline.core.contracts import CategoricalColumn, ImageInputs, NumericColumn, TableInputs, TextInputs
from pipeline.core.errors import ConfigError

TABLE = TableInputs(
    columns=(
        NumericColumn(name="a", edges=(0.0, 1.0), median=0.5, missing=False),
        NumericColumn(name="b", edges=(0.0, 1.0), median=0.5, missing=False),
        CategoricalColumn(name="c", categories=("x", "y"), mode=1),
    )
)
TEXT = TextInputs(length=6, vocabulary=tuple("abcdefgh"))
IMAGE = ImageInputs(channels=1, height=40, width=40, mean=(0.5,), std=(0.5,))


def rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.stack([rng.random(n), rng.random(n) * 1000, rng.integers(3, size=n)], 1).astype(np.float32)
    linear = 2 * x[:, 0] + 0.01 * x[:, 1] - 3 * (x[:, 2] == 1)
    return x, np.stack([linear + rng.normal(0, 0.1, n), 1e6 + 1e5 * (x[:, 0] > 0.5)], 1)


def r2(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    return np.asarray(1 - ((p - y) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0))


def test_the_mean_is_of_training() -> None:
    x, y = rows(50, 0)
    assert baseline_values("mean", TABLE, (x, y), x[:3], 7) == pytest.approx(np.tile(y.mean(0), (3, 1)))


def test_they_learn_in_raw_units() -> None:
    train, (x, y) = rows(600, 0), rows(300, 1)
    ridge = r2(y, baseline_values("ridge", TABLE, train, x, 7))
    assert ridge[0] > 0.99
    assert 0.6 < ridge[1] < 0.85  # a step is not linear
    assert (r2(y, baseline_values("gradient_boosting", TABLE, train, x, 7)) > 0.97).all()


@pytest.mark.parametrize("name", ["mean", "ridge", "gradient_boosting"])
def test_one_target_is_a_column_and_runs_repeat(name: str) -> None:
    x, y = rows(60, 0)
    first = baseline_values(name, TABLE, (x, y[:, :1]), x[:9], 7)
    assert first.shape == (9, 1)
    assert (first == baseline_values(name, TABLE, (x, y[:, :1]), x[:9], 7)).all()
    assert np.isfinite(baseline_values(name, TABLE, (x[:3], y[:3]), x[:9], 7)).all()


def texts(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.integers(2, 10, size=(n, 6)).astype(np.int32)
    return x, ((x == 2).sum(1) - (x == 3).sum(1))[:, None].astype(float)


@pytest.mark.parametrize("name", ["ridge", "gradient_boosting"])
def test_they_learn_from_texts(name: str) -> None:
    x, y = texts(200, 1)
    assert (r2(y, baseline_values(name, TEXT, texts(600, 0), x, 7)) > 0.75).all()


def test_many_features_take_the_solver_without_decomposition(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    bright = rng.random((90, 3))
    x = np.clip(bright[:, :1, None, None] * 200 + rng.normal(0, 5, (90, 1, 40, 40)), 0, 255).astype(np.uint8)
    exact = baseline_values("ridge", IMAGE, (x[:60], bright[:60]), x[60:], 7)
    assert r2(bright[60:], exact)[0] > 0.95
    monkeypatch.setattr(values, "_EXACT", 10)
    monkeypatch.setattr("sklearn.linear_model.RidgeCV", None)  # must not be called
    found = baseline_values("ridge", IMAGE, (x[:60], bright[:60]), x[60:], 7)
    assert r2(bright[60:], found)[0] > 0.95
    assert np.abs(found[:, 1:] - bright[:60, 1:].mean(0)).max() < 0.5  # noise alone: a strong penalty


def test_ridge_is_scikit_learns_on_standardised_features() -> None:
    (x, y), (later, _) = rows(100, 0), rows(20, 1)

    def whole(x: np.ndarray) -> np.ndarray:
        return np.concatenate([x[:, :2], np.eye(3)[x[:, 2].astype(int)]], 1)

    mean, std = whole(x).mean(0), whole(x).std(0)
    model = RidgeCV(values.ALPHAS, alpha_per_target=True).fit((whole(x) - mean) / std, y)
    assert baseline_values("ridge", TABLE, (x, y), later, 7) == pytest.approx(
        model.predict((whole(later) - mean) / std), rel=1e-3
    )


def labels(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    x, _ = rows(n, seed)
    y = np.stack([x[:, 0] > 0.5, x[:, 1] > 600, x[:, 0] > -1, x[:, 0] > 2, np.arange(n) == 0], 1)
    return x, y.astype(np.int64)


def test_majority_is_each_labels_share() -> None:
    x, y = labels(200, 0)
    assert baseline_label_sets("majority", TABLE, (x, y), x[:4], 7) == pytest.approx(np.tile(y.mean(0), (4, 1)))


@pytest.mark.parametrize("name", ["logistic_regression", "gradient_boosting"])
def test_label_sets_are_learned_and_one_valued_labels_kept(name: str) -> None:
    x, y = labels(300, 1)
    p = baseline_label_sets(name, TABLE, labels(600, 0), x, 7)
    assert p.shape == (300, 5)
    assert ((p >= 0) & (p <= 1)).all()
    assert ((p[:, :2] >= 0.5) == y[:, :2]).mean(0) == pytest.approx(np.ones(2), abs=0.08)
    assert (p[:, 2] == 1).all()
    assert (p[:, 3] == 0).all()
    assert p[:, 4].mean() < 0.1  # one row of 600


def test_boosting_refuses_many_labels() -> None:
    x, y = rows(30, 0)[0], np.zeros((30, 21), int)
    assert refused_label_sets("gradient_boosting", 20) is None
    assert refused_label_sets("logistic_regression", 500) is None
    with pytest.raises(ConfigError, match="21 labels, it is fitted for at most 20"):
        baseline_label_sets("gradient_boosting", TABLE, (x, y), x, 7)


def test_an_unknown_name_is_refused() -> None:
    x, y = rows(30, 0)
    with pytest.raises(ValueError, match="unknown baseline magic"):
        baseline_values("magic", TABLE, (x, y), x, 7)
    with pytest.raises(ValueError, match="unknown baseline magic"):
        baseline_label_sets("magic", TABLE, (x, y.astype(int)), x, 7)
