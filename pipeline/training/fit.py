"""One training from start to end: what the final training, and whoever wants a network at once, call."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import Budget, Candidate, EpochRecord, Policy
from pipeline.core.settings import TrainerSettings
from pipeline.core.strict import read
from pipeline.models import Network, parameter_count
from pipeline.training.checkpoints import load_checkpoint, save_checkpoint
from pipeline.training.data import Data
from pipeline.training.device import device_words
from pipeline.training.predict import score
from pipeline.training.team import ALONE, Team
from pipeline.training.training import Training

log = logging.getLogger(__name__)

OnScore = Callable[[float, EpochRecord], bool]
"""Called with the share of the budget spent and the scores there; False stops the training."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A trained network (on the CPU, in evaluation mode, its temperature set on validation rows) and its history."""

    network: Network
    records: tuple[EpochRecord, ...]
    standard_error: float
    """Of the validation score, over rows."""
    reserve_score: float | None
    """On the reserve, where there is one and the training came to its end."""
    parameters: int
    passes: float
    seconds: float
    start_seconds: float
    """Of these, before the first step: what parts of the network learned from the training rows."""
    device: str
    policy: Policy
    stopped: bool
    """Whether `on_score` or the deadline ended it early."""
    losses: NDArray[np.float32] | None = None
    """Of each validation row, and after these of each row of the reserve where there is one."""
    unseen: Network | None = None
    """The network before it was trained once more with the validation rows; None: it never was."""


def go_on(progress: float, record: EpochRecord) -> bool:
    """Never stop early."""
    return True


@dataclass(frozen=True, slots=True)
class Watch:
    """Who follows a training, and who takes part in it."""

    on_score: OnScore = go_on
    rungs: Sequence[float] | None = None
    """Shares of the budget at which to score; None: after every epoch."""
    checkpoints: Path | None = None
    """Folder to save to after every epoch, and to resume from."""
    deadline: float | None = None
    """Seconds after which the training stops where it stands; the schedule does not know of it."""
    team: Team = ALONE
    """Processes that call `fit` alike and share the rows of each step; the first one of them saves."""


def fit(
    candidate: Candidate,
    data: Data,
    budget: Budget,
    *,
    seed: int,
    trainer: TrainerSettings,
    watch: Watch | None = None,
    policy: Policy | None = None,
) -> Fit:
    """Train `candidate` on the training split, score it on the validation split.

    Raises FloatingPointError when the loss is no longer finite. On the CPU the result depends on the arguments alone,
    whether or not the training was interrupted and resumed, as long as `budget.seconds` does not bind. `policy`: of the
    candidate's trial; a training that goes on keeps its own.
    """
    watch = watch or Watch()
    team = watch.team
    saved = team.told(load_checkpoint(watch.checkpoints) if watch.checkpoints and team.first else None)
    if saved is not None:
        policy = read(Policy, saved["policy"], "checkpoint")
    training = Training(candidate, data, budget, seed=seed, trainer=trainer, policy=policy)
    if saved is not None:
        training.resume(saved)
        log.info("continuing after epoch %d", training.pace.epoch)
    else:
        training.start()
    training.join(team)
    deadline = None if watch.deadline is None else time.monotonic() + watch.deadline - training.pace.seconds
    return finished(training, stopped=not _go(training, watch, deadline))


def _go(training: Training, watch: Watch, deadline: float | None) -> bool:
    """Train to the end, or until somebody ends it early: False."""
    while (progress := training.progress()) < 1:
        ahead = [rung for rung in watch.rungs or () if rung > progress]
        until = ahead[0] if ahead else 1.0
        if not training.advance(until, deadline=deadline, whole_epoch=watch.rungs is None):
            return False
        record = training.record()
        if not watch.on_score(training.pace.progress, record):
            return False
        if watch.checkpoints and watch.team.first and training.pace.step % training.pace.steps_per_epoch == 0:
            save_checkpoint(watch.checkpoints, training.state())
    return True


def finished(training: Training, *, stopped: bool) -> Fit:
    """Return the network as it is kept, with its scores; the training is over."""
    data, device = training.data, training.device
    training.settle()
    network = training.network
    final = training.last_score or score(network, data.placed("val", device), training.head)
    spare = None
    if data.reserve is not None and not stopped:
        spare = score(network, data.placed("reserve", device), training.head)
    network = network.cpu().eval()
    network.temperature.fill_(final.temperature)
    return Fit(
        network=network,
        records=tuple(training.records),
        standard_error=final.standard_error,
        reserve_score=spare.score if spare else None,
        parameters=parameter_count(network),
        passes=training.pace.passes,
        seconds=training.pace.seconds,
        start_seconds=training.start_seconds,
        device=device_words(device),
        policy=training.policy,
        stopped=stopped,
        losses=final.losses if spare is None else _joined(final.losses, spare.losses),
    )


def _joined(first: NDArray[np.float32] | None, second: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    return None if first is None or second is None else np.concatenate([first, second])
