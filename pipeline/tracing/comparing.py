"""What is reported beside what was computed again, number by number."""

import fnmatch
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.core.strict import plain
from pipeline.tracing.places import SCHEMAS, is_number

_EQUAL = 1e-9
"""Sums of other libraries or processors may differ in their last digits, relative to the number."""
_SMALL = 1e-12
ABSENT = "(absent)"

MEASURED: Mapping[str, str] = {
    "/data/inputs/*": "fitted on the training rows by prepare, which fits them again",
    "/data/targets/*": "fitted on the training rows by prepare, which fits them again",
    "/search/*seconds": "seconds are measured once",
    "/search/phases/*": "seconds are measured once",
    "/search/raised/*": "seconds are measured once",
    "/search/energy_wh": "energy is measured once",
    "/search/importances/*": "needs every answer of every trial; search explains its scores again",
    "/search/latency_batch": "a setting",
    "/search/trials/*/gaps/*": "needs the network of each trial; search looks at validation rows again",
    "/search/constraints/*": "a setting",
    "/search/ensemble/*": "needs what the members predicted of validation rows; search chooses again",
    "/model/latency/*": "latency is measured once, on the machine that trained",
    "/model/*seconds": "seconds are measured once",
    "/model/epochs/*": "needs the training; train goes through it again",
    "/model/val_*": "needs the training; train goes through it again",
    "/model/seeds/*": "needs the training; train goes through it again",
    "/model/default/*": "needs the training; train goes through it again",
    "/model/distilled/*": "needs the training; train goes through it again",
    "/model/ablation/*": "needs the training; train goes through it again",
    "/model/familiarity_floor": "needs the validation rows; train looks at them again",
    "/model/energy_wh": "energy is measured once",
    "/evaluate/latency_ms*": "latency is measured once; evaluate measures it anew",
    "/evaluate/constraints/*": "latency is measured once; evaluate measures it anew",
    "/robustness/*": "needs the test rows themselves; evaluate makes them worse again",
    "/fairness/proxies/*": "needs the validation rows; fairness probes them again",
    "/interpret/effects/*": "needs what the network says of moved rows; interpret moves them again",
    "/interpret/influences/*": "needs the training rows; interpret fits the last layer without some of them again",
    "/interpret/concepts/*": "needs the examples of concepts; interpret reads them again",
    "/interpret/seconds": "seconds are measured once",
}
"""Why numbers are not computed again, by place; `*` stands for anything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mismatch:
    """A place where two values differ."""

    place: str
    reported: object
    recomputed: object


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One part of the report, compared."""

    name: str
    checked: int
    """Numbers, each with its interval counted once; digests and settings where the part is about these."""
    equal: int
    mismatches: tuple[Mismatch, ...] = ()
    """Texts among them, which are compared and not counted."""
    left: Mapping[str, str] = field(default_factory=dict)
    """Places of numbers that were not computed again, and why."""


def compared(name: str, reported: object, recomputed: object, at: str | None = None) -> Part:
    """Compare two trees; numbers that are reported and not recomputed are `left`. `at`: the place of their top."""
    at = f"/{name}" if at is None else at
    ours, again = dict(leaves(plain(reported), at)), dict(leaves(plain(recomputed), at))
    differing = {place for place, value in again.items() if not same(ours.get(place, ABSENT), value)}
    counted = {place for place in again if counts(again[place]) or counts(ours.get(place))}
    return Part(
        name=name,
        checked=len(counted),
        equal=len(counted - differing),
        mismatches=tuple(_mismatch(place, ours.get(place, ABSENT), again[place]) for place in again
                         if place in differing),
        left={place: reason(place) for place, value in ours.items() if counts(value) and place not in again},
    )  # fmt: skip


def joined(name: str, *parts: Part) -> Part:
    """Return several comparisons as one part; what any of them covers is not left."""
    left = {place: why for part in parts for place, why in part.left.items()}
    return Part(
        name=name,
        checked=sum(part.checked for part in parts),
        equal=sum(part.equal for part in parts),
        mismatches=tuple(mismatch for part in parts for mismatch in part.mismatches),
        left=left,
    )


def leaves(node: object, at: str) -> Iterator[tuple[str, object]]:
    """Yield (place, value) of everything that is no list and no mapping but a number with its interval.

    Schema numbers were checked as the record was read.
    """
    if isinstance(node, Mapping) and not is_number(node):
        for key, sub in node.items():
            if key in SCHEMAS:
                continue
            yield from leaves(sub, f"{at}/{str(key).replace('~', '~0').replace('/', '~1')}")
    elif isinstance(node, list | tuple):
        for i, sub in enumerate(node):
            yield from leaves(sub, f"{at}/{i}")
    else:
        yield at, node


def counts(leaf: object) -> bool:
    """Say whether a leaf is a number."""
    return is_number(leaf) or (isinstance(leaf, int | float) and not isinstance(leaf, bool))


def same(one: object, two: object) -> bool:
    """Say whether two leaves are equal, floats but for their last digits."""
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, float) or isinstance(two, float):
        return counts(one) and counts(two) and math.isclose(one, two, rel_tol=_EQUAL, abs_tol=_SMALL)  # type: ignore[arg-type]
    return one == two


def _mismatch(place: str, one: object, two: object) -> Mismatch:
    """Name the first field that differs, of numbers with intervals."""
    if isinstance(one, Mapping) and isinstance(two, Mapping) and one.keys() == two.keys():
        key = next(key for key in one if not same(one[key], two[key]))
        return Mismatch(place=f"{place}/{key}", reported=one[key], recomputed=two[key])
    return Mismatch(place=place, reported=one, recomputed=two)


def reason(place: str) -> str:
    """Say why the number at a place was not computed again."""
    found = (why for pattern, why in MEASURED.items() if fnmatch.fnmatchcase(place, pattern))
    return next(found, "what it was made of is not stored")
