"""Candidates per minute at the first rung of a search, with packs and without.

    python benchmarks/pack_search.py DATA_FOLDER [seconds=80] [epochs=3] [rounds=1] [turns=3]
                                     [only=jobs,searches] [spaces="mlp alone,as shipped"]
                                     [out=benchmarks/results/pack_search.json]

On adult, one process, one thread. Jobs: eight candidates of one shape to the first rung, as eight jobs and as the job
of a pack, in turns (alone, packed, packed, alone, …), in seconds of the thread, so that waiting for a busy machine does
not count; all that a job does is counted: networks, steps, scores, checkpoints. Searches: the space of tables as
shipped, and the same with its mlp alone, `seconds` each with `search.pack=1` and with `search.pack=null`, in turns as
well, with few epochs so that a short search is one; all is counted, measurements and the database too.
"""

import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from packing import prepared
from scratch import (
    RESULTS,
    ROOT,
    cell,
    circumstances,
    circumstances_lines,
    commit,
    mistake,
    options,
    read_results,
    write_results,
)

from pipeline.core.contracts import Candidate, Optimizer
from pipeline.core.settings import SearchSettings, TrainerSettings
from pipeline.space import parse
from pipeline.training.data import Data
from pipeline.tuning import Problem, Search, open_study
from pipeline.tuning.jobs import Job
from pipeline.tuning.packs import PackJob, work

K = 8
SHAPES: tuple[dict[str, Any], ...] = (
    {"kind": "mlp", "depth": 2, "width": 64},
    {"kind": "mlp", "depth": 2, "width": 128},
    {"kind": "mlp"},
    {"kind": "tabm", "members": 4, "depth": 2, "width": 64},
)
DEFAULTS = {
    "seconds": 80,
    "epochs": 3,
    "rounds": 1,
    "turns": 3,
    "only": "jobs,searches",
    "spaces": "mlp alone,as shipped",
    "out": RESULTS / "pack_search.json",
}
_CPU = TrainerSettings(device="cpu", precision="fp32")


def problem(data: Data, seconds: float | None = None, pack: int | None = None, epochs: int | None = None) -> Problem:
    """Return what a search is about; seconds alone end it."""
    return Problem(
        data, SearchSettings(n_trials=100_000, seconds=seconds, workers=0, pack=pack, epochs=epochs), _CPU, 7
    )


def jobs(shape: Mapping[str, Any], data: Data, turns: int) -> dict[str, Any]:
    """Return candidates per minute of one shape, alone and packed."""
    asked = problem(data)
    found = [
        Candidate(architecture=dict(shape) | {"dropout": 0.2},
                  optimizer=Optimizer(lr=1e-3 * 1.3**k, weight_decay=1e-3 * (k + 1), batch_size="auto"))
        for k in range(K)
    ]  # fmt: skip
    took: dict[str, list[float]] = {"alone": [], "packed": []}
    weights = 0
    for turn in range(turns + 1):
        for side in ("alone", "packed") if turn % 2 else ("packed", "alone"):
            with tempfile.TemporaryDirectory() as folder:
                each = tuple(Job(place=k, candidate=c, rung=0, folder=Path(folder)) for k, c in enumerate(found))
                start = time.thread_time()
                if side == "packed":
                    outcomes = work(asked, PackJob(jobs=each, places=tuple(range(K))))
                else:
                    outcomes = [outcome for job in each for outcome in work(asked, job)]
                took[side].append(time.thread_time() - start)
                assert {one.state for one in outcomes} == {"paused"}
                weights = outcomes[0].parameters or 0
    ratios = [a / p for a, p in zip(took["alone"][1:], took["packed"][1:], strict=True)]  # the first turn warms up
    return {"shape": dict(shape), "weights": weights, "steps": round(asked.rungs[0] * asked.budget.epochs * 100) / 100,
            **{side: round(60 * K / statistics.median(times[1:]), 1) for side, times in took.items()},
            "ratio": round(statistics.median(ratios), 2), "range": [round(min(ratios), 2), round(max(ratios), 2)],
            }  # fmt: skip


def one_search(tree: Mapping[str, Any], data: Data, asked: Mapping[str, Any], pack: int | None) -> dict[str, Any]:
    """Search, and return what was done."""
    with tempfile.TemporaryDirectory() as folder:
        study = open_study("bench", f"sqlite:///{folder}/study.db")
        search = Search(
            problem(data, asked["seconds"], pack, asked["epochs"]), parse(tree), study, Path(folder) / "files"
        )
        search.run()
        rows = search.table.rows
        rungs = search.problem.rungs
        done = [row.last_score for row in rows if row.complete and row.last_score is not None]
        return {
            "pack": pack, "seconds": round(search.clock.used, 1), "candidates": len(rows),
            "followers": sum(row.pack is not None and row.pack[0] != row.place for row in rows),
            "shapes": len({str(sorted((k, v) for k, v in row.candidate.architecture.items() if k != "dropout"))
                           for row in rows}),
            "reached": [sum(len(row.scores(rungs)) > rung for row in rows) for rung in range(len(rungs))],
            "first_rung_seconds": round(sum(row.outcome.seconds for row in rows
                                            if row.outcome and len(row.scores(rungs)) == 1), 2),
            "best": min(done, default=None),
        }  # fmt: skip


def searches(data: Data, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what searches of two spaces did, with packs and without, in turns."""
    whole = yaml.safe_load((ROOT / "search_spaces" / "table.yaml").read_text(encoding="utf-8"))
    only_mlp = whole | {"architecture": {"mlp": whole["architecture"]["mlp"]}}
    return {
        name: [
            one_search(tree, data, asked, pack)
            for turn in range(asked["rounds"])
            for pack in ((1, None) if turn % 2 == 0 else (None, 1))
        ]
        for name, tree in (("mlp alone", only_mlp), ("as shipped", whole))
        if name in asked["spaces"].split(",")
    }


def render(record: Mapping[str, Any]) -> str:
    """Return the Markdown page."""
    lines = ["# Packs in a search: candidates per minute at the first rung", "",
             "Written by `python benchmarks/pack_search.py`; adult, one process, one thread; jobs in seconds of "
             "the thread, searches in wall seconds.", ""]  # fmt: skip
    if "jobs" in record:
        lines += [f"## Jobs: {K} candidates of one shape to the first rung", "",
                  "| shape | weights | alone, per minute | packed, per minute | packed / alone |",
                  "| --- | --- | --- | --- | --- |"]  # fmt: skip
        for one in record["jobs"]:
            shape = " ".join(str(v) if k == "kind" else f"{k}={v}" for k, v in one["shape"].items())
            lines.append(f"| {cell(shape)} | {one['weights']:,} | {one['alone']} | {one['packed']} "
                         f"| {one['ratio']} ({one['range'][0]} to {one['range'][1]}) |")  # fmt: skip
        lines.append("")
    if "searches" in record:
        lines += ["## Searches", "",
                  "| space | search.pack | seconds | candidates | per minute | of these followers | shapes "
                  "| reached each rung | best score |", "| " + " | ".join(["---"] * 9) + " |"]  # fmt: skip
        for name, found in record["searches"].items():
            for one in found:
                best = "–" if one["best"] is None else f"{one['best']:.4f}"
                lines.append(f"| {name} | {one['pack'] or 'null'} | {one['seconds']} | {one['candidates']} "
                             f"| {60 * one['candidates'] / one['seconds']:.1f} | {one['followers']} | {one['shapes']} "
                             f"| {', '.join(map(str, one['reached']))} | {best} |")  # fmt: skip
        lines.append("")
    return "\n".join([*lines, *circumstances_lines([record])]) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Measure what was asked for, print and keep the outcome."""
    folder, asked = options(arguments, DEFAULTS)
    parts = asked["only"].split(",")
    if not set(parts) <= {"jobs", "searches"}:
        raise mistake(f"only: {asked['only']!r} names nothing measured here", "only=jobs,searches")
    logging.basicConfig(level="INFO", format="%(relativeCreated)d ms %(message)s", stream=sys.stderr)
    torch.set_num_threads(1)
    about = {"settings": {k: asked[k] for k in ("seconds", "epochs", "rounds", "turns")}, "commit": commit(),
             "circumstances": circumstances()}  # fmt: skip
    data, _ = prepared("adult", folder)
    record = read_results(asked["out"]) | about
    if "jobs" in parts:
        record["jobs"] = []
        for shape in SHAPES:
            record["jobs"].append(jobs(shape, data, asked["turns"]))
            write_results(asked["out"], record, render(record))
    if "searches" in parts:
        record["searches"] = searches(data, asked)
    write_results(asked["out"], record, render(record))
    sys.stdout.write(render(record))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
