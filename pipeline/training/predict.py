"""Networks applied to packed rows."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def model_input(x: Tensor) -> Tensor:
    """Return float inputs of the network: bytes of images become [0, 1], tables stay as they are."""
    return x.float() / 255 if x.dtype == torch.uint8 else x


@torch.no_grad()
def score(network: nn.Module, x: Tensor, y: Tensor, batch: int = 2048) -> tuple[float, float]:
    """Return (log loss, accuracy) of the network in evaluation mode; its mode is restored."""
    mode = network.training
    network.eval()
    logits = torch.cat([network(model_input(part)).double() for part in torch.split(x, batch)])
    network.train(mode)
    log_loss = nn.functional.cross_entropy(logits, y)
    return float(log_loss), float((logits.argmax(1) == y).double().mean())


@torch.no_grad()
def predict_probabilities(network: nn.Module, x: NDArray[Any], batch: int = 1024) -> NDArray[np.float64]:
    """Return class probabilities (N, K) for packed rows, on the device the network is on."""
    device = next(network.parameters()).device
    network.eval()
    parts = [
        network(model_input(torch.tensor(x[i : i + batch], device=device))).double().softmax(1).cpu().numpy()
        for i in range(0, len(x), batch)
    ]
    return np.concatenate(parts)
