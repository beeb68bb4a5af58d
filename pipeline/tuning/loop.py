"""The search: decide, propose, train, note, until the budget is spent."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import optuna

from pipeline.core.contracts import Candidate, SearchRecord
from pipeline.models import read_architecture
from pipeline.space import DefaultChooser, Space, first_answers, sample
from pipeline.training.folds import folds_of
from pipeline.tuning.clock import (
    Clock,
    kept_processor,
    meter_of,
    refuse_unmeasured,
    start_of,
)
from pipeline.tuning.constraints import MARK, Gauge, refuse_uncounted, refuse_unmeasurable
from pipeline.tuning.decisions import Continue, Refine, Repeat, Start, View, confirm_until, to_beat
from pipeline.tuning.defaults import defaults_within_bounds
from pipeline.tuning.earlier import kept_earlier
from pipeline.tuning.fits import Fits
from pipeline.tuning.importance import importances
from pipeline.tuning.jobs import Job, OnFit, Onward, Outcome, Problem
from pipeline.tuning.live import Live, phase_of
from pipeline.tuning.notes import name_objectives, save_note, study_note
from pipeline.tuning.packs import Packs, Work, pack_job, unfinished
from pipeline.tuning.plan import Plan, kept_plan, kept_raised, plan_for, plan_words
from pipeline.tuning.policies import POLICIES, Policies
from pipeline.tuning.proposals import Exhausted, First, feasible, proposal
from pipeline.tuning.record import export, kept_of
from pipeline.tuning.rising import raised_words, rise_of, risen
from pipeline.tuning.samplers import stock_study
from pipeline.tuning.shelf import Shelf
from pipeline.tuning.standing import quality_name, refuse_hopeless
from pipeline.tuning.strategies import DECIDES
from pipeline.tuning.study import extent, is_over, together
from pipeline.tuning.summary import Spent, summary, training_seconds
from pipeline.tuning.table import Row, Table
from pipeline.tuning.workers import Crew, crew_of, usual_workers

log = logging.getLogger("pipeline.search")

STORE_EVERY = 1.0
"""Seconds. Workers wait while it is done, and who is killed before it repeats no more than pieces of trials."""


class Search:
    """A study at work."""

    def __init__(
        self, problem: Problem, space: Space, study: optuna.Study, folder: Path, began: float | None = None
    ) -> None:
        """`folder`: where paused trials and weights lie; `began`: when, of time.monotonic(), its seconds began."""
        self.problem, self.space, self.study, self.folder = problem, space, study, folder
        self.clock = Clock(study, meter_of(problem.trainer), start_of(began, problem.settings.seconds))
        if (plan := kept_plan(study)) is not None:
            self.problem = problem = problem.within(plan.trial_seconds, plan.reach)
        refuse_unmeasured(problem.settings, self.clock)
        others = problem.objective.others
        refuse_unmeasurable(problem.data, problem.settings.constraints, others)
        refuse_uncounted(problem.data, space)
        self.gauge = Gauge(data=problem.data, settings=problem.settings, trainer=problem.trainer, others=others)
        self.earlier = kept_earlier(study)
        declared = first_answers(space)
        earlier: First = [("earlier", answers) for answers in self.earlier.answers]
        self.first: First = (*declared[:1], *earlier, *declared[1:])
        for _, known in self.first:
            read_architecture(sample(space, DefaultChooser(known)).architecture)
        self.table = Table(study, problem.data.task, others)
        self.live = Live(problem, self.table, self.clock)
        self.spent: Spent | None = None
        """By this process; None where there was nothing left to do."""
        self.packs = Packs(problem)
        self.policies = Policies(problem, folder.parent / POLICIES)
        self.shelf = Shelf(folder, problem.settings.disk_mb)
        self.open = True
        """Whether the space may still have candidates that were not tried."""
        self.refine: int | None = None
        """Rung at which numbers of the best candidate are compared, while there may be others."""
        self._finished: list[str] = []
        """Names of the files of trainings that are over."""
        self._stored = -math.inf
        """When, of time.monotonic(), all that was known was written."""

    def run(self, on_fit: OnFit | None = None, fits: Fits | None = None) -> None:
        """Train until nothing is left to do or the budget is spent; `fits` go on beside it."""
        settings = self.problem.settings
        if self.earlier.words is not None:
            log.info("%s", self.earlier.words)
        if is_over(self.study, settings):
            if fits is not None:
                fits.complete()
            return
        size = usual_workers(self.problem) if settings.workers is None else settings.workers
        self._warm()
        self.clock.enter("probe")
        self.first = defaults_within_bounds(self.study, self.space, self.first, self.gauge)
        plan = self._planned(size)
        self.problem = self.policies.problem = self.problem.within(plan.trial_seconds, plan.reach)
        self.mode, self.refine = plan.mode, plan.refine
        before = {row.policy.device for row in self.table.rows if row.policy is not None} - {self.policies.usual.device}
        if before:
            log.warning("trials so far were trained on %s, it goes on on %s", *before, self.policies.usual.device)
        words = plan_words(plan, self.clock.total(settings), settings.strategy, self._folds())
        log.info("%s · %d worker%s · up to %s MB of disk for paused trials", words, size, "s" * (size != 1),
                 f"{settings.disk_mb:,.0f}")  # fmt: skip
        name_objectives(self.study, self.problem.data.task, self.problem.objective.others)
        trained, self.live.workers = training_seconds(self.table.rows), max(1, size)
        beside = nullcontext() if fits is None else fits.beside(self._last_moment())
        with self.live, beside, crew_of(self.problem, size, settings.silence, on_fit, self._on_wait) as crew:
            self._train(crew)
            self._store()
        with together(self.study):
            self.table.close()
            self.clock.keep(ended=True)
            self.study.set_user_attr("over", extent(settings))
        trained = training_seconds(self.table.rows) - trained
        self.spent = Spent(wall=self.clock.running, workers=self.live.workers, training=trained,
                           disk=self.shelf.words())  # fmt: skip
        self.shelf.tidy(self.table.rows)

    def _train(self, crew: Crew) -> None:
        """Hand out jobs and take in what came of them, until nothing is left to do."""
        while True:
            with self._losing_nothing():
                while crew.free() and (job := self._next_job()) is not None:
                    for one in job.wanted:
                        self.table.start(one.place, one.repeat)
                    crew.give(self.problem, job)
            if time.monotonic() - self._stored >= STORE_EVERY:
                self._store()
            if not any(row.running for row in self.table.rows):
                return
            with self._losing_nothing():
                job, outcome = crew.take()
                self._note(outcome)
            if outcome.state in ("complete", "failed"):
                self._finished.append(job.name)
            else:
                self.shelf.put(job.name)

    @contextmanager
    def _losing_nothing(self) -> Iterator[None]:
        """Store what is known before an error ends the search: the trials that led to it are looked for there."""
        try:
            yield
        except Exception:
            self._store()
            raise

    def _on_wait(self) -> None:
        self.clock.look()
        self.live.tick()

    def _store(self) -> None:
        """Write what is not written yet; files of trials that are over go after that."""
        with together(self.study):
            self.table.flush()
            self.clock.keep()
        self.shelf.remove(self._finished)
        self._finished.clear()
        self._stored = time.monotonic()
        self.shelf.bound(self.table.rows, self.problem.rungs)

    def _first_candidate(self) -> Candidate:
        """Return the candidate whose training the seconds are planned by: the one that goes first."""
        if self.first:
            return feasible(self.space, DefaultChooser(self.first[0][1]))
        if self.table.rows:
            return self.table.rows[0].candidate
        return self._proposed().candidate

    def _planned(self, workers: int) -> Plan:
        """Return the plan; before the first trial, let the default that goes first be as it says."""
        new = not self.table.rows
        rise = rise_of(self.problem, self.space, self.first, self.gauge, self.policies.of) if new else None
        default = self._first_candidate()
        plan = plan_for(self.problem, default, self.study, self.clock, self.policies.of, workers, rise)
        if new and plan.raised:
            self.first = risen(self.first, plan.raised)
            self.policies.of(self._first_candidate(), plan.raised[-1].policy)  # as it was measured, after a restart too
            for one in plan.raised:
                log.info("%s", raised_words(one))
        return plan

    def _proposed(self, wanted: Row | Refine | None = None) -> Row:
        """Return a row for the next place: `wanted`, one that can be packed with that row, or other numbers."""
        rungs, seed = self.problem.rungs, self.problem.seed
        found = proposal(self.space, self.table.rows, rungs, self.first, self.gauge, seed, wanted)
        return Row(place=found.place, origin=found.origin, candidate=found.candidate, answers=found.answers,
                   distributions=found.distributions, skipped=found.skipped, gauged=found.gauged,
                   aimed=found.aimed)  # fmt: skip

    def _warm(self) -> None:
        """Bring the rows to where they are used, so that forked workers share them."""
        from pipeline.training.device import choose_device

        device, _ = choose_device(self.problem.trainer)
        self.problem.data.placed("train", device)
        self.problem.data.placed("val", device)

    def view(self) -> View:
        """Return what decisions may depend on."""
        settings = self.problem.settings
        return View(
            rows=self.table.rows,
            rungs=self.problem.rungs,
            n_trials=settings.n_trials if self.open else len(self.table.rows),
            eta=settings.eta,
            seed=self.problem.seed,
            repeats=settings.repeats,
            folds=self._folds(),
            reserve_share=self.problem.data.reserve_share,
            mode=self.mode,
            seconds=self.clock.total(settings),
            used=self.clock.used,
            trial_seconds=self.problem.trial_seconds,
            objectives=self.problem.objective.minimise,
            refine=self.refine,
            most_refined=settings.refine,
            lost=self.shelf.lost(self.table.rows),
        )

    def _folds(self) -> int:
        """Return on how many folds the best few are compared.

        The default trained alone has nobody beside it; scores of a whole front would be of folds for some of it only.
        """
        alone = self.mode == "search" and len(self.problem.objective.minimise) == 1
        return folds_of(self.problem.data) if alone and self.problem.settings.repeats else 0

    def _next_job(self) -> Work | None:
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
            self.open = False
            if broken := [reason for reason in end.skipped if reason.startswith(MARK)]:
                last = broken[-1].removeprefix(MARK)
                said = f"no more candidates: of the last {len(end.skipped)} draws {len(broken)} broke a bound, one with"
                self.study.set_user_attr("ended", f"{said} {last}")
            return self._next_job()
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
            self.refine = None
            return self._next_job()
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

    def _last_moment(self) -> float | None:
        """Return when, of time.monotonic(), nothing is trained any more; None where only trials count."""
        seconds = self.clock.total(self.problem.settings)
        return None if seconds is None or math.isinf(seconds) else self.clock.moment(confirm_until(seconds) * seconds)

    def _onward(self, view: View, place: int) -> Onward | None:
        """Return when the trial of a place goes on without a pause."""
        below = to_beat(view, place) if self.problem.settings.strategy == "engine" else None
        if below is None or view.seconds is None:
            return None
        return Onward(below=below, until=self.clock.moment(view.search_until * view.seconds))

    def _job(self, row: Row, rung: int, repeat: int = 0, onward: Onward | None = None) -> Work:
        job = Job(place=row.place, candidate=row.candidate, rung=rung, repeat=repeat, policy=row.policy,
                  onward=onward, deadline=self._last_moment(), folder=self.folder)  # fmt: skip
        return pack_job(job, row, self.table.rows)

    def _note(self, outcome: Outcome) -> None:
        row = self.table.note(replace(outcome, ended=round(self.clock.used, 3)), self.problem.rungs)
        if self.problem.settings.strategy == "tpe_hyperband" and row.paused:
            before = self.table.rows[: row.place + 1]
            if stock_study(before, self.problem.rungs, self.problem.settings.eta, self.problem.seed)[1]:
                self.table.stop(row.place)
        self.live.ended(row, outcome)

    def export(self, storage: str) -> SearchRecord:
        """Return the record of all trials and of the one that is handed on."""
        kept = self.study.user_attrs
        said = (self.earlier.words, *kept.get("defaults", ()), kept.get("ended"))
        known = kept_of(self.study, storage, self.folder, [one for one in said if one is not None])
        record = export(self.problem, self.table.rows, known)
        rows = self.table.rows[: self.problem.settings.n_trials]
        return replace(record, processor_seconds=kept_processor(self.study),
                       raised=kept_raised(self.study, self.table.rows),
                       importances=importances(rows, self.problem.rungs, self.problem.seed))  # fmt: skip

    def summary(self, record: SearchRecord) -> list[str]:
        """Return why the search went as it did, and keep it as the study's note."""
        lines = list(summary(record, quality_name(self.problem.data.task), self.spent))
        if self.spent is not None:
            save_note(self.study, None, study_note(record, lines))
        return lines
