"""How much of a long list the page shows. report.json holds all of it; the page says "showing 200 of 2,000"."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

TRIALS = 200
CLASSES = 100
MATRIX = 30
"""Classes of which every pair is shown; of more only the pairs that are confused most."""
PAIRS = 40
POINTS = 100
"""Rows of a table that tells the points of a figure."""
DOTS = 2000
"""Of one figure."""


def showing(shown: int, of: int, what: str) -> str:
    """Return "showing 200 of 2,000 trials", or nothing where all are shown."""
    return f"showing {shown:,} of {of:,} {what}" if shown < of else ""


def evenly(items: Sequence[T], most: int) -> list[tuple[int, T]]:
    """Return at most `most` items with their places, as far apart as can be, the first and the last among them."""
    if len(items) <= most:
        return list(enumerate(items))
    places = sorted({round(i * (len(items) - 1) / (most - 1)) for i in range(most)})
    return [(i, items[i]) for i in places]


def trials_shown(search: Mapping[str, Any], most: int = TRIALS) -> list[tuple[int, Mapping[str, Any]]]:
    """Return trials with their places: three quarters of the room for the best ones, the rest for failures."""
    trials = list(enumerate(search["trials"]))
    if len(trials) <= most:
        return trials
    failed = [one for one in trials if one[1]["score"] is None][: most // 4]
    scored = [one for one in trials if one[1]["score"] is not None]
    scored.sort(key=lambda one: (one[1]["state"] != "complete", one[1]["score"]))
    return sorted((*scored[: most - len(failed)], *failed), key=lambda one: one[0])


def least(items: Sequence[Mapping[str, Any]], key: str, most: int = CLASSES) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the items whose number `key` is lowest, with their places, in their order; undefined ones come last."""

    def value(item: Mapping[str, Any]) -> float | None:
        found: float | None = item[key]["value"] if isinstance(item[key], Mapping) else item[key]
        return found

    ranked = sorted(enumerate(items), key=lambda one: (value(one[1]) is None, value(one[1]) or 0.0))
    return sorted(ranked[:most], key=lambda one: one[0])


def confused_pairs(confusion: Sequence[Sequence[int]], most: int = PAIRS) -> list[tuple[int, int, int]]:
    """Return (rows, true class, predicted class) of the mistakes made most often."""
    wrong = [(n, i, j) for i, row in enumerate(confusion) for j, n in enumerate(row) if n and i != j]
    return sorted(wrong, key=lambda found: (-found[0], found[1], found[2]))[:most]
