"""AUROC and FPR95 against counting, scikit-learn, and normal scores whose AUROC has a closed form."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from pipeline.metrics.detection import auroc, false_positive_rate

RNG = np.random.default_rng(0)


def test_auroc_counts_pairs_and_half_of_the_ties() -> None:
    inside, outside = RNG.integers(0, 9, 40).astype(float), RNG.integers(0, 7, 30).astype(float)
    pairs = np.mean([(i > o) + (i == o) / 2 for i in inside for o in outside])
    found = auroc(inside, outside)
    assert found.value == pytest.approx(pairs)
    assert found.value == pytest.approx(roc_auc_score([1] * 40 + [0] * 30, np.concatenate([inside, outside])))
    assert found.n == 70
    assert auroc(outside, inside).value == pytest.approx(1 - pairs)


def test_auroc_of_normal_scores_is_covered_as_often_as_promised() -> None:
    truth = float(norm.cdf(1 / np.sqrt(2)))
    for paired in (False, True):
        held = 0
        for _ in range(400):
            shared = RNG.normal(0, np.sqrt(0.5), 80) if paired else np.zeros(80)
            spread = np.sqrt(0.5) if paired else 1.0
            inside, outside = 1 + shared + RNG.normal(0, spread, 80), shared + RNG.normal(0, spread, 80)
            found = auroc(inside, outside, 0.9, paired=paired)
            assert found.ci_low is not None
            assert found.ci_high is not None
            held += found.ci_low <= truth <= found.ci_high
        assert 0.86 < held / 400 < 0.94, paired


def test_an_interval_that_cannot_be_is_not_given() -> None:
    apart = auroc(np.array([3.0, 4.0]), np.array([1.0, 2.0]))
    assert (apart.value, apart.ci_low, apart.reason) == (1.0, None, "no spread: no interval")
    alone = auroc(np.array([3.0]), np.array([1.0, 5.0]))
    assert (alone.value, alone.reason) == (0.5, "too few rows: no interval")
    assert auroc(np.empty(0), np.array([1.0])).reason == "no_rows"


def test_fpr95_is_the_share_that_passes_what_95_percent_pass() -> None:
    inside = np.arange(100.0)
    found = false_positive_rate(inside, np.array([0.0, 3.0, 4.0, 5.0, 200.0]))
    assert (found.value, found.n, found.ci_method) == (0.6, 5, "Wilson")
    assert false_positive_rate(inside, np.array([]), 0.95).reason == "no_rows"
    assert false_positive_rate(np.array([]), inside).reason == "no_rows"
