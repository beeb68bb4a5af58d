"""What a budget of seconds is spent on, decided before the first trial and kept with the study."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import optuna

from pipeline.core.contracts import Candidate, Policy
from pipeline.core.strict import plain, read
from pipeline.training.budgets import budget_of, settled
from pipeline.training.training import Training
from pipeline.tuning.clock import Clock
from pipeline.tuning.decisions import CONFIRM_UNTIL, FINISH_UNTIL, REFINE_SHARE, SEARCH_UNTIL
from pipeline.tuning.jobs import Problem

log = logging.getLogger("pipeline.search")

_LEAST_DEFAULTS = 3
"""With less time than for so many trainings of the default nothing is searched."""
_EXPENSIVE = 5.0
"""Seconds of a trial from which its numbers are worth a Gaussian process."""
_LEAST_REFINED = 8
"""So many candidates have to fit into that phase: fewer teach a process nothing."""
_PROBE_SHARE = 0.02
_PROBE_SECONDS = 2.0
_PROBE_STEPS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How the seconds are spent."""

    mode: Literal["search", "seeds"]
    """seeds: the default alone, as long as there is time, then again with other seeds."""
    trial_seconds: float | None
    """What one trial may take."""
    default_seconds: float | None = None
    """What the default would take for the usual passes, as estimated from its first steps."""
    refine: int | None = None
    """Rung at which numbers of the best candidate are compared; None: they are not refined."""


def plan_for(
    problem: Problem,
    default: Candidate,
    study: optuna.Study,
    clock: Clock,
    policy_of: Callable[[Candidate], Policy],
    workers: int = 1,
) -> Plan:
    """Return the plan kept with the study, or make one; a trial keeps its budget when that of the search is raised.

    `policy_of`: how a candidate is computed.
    """
    settings = problem.settings
    budget = {"seconds": settings.seconds, "energy_wh": settings.energy_wh}
    if all(amount is None for amount in budget.values()):
        return Plan(mode="search", trial_seconds=None)
    kept = study.user_attrs.get("plan")
    if kept is not None and kept["budget"] == budget:
        return read(Plan, kept["plan"], "study")
    before = read(Plan, kept["plan"], "study") if kept is not None else None
    takes = before.default_seconds if before is not None else None
    if takes is None:
        takes = seconds_of_training(problem, default, policy_of(default))
    seconds = clock.total(settings)  # of energy it is known only now, when something was trained
    assert seconds is not None
    if settings.strategy == "engine" and seconds < _LEAST_DEFAULTS * takes:
        left = max(1e-3, CONFIRM_UNTIL * seconds - clock.used)
        plan = Plan(mode="seeds", trial_seconds=min(takes, left), default_seconds=takes)
    else:
        share = settings.trial_share * seconds
        plan = Plan(mode="search", trial_seconds=min(takes, share), default_seconds=takes)
    if before is not None and before.mode == plan.mode:
        plan = replace(plan, trial_seconds=before.trial_seconds)
    plan = replace(plan, refine=_refine_rung(problem, plan, seconds * max(1, workers)))
    study.set_user_attr("plan", {"budget": budget, "plan": plain(plan)})
    return plan


def _refine_rung(problem: Problem, plan: Plan, seconds: float) -> int | None:
    """Return the highest rung to which enough candidates can be trained in that phase; the higher, the truer.

    `seconds`: of all workers. Without a budget of time nothing is refined: which trials take long differs from run to
    run, and a search of so many trials repeats.
    """
    settings, takes = problem.settings, plan.trial_seconds
    if settings.strategy != "engine" or not settings.refine or plan.mode == "seeds" or (takes or 0.0) <= _EXPENSIVE:
        return None
    assert takes is not None
    most = REFINE_SHARE * seconds / _LEAST_REFINED
    return max((rung for rung, share in enumerate(problem.rungs[:-1]) if share * takes <= most), default=None)


def seconds_of_training(problem: Problem, candidate: Candidate, policy: Policy) -> float:
    """Return what the usual passes would take, from as many steps as fit into a second or two."""
    data = problem.data
    candidate = settled(candidate, data.inputs, len(data.train.y))
    budget = budget_of(problem.settings.epochs, None, data.inputs, len(data.train.y))
    training = Training(candidate, data, budget, seed=problem.seed, trainer=problem.trainer, policy=policy)
    training.start()
    start = training.pace.seconds
    total = budget.epochs * training.pace.steps_per_epoch
    most = min(_PROBE_SECONDS, _PROBE_SHARE * (problem.settings.seconds or 100.0))
    training.advance(1 / total)  # the first step is slower than any other
    before, began = training.pace.step, time.monotonic()
    training.advance(min(1.0, (_PROBE_STEPS + 1) / total), deadline=began + most)
    steps = training.pace.step - before
    each = (time.monotonic() - began) / steps if steps else training.pace.seconds - start
    return round(start + each * total, 3)


def plan_words(plan: Plan, seconds: float | None, strategy: str) -> str:
    """Say how the budget of time is spent, or that of energy as the seconds it comes to."""
    if seconds is not None and math.isinf(seconds):
        return "plan: as long as search.energy_wh last; nothing was counted yet"
    if seconds is None or strategy != "engine":
        return f"plan: {strategy}, " + ("trials alone count" if seconds is None else f"{seconds:g} s")
    if plan.mode == "seeds":
        return (
            f"plan: {seconds:g} s are less than {_LEAST_DEFAULTS} trainings of the default (about "
            f"{plan.default_seconds:.0f} s each): it alone is trained, with more seeds if time is left"
        )
    parts = [("search", SEARCH_UNTIL), ("best ones to their end", FINISH_UNTIL), ("fresh seeds", CONFIRM_UNTIL)]
    if plan.refine is not None:
        parts[:1] = [("search", SEARCH_UNTIL - REFINE_SHARE), ("numbers of the best one", SEARCH_UNTIL)]
    ends = ", ".join(f"{what} until {share * seconds:.0f} s" for what, share in parts)
    return f"plan: the default first, up to {plan.trial_seconds:.1f} s a trial; {ends}"
