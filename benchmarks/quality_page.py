"""The records of quality.py as a Markdown page; every number on it comes from quality_figures.py or a record."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from quality_figures import LEVEL, Mean, Outcome, mean_ranks, mean_regrets, worse_on_test, worse_on_validation
from scratch import cell, circumstances_lines

DEFAULT_ONLY = "default_only"
"""The method that trains the default and nothing else: what a search must not end below."""
_HEAD = f"""# Quality of searches at equal seconds

Written by `python benchmarks/quality.py DATA_FOLDER`. Means are over tasks, of each task over its seeds; in brackets
{LEVEL:.0%} bootstrap intervals over tasks and, within them, seeds. Few tasks or seeds make them too narrow.

* rank: of the methods' test scores for the same task and seed, 1 is best, equals share places, a failed run is last;
  only tasks and seeds that all methods ran.
* regret: area under (best validation score so far - best of all) / (default - best of all), over the seconds; 1 before
  the first complete trial and while nothing is better than the default. Only tasks on which something was.
* worse than default: share of runs whose choice ends below the default, on validation rows the run's own, on test rows
  that of `{DEFAULT_ONLY}` with the same task and seed. Failed runs count as worse. By choice: only where another
  candidate than the run's own default was handed on; the default differs from that of `{DEFAULT_ONLY}` by its time.
"""
_EMPTY = "–"


def render(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page: for each budget the methods, then the tasks; then circumstances."""
    ran = [r for r in records.values() if r["status"] != "not there"]
    lines = [_HEAD]
    for budget in sorted({r["settings"]["budget"] for r in ran}):
        of = [r for r in ran if r["settings"]["budget"] == budget]
        methods = sorted({r["settings"]["method"] for r in of})
        lines += [f"## {budget} seconds", "", *summary(of, methods, budget), "", *by_task(of, methods), ""]
    if gone := sorted({r["settings"]["task"] for r in records.values() if r["status"] == "not there"}):
        lines += [f"Not there: {', '.join(gone)}.", ""]
    if failed := [(key, r) for key, r in records.items() if r["status"] == "failed"]:
        lines += ["Failed:", "", *(f"* {key}: {cell(r['failure']['step'])}: {cell(r['failure']['tail'][-1])}"
                                   for key, r in failed), ""]  # fmt: skip
    known = [r for r in ran if "circumstances" in r]
    return "\n".join([*lines, *circumstances_lines(known)]) + "\n"


def outcome(record: Mapping[str, Any]) -> Outcome:
    """Return what the figures need of a record."""
    of = record["settings"]
    scores = {key: record.get(key) for key in ("test", "default", "chosen")}
    curve = tuple((t, s) for t, s in record.get("curve", ()))
    return Outcome(task=of["task"], seed=of["seed"], method=of["method"], curve=curve, **scores)


def summary(records: Sequence[Mapping[str, Any]], methods: Sequence[str], budget: int) -> list[str]:
    """Return the table of methods."""
    outcomes = [outcome(r) for r in records]
    found = (
        mean_ranks(outcomes, methods),
        mean_regrets(outcomes, methods, budget),
        worse_on_validation(outcomes, methods),
        worse_on_test(outcomes, methods, DEFAULT_ONLY),
        worse_on_test(outcomes, methods, DEFAULT_ONLY, by_choice=True),
    )
    head = ["method", "mean rank on test", "area under regret", "worse than default, validation",
            "worse than default, test", "by choice", "runs", "failed", "seconds of search", "trials"]  # fmt: skip
    rows: list[list[object]] = [head, ["---"] * len(head)]
    for method in methods:
        of = [r for r in records if r["settings"]["method"] == method]
        done = [r for r in of if r["status"] == "done"]
        seconds = f"{mean(r['seconds'] for r in done):.0f}" if done else _EMPTY
        trials = f"{mean(sum(r['trials'].values()) for r in done):.0f}" if done else _EMPTY
        rows.append([method, *(shown(means[method]) for means in found), len(of), len(of) - len(done), seconds, trials])
    return table(rows)


def by_task(records: Sequence[Mapping[str, Any]], methods: Sequence[str]) -> list[str]:
    """Return the table of tasks: the mean test score of each method and its deviation over seeds."""
    rows: list[list[object]] = [["task", "test score", *methods, "weights"], ["---"] * (len(methods) + 3)]
    for task in dict.fromkeys(r["settings"]["task"] for r in records):
        of = [r for r in records if r["settings"]["task"] == task]
        done = [r for r in of if r["status"] == "done"]
        scores = [[r["test"] for r in done if r["settings"]["method"] == m and r["test"] is not None] for m in methods]
        rows.append([
            task, ", ".join(dict.fromkeys(r["headline"].replace("_", " ") for r in done)) or _EMPTY,
            *(over_seeds(s) for s in scores), "; ".join(dict.fromkeys(r["weights"] for r in done)) or _EMPTY,
        ])  # fmt: skip
    return table(rows)


def over_seeds(scores: Sequence[float]) -> str:
    """Return mean, deviation and number of some scores."""
    if not scores:
        return _EMPTY
    spread = f" ± {stdev(scores):.4f}" if len(scores) > 1 else ""
    return f"{mean(scores):.4f}{spread} ({len(scores)})"


def shown(of: Mean) -> str:
    """Return a mean with its interval."""
    if of.value is None:
        return _EMPTY
    return f"{of.value:.2f}" + ("" if of.low is None else f" [{of.low:.2f}, {of.high:.2f}]")


def table(rows: Sequence[Sequence[object]]) -> list[str]:
    """Return the lines of a table."""
    return [f"| {' | '.join(cell(c) for c in row)} |" for row in rows]
