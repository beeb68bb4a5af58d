"""Scores against scikit-learn, and calibration against what chance gives."""

import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from pipeline.core.seeds import stream
from pipeline.metrics.calibration import bins_of, ece_numbers, expected_calibration_error, reliability, untempered
from pipeline.metrics.scores import class_scores, confusion, paired_gain, score_table

RNG = np.random.default_rng(5)
Y = RNG.integers(4, size=300)
P = RNG.dirichlet(np.ones(4), size=300) * 0.6 + 0.4 * np.eye(4)[Y]


def test_the_table_agrees_with_scikit_learn() -> None:
    table = score_table(Y, P, stream(0), 0.95)
    predicted = P.argmax(1)
    assert table["accuracy"].value == pytest.approx(reference.accuracy_score(Y, predicted))
    assert table["balanced_accuracy"].value == pytest.approx(reference.balanced_accuracy_score(Y, predicted))
    assert table["log_loss"].value == pytest.approx(reference.log_loss(Y, P))
    assert table["brier"].value == pytest.approx(((P - np.eye(4)[Y]) ** 2).sum(1).mean())
    for number in table.values():
        assert number.value is not None
        assert number.ci_low is not None
        assert number.ci_high is not None
        assert number.ci_low <= number.value <= number.ci_high
        assert (number.n, number.ci_level) == (300, 0.95)


def test_classes_and_confusion_agree_with_scikit_learn() -> None:
    predicted = P.argmax(1)
    assert (confusion(Y, predicted, 4) == reference.confusion_matrix(Y, predicted)).all()
    precision, recall, f1, _ = reference.precision_recall_fscore_support(Y, predicted)
    found = class_scores(Y, predicted, "abcd", 0.95)
    assert [c.precision.value for c in found] == pytest.approx(precision)
    assert [c.recall.value for c in found] == pytest.approx(recall)
    assert [c.f1.value for c in found] == pytest.approx(f1)


def test_a_class_that_is_absent_is_undefined_not_zero() -> None:
    found = class_scores(np.array([0, 1, 1]), np.array([0, 1, 0]), ["a", "b", "c"], 0.95)[2]
    assert (found.precision.value, found.precision.reason) == (None, "never_predicted")
    assert (found.recall.value, found.recall.reason) == (None, "no_rows_of_this_class")
    assert found.f1.value is None


def test_one_certain_mistake_is_dear_but_finite() -> None:
    table = score_table(np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]]), stream(0), 0.95)
    assert table["log_loss"].value == pytest.approx(-np.log(1e-12) / 2)


def test_all_right_in_small_classes_is_not_certain() -> None:
    y = np.repeat(np.arange(4), 5)
    balanced = score_table(y, np.eye(4)[y], stream(0), 0.95)["balanced_accuracy"]
    assert balanced.value == 1.0
    assert balanced.ci_low is not None
    assert balanced.ci_low < 0.85


def test_balanced_accuracy_covers_the_truth() -> None:
    rng, covered = np.random.default_rng(8), 0
    rates, rows = np.array([0.95, 0.7, 0.9]), np.array([40, 25, 60])
    y = np.repeat(np.arange(3), rows)
    for _ in range(300):
        right = rng.random(len(y)) < rates[y]
        p = np.where(right[:, None], np.eye(3)[y], np.eye(3)[(y + 1) % 3])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = score_table(y, p, stream(1), 0.95)["balanced_accuracy"]
        assert found.ci_low is not None
        assert found.ci_high is not None
        covered += found.ci_low <= rates.mean() <= found.ci_high
    assert 0.92 <= covered / 300 <= 0.99


@pytest.mark.parametrize(("n", "expected"), [(100, 0.09), (500, 0.04), (2000, 0.02)])
def test_the_ece_of_a_calibrated_model_is_what_its_null_says(n: int, expected: float) -> None:
    rng = np.random.default_rng(n)
    confidence = rng.uniform(0.5, 1, n)
    p = np.stack([confidence, 1 - confidence], 1)
    y = (rng.random(n) > confidence).astype(int)
    ece, null = ece_numbers(y, p, stream(2), 0.95)
    assert null.value == pytest.approx(expected, abs=0.6 * expected)
    assert ece.value is not None
    assert null.ci_high is not None
    assert ece.value < 1.3 * null.ci_high


def test_an_overconfident_model_is_seen() -> None:
    rng = np.random.default_rng(1)
    p = np.tile([0.95, 0.05], (1000, 1))
    y = (rng.random(1000) > 0.7).astype(int)
    ece, null = ece_numbers(y, p, stream(2), 0.95)
    assert ece.value == pytest.approx(0.25, abs=0.04)
    assert ece.ci_low is not None
    assert null.ci_high is not None
    assert ece.ci_low > null.ci_high


def test_reliability_bins_hold_all_rows_evenly() -> None:
    bins = reliability(Y, P, 15, 0.95)
    assert sum(b.accuracy.n for b in bins) == 300
    assert {b.accuracy.n for b in bins} <= {20}
    assert [b.confidence for b in bins] == sorted(b.confidence for b in bins)


def test_a_paired_gain_is_narrower_than_unpaired_rows_would_allow() -> None:
    right = RNG.random(500) < 0.9
    worse = right.copy()
    worse[np.flatnonzero(right)[:20]] = False
    gain = paired_gain(right, worse, 0.95)
    assert gain.value == pytest.approx(0.04)
    assert gain.ci_low is not None
    assert gain.ci_low > 0.02
    same = paired_gain(right, right, 0.95)
    half = 1.959964 * (1 / 502 / 502) ** 0.5  # half a row on either side
    assert (same.value, same.ci_low, same.ci_high) == pytest.approx((0, -half, half))


def test_the_ece_of_two_bins_by_hand() -> None:
    confidence = np.array([0.6] * 20 + [0.9] * 20)
    right = np.array([True] * 10 + [False] * 10 + [True] * 20)
    parts = bins_of(confidence, 15)
    assert [len(rows) for rows in parts] == [20, 20]
    assert expected_calibration_error(confidence, right, parts) == pytest.approx((0.1 + 0.1) / 2)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_probabilities_before_the_temperature_are_those_of_the_logits(temperature: float) -> None:
    logits = RNG.normal(0, 3, (50, 4))

    def softmax(z: np.ndarray) -> np.ndarray:
        return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)

    assert untempered(softmax(logits / temperature), temperature) == pytest.approx(softmax(logits))
    labels = untempered(1 / (1 + np.exp(-logits / temperature)), temperature, labels=True)
    assert labels == pytest.approx(1 / (1 + np.exp(-logits)))
