"""The Lightning module of every training: the loss of the task over a batch, and who steps."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from pipeline.core.contracts import Optimizer
from pipeline.models import Network
from pipeline.training.batches import Batch
from pipeline.training.heads import Head
from pipeline.training.optimizers import make_optimizer


class Learner(pl.LightningModule):
    """A network and how its weights are trained. The learning rate is set from outside, see training.py."""

    def __init__(self, network: Network, optimizer: Optimizer, head: Head) -> None:
        super().__init__()
        self.network = network
        self.settings = optimizer
        self.head = head
        self.loss_sum = torch.zeros(())
        self.loss_steps = 0
        self.members: Callable[[Tensor], Tensor] = network.members
        """Compiled, where the training's policy says so."""

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the mean loss of a batch, or what a part of a step adds to it; `batch_index` counts these parts.

        The sum stays on the device, nothing waits for it.
        """
        out = self.members(batch.x)
        loss = self._loss(out, batch.y, batch.weight, batch.part)
        if batch.share < 1:
            other = self._loss(out, batch.other, batch.other_weight, batch.other_part)
            loss = batch.share * loss + (1 - batch.share) * other
        self.loss_sum = self.loss_sum.to(loss.device) + loss.detach()
        self.loss_steps += batch_index == 0
        return loss

    def _loss(self, out: Tensor, y: Tensor, weight: Tensor | None, part: Tensor | float | None) -> Tensor:
        """Return the mean loss of outputs (B, M, K) over rows and members, each of which learns on its own."""
        if (members := out.shape[1]) > 1:
            y = y.repeat_interleave(members, dim=0)
            weight = None if weight is None else weight.repeat_interleave(members)
        loss = self.head.loss(out.flatten(0, 1), y, self.settings.label_smoothing, weight)
        return loss if part is None else part * loss

    def take_loss(self) -> float:
        """Return the mean loss since the last call."""
        mean = float(self.loss_sum) / max(1, self.loss_steps)
        self.loss_sum, self.loss_steps = torch.zeros(()), 0
        return mean

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the candidate's optimiser."""
        return make_optimizer(self.network, self.settings)

    def configure_gradient_clipping(  # called by the loop of training.py as Lightning's Trainer would
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Shorten the gradient of all weights but the lazy ones, whose rows are few and change from step to step."""
        if self.settings.clip:
            dense = [p for p in self.network.parameters() if p.grad is not None and not p.grad.is_sparse]
            torch.nn.utils.clip_grad_norm_(dense, self.settings.clip)
