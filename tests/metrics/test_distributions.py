"""Distributions by group: scipy's numbers, silence in noise, differences that no mean shows, intervals that hold."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ks_2samp, wasserstein_distance

from pipeline.core.contracts import AuditFeature, DistributionGap, FairnessRecord
from pipeline.core.settings import FairnessSettings
from pipeline.metrics.distributions import Spread, distances, distributions, spreads_of
from pipeline.metrics.mean_gaps import audit_values
from pipeline.metrics.verdicts import Also

SETTINGS = FairnessSettings(permutations=200)
SIZES = {"a": 300, "b": 120, "c": 20, "d": 5}
GROUP = np.repeat(np.array(list(SIZES), object), list(SIZES.values()))
SEX = AuditFeature(name="sex", role="sensitive", source="test", groups=(*SIZES, "e"))


def judged(
    values: NDArray[np.float64], settings: FairnessSettings = SETTINGS, unit: NDArray[np.int64] | None = None
) -> FairnessRecord:
    spread = Spread(name="errors", values=values, unit="target")
    found = distributions([SEX, replace(SEX, name="k", role="slice")], {"sex": GROUP, "k": GROUP}, [spread], settings,
                          1, unit)  # fmt: skip
    return audit_values([SEX], {"sex": GROUP}, {"signed_error": values}, settings, 1, unit, Also(distributions=found))


def of(values: NDArray[np.float64], group: str, settings: FairnessSettings = SETTINGS) -> DistributionGap:
    return next(d for d in judged(values, settings).distributions if d.group == group)


def test_the_numbers_are_scipys() -> None:
    values = np.random.default_rng(0).exponential(size=len(GROUP))
    own, rest = values[GROUP == "b"], values[GROUP != "b"]
    found = of(values, "b")
    test = ks_2samp(own, rest)
    assert (found.statistic.value, found.p) == (test.statistic, test.pvalue)
    assert found.distance.value == wasserstein_distance(own, rest)
    assert (found.feature, found.of, found.distance.unit, found.statistic.n) == ("sex", "errors", "target", 120)


def test_equal_distributions_are_found_different_in_at_most_five_percent() -> None:
    rng = np.random.default_rng(1)
    two = [AuditFeature(name="f", role="sensitive", source="", groups=("a", "b"))]
    group, found = np.repeat(np.array(["a", "b"], object), [150, 60]), 0
    quick = replace(SETTINGS, permutations=2)
    for _ in range(300):
        spread = Spread(name="errors", values=rng.exponential(size=210), unit="target")
        (first, _) = distributions(two, {"f": group}, [spread], quick, 1)
        found += (first.gap.p or 1) <= 0.05
    assert found <= 22


def test_another_spread_around_the_same_mean_is_found() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=len(GROUP)) * np.where(GROUP == "b", 3.0, 1.0)
    values -= np.where(GROUP == "b", values[GROUP == "b"].mean(), values[GROUP != "b"].mean())
    record = judged(values)
    assert record.audits[0].verdict == "insufficient_evidence"  # means alone say nothing
    gap = record.distributions[1]
    assert gap.verdict == "disparity_found"
    assert gap.words.startswith("spread otherwise than in the rest, 1.")
    assert record.tests == 4  # means and distributions of the two groups that are large enough


def test_a_shift_is_its_own_distance_and_the_interval_holds_it() -> None:
    rng, held = np.random.default_rng(3), 0
    for _ in range(100):
        own, rest = rng.normal(0.5, 1, 80), rng.normal(0, 1, 300)
        distance, by_chance = distances(own, rest, rng, 200, 0.95)
        held += (distance.ci_low or 0) <= 0.5 <= (distance.ci_high or 0)
        assert (by_chance.value or 0) < 0.25
    assert held >= 93


def test_no_difference_is_inside_its_interval_although_no_distance_is_zero() -> None:
    rng, held = np.random.default_rng(4), 0
    for _ in range(200):
        distance, _ = distances(rng.exponential(size=80), rng.exponential(size=300), rng, 200, 0.95)
        held += distance.ci_low == 0.0
    assert held >= 178  # 190 promised; percentiles of the distance itself would hold it never


def test_by_chance_is_what_relabelled_rows_are_apart() -> None:
    rng = np.random.default_rng(5)
    own, rest = rng.normal(size=40), rng.normal(size=160)
    _, by_chance = distances(own, rest, rng, 3000, 0.95)
    pooled, seen = np.concatenate([own, rest]), []
    for _ in range(3000):
        mixed = rng.permutation(pooled)
        seen.append(wasserstein_distance(mixed[:40], mixed[40:]))
    assert by_chance.value == pytest.approx(np.mean(seen), rel=0.03)
    assert by_chance.ci_high == pytest.approx(np.quantile(seen, 0.975), rel=0.06)


def test_small_and_empty_groups_are_listed_never_judged() -> None:
    values = np.random.default_rng(6).normal(size=len(GROUP)) + 9 * (GROUP == "c")
    found = {d.group: d for d in judged(values).distributions}
    assert (found["c"].p, found["c"].verdict) == (None, "insufficient_evidence")
    assert found["c"].distance.value == pytest.approx(9, abs=1)
    assert found["d"].distance.reason == "too_few_rows"
    assert found["c"].words == "too small to judge: 20 rows, or too few in the rest"
    assert (found["e"].verdict, found["e"].distance.reason) == ("not_assessed", "no_rows")


def test_equivalence_needs_a_delta_that_the_whole_interval_stays_below() -> None:
    values = np.random.default_rng(7).normal(size=len(GROUP))
    assert of(values, "a").verdict == "insufficient_evidence"
    assert of(values, "a", replace(SETTINGS, delta=0.8)).verdict == "equivalent_within_delta"
    assert of(values, "a", replace(SETTINGS, delta=0.05)).verdict == "insufficient_evidence"


def test_rows_of_one_series_count_once_and_unknown_ones_not_at_all() -> None:
    values = np.random.default_rng(8).normal(size=len(GROUP))
    values[:2] = np.nan
    found = judged(values, unit=np.arange(len(GROUP)) // 2).distributions[0]
    assert found.statistic.n == 149


def test_equal_values_have_no_interval() -> None:
    found = of(np.zeros(len(GROUP)), "a")
    assert (found.distance.value, found.distance.reason, found.p) == (0.0, "no spread: no interval", 1.0)


def test_every_target_is_in_its_own_units() -> None:
    true, predicted = np.array([[1.0, 10.0]]), np.array([[2.0, 40.0]])
    assert [(s.name, s.values.tolist()) for s in spreads_of(["x", "y"], true, predicted, "target")] == [
        ("predictions of x", [2.0]), ("errors of x", [1.0]), ("predictions of y", [40.0]), ("errors of y", [30.0]),
    ]  # fmt: skip
    assert [s.name for s in spreads_of(["x"], true[:, :1], predicted[:, :1], "target")] == ["predictions", "errors"]
