"""Scores of numbers against scikit-learn and by hand, and the coverage of their intervals."""

import numpy as np
import pytest
from scipy.stats import t
from sklearn import metrics as reference

from pipeline.core.contracts import Number
from pipeline.metrics.values import paired_gain_values, pinball, value_scores, value_table

RNG = np.random.default_rng(3)
Y = RNG.normal([5, -20, 100], [1, 10, 50], size=(200, 3))
P = Y + RNG.normal(0.1, [0.3, 5, 40], size=(200, 3))
SCALE = np.array([1.0, 10.0, 50.0])


def holds(number: Number, truth: float) -> bool:
    assert number.ci_low is not None
    assert number.ci_high is not None
    return number.ci_low <= truth <= number.ci_high


def test_one_target_is_scored_in_its_own_units() -> None:
    y, p = Y[:, 2:], P[:, 2:]
    table = value_table(y, p, SCALE[2:], 0.95)
    assert list(table) == ["r2", "mae", "rmse", "bias"]
    assert table["r2"].value == pytest.approx(reference.r2_score(y, p))
    assert table["mae"].value == pytest.approx(reference.mean_absolute_error(y, p))
    assert table["rmse"].value == pytest.approx(reference.root_mean_squared_error(y, p))
    assert table["bias"].value == pytest.approx((p - y).mean())
    assert [n.unit for n in table.values()] == [None, "target", "target", "target"]
    for number in table.values():
        assert number.value is not None
        assert holds(number, number.value)
        assert (number.n, number.ci_level) == (200, 0.95)


def test_several_targets_are_scored_in_training_standard_deviations() -> None:
    table = value_table(Y, P, SCALE, 0.95)
    assert table["r2"].value == pytest.approx(reference.r2_score(Y, P))
    assert table["mae"].value == pytest.approx(reference.mean_absolute_error(Y / SCALE, P / SCALE))
    assert table["rmse"].value == pytest.approx(np.sqrt(reference.mean_squared_error(Y / SCALE, P / SCALE)))
    assert table["bias"].value == pytest.approx(((P - Y) / SCALE).mean())
    assert table["mae"].unit == "training standard deviations"


def test_by_hand() -> None:
    y, p = np.array([[1.0], [2.0], [3.0], [6.0]]), np.array([[2.0], [2.0], [1.0], [7.0]])
    table = value_table(y, p, np.ones(1), 0.95)  # errors 1, 0, -2, 1; SST 4 + 1 + 0 + 9
    assert [n.value for n in table.values()] == pytest.approx([1 - 6 / 14, 1.0, np.sqrt(1.5), 0.0])
    assert table["mae"].reason == "fewer than 5 rows: no interval"


def test_each_target_agrees_with_the_table_of_it_alone() -> None:
    scores = value_scores(["a", "b", "c"], Y, P, 0.95)
    assert [s.name for s in scores] == ["a", "b", "c"]
    for k, found in enumerate(scores):
        alone = value_table(Y[:, k : k + 1], P[:, k : k + 1], SCALE[k : k + 1], 0.95)
        for name, number in found.metrics.items():
            other = alone[name]
            assert (number.value, number.ci_low, number.ci_high) == pytest.approx(
                (other.value, other.ci_low, other.ci_high)
            )
            assert number.unit == other.unit


def test_a_constant_target_has_no_r2_but_errors() -> None:
    y = Y.copy()
    y[:, 1] = 0.1
    table = value_table(y, P, SCALE, 0.95)
    assert (table["r2"].value, table["r2"].reason) == (None, "a target is constant in these rows")
    assert table["mae"].value is not None
    first, second, _ = value_scores("abc", y, P, 0.95)
    assert first.metrics["r2"].value is not None
    assert second.metrics["r2"].value is None
    assert paired_gain_values(y, P, P, 0.95).value is None


def test_a_target_constant_in_training_has_no_scaled_error() -> None:
    table = value_table(Y, P, np.array([1.0, 0.0, 1.0]), 0.95)
    assert table["r2"].value == pytest.approx(reference.r2_score(Y, P))
    assert (table["rmse"].value, table["rmse"].reason) == (None, "a target is constant in the training rows")


@pytest.mark.parametrize("bad", [np.full((200, 3), np.nan), P[:, :2], P[:9]])
def test_what_cannot_be_scored_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must"):
        value_table(Y, bad, SCALE, 0.95)


def test_small_tests_cover_the_truth() -> None:
    rng, held = np.random.default_rng(5), dict.fromkeys(("r2", "mae", "rmse", "bias"), 0)
    truth = {"r2": 1 - 0.25 / 1.0, "mae": 0.5 * np.sqrt(2 / np.pi), "rmse": 0.5, "bias": 0.0}
    for _ in range(300):
        y = rng.normal(size=(40, 1))
        table = value_table(y, y + 0.5 * rng.normal(size=(40, 1)), np.ones(1), 0.95)
        for name, number in table.items():
            held[name] += holds(number, truth[name])
    assert all(0.9 <= k / 300 <= 0.99 for k in held.values()), held


def test_the_pinball_loss_by_hand_and_against_scikit_learn() -> None:
    y, p = np.array([[1.0], [2.0], [3.0], [6.0], [0.0]]), np.array([[2.0], [2.0], [1.0], [7.0], [0.0]])
    found = pinball(y, p, np.ones(1), 0.8, 0.95)  # missed -1, 0, 2, -1, 0
    assert (found.value, found.unit) == (pytest.approx((0.2 + 1.6 + 0.2) / 5), "target")
    several = pinball(Y, P, SCALE, 0.3, 0.95)
    assert several.value == pytest.approx(reference.mean_pinball_loss(Y / SCALE, P / SCALE, alpha=0.3))
    assert pinball(Y, P, np.zeros(3), 0.3, 0.95).reason == "a target is constant in the training rows"


def test_leaving_out_a_row_is_what_the_error_is_made_of() -> None:
    y, p = Y[:30, :1], P[:30, :1]
    without = [np.delete(np.arange(30), i) for i in range(30)]
    logs = np.log([1 - reference.r2_score(y[rows], p[rows]) for rows in without])
    error = np.sqrt(29 / 30 * ((logs - logs.mean()) ** 2).sum())
    at, reach = np.log(1 - reference.r2_score(y, p)), t.ppf(0.975, 29) * error
    r2 = value_table(y, p, np.ones(1), 0.95)["r2"]
    assert (r2.ci_low, r2.ci_high) == pytest.approx((1 - np.exp(at + reach), 1 - np.exp(at - reach)))


def test_what_hangs_on_one_row_or_is_perfect_has_no_interval() -> None:
    y = np.zeros((9, 1))
    y[4] = 1.0
    assert value_table(y, y + 0.1, np.ones(1), 0.95)["r2"].reason == "all hangs on a single row: no interval"
    perfect = value_table(Y, Y, SCALE, 0.95)
    assert (perfect["r2"].value, perfect["r2"].reason) == (1.0, "no spread: no interval")
    assert (perfect["rmse"].value, perfect["rmse"].ci_low) == (0.0, None)


def test_a_gain_is_paired() -> None:
    worse = P + 0.2 * (P - Y)
    gain = paired_gain_values(Y, P, worse, 0.95)
    assert gain.value == pytest.approx(reference.r2_score(Y, P) - reference.r2_score(Y, worse))
    assert gain.ci_low is not None
    assert gain.ci_low > 0
    r2 = value_table(Y, P, SCALE, 0.95)["r2"]
    assert r2.ci_low is not None
    assert r2.ci_high is not None
    assert r2.ci_high - r2.ci_low > 1.5 * ((gain.ci_high or 0) - gain.ci_low)  # as wide as the models' own scores
    assert paired_gain_values(Y, P, P, 0.95).value == 0
