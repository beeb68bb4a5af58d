"""Attacks against linear networks, for which the worst change within epsilon has a closed form."""

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.core.contracts import ImageInputs
from pipeline.models.network import ImageStem
from pipeline.robustness.attacks import ATTACKS, EPSILONS, Attack, attack_scores, attacked, margin

RNG = np.random.default_rng(0)
INPUTS = ImageInputs(channels=1, height=3, width=4, mean=(0.4,), std=(0.05,))
X = RNG.integers(90, 160, (200, 1, 3, 4)).astype(np.uint8)


class Linear(nn.Module):
    """Two classes; pixels are normalised inside, as networks do."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.stem, self.head, self.factor = ImageStem(INPUTS), nn.Linear(12, 2), factor
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor(RNG_WEIGHTS))
            self.head.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.factor * self.head(self.stem(x).flatten(1))
        return out


RNG_WEIGHTS = RNG.normal(size=(2, 12)).astype(np.float32)
WAY = (RNG_WEIGHTS[1] - RNG_WEIGHTS[0]) / 0.05
"""Gradient of the second logit minus the first, by raw pixels of [0, 1]."""
GAP = (X.reshape(200, -1) / 255 - 0.4) @ WAY
Y = (GAP + RNG.normal(0, 1, 200) > 0).astype(np.int64)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("factor", [1.0, 1e4])
def test_a_linear_network_is_attacked_along_the_sign_of_its_weights(attack: Attack, factor: float) -> None:
    x, y = torch.tensor(X).float() / 255, torch.tensor(Y)
    found = attacked(Linear(factor), x, y, attack, 8 / 255).numpy().reshape(200, -1)
    towards = np.where(Y == 0, 1, -1)[:, None] * np.sign(WAY)
    assert np.allclose(found, X.reshape(200, -1) / 255 + 8 / 255 * towards, atol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 1e4])
def test_accuracy_is_that_of_rows_whose_distance_is_larger_than_epsilon(factor: float) -> None:
    clean, (fgsm, pgd) = attack_scores(Linear(factor), X, Y, ATTACKS, seconds=1e9, level=0.95)
    distance = np.where(Y == 1, GAP, -GAP) / np.abs(WAY).sum()
    assert clean.value == pytest.approx((distance > 0).mean())
    wanted = [float((distance > epsilon).mean()) for epsilon in EPSILONS]
    assert [n.value for n in fgsm.accuracy] == pytest.approx(wanted, abs=0.006)
    assert [n.value for n in pgd.accuracy] == pytest.approx(wanted, abs=0.006)
    assert 0.05 < wanted[-1] < wanted[0] < clean.value
    assert {(n.n, n.ci_method) for n in (clean, *fgsm.accuracy)} == {(200, "Wilson")}


def test_pixels_stay_pixels() -> None:
    x = torch.tensor(np.where(X > 120, 255, 0)).float() / 255
    found = attacked(Linear(), x, torch.tensor(Y), "pgd", 8 / 255)
    assert (float(found.min()), float(found.max())) == (0.0, 1.0)
    assert float((found - x).abs().max()) == pytest.approx(8 / 255, abs=1e-6)


def test_the_margin_grows_where_the_best_wrong_class_gains() -> None:
    out = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]])
    assert margin(out, torch.tensor([0, 2])).tolist() == [-1.0, 1.0]


def test_without_time_one_lot_of_rows_is_attacked() -> None:
    clean, (found,) = attack_scores(Linear(), X, Y, ("fgsm",), seconds=1e-9, level=0.95)
    assert (clean.n, found.accuracy[0].n) == (32, 32)
