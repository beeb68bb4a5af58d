"""Thresholds of two classes: the best one by trying all, curves against scikit-learn, tables by hand."""

import numpy as np
import pytest
from sklearn.metrics import auc, balanced_accuracy_score, f1_score, roc_auc_score

from pipeline.core.contracts import ThresholdAim
from pipeline.metrics.thresholds import best_threshold, curves, decision_table

RNG = np.random.default_rng(2)
HELD = RNG.random(300) < 0.2
P = np.round(np.clip(0.25 + 0.2 * HELD + 0.12 * RNG.normal(size=300), 0.01, 0.99), 2)


@pytest.mark.parametrize("aim", ["balanced_accuracy", "f1"])
def test_no_other_threshold_is_better(aim: ThresholdAim) -> None:
    score = balanced_accuracy_score if aim == "balanced_accuracy" else f1_score
    found = best_threshold(HELD, P, aim)
    assert found is not None
    assert found not in P  # it has some room on both sides
    tried = [score(HELD, cut <= P) for cut in np.linspace(0, 1, 1001)]
    assert score(HELD, found <= P) == pytest.approx(max(tried))
    assert score(HELD, found <= P) > score(HELD, P >= 0.5)


def test_of_equally_good_thresholds_the_one_nearest_to_one_half_is_taken() -> None:
    held = np.array([True, True, False, False])
    assert best_threshold(held, np.array([0.9, 0.7, 0.3, 0.1]), "balanced_accuracy") == pytest.approx(0.5)
    assert best_threshold(held, np.array([0.3, 0.2, 0.1, 0.05]), "f1") == pytest.approx(0.15)


def test_one_class_has_no_threshold_and_no_curve() -> None:
    assert best_threshold(np.ones(3, bool), np.array([0.1, 0.5, 0.9]), "f1") is None
    assert curves(np.zeros(3, bool), np.array([0.1, 0.5, 0.9])) == ((), ())


def test_the_area_below_the_curve_is_that_of_scikit_learn() -> None:
    roc, precision_recall = curves(HELD, P)
    assert (roc[0], roc[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert auc([x for x, _ in roc], [y for _, y in roc]) == pytest.approx(roc_auc_score(HELD, P), abs=1e-5)
    assert precision_recall[-1] == (1.0, round(float(HELD.mean()), 6))
    assert max(len(c) for c in curves(RNG.random(5000) < 0.5, RNG.random(5000))) <= 201


def test_a_decision_by_hand() -> None:
    held, claimed = np.array([1, 1, 1, 0, 0], bool), np.array([1, 1, 0, 1, 0], bool)
    found = decision_table(held, claimed, 0.95)
    assert {name: number.value for name, number in found.items()} == pytest.approx({
        "accuracy": 0.6, "balanced_accuracy": (2 / 3 + 1 / 2) / 2, "f1": 2 / 3, "precision": 2 / 3, "recall": 2 / 3,
        "false_positive_rate": 0.5,
    })  # fmt: skip
    none = decision_table(held, np.zeros(5, bool), 0.95)
    assert (none["precision"].value, none["precision"].reason) == (None, "never_predicted")
