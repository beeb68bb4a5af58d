"""The Lightning module of every training: the loss of the task, AdamW or Nesterov momentum."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from pipeline.core.contracts import Optimizer
from pipeline.training.heads import Head


class Learner(pl.LightningModule):
    """A network and how its weights are trained. The learning rate is set from outside, see pace.py."""

    def __init__(self, network: nn.Module, optimizer: Optimizer, head: Head) -> None:
        super().__init__()
        self.network = network
        self.settings = optimizer
        self.head = head
        self.loss_sum = torch.zeros(())
        self.loss_steps = 0

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Return the mean loss of a batch; the sum stays on the device, nothing waits for it."""
        x, y = batch
        loss = self.head.loss(self.network(x), y, self.settings.label_smoothing)
        self.loss_sum = self.loss_sum.to(loss.device) + loss.detach()
        self.loss_steps += 1
        return loss

    def take_loss(self) -> float:
        """Return the mean loss since the last call."""
        mean = float(self.loss_sum) / max(1, self.loss_steps)
        self.loss_sum, self.loss_steps = torch.zeros(()), 0
        return mean

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Decay matrices and filters; norms, biases and other vectors are left alone."""
        chosen = self.settings
        weights = [p for p in self.network.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [p for p in weights if p.ndim >= 2], "weight_decay": chosen.weight_decay},
            {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
        ]
        if chosen.kind == "sgd":
            return torch.optim.SGD(groups, lr=chosen.lr, momentum=0.9, nesterov=True)
        return torch.optim.AdamW(groups, lr=chosen.lr, fused=True)
