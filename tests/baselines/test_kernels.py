"""Random kernels as a baseline: they learn what a linear model of the steps cannot, and the seed decides them."""

from typing import Any

import numpy as np
import pytest

from pipeline.baselines import baseline_label_sets, baseline_probabilities, baseline_values
from pipeline.baselines.kernels import kernel_features
from pipeline.core.contracts import SeriesInputs

INPUTS = SeriesInputs(channels=("x", "y"), length=40, mean=(0.0, 0.1), std=(1.0, 2.0))


def waves(n: int, seed: int) -> tuple[Any, Any]:
    """Series of unequal length whose class is the frequency of one channel, the phase being random."""
    rng = np.random.default_rng(seed)
    y, steps = rng.integers(3, size=n), np.arange(40)
    x = rng.normal(size=(n, 2, 40))
    x[:, 1] = 3 * np.sin(rng.uniform(0, 6.3, (n, 1)) + steps * (0.2 + 0.3 * y[:, None])) + 0.5 * x[:, 1]
    x[np.broadcast_to(steps >= rng.integers(28, 41, (n, 1, 1)), x.shape)] = np.nan
    return x.astype(np.float32), y


def test_they_learn_what_a_linear_model_of_the_steps_cannot() -> None:
    train, (x, y) = waves(90, 0), waves(90, 1)
    p = baseline_probabilities("random_kernels", INPUTS, train, x, 4, 7)
    linear = baseline_probabilities("logistic_regression", INPUTS, train, x, 4, 7)
    assert p.sum(axis=1) == pytest.approx(np.ones(90))
    assert (p.argmax(1) == y).mean() > 0.9 > (linear.argmax(1) == y).mean() + 0.2
    assert -np.log(p[np.arange(90), y]).mean() < 0.4


def test_numbers_and_label_sets() -> None:
    (train_x, train_y), (x, y) = waves(120, 0), waves(60, 1)
    told = baseline_values("random_kernels", INPUTS, (train_x, 50 + 10.0 * train_y[:, None]), x, 7)
    assert ((told[:, 0] - (50 + 10 * y)) ** 2).mean() < 20
    held = np.stack([train_y > 0, train_y > 1, train_y >= 0], axis=1).astype(np.int64)
    p = baseline_label_sets("random_kernels", INPUTS, (train_x, held), x, 7)
    assert ((p > 0.5) == np.stack([y > 0, y > 1, y >= 0], axis=1)).mean() > 0.9


def test_the_seed_decides_and_what_lies_beyond_the_end_does_not_count() -> None:
    x, _ = waves(5, 0)
    assert kernel_features(INPUTS, x, 7) == pytest.approx(kernel_features(INPUTS, x, 7))
    assert not np.allclose(kernel_features(INPUTS, x, 7), kernel_features(INPUTS, x, 8))
    short = x[:, :, :28]
    padded = np.pad(short, ((0, 0), (0, 0), (0, 12)), constant_values=np.nan)
    longer = kernel_features(INPUTS, padded, 7)[:, : kernel_features(INPUTS, short, 7).shape[1]]
    assert longer == pytest.approx(kernel_features(INPUTS, short, 7))


@pytest.mark.parametrize("rows", [1, 3])
def test_very_few_rows_have_finite_probabilities(rows: int) -> None:
    x, _ = waves(rows, 0)
    p = baseline_probabilities("random_kernels", INPUTS, (x, np.arange(rows)), waves(4, 1)[0], 3, 7)
    assert np.isfinite(p).all()
