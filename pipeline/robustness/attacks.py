"""Attacks on images by gradients: FGSM (Goodfellow et al. 2015) and PGD (Madry et al. 2018), by Captum.

Epsilons are in units of raw pixels of [0, 1]: the network normalises inside its forward pass. What is driven up is the
margin of the best wrong class (Carlini and Wagner 2017): the gradient of cross-entropy vanishes where a network is sure
of itself, and an attack that finds no gradient would call that robust.

Legend: B rows, C channels, H height, W width, K classes.
"""

import time
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from captum.robust import FGSM, PGD
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.core.contracts import AttackScores, Number
from pipeline.metrics.intervals import proportion

Attack = Literal["fgsm", "pgd"]
ATTACKS: tuple[Attack, ...] = ("fgsm", "pgd")
EPSILONS = tuple(k / 255 for k in (1, 2, 4, 8))
_STEPS = 10
_AT_ONCE = 32
"""Rows attacked together; whether there is time for more is asked after each lot."""

WORDS = {
    "fgsm": "one step of epsilon along the sign of the gradient",
    "pgd": f"{_STEPS} steps of a quarter of epsilon along that sign, from the row itself, kept within epsilon of it",
}


def margin(out_BK: Tensor, y_B: Tensor) -> Tensor:
    """Return the largest logit of a wrong class minus that of the right one, (B,)."""
    right_B1 = out_BK.gather(1, y_B[:, None])
    wrong_BK = out_BK.scatter(1, y_B[:, None], -torch.inf)
    return wrong_BK.amax(1) - right_B1[:, 0]


def attacked(network: nn.Module, x_BCHW: Tensor, y_B: Tensor, attack: Attack, epsilon: float) -> Tensor:
    """Return images of [0, 1] changed by at most epsilon towards a wrong class."""
    if attack == "fgsm":
        one = FGSM(network, margin, lower_bound=0.0, upper_bound=1.0)
        one.zero_thresh = 0.0  # a small gradient is one too
        once: Tensor = one.perturb(x_BCHW, epsilon, y_B)
        return once.detach()
    many = PGD(network, margin, lower_bound=0.0, upper_bound=1.0)
    many.fgsm.zero_thresh = 0.0
    found: Tensor = many.perturb(x_BCHW, epsilon, 2.5 * epsilon / _STEPS, _STEPS, y_B)
    return found.detach()


def attack_scores(
    network: nn.Module,
    x: NDArray[np.uint8],
    y: NDArray[np.int64],
    attacks: Sequence[Attack],
    seconds: float,
    level: float,
) -> tuple[Number, tuple[AttackScores, ...]]:
    """Return the accuracy of images (B, C, H, W) before attacks and after each, on as many rows as the seconds allow.

    Balls of a larger epsilon hold those of a smaller one, so a row that a smaller change turns is lost for good.
    """
    network.eval()
    start, done = time.monotonic(), 0
    right = 0
    kept = {attack: np.zeros(len(EPSILONS), np.int64) for attack in attacks}
    for first in range(0, len(x), _AT_ONCE):
        if done and (time.monotonic() - start) * (1 + _AT_ONCE / done) > seconds:
            break
        x_BCHW = torch.tensor(x[first : first + _AT_ONCE]).float() / 255
        y_B = torch.tensor(y[first : first + _AT_ONCE])
        clean_B = _right(network, x_BCHW, y_B)
        right, done = right + int(clean_B.sum()), done + len(y_B)
        for attack in attacks:
            survived_B = clean_B
            for i, epsilon in enumerate(EPSILONS):
                survived_B = survived_B & _right(network, attacked(network, x_BCHW, y_B, attack, epsilon), y_B)
                kept[attack][i] += int(survived_B.sum())
    found = tuple(
        AttackScores(
            attack=attack,
            words=WORDS[attack],
            epsilons=EPSILONS,
            accuracy=tuple(proportion(int(k), done, level) for k in kept[attack]),
        )
        for attack in attacks
    )
    return proportion(right, done, level), found


@torch.no_grad()
def _right(network: nn.Module, x_BCHW: Tensor, y_B: Tensor) -> Tensor:
    found: Tensor = network(x_BCHW).argmax(1) == y_B
    return found
