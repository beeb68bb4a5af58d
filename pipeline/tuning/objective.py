"""One trial: candidate from the chooser, the same `fit` as the final training, outcome as a record."""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from pipeline.core.contracts import Budget, Candidate, EpochRecord, Origin, TrialRecord
from pipeline.core.errors import DeviceError, SpaceError
from pipeline.core.settings import SearchSettings, TrainerSettings
from pipeline.models import build, parameter_count
from pipeline.models.cost import cost_of
from pipeline.training.budgets import budget_of
from pipeline.training.data import Data
from pipeline.training.fit import Watch, fit
from pipeline.tuning.keeper import Keeper


@dataclass(frozen=True)
class Problem:
    """What a study is about, but for its budget."""

    data: Data
    settings: SearchSettings
    trainer: TrainerSettings
    seed: int

    @property
    def budget(self) -> Budget:
        """What every trial may spend, if it is not stopped."""
        seconds = self.settings.seconds
        share = None if seconds is None else self.settings.trial_share * seconds
        return budget_of(self.settings.epochs, share, self.data.inputs, len(self.data.train.y))

    @property
    def rungs(self) -> tuple[float, ...]:
        """Shares of a trial's budget at which it is compared: …, 1/eta², 1/eta, 1; the first is at least one epoch."""
        shares, share = [1.0], 1.0
        while share / self.settings.eta * self.budget.epochs >= 1:
            share /= self.settings.eta
            shares.insert(0, share)
        return tuple(shares)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A candidate, its place in the order of trials, and who proposed it."""

    place: int
    origin: Origin
    candidate: Candidate


AtRung = Callable[[int, float, float], Sequence[float]]
"""Called with rung, score and seconds so far; notes them and returns the scores of earlier trials at that rung."""


def may_go_on(score: float, others: Sequence[float], eta: int) -> bool:
    """Successive halving without waiting (ASHA, Li et al. 2020): the best 1/eta of all that were here go on."""
    better = sum(other < score for other in others)
    return better < max(1, (len(others) + 1) // eta) or len(others) + 1 < eta


def run_trial(
    problem: Problem, proposal: Proposal, left: float | None, at_rung: AtRung, keeper: Keeper | None = None
) -> TrialRecord:
    """Train one candidate and return its record, also when it fails; its weights go to the keeper.

    Every trial plans with the same budget, so that rungs compare; one that is not done after `left` seconds stops.
    """
    start = time.monotonic()
    rungs = problem.rungs
    curve: list[tuple[float, float]] = []
    quality: list[float] = []

    def on_score(progress: float, record: EpochRecord) -> bool:
        rung = sum(r <= progress for r in rungs) - 1
        curve.append((round(progress, 4), record.val_score))
        quality.append(record.val_quality)
        others = at_rung(rung, record.val_score, time.monotonic() - start)
        return progress >= 1 or may_go_on(record.val_score, others, problem.settings.eta)

    done, failure, multiply_adds = None, None, None
    try:
        check_size(proposal.candidate, problem)
        multiply_adds = cost_of(
            proposal.candidate.architecture, problem.data.inputs, problem.data.outputs
        ).multiply_adds
        watch = Watch(on_score=on_score, rungs=rungs, deadline=left)
        done = fit(
            proposal.candidate, problem.data, problem.budget, seed=problem.seed, trainer=problem.trainer, watch=watch
        )
    except DeviceError:
        raise
    except Exception as wrong:  # noqa: BLE001  one bad candidate must not end a study; its traceback is kept
        failure = wrong
    record = TrialRecord(
        number=proposal.place,
        state="failed" if done is None else "pruned" if done.stopped else "complete",
        score=curve[-1][1] if done and curve else None,
        standard_error=done.standard_error if done and not done.stopped else None,
        quality=quality[-1] if done and quality else None,
        reserve_score=done.reserve_score if done else None,
        origin=proposal.origin,
        candidate=proposal.candidate,
        parameters=done.parameters if done else None,
        multiply_adds=multiply_adds,
        epochs=round(done.passes, 3) if done else 0.0,
        seconds=round(time.monotonic() - start, 3),
        curve=tuple(curve),
        error=f"{type(failure).__name__}: {str(failure).partition(chr(10))[0]}" if failure else None,
        traceback="".join(traceback.format_exception(failure)) if failure else None,
    )
    if done and keeper:
        keeper.keep(record, done.network)
    return record


def check_size(candidate: Candidate, problem: Problem) -> None:
    """Refuse networks with more weights than allowed, without making them."""
    with torch.device("meta"):
        size = parameter_count(build(candidate.architecture, problem.data.inputs, problem.data.outputs))
    if size > problem.settings.max_parameters:
        raise SpaceError(f"{size:,} weights are more than search.max_parameters {problem.settings.max_parameters:,}")
