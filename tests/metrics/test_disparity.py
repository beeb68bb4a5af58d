"""The verdicts: rarely wrong when there is nothing, found when there is, silent when it is too small to say."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.core.contracts import AuditFeature, FairnessRecord, FeatureAudit
from pipeline.core.settings import FairnessSettings
from pipeline.metrics.disparity import audit, spread_p

SETTINGS = FairnessSettings(permutations=500)
SIZES = {"a": 600, "b": 300, "c": 80, "d": 20}


def groups_of(sizes: dict[str, int]) -> NDArray[np.object_]:
    return np.repeat(np.array(list(sizes), object), list(sizes.values()))


def feature(sizes: dict[str, int], name: str = "f", role: str = "slice") -> AuditFeature:
    return AuditFeature(name=name, role=role, source="test", groups=tuple(sizes))  # type: ignore[arg-type]


def accuracy_audit(
    rates: dict[str, float], rng: np.random.Generator, sizes: dict[str, int], settings: FairnessSettings = SETTINGS
) -> FeatureAudit:
    group = groups_of(sizes)
    y = np.zeros(len(group), int)
    wrong = rng.random(len(group)) > np.array([rates[g] for g in group])
    record = audit([feature(sizes)], {"f": group}, y, wrong.astype(int), ["n", "p", "q"], settings, 1)
    return record.audits[0]


def test_no_gap_is_called_a_disparity_in_at_most_five_percent() -> None:
    rng = np.random.default_rng(0)
    found = [accuracy_audit(dict.fromkeys(SIZES, 0.5), rng, SIZES).verdict for _ in range(200)]
    assert found.count("disparity_found") <= 10
    assert found.count("equivalent_within_delta") == 0


def test_a_planted_gap_is_found_with_the_promised_power() -> None:
    rng = np.random.default_rng(1)
    rates = dict.fromkeys(SIZES, 0.5) | {"b": 0.65}
    verdicts = [accuracy_audit(rates, rng, SIZES).gaps[1].verdict for _ in range(60)]
    assert verdicts.count("disparity_found") >= 55


def test_a_gap_in_twenty_rows_stays_unjudged() -> None:
    item = accuracy_audit(dict.fromkeys(SIZES, 0.9) | {"d": 0.4}, np.random.default_rng(2), SIZES)
    small = item.gaps[3]
    assert (small.verdict, small.p) == ("insufficient_evidence", None)
    assert small.gap.ci_low is not None
    assert small.words == "too small to judge: 20 rows, or too few in the rest"


def test_below_ten_rows_there_is_no_interval() -> None:
    sizes = {"a": 500, "b": 7}
    item = accuracy_audit(dict.fromkeys(sizes, 0.8), np.random.default_rng(2), sizes)
    assert item.groups[1].rate.n == 7
    assert item.groups[1].rate.ci_low is None
    assert item.gaps[1].gap.value is None


def test_equivalence_needs_a_declared_delta_and_enough_rows() -> None:
    rng, many = np.random.default_rng(3), {"a": 6000, "b": 5000}
    rates = dict.fromkeys(many, 0.9)
    declared = replace(SETTINGS, delta=0.05)
    assert accuracy_audit(rates, rng, many).verdict == "insufficient_evidence"
    assert accuracy_audit(rates, rng, many, declared).verdict == "equivalent_within_delta"
    few = {"a": 200, "b": 150}
    assert accuracy_audit(rates, rng, few, declared).verdict == "insufficient_evidence"


def binary(sizes: dict[str, int], selected: dict[str, float], role: str = "sensitive") -> FairnessRecord:
    group, rng = groups_of(sizes), np.random.default_rng(4)
    y = rng.integers(2, size=len(group))
    chosen = (rng.random(len(group)) < np.array([selected[g] for g in group])).astype(int)
    return audit([feature(sizes, role=role)], {"f": group}, y, chosen, ["no", "yes"], SETTINGS, 1)


def test_only_the_disadvantaged_side_is_named() -> None:
    record = binary({"men": 900, "women": 500}, {"men": 0.3, "women": 0.1})
    rate = next(a for a in record.audits if a.metric == "selection_rate")
    assert rate.verdict == "disparity_found"
    assert rate.gaps[1].words.startswith("disadvantaged: lower than the rest by 0.")
    assert rate.gaps[0].words.endswith("the disadvantage lies with others")
    wrongly = next(a for a in record.audits if a.metric == "false_positive_rate")
    assert wrongly.gaps[0].words.startswith("disadvantaged: higher than the rest by 0.")


def test_rates_of_a_positive_class_belong_to_people_not_to_slices() -> None:
    sizes = {"a": 50, "b": 50}
    metrics = [a.metric for a in binary(sizes, dict.fromkeys(sizes, 0.5)).audits]
    assert metrics == ["accuracy", "selection_rate", "true_positive_rate", "false_positive_rate", "precision"]
    assert [a.metric for a in binary(sizes, dict.fromkeys(sizes, 0.5), "slice").audits] == ["accuracy"]


def test_a_group_without_positive_labels_is_undefined_with_a_reason() -> None:
    group = groups_of({"a": 60, "b": 60})
    y = np.array([0, 1] * 30 + [0] * 60)
    item = feature({"a": 60, "b": 60}, role="sensitive")
    record = audit([item], {"f": group}, y, y, ["no", "yes"], SETTINGS, 1)
    rate = next(a for a in record.audits if a.metric == "true_positive_rate").groups[1].rate
    assert (rate.value, rate.reason, rate.n) == (None, "no_positive_labels", 0)
    assert next(a for a in record.audits if a.metric == "true_positive_rate").gaps[1].verdict == "not_assessed"


def test_names_and_order_of_groups_change_no_number() -> None:
    rates = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}
    first = accuracy_audit(rates, np.random.default_rng(5), SIZES)
    group = groups_of(SIZES)
    renamed = np.array([{"a": "z", "b": "y", "c": "x", "d": "w"}[g] for g in group], object)
    wrong = np.random.default_rng(5).random(len(group)) > np.array([rates[g] for g in group])
    other = AuditFeature(name="f", role="slice", source="", groups=("w", "x", "y", "z"))
    record = audit([other], {"f": renamed}, np.zeros(len(group), int), wrong.astype(int), list("npq"), SETTINGS, 1)
    swapped = {g.group: (g.gap, g.p, g.p_adjusted, g.verdict) for g in record.audits[0].gaps}
    for gap, name in zip(first.gaps, "zyxw", strict=True):
        assert swapped[name] == (gap.gap, gap.p, gap.p_adjusted, gap.verdict)


def test_nothing_declared_is_not_assessed_never_inferred() -> None:
    record = audit([], {}, np.zeros(9, int), np.zeros(9, int), ["a", "b"], SETTINGS, 1)
    assert record.audits == ()
    assert record.not_assessed[0] == (
        "fairness towards people: no sensitive feature is declared (data.sensitive); none is ever inferred"
    )


def test_the_spread_test_keeps_its_level_and_has_power() -> None:
    rng = np.random.default_rng(6)
    sizes = [600, 300, 80]
    null = [spread_p([int(rng.binomial(n, 0.5)) for n in sizes], sizes, rng, 300) for _ in range(200)]
    assert sum(p is not None and p <= 0.05 for p in null) <= 18
    assert spread_p([540, 200, 40], sizes, rng, 300) == pytest.approx(1 / 301)
    assert spread_p([3], [9], rng, 300) is None
