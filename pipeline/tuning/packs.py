"""New candidates that are trained to the first rung as one: when, how many, and the job that does it.

A pack is a candidate of the usual arms, its leader, and others of its shapes, drawn by the same arms but for all
answers that decide shapes. Afterwards each is a row like any other, so that scores alone decide who goes on.

Not every leader gets a pack. Rungs above the first cost each candidate that climbs them the full price, and there are
several: what packs save is a share of the first rung alone. What they cost is variety, since a pack looks at one set
of shapes. In the shipped spaces about half of the questions are of shapes and half of training, so at most half of all
candidates are such followers: the others answer all questions anew, and no question is starved. A pack is made as soon
as the candidates so far allow it.
"""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from pipeline.core.contracts import GIVEN, Candidate
from pipeline.core.errors import DeviceError, SpaceError
from pipeline.models import build
from pipeline.training.budgets import batch_of
from pipeline.training.device import choose_device
from pipeline.training.pack_training import PackTraining, check_precision
from pipeline.training.packing import check_packable, check_rows, gain_of
from pipeline.tuning.chooser import free
from pipeline.tuning.constraints import weights_of
from pipeline.tuning.jobs import (
    Job,
    OnFit,
    OnSign,
    Outcome,
    Problem,
    failure,
    pause,
    refuse_size,
    run_job,
    standing,
)
from pipeline.tuning.row import Row

log = logging.getLogger("pipeline.search")

_SMALL, _USUAL, _LARGE = 4, 8, 16
_LARGE_FROM = 3.0
"""Gain of the usual size from which a step is mostly overhead, so that twice as many cost little more."""
_LONGEST = 0.02
"""Of the seconds of a search, for one pack: what runs as one cannot be stopped early."""
_MEASURING = 0.01
"""Of the seconds, for all measurements together."""
_MEASURE_SECONDS = 0.2
_FOLLOWERS = 0.5
"""Of all candidates, at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PackJob:
    """Train the candidates of several jobs to the first rung as one."""

    jobs: tuple[Job, ...]
    places: tuple[int, ...]
    """Of the rows without outcome; the others train along, so that numbers are the same after a kill."""

    @property
    def place(self) -> int:
        """Of the leader."""
        return self.jobs[0].place

    @property
    def wanted(self) -> tuple[Job, ...]:
        """The jobs whose outcomes it brings."""
        return tuple(job for job in self.jobs if job.place in self.places)


Work = Job | PackJob
"""What a worker is given."""


def members(row: Row, rows: Sequence[Row]) -> list[Row]:
    """Return the rows of a pack, its leader first."""
    return [other for other in rows if other.pack is not None and other.pack == row.pack]


def unfinished(rows: Sequence[Row]) -> Row | None:
    """Return the leader of a pack whose rows are not all in the table yet; they are the last ones."""
    if not rows or rows[-1].pack is None or rows[-1].outcome is not None or rows[-1].busy:
        return None
    leader, size = rows[-1].pack
    return rows[leader] if len(rows) < leader + size else None


def work(problem: Problem, given: Work, on_sign: OnSign | None = None, on_fit: OnFit | None = None) -> list[Outcome]:
    """Do a job, or several as one; return an outcome for each of its places."""
    if isinstance(given, Job):
        return [run_job(problem, given, on_sign, on_fit)]
    try:
        return _together(problem, given, on_sign)
    except (DeviceError, torch.AcceleratorError):
        raise
    except Exception as wrong:  # noqa: BLE001  what fails as one may do well alone, and says itself what is wrong
        log.warning("the pack of trial %d failed (%s: %s); its candidates are trained one after the other",
                    given.place, type(wrong).__name__, str(wrong).partition("\n")[0])  # fmt: skip
        return [run_job(problem, job, on_sign, on_fit) for job in given.wanted]


def _together(problem: Problem, given: PackJob, on_sign: OnSign | None) -> list[Outcome]:
    leader = given.jobs[0]
    refuse_size(leader.candidate, problem)
    training = PackTraining(
        [job.candidate for job in given.jobs], problem.data, problem.budget, seed=problem.seed, trainer=problem.trainer
    )
    training.start()
    in_time = training.advance(problem.rungs[0], deadline=leader.deadline, on_step=on_sign)
    outcomes = []
    for job, (own, loss, score) in zip(given.jobs, training.scored(), strict=True):
        if job.place not in given.places:
            continue
        outcome = Outcome(place=job.place, state="failed")
        try:
            own.note(loss, score)
        except FloatingPointError as wrong:
            outcomes.append(failure(outcome, wrong, own.pace.seconds))
            continue
        if in_time:
            pause(job, own)
        outcomes.append(standing(own, outcome, False if in_time else None))
    return outcomes


class Packs:
    """Says how many candidates a leader is trained with; remembers what was measured."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._gains: dict[tuple[str, int, int], tuple[float, float]] = {}
        """Of family, weights to the next power of two and rows of a step: speed-up, and seconds to the first rung."""
        self._measured, self._longest = 0.0, _MEASURE_SECONDS
        """Seconds of all measurements, and of the longest one."""

    def size(self, leader: Row, rows: Sequence[Row]) -> int:
        """Return how many candidates train with this new one, itself among them; 1: it trains alone."""
        settings = self.problem.settings
        wanted = settings.pack
        if settings.strategy != "engine" or wanted == 1 or (wanted is None and settings.seconds is None):
            return 1
        left, allowed = settings.n_trials - len(rows), largest(rows)
        if min(left, allowed) < (wanted or _SMALL) or not self._packable(leader):
            return 1
        size = wanted or self._paying(leader.candidate, left)
        return size if size <= allowed else 1

    def _packable(self, leader: Row) -> bool:
        problem, candidate = self.problem, leader.candidate
        if leader.origin in GIVEN or not any(free(name) for name in leader.answers):
            return False
        try:
            check_rows(problem.data)
            check_precision(problem.trainer)
            refuse_size(candidate, problem)
            with torch.device("meta"), torch.random.fork_rng(devices=[]):
                check_packable([candidate], build(candidate.architecture, problem.data.inputs, problem.data.outputs))
        except SpaceError:  # if it cannot be trained at all, its own trial says so
            return False
        return True

    def _paying(self, candidate: Candidate, left: int) -> int:
        """Return the size that pays by measurement, has that many trials left, and lasts no longer than a pack may."""
        found, seconds = self._gain(candidate), self.problem.settings.seconds
        if found is None or seconds is None:
            return 1
        gain, takes = found
        longest = min(left, _USUAL * _LONGEST * seconds / takes)
        sizes = (_LARGE, _USUAL, _SMALL) if gain >= _LARGE_FROM else (_USUAL, _SMALL)
        return next((size for size in sizes if size <= longest), 1)

    def _gain(self, candidate: Candidate) -> tuple[float, float] | None:
        """Return what packing gains and takes to the first rung; None where it does not pay or cannot be measured.

        What runs on a GPU has not ended when its step returns, so there nothing is measured.
        """
        problem, data = self.problem, self.problem.data
        if choose_device(problem.trainer)[0] != "cpu":
            return None
        rows_of_step = batch_of(candidate.optimizer, data.inputs, len(data.train.y))
        weights = weights_of(candidate, data.inputs, data.outputs)
        key = (str(candidate.architecture["kind"]), math.ceil(math.log2(weights)), rows_of_step)
        if key not in self._gains:
            assert problem.settings.seconds is not None
            if self._measured + self._longest > _MEASURING * problem.settings.seconds:
                return None
            began = time.monotonic()
            torch.set_num_threads(problem.trainer.threads)
            rows = data.placed("train", "cpu")
            gain = gain_of([candidate] * _USUAL, data, rows, _MEASURE_SECONDS)
            steps = problem.rungs[0] * problem.budget.epochs * max(1, round(len(rows) / rows_of_step))
            self._gains[key] = (gain.speed_up if gain.pays else 0.0, gain.packed * steps)
            took = time.monotonic() - began
            self._measured, self._longest = self._measured + took, max(self._longest, took)
            log.info("packs like %s of %d weights, %d rows a step: %.1f times the samples a second%s", key[0], weights,
                     rows_of_step, gain.speed_up, "" if gain.pays else ", which does not pay")  # fmt: skip
        speed_up, takes = self._gains[key]
        return (speed_up, takes) if speed_up else None


def largest(rows: Sequence[Row]) -> int:
    """Return how large a pack may be for followers to stay no more than their share of all candidates."""
    followers = sum(row.pack is not None and row.pack[0] != row.place for row in rows)
    return 1 + max(0, math.floor((_FOLLOWERS * (len(rows) + 1) - followers) / (1 - _FOLLOWERS)))


def pack_job(job: Job, row: Row, rows: Sequence[Row]) -> Work:
    """Return the job of a row's first rung as that of its whole pack, if it has one that is not known yet."""
    if row.pack is None or row.outcome is not None:
        return job
    of_pack = members(row, rows)
    if len(of_pack) == 1:
        return job
    jobs = tuple(replace(job, place=other.place, candidate=other.candidate) for other in of_pack)
    return PackJob(jobs=jobs, places=tuple(other.place for other in of_pack if other.outcome is None))
