"""Sets of classes and intervals of numbers with a promised coverage, and the threshold between two classes.

All from what train kept of held-out rows.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import ForecastInputs, HeldOut, Inputs, Intake, ThresholdAim
from pipeline.core.errors import ConfigError
from pipeline.core.store import read_record
from pipeline.metrics.conformal import class_sets, label_sets, limits
from pipeline.prediction.output import joined_names, number_names
from pipeline.training.held_out import load_held_out

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sets:
    """How strange an answer may be to be kept."""

    limits: Values
    """(C,) classes and labels: C = 1; numbers: half the width of each interval, of forecasts in their deviations."""

    def columns(self, intake: Intake, inputs: Inputs, p: Values, scale_NT: Values | None) -> dict[str, Any]:
        """Return the columns beside answers p (N, K): `set`, or low and high of each number."""
        if intake.classes:
            held_NK = (label_sets if intake.task == "multilabel" else class_sets)(p, float(self.limits[0]))
            return {"set": joined_names(held_NK, intake)}
        half_NC = np.broadcast_to(self.limits, p.shape)
        if scale_NT is not None:
            half_NC = half_NC * np.tile(scale_NT, p.shape[1] // scale_NT.shape[1])
        found: dict[str, Any] = {}
        for k, name in enumerate(number_names(intake, inputs)):
            found |= {f"low_{name}": p[:, k] - half_NC[:, k], f"high_{name}": p[:, k] + half_NC[:, k]}
        return found


def sets_of(folder: Path, inputs: Inputs, coverage: float, wanted: bool | None) -> Sets | None:
    """Return the sets of a model's folder, None where it has none; `wanted` None: where it has some.

    Raises:
        ConfigError: they are wanted, and there are none, or too few rows to promise this coverage.
    """
    if not 0 < coverage < 1:
        raise ConfigError(f"predict: coverage={coverage:g}: a share between 0 and 1", fix="coverage=0.9")
    if wanted is False:
        return None
    why = "was trained before sets were kept"
    if (folder / "held_out.json").exists():
        record, strange_NC = load_held_out(folder)
        limit_C = limits(strange_NC, coverage)
        if np.isfinite(limit_C).all():
            return Sets(limit_C)
        why = f"was checked on {record.rows} held-out rows, too few to promise {coverage:g}"
        if not record.rows:
            why = "was trained before sets of labels were kept"
        if isinstance(inputs, ForecastInputs) and np.isfinite(limit_C).any():
            why = f"knows too few true values of some step to promise {coverage:g}"
    if wanted:
        raise ConfigError(f"predict: sets=true: {folder} {why}", fix="sets=false, or a lower coverage")
    return None


def threshold_of(folder: Path, intake: Intake, wanted: float | Literal["auto"], aim: ThresholdAim) -> float | None:
    """Return from which probability on the second of two classes is said; None: there is no threshold but one half.

    auto: the one that train chose on validation rows, as evaluate has it; models of before have none.

    Raises:
        ConfigError: a number is wanted that is no probability, or without two classes.
    """
    if not isinstance(wanted, str):
        if not 0 < wanted < 1:
            raise ConfigError(f"predict: threshold={wanted:g}: a probability between 0 and 1", fix="threshold=auto")
        if intake.task != "binary":
            why = f"only two classes that exclude each other have one, this task is {intake.task}"
            raise ConfigError(f"predict: threshold={wanted:g}: {why}", fix="threshold=auto")
        return wanted
    if intake.task != "binary" or not (folder / "held_out.json").exists():
        return None
    return read_record(HeldOut, folder / "held_out.json").thresholds.get(aim)
