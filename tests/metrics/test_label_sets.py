"""Scores of label sets against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn import metrics as reference

from pipeline.metrics.label_sets import label_scores, label_set_table, paired_gain_label_sets

RNG = np.random.default_rng(4)
LABELS = 70
Y = (RNG.random((150, LABELS)) < np.linspace(0.2, 0.6, LABELS)).astype(np.int64)
P = np.clip(0.5 * Y + RNG.random((150, LABELS)) * 0.6 - 0.05, 0, 1)
YES = (P >= 0.5).astype(int)


def test_the_table_agrees_with_scikit_learn() -> None:
    table = label_set_table(Y, P, 0.95)
    assert list(table) == [
        "f1_micro",
        "f1_macro",
        "auroc",
        "auprc",
        "subset_accuracy",
        "label_accuracy",
        "log_loss",
        "brier",
    ]
    assert table["f1_micro"].value == pytest.approx(reference.f1_score(Y, YES, average="micro"))
    assert table["f1_macro"].value == pytest.approx(reference.f1_score(Y, YES, average="macro", zero_division=np.nan))
    assert table["auroc"].value == pytest.approx(reference.roc_auc_score(Y, P))
    assert table["auprc"].value == pytest.approx(reference.average_precision_score(Y, P))
    assert table["subset_accuracy"].value == pytest.approx(reference.accuracy_score(Y, YES))
    assert table["subset_accuracy"].ci_method == "Wilson"
    assert table["label_accuracy"].value == pytest.approx(1 - reference.hamming_loss(Y, YES))
    safe = np.clip(P, 1e-12, 1 - 1e-12)
    assert table["log_loss"].value == pytest.approx(reference.log_loss(Y.ravel(), safe.ravel()))
    assert table["brier"].value == pytest.approx(reference.brier_score_loss(Y.ravel(), P.ravel()))
    for number in table.values():
        assert number.value is not None
        assert number.ci_low is not None
        assert number.ci_high is not None
        assert number.ci_low <= number.value <= number.ci_high
        assert number.n == 150


def test_by_hand() -> None:
    y = np.array([[1, 0, 0], [1, 1, 0]])
    p = np.array([[0.9, 0.5, 0.1], [0.2, 0.8, 0.1]])
    table = label_set_table(y, p, 0.95)
    assert table["f1_micro"].value == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert table["f1_macro"].value == pytest.approx((2 / 3 + 2 / 3) / 2)  # the third label is neither true nor said
    assert table["subset_accuracy"].value == 0
    assert table["label_accuracy"].value == pytest.approx(4 / 6)
    assert table["brier"].value == pytest.approx((0.01 + 0.25 + 0.01 + 0.64 + 0.04 + 0.01) / 6)
    chance = [0.9, 0.5, 0.9, 0.2, 0.8, 0.9]
    assert table["log_loss"].value == pytest.approx(-np.log(chance).mean())


def test_nothing_true_and_nothing_said_is_undefined_not_zero() -> None:
    table = label_set_table(np.zeros((9, 2), int), np.full((9, 2), 0.1), 0.95)
    for name in ("f1_micro", "f1_macro"):
        assert (table[name].value, table[name].reason) == (None, "no label is true or predicted")
    assert table["subset_accuracy"].value == 1


def test_labels_agree_with_scikit_learn() -> None:
    found = label_scores(Y, YES, [str(k) for k in range(LABELS)], 0.95)
    precision, recall, f1, _ = reference.precision_recall_fscore_support(Y, YES, zero_division=np.nan)
    for k, label in enumerate(found):
        assert label.name == str(k)
        for number, expected in ((label.precision, precision[k]), (label.recall, recall[k]), (label.f1, f1[k])):
            assert number.value == pytest.approx(expected)


def test_a_certain_mistake_is_dear_but_finite() -> None:
    loss = label_set_table(np.array([[1]]), np.array([[0.0]]), 0.95)["log_loss"]
    assert loss.value == pytest.approx(-np.log(1e-12))


@pytest.mark.parametrize("bad", [P[:, :3], np.full(P.shape, 1.1), np.full(P.shape, np.nan)])
def test_what_cannot_be_scored_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"must (have|lie)"):
        label_set_table(Y, bad, 0.95)


def test_a_gain_is_paired_and_none_against_itself() -> None:
    worse = P.copy()
    worse[:10] = 1 - worse[:10]
    gain = paired_gain_label_sets(Y, P, worse, 0.95)
    expected = reference.f1_score(Y, YES, average="micro") - reference.f1_score(Y, worse >= 0.5, average="micro")
    assert gain.value == pytest.approx(expected)
    assert gain.ci_low is not None
    assert gain.ci_low > 0
    assert paired_gain_label_sets(Y, P, P, 0.95).value == 0


def test_small_tests_cover_the_truth() -> None:
    rng, held = np.random.default_rng(6), 0
    truth = 2 * 0.3 * 0.8 / (2 * 0.3 * 0.8 + 0.7 * 0.1 + 0.3 * 0.2)
    for _ in range(300):
        y = (rng.random((50, 4)) < 0.3).astype(int)
        said = rng.random((50, 4)) < np.where(y, 0.8, 0.1)
        f1 = label_set_table(y, said * 0.8 + 0.1, 0.95)["f1_micro"]
        assert f1.ci_low is not None
        assert f1.ci_high is not None
        held += f1.ci_low <= truth <= f1.ci_high
    assert 0.92 <= held / 300 <= 0.99
