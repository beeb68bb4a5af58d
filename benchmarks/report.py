"""How long the report takes, and how large it is, with many trials and many test rows.

    python benchmarks/report.py DATA_FOLDER [trials=2000] [rows=100000] [repeats=3]
                                [out=benchmarks/results/report.json] [again=yes|no]

Adult, its test rows repeated until there are so many, goes through the whole pipeline in a scratch copy of the project,
with a short search. The trials of its record are repeated until there are so many. Then the stage `report` is timed,
apart from the start of Python and its imports.
"""

import gzip
import json
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from own_data import StepError, Steps, say
from scratch import (
    ALONE,
    RESULTS,
    circumstances,
    circumstances_lines,
    commit,
    markdown,
    merge,
    one_thread,
    options,
    scratch_project,
    there_already,
)

DEFAULTS = {"trials": 2000, "rows": 100_000, "repeats": 3, "out": RESULTS / "report.json", "again": False}
_STAGES: Mapping[str, Sequence[str]] = {
    "prepare": (),
    "search": ("search.n_trials=4", "search.seconds=null", "search.epochs=1", "search.repeats=0"),
    "train": ("train.seconds=5", *ALONE),
    "evaluate": ("evaluate.resamples=200", "evaluate.baseline_rows=2000", "evaluate.robustness_rows=200"),
    "interpret": ("interpret.seconds=5",),
    "fairness": ("fairness.permutations=200",),
}


def repeated_rows(source: Path, target: Path, rows: int) -> None:
    """Write Adult with its test rows repeated until there are at least so many."""
    target.mkdir()
    shutil.copy(source / "adult.data.gz", target)
    head, *lines = gzip.decompress((source / "adult.test.gz").read_bytes()).decode().splitlines()
    lines = [line for line in lines if line.strip()]
    times = -(-rows // len(lines))
    (target / "adult.test").write_text("\n".join([head, *lines * times, ""]), encoding="utf-8")


def repeated_trials(path: Path, trials: int) -> None:
    """Let the record of a search have so many trials: its own ones again and again, under new numbers."""
    record = json.loads(path.read_text(encoding="utf-8"))
    own = record["trials"]
    record["trials"] = [own[i % len(own)] | {"number": i} for i in range(max(trials, len(own)))]
    path.write_text(json.dumps(record), encoding="utf-8")


def one_report(source: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Run all stages, enlarge, time the report; return the record."""
    about = {"circumstances": circumstances()}
    if not source.exists():
        return about | {"status": "not there"}
    with scratch_project() as top:
        steps = Steps(top, source)
        repeated_rows(source, top / "repeated", asked["rows"])
        told = ["data=adult", "data.path=repeated"]
        try:
            for stage, settings in _STAGES.items():
                steps.run(stage, [f"pipeline.{stage}", *told, *settings])
                say(f"{stage}: done")
            repeated_trials(top / "artifacts" / "search" / "search.json", asked["trials"])
            found = []
            for _ in range(asked["repeats"]):
                steps.run("report", steps.inside("reported", told))
                found.append(steps.read("reported.json"))
        except StepError as failed:
            return about | {"status": "failed", "failure": failed.record}
    return about | {"status": "done", **summary(found)}


def summary(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return sizes, and median, lowest and highest seconds of each part over the repeats."""
    seconds = {name: [one["seconds"][name] for one in found] for name in found[0]["seconds"]}
    return {
        "trials": found[0]["trials"],
        "rows": found[0]["rows"],
        "page_mb": round(found[0]["page_mb"], 3),
        "json_mb": round(found[0]["json_mb"], 3),
        "seconds": {
            name: [round(f(values), 3) for f in (statistics.median, min, max)] for name, values in seconds.items()
        },
    }


def render(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the Markdown page of all records."""
    rows = [["trials", "test rows", "start, s", "report, s", "of it the page, s", "page, MB", "report.json, MB"]]
    for r in records.values():
        if r["status"] != "done":
            rows.append([r["status"], *["–"] * 6])
            continue
        times = [f"{m:.2f} ({low:.2f} to {high:.2f})" for m, low, high in r["seconds"].values()]
        rows.append([f"{r['trials']:,}", f"{r['rows']:,}", *times, f"{r['page_mb']:.2f}", f"{r['json_mb']:.2f}"])
    head = ["# The report with many trials and test rows", "",
            "Written by `python benchmarks/report.py DATA_FOLDER`; see [benchmarks/README.md](../README.md).",
            "Median (lowest to highest); the page is rendered once more for its column.", ""]  # fmt: skip
    return "\n".join([*head, *markdown(rows), "", *circumstances_lines(list(records.values()))]) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Measure what is not there yet; return 1 if it failed."""
    data, asked = options(arguments, DEFAULTS)
    one_thread()
    key = f"{asked['trials']} trials, {asked['rows']} rows"
    marks = {"settings": {k: asked[k] for k in ("trials", "rows", "repeats")}, "commit": commit()}
    if not asked["again"] and there_already(asked["out"], key, marks):
        say(f"{key}: there already")
        return 0
    record = one_report(data / "adult", asked)
    merge(asked["out"], key, marks | record, lambda name: name, render)
    say(f"{key}: {record['status']} {record.get('seconds', record.get('failure', {}).get('tail', [''])[-1:])}")
    return int(record["status"] == "failed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
