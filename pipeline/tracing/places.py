"""Places in report.json: how people name them, and which stage the number there is from."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.core.errors import ConfigError
from pipeline.core.store import REPORTS

REPORT = REPORTS / "report.json"
_STAGES = {"data": "prepare", "model": "train", "robustness": "evaluate", "cost": "report"}
"""Stages that are called otherwise than the part of the report they fill."""
_NAMES = ("name", "method", "feature", "group", "origin")
"""Fields by which an item of a list may be called instead of its place."""
_LONG = (("search", "trials"), ("model", "layers"), ("interpret", "gallery"))
"""Lists that nobody is pointed at."""
SCHEMAS = ("schema", "schema_version")
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where a number stands: its keys from the top, and what each may be called instead."""

    keys: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def pointer(self) -> str:
        """As a JSON pointer (RFC 6901)."""
        return "".join(f"/{key.replace('~', '~0').replace('/', '~1')}" for key in self.keys)

    @property
    def dotted(self) -> str:
        """As people write it."""
        return ".".join(self.keys)


def is_number(node: object) -> bool:
    """Say whether this is a value with its interval, method and n."""
    return isinstance(node, Mapping) and {"value", "n", "reason"} <= node.keys()


def places(node: Any, keys: tuple[str, ...] = (), names: tuple[str, ...] = ()) -> Iterator[Place]:
    """Yield the place of every number below `node`, numbers with intervals as one, schema numbers left out."""
    if is_number(node) or (isinstance(node, int | float) and not isinstance(node, bool)):
        yield Place(keys, names)
    elif isinstance(node, Mapping):
        for key, sub in node.items():
            if key not in SCHEMAS:
                yield from places(sub, (*keys, key), (*names, key))
    elif isinstance(node, list):
        for i, sub in enumerate(node):
            called = next((sub[k] for k in _NAMES if isinstance(sub, Mapping) and k in sub), str(i))
            yield from places(sub, (*keys, str(i)), (*names, str(called)))


def find(report: Mapping[str, Any], wanted: str) -> Place:
    """Return the place that `wanted` names: a JSON pointer, dotted keys, or some of them, the first and last included.

    Raises:
        ConfigError: there is none, or several are named equally well.
    """
    known = {key: part for key, part in report.items() if key != "provenance"}
    all_places = list(places(known))
    if wanted.startswith("/"):
        found = [place for place in all_places if wanted in (place.pointer, f"{place.pointer}/value")]
    else:
        keys = wanted.split(".")
        exact = [place for place in all_places if wanted in (place.dotted, f"{place.dotted}.value")]
        found = exact or [place for place in all_places if _named(place, keys)]
    if not found and (target := _pointed_at(report, wanted)):
        return find(report, target)
    shortest = min((len(place.keys) for place in found), default=0)
    found = [place for place in found if len(place.keys) == shortest]
    if len(found) == 1:
        return found[0]
    if found:
        fix = f"one of: {', '.join(place.dotted for place in found[:_SHOWN])}" + ", …" * (len(found) > _SHOWN)
        raise ConfigError(f"why: {len(found)} numbers of {REPORT} are called '{wanted}'", fix=fix)
    near = _nearest(all_places, wanted)
    fix = f"did you mean {' or '.join(near)}?" if near else "without a place, the main ones are listed"
    raise ConfigError(f"why: {REPORT} has no number at '{wanted}'", fix=fix)


def _named(place: Place, wanted: Sequence[str]) -> bool:
    """Say whether the wanted words stand among the keys in order, from the first to the last."""
    at = 0
    for key, name in zip(place.keys, place.names, strict=True):
        fits = at < len(wanted) and wanted[at] in (key, name)
        if not fits and at in (0, len(wanted)):
            return False
        at += fits
    return at == len(wanted)


def _pointed_at(report: Mapping[str, Any], wanted: str) -> str | None:
    """Return what the first screen points at under this name."""
    part, _, key = wanted.strip("/").replace("/", ".").partition(".")
    target = report["headline"].get(key) if part == "headline" else None
    return target if isinstance(target, str) and target.startswith("/") else None


def _nearest(known: Sequence[Place], wanted: str) -> list[str]:
    names = [place.dotted for place in known if place.keys[:2] not in _LONG]
    return difflib.get_close_matches(wanted.strip("/").replace("/", "."), names, n=3, cutoff=0.65)


def stage_of(report: Mapping[str, Any], place: Place) -> str:
    """Return the stage that made a number; what no other made is the report's own."""
    stage = _STAGES.get(place.keys[0], place.keys[0])
    return stage if any(known["stage"] == stage for known in report["provenance"]) else "report"


def main_places(report: Mapping[str, Any]) -> list[Place]:
    """Return what a reader asks about first: each part's numbers that stand in no list."""
    top = [place for place in places(report) if place.keys[0] != "provenance"]
    return [place for place in top if 2 <= len(place.keys) <= 3 and not any(key.isdigit() for key in place.keys)]
