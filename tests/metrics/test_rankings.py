"""Areas under curves against scikit-learn, by hand, and their influence values against a derivative."""

import numpy as np
import pytest
from scipy.stats import t
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from pipeline.metrics.rankings import area_under_roc, average_precision, known_by, logit_number, rank_table
from pipeline.metrics.scores import f1_macro, f1_number

RNG = np.random.default_rng(4)
Y = RNG.integers(3, size=200)
P = np.round(RNG.dirichlet(np.ones(3), size=200) * 0.6 + 0.4 * np.eye(3)[Y], 2)  # rounded, so that some are equal
P /= P.sum(axis=1, keepdims=True)


def test_the_table_agrees_with_scikit_learn() -> None:
    table = rank_table(((k == Y, P[:, k]) for k in range(3)), 200, 0.95)
    assert table["auroc"].value == pytest.approx(roc_auc_score(Y, P, multi_class="ovr"))
    assert table["auprc"].value == pytest.approx(average_precision_score(np.eye(3)[Y], P))
    for number in table.values():
        assert number.value is not None
        assert number.ci_low is not None
        assert number.ci_high is not None
        assert number.ci_low < number.value < number.ci_high
        assert (number.n, number.ci_method) == (200, "influence values on the logit scale")


def test_by_hand() -> None:
    held, score = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.8, 0.1])
    assert area_under_roc(held, score)[0] == (1 + 1 + 0.5 + 1) / 4
    assert average_precision(held, score)[0] == pytest.approx((1 + 2 / 3) / 2)
    constant = np.ones(4)
    assert area_under_roc(held, constant)[0] == 0.5
    assert average_precision(held, constant)[0] == 0.5


@pytest.mark.parametrize("row", [0, 7, 50, 133])
def test_influence_is_what_a_little_more_weight_of_a_row_changes(row: int) -> None:
    held, score, step = Y == 1, P[:, 1], 1e-6
    weight = np.full(200, (1 - step) / 200)
    weight[row] += step
    for ours, reference in ((area_under_roc, roc_auc_score), (average_precision, average_precision_score)):
        value, influence = ours(held, score)
        assert value == pytest.approx(reference(held, score))
        assert influence.sum() == pytest.approx(0, abs=1e-9)
        moved = (reference(held, score, sample_weight=weight) - value) / step
        assert influence[row] == pytest.approx(moved, abs=1e-4)


def test_the_interval_of_an_area_is_delongs_on_the_logit_scale() -> None:
    held = np.arange(60) % 3 == 0
    score = RNG.normal(size=60) + held
    value, influence = area_under_roc(held, score)
    wins = (score[held][:, None] > score[~held]).astype(float)
    of_held, of_rest = wins.mean(axis=1), wins.mean(axis=0)
    variance = of_held.var() / 20 + of_rest.var() / 40  # DeLong et al. 1988, population variances
    half = t.ppf(0.975, 19) * np.sqrt(variance * 20 / 19) / (value * (1 - value))
    number = logit_number(value, influence, 0.95, 20)
    at = np.log(value / (1 - value))
    wanted = 1 / (1 + np.exp(-np.array([at - half, at + half])))
    assert (number.ci_low, number.ci_high) == pytest.approx(tuple(wanted))


def test_what_has_no_area_or_no_interval_says_why() -> None:
    one_kind = rank_table([(np.ones(5, bool), np.arange(5.0))], 5, 0.95)
    assert {(n.value, n.reason) for n in one_kind.values()} == {
        (None, "no class has rows and rows of another class beside them")
    }
    few = rank_table([(np.arange(50) < 4, RNG.random(50))], 50, 0.95)["auroc"]
    assert few.value is not None
    assert (few.ci_low, few.reason) == (
        None,
        "a class has fewer than 10 rows, or all together are too few: no interval",
    )
    perfect = rank_table([(np.arange(50) < 20, -np.arange(50.0))], 50, 0.95)["auroc"]
    assert (perfect.value, perfect.ci_low, perfect.reason) == (1.0, None, "no spread: no interval")


def test_the_rows_that_a_mean_is_known_by_are_those_of_its_noisiest_side() -> None:
    held = np.arange(30) < 10
    noisy = (0.5, np.where(held, 1.0, 0.0) * (-1.0) ** np.arange(30))
    assert known_by([noisy], [held]) == pytest.approx(10)
    assert known_by([noisy] * 3, [held] * 3) == pytest.approx(3 * 9 + 1)
    both = (0.5, (-1.0) ** np.arange(30) / np.where(held, 10, 20) ** 0.5)
    assert known_by([both], [held]) == pytest.approx(1 + 4 / (1 / 9 + 1 / 19))  # Welch's
    assert known_by([noisy], [np.arange(30) < 1]) < 40


def test_a_class_without_rows_is_left_out_of_the_mean() -> None:
    y = np.where(Y == 2, 0, Y)
    table = rank_table(((y == k, P[:, k]) for k in range(3)), 200, 0.95)
    assert table["auroc"].value == pytest.approx((roc_auc_score(y == 0, P[:, 0]) + roc_auc_score(y == 1, P[:, 1])) / 2)


def test_f1_agrees_with_scikit_learn_and_has_wilsons_limits() -> None:
    predicted = P.argmax(axis=1)
    found = f1_macro(Y, predicted, 3, 0.95)
    assert found.value == pytest.approx(f1_score(Y, predicted, average="macro"))
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low < f1_score(Y, predicted, average="macro") < found.ci_high
    one = f1_number(10, 0, 0, 0.95)
    low = 0.7224672  # Wilson's of 10 of 10
    assert (one.value, one.ci_low, one.ci_high) == (1.0, pytest.approx(2 * low / (1 + low)), pytest.approx(1.0))
    assert f1_number(3, 2, 1, 0.95).value == pytest.approx(6 / 9)
    assert f1_number(0, 0, 0, 0.95).reason == "class_absent_and_never_predicted"
