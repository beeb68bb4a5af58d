"""A training that can pause after any step and go on, in this process or in another."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from pipeline.core.contracts import Budget, Candidate, EpochRecord, Policy
from pipeline.core.seeds import stream_seed
from pipeline.core.settings import TrainerSettings
from pipeline.core.strict import plain
from pipeline.models import build
from pipeline.models.network import ImageStem
from pipeline.training.averaging import Average
from pipeline.training.batches import Batch, Batches, parts_of
from pipeline.training.data import Data
from pipeline.training.device import choose_device
from pipeline.training.generators import generator_states, restore
from pipeline.training.groups import counted
from pipeline.training.heads import ValidationScore, head_for
from pipeline.training.machine import keep_memory, stepping
from pipeline.training.module import Learner
from pipeline.training.pace import Pace, learning_rate_factor
from pipeline.training.policy import laid_out, policy_for
from pipeline.training.predict import score
from pipeline.training.team import ALONE, Team

RUNG_HALF_LIFE = 0.04
"""Of the average of weights that is scored at a rung before the end, as a share of the budget."""


class Training:
    """Network, optimiser, order of rows and clock of one candidate.

    A loop of ours over the Lightning module: on networks whose step takes a millisecond Lightning's Trainer costs as
    much again. On the CPU the weights depend on the arguments alone, however often the training paused, as long as
    `budget.seconds` does not bind.
    """

    def __init__(
        self,
        candidate: Candidate,
        data: Data,
        budget: Budget,
        *,
        seed: int,
        trainer: TrainerSettings,
        rung_average: bool = False,
        policy: Policy | None = None,
    ) -> None:
        """`rung_average`: score an average of the weights before the end, where the candidate keeps none itself.

        At a high learning rate weights as they are rank candidates almost at random. `policy`: as measured or
        recorded; what `trainer` declares goes before it.
        """
        self.candidate, self.data, self.seed = candidate, data, seed
        self.device = choose_device(trainer)[0]
        self.policy = policy_for(trainer, data.inputs, policy)
        keep_memory()
        torch.set_num_threads(trainer.threads)
        torch.manual_seed(stream_seed(seed, "weights"))
        weight, self.adversary = counted(candidate.optimizer, data, self.device)
        self.head = head_for(data.task, data.inputs, data.targets, candidate.optimizer, data.train.y, weight)
        self.network = build(candidate.architecture, data.inputs, data.outputs)
        self._stems = [part for part in self.network.modules() if isinstance(part, ImageStem)]
        self.module = Learner(self.network, candidate.optimizer, self.head).to(self.device)
        if self.policy.compile:
            self.module.members = torch.compile(self.network.members)
        self._learner = self.module
        self._parts = self.policy.parts
        self.team = ALONE
        self.optimizer = self.module.configure_optimizers()
        for group in self.optimizer.param_groups:
            group["peak"] = group["lr"]
        rows = data.placed("train", self.device)
        rows = rows if weight is None or weight is data.train.weight else rows.weighed(weight)
        self.batches = Batches(rows, candidate.optimizer, seed, self.adversary)
        self.pace = Pace(budget, len(self.batches))
        self.records: list[EpochRecord] = []
        self.shares: list[float] = []
        """Of the budget, at each record."""
        self.start_seconds = 0.0
        self.last_score: ValidationScore | None = None
        """That of the last record, as long as no step followed."""
        self._rung_average = rung_average
        self._average: Average | None = None
        self._pass: Iterator[Batch] | None = None
        self._random: dict[str, Any] | None = None
        """States of torch's generators where this training left them."""

    def start(self) -> None:
        """Let the network look at the training rows; the clock counts it."""
        began = time.monotonic()
        with self.pace.running():
            self.network.start_from(self.batches.rows, stream_seed(self.seed, "start"))
        self.start_seconds = time.monotonic() - began
        self._average = self._new_average()

    def join(self, team: Team) -> None:
        """Let the processes of a team share the rows of each step; called once the training has started or resumed."""
        team.check_rows(len(self.batches.rows) // self.batches.steps)
        self.team = team
        self._learner = team.shared(self.module)

    def _new_average(self) -> Average | None:
        ema = self.candidate.optimizer.ema
        if not ema and not self._rung_average:
            return None
        return Average(self.network, ema or RUNG_HALF_LIFE, lazy=bool(ema))

    def advance(
        self,
        until: float = 1.0,
        *,
        deadline: float | None = None,
        whole_epoch: bool = False,
        on_step: Callable[[], None] | None = None,
    ) -> bool:
        """Take steps until the share `until` of the budget is spent; False if the moment `deadline` came first.

        `deadline` is of time.monotonic(); however late it is, the first step of a training is taken. `whole_epoch` ends
        with the present pass as well.
        """
        self.network.train()
        pace, settings = self.pace, self.candidate.optimizer
        if self._random is not None:
            restore(self._random)
        with pace.running(), stepping(self.device):
            while (progress := self.progress()) < until:
                if deadline is not None and pace.step and time.monotonic() >= deadline:
                    self._random = generator_states(self.device)
                    return False
                if on_step is not None:
                    on_step()
                batch = self._next_batch()
                factor = learning_rate_factor(progress, settings)
                for group in self.optimizer.param_groups:
                    group["lr"] = group["peak"] * factor
                self._learn_from(batch)
                self.module.configure_gradient_clipping(self.optimizer)
                self.optimizer.step()
                if self.adversary is not None:
                    self.adversary.step(self.team.averaged)
                pace.step += 1
                self.last_score = None
                if self._average is not None:
                    self._average.update(self.progress())
                if whole_epoch and pace.step % pace.steps_per_epoch == 0:
                    break
        self._random = generator_states(self.device)
        return True

    def progress(self) -> float:
        """Return the share of the budget spent, in a team by the first one's clock."""
        spent = self.pace.progress
        return spent if self.pace.budget.seconds is None else self.team.told(spent)

    def _learn_from(self, batch: Batch) -> None:
        """Leave the gradient of the step's mean loss in the weights, part by part."""
        parts = parts_of(batch, self.head, self._parts, self.team.rank, self.team.size)
        self.optimizer.zero_grad()
        for k, part in enumerate(parts):
            more = k + 1 < len(parts)
            with self.team.waiting(self._learner, more):  # an adversary's weights are in the graphs of all parts
                self.loss(part, k).backward(retain_graph=more and self.adversary is not None)  # type: ignore[no-untyped-call]

    def loss(self, batch: Batch, part: int = 0) -> Tensor:
        """Return the mean loss of a batch, or what the part with this number adds to it, as the policy computes it."""
        layout = laid_out(self._stems, self.policy.memory_format)
        with layout, torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.policy.precision == "bf16"):
            return self._learner.training_step(batch, part)

    def _next_batch(self) -> Batch:
        """Return the batch of this step. Dropout of an epoch depends on (seed, epoch) alone, and on who of a team."""
        place = self.pace.step % self.pace.steps_per_epoch
        if place == 0:
            who = (self.team.rank,) if self.team.rank else ()
            torch.manual_seed(stream_seed(self.seed, "dropout", self.pace.epoch, *who))
            self._pass = None
        if self._pass is None:
            self._pass = self.batches.of(self.pace.epoch, place)
        return next(self._pass)

    def score(self) -> ValidationScore:
        """Return how good the network is on the validation rows, before the end that of its averaged weights."""
        rows = self.data.placed("val", self.device)
        raw = self._average is None or (self.pace.progress >= 1 and not self.candidate.optimizer.ema)
        with nullcontext() if raw or self._average is None else self._average.shown(self.network):
            return score(self.network, rows, self.head)

    def record(self) -> EpochRecord:
        """Score and note where the training stands; FloatingPointError if it went out of bounds."""
        with self.pace.running():
            train_loss = self.team.mean(self.module.take_loss())
            found = self.team.told(self.score() if self.team.first else None)
        assert found is not None
        return self.note(train_loss, found)

    def note(self, train_loss: float, found: ValidationScore) -> EpochRecord:
        """Note these scores where the training stands; FloatingPointError if they are out of bounds."""
        if not (math.isfinite(train_loss) and math.isfinite(found.score)):
            raise FloatingPointError(f"loss is not finite after {self.pace.passes:.2f} epochs")
        settings = self.candidate.optimizer
        record = EpochRecord(
            epoch=self.pace.epoch,
            train_loss=train_loss,
            val_score=found.score,
            val_quality=found.quality,
            seconds=self.pace.seconds,
            lr=settings.lr * learning_rate_factor(self.pace.progress, settings),
        )
        self.last_score = found
        self.records.append(record)
        self.shares.append(self.pace.progress)
        return record

    def settle(self) -> None:
        """Give the network the weights that are kept: the average, where the candidate keeps one."""
        if self._average is not None and (self.candidate.optimizer.ema or self.pace.progress < 1):
            self._average.give(self.network)
        self._average = None
        self.team.give(self.network)

    def state(self) -> dict[str, Any]:
        """Return all that a later process needs to go on; it makes the training with the same policy."""
        return {
            "policy": plain(self.policy),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self._average.state() if self._average else None,
            "groups": None if self.adversary is None else self.adversary.q_G.detach().clone(),
            "random": self._random,
            "step": self.pace.step,
            "seconds": self.pace.seconds,
            "start_seconds": self.start_seconds,
            "shares": self.shares,
            "records": [[r.epoch, r.train_loss, r.val_score, r.val_quality, r.seconds, r.lr] for r in self.records],
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._average = self._new_average()
        if self._average is not None:
            self._average.resume(state["average"])
        if self.adversary is not None:
            self.adversary.set(state["groups"])
        self._random = state["random"]
        self.pace.resume(state["step"], state["seconds"])
        self.start_seconds = state["start_seconds"]
        self.shares = list(state["shares"])
        self.records = [
            EpochRecord(epoch=e, train_loss=t, val_score=v, val_quality=q, seconds=s, lr=lr)
            for e, t, v, q, s, lr in state["records"]
        ]
