"""Mean errors by group: nothing found in noise, planted gaps found, silence where rows are too few."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ttest_ind

from pipeline.core.contracts import AuditFeature, FairnessRecord, FeatureAudit
from pipeline.core.seeds import stream
from pipeline.core.settings import FairnessSettings
from pipeline.metrics.intervals import Moments, detectable_difference, mean, mean_gap, moments, welch
from pipeline.metrics.mean_gaps import audit_values
from pipeline.metrics.means import amount
from pipeline.metrics.relabelling import deal, gap_share, spread_share

SETTINGS = FairnessSettings(permutations=200)
SIZES = {"a": 300, "b": 150, "c": 40, "d": 20}
GROUP = np.repeat(np.array(list(SIZES), object), list(SIZES.values()))
FEATURE = AuditFeature(name="f", role="slice", source="test", groups=tuple(SIZES))


def record(
    values: NDArray[np.float64], metric: str = "absolute_error", settings: FairnessSettings = SETTINGS
) -> FairnessRecord:
    return audit_values([FEATURE], {"f": GROUP}, {metric: values}, settings, 1)


def one(values: NDArray[np.float64], metric: str = "absolute_error") -> FeatureAudit:
    return record(values, metric).audits[0]


@pytest.mark.parametrize("skewed", [False, True])
def test_no_gap_is_called_a_disparity_in_at_most_five_percent(skewed: bool) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=len(GROUP)) for _ in range(300)]
    found = [one(np.exp(x) if skewed else np.abs(x)) for x in noise]
    assert [a.verdict for a in found].count("disparity_found") <= 22  # 15 expected, two standard errors more
    assert sum(a.spread_p is not None and a.spread_p <= 0.05 for a in found) <= 22


def test_unequal_spreads_alone_are_no_disparity() -> None:
    rng = np.random.default_rng(1)
    wide = np.where(GROUP == "c", 4.0, 1.0)
    found = [one(wide * rng.normal(size=len(GROUP)), "signed_error").verdict for _ in range(300)]
    assert found.count("disparity_found") <= 22


def test_a_planted_gap_is_found_with_the_promised_power() -> None:
    rng, found = np.random.default_rng(2), 0
    half = detectable_difference(1.0, 150, 360, 0.05)
    for _ in range(100):
        gap = one(rng.normal(size=len(GROUP)) + half * (GROUP == "b"), "signed_error").gaps[1]
        assert gap.p is not None
        assert gap.detectable == pytest.approx(half, abs=0.06)
        found += gap.p <= 0.05
    assert 0.7 <= found / 100 <= 0.9


def test_the_interval_of_a_gap_is_welchs() -> None:
    values = np.random.default_rng(3).exponential(size=len(GROUP))
    gap = one(values).gaps[2]
    reference = ttest_ind(values[GROUP == "c"], values[GROUP != "c"], equal_var=False)
    low, high = reference.confidence_interval(0.95)
    assert (gap.gap.value, gap.gap.ci_low, gap.gap.ci_high) == pytest.approx(
        (values[GROUP == "c"].mean() - values[GROUP != "c"].mean(), low, high)
    )
    sides = moments(values[GROUP == "c"]), moments(values[GROUP != "c"])
    assert welch(*sides)[2] == pytest.approx(reference.pvalue)
    assert gap.p == pytest.approx(reference.pvalue, abs=0.15)  # relabelled


def test_small_groups_are_listed_with_t_and_never_judged() -> None:
    values = np.random.default_rng(4).exponential(size=len(GROUP)) + 9 * (GROUP == "d")
    item = one(values)
    rate, gap = item.groups[3].rate, item.gaps[3]
    assert (rate.n, rate.ci_method, gap.gap.ci_method) == (20, "ABC", "Welch")
    assert rate == mean(values[GROUP == "d"])
    assert (gap.verdict, gap.p, gap.words) == (
        "insufficient_evidence",
        None,
        "too small to judge: 20 rows, or too few in the rest",
    )


def test_below_ten_rows_there_is_no_interval_and_without_rows_no_value() -> None:
    group = np.array(["a"] * 60 + ["b"] * 7, object)
    feature = replace(FEATURE, groups=("a", "b", "c"))
    values = np.random.default_rng(5).normal(size=67)
    item = audit_values([feature], {"f": group}, {"absolute_error": values}, SETTINGS, 1).audits[0]
    assert item.groups[1].rate.value == pytest.approx(values[60:].mean())
    assert item.groups[1].rate.ci_low is None
    assert item.gaps[1].gap.value is None
    assert (item.groups[2].rate.value, item.groups[2].rate.reason) == (None, "no_rows")
    assert (item.gaps[2].verdict, item.spread_p) == ("not_assessed", None)


def test_more_error_is_a_disadvantage_and_a_sign_is_none() -> None:
    worse = np.random.default_rng(6).exponential(size=len(GROUP)) + (GROUP == "b")
    item = one(worse)
    assert item.verdict == "disparity_found"
    assert item.gaps[1].words.startswith("disadvantaged: higher than the rest by ")
    assert item.gaps[0].words.endswith("the disadvantage lies with others")
    signed = one(-worse, "signed_error")
    assert signed.gaps[1].words.startswith("under-predicted relative to the rest by ")
    assert signed.gaps[0].words.startswith("over-predicted relative to the rest by ")
    assert all("disadvantage" not in gap.words for gap in signed.gaps)


def test_equivalence_needs_a_declared_delta_and_enough_rows() -> None:
    group = np.repeat(np.array(["a", "b"], object), 4000)
    feature = replace(FEATURE, groups=("a", "b"))
    values = np.random.default_rng(70).normal(size=8000)

    def verdict(delta: float | None, rows: int) -> str:
        some = np.r_[:rows, 4000 : 4000 + rows]
        settings = replace(SETTINGS, delta=delta)
        errors = {"signed_error": values[some]}
        return audit_values([feature], {"f": group[some]}, errors, settings, 1).audits[0].verdict

    assert verdict(None, 4000) == "insufficient_evidence"
    assert verdict(0.1, 4000) == "equivalent_within_delta"
    assert verdict(0.1, 100) == "insufficient_evidence"


def test_equal_values_have_no_test() -> None:
    item = one(np.full(len(GROUP), 0.1))
    assert (item.verdict, item.gaps[0].p, item.gaps[0].words) == ("insufficient_evidence", None, "no spread: no test")


def test_rows_without_truth_are_left_out_and_counted() -> None:
    values = np.random.default_rng(8).normal(size=len(GROUP))
    holes = values.copy()
    holes[:100] = np.nan
    found = record(holes)
    assert found.audits[0].overall.n == len(GROUP) - 100
    assert found.audits[0].groups[0].rate.value == pytest.approx(values[100:300].mean())
    assert "100 rows without absolute error are left out" in found.notes
    assert not any("left out" in note for note in record(values).notes)


def test_all_tests_of_the_run_are_corrected_together() -> None:
    rng = np.random.default_rng(9)
    errors = {"absolute_error": rng.exponential(size=len(GROUP)), "signed_error": rng.normal(size=len(GROUP))}
    both = audit_values([FEATURE], {"f": GROUP}, errors, SETTINGS, 1)
    assert [a.metric for a in both.audits] == ["absolute_error", "signed_error"]
    assert both.tests == 6  # three groups of two metrics are large enough
    alone = audit_values([FEATURE], {"f": GROUP}, {"signed_error": errors["signed_error"]}, SETTINGS, 1)
    gaps = zip(both.audits[1].gaps, alone.audits[0].gaps, strict=True)
    assert all(a.p == b.p for a, b in gaps)
    assert both == audit_values([FEATURE], {"f": GROUP}, errors, SETTINGS, 1)


def test_nothing_declared_is_not_assessed() -> None:
    found = audit_values([], {}, {"absolute_error": np.ones(9)}, SETTINGS, 1)
    assert (found.audits, found.tests) == ((), 0)
    assert found.not_assessed[1] == "slices: none is declared (data.slices)"


def test_relabelling_by_hand() -> None:
    groups = [np.zeros(3), np.ones(3)]
    dealt = deal(groups, stream(0), 20_000)
    assert dealt.sums[0] == pytest.approx([-1.5, 1.5])
    assert spread_share(dealt, [0, 1]) == pytest.approx(0.1, abs=0.01)  # 2 of 20 ways to deal
    assert gap_share(dealt, 0) == pytest.approx(0.1, abs=0.01)


def test_means_without_any_spread_are_not_compared() -> None:
    flat = Moments(9, 1.0, 0.0)
    assert mean_gap(flat, flat).ci_low is None
    with pytest.raises(ValueError, match="without any spread"):
        welch(flat, flat)


def test_amounts_are_readable() -> None:
    assert [amount(v) for v in (0.01234, 12.345, 123456.0)] == ["0.0123", "12.3", "123,456"]
