"""Passes nobody declared."""

import pytest

from pipeline.core.contracts import Budget, ForecastInputs, ImageInputs, Inputs, SeriesInputs, TextInputs
from pipeline.training.budgets import budget_of, trial_limit, usual_epochs

IMAGE = ImageInputs(channels=1, height=8, width=8, mean=(0.0,), std=(1.0,))
TEXT = TextInputs(length=4, vocabulary=("a",))
SERIES = SeriesInputs(channels=("a",), length=9, mean=(0.0,), std=(1.0,))
FORECAST = ForecastInputs(channels=("a",), targets=1, known=0, window=4, horizon=1, season=None)


@pytest.mark.parametrize(
    ("inputs", "rows", "epochs"),
    [
        (IMAGE, 1_000, 60), (IMAGE, 50_000, 20), (IMAGE, 1_000_000, 12), (TEXT, 3_000, 10), (TEXT, 7_000, 5),
        (TEXT, 100_000, 3),
        (SERIES, 36, 150), (SERIES, 270, 38), (FORECAST, 8_000, 10), (FORECAST, 100_000, 6),
    ],
)  # fmt: skip
def test_few_rows_get_many_passes(inputs: Inputs, rows: int, epochs: int) -> None:
    assert usual_epochs(inputs, rows) == epochs


def test_what_is_declared_counts() -> None:
    assert budget_of(7, 2.0, IMAGE, 1_000) == Budget(epochs=7, seconds=2.0)
    assert budget_of(None, 2.0, IMAGE, 1_000) == Budget(epochs=60, seconds=2.0)


@pytest.mark.parametrize(
    ("default", "share", "limit", "why"),
    [
        (5.0, 30.0, 10.0, "slower families have twice the default's time"),
        (5.0, 15.0, 7.5, "as far as half the share pays for it"),
        (5.0, 7.0, 5.0, "the default itself has what it needs"),
        (9.0, 7.5, 7.5, "up to the share"),
        (0.0, 7.5, 0.0, "nothing takes nothing"),
    ],
)
def test_a_trial_may_take(default: float, share: float, limit: float, why: str) -> None:
    assert trial_limit(default, share) == pytest.approx(limit), why
