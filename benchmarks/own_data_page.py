"""The records of own_data.py as a Markdown page."""

from collections.abc import Mapping
from typing import Any

from scratch import cell, circumstances_lines

_MOST_NOTES = 5
_HEAD = """# Real data sets: from a path to a report

Written by `python benchmarks/own_data.py DATA_FOLDER`; see [benchmarks/README.md](../README.md) for what each column is
and how it was measured. Numbers in brackets are the report's interval. One run each, no seed repeated.
"""
_COLUMNS = ("set", "init", "understood as", "prepare, s", "largest process, MB", "all processes, MB",
            "train / val / reserve / test", "test score", "best simple model", "verdict", "experiment, s")  # fmt: skip


def render(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page: table, circumstances, and what each set's commands told."""
    there = {name: r for name, r in records.items() if r["status"] != "not there"}
    lines = [_HEAD, row(_COLUMNS), row(["---"] * len(_COLUMNS))]
    lines += [row(cells(name, record)) for name, record in records.items()]
    if there:
        lines += ["", "Measured on:", "", *circumstances_lines(list(there.values()))]
        lines += ["", "## What was inferred, told and left out"]
    for name, record in there.items():
        lines += ["", f"**{name}**", "", *details(record)]
    return "\n".join(lines) + "\n"


def row(cells_of: Any) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(cell(c) for c in cells_of)} |"


def cells(name: str, record: Mapping[str, Any]) -> list[str]:
    """Return the cells of one set; what was not measured is a dash."""
    empty = "–"
    found = [name, asked_of_init(record["settings"]["set"])] + [empty] * (len(_COLUMNS) - 2)
    if record["status"] == "not there":
        found[2] = "not there"
        return found
    if "prepare" in record:
        of, run = record["data"], record["prepare"]
        found[3:6] = [f"{run['seconds']:.1f}", f"{run['largest_mb']:,}", _count(run["tree_mb"])]
        found[6] = " / ".join(_count(of["rows"].get(split)) for split in ("train", "val", "reserve", "test"))
        found[2] = understood(of)
    if "experiment" in record:
        run = record["experiment"]
        best = f"{shown(run['baseline'])} ({run['baseline_name']})" if run["baseline"] else empty
        found[7:] = [f"{run['metric'].replace('_', ' ')} {shown(run['score'])}", best, run["verdict"],
                     f"{run['seconds']:.0f}"]  # fmt: skip
    if record["status"] == "failed":
        found[9] = f"**failed: {record['failure']['step']}**"
    return found


def asked_of_init(spec: Mapping[str, str]) -> str:
    """Return what the user said: the arguments of init, or the shipped file, and settings given afterwards."""
    said = (
        f"shipped conf/data/{spec['conf']}.yaml"
        if "conf" in spec
        else f"`{spec['path']} {spec.get('init', '')}".strip() + "`"
    )
    later = spec.get("settings", "")
    return said + (f", then `{later if len(later) < 40 else later.partition('=')[0] + '=…'}`" if later else "")


def understood(of: Mapping[str, Any]) -> str:
    """Return kind and task in words."""
    count = f", {of['classes']} classes" if of["classes"] else f", {of['targets']} targets" if of["targets"] > 1 else ""
    task = "" if of["task"] == of["kind"] else f", {of['task']}"
    return f"{of['kind']}{task}{count}"


def details(record: Mapping[str, Any]) -> list[str]:
    """Return the commands, each with what it told: facts of init, notes of prepare, the summary of the report."""
    lines = []
    if "init" in record:
        lines += [f"$ {record['init']['command']}", *record["init"]["said"], ""]
    if "prepare" in record:
        notes = record["data"]["notes"]
        more = [f"… and {len(notes) - _MOST_NOTES} more notes"] if len(notes) > _MOST_NOTES else []
        lines += [f"$ {record['prepare']['command']}", *(f"note: {note}" for note in notes[:_MOST_NOTES]), *more, ""]
    if "experiment" in record:
        lines += [f"$ {record['experiment']['command']}", *record["experiment"]["summary"], ""]
    if "failure" in record:
        lines += [*record["failure"]["tail"], f"exit code {record['failure']['code']}", ""]
    return ["```text", *(line.replace("```", "'''") for line in lines[:-1]), "```"]


def shown(of: Mapping[str, Any]) -> str:
    """Return value and interval in words; a number without value says why."""
    if of["value"] is None:
        return f"undefined ({of['reason']})"
    interval = "" if of["ci_low"] is None else f" [{of['ci_low']:.4g}, {of['ci_high']:.4g}]"
    return f"{of['value']:.4g}{interval}"


def _count(of: int | None) -> str:
    return "–" if of is None else f"{of:,}"
