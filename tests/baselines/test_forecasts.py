"""Baselines that continue series, by hand and against least squares."""

import numpy as np
import pytest

from pipeline.baselines import baseline_forecasts, forecasts
from pipeline.baselines.forecasts import refused_forecasts
from pipeline.core.errors import ConfigError

NAN = np.nan
X = np.array([[[1, 2, 3, NAN, 5, 6], [0, 0, 0, 0, 0, 0]], [[NAN, 2, 1, 2, 4, NAN], [9, 9, 9, 9, 9, 9]]], np.float32)
Y = np.zeros((2, 4, 1))


def forecast(name: str, season: int | None = None, x: np.ndarray = X, horizon: int = 4) -> list[list[float]]:
    return baseline_forecasts(name, (X, Y), x, horizon, season, 7)[..., 0].tolist()  # type: ignore[no-any-return]


def test_the_last_known_value_is_repeated() -> None:
    assert forecast("last_value") == [[6] * 4, [4] * 4]


def test_the_last_season_is_repeated() -> None:
    assert forecast("seasonal_naive", 3) == [[1, 5, 6, 1], [2, 4, 1, 2]]  # gaps come from the season before
    assert forecast("seasonal_naive", 6) == [[1, 2, 3, 6], [4, 2, 1, 2]]  # or are the last value


def test_a_window_without_values_continues_with_the_training_mean() -> None:
    y = np.array([[[2.0]], [[NAN]], [[4.0]]])
    empty = np.full((1, 1, 5), NAN, np.float32)
    for name in ("last_value", "ridge"):
        found = baseline_forecasts(name, (np.zeros((3, 1, 5), np.float32) + 3, y), empty, 1, None, 7)
        assert found[0, 0, 0] == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(("season", "why"), [(None, "no season is declared"), (7, "does not fit 6 steps")])
def test_a_season_must_be_given_and_fit(season: int | None, why: str) -> None:
    assert refused_forecasts("ridge", season, 6) is None
    assert refused_forecasts("seasonal_naive", 6, 6) is None
    with pytest.raises(ConfigError, match=why):
        forecast("seasonal_naive", season)


def waves(n: int, seed: int, noise: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Two targets of very different size and level with a period of 8, and a channel that is no target."""
    rng = np.random.default_rng(seed)
    start, steps = rng.uniform(0, 8, (n, 1, 1)), np.arange(20)
    wave = np.sin((start + steps) * np.pi / 4) + noise * rng.normal(size=(n, 2, 20))
    wave = wave * np.array([1.0, 1000.0])[:, None] + np.array([5.0, -300.0])[:, None]
    x = np.concatenate([wave[:, :, :16], rng.normal(size=(n, 1, 16))], 1)
    return x.astype(np.float32), wave[:, :, 16:].transpose(0, 2, 1)


def test_ridge_continues_waves_of_any_size_and_level() -> None:
    x, y = waves(100, 1)
    found = baseline_forecasts("ridge", waves(400, 0), x, 4, None, 7)
    assert found.shape == (100, 4, 2)
    off = np.abs(found - y).mean(axis=(0, 1)) / [1, 1000]
    assert (off < 0.09).all()
    still = np.abs(baseline_forecasts("last_value", waves(400, 0), x, 4, None, 7) - y).mean(axis=(0, 1)) / [1, 1000]
    assert (off < 0.2 * still).all()


def test_ridge_is_penalised_least_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecasts, "_PENALTIES", (0.01,) * 4)
    monkeypatch.setattr(forecasts, "_CELLS", 200)  # many chunks
    x, y = waves(80, 0)
    std = y.std(axis=(0, 1))
    last = x[:, :2, -1:].astype(float)
    inputs = ((x[:, :2] - last) / std[:, None]).reshape(160, 16)
    outputs = ((y.transpose(0, 2, 1) - last) / std[:, None]).reshape(160, 4)
    inputs = np.c_[inputs, np.ones(160)]
    penalty = np.diag([0.01 * (inputs[:, :16] ** 2).sum() / 16] * 16 + [0])
    weights = np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ outputs)
    expected = ((inputs @ weights).reshape(80, 2, 4) * std[:, None] + last).transpose(0, 2, 1)
    assert baseline_forecasts("ridge", (x, y), x, 4, None, 7) == pytest.approx(expected)


def test_missing_truth_is_fitted_as_if_the_cells_were_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecasts, "_PENALTIES", (1e-9,) * 4)
    x, y = waves(300, 0, noise=0.3)
    x, y = x[:, :1], y[:, :, :1]
    y[np.random.default_rng(3).random(y.shape) < 0.2] = NAN
    found = baseline_forecasts("ridge", (x, y), x, 4, None, 7)
    away = x[:, 0] - x[:, 0, -1:].astype(float)
    inputs = np.c_[away[:, :-1], np.ones(300)]
    for step in range(4):
        known = np.isfinite(y[:, step, 0])
        weights = np.linalg.lstsq(inputs[known], y[known, step, 0] - x[known, 0, -1], rcond=None)[0]
        assert found[:, step, 0] == pytest.approx(inputs @ weights + x[:, 0, -1], abs=0.01)


@pytest.mark.parametrize("name", ["last_value", "ridge"])
def test_a_single_step_and_few_rows_are_enough(name: str) -> None:
    x, y = np.full((2, 1, 1), 3, np.float32), np.full((2, 2, 1), 4.0)
    found = baseline_forecasts(name, (x, y), x, 2, None, 7)
    assert found == pytest.approx(np.full((2, 2, 1), 3.0 if name == "last_value" else 4.0))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown baseline magic"):
        forecast("magic")
