"""How sure probabilities are: the temperature that logits are divided by, and the doubt that few rows leave."""

import math
from typing import Protocol

from torch import Tensor


def softening(rows: int, classes: int) -> float:
    """Return the label smoothing that leaves 1 / (rows + 2) for the other classes.

    After n right answers Laplace's rule of succession expects one mistake in n + 2. Without it, a network that makes
    no mistake on few rows gets a temperature near 0 and a score that no honest doubt could reach.
    """
    return classes / (max(1, classes - 1) * (rows + 2))


class LossAt(Protocol):
    """Losses of all rows at a temperature."""

    def __call__(self, t: float) -> Tensor:
        """Return (B,)."""


def best_temperature(losses: LossAt, halvings: int = 30) -> float:
    """Return the T in [0.05, 20] with the lowest log loss of logits / T (Guo et al. 2017), by golden section.

    The loss is convex in 1 / T, so there is one minimum.
    """

    def at(log_t: float) -> float:
        return float(losses(math.exp(log_t)).mean())

    low, high, golden = math.log(0.05), math.log(20), (math.sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = at(left), at(right)
    for _ in range(halvings):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = at(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = at(right)
    return math.exp((low + high) / 2)
