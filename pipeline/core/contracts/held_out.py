"""What train hands on of the validation rows: all that thresholds, sets and intervals are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ThresholdAim = Literal["balanced_accuracy", "f1"]
"""What a decision threshold may be chosen for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """artifacts/train/held_out.json: validation rows, predicted by a network that had not seen them.

    Beside it held_out.npy: how strange each of these rows is (N, C) float64, each column increasing, NaN at its end
    where a true value is not known. Classes: one minus the probability of the true class, C = 1. Labels: one minus the
    lowest probability of a true one, 0 where none is true, C = 1. Numbers: absolute residuals in raw units, one column
    per target. Forecasts: in training deviations of the series, one column per output (step by step, target by target).
    """

    schema: Literal[1] = 1
    split: Literal["val", "reserve"]
    """Of the rows in held_out.npy: the reserve where there is one, because the others chose the model."""
    rows: int
    """Lines of held_out.npy."""
    thresholds: Mapping[ThresholdAim, float] = field(default_factory=dict)
    """Two classes: the probability of the second one from which it is best to predict it, by what is maximised."""
    threshold_rows: int = 0
    """Validation and reserve rows these were chosen on."""
    group_thresholds: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    """Two classes: by gap, sensitive feature and group the probability of the second one from which to decide, so that
    groups are decided alike; chosen on the same rows."""
    notes: tuple[str, ...] = ()
