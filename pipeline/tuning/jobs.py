"""A piece of a trial: train one candidate from where it paused to a rung, keep its state in files, say what came of it.

A job knows no study and no other trial; it runs in the search's process or in a worker, and fails alone.
"""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch

from pipeline.core.bounds import Amounts
from pipeline.core.contracts import Budget, Candidate, Number, Policy
from pipeline.core.errors import DeviceError, SpaceError
from pipeline.core.objectives import ObjectiveSettings
from pipeline.core.seeds import stream_seed
from pipeline.core.settings import SearchSettings, TrainerSettings
from pipeline.core.strict import plain, read
from pipeline.models import parameter_count
from pipeline.models.cost import cost_of
from pipeline.training.budgets import batch_of, budget_of, usual_batch
from pipeline.training.checkpoints import load_checkpoint, save_checkpoint
from pipeline.training.data import Data
from pipeline.training.fit import Fit, finished
from pipeline.training.folds import fold
from pipeline.training.machine import free_memory, out_of_memory
from pipeline.training.policy import policy_for
from pipeline.training.training import Training
from pipeline.tuning.constraints import amounts_of, gaps_of, measured, weights_of
from pipeline.tuning.paired import keep_losses, name_of

FIRST_RUNG = 0.012
"""Smallest share of a trial's budget at which it is compared."""
_AT_ONCE = 2.0
"""Seconds of the longest piece to which a trial goes on without a pause: others shall see its scores, and who is killed
repeats no more than that."""
_IN_TIME = 0.95
"""Share of what is left until the deadline that a schedule may use; the last step and the last scores need the rest."""


@dataclass(frozen=True)
class Problem:
    """What a study is about, and what one trial of it may spend."""

    data: Data
    settings: SearchSettings
    trainer: TrainerSettings
    seed: int
    trial_seconds: float | None = None
    """No trial may take longer; its schedule then ends in time. None: passes alone count."""
    reach: float = 1.0
    """Share of its passes that the default comes to in these seconds."""
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)

    @property
    def budget(self) -> Budget:
        """What every trial may spend, if it is not stopped."""
        return budget_of(self.settings.epochs, self.trial_seconds, self.data.inputs, len(self.data.train.y))

    def within(self, seconds: float | None, reach: float | None = None) -> "Problem":
        """Return the same problem with another limit for a trial."""
        return replace(self, trial_seconds=seconds, reach=self.reach if reach is None else reach)

    @property
    def rungs(self) -> tuple[float, ...]:
        """Shares of a trial's budget at which it is compared: …, 1/eta², 1/eta, 1."""
        rows, inputs = len(self.data.train.y), self.data.inputs
        steps = self.reach * self.budget.epochs * rows / usual_batch(inputs, rows)
        shares = [1.0]
        while (share := shares[0] / self.settings.eta) >= FIRST_RUNG and share * steps >= self.settings.first_steps:
            shares.insert(0, share)
        return tuple(shares)


@dataclass(frozen=True, kw_only=True, slots=True)
class Onward:
    """When a trial goes on to the next rung at once: pausing and going on takes as long as short pieces train."""

    below: tuple[float, ...]
    """By rung: the score that puts it among those which go on, as rows stood when its job was given."""
    until: float
    """Of time.monotonic(): nobody goes on so whose next piece would end later."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Train the candidate of a place until a rung."""

    place: int
    candidate: Candidate
    rung: int
    """Index into the rungs at which to pause; the last ends the trial."""
    repeat: int = 0
    """With a fresh seed where above 0; below 0, trained without fold -repeat of the training rows and scored on it."""
    onward: Onward | None = None
    """When it may go beyond that rung."""
    deadline: float | None = None
    """Of time.monotonic(), the same in all processes of a machine."""
    policy: Policy | None = None
    """As the row's record says; None: as is usual."""
    parts: int = 1
    """The rows of a step in so many parts at least: memory ran out before."""
    folder: Path
    """Where paused trials and the weights of finished ones lie."""

    @property
    def places(self) -> tuple[int, ...]:
        """Of the rows whose outcomes it brings."""
        return (self.place,)

    @property
    def wanted(self) -> "tuple[Job, ...]":
        """The jobs whose outcomes it brings."""
        return (self,)

    @property
    def name(self) -> str:
        """Of its files."""
        return name_of(self.place, self.repeat)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a job: the whole trial so far, not the last piece alone."""

    place: int
    repeat: int = 0
    state: Literal["paused", "complete", "stopped", "failed"]
    """stopped: the deadline came; what was reached stands in the curve."""
    curve: tuple[tuple[float, float], ...] = ()
    """(share of the budget, score) at each rung."""
    quality: float | None = None
    standard_error: float | None = None
    reserve_score: float | None = None
    amounts: Amounts = field(default_factory=dict)
    """(amount, its bound) of what was measured on validation rows at the end."""
    objectives: Mapping[str, float] = field(default_factory=dict)
    """What is minimised beside the score and was measured there as well."""
    gaps: Mapping[str, Number] = field(default_factory=dict)
    """As in TrialRecord."""
    parameters: int | None = None
    multiply_adds: int | None = None
    """Counted when a trial came to its end: counting takes as long as some first rungs."""
    passes: float = 0.0
    seconds: float = 0.0
    """Of training and scoring, over all pieces."""
    parts: int = 1
    """As in Policy: twice as many as were asked for where memory ran out."""
    ended: float | None = None
    """Wall seconds of the search when it was noted."""
    error: str | None = None
    traceback: str | None = None


OnSign = Callable[[], None]
"""Called now and then while a job runs: a sign of life."""
OnFit = Callable[[Job, Fit], None]
"""Called with the network of a trial that came to its end."""


def run_job(problem: Problem, job: Job, on_sign: OnSign | None = None, on_fit: OnFit | None = None) -> Outcome:
    """Train and return the outcome, also when the candidate fails; a device that is not there is nobody's candidate.

    Where memory runs out it goes on once with half as many rows of a step at once; the step itself stays the same.
    """
    began = time.monotonic()
    training: Training | None = None
    outcome = Outcome(place=job.place, repeat=job.repeat, state="failed", parts=job.parts)
    try:
        if not (job.folder / job.name).exists():
            refuse_size(job.candidate, problem)
        training = _continued(problem, job)
        done = _climb(problem, job, training, on_sign)
        outcome = standing(training, outcome, done, None if job.onward else problem.rungs[job.rung])
        if done:
            fit = finished(training, stopped=False)
            if fit.losses is not None:
                keep_losses(job.folder, job.place, job.repeat, fit.losses)
            if job.repeat < 0:
                return replace(outcome, standard_error=fit.standard_error)
            cost = cost_of(job.candidate.architecture, problem.data.inputs, problem.data.outputs)
            amounts = amounts_of(fit.network, problem.data, problem.settings.constraints, training.device)
            objectives = measured(fit.network, problem.data, problem.objective.others, training.device)
            gaps = gaps_of(fit.network, problem.data, training.device)
            outcome = replace(outcome, gaps=gaps, standard_error=fit.standard_error, reserve_score=fit.reserve_score,
                              multiply_adds=cost.multiply_adds, amounts=amounts, objectives=objectives)  # fmt: skip
            if on_fit is not None:
                on_fit(job, fit)
    except (DeviceError, torch.AcceleratorError):
        raise
    except Exception as wrong:  # noqa: BLE001  one bad candidate must not end a study; its traceback is kept
        smaller = _in_parts(problem, job, training) if out_of_memory(wrong) else None
        if smaller is None:
            return failure(outcome, wrong, training.pace.seconds if training else time.monotonic() - began)
    else:
        return outcome
    del training  # with the error, which held it as well, all that it took
    free_memory()
    return run_job(problem, smaller, on_sign, on_fit)


def _in_parts(problem: Problem, job: Job, training: Training | None) -> Job | None:
    """Return a job that needs less memory at once; None where it was tried, or a step has no rows to part."""
    parts = 2 * training.policy.parts if training is not None else 2
    rows = batch_of(job.candidate.optimizer, problem.data.inputs, len(problem.data.train.y))
    return replace(job, parts=parts) if job.parts == 1 and parts <= rows else None


def failure(outcome: Outcome, wrong: Exception, seconds: float) -> Outcome:
    """Return the outcome of a trial that went wrong."""
    return replace(outcome, state="failed", seconds=round(seconds, 3),
                   error=f"{type(wrong).__name__}: {str(wrong).partition(chr(10))[0]}",
                   traceback="".join(traceback.format_exception(wrong)))  # fmt: skip


def _continued(problem: Problem, job: Job) -> Training:
    """Return the training where it paused, or before its first step."""
    seed = problem.seed if job.repeat == 0 else stream_seed(problem.seed, "repeat", job.repeat)
    data = problem.data if job.repeat >= 0 else fold(problem.data, -job.repeat, problem.seed)
    saved = load_checkpoint(job.folder / job.name)
    if saved is not None and saved.get("candidate") != plain(job.candidate):
        saved = None  # of a candidate that a killed search had at this place and did not come to store
    policy = job.policy if saved is None else read(Policy, saved["policy"], "checkpoint")
    policy = policy_for(problem.trainer, data.inputs, policy)
    policy = replace(policy, parts=max(policy.parts, job.parts))
    training = Training(job.candidate, data, problem.budget, seed=seed, trainer=problem.trainer,
                        rung_average=True, policy=policy)  # fmt: skip
    if saved is not None:
        training.resume(saved)
        return training
    budget = problem.budget
    if job.deadline is not None and budget.seconds is not None and job.rung == len(problem.rungs) - 1:
        left = job.deadline - time.monotonic()  # a training that goes through ends its schedule in time
        training.pace.budget = replace(budget, seconds=max(1e-3, min(budget.seconds, _IN_TIME * left)))
    training.start()
    return training


def _climb(problem: Problem, job: Job, training: Training, on_sign: OnSign | None) -> bool | None:
    """Train to the rung of the job and save it there; True at the end, False at a pause, None at the deadline."""
    rungs = problem.rungs
    while training.pace.progress < 1:
        rung = sum(share <= training.pace.progress for share in rungs)
        if rung > job.rung and not _at_once(job, training, rungs, rung):
            pause(job, training)
            return False
        if not training.advance(rungs[rung], deadline=job.deadline, on_step=on_sign):
            training.record()
            pause(job, training)  # the budget may be raised
            return None
        training.record()
    return True


def _at_once(job: Job, training: Training, rungs: Sequence[float], rung: int) -> bool:
    """Say whether a trial that just came to the rung before `rung` goes on to it without a pause."""
    if job.onward is None or training.records[-1].val_score >= job.onward.below[rung - 1]:
        return False
    piece = training.pace.seconds * (rungs[rung] / rungs[rung - 1] - 1)
    return piece <= _AT_ONCE and time.monotonic() + piece <= job.onward.until


def pause(job: Job, training: Training) -> None:
    """Save a training, so that a later job of its trial goes on from here."""
    folder = job.folder / job.name
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(folder, training.state() | {"candidate": plain(job.candidate)}, spare=False)


def standing(training: Training, outcome: Outcome, done: bool | None, until: float | None = None) -> Outcome:
    """Return the outcome of a training as it stands: at its end, at a pause (False) or at the deadline (None).

    `until`: share of the budget at which it was to pause. Files of a killed search may be further than what it stored;
    what they say beyond is told when it is asked for, or else it would decide what it did not decide before the kill.
    """
    points = list(zip(training.shares, training.records, strict=True))
    if done is False and until is not None:
        points = points[: 1 + next((i for i, (share, _) in enumerate(points) if share >= until), len(points))]
    return replace(
        outcome,
        state="complete" if done else "stopped" if done is None else "paused",
        curve=tuple((round(share, 4), record.val_score) for share, record in points),
        quality=points[-1][1].val_quality,
        parameters=parameter_count(training.network),
        passes=round(training.pace.passes, 3),
        seconds=round(training.pace.seconds, 3),
        parts=training.policy.parts,
    )


def refuse_size(candidate: Candidate, problem: Problem) -> None:
    """Refuse networks with more weights than allowed, without making them."""
    size = weights_of(candidate, problem.data.inputs, problem.data.outputs)
    if size > problem.settings.max_parameters:
        raise SpaceError(f"{size:,} weights are more than search.max_parameters {problem.settings.max_parameters:,}")
