"""What corruptions cost groups: nothing found where all lose alike, planted costs found, small samples not trusted."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.core.contracts import AuditFeature, FairnessRecord, FeatureAudit
from pipeline.core.settings import FairnessSettings
from pipeline.metrics.disparity import audit
from pipeline.metrics.drops import drops, flip_mean, flip_moments
from pipeline.metrics.intervals import welch
from pipeline.metrics.scores import paired_gain
from pipeline.metrics.verdicts import Also

SETTINGS = FairnessSettings(permutations=200)
SIZES = {"a": 300, "b": 120, "c": 20}
GROUP = np.repeat(np.array(list(SIZES), object), list(SIZES.values()))
SEX = AuditFeature(name="sex", role="sensitive", source="test", groups=tuple(SIZES))
Values = NDArray[np.float64]


def judged(kind: str, clean: Values, worse: dict[str, Values], settings: FairnessSettings = SETTINGS) -> FairnessRecord:
    found = drops([SEX, replace(SEX, name="kind", role="slice")], {"sex": GROUP, "kind": GROUP}, (kind, clean, worse),
                  settings, 1)  # fmt: skip
    y = np.zeros(len(GROUP), int)
    return audit([SEX], {"sex": GROUP}, y, y, list("npq"), settings, 1, also=Also(drops=found))


def one(clean: Values, worse: Values, settings: FairnessSettings = SETTINGS) -> FeatureAudit:
    return judged("wrong", clean, {"noise": worse}, settings).drops[0]


def flips(rng: np.random.Generator, lost: Values, won: float = 0.05) -> tuple[Values, Values]:
    """Rows that are wrong in a fifth; right ones get wrong with probability `lost`, wrong ones right with `won`."""
    clean = rng.random(len(lost)) < 0.2
    return clean.astype(float), np.where(clean, rng.random(len(lost)) > won, rng.random(len(lost)) < lost).astype(float)


def test_the_cost_is_the_paired_change_of_accuracy() -> None:
    clean, worse = flips(np.random.default_rng(0), np.full(len(GROUP), 0.3))
    item, own = one(clean, worse), GROUP == "b"
    gain = paired_gain(worse[own] == 0, clean[own] == 0, 0.95)
    rate = item.groups[1].rate
    assert (item.metric, item.higher_is_better, rate.n, rate.ci_method) == (
        "accuracy lost to noise", False, 120, "adjusted Wald of pairs")  # fmt: skip
    assert [rate.value, rate.ci_low, rate.ci_high] == pytest.approx([-gain.value, -gain.ci_high, -gain.ci_low])
    cost = worse - clean
    assert item.gaps[1].gap.value == pytest.approx(cost[own].mean() - cost[~own].mean())
    assert item.gaps[2].verdict == "insufficient_evidence"
    assert item.gaps[2].words == "too small to judge: 20 rows, or too few in the rest"


def test_equal_costs_are_called_a_disparity_in_at_most_five_percent() -> None:
    rng = np.random.default_rng(1)
    found = [one(*flips(rng, np.full(len(GROUP), 0.1))).verdict for _ in range(300)]
    assert found.count("disparity_found") <= 22  # 15 expected, two standard errors more


def test_groups_with_other_errors_but_equal_costs_are_no_disparity() -> None:
    rng, found = np.random.default_rng(2), []
    for _ in range(200):
        clean = (rng.random(len(GROUP)) < np.where(GROUP == "b", 0.4, 0.1)).astype(float)
        hit = rng.random(len(GROUP)) < 0.05
        found.append(one(clean, np.where(hit & (rng.random(len(GROUP)) < 0.5), 1 - clean, clean)).verdict)
    # Wrong rows turn right as often as right ones wrong, so the costs do differ, by 0.025 * 2 * 0.3.
    assert found.count("disparity_found") <= 24


def test_a_planted_cost_is_found_and_named() -> None:
    lost = np.where(GROUP == "b", 0.4, 0.1)
    item = one(*flips(np.random.default_rng(3), lost))
    assert item.verdict == "disparity_found"
    assert item.gaps[1].words.startswith("disadvantaged: higher than the rest by 0.2")
    assert item.gaps[0].words.endswith("the disadvantage lies with others")
    assert item.extremes == ()


def test_the_interval_of_a_gap_covers_it_even_where_few_rows_flip() -> None:
    rng, held = np.random.default_rng(4), 0
    for _ in range(1000):
        own, rest = (rng.choice([1.0, 0.0, -1.0], n, p=[0.06, 0.93, 0.01]) for n in (30, 300))
        low, high, _ = welch(flip_moments(own), flip_moments(rest))
        held += low <= 0 <= high
    assert held >= 940


def test_a_corruption_that_changes_nothing_costs_nothing_for_certain_only_as_far_as_rows_go() -> None:
    clean = (np.arange(len(GROUP)) % 5 == 0).astype(float)
    declared = replace(SETTINGS, delta=0.1)
    item = one(clean, clean, declared)
    assert item.gaps[0].p_adjusted == 1.0
    assert item.gaps[0].gap.ci_low is not None
    assert item.gaps[0].gap.ci_low < 0 < (item.gaps[0].gap.ci_high or 0)
    assert [gap.verdict for gap in item.gaps] == [
        "equivalent_within_delta", "equivalent_within_delta", "insufficient_evidence"]  # fmt: skip
    assert {gap.verdict for gap in one(clean, clean).gaps} == {"insufficient_evidence"}  # no delta was declared


def test_errors_of_numbers_are_differences_in_their_units() -> None:
    rng = np.random.default_rng(5)
    clean = np.abs(rng.normal(size=len(GROUP)))
    worse = clean + 0.5 + 0.5 * (GROUP == "b") + 0.1 * rng.normal(size=len(GROUP))
    item = judged("absolute_error", clean, {"missing_block": worse}).drops[0]
    assert (item.metric, item.verdict) == ("absolute error added by missing block", "disparity_found")
    assert [rate.rate.value for rate in item.groups] == pytest.approx([0.5, 1.0, 0.5], abs=0.05)
    assert item.gaps[1].gap.ci_method == "Welch"


def test_they_are_corrected_with_all_other_tests() -> None:
    clean, worse = flips(np.random.default_rng(6), np.where(GROUP == "b", 0.24, 0.1))
    alone = judged("wrong", clean, {"noise": worse})
    many = judged("wrong", clean, {"noise": worse} | {f"c{i}": clean for i in range(20)})
    assert (alone.tests, many.tests) == (14, 54)  # two groups are large enough for each cost, and for other rates
    assert alone.drops[0].gaps[1].p == many.drops[0].gaps[1].p
    assert (alone.drops[0].gaps[1].p_adjusted or 0) < (many.drops[0].gaps[1].p_adjusted or 0)
    assert {item.feature for item in many.drops} == {"sex"}


def test_an_interval_of_no_rows_that_flip_is_not_a_point() -> None:
    number = flip_mean(np.zeros(30), 0.95)
    assert number.value == 0
    assert (number.ci_high or 0) == pytest.approx(1.96 * np.sqrt(1 / 32) / np.sqrt(32), rel=1e-3)
