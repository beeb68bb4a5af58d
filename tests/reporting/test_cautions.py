"""Warnings stand by severity, then in rounds over their kinds, the gravest of each first."""

import json
import re
from dataclasses import replace

import pytest

from pipeline.core.contracts import GroupGap, Number
from pipeline.core.settings import ReportSettings
from pipeline.core.strict import plain
from pipeline.reporting import document, render
from pipeline.reporting.cautions import DATA, Caution, at_least, in_order
from tests.reporting.test_first_screen import BEHIND, unequal


def gap(value: float | None, low: float | None = None, high: float | None = None) -> GroupGap:
    how = (None, None) if low is None else (0.95, "Newcombe")
    number = Number(value=value, n=9, ci_low=low, ci_high=high, ci_level=how[0], ci_method=how[1],
                    reason="few" if value is None else None)  # fmt: skip
    return GroupGap(group="a", gap=number, p=0.01, p_adjusted=0.02, detectable=number, verdict="disparity_found",
                    words="disadvantaged: lower than the rest", ratio=None)  # fmt: skip


@pytest.mark.parametrize(
    ("one", "least"),
    [(gap(-0.4, -0.6, -0.1), 0.1), (gap(0.3, 0.25, 0.35), 0.25), (gap(-0.1, -0.3, 0.1), 0.0), (gap(0.9), 0.0),
     (gap(None), 0.0)],
)  # fmt: skip
def test_a_gap_counts_by_what_its_interval_leaves_at_least(one: GroupGap, least: float) -> None:
    """0.4 of few rows, [-0.6, -0.1], is less sure to be large than 0.3 of many, [0.25, 0.35]."""
    assert at_least(one) == pytest.approx(least)


def test_the_gravest_of_each_kind_comes_before_the_second_of_any() -> None:
    given = [("sex", 1, 0.2), ("sex", 1, 0.9), ("race", 1, 0.5), ("race", 1, 0.6), ("notes", 4, 0), ("asked", 0, 0),
             ("asked", -1, 0)]  # fmt: skip
    found = in_order([Caution(level=level, kind=kind, text=f"{kind} {grave}", pointer="/x", grave=grave)
                      for kind, level, grave in given])  # fmt: skip
    assert [one.text for one in found] == [
        "asked 0", "asked 0", "sex 0.9", "race 0.6", "race 0.5", "sex 0.2", "notes 0"
    ]  # fmt: skip
    assert [one.level for one in found[:2]] == [-1, 0]


def test_equals_keep_the_order_of_the_stages() -> None:
    notes = [Caution(level=4, kind="notes", text=str(i), pointer="/x") for i in range(5)]
    assert [one.text for one in in_order(notes)] == list("01234")


def test_what_is_not_on_the_first_screen_is_told_by_kind() -> None:
    whole = unequal("sensitive")
    many = replace(whole, card=replace(whole.card, notes=tuple(f"note {i}" for i in range(7))))
    found = json.loads(json.dumps(plain(document(ReportSettings(title="t"), many, BEHIND))))
    kinds = [warning["kind"] for warning in found["warnings"]]
    assert {DATA, "groups by age"} <= set(kinds)
    assert all(warning["pointer"].count("/") >= 2 for warning in found["warnings"])
    page = render(found)
    more = re.search(r'<details class="more"><summary>(\d+) more to know</summary>(.*?)</details>', page, re.DOTALL)
    assert more is not None
    assert int(more[1]) == len(kinds) - 5 == more[2].count("<li")
    rest = kinds[5:].count(DATA)
    above = kinds[:5].count(DATA)
    beside = f" beside {above} above" if above else ""
    assert f"<strong>Notes on the data</strong>: {rest} more{beside}</p>" in more[2]
    assert more[2].count("<strong>") == len(set(kinds[5:]))
