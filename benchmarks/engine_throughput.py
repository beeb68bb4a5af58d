"""Training samples per second of a search: ours beside Optuna and Lightning put together by hand.

    python benchmarks/engine_throughput.py DATA_FOLDER [name=now] [only="case;case"] [seconds=20] [rounds=2] [workers=0]
                                           [out=benchmarks/results/engine_throughput.json] [again=yes|no]

A sample is a row that passed through a step of an optimiser. Both sides train the same networks (pipeline.models.build,
started from the same rows) on the same packed rows, batch and learning rates, AdamW with clipped gradients, no trial
longer than the share of `seconds` that conf/search/standard.yaml grants. Ours is the search stage with search=standard
and a space of this one architecture. The other side is what people write by hand (engine_sides.py): create_study,
DataLoader as it is, Trainer without logger, checkpoints and progress bar, threads and precision as they are,
embeddings with dense gradients (ours are sparse). Seconds count from the end of the imports to the end of the search:
loading of rows, starts of trials and validation are in them.

Visits alternate: ours, theirs, theirs, ours, `rounds` times. `name` says what was measured: records of other names stay
in the file. workers=2 hands search.workers=2 on, for an engine that has it.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from engine_figures import SIDES, compared, order
from own_data import StepError, Steps, say
from scratch import (
    RESULTS,
    ROOT,
    cell,
    circumstances,
    circumstances_lines,
    commit,
    environment,
    mistake,
    options,
    read_results,
    scratch_project,
    write_results,
)

# Trials of seconds should train rather than be scored, so images have few validation rows.
_FASHION = {"path": "fashion_mnist", "settings": "data=fashion_mnist data.val_fraction=0.02", "batch": 128,
            "epochs": 20}  # fmt: skip
_SST2 = {"path": "sentence_cls", "settings": "data=sst2", "batch": 64, "epochs": 5}
_ADULT = {"path": "adult", "settings": "data=adult", "batch": 256, "epochs": 15}
CASES: dict[str, dict[str, Any]] = {
    "cnn, fashion_mnist": _FASHION | {"architecture": {"kind": "cnn", "width": 16, "stages": 2, "depth": 2}},
    "speednet, fashion_mnist": _FASHION | {"architecture": {"kind": "speednet", "width": 16}},
    # Without the linear model and the vectors from word pairs, which nobody would write by hand.
    "textcnn, sst2": _SST2 | {"architecture": {"kind": "textcnn", "width": 64, "filters": 64, "vectors": False,
                                               "wide": False}},
    "rnn (gru, bidirectional), sst2": _SST2 | {"architecture": {"kind": "rnn", "cell": "gru", "width": 64}},
    "mlp, adult": _ADULT | {"architecture": {"kind": "mlp"}},
    "tabm, adult": _ADULT | {"architecture": {"kind": "tabm"}},
}  # fmt: skip
DEFAULTS = {"name": "now", "only": "", "seconds": 20, "rounds": 2, "workers": 0, "again": False,
            "out": RESULTS / "engine_throughput.json"}  # fmt: skip
_LR = (5e-4, 5e-3)
_SPACE = "engine"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_UNSTEADY = 1.5
_LEAST_SHARE = 0.8
"""Of a core, for one process of ours that never waits for anything."""
_EVERY = 0.02
_PATIENCE = 10


def one_case(case: Mapping[str, Any], data: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Prepare the rows and let both sides search in turn; return the record."""
    path = data / case["path"] if case["path"] else None
    if path is not None and not path.exists():
        return {"status": "not there"}
    told = [*case["settings"].split(), *([f"data.path={path}"] if path else [])]
    try:
        with scratch_project() as top:
            steps = Steps(top, data)
            steps.run("prepare", ["pipeline.prepare", *told])
            rows = steps.read("artifacts/prepare/fit/dataset.json")["rows"]
            spec = specification(top, case, told, asked)
            found = visited(steps, spec, asked["rounds"])
    except StepError as failed:
        return {"status": "failed", "failure": failed.record}
    return {"status": "done", "rows": rows, "trial_seconds": spec["trial_seconds"], **found,
            **compared(found["visits"])}  # fmt: skip


def specification(top: Path, case: Mapping[str, Any], told: Sequence[str], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Write the space of this one architecture and return what both sides need to know."""
    architecture = dict(case["architecture"])
    kind = architecture.pop("kind")
    space = {
        "architecture": {"default": kind, kind: architecture},
        "optimizer": {
            "kind": "adamw",
            "lr": {"float": list(_LR), "log": True, "default": 1e-3},
            "batch_size": case["batch"],
            "clip": 1.0,
        },
    }
    text = yaml.safe_dump(space, sort_keys=False)
    (top / "search_spaces" / f"{_SPACE}.yaml").write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "benchmarks" / "engine_sides.py", top)
    share = yaml.safe_load((top / "conf/search/standard.yaml").read_text(encoding="utf-8"))["trial_share"]
    settings = [*told, f"space={_SPACE}", "search=standard", f"search.seconds={asked['seconds']}",
                "search.n_trials=100000", "search.repeats=0", f"search.epochs={case['epochs']}"]  # fmt: skip
    if asked["workers"]:
        settings.append(f"search.workers={asked['workers']}")
    return {"settings": settings, "lr": _LR, "seed": 7, "seconds": asked["seconds"],
            "trial_seconds": share * asked["seconds"],
            **{key: case[key] for key in ("architecture", "batch", "epochs")}}  # fmt: skip


class Side:
    """A process that has imported what it needs and waits for its turn."""

    def __init__(self, steps: Steps, name: str, spec: Mapping[str, Any]) -> None:
        self.steps, self.name = steps, name
        surroundings = {key: value for key, value in environment().items() if key not in _THREADS}
        spec_file, self._log = steps.top / f"{name}.json", steps.top / f"{name}.log"
        spec_file.write_text(json.dumps({**spec, "started": time.time()}), encoding="utf-8")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "engine_sides", name, spec_file.name],
                cwd=steps.top, env=surroundings, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip

    def wait_for(self, file: Path) -> Any:
        """Return what the process writes to a file, as soon as it is there; StepError if it ends before."""
        while not file.exists():
            if self._process.poll() is not None:
                lines = self.steps.hide(self._log.read_text(errors="replace")).splitlines()
                raise StepError(self.name, self._process.returncode, [ln.rstrip() for ln in lines if ln.strip()][-12:])
            time.sleep(_EVERY)
        return json.loads(file.read_text(encoding="utf-8"))

    def visit(self, number: int) -> dict[str, Any]:
        """Let it search, with no study to continue; return what it did."""
        for left in ("state", "artifacts/search"):
            shutil.rmtree(self.steps.top / left, ignore_errors=True)
        result, load = self.steps.top / f"visit_{number}.json", os.getloadavg()[0]
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{result.name}\n")
            self._process.stdin.flush()
        found = self.wait_for(result)
        times = {key: round(found[key], 2) for key in ("seconds", "cpu_seconds")}
        return {"side": self.name, **found, **times, "load_before": round(load, 2)}

    def end(self) -> None:
        """Close its input, which ends it; end it if it is in the middle of something."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def visited(steps: Steps, spec: Mapping[str, Any], rounds: int) -> dict[str, Any]:
    """Return what both sides did in their turns, and how long each had to get ready."""
    import_seconds: dict[str, float] = {}
    sides: dict[str, Side] = {}
    try:
        for name in SIDES:  # one after the other: imports must not hold each other up
            sides[name] = Side(steps, name, spec)
            import_seconds[name] = round(sides[name].wait_for(steps.top / f"{name}.ready")["import_seconds"], 1)
        visits = [sides[name].visit(number) for number, name in enumerate(order(rounds))]
        return {"import_seconds": import_seconds, "visits": visits}
    finally:
        for side in sides.values():
            side.end()


def render(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the Markdown page of all records."""
    head = ("name", "case", "ours, samples/s", "by hand, samples/s", "ours / by hand", "the same per CPU second",
            "trials", "visits × s", "imports, s", "load before a visit")  # fmt: skip
    rows: list[Sequence[object]] = [head, ["---"] * len(head)]
    for r in records.values():
        name, case, asked = (r["settings"][key] for key in ("name", "case", "asked"))
        if r["status"] != "done":
            rows.append([name, case, r["status"], r.get("failure", {}).get("tail", [""])[-1], *[""] * 6])
            continue
        loads = [v["load_before"] for v in r["visits"]]
        workers = f", {asked['workers']} workers" if asked["workers"] else ""
        rows.append([
            name, case + workers, *(f"{r[f'{s}_per_second']:,.0f} ({_range(r[f'{s}_range'], ',.0f')})"
                                    for s in ("ours", "theirs")),
            f"{r['ratio']:.2f} ({_range(r['ratio_range'], '.2f')}){'; machine busy' if busy(r) else ''}",
            f"{r['cpu_ratio']:.2f}",
            f"{r['ours_trials']}, {r['theirs_trials']}",
            f"{len(r['visits'])} × {asked['seconds']}",
            ", ".join(f"{r['import_seconds'][side]:.0f}" for side in SIDES),
            _range([min(loads), max(loads)], ".1f"),
        ])  # fmt: skip
    table = [f"| {' | '.join(cell(c) for c in row)} |" for row in rows]
    title = ["# Samples per second of a search", "", "Written by `python benchmarks/engine_throughput.py`; in brackets "
             "the range over visits, and of the ratio over pairs of visits next to each other. Imports are not in the "
             "rates. \"Machine busy\": pairs differ by more than half, or our process got less than 80 % of a core; "
             "such a ratio says little.", ""]  # fmt: skip
    done = [r for r in records.values() if r["status"] == "done"]
    return "\n".join([*title, *table, "", *circumstances_lines(done)]) + "\n"


def busy(record: Mapping[str, Any]) -> bool:
    """Say whether other programs took so much of the machine that the ratio says little."""
    low, high = record["ratio_range"]
    return bool(record["core_share"] < _LEAST_SHARE or high > _UNSTEADY * low)


def _range(of: Sequence[float], form: str) -> str:
    low, high = (format(value, form) for value in of)
    return f"{low} to {high}"


def main(arguments: Sequence[str], cases: Mapping[str, Mapping[str, Any]] = CASES) -> int:
    """Measure the cases asked for, one after the other; return 1 if any failed."""
    data, asked = options(arguments, DEFAULTS)
    names = [n.strip() for n in asked["only"].split(";") if n.strip()] or list(cases)
    if unknown := [n for n in names if n not in cases]:
        raise mistake(f"only: no case {'; '.join(unknown)}", f"known: {'; '.join(cases)}")
    if min(asked["seconds"], asked["rounds"]) < 1:
        raise mistake("seconds and rounds must be at least 1", "seconds=20 rounds=2")
    failed = 0
    for case in names:
        key = f"{asked['name']} / {case}"
        told = {k: asked[k] for k in ("seconds", "rounds", "workers")}
        marks = {"settings": {"name": asked["name"], "case": case, "spec": dict(cases[case]), "asked": told},
                 "commit": commit()}  # fmt: skip
        old = read_results(asked["out"]).get(key, {"status": "not there"})
        if old["status"] == "done" and not asked["again"] and all(old[k] == v for k, v in marks.items()):
            say(f"{key}: there already")
            continue
        record = marks | {"circumstances": circumstances()} | one_case(cases[case], data, asked)
        records = read_results(asked["out"]) | {key: record}
        write_results(asked["out"], records, render(records))
        say(f"{key}: {record['status']} {shown(record)}".strip())
        failed += record["status"] == "failed"
    return int(failed > 0)


def shown(record: Mapping[str, Any]) -> str:
    """Return the outcome in a line, with a warning where it says little."""
    if record["status"] != "done":
        return str(record.get("failure", {}).get("tail", [""])[-1])
    doubt = "; something else used the machine: the ratio says little" if busy(record) else ""
    return f"ratio {record['ratio']:.2f} ({_range(record['ratio_range'], '.2f')}){doubt}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
