"""Comparing: a number with its interval counts once, and what is not recomputed is told."""

import pytest

from pipeline.core.contracts import Number
from pipeline.tracing.comparing import ABSENT, compared, joined, same


def test_numbers_count_once_and_differ_in_a_field() -> None:
    one = Number(value=0.5, ci_low=0.4, ci_high=0.6, ci_level=0.95, ci_method="Wilson", n=10)
    other = Number(value=0.5, ci_low=0.4, ci_high=0.7, ci_level=0.95, ci_method="Wilson", n=10)
    part = compared("evaluate", {"a": one, "b": [1, 2.0]}, {"a": other, "b": [1, 2.0]})
    assert (part.checked, part.equal) == (3, 2)
    assert [(m.place, m.reported, m.recomputed) for m in part.mismatches] == [("/evaluate/a/ci_high", 0.6, 0.7)]


def test_texts_are_compared_and_not_counted() -> None:
    part = compared("x", {"verdict": "pass", "n": 1}, {"verdict": "fail", "n": 1})
    assert (part.checked, part.equal) == (1, 1)
    assert [m.place for m in part.mismatches] == ["/x/verdict"]


def test_what_only_one_side_has() -> None:
    part = compared("search", {"seconds": 3.0, "schema": 1, "best": 2}, {"best": 2, "more": 1})
    assert [(m.place, m.reported) for m in part.mismatches] == [("/search/more", ABSENT)]
    assert part.left == {"/search/seconds": "seconds are measured once"}
    assert compared("search", {"strange": 3.0}, {}).left == {"/search/strange": "what it was made of is not stored"}


@pytest.mark.parametrize(
    ("one", "two", "equal"),
    [
        (0.1 + 0.2, 0.3, True),
        (0.3, 0.30001, False),
        (3, 3.0, True),
        (None, 0.0, False),
        (0.0, None, False),
        (True, 1.0, False),
        ("a", "a", True),
        (0.0, 1e-15, True),
        (1e-8, 2e-8, False),
    ],
)
def test_equal_but_for_the_last_digits(one: object, two: object, equal: bool) -> None:
    assert same(one, two) is equal


def test_parts_add_up() -> None:
    whole = joined("s", compared("s", {"a": 1}, {"a": 1}), compared("s", {"b": 1, "c": 2}, {"b": 2}))
    assert (whole.name, whole.checked, whole.equal, len(whole.mismatches), list(whole.left)) == (
        "s", 2, 1, 1, ["/s/c"],
    )  # fmt: skip
