"""Scores of forecasts by hand and by definition; what is unknown counts nowhere."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.seeds import stream
from pipeline.metrics.forecasts import Future, by_step, forecast_table, paired_gain_forecasts

RNG = np.random.default_rng(7)
N, H, T = 60, 30, 2
STD, CHANGE = np.array([1.0, 20.0]), np.array([0.5, 8.0])
Y = RNG.normal([3, 50], STD, size=(N, H, T))
LAST = np.broadcast_to(RNG.normal([3, 50], STD, size=(N, 1, T)), Y.shape)
P = Y + RNG.normal(0, 0.5 * STD, size=Y.shape)
FUTURE = Future(Y, LAST, STD, CHANGE)


def test_by_hand() -> None:
    y = np.array([[[2.0], [4.0]], [[0.0], [np.nan]]])
    last = np.array([[[1.0], [1.0]], [[1.0], [1.0]]])
    p = np.array([[[2.0], [2.0]], [[0.0], [9.0]]])
    table = forecast_table(Future(y, last, np.array([2.0]), np.array([0.5])), p, stream(0), 50, 0.95)
    assert list(table) == ["skill", "mae", "mse", "smape", "mase"]
    # errors 0, 2, 0 against 1, 3, 1 of the last value
    assert table["skill"].value == pytest.approx(1 - 2 / 5)
    assert table["mae"].value == pytest.approx(2 / 3 / 2)
    assert table["mse"].value == pytest.approx(4 / 3 / 4)
    assert table["smape"].value == pytest.approx(200 * 2 / 6 / 3)
    assert table["mase"].value == pytest.approx(2 / 3 / 0.5)
    assert [n.n for n in table.values()] == [2] * 5


def test_definitions_on_many_targets() -> None:
    table = forecast_table(FUTURE, P, stream(0), 400, 0.95)
    error, still = np.abs(P - Y), np.abs(LAST - Y)
    assert table["skill"].value == pytest.approx(1 - (error / STD).mean() / (still / STD).mean())
    assert table["mae"].value == pytest.approx((error / STD).mean())
    assert table["mse"].value == pytest.approx(((error / STD) ** 2).mean())
    assert table["smape"].value == pytest.approx((200 * error / (abs(P) + abs(Y))).mean())
    assert table["mase"].value == pytest.approx(np.mean([error[..., k].mean() / CHANGE[k] for k in range(T)]))
    for number in table.values():
        assert number.value is not None
        assert number.ci_low is not None
        assert number.ci_high is not None
        assert number.ci_low <= number.value <= number.ci_high


def test_repeating_the_last_value_has_no_skill_and_the_truth_all() -> None:
    assert forecast_table(FUTURE, LAST, stream(0), 50, 0.95)["skill"].value == 0
    best = forecast_table(FUTURE, Y, stream(0), 50, 0.95)
    assert (best["skill"].value, best["smape"].value, best["mase"].value) == (1, 0, 0)


def test_unknown_truth_counts_nowhere() -> None:
    y, p = Y.copy(), P.copy()
    y[5:9, 3:] = np.nan
    y[20] = np.nan
    p[20] = np.nan  # nobody asks for a forecast of what is not known
    table = forecast_table(Future(y, LAST, STD, CHANGE), p, stream(0), 50, 0.95)
    known = np.isfinite(y)
    error = np.where(known, np.abs(p - y), 0) / STD
    assert table["mae"].value == pytest.approx(error.sum() / known.sum())
    assert table["mae"].n == N - 1
    without = np.delete(np.arange(N), 20)
    cut = forecast_table(Future(y[without], LAST[without], STD, CHANGE), p[without], stream(0), 50, 0.95)
    assert [n.value for n in cut.values()] == pytest.approx([n.value for n in table.values()])
    step, first, last_mae = by_step(Future(y, LAST, STD, CHANGE), p, stream(0), 200, 0.95)[0]
    rows = known[:, 0, 0]
    assert (step, first["mae"].value) == (1, pytest.approx((np.abs(p - y)[rows, 0] / STD).mean()))
    assert first["mse"].value == pytest.approx((((p - y)[rows, 0] / STD) ** 2).mean())
    assert first["mae"].ci_low is not None
    assert first["mae"].ci_method == "bootstrap, 200 draws"
    assert last_mae == pytest.approx((np.abs(LAST - y)[rows, 0] / STD).mean())


def test_steps_are_at_most_24_from_first_to_last() -> None:
    steps = [step for step, *_ in by_step(FUTURE, P, stream(0), 20, 0.95)]
    assert (steps[0], steps[-1], len(steps)) == (1, H, 24)
    short = replace(FUTURE, y=Y[:, :3], last=LAST[:, :3])
    assert [step for step, *_ in by_step(short, P[:, :3], stream(0), 20, 0.95)] == [1, 2, 3]


def test_nothing_known_and_no_scale_are_undefined_with_a_reason() -> None:
    nothing = forecast_table(replace(FUTURE, y=np.full(Y.shape, np.nan)), P, stream(0), 50, 0.95)
    assert {(n.value, n.reason, n.n) for n in nothing.values()} == {(None, "no true value is known", 0)}
    flat = forecast_table(replace(FUTURE, std=np.array([1.0, 0.0])), P, stream(0), 50, 0.95)
    assert [name for name, n in flat.items() if n.value is None] == ["skill", "mae", "mse"]
    still = forecast_table(replace(FUTURE, last=Y), P, stream(0), 50, 0.95)
    assert (still["skill"].value, still["skill"].reason) == (None, "repeating the last value makes no error")
    assert still["mae"].value is not None


def test_a_missing_forecast_of_a_known_value_is_refused() -> None:
    p = P.copy()
    p[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="finite where the truth is known"):
        forecast_table(FUTURE, p, stream(0), 50, 0.95)
    with pytest.raises(ValueError, match="shape"):
        forecast_table(FUTURE, P[:, :2], stream(0), 50, 0.95)


def test_a_gain_is_the_difference_of_skills_in_blocks() -> None:
    other = Y + 1.2 * (P - Y)
    gain = paired_gain_forecasts(FUTURE, P, other, stream(0), 400, 0.95, 6)
    skills = [forecast_table(FUTURE, f, stream(0), 50, 0.95)["skill"].value for f in (P, other)]
    assert None not in skills
    assert gain.value == pytest.approx(skills[0] - skills[1])  # type: ignore[operator]
    assert gain.ci_method == "block bootstrap, blocks of 6 rows, 400 draws"
    assert gain.ci_low is not None
    assert gain.ci_low > 0
    assert paired_gain_forecasts(FUTURE, P, other, stream(0), 400, 0.95, 30).ci_low is None


def test_overlapping_windows_need_blocks() -> None:
    rng, held = np.random.default_rng(8), {1: 0, 10: 0}
    for _ in range(150):
        noise = np.lib.stride_tricks.sliding_window_view(rng.normal(size=129), 10)[..., None]
        future = Future(np.zeros((120, 10, 1)), np.ones((120, 10, 1)), np.ones(1), np.ones(1))
        for block in held:
            mae = forecast_table(future, noise.copy(), rng, 300, 0.95, block)["mae"]
            assert mae.ci_low is not None
            assert mae.ci_high is not None
            held[block] += mae.ci_low <= np.sqrt(2 / np.pi) <= mae.ci_high
    assert held[1] / 150 < 0.7
    assert held[10] / 150 > 0.85
