"""How far predictions can be relied on: temperature, threshold, sets and intervals, each on test rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import Conformal, DatasetCard, HeldOut
from pipeline.core.settings import EvaluateSettings
from pipeline.evaluation.calibration import conformal, cut_of, tempering, threshold
from pipeline.evaluation.forecast_intervals import forecast_conformal
from pipeline.evaluation.judges import Judge

Values = NDArray[np.float64]


def reliance(
    card: DatasetCard,
    chosen: EvaluateSettings,
    seed: int,
    judge: Judge,
    held: tuple[HeldOut, Values],
    temperature: float,
    outcome: tuple[NDArray[Any], Values],
) -> dict[str, Any]:
    """Return fields of Scores; `held` is what train kept of validation rows, `outcome` truth and predictions."""
    y, p = outcome
    if card.task == "forecast":
        found: Conformal | None = forecast_conformal(card, chosen, *held, (y, p), judge.block, seed)
    else:
        found = conformal(card, chosen, *held, y, p)
    return {
        "tempering": tempering(card, judge, temperature, y, p, chosen.level),
        "threshold": threshold(card, cut_of(card, chosen, held[0]), y, p, chosen.level),
        "conformal": found,
    }
