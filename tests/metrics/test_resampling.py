"""Draws of rows: counts that add up, blocks that stay together, intervals that hold the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.seeds import stream
from pipeline.metrics.resampling import interval, overlap_stretch, resampled_sums, row_weights


@given(n=st.integers(1, 60), block=st.integers(1, 60), seed=st.integers(0, 5))
def test_every_draw_has_as_many_rows_as_the_data(n: int, block: int, seed: int) -> None:
    if block > n:
        with pytest.raises(ValueError, match="does not fit"):
            next(row_weights(n, stream(seed), 5, block))
        return
    weights = np.concatenate(list(row_weights(n, stream(seed), 5, block)))
    assert weights.shape == (5, n)
    assert (weights >= 0).all()
    assert (weights.sum(axis=1) == n).all()


def test_large_data_come_in_chunks() -> None:
    shapes = [part.shape for part in row_weights(300_000, stream(0), 15)]
    assert shapes == [(6, 300_000), (6, 300_000), (3, 300_000)]


@pytest.mark.parametrize("block", [1, 7])
def test_every_row_counts_once_on_average(block: int) -> None:
    weights = np.concatenate(list(row_weights(30, stream(1), 20_000, block)))
    assert weights.mean(axis=0) == pytest.approx(np.ones(30), abs=0.05)


def test_single_rows_are_multinomial() -> None:
    weights = np.concatenate(list(row_weights(10, stream(2), 20_000)))
    assert weights.var(axis=0) == pytest.approx(np.full(10, 0.9), abs=0.04)
    assert np.cov(weights[:, 0], weights[:, 1])[0, 1] == pytest.approx(-0.1, abs=0.03)


def test_a_block_is_a_run_on_the_circle() -> None:
    for weights in np.concatenate(list(row_weights(12, stream(3), 200, 12))):
        assert (weights == 1).all()  # one run of all rows, wherever it starts
    halves = np.concatenate(list(row_weights(12, stream(3), 200, 6)))
    changes = np.abs(halves - np.roll(halves, 1, axis=1)).sum(axis=1)
    assert (changes <= 4).all()  # two runs have at most four ends
    assert changes.max() == 4


def coverage(block: int, rho: float, n: int, runs: int = 300) -> float:
    rng, held = np.random.default_rng(9), 0
    for _ in range(runs):
        values = rng.normal(size=n)
        for i in range(1, n):
            values[i] += rho * values[i - 1]
        draws = resampled_sums(values[:, None], rng, 400, block)[:, 0] / n
        found = interval(float(values.mean()), draws, n, 0.95, block)
        assert found.ci_low is not None
        assert found.ci_high is not None
        held += found.ci_low <= 0 <= found.ci_high
    return held / runs


def test_few_independent_rows_are_covered() -> None:
    assert 0.92 <= coverage(1, 0.0, 12) <= 0.99


def test_rows_alike_in_time_need_blocks() -> None:
    assert coverage(1, 0.8, 200) < 0.7
    assert coverage(20, 0.8, 200) > 0.87


def test_too_few_rows_or_no_spread_have_no_interval() -> None:
    sums = np.ones((9, 1))
    assert resampled_sums(sums, stream(0), 10, 2).shape == (0, 1)
    few = interval(1.0, np.empty(0), 9, 0.95, 2)
    assert (few.value, few.ci_low, few.reason) == (1.0, None, "fewer than 6 blocks of 2 rows: no interval")
    flat = interval(1.0, resampled_sums(sums, stream(0), 10)[:, 0] / 9, 9, 0.95)
    assert (flat.ci_low, flat.reason) == (None, "no spread: no interval")


def test_the_declared_level_is_kept_and_the_method_said() -> None:
    draws = np.random.default_rng(0).normal(size=4000)
    found = interval(0.0, draws, 10_000, 0.9, 24, unit="%")
    assert (found.ci_level, found.unit) == (0.9, "%")
    assert found.ci_method == "block bootstrap, blocks of 24 rows, 4000 draws"
    assert (found.ci_low, found.ci_high) == pytest.approx((-1.645 * 1.224, 1.645 * 1.224), abs=0.09)


@pytest.mark.parametrize("block", [2, 5, 40])
def test_blocks_of_overlapping_windows_are_stretched_by_what_they_miss(block: int) -> None:
    shared = 1 - np.arange(1, block) / block  # of the steps of windows some steps apart
    assert overlap_stretch(block) ** 2 == pytest.approx((1 + 2 * shared.sum()) / (1 + 2 * (shared**2).sum()))
    assert overlap_stretch(1) == 1
