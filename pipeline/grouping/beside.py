"""What lies beside the predictions of the network when groups are compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.core.contracts import DatasetCard, HeldOut, Scores, SplitName
from pipeline.core.store import FIT

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from pipeline.evaluation import RowErrors

SPLITS: tuple[SplitName, ...] = ("train", "val", "reserve")
"""All but the test rows, which nothing but evaluate and interpret may open."""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What lies beside the predictions of the network: of N test rows and K classes."""

    others: "Mapping[str, NDArray[np.float64]]" = field(default_factory=dict)
    """(N, K) of each baseline, ensemble and further training, by name."""
    thresholds: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    """As in HeldOut.group_thresholds."""
    limit: float | None = None
    """Of strangeness, for the sets that promise to hold the true class."""
    splits: "Mapping[str, pd.DataFrame]" = field(default_factory=dict)
    """Rows of the other splits, as prepare wrote them: who is in them."""
    errors: "RowErrors | None" = None
    """Of single rows, as they are and made worse; none: no corruption was tried."""


def beside_of(
    card: DatasetCard,
    scores: Scores,
    held: "tuple[HeldOut, NDArray[np.float64]]",
    others: Any,
    errors: "RowErrors | None",
) -> Beside:
    """Return what lies beside the predictions, from the records of prepare, train and evaluate."""
    from pipeline.datasets import load_split
    from pipeline.metrics.conformal import limits

    limit = None
    if card.task in ("binary", "multiclass") and scores.conformal is not None and scores.conformal.coverage.value:
        limit = float(limits(held[1], scores.conformal.promised)[0])
    return Beside(
        others=others,
        thresholds=held[0].group_thresholds,
        limit=limit,
        errors=errors,
        splits={split: load_split(FIT, split).rows for split in SPLITS if split in card.rows},
    )
