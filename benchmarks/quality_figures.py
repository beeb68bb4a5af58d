"""What quality.py makes of its runs: ranks, area under regret, who ends worse than the default. No files, no clocks.

Scores on validation rows are such that lower is better, scores on test rows such that higher is better.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
_DRAWS = 2000
_SEED = 7

Curve = Sequence[tuple[float, float]]
"""(seconds, lowest validation score up to there), seconds rising and scores falling."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one run came to. A run that failed has no scores."""

    task: str
    seed: int
    method: str
    test: float | None
    """Of what was handed on."""
    default: float | None = None
    """Validation score of the default candidate; None: it was not trained to its end."""
    chosen: float | None = None
    """Validation score of the trial that was handed on."""
    curve: Curve = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Mean:
    """The mean over tasks of the means over their runs, and a bootstrap interval; None: too few to say."""

    value: float | None
    low: float | None = None
    high: float | None = None
    tasks: int = 0
    runs: int = 0


def incumbents(trials: Iterable[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Return the anytime curve of the trials of search.json: where a complete trial was better than all before it.

    By wall seconds of the search at which each came to its end.
    """
    found: list[tuple[float, float]] = []
    for trial in sorted((t for t in trials if t["state"] == "complete"), key=lambda t: t["ended"]):
        if not found or trial["score"] < found[-1][1]:
            found.append((round(trial["ended"], 3), trial["score"]))
    return found


def default_score(trials: Iterable[Mapping[str, Any]]) -> float | None:
    """Return the score of the first default of search.json: that of the space's default family."""
    first = next((t for t in trials if t["origin"] == "default"), None)
    return first["score"] if first is not None and first["state"] == "complete" else None


def ranks(scores: Sequence[float | None]) -> list[float]:
    """Return 1 for the highest score; equals share the mean of their places, what has no score shares the last."""
    keys = [-np.inf if s is None else s for s in scores]
    return [sum(k > key for k in keys) + (1 + sum(k == key for k in keys)) / 2 for key in keys]


def regret_area(curve: Curve, default: float, best: float, seconds: float) -> float:
    """Return the mean over time of (incumbent - best) / (default - best), between 0 and 1.

    Before the first complete trial the regret is 1, as if the default were all there is; a worse incumbent counts as 1.

    Raises:
        ValueError: the default is not worse than the best.
    """
    if default <= best:
        raise ValueError("no regret: the default is the best")
    times = [min(t, seconds) for t, _ in curve] + [seconds]
    area = times[0]
    for (_, score), (start, end) in zip(curve, pairwise(times), strict=True):
        area += (end - start) * min(1.0, max(0.0, (score - best) / (default - best)))
    return area / seconds


def blocks(outcomes: Iterable[Outcome]) -> dict[tuple[str, int], dict[str, Outcome]]:
    """Return the outcomes of each task and seed by method."""
    found: dict[tuple[str, int], dict[str, Outcome]] = defaultdict(dict)
    for outcome in outcomes:
        found[outcome.task, outcome.seed][outcome.method] = outcome
    return dict(found)


def mean_ranks(outcomes: Iterable[Outcome], methods: Sequence[str]) -> dict[str, Mean]:
    """Return the mean rank on test rows of each method, over the tasks and seeds that all of them ran."""
    of: dict[str, dict[str, list[float]]] = {m: defaultdict(list) for m in methods}
    for (task, _), by_method in blocks(outcomes).items():
        if all(m in by_method for m in methods):
            for method, rank in zip(methods, ranks([by_method[m].test for m in methods]), strict=True):
                of[method][task].append(rank)
    return {m: mean_of(of[m]) for m in methods}


def references(outcomes: Iterable[Outcome]) -> dict[str, tuple[float, float]]:
    """Return (default, best) of each task: the mean score of all defaults and the lowest score any run found.

    A task whose default nobody scored, or whose default nobody improved on, has none.
    """
    defaults, lowest = defaultdict(list), defaultdict(list)
    for outcome in outcomes:
        if outcome.default is not None:
            defaults[outcome.task].append(outcome.default)
        if outcome.curve:
            lowest[outcome.task].append(outcome.curve[-1][1])
    found = {task: (mean(defaults[task]), min(lowest[task])) for task in defaults if task in lowest}
    return {task: pair for task, pair in found.items() if pair[0] > pair[1]}


def mean_regrets(outcomes: Sequence[Outcome], methods: Sequence[str], seconds: float) -> dict[str, Mean]:
    """Return the mean area under normalised regret of each method, over tasks that have a default and a better one."""
    known = references(outcomes)
    of: dict[str, dict[str, list[float]]] = {m: defaultdict(list) for m in methods}
    for outcome in outcomes:
        if outcome.task in known and outcome.method in of:
            of[outcome.method][outcome.task].append(regret_area(outcome.curve, *known[outcome.task], seconds))
    return {m: mean_of(of[m]) for m in methods}


def worse_on_validation(outcomes: Iterable[Outcome], methods: Sequence[str]) -> dict[str, Mean]:
    """Return the share of runs whose choice scored worse than their own default; those that failed count as worse."""
    of: dict[str, dict[str, list[float]]] = {m: defaultdict(list) for m in methods}
    for outcome in outcomes:
        chosen, default = outcome.chosen, outcome.default
        if outcome.method in of and (chosen is None or default is not None):
            worse = chosen is None or default is None or chosen > default
            of[outcome.method][outcome.task].append(float(worse))
    return {m: mean_of(of[m]) for m in methods}


def worse_on_test(
    outcomes: Iterable[Outcome], methods: Sequence[str], default: str, by_choice: bool = False
) -> dict[str, Mean]:
    """Return the share of runs that end below the method `default` with the same task and seed.

    `by_choice`: runs that hand on their own default are not counted as worse: it is the same candidate, trained as far
    as time and the machine's load allowed.
    """
    of: dict[str, dict[str, list[float]]] = {m: defaultdict(list) for m in methods}
    for (task, _), by_method in blocks(outcomes).items():
        bar = by_method[default].test if default in by_method else None
        for method, outcome in by_method.items():
            if method in of and method != default and bar is not None:
                excused = by_choice and outcome.chosen is not None and outcome.chosen == outcome.default
                of[method][task].append(float(outcome.test is None or (outcome.test < bar and not excused)))
    return {m: mean_of(of[m]) for m in methods}


def mean_of(by_task: Mapping[str, Sequence[float]]) -> Mean:
    """Return the mean of the tasks' means with its interval; one run alone has none."""
    kept = {task: values for task, values in by_task.items() if values}
    runs = sum(len(values) for values in kept.values())
    if not runs:
        return Mean(value=None)
    value = mean(mean(values) for values in kept.values())
    if runs == 1:
        return Mean(value=value, tasks=1, runs=1)
    drawn = bootstrap(list(kept.values()), np.random.default_rng(_SEED), _DRAWS)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Mean(value=value, low=float(low), high=float(high), tasks=len(kept), runs=runs)


def bootstrap(values: Sequence[Sequence[float]], rng: np.random.Generator, draws: int) -> NDArray[np.float64]:
    """Return means (draws,) of tasks drawn with replacement, and in each the runs drawn with replacement."""
    means = np.empty(draws)
    for i in range(draws):
        picked = rng.integers(len(values), size=len(values))
        means[i] = mean(float(rng.choice(values[task], len(values[task])).mean()) for task in picked)
    return means
