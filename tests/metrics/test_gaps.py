"""Gaps between groups and the calibration error, by hand."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.metrics.calibration import calibration_error, ece_numbers
from pipeline.metrics.gaps import largest_gap
from pipeline.metrics.intervals import newcombe

Table = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.object_]]


def rows(counts: dict[str, tuple[int, int, int, int]]) -> Table:
    """Return y, predicted and group of {group: (positives, of these found, negatives, of these claimed)}."""
    parts = [
        (
            np.repeat([1, 0], [positives, negatives]),
            np.repeat([1, 0, 1, 0], [found, positives - found, claimed, negatives - claimed]),
            np.full(positives + negatives, group, object),
        )
        for group, (positives, found, negatives, claimed) in counts.items()
    ]
    y, predicted, group = (np.concatenate(column) for column in zip(*parts, strict=True))
    return y, predicted, group


COUNTS = {"a": (30, 20, 30, 6), "b": (40, 10, 30, 3), "c": (29, 29, 29, 29)}


def test_equalised_odds_are_the_larger_gap_of_two_rates_over_groups_of_thirty() -> None:
    y, predicted, group = rows(COUNTS)
    gap = largest_gap("equalized_odds_gap", y, predicted, {"f": group})
    assert gap.value == pytest.approx(20 / 30 - 10 / 40)  # c has 29 rows for either rate
    worse = rows(COUNTS | {"b": (40, 26, 30, 27)})
    assert largest_gap("equalized_odds_gap", *worse[:2], {"f": worse[2]}).value == pytest.approx(27 / 30 - 6 / 30)


def test_demographic_parity_counts_every_row_of_a_group() -> None:
    y, predicted, group = rows(COUNTS)
    gap = largest_gap("demographic_parity_gap", y, predicted, {"f": group})
    assert gap.value == pytest.approx(58 / 58 - 13 / 70)
    assert gap.n == 60 + 70 + 58


def test_the_largest_gap_of_all_features_counts() -> None:
    y, predicted, group = rows(COUNTS)
    one = np.full(len(y), "all", object)
    both = largest_gap("demographic_parity_gap", y, predicted, {"one": one, "f": group})
    assert both.value == largest_gap("demographic_parity_gap", y, predicted, {"f": group}).value
    alone = largest_gap("demographic_parity_gap", y, predicted, {"one": one})
    assert (alone.value, alone.reason) == (None, "fewer than two groups are large enough")


def test_the_interval_of_one_pair_is_newcombe_s() -> None:
    y, predicted, group = rows({"a": (30, 20, 30, 6), "b": (40, 10, 30, 3)})
    gap = largest_gap("demographic_parity_gap", y, predicted, {"f": group}, 0.9)
    assert (gap.ci_low, gap.ci_high) == pytest.approx(newcombe(26, 60, 13, 70, 0.9))
    swapped = largest_gap("demographic_parity_gap", y, predicted, {"f": np.where(group == "a", "b", "a")}, 0.9)
    assert (swapped.value, swapped.ci_low, swapped.ci_high) == pytest.approx((gap.value, gap.ci_low, gap.ci_high))
    same = rows({"a": (40, 10, 40, 10), "b": (40, 10, 40, 10)})
    none = largest_gap("demographic_parity_gap", *same[:2], {"f": same[2]})
    assert (none.value, none.ci_low) == (0.0, 0.0)
    assert none.ci_high is not None
    assert 0.1 < none.ci_high < 0.2


def test_the_interval_covers_the_largest_of_several_gaps_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    rates = {"a": 0.5, "b": 0.55, "c": 0.6, "d": 0.6}
    true = max(abs(p - q) for p, q in combinations(rates.values(), 2))
    missed = 0
    for _ in range(200):
        counts = {group: (60, int(rng.binomial(60, rate)), 0, 0) for group, rate in rates.items()}
        y, predicted, group = rows(counts)
        gap = largest_gap("demographic_parity_gap", y, predicted, {"f": group})
        assert gap.ci_low is not None
        assert gap.ci_high is not None
        missed += not gap.ci_low <= true <= gap.ci_high
    assert missed <= 10


def test_the_calibration_error_is_the_mean_gap_of_bins_of_equal_mass() -> None:
    # 20 rows said 0.6 of which 15 are right, 20 said 0.9 of which 16 are
    confidence, right = np.repeat([0.6, 0.9], 20), np.repeat([1, 0, 1, 0], [15, 5, 16, 4])
    p = np.stack([1 - confidence, confidence], axis=1)
    assert calibration_error(right, p) == pytest.approx((0.15 + 0.10) / 2)
    assert ece_numbers(right, p, np.random.default_rng(0), 0.95)[0].value == calibration_error(right, p)
