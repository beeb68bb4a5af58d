"""What stands behind one number of the report, in lines for a terminal."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.configure import flat
from pipeline.core.contracts import Provenance
from pipeline.core.provenance import versions
from pipeline.core.store import code_digest
from pipeline.core.strict import read
from pipeline.reporting.words import clean, method, resolve
from pipeline.tracing.comparing import reason
from pipeline.tracing.places import REPORT, Place, stage_of

_BOUND = re.compile(r"\bseconds\b.*\b(left time|ended)\b")
"""In a note of a stage that its seconds cut short."""
_BUILT_IN = "the file that scikit-learn brings"
_WIDTH = 100


def provenance_in(report: Mapping[str, Any]) -> dict[str, Provenance]:
    """Return what stands behind each stage, as the report has it."""
    known = [read(Provenance, part, f"{REPORT}: provenance") for part in report["provenance"]]
    return {part.stage: part for part in known}


def why_lines(report: Mapping[str, Any], place: Place) -> list[str]:
    """Return value, interval, method and n of a number, and what it was made by and of, back to the raw data."""
    behind = provenance_in(report)
    stage = stage_of(report, place)
    made = behind[stage]
    lines = [
        f"{place.dotted}   ({place.pointer} in {REPORT})",
        *_field("value", _value_lines(resolve(report, place.pointer))),
        *_field("stage", [stage]),
        *_field("command", [made.command]),
        *_field("repeats", _repeats(report, place)),
    ]
    if made.recorded:
        lines += [
            *_field("settings", _settings(made.params)),
            *_field("seed", ["none" if made.seed is None else str(made.seed)]),
            *_field("data", [f"{report['data']['name']}, raw data SHA-256 {report['data']['source_digest']}"]),
            *_field("code", _code(made)),
            *_field("versions", _versions(made.versions)),
        ]
    else:
        why = f"its files were not written by `python -m pipeline.{stage}`, or were changed since"
        lines += _field("settings", [f"not recorded: {why}"])
    return [clean_line(line) for line in (*lines, *_field("chain", _chain(report, behind, stage)))]


def clean_line(line: str) -> str:
    """Return a line without control characters, however long."""
    return "".join(clean(line[i : i + _WIDTH]) for i in range(0, len(line), _WIDTH))


def _field(name: str, lines: Iterable[str]) -> list[str]:
    return [f"  {name if i == 0 else '':<10}{line}" for i, line in enumerate(lines)]


def _value_lines(found: Any) -> list[str]:
    if not isinstance(found, Mapping):
        return [repr(found), "a count or a measurement: no interval"]
    value = f"undefined: {found['reason']}" if found["value"] is None else repr(found["value"])
    unit = f", unit: {found['unit']}" if found["unit"] else ""
    if found["ci_low"] is not None:
        return [value, f"[{found['ci_low']!r}, {found['ci_high']!r}], {method(found)}{unit}"]
    why = f": {found['reason']}" if found["reason"] and found["value"] is not None else ""
    return [value, f"no interval{why}, {method(found)}{unit}"]


def _repeats(report: Mapping[str, Any], place: Place) -> list[str]:
    """Say why the command may give another value, where one can know: it was measured, or seconds cut a stage short."""
    if "measured once" in (why := reason(place.pointer)):
        return [f"not to the digit: {why}"]
    found = report.get(place.pointer.split("/")[1])
    notes = found.get("notes", ()) if isinstance(found, Mapping) else ()
    return [f"if as much is done in the time as here: {note}" for note in notes if _BOUND.search(note)]


def _settings(params: Mapping[str, Any]) -> list[str]:
    """Return settings as overrides are written; of a search space only how to find it, of the others all but nulls."""
    rest = flat({key: value for key, value in params.items() if key != "space"})
    said = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in rest.items() if value is not None]
    lines = wrapped(said)
    if "space" in params:
        lines.append(f"space: {len(flat(params['space']))} settings, in {REPORT} at /provenance")
    return lines or ["none"]


def _code(made: Provenance) -> list[str]:
    here = code_digest(*made.code_of)
    changed = [] if here == made.code else [f"changed since: here it is {here}"]
    return [f"SHA-256 {made.code} over", *wrapped([f"pipeline/{part}" for part in made.code_of]), *changed]


def _versions(then: Mapping[str, str]) -> list[str]:
    here = versions()
    other = [f"{name} {here.get(name, 'absent')}" for name, version in then.items() if here.get(name) != version]
    told = wrapped([f"{name} {version}" for name, version in then.items()])
    return told + ([f"here: {', '.join(other)}"] if other else [])


def _chain(report: Mapping[str, Any], behind: Mapping[str, Provenance], stage: str) -> Iterator[str]:
    """Yield the stage and those it read from, with their files, and the raw data last."""
    needed, todo = {stage}, [stage]
    while todo:
        before = set(behind[todo.pop()].inputs) - needed
        needed |= before
        todo += sorted(before)
    for name in reversed([name for name in behind if name in needed]):
        reads = ", ".join(behind[name].inputs) or ("the raw data" if name == "prepare" else "not recorded")
        yield f"{name}: {behind[name].command}   (reads {reads})"
        yield from (f"    {path}  SHA-256 {digest}" for path, digest in behind[name].digests.items())
    yield f"raw data: {raw_data(behind.get('prepare'))}"
    yield f"    SHA-256 {report['data']['source_digest']} over names and bytes of the files, in name order"


def raw_data(prepare: Provenance | None) -> str:
    """Say where the raw data lay."""
    if prepare is None or not prepare.recorded:
        return "where they lay was not recorded"
    data = prepare.params["data"]
    if data.get("format") == "digits":
        return _BUILT_IN
    files = [str(data[k]) for k in ("train_file", "val_file", "test_file") if data.get(k)]
    return " ".join([str(data.get("url") or data.get("hf_name") or data.get("path")), *files])


def wrapped(items: Sequence[str]) -> list[str]:
    """Return items in lines of bounded width."""
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(item) + 2 <= _WIDTH:
            lines[-1] += f", {item}"
        else:
            lines.append(item)
    return lines
