"""Temperature: found where it should be, bounded by what the rows can prove, and no help to a worse ranking."""

import math

import pytest
import torch
from torch import nn

from pipeline.core.contracts import ImageInputs, Target
from pipeline.training.data import Rows
from pipeline.training.heads import ClassHead, LabelSetHead, ValidationScore, ValueHead
from pipeline.training.predict import score
from pipeline.training.temperature import softening


def sampled(n: int, temperature: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw classes from calibrated probabilities, and give back logits that are `temperature` times too large."""
    rng = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, 4, generator=rng, dtype=torch.double)
    y = torch.multinomial(logits.softmax(1), 1, generator=rng)[:, 0]
    return logits * temperature, y


def cooled(logits: torch.Tensor, y: torch.Tensor) -> float:
    return ClassHead().score(logits, y).temperature


def scored(logits: torch.Tensor, y: torch.Tensor) -> ValidationScore:
    inputs = ImageInputs(channels=1, height=1, width=4, mean=(0.0,), std=(1.0,))
    return score(Fixed(), Rows(logits.numpy(), y.numpy(), inputs, "cpu"), ClassHead())


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_the_temperature_of_calibrated_logits_is_found(true: float) -> None:
    assert cooled(*sampled(20_000, true)) == pytest.approx(true, rel=0.05)


class Fixed(nn.Module):
    """Gives its inputs back as logits."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_being_too_sure_costs_no_score_but_ranking_worse_does() -> None:
    logits, y = sampled(3000, 1.0)
    plain, sure = (scored(logits * t, y) for t in (1.0, 6.0))
    assert plain.score == pytest.approx(sure.score, abs=1e-6)
    assert sure.temperature == pytest.approx(6 * plain.temperature, rel=1e-3)
    noisy = scored(logits + 3 * torch.randn(logits.shape, generator=torch.Generator().manual_seed(1)), y)
    assert noisy.score > plain.score + 3 * plain.standard_error
    assert plain.quality == sure.quality > noisy.quality


def test_rows_without_a_mistake_do_not_prove_certainty() -> None:
    y = torch.arange(216) % 10
    logits = 30 * nn.functional.one_hot(y, 10).double()
    temperature = cooled(logits, y)
    sure = float((logits / temperature).softmax(1).amax(1).mean())
    assert 1 - sure == pytest.approx(1 / 218, rel=0.02)
    assert softening(216, 10) * 9 / 10 == pytest.approx(1 / 218)


def test_the_standard_error_is_that_of_the_mean_loss() -> None:
    logits, y = sampled(500, 1.0)
    found = scored(logits, y)
    soft = softening(500, 4)
    losses = nn.functional.cross_entropy(logits / found.temperature, y, reduction="none", label_smoothing=soft)
    assert found.standard_error == pytest.approx(float(losses.std()) / math.sqrt(500))
    assert found.score == pytest.approx(float(losses.mean()))


def test_logits_that_are_not_finite_give_a_loss_that_is_not_finite() -> None:
    logits = torch.full((4, 2), torch.nan)
    assert not math.isfinite(scored(logits, torch.zeros(4, dtype=torch.long)).score)


def test_label_sets_are_cooled_and_scored_per_label() -> None:
    rng = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(4000, 3, generator=rng, dtype=torch.double)
    y = torch.bernoulli(logits.sigmoid(), generator=rng).long()
    plain, sure = LabelSetHead().score(logits, y), LabelSetHead().score(5 * logits, y)
    assert plain.temperature == pytest.approx(1.0, rel=0.06)
    assert sure.score == pytest.approx(plain.score, abs=1e-6)
    assert plain.quality == pytest.approx(float(((logits > 0) == (y > 0)).double().mean()))


def test_values_are_scored_in_training_deviations_and_predicted_in_raw_units() -> None:
    targets = (Target(name="a", mean=100.0, std=10.0), Target(name="b", mean=-1.0, std=0.5))
    head = ValueHead(torch.tensor([t.mean for t in targets]), torch.tensor([t.std for t in targets]))
    y = torch.tensor([[110.0, -1.0], [90.0, torch.nan], [100.0, 0.0]], dtype=torch.double)
    out = torch.tensor([[1.0, 0.5], [-1.0, 9.0], [0.0, 2.0]], dtype=torch.double)
    found = head.score(out, y)
    assert found.score == pytest.approx((0.25 / 2) / 3)  # the unknown value counts nowhere
    assert found.temperature == 1.0
    assert 0.9 < found.quality < 1
    assert head.predict(out)[0].tolist() == [110.0, -0.75]
    assert float(head.loss(out, y, 0.1)) == pytest.approx(0.25 / 5)
