"""Where the seconds of a search go, on every modality: training, the rest of trials, the search itself, start and end.

    python benchmarks/overhead.py DATA_FOLDER [only=task,task] [seconds=300] [label=""] [settings="key=value …"]
                                  [out=benchmarks/results/overhead.json] [again=yes|no]

Each task (those of quality.py) is prepared in a scratch copy of the project; then `pipeline.search` runs as it does by
default, with as many workers as there are cores, and parts of its work are timed. What counts as training: the steps
and the scores that decide about trials. Overhead is all else, as a share of workers x wall seconds of the whole
process, so that the start of Python, waiting workers and writing results count.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from own_data import StepError, Steps, say
from quality import TASKS
from scratch import (
    RESULTS,
    chosen,
    circumstances,
    circumstances_lines,
    commit,
    markdown,
    merge,
    options,
    scratch_project,
    there_already,
)

DEFAULTS = {"only": "digits,fashion_mnist,sst2,ItalyPowerDemand,etth1,adult", "seconds": 300, "label": "",
            "settings": "", "out": RESULTS / "overhead.json", "again": False}  # fmt: skip
_TRAINING = ("steps", "scores")
_REST_OF_JOBS = ("networks, made or read", "at the end", "checkpoints written")


def one_task(spec: Mapping[str, Any], data: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Prepare, search, return the record."""
    about = {"circumstances": circumstances()}
    path = data / spec["path"] if spec["path"] else None
    if path is not None and not path.exists():
        return about | {"status": "not there"}
    told = [*spec["settings"].split(), *([f"data.path={path}"] if path else []), *str(asked["settings"]).split()]
    with scratch_project() as top:
        steps = Steps(top, data)
        try:
            steps.run("prepare", ["pipeline.prepare", *told])
            search = [*told, f"search.seconds={asked['seconds']}", "search.n_trials=100000"]
            measured, _ = steps.run("search", steps.inside("where", search))
        except StepError as failed:
            return about | {"status": "failed", "failure": failed.record}
        where, record = steps.read("where.json"), steps.read("artifacts/search/search.json")
    return about | {"status": "done", "trials": len(record["trials"]), "phases": record["phases"],
                    "command": measured["command"], **shares(where, asked["seconds"])}  # fmt: skip


def shares(where: Mapping[str, Any], asked: int) -> dict[str, Any]:
    """Return wall seconds, the overhead, and each part as a share of all workers' time or of the wall seconds."""
    marks, parts = where["marks"], {name: seconds for name, (seconds, _) in where["parts"].items()}
    wall, workers = marks["end"], marks["workers"]
    all_time = wall * workers
    training = sum(parts[name] for name in _TRAINING)
    in_jobs = {name: parts[name] / all_time for name in (*_TRAINING, *_REST_OF_JOBS)}
    in_jobs["other work of jobs"] = max(0.0, parts["jobs"] / all_time - sum(in_jobs.values()))
    start, end = marks["start"], wall - marks["searched"]
    idle = (marks["searched"] - start) * workers - parts["jobs"]
    in_jobs |= {"start": start / wall, "workers idle": max(0.0, idle) / all_time, "export and ensemble": end / wall}
    own = ("probe", "decisions and proposals", "storing", "notes and terminal", "waiting for workers")
    return {
        "wall": round(wall, 1),
        "workers": workers,
        "beyond_budget": round((marks["searched"] - start) / asked - 1, 4),
        "overhead": round(1 - training / all_time, 4),
        "of_all_time": {name: round(share, 4) for name, share in in_jobs.items()},
        "of_search_process": {name: round(parts[name] / wall, 4) for name in own},
        "calls": {name: calls for name, (_, calls) in where["parts"].items()},
    }


def render(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the Markdown page of all records."""
    done = {name: r for name, r in records.items() if r["status"] == "done"}
    columns = list(next(iter(done.values()))["of_all_time"]) if done else []
    rows = [["run", "budget, s", "whole process, s", "trials", "overhead", *columns]]
    own: list[list[object]] = [["run", "probe", "decisions and proposals", "storing", "notes and terminal", "waiting"]]
    for name, r in records.items():
        if r["status"] != "done":
            rows.append([name, r["settings"]["seconds"], r["status"], *["–"] * (len(columns) + 2)])
            continue
        rows.append([name, r["settings"]["seconds"], r["wall"], f"{r['trials']:,}", f"{r['overhead']:.1%}",
                     *[f"{share:.1%}" for share in r["of_all_time"].values()]])  # fmt: skip
        own.append([name, *[f"{share:.1%}" for share in r["of_search_process"].values()]])
    head = ["# Where the seconds of a search go", "", "Written by `python benchmarks/overhead.py DATA_FOLDER`; see",
            "[benchmarks/README.md](../README.md). Shares of workers x wall seconds of the whole process; overhead is",
            "what is neither steps nor scores.", ""]  # fmt: skip
    middle = ["", "The search's own process, shares of its wall seconds:", ""]
    lines = [*head, *markdown(rows), *middle, *markdown(own), "", *circumstances_lines(list(records.values()))]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str], tasks: Mapping[str, Mapping[str, Any]] = TASKS) -> int:
    """Do the tasks that are not there yet; return 1 if any failed."""
    data, asked = options(arguments, DEFAULTS)
    at, failed = commit(), 0
    kept = {k: asked[k] for k in ("seconds", "settings", "label")}
    for task in chosen(asked["only"], tasks, "only: no task"):
        key = f"{task}, {asked['label']}" if asked["label"] else task
        marks = {"settings": kept | {"task": task}, "commit": at}
        if not asked["again"] and there_already(asked["out"], key, marks):
            say(f"{key}: there already")
            continue
        record = one_task(tasks[task], data, asked)
        merge(asked["out"], key, marks | record, lambda name: name, render)
        tail = record.get("failure", {}).get("tail", [""])[-1]
        say(f"{key}: {record['status']} {record.get('overhead', tail)}")
        failed += record["status"] == "failed"
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
