"""Networks applied to packed rows."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.training.data import Rows
from pipeline.training.heads import Head, ValidationScore


def model_input(x: Tensor) -> Tensor:
    """Return float inputs of the network: bytes of images become [0, 1], tables stay as they are."""
    return x.float() / 255 if x.dtype == torch.uint8 else x


@torch.no_grad()
def score(network: nn.Module, rows: Rows, head: Head, batch: int = 2048) -> ValidationScore:
    """Score the network in evaluation mode on packed rows; its mode is restored."""
    mode = network.training
    network.eval()
    found = [(network(model_input(x)).double(), y) for x, y in rows.parts(batch)]
    network.train(mode)
    return head.score(torch.cat([out for out, _ in found]), torch.cat([y for _, y in found]))


@torch.no_grad()
def predict(network: nn.Module, rows: Rows, head: Head, batch: int = 1024) -> NDArray[np.float64]:
    """Return probabilities or values (N, K) of packed rows that lie where the network is."""
    network.eval()
    parts = [head.predict(network(model_input(x)).double()).cpu().numpy() for x, _ in rows.parts(batch)]
    return np.concatenate(parts)


def targets_of(rows: Rows, batch: int = 4096) -> NDArray[Any]:
    """Return what is to be predicted, (N,) or (N, K)."""
    return np.concatenate([y.cpu().numpy() for _, y in rows.parts(batch)])
