"""Intervals against published examples, closed forms and their own coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from pipeline.core.contracts import Number
from pipeline.core.seeds import stream
from pipeline.metrics.intervals import (
    detectable_gap,
    deviation,
    independent_gap,
    mean,
    median,
    newcombe,
    normal,
    proportion,
    rate_gap,
    small_mean,
    wilson,
)


def test_the_interval_of_a_median_covers_it_as_often_as_it_says() -> None:
    rng = stream(1, "median")
    found = [median(rng.exponential(size=49)) for _ in range(2000)]
    inside = [number.ci_low <= np.log(2) <= number.ci_high for number in found]  # type: ignore[operator]
    assert 0.94 <= np.mean(inside) <= 0.98
    assert found[0].value is not None
    assert median(np.array([3.0, 1.0, 2.0])).value == 2.0


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_agrees_with_newcombe_1998_table_1(k: int, n: int, low: float, high: float) -> None:
    assert wilson(k, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((10, 10, 0, 10), 0.6075, 1.0),
        ((5, 56, 0, 29), -0.0381, 0.1926),
    ],
)
def test_newcombe_agrees_with_his_table_2(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    assert newcombe(*counts) == pytest.approx((low, high), abs=6e-5)


@given(n=st.integers(1, 400), data=st.data())
def test_wilson_holds_the_rate_and_mirrors(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    low, high = wilson(k, n)
    assert 0 <= low <= k / n + 1e-12
    assert k / n - 1e-12 <= high <= 1
    assert wilson(n - k, n) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_no_rows_is_null_with_a_reason_never_zero() -> None:
    assert proportion(0, 0, empty="no_positive_labels") == Number(value=None, n=0, reason="no_positive_labels")
    assert rate_gap(0, 0, 3, 9).value is None


def test_five_of_five_is_not_certain() -> None:
    assert proportion(5, 5).ci_low == pytest.approx(0.5655, abs=1e-4)


def test_the_interval_of_a_mean_of_many_values_is_the_normal_one() -> None:
    values = np.random.default_rng(0).exponential(size=2000)
    found = mean(values)
    half = 1.96 * values.std(ddof=1) / np.sqrt(2000)
    assert (found.ci_low, found.ci_high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)
    assert mean(np.ones(9)).ci_low is None


def test_the_detectable_gap_is_detected_with_its_power() -> None:
    gap = detectable_gap(0.5, 300, 300, 0.05)
    rng = np.random.default_rng(3)
    k1, k2 = rng.binomial(300, 0.5 + gap / 2, 2000), rng.binomial(300, 0.5 - gap / 2, 2000)
    pooled = (k1 + k2) / 600
    z = (k1 - k2) / 300 / np.sqrt(pooled * (1 - pooled) * 2 / 300)
    assert (abs(z) > 1.96).mean() == pytest.approx(0.8, abs=0.03)


def test_the_interval_of_a_mean_is_the_limit_of_the_bca_bootstrap() -> None:
    values = np.random.default_rng(1).exponential(size=400)
    reference = bootstrap((values,), np.mean, n_resamples=20_000, batch=500, method="BCa", rng=stream(2))
    limits, found = reference.confidence_interval, mean(values)
    assert (found.ci_low, found.ci_high) == pytest.approx((limits.low, limits.high), abs=0.004)


def test_values_without_skewness_have_students_interval() -> None:
    values = np.array([1.0, 2.0, 3.0])
    assert (mean(values).ci_low, mean(values).ci_high) == pytest.approx(
        (small_mean(values).ci_low, small_mean(values).ci_high)
    )
    long_tail = mean(np.array([0.0] * 30 + [1.0]))
    assert long_tail.value is not None
    assert long_tail.ci_low is not None
    assert long_tail.ci_high is not None
    assert long_tail.ci_high - long_tail.value > 2 * (long_tail.value - long_tail.ci_low)


def test_few_values_have_a_t_interval() -> None:
    found = small_mean(np.array([1.0, 2.0, 3.0]))
    assert (found.value, found.ci_low, found.ci_high) == pytest.approx((2.0, 2 - 2.4841, 2 + 2.4841), abs=1e-4)
    assert small_mean(np.ones(9)).ci_low is None


def test_limits_of_two_independent_rates_combine_to_newcombe_s() -> None:
    found, wanted = independent_gap(proportion(56, 70), proportion(48, 80)), rate_gap(56, 70, 48, 80)
    assert (found.value, found.ci_low, found.ci_high) == pytest.approx((wanted.value, wanted.ci_low, wanted.ci_high))
    assert (found.n, found.ci_method) == (70, "limits of both combined (MOVER)")
    bare = independent_gap(proportion(1, 2), Number(value=0.25, n=9))
    assert (bare.value, bare.ci_low, bare.reason) == (0.25, None, "no interval: one side has none")


def test_a_deviation_has_the_interval_of_normal_values() -> None:
    found = deviation(np.array([1.0, 2.0, 3.0]))  # chi-square of 2 degrees: -2 ln(0.975) and -2 ln(0.025)
    assert (found.value, found.n) == (1.0, 3)
    assert found.ci_low == pytest.approx((2 / (-2 * np.log(0.025))) ** 0.5)
    assert found.ci_high == pytest.approx((2 / (-2 * np.log(0.975))) ** 0.5)
    assert deviation(np.array([2.0, 2.0])).reason == "no spread: no interval"


def test_a_mean_with_its_standard_error_has_the_normal_interval() -> None:
    found = normal(0.5, 0.1, 30)
    assert (found.ci_low, found.ci_high) == pytest.approx((0.304, 0.696), abs=1e-4)
    assert normal(0.5, None, 30).ci_low is None
