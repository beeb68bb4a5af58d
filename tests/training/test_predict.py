"""Temperature: found where it should be, bounded by what the rows can prove, and no help to a worse ranking."""

import math

import pytest
import torch
from torch import nn

from pipeline.training.predict import best_temperature, score, softening


def sampled(n: int, temperature: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw classes from calibrated probabilities, and give back logits that are `temperature` times too large."""
    rng = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, 4, generator=rng, dtype=torch.double)
    y = torch.multinomial(logits.softmax(1), 1, generator=rng)[:, 0]
    return logits * temperature, y


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_the_temperature_of_calibrated_logits_is_found(true: float) -> None:
    assert best_temperature(*sampled(20_000, true)) == pytest.approx(true, rel=0.05)


class Fixed(nn.Module):
    """Gives its inputs back as logits."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_being_too_sure_costs_no_score_but_ranking_worse_does() -> None:
    logits, y = sampled(3000, 1.0)
    plain, sure = (score(Fixed(), logits * t, y) for t in (1.0, 6.0))
    assert plain.log_loss == pytest.approx(sure.log_loss, abs=1e-6)
    assert sure.temperature == pytest.approx(6 * plain.temperature, rel=1e-3)
    noisy = score(Fixed(), logits + 3 * torch.randn(logits.shape, generator=torch.Generator().manual_seed(1)), y)
    assert noisy.log_loss > plain.log_loss + 3 * plain.standard_error
    assert plain.accuracy == sure.accuracy > noisy.accuracy


def test_rows_without_a_mistake_do_not_prove_certainty() -> None:
    y = torch.arange(216) % 10
    logits = 30 * nn.functional.one_hot(y, 10).double()
    temperature = best_temperature(logits, y)
    sure = float((logits / temperature).softmax(1).amax(1).mean())
    assert 1 - sure == pytest.approx(1 / 218, rel=0.02)
    assert softening(216, 10) * 9 / 10 == pytest.approx(1 / 218)


def test_the_standard_error_is_that_of_the_mean_loss() -> None:
    logits, y = sampled(500, 1.0)
    found = score(Fixed(), logits, y)
    soft = softening(500, 4)
    losses = nn.functional.cross_entropy(logits / found.temperature, y, reduction="none", label_smoothing=soft)
    assert found.standard_error == pytest.approx(float(losses.std()) / math.sqrt(500))
    assert found.log_loss == pytest.approx(float(losses.mean()))


def test_logits_that_are_not_finite_give_a_loss_that_is_not_finite() -> None:
    logits = torch.full((4, 2), torch.nan)
    assert not math.isfinite(score(Fixed(), logits, torch.zeros(4, dtype=torch.long)).log_loss)
