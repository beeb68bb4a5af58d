"""Networks applied to packed rows."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def model_input(x: Tensor) -> Tensor:
    """Return float inputs of the network: bytes of images become [0, 1], tables stay as they are."""
    return x.float() / 255 if x.dtype == torch.uint8 else x


@dataclass(frozen=True, slots=True)
class ValidationScore:
    """How well logits tell the classes of some rows, once their temperature is right."""

    log_loss: float
    """Mean log loss after temperature scaling: how sure a network is costs nothing, how well it ranks does.

    Targets are softened by the rule of succession, see `softening`, so that rows without a mistake prove no certainty.
    """
    standard_error: float
    """Of that mean, over rows."""
    accuracy: float
    temperature: float


@torch.no_grad()
def score(network: nn.Module, x: Tensor, y: Tensor, batch: int = 2048) -> ValidationScore:
    """Score the network in evaluation mode on packed rows x and classes y (N,); its mode is restored."""
    mode = network.training
    network.eval()
    logits = torch.cat([network(model_input(part)).double() for part in torch.split(x, batch)])
    network.train(mode)
    temperature = best_temperature(logits, y)
    soft = softening(*logits.shape)
    losses = nn.functional.cross_entropy(logits / temperature, y, reduction="none", label_smoothing=soft)
    spread = losses.std() / len(y) ** 0.5 if len(y) > 1 else losses.new_zeros(())
    accuracy = (logits.argmax(1) == y).double().mean()
    return ValidationScore(float(losses.mean()), float(spread), float(accuracy), temperature)


def softening(rows: int, classes: int) -> float:
    """Return the label smoothing that leaves 1 / (rows + 2) for the other classes.

    After n right answers Laplace's rule of succession expects one mistake in n + 2. Without it, a network that makes
    no mistake on few rows gets a temperature near 0 and a score that no honest doubt could reach.
    """
    return classes / (max(1, classes - 1) * (rows + 2))


def best_temperature(logits: Tensor, y: Tensor, halvings: int = 30) -> float:
    """Return the T in [0.05, 20] with the lowest log loss of logits / T (Guo et al. 2017), by golden section.

    The loss is convex in 1 / T, so there is one minimum.
    """

    def loss(log_t: float) -> float:
        return float(nn.functional.cross_entropy(logits / math.exp(log_t), y, label_smoothing=soft))

    soft = softening(*logits.shape)
    if not bool(logits.isfinite().all()):
        return 1.0
    low, high, golden = math.log(0.05), math.log(20), (math.sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(halvings):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = loss(right)
    return math.exp((low + high) / 2)


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
