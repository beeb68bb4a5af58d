"""Rows of one person: as many rows as they are worth, whatever is counted."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.core.contracts import AuditFeature, FairnessRecord
from pipeline.core.settings import FairnessSettings
from pipeline.metrics.disparity import audit
from pipeline.metrics.mean_gaps import audit_values
from pipeline.metrics.units import unit_means, worth

SETTINGS = FairnessSettings(permutations=200)
FEATURE = AuditFeature(name="sex", role="slice", source="test", groups=("f", "m"))


def test_rows_that_always_agree_are_worth_one() -> None:
    hit = np.repeat([True, False, True, True] * 10, 5)
    unit = np.repeat(np.arange(40), 5)
    k, n = worth(hit, unit)
    assert n in (39, 40)
    assert k == round(0.75 * n)
    assert worth(hit, None) == worth(hit, np.arange(200)) == (150, 200)
    assert worth(np.ones(200, bool), unit) == (40, 40)
    assert worth(np.empty(0, bool), np.empty(0, int)) == (0, 0)


def test_rows_that_agree_by_chance_are_worth_as_many_as_they_are() -> None:
    rng = np.random.default_rng(0)
    sizes = [worth(rng.random(1000) < 0.5, np.repeat(np.arange(200), 5))[1] for _ in range(50)]
    assert np.mean(sizes) > 930
    assert max(sizes) <= 1000


def compared(times: int, unit: bool) -> FairnessRecord:
    rng = np.random.default_rng(2)
    group = rng.choice(["f", "m"], 200).astype(object)
    wrong = (rng.random(200) < np.where(group == "f", 0.35, 0.2)).astype(int)
    rows = np.repeat(np.arange(200), times)
    return audit((FEATURE,), {"sex": group[rows]}, 0 * rows, wrong[rows], list("npq"), SETTINGS, 1,
                 unit=rows if unit else None)  # fmt: skip


def test_repeated_rows_have_the_same_rates_and_no_narrower_interval() -> None:
    once, thrice, naive = (compared(*how).audits[0] for how in ((1, False), (3, True), (3, False)))
    for a, b, c in zip(once.gaps, thrice.gaps, naive.gaps, strict=True):
        assert a.gap.value == pytest.approx(b.gap.value) == pytest.approx(c.gap.value)
        widths = [g.gap.ci_high - g.gap.ci_low for g in (a, b, c)]  # type: ignore[operator]
        assert widths[1] == pytest.approx(widths[0], rel=0.03)
        assert widths[2] < 0.7 * widths[0]
    assert compared(3, True).notes[2].startswith("600 rows of 200 persons (data.group_by)")


def persons(rng: np.random.Generator) -> tuple[NDArray[np.object_], NDArray[np.int64], NDArray[np.int64]]:
    """Sixty persons with twenty rows each; a person's rows are mostly right or mostly wrong, whatever the group."""
    group = rng.choice(["f", "m"], 60).astype(object)
    share = rng.choice([0.1, 0.9], 60)
    unit = np.repeat(np.arange(60), 20)
    return group[unit], (rng.random(1200) < share[unit]).astype(int), unit


def test_persons_with_many_rows_make_no_disparity() -> None:
    rng = np.random.default_rng(3)
    verdicts: dict[bool, list[str]] = {True: [], False: []}
    for _ in range(100):
        group, wrong, unit = persons(rng)
        for told, found in verdicts.items():
            record = audit((FEATURE,), {"sex": group}, 0 * wrong, wrong, list("npq"), SETTINGS, 1,
                           unit=unit if told else None)  # fmt: skip
            found.append(record.audits[0].verdict)
    assert verdicts[True].count("disparity_found") <= 8
    assert verdicts[False].count("disparity_found") >= 40  # what the rule is for


def test_means_count_every_person_once() -> None:
    values = np.array([1.0, 3.0, 10.0, np.nan, 5.0])
    means, group = unit_means(values, np.array(["f", "f", "m", "m", "m"], object), np.array([0, 0, 1, 1, 0]))
    assert sorted(zip(group, means, strict=True)) == [("f", 2.0), ("m", 5.0), ("m", 10.0)]
    rng = np.random.default_rng(4)
    group, wrong, unit = persons(rng)
    record = audit_values((FEATURE,), {"sex": group}, {"absolute_error": wrong.astype(float)}, SETTINGS, 1, unit)
    assert sum(g.rate.n for g in record.audits[0].groups) == 60
    assert record.notes[2] == "1,200 rows of 60 persons or series: each counts once, with the mean of its rows"
