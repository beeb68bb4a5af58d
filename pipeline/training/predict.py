"""Networks applied to packed rows."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.models import Network
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


def predict(network: nn.Module, rows: Rows, head: Head, batch: int = 1024) -> NDArray[np.float64]:
    """Return probabilities or values (N, K) of packed rows that lie where the network is."""
    return np.asarray(head.predict(outputs(network, rows, batch)))


def outputs(network: nn.Module, rows: Rows, batch: int = 1024) -> Tensor:
    """Return logits or values in training deviations (N, K) of packed rows that lie where the network is."""
    return outputs_of(network, (x for x, _ in rows.parts(batch)))


@torch.no_grad()
def outputs_of(network: nn.Module, parts: Iterable[Tensor]) -> Tensor:
    """Return the same of rows that come in parts, packed as the network reads them; on the CPU."""
    network.eval()
    return torch.cat([network(model_input(x)).double().cpu() for x in parts])


@torch.no_grad()
def features_of(network: Network, x: NDArray[Any], batch: int = 1024) -> NDArray[np.float64]:
    """Return what the head of a network on the CPU reads of packed rows (N, D); of several members their mean."""
    network.eval()
    found = []
    for start in range(0, len(x), batch):
        out = network.trunk(network.stem(model_input(torch.tensor(x[start : start + batch]))))
        found.append(out if out.ndim == 2 else out.mean(1))
    return torch.cat(found).double().numpy()


def targets_of(rows: Rows, batch: int = 4096) -> NDArray[Any]:
    """Return what is to be predicted, (N,) or (N, K)."""
    return np.concatenate([y.cpu().numpy() for _, y in rows.parts(batch)])
