"""Split conformal prediction by hand: the rank of the limit, sets that are never empty, promises nobody can give."""

import numpy as np
import pytest
from scipy.stats import binom

from pipeline.metrics.conformal import (
    class_sets,
    expected_coverage,
    label_sets,
    limits,
    rank_of,
    sorted_columns,
    strangeness_of_classes,
    strangeness_of_labels,
    strangeness_of_values,
)


@pytest.mark.parametrize(
    ("rows", "coverage", "rank"),
    [(10, 0.9, 10), (19, 0.9, 18), (99, 0.9, 90), (100, 0.9, 91), (109, 0.9, 99), (20, 0.95, 20), (1000, 0.95, 951)],
)
def test_the_limit_is_the_rank_of_the_finite_sample_quantile(rows: int, coverage: float, rank: int) -> None:
    assert rank_of(rows, coverage) == rank
    values = np.random.default_rng(0).permutation(rows).astype(float)
    assert limits(sorted_columns(values[:, None]), coverage)[0] == rank - 1


@pytest.mark.parametrize(("rows", "coverage"), [(9, 0.9), (0, 0.9), (19, 0.95), (99, 0.99)])
def test_fewer_rows_than_one_by_alpha_promise_nothing(rows: int, coverage: float) -> None:
    assert rank_of(rows, coverage) is None
    assert np.isnan(limits(np.zeros((rows, 2)), coverage)).all()
    expected = expected_coverage(rows, coverage, 50, 0.95)
    assert (expected.value, expected.ci_low, expected.reason) == (None, None, "insufficient_evidence")


def test_unknown_values_do_not_count() -> None:
    y = np.array([[1.0, np.nan]] * 10 + [[3.0, 2.0]] * 10)
    strange = sorted_columns(strangeness_of_values(y, np.zeros((20, 2))))
    assert limits(strange, 0.9).tolist() == [3.0, 2.0]
    assert np.isnan(limits(strange, 0.95)[1])  # ten known values only


def test_classes_are_as_strange_as_they_are_unlikely() -> None:
    p = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
    assert strangeness_of_classes(np.array([0, 1]), p)[:, 0] == pytest.approx([0.3, 0.7])
    assert class_sets(p, 0.75).tolist() == [[True, False, False], [True, True, True]]
    assert class_sets(p, 0.1).tolist() == [[True, False, False], [False, False, True]]  # never empty


def test_labels_are_as_strange_as_the_least_likely_true_one() -> None:
    p = np.array([[0.9, 0.6, 0.1], [0.2, 0.3, 0.4], [0.7, 0.1, 0.8]])
    y = np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1]])
    assert strangeness_of_labels(y, p)[:, 0] == pytest.approx([0.4, 0.0, 0.9])
    assert label_sets(p, 0.65).tolist() == [[True, True, False], [False, False, True], [True, False, True]]
    assert label_sets(p, 0.0).tolist() == [[True, True, False], [False] * 3, [True, False, True]]  # the predicted ones


def test_expected_coverage_is_beta_binomial() -> None:
    many = expected_coverage(1_000_000, 0.9, 100, 0.95)
    reference = binom(100, 0.9).ppf([0.025, 0.975]) / 100  # a limit that is known exactly
    assert (many.ci_low, many.ci_high) == pytest.approx(tuple(reference))
    few = expected_coverage(19, 0.9, 1_000_000, 0.95)
    assert few.value == 18 / 20
    assert (few.ci_low, few.ci_high) == pytest.approx((0.7397, 0.9870), abs=1e-3)  # quantiles of Beta(18, 2)
