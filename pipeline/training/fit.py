"""One training: the same function for a trial and for the winner, with another budget."""

import logging
import time
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from pipeline.core.contracts import Budget, Candidate, EpochRecord
from pipeline.core.seeds import stream_seed
from pipeline.core.settings import TrainerSettings
from pipeline.models import Network, build, parameter_count
from pipeline.training.averaging import Average
from pipeline.training.batches import Batches
from pipeline.training.checkpoints import load_checkpoint
from pipeline.training.data import Data, Rows
from pipeline.training.device import choose_device, device_words
from pipeline.training.heads import ValidationScore, head_for
from pipeline.training.module import Learner
from pipeline.training.pace import OnScore, Pace
from pipeline.training.predict import score

log = logging.getLogger(__name__)


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
    precision: str
    stopped: bool
    """Whether `on_score` or the deadline ended it early."""


def go_on(progress: float, record: EpochRecord) -> bool:
    """Never stop early."""
    return True


@dataclass(frozen=True, slots=True)
class Watch:
    """Who follows a training."""

    on_score: OnScore = go_on
    rungs: Sequence[float] | None = None
    """Shares of the budget at which to score; None: after every epoch."""
    checkpoints: Path | None = None
    """Folder to save to after every epoch, and to resume from."""
    deadline: float | None = None
    """Seconds after which the training stops where it stands; the schedule does not know of it."""


def fit(
    candidate: Candidate,
    data: Data,
    budget: Budget,
    *,
    seed: int,
    trainer: TrainerSettings,
    watch: Watch | None = None,
) -> Fit:
    """Train `candidate` on the training split, score it on the validation split.

    Raises FloatingPointError when the loss is no longer finite. On the CPU the result depends on the arguments alone,
    whether or not the training was interrupted and resumed, as long as `budget.seconds` does not bind.
    """
    watch = watch or Watch()
    device, precision = choose_device(trainer)
    torch.set_num_threads(trainer.threads)
    torch.manual_seed(stream_seed(seed, "weights"))
    head = head_for(data.task, data.inputs, data.targets, candidate.optimizer, data.train.y)
    network = build(candidate.architecture, data.inputs, data.outputs)
    module = Learner(network, candidate.optimizer, head).to(device)
    rows = Rows(data.train.x, data.train.y, data.inputs, device)
    batches = Batches(rows, candidate.optimizer, seed)
    val = Rows(data.val.x, data.val.y, data.inputs, device)
    average = Average(network, candidate.optimizer.ema) if candidate.optimizer.ema else None

    def validate() -> ValidationScore:
        with average.shown(network) if average else nullcontext():
            return score(network, val, head)

    pace = Pace(batches, budget, validate, watch.on_score)
    pace.average = average
    pace.rungs, pace.checkpoints, pace.deadline = watch.rungs, watch.checkpoints, watch.deadline
    start_seconds = 0.0
    saved = load_checkpoint(watch.checkpoints) if watch.checkpoints else None
    if saved is not None:
        pace.resume(saved)
        network.load_state_dict(saved["network"])
        log.info("continuing after epoch %d", pace.epoch)
    else:
        began = time.monotonic()
        network.start_from(rows, stream_seed(seed, "start"))
        start_seconds = pace.before = time.monotonic() - began
        if average:
            average = pace.average = Average(network, candidate.optimizer.ema)
    # Where looking at the rows took all seconds, one step at rate 0 tells where the network stands.
    if pace.progress < 1 or not pace.records:
        _run(module, pace, _Restored(saved), device, precision)
    if average:
        average.give(network)
    final = score(network, val, head)
    spare = None
    if data.reserve is not None and not pace.stopped:
        spare = score(network, Rows(data.reserve.x, data.reserve.y, data.inputs, device), head)
    network = network.cpu().eval()
    network.temperature.fill_(final.temperature)
    return Fit(
        network=network,
        records=tuple(pace.records),
        standard_error=final.standard_error,
        reserve_score=spare.score if spare else None,
        parameters=parameter_count(network),
        passes=pace.passes,
        seconds=pace.seconds,
        start_seconds=start_seconds,
        device=device_words(device),
        precision=precision,
        stopped=pace.stopped,
    )


class _Restored(pl.Callback):
    """Give the optimiser its state back once Lightning has made it."""

    def __init__(self, saved: dict[str, Any] | None) -> None:
        self.saved = saved

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.saved is not None:
            trainer.optimizers[0].load_state_dict(self.saved["optimizer"])


def _run(module: Learner, pace: Pace, restored: _Restored, device: str, precision: str) -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"pytorch_lightning|lightning_fabric")
        trainer = pl.Trainer(
            accelerator="gpu" if device == "cuda" else "cpu",
            devices=1,
            max_epochs=pace.budget.epochs - pace.epoch,
            precision="bf16-mixed" if precision == "bf16" else "32-true",
            callbacks=[restored, pace],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        try:
            trainer.fit(module, train_dataloaders=pace.batches)
        except SystemExit as end:  # Lightning turns Ctrl-C into exit(1)
            if isinstance(end.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
