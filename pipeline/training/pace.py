"""What happens around the steps of a training: schedule, budget, scores, checkpoints."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from pipeline.core.contracts import Budget, EpochRecord, Optimizer
from pipeline.core.seeds import stream_seed
from pipeline.training.averaging import Average
from pipeline.training.batches import Batches
from pipeline.training.checkpoints import save_checkpoint
from pipeline.training.heads import ValidationScore
from pipeline.training.module import Learner

OnScore = Callable[[float, EpochRecord], bool]
"""Called with the share of the budget spent and the scores there; False stops the training."""

_TRUST_CLOCK_FROM = 0.1
"""Share of `seconds` after which elapsed time may drive the schedule: the first steps are slow and prove nothing."""


def learning_rate_factor(progress: float, chosen: Optimizer) -> float:
    """Return the share of the peak: a linear warm-up, then half a cosine, a line or 1 and 1 - sqrt, to zero.

    Warm-up, stable phase and cool-down by 1 - sqrt: Hägele et al. 2024, "Scaling Laws and Compute-Optimal Training
    Beyond Fixed Training Durations".
    """
    if progress < chosen.warm_up:
        return max(progress, 1e-3) / chosen.warm_up
    left = min(1.0, (1 - progress) / (1 - chosen.warm_up))
    if chosen.schedule == "cosine":
        return 0.5 * (1 - math.cos(math.pi * left))
    if chosen.schedule == "linear":
        return left
    falling = progress - (1 - chosen.cool_down)
    return 1 - math.sqrt(min(1.0, falling / chosen.cool_down)) if falling > 0 else 1.0


class Pace(pl.Callback):
    """Progress is the larger of steps done / planned and seconds spent / granted, so a budget always ends in order."""

    def __init__(
        self, batches: Batches, budget: Budget, score: Callable[[], ValidationScore], on_score: OnScore
    ) -> None:
        self.batches, self.budget = batches, budget
        self.score, self.on_score = score, on_score
        self.average: Average | None = None
        self.rungs: Sequence[float] | None = None
        self.checkpoints: Path | None = None
        self.deadline: float | None = None
        self.epoch = 0
        self.step = 0
        self.before = 0.0
        """Seconds spent before the first step of this process: by those before it, and on looking at the rows."""
        self.records: list[EpochRecord] = []
        self.stopped = False
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Training seconds so far, over restarts."""
        return self.before + time.monotonic() - self._start

    @property
    def progress(self) -> float:
        """Share of the budget spent."""
        done = self.step / (self.budget.epochs * len(self.batches))
        spent = self.seconds / self.budget.seconds if self.budget.seconds else 0.0
        return min(1.0, max(done, spent if spent > _TRUST_CLOCK_FROM else 0.0))

    @property
    def passes(self) -> float:
        """Passes over the training split so far."""
        return self.step / len(self.batches)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._start = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Dropout of this epoch depends on (seed, epoch) alone."""
        torch.manual_seed(stream_seed(self.batches.seed, "dropout", self.epoch))

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Set the learning rate of this step."""
        optimizer, factor = trainer.optimizers[0], learning_rate_factor(self.progress, self.batches.optimizer)
        for group in optimizer.param_groups:
            group.setdefault("peak", group["lr"])
            group["lr"] = group["peak"] * factor

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the step; score at a rung; stop when the budget is spent."""
        self.step += 1
        if self.step % len(self.batches) == 0:
            self.epoch = self.batches.epoch = self.step // len(self.batches)
        progress = self.progress
        if self.average is not None:
            assert isinstance(pl_module, Learner)
            self.average.update(pl_module.network, progress)
        if self.rungs and progress >= self.rungs[0]:
            self.rungs = [r for r in self.rungs if r > progress]
            self._record(trainer, pl_module, progress)
        if progress >= 1:
            trainer.should_stop = True
        elif self.deadline is not None and self.seconds >= self.deadline:
            self.stopped = trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score and save, when every epoch counts."""
        if self.rungs is None:
            self._record(trainer, pl_module, self.progress)
            if self.checkpoints and self.step % len(self.batches) == 0:
                save_checkpoint(self.checkpoints, self.state(trainer, pl_module))

    def _record(self, trainer: pl.Trainer, module: pl.LightningModule, progress: float) -> None:
        assert isinstance(module, Learner)
        train_loss = module.take_loss()
        found = self.score()
        if not (math.isfinite(train_loss) and math.isfinite(found.score)):
            raise FloatingPointError(f"loss is not finite after {self.passes:.2f} epochs")
        record = EpochRecord(
            epoch=self.epoch,
            train_loss=train_loss,
            val_score=found.score,
            val_quality=found.quality,
            seconds=self.seconds,
        )
        self.records.append(record)
        if not self.on_score(progress, record):
            self.stopped = trainer.should_stop = True

    def state(self, trainer: pl.Trainer, module: pl.LightningModule) -> dict[str, Any]:
        """Return all that a later process needs to go on."""
        assert isinstance(module, Learner)
        return {
            "network": module.network.state_dict(),
            "optimizer": trainer.optimizers[0].state_dict(),
            "average": self.average.state() if self.average else None,
            "step": self.step,
            "seconds": self.seconds,
            "records": [
                [r.epoch, r.train_loss, r.val_score, r.val_quality, r.seconds] for r in self.records
            ],
        }  # fmt: skip

    def resume(self, state: dict[str, Any]) -> None:
        """Go on where `state` was saved; weights and optimiser are restored by fit."""
        self.step, self.before = state["step"], state["seconds"]
        if self.average is not None:
            self.average.resume(state["average"])
        self.epoch = self.batches.epoch = self.step // len(self.batches)
        self.records = [
            EpochRecord(epoch=e, train_loss=t, val_score=v, val_quality=a, seconds=s)
            for e, t, v, a, s in state["records"]
        ]
