"""What a budget of seconds is spent on, decided before the first trial and kept with the study."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import optuna

from pipeline.core.contracts import Candidate, Policy, RaisedDefault
from pipeline.core.strict import plain, read
from pipeline.training.budgets import trial_limit
from pipeline.tuning.clock import Clock
from pipeline.tuning.jobs import Problem
from pipeline.tuning.rising import RISING_SHARE, Measured, Rise
from pipeline.tuning.row import Row
from pipeline.tuning.speed import speed_of
from pipeline.tuning.view import FINISH_UNTIL, REFINE_SHARE, SEARCH_UNTIL, confirm_until

log = logging.getLogger("pipeline.search")

_LEAST_DEFAULTS = 3
"""With less time than for so many trainings of the default nothing is searched."""
_EXPENSIVE = 5.0
"""Seconds of a trial from which its numbers are worth a Gaussian process."""
_LEAST_REFINED = 8
"""So many candidates have to fit into that phase: fewer teach a process nothing."""
_GOOD_PART = 0.25
"""Of the share of one trial: a default that takes less is not made to take more."""
_PROBE_SHARE = 0.02
_PROBE_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How the seconds are spent."""

    mode: Literal["search", "seeds"]
    """seeds: the default alone, as long as there is time, then again with other seeds; others if it
    took less than it seemed that it would."""
    trial_seconds: float | None
    """What one trial may take."""
    default_seconds: float | None = None
    """What the declared default would take for the usual passes, as estimated from its first steps."""
    reach: float = 1.0
    """Share of these passes that it comes to within `trial_seconds`."""
    refine: int | None = None
    """Rung at which numbers of the best candidate are compared; None: they are not refined."""
    raised: tuple[RaisedDefault, ...] = ()
    """Of the first candidate; decided once for a study, whatever becomes of its budget."""


def plan_for(
    problem: Problem,
    default: Candidate,
    study: optuna.Study,
    clock: Clock,
    policy_of: Callable[[Candidate], Policy],
    workers: int = 1,
    rise: Rise | None = None,
) -> Plan:
    """Return the plan kept with the study, or make one; a trial keeps its budget when that of the search is raised.

    Args:
        problem: what is searched, and for how long.
        default: the candidate that goes first, as declared.
        study: where the plan is kept.
        clock: of the study.
        policy_of: how a candidate is computed.
        workers: that train at once.
        rise: raises the default as time allows; None: it stays as it was, or is.
    """
    settings = problem.settings
    budget = {"seconds": settings.seconds, "energy_wh": settings.energy_wh}
    if all(amount is None for amount in budget.values()):
        return Plan(mode="search", trial_seconds=None)
    kept = study.user_attrs.get("plan")
    if kept is not None and kept["budget"] == budget:
        return read(Plan, kept["plan"], "study")
    before = read(Plan, kept["plan"], "study") if kept is not None else None
    takes, measured = before.default_seconds if before is not None else None, None
    if takes is None:
        measured = _measured(problem, default, policy_of(default))
        takes = measured.speed.seconds(problem.budget.epochs)
    seconds = clock.total(settings)  # of energy it is known only now, when something was trained
    assert seconds is not None
    if settings.strategy == "engine" and seconds < _LEAST_DEFAULTS * takes:
        plan = Plan(mode="seeds", trial_seconds=min(takes, _left(seconds, clock)), default_seconds=takes)
    else:
        limit = trial_limit(takes, settings.trial_share * seconds)
        plan = Plan(mode="search", trial_seconds=limit, default_seconds=takes)
    if measured is not None and rise is not None and settings.seconds is not None:
        plan = _with_raised(plan, problem, measured, rise, lambda: _left(seconds, clock))
    if before is not None:
        plan = replace(plan, raised=before.raised)
    if before is not None and before.mode == plan.mode:
        plan = replace(plan, trial_seconds=before.trial_seconds)
    assert plan.trial_seconds is not None
    reach = before.reach if before is not None else min(1.0, plan.trial_seconds / takes)
    plan = replace(plan, reach=reach)
    plan = replace(
        plan, refine=_refine_rung(problem.within(plan.trial_seconds, reach), plan, seconds * max(1, workers))
    )
    study.set_user_attr("plan", {"budget": budget, "plan": plain(plan)})
    return plan


def _refine_rung(problem: Problem, plan: Plan, seconds: float) -> int | None:
    """Return the highest rung to which enough candidates can be trained in that phase; the higher, the truer.

    `seconds`: of all workers. Without a budget of time nothing is refined: which trials take long differs from run to
    run, and a search of so many trials repeats.
    """
    settings = problem.settings
    takes = min(plan.trial_seconds or 0.0, plan.default_seconds or math.inf)
    if settings.strategy != "engine" or not settings.refine or plan.mode == "seeds" or takes <= _EXPENSIVE:
        return None
    most = REFINE_SHARE * seconds / _LEAST_REFINED
    return max((rung for rung, share in enumerate(problem.rungs[:-1]) if share * takes <= most), default=None)


def _left(seconds: float, clock: Clock) -> float:
    """Return the seconds that a training may take which begins now and has all that is left."""
    return max(1e-3, confirm_until(seconds) * seconds - clock.used)


def _with_raised(plan: Plan, problem: Problem, at: Measured, rise: Rise, left: Callable[[], float]) -> Plan:
    """Return the plan with the default raised.

    In a search it rises within the share of one trial where the declared one takes a good part of that anyway, and all
    trials may take what it takes then. Where it takes little, because rows are few, it rises within what it takes: the
    seconds are for more candidates then, and for comparing the best ones again. A default that is trained alone takes
    what it needs.
    """
    alone, whole = plan.mode == "seeds", problem.settings.seconds
    assert plan.trial_seconds is not None
    assert plan.default_seconds is not None
    assert whole is not None
    share, usual = problem.settings.trial_share * whole, min(plan.trial_seconds, plan.default_seconds)
    within = share if usual >= _GOOD_PART * share else usual
    raised, at = rise(at, max(1e-3, left() - RISING_SHARE * whole) if alone else within)
    needs = at.speed.seconds(problem.budget.epochs)
    takes = min(needs, left()) if alone else max(plan.trial_seconds, min(needs, within))
    return replace(plan, trial_seconds=takes, raised=raised)


def _measured(problem: Problem, candidate: Candidate, policy: Policy) -> Measured:
    """Return what the default takes, from as many steps as fit into a second or two."""
    most = min(_PROBE_SECONDS, _PROBE_SHARE * (problem.settings.seconds or 100.0))
    return Measured(speed=speed_of(problem, candidate, policy, most), policy=policy)


def kept_plan(study: optuna.Study) -> Plan | None:
    """Return the plan that a study has, if it has one."""
    kept = study.user_attrs.get("plan")
    return None if kept is None else read(Plan, kept["plan"], "study")


def kept_raised(study: optuna.Study, rows: Sequence[Row]) -> tuple[RaisedDefault, ...]:
    """Return the defaults that the first trial of a study has, if its plan said so."""
    plan = kept_plan(study)
    raised = () if plan is None else plan.raised
    return raised if rows and all(rows[0].answers.get(one.name) == one.value for one in raised) else ()


def plan_words(plan: Plan, seconds: float | None, strategy: str, folds: int = 0) -> str:
    """Say how the budget of time is spent, or that of energy as the seconds it comes to.

    `folds`: of the training rows, on which the best few are compared; 0: they have fresh seeds.
    """
    if seconds is not None and math.isinf(seconds):
        return "plan: as long as search.energy_wh last; nothing was counted yet"
    if seconds is None or strategy != "engine":
        return f"plan: {strategy}, " + ("trials alone count" if seconds is None else f"{seconds:g} s")
    if plan.mode == "seeds":
        return (
            f"plan: {seconds:g} s are less than {_LEAST_DEFAULTS} trainings of the default (about "
            f"{plan.default_seconds:.0f} s each): it alone is trained, with more seeds if time is left"
        )
    parts = [
        ("search", SEARCH_UNTIL),
        ("best ones to their end", FINISH_UNTIL),
        (f"{folds} folds of the training rows" if folds else "fresh seeds", confirm_until(seconds)),
    ]
    if plan.refine is not None:
        parts[:1] = [("search", SEARCH_UNTIL - REFINE_SHARE), ("numbers of the best one", SEARCH_UNTIL)]
    ends = ", ".join(f"{what} until {share * seconds:.0f} s" for what, share in parts)
    return f"plan: the default first, up to {plan.trial_seconds:.1f} s a trial; {ends}"
