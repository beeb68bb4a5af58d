"""What is given out next: a decision about the table, turned into work for whoever is free."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import optuna

from pipeline.space import Space
from pipeline.training.folds import folds_of
from pipeline.tuning.clock import Clock
from pipeline.tuning.constraints import MARK, Gauge
from pipeline.tuning.decisions import to_beat
from pipeline.tuning.jobs import Job, Onward, Problem
from pipeline.tuning.live import phase_of
from pipeline.tuning.packs import Packs, Work, pack_job, unfinished
from pipeline.tuning.plan import Plan
from pipeline.tuning.policies import Policies
from pipeline.tuning.proposals import Exhausted, First, proposal
from pipeline.tuning.row import Row
from pipeline.tuning.shelf import Shelf
from pipeline.tuning.standing import refuse_hopeless
from pipeline.tuning.strategies import DECIDES
from pipeline.tuning.table import Table
from pipeline.tuning.view import Continue, Refine, Repeat, Start, View, confirm_until


@dataclass(kw_only=True)
class Dispatch:
    """Gives out the work of a study whose plan is made."""

    problem: Problem
    """With what a trial may spend by the plan."""
    plan: Plan
    space: Space
    first: First
    """What goes before all that is drawn."""
    study: optuna.Study
    table: Table
    clock: Clock
    gauge: Gauge
    policies: Policies
    packs: Packs
    shelf: Shelf
    folder: Path
    """Where paused trials and weights lie."""

    def __post_init__(self) -> None:
        self._open = True
        """Whether the space may still have candidates that were not tried."""
        self._refine = self.plan.refine
        """Rung at which numbers of the best candidate are compared, while there may be others."""

    @property
    def folds(self) -> int:
        """On how many folds the best few are compared.

        The default trained alone has nobody beside it; scores of a whole front would be of folds for some of it only.
        """
        alone = self.plan.mode == "search" and len(self.problem.objective.minimise) == 1
        return folds_of(self.problem.data) if alone and self.problem.settings.repeats else 0

    @property
    def last_moment(self) -> float | None:
        """When, of time.monotonic(), nothing is trained any more; None where only trials count."""
        seconds = self.clock.total(self.problem.settings)
        return None if seconds is None or math.isinf(seconds) else self.clock.moment(confirm_until(seconds) * seconds)

    def view(self) -> View:
        """Return what decisions may depend on."""
        settings = self.problem.settings
        return View(
            rows=self.table.rows,
            rungs=self.problem.rungs,
            n_trials=settings.n_trials if self._open else len(self.table.rows),
            eta=settings.eta,
            seed=self.problem.seed,
            repeats=settings.repeats,
            folds=self.folds,
            reserve_share=self.problem.data.reserve_share,
            mode=self.plan.mode,
            seconds=self.clock.total(settings),
            used=self.clock.used,
            trial_seconds=self.problem.trial_seconds,
            objectives=self.problem.objective.minimise,
            refine=self._refine,
            most_refined=settings.refine,
            lost=self.shelf.lost(self.table.rows),
        )

    def next_job(self) -> Work | None:
        """Return what to train next, its candidate noted in the table; None: nothing now."""
        refuse_hopeless(self.table.rows)
        if leader := unfinished(self.table.rows):
            self._gather(leader)
        view = self.view()
        if not any(row.busy or row.outcome is not None for row in view.rows):
            view = replace(view, used=0.0)  # however late it is, one candidate is begun: something must be handed on
        elif view.share >= view.confirm_until:
            return None
        decision = DECIDES[self.problem.settings.strategy](view)
        if decision is not None:
            self.clock.enter(phase_of(view, decision))
        match decision:
            case Start(rung):
                return self._started(view, rung)
            case Refine():
                return self._refined(decision)
            case Continue(place, rung):
                return self._job(self.table.rows[place], rung, onward=self._onward(view, place))
            case Repeat(place, repeat):
                return self._job(self.table.rows[place], view.last, repeat)
            case None:
                return None

    def _started(self, view: View, rung: int) -> Work | None:
        try:
            row = self._proposed()
        except Exhausted as end:
            self._open = False
            if broken := [reason for reason in end.skipped if reason.startswith(MARK)]:
                last = broken[-1].removeprefix(MARK)
                said = f"no more candidates: of the last {len(end.skipped)} draws {len(broken)} broke a bound, one with"
                self.study.set_user_attr("ended", f"{said} {last}")
            return self.next_job()
        size = self.packs.size(row, self.table.rows) if rung == 0 < len(self.problem.rungs) - 1 else 1
        if size > 1:
            row = replace(row, pack=(row.place, size))
        row = replace(row, policy=self.policies.usual if size > 1 else self.policies.of(row.candidate))
        self.table.add(row)
        if size > 1:
            self._gather(row)
        return self._job(row, rung, onward=self._onward(view, row.place))

    def _refined(self, wanted: Refine) -> Work | None:
        try:
            row = self._proposed(wanted)
        except Exhausted:
            self._refine = None
            return self.next_job()
        row = replace(row, policy=self.policies.of(row.candidate))
        self.table.add(row)
        return self._job(row, wanted.rung)

    def _gather(self, leader: Row) -> None:
        """Add the candidates that are packed with a leader, as many as there are different ones."""
        assert leader.pack is not None
        while len(self.table) < sum(leader.pack):
            try:
                row = self._proposed(leader)
            except Exhausted:
                return
            self.table.add(replace(row, pack=leader.pack, policy=leader.policy))

    def _proposed(self, wanted: Row | Refine | None = None) -> Row:
        return proposed(self.space, self.table, self.problem, self.first, self.gauge, wanted)

    def _onward(self, view: View, place: int) -> Onward | None:
        """Return when the trial of a place goes on without a pause."""
        below = to_beat(view, place) if self.problem.settings.strategy == "engine" else None
        if below is None or view.seconds is None:
            return None
        return Onward(below=below, until=self.clock.moment(view.search_until * view.seconds))

    def _job(self, row: Row, rung: int, repeat: int = 0, onward: Onward | None = None) -> Work:
        job = Job(place=row.place, candidate=row.candidate, rung=rung, repeat=repeat, policy=row.policy,
                  onward=onward, deadline=self.last_moment, folder=self.folder)  # fmt: skip
        return pack_job(job, row, self.table.rows)


def proposed(
    space: Space, table: Table, problem: Problem, first: First, gauge: Gauge, wanted: Row | Refine | None = None
) -> Row:
    """Return a row for the next place: `wanted`, one that can be packed with that row, or other numbers."""
    found = proposal(space, table.rows, problem.rungs, first, gauge, problem.seed, wanted)
    return Row(place=found.place, origin=found.origin, candidate=found.candidate, answers=found.answers,
               distributions=found.distributions, skipped=found.skipped, gauged=found.gauged,
               aimed=found.aimed)  # fmt: skip
