"""Several trainings that go together for a while: as a pack to a point, from there each as a Training of its own."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch

from pipeline.core.contracts import Budget, Candidate
from pipeline.core.errors import SpaceError
from pipeline.core.seeds import stream_seed
from pipeline.core.settings import TrainerSettings
from pipeline.training.batches import Batches
from pipeline.training.data import Data
from pipeline.training.device import choose_device
from pipeline.training.generators import generator_states
from pipeline.training.heads import ValidationScore
from pipeline.training.pace import Pace
from pipeline.training.packing import Pack, check_rows
from pipeline.training.training import RUNG_HALF_LIFE, Training


class PackTraining:
    """K candidates of equal shapes on the way to their first scores.

    Where nothing is dropped, each stands afterwards where its Training with `rung_average` would, but for rounding.
    What is dropped is drawn for all together, so each sees other draws than alone.
    """

    def __init__(
        self, candidates: Sequence[Candidate], data: Data, budget: Budget, *, seed: int, trainer: TrainerSettings
    ) -> None:
        check_precision(trainer)
        check_rows(data)
        self.candidates, self.data, self.budget = candidates, data, budget
        self.seed, self.trainer = seed, trainer
        self.device, _ = choose_device(trainer)
        torch.set_num_threads(trainer.threads)
        self.batches = Batches(data.placed("train", self.device), candidates[0].optimizer, seed)
        of_all = None if budget.seconds is None else len(candidates) * budget.seconds
        self.pace = Pace(replace(budget, seconds=of_all), len(self.batches))
        self.start_seconds = 0.0

    def start(self) -> None:
        """Make the networks and let them look at the training rows; the clock counts it."""
        began = time.monotonic()
        with self.pace.running():
            self.pack = Pack(self.candidates, self.data, self.batches.rows, [self.seed] * len(self.candidates))
        self.loss_sum_K = self.pack.weights_KP.new_zeros(len(self.pack))
        self.start_seconds = time.monotonic() - began

    def advance(
        self, until: float, *, deadline: float | None = None, on_step: Callable[[], None] | None = None
    ) -> bool:
        """Take steps from the first one until the share `until` of the budget is spent; False if `deadline` came."""
        pace, each = self.pace, len(self.batches)
        with pace.running():
            while pace.progress < until:
                if deadline is not None and time.monotonic() >= deadline:
                    return False
                if on_step is not None:
                    on_step()
                if pace.step % each == 0:
                    torch.manual_seed(stream_seed(self.seed, "dropout", pace.epoch))
                    batches = self.batches.of(pace.epoch)
                self.loss_sum_K += self.pack.step(next(batches), pace.progress)
                pace.step += 1
                self.pack.follow(pace.progress, RUNG_HALF_LIFE)
        return True

    def scored(self) -> Iterator[tuple[Training, float, ValidationScore]]:
        """Give each candidate's training where it stands, its mean loss so far, and its score, which is not noted yet.

        Each has its share of the seconds, so they are fewer than it would have needed alone.
        """
        random = generator_states(self.device)
        rows = self.data.placed("val", self.device)
        with self.pace.running():
            losses = (self.loss_sum_K / max(1, self.pace.step)).tolist()
            if self.pace.progress < 1:
                with self.pack.averaged():
                    found = self.pack.scores(rows)
            else:
                found = self.pack.scores(rows)
        K = len(self.pack)
        for k, candidate in enumerate(self.pack.candidates):
            own = Training(candidate, self.data, self.budget, seed=self.seed, trainer=self.trainer, rung_average=True)
            own.resume(
                {
                    "network": self.pack.state_dict(k),
                    "optimizer": own.optimizer.state_dict() | {"state": self.pack.optimizer_state(k)},
                    "average": self.pack.average_state(k),
                    "random": random,
                    "step": self.pace.step,
                    "seconds": self.pace.seconds / K,
                    "start_seconds": self.start_seconds / K,
                    "shares": [],
                    "records": [],
                }
            )
            yield own, losses[k], found[k]


def check_precision(trainer: TrainerSettings) -> None:
    """Refuse to compute a pack in anything but fp32, compiled, or in parts of steps."""
    if choose_device(trainer)[1] != "fp32":
        raise SpaceError("conf.trainer.precision: a pack computes in fp32", fix="trainer.precision=fp32")
    if trainer.compile is True:
        raise SpaceError("conf.trainer.compile: a pack is not compiled", fix="trainer.compile=false")
    if trainer.accumulate > 1:
        raise SpaceError("conf.trainer.accumulate: a pack takes the rows of a step at once", fix="trainer.accumulate=1")
