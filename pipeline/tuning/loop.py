"""The search: give out work, train, note, store, until the budget is spent."""

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
from pipeline.tuning.clock import (
    Clock,
    kept_processor,
    meter_of,
    refuse_unmeasured,
    start_of,
)
from pipeline.tuning.constraints import Gauge, refuse_uncounted, refuse_unmeasurable
from pipeline.tuning.defaults import defaults_within_bounds
from pipeline.tuning.dispatch import Dispatch, proposed
from pipeline.tuning.earlier import kept_earlier
from pipeline.tuning.fits import Fits
from pipeline.tuning.importance import importances
from pipeline.tuning.jobs import OnFit, Outcome, Problem
from pipeline.tuning.live import Live
from pipeline.tuning.notes import name_objectives, save_note, study_note
from pipeline.tuning.packs import Packs
from pipeline.tuning.plan import kept_plan, kept_raised, plan_for, plan_words
from pipeline.tuning.policies import POLICIES, Policies
from pipeline.tuning.proposals import First, feasible
from pipeline.tuning.record import export, kept_of
from pipeline.tuning.rising import raised_words, rise_of, risen
from pipeline.tuning.samplers import stock_study
from pipeline.tuning.shelf import Shelf
from pipeline.tuning.standing import quality_name
from pipeline.tuning.study import extent, is_over, together
from pipeline.tuning.summary import Spent, summary, training_seconds
from pipeline.tuning.table import Table
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
        self.policies = Policies(problem, folder.parent / POLICIES)
        self.shelf = Shelf(folder, problem.settings.disk_mb)
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
        dispatch = self.planned(size)
        before = {row.policy.device for row in self.table.rows if row.policy is not None} - {self.policies.usual.device}
        if before:
            log.warning("trials so far were trained on %s, it goes on on %s", *before, self.policies.usual.device)
        words = plan_words(dispatch.plan, self.clock.total(settings), settings.strategy, dispatch.folds)
        log.info("%s · %d worker%s · up to %s MB of disk for paused trials", words, size, "s" * (size != 1),
                 f"{settings.disk_mb:,.0f}")  # fmt: skip
        name_objectives(self.study, self.problem.data.task, self.problem.objective.others)
        trained, self.live.workers = training_seconds(self.table.rows), max(1, size)
        beside = nullcontext() if fits is None else fits.beside(dispatch.last_moment)
        with self.live, beside, crew_of(self.problem, size, settings.silence, on_fit, self._on_wait) as crew:
            self._train(crew, dispatch)
            self._store()
        with together(self.study):
            self.table.close()
            self.clock.keep(ended=True)
            self.study.set_user_attr("over", extent(settings))
        trained = training_seconds(self.table.rows) - trained
        self.spent = Spent(wall=self.clock.running, workers=self.live.workers, training=trained,
                           disk=self.shelf.words())  # fmt: skip
        self.shelf.tidy(self.table.rows)

    def _train(self, crew: Crew, dispatch: Dispatch) -> None:
        """Hand out jobs and take in what came of them, until nothing is left to do."""
        while True:
            with self._losing_nothing():
                while crew.free() and (job := dispatch.next_job()) is not None:
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
        return proposed(self.space, self.table, self.problem, self.first, self.gauge).candidate

    def planned(self, workers: int) -> Dispatch:
        """Return who gives out the work, by a plan for so many workers.

        Before the first trial, the default that goes first becomes as the plan says.
        """
        self.clock.enter("probe")
        self.first = defaults_within_bounds(self.study, self.space, self.first, self.gauge)
        new = not self.table.rows
        rise = rise_of(self.problem, self.space, self.first, self.gauge, self.policies.of) if new else None
        default = self._first_candidate()
        plan = plan_for(self.problem, default, self.study, self.clock, self.policies.of, workers, rise)
        if new and plan.raised:
            self.first = risen(self.first, plan.raised)
            self.policies.of(self._first_candidate(), plan.raised[-1].policy)  # as it was measured, after a restart too
            for one in plan.raised:
                log.info("%s", raised_words(one))
        self.problem = self.policies.problem = self.problem.within(plan.trial_seconds, plan.reach)
        return Dispatch(problem=self.problem, plan=plan, space=self.space, first=self.first, study=self.study,
                        table=self.table, clock=self.clock, gauge=self.gauge, policies=self.policies,
                        packs=Packs(self.problem), shelf=self.shelf, folder=self.folder)  # fmt: skip

    def _warm(self) -> None:
        """Bring the rows to where they are used, so that forked workers share them."""
        from pipeline.training.device import choose_device

        device, _ = choose_device(self.problem.trainer)
        self.problem.data.placed("train", device)
        self.problem.data.placed("val", device)

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
