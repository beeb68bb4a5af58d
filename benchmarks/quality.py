"""Quality of what searches hand on, at equal seconds: each task, seed, budget and method once.

    python benchmarks/quality.py DATA_FOLDER [only=task,task] [methods=standard] [seeds=3] [budgets=60] [side_by_side=1]
                                 [settings="key=value …"] [out=benchmarks/results/quality.json] [again=yes|no]

A method is an option of conf/search. Each run has a scratch copy of the project, whose rows are split once per task:
`python -m pipeline.search search=METHOD search.seconds=BUDGET seed=SEED`, and then the test split is scored once. The
weights of the chosen trial are taken where the search hands them on; else the candidate is trained again with the
budget a trial had, and the record says so. Seconds are those of the search; what comes after is not in them.

One record per run is merged into the JSON file, and the page beside it is written anew, so it can be broken off.
side_by_side=2 runs two at once; compare only runs that had the same company.
"""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import product
from pathlib import Path
from typing import Any

from own_data import StepError, Steps, say
from quality_figures import default_score, incumbents
from quality_page import DEFAULT_ONLY, render
from scratch import (
    ALONE,
    RESULTS,
    ROOT,
    circumstances,
    commit,
    mistake,
    options,
    read_results,
    scratch_project,
    write_results,
)

_UCR = "data=ucr data.name={0} data.train_file={0}_TRAIN.ts data.test_file={0}_TEST.ts"
TASKS: dict[str, dict[str, Any]] = {
    "digits": {"path": None, "settings": "data=digits"},
    "fashion_mnist": {"path": "fashion_mnist", "settings": "data=fashion_mnist"},
    "sst2": {"path": "sentence_cls", "settings": "data=sst2"},
    "banking77": {"path": "banking77", "settings": "data=banking77"},
    "sms_spam": {"path": "sms_spam", "settings": "data=sms_spam"},
    **{n: {"path": f"ucr_uea/{n}", "settings": _UCR.format(n)} for n in ("ItalyPowerDemand", "BasicMotions")},
    "etth1": {"path": "ett", "settings": "data=etth1"},
    "adult": {"path": "adult", "settings": "data=adult"},
    "california_housing": {"path": "california_housing", "settings": "data=california_housing"},
}
DEFAULTS = {"only": "", "methods": "standard", "seeds": 3, "budgets": "60", "side_by_side": 1, "settings": "",
            "again": False, "out": RESULTS / "quality.json"}  # fmt: skip
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
STEPS = "quality_steps"

Run = tuple[str, str, int, int]
"""Task, method, seed, budget in seconds."""
Keep = Callable[[Run, dict[str, Any]], None]


def one_task(spec: Mapping[str, Any], data: Path, runs: Sequence[Run], asked: Mapping[str, Any], keep: Keep) -> None:
    """Prepare the rows of a task once, then do its runs, each in a copy, and keep the records as they come."""
    path = data / spec["path"] if spec["path"] else None
    if path is not None and not path.exists():
        for run in runs:
            keep(run, {"status": "not there"})
        return
    told = [*spec["settings"].split(), *([f"data.path={path}"] if path else []), *shlex.split(asked["settings"])]
    with scratch_project() as top:
        try:
            Steps(top, data).run("prepare", ["pipeline.prepare", *told])
        except StepError as failed:
            for run in runs:
                keep(run, {"status": "failed", "failure": failed.record})
            return
        shutil.copy(ROOT / "benchmarks" / f"{STEPS}.py", top)
        with ThreadPoolExecutor(asked["side_by_side"]) as pool:
            waiting = {pool.submit(one_run, top, data, told, run): run for run in runs}
            for done in as_completed(waiting):
                keep(waiting[done], done.result())


def one_run(prepared: Path, data: Path, told: Sequence[str], run: Run) -> dict[str, Any]:
    """Search in a copy of a prepared project and score on test rows what was handed on; return the record."""
    _, method, seed, budget = run
    about = {"circumstances": circumstances()}
    top = prepared.with_name(f"{method}_{seed}_{budget}")
    shutil.copytree(prepared, top, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    steps = Steps(top, data)
    search = [*told, f"search={method}", f"search.seconds={budget}", f"seed={seed}"]
    if method != DEFAULT_ONLY:
        search.append("search.n_trials=100000")  # seconds alone end it
    try:
        measured, _ = steps.run("search", ["pipeline.search", *search])
        record = steps.read("artifacts/search/search.json")
        found = {"search": measured, **searched(record)}
        tested = score_on_test(steps, search, record["best"])
    except StepError as failed:
        return about | {"status": "failed", "failure": failed.record}
    finally:
        shutil.rmtree(top)
    return about | {"status": "done", **found, **tested}


def searched(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of search.json."""
    trials = record["trials"]
    chosen = next(trial for trial in trials if trial["number"] == record["best"])
    return {
        "metric": record["metric"],
        "seconds": record["seconds"],
        "trials": {state: sum(t["state"] == state for t in trials) for state in ("complete", "pruned", "failed")},
        "family": chosen["candidate"]["architecture"]["kind"],
        "origin": chosen["origin"],
        "default": default_score(trials),
        "chosen": chosen["score"],
        "curve": incumbents(trials),
        "notes": list(record.get("notes", [])),
    }


def score_on_test(steps: Steps, search: Sequence[str], number: int) -> dict[str, Any]:
    """Return the scores of the chosen trial on test rows, and whose weights they are."""
    seed = next(s for s in search if s.startswith("seed="))
    handed = handed_weights(steps.top, number)
    if handed is not None:
        steps.run("take weights", [STEPS, "take", str(handed.relative_to(steps.top)), seed.removeprefix("seed=")])
        weights = "of the trial, as the search handed them on"
    else:
        _, lines = steps.run("plan", [STEPS, "plan", *search])
        budget = json.loads(lines[-1])
        own = [f"train.{key}={'null' if value is None else value}" for key, value in budget.items()]
        steps.run("train", ["pipeline.train", *search, *own, *ALONE])
        weights = "trained again with the budget of a trial"
    steps.run("evaluate", ["pipeline.evaluate", *search, "evaluate.baselines=[constant]", "evaluate.robustness=[]"])
    scores = steps.read("artifacts/evaluate/scores.json")
    headline = scores["metrics"][scores["headline"]]
    front = {point["name"]: point for point in scores["front"]}
    ensemble, mixed = front.get("ensemble"), front.get("mixed ensemble")
    return {
        "weights": weights,
        "ensemble": None if ensemble is None else ensemble["metrics"][scores["headline"]]["value"],
        "networks": 1 if ensemble is None else ensemble["networks"],
        "mixed": None if mixed is None else mixed["metrics"][scores["headline"]]["value"],
        "headline": scores["headline"],
        "test": headline["value"],
        "test_interval": [headline["ci_low"], headline["ci_high"]],
        "metrics": {name: number["value"] for name, number in scores["metrics"].items()},
    }


def handed_weights(top: Path, number: int) -> Path | None:
    """Return the file with the weights of a trial, if the search hands them on; several members are not joined here."""
    file = top / "artifacts" / "search" / "members" / f"trial-{number}.safetensors"
    return file if file.exists() else None


def key_of(run: Run) -> str:
    """Return the name of a record."""
    task, method, seed, budget = run
    return f"{task} / {method} / seed {seed} / {budget} s"


def main(arguments: Sequence[str], tasks: Mapping[str, Mapping[str, Any]] = TASKS) -> int:
    """Do the runs that are not there yet, task by task; return 1 if any failed."""
    data, asked = options(arguments, DEFAULTS)
    runs = asked_runs(asked, tasks)
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    at, failed = commit(), 0

    def marks(run: Run) -> dict[str, Any]:
        settings = {"task": run[0], "method": run[1], "seed": run[2], "budget": run[3], "spec": dict(tasks[run[0]])}
        return {"settings": settings | {k: asked[k] for k in ("settings", "side_by_side")}, "commit": at}

    def there(run: Run) -> bool:
        old = read_results(asked["out"]).get(key_of(run), {"status": "not there"})
        return old["status"] == "done" and not asked["again"] and all(old[k] == v for k, v in marks(run).items())

    def keep(run: Run, record: dict[str, Any]) -> None:
        nonlocal failed
        records = read_results(asked["out"]) | {key_of(run): marks(run) | record}
        write_results(asked["out"], records, render(records))
        tail = record.get("failure", {}).get("tail", [""])[-1]
        shown = f"{record['headline']} {record['test']}" if record["status"] == "done" else tail
        say(f"{key_of(run)}: {record['status']} {shown}".strip())
        failed += record["status"] == "failed"

    for task in dict.fromkeys(run[0] for run in runs):
        of_task = [run for run in runs if run[0] == task]
        for run in (run for run in of_task if there(run)):
            say(f"{key_of(run)}: there already")
        if missing := [run for run in of_task if not there(run)]:
            one_task(tasks[task], data, missing, asked, keep)
    return int(failed > 0)


def asked_runs(asked: Mapping[str, Any], tasks: Mapping[str, Mapping[str, Any]]) -> list[Run]:
    """Return the runs in order; methods of one seed follow each other, so that the machine is the same for them."""
    names = [n for n in asked["only"].split(",") if n] or list(tasks)
    if unknown := [n for n in names if n not in tasks]:
        raise mistake(f"only: no task {', '.join(unknown)}", f"known: {', '.join(tasks)}")
    methods = [m for m in asked["methods"].split(",") if m]
    known = sorted(file.stem for file in (ROOT / "conf" / "search").glob("*.yaml"))
    if not methods or (unknown := [m for m in methods if m not in known]):
        raise mistake(f"methods: conf/search has no {', '.join(unknown) if methods else 'nothing'}",
                      f"known: {', '.join(known)}")  # fmt: skip
    budgets = [b for b in asked["budgets"].split(",") if b]
    if not budgets or not all(b.isdigit() and int(b) > 0 for b in budgets):
        raise mistake(f"budgets: {asked['budgets']!r} are not whole seconds", "budgets=60,300")
    if min(asked["seeds"], asked["side_by_side"]) < 1:
        raise mistake("seeds and side_by_side must be at least 1", "seeds=3 side_by_side=1")
    order = product(names, budgets, range(asked["seeds"]), methods)
    return [(task, method, seed, int(budget)) for task, budget, seed, method in order]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
