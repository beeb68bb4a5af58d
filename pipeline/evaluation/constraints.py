"""The bounds of a search, looked at again on the network that is handed on and on test rows."""

from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd
from numpy.typing import NDArray

from pipeline.core.bounds import GAPS
from pipeline.core.contracts import ConstraintCheck, DatasetCard, ModelCard, Number, SearchRecord
from pipeline.metrics.gaps import largest_gap


def constraint_checks(search: SearchRecord, amounts: Mapping[str, Number]) -> tuple[ConstraintCheck, ...]:
    """Return one check per bound; `amounts` are those of the final network."""
    seen = search.trial(search.best).amounts
    return tuple(
        ConstraintCheck(
            name=name,
            bound=bound,
            search=seen[name][0] if name in seen else None,
            test=amounts[name],
            verdict=verdict_on(bound, amounts[name]),
        )
        for name, bound in search.constraints.items()
    )


def verdict_on(bound: float, amount: Number) -> Literal["holds", "does not hold", "cannot tell"]:
    """Say whether an upper bound holds: with an interval only where all of it lies on one side."""
    if amount.value is None:
        return "cannot tell"
    low = amount.value if amount.ci_low is None else amount.ci_low
    high = amount.value if amount.ci_high is None else amount.ci_high
    return "holds" if high <= bound else "does not hold" if low > bound else "cannot tell"


def exact_amounts(model: ModelCard) -> dict[str, Number]:
    """Return what is counted, not estimated."""
    work = Number(value=model.multiply_adds, n=1, reason=None if model.multiply_adds is not None else "not_counted")
    return {
        "parameters": Number(value=model.parameters, n=1),
        "size_mb": Number(value=4 * model.parameters / 1e6, n=1, unit="MB"),
        "multiply_adds": work,
    }


def amounts_on_test(
    names: Mapping[str, float],
    card: DatasetCard,
    rows: pd.DataFrame,
    y: NDArray[Any],
    p: NDArray[Any],
    metrics: Mapping[str, Number],
    level: float,
) -> dict[str, Number]:
    """Return bounded amounts of predictions p (N, K) of test rows."""
    groups = {f.name: rows[f"audit.{f.name}"].to_numpy(object) for f in card.audit if f.role == "sensitive"}
    found = {name: largest_gap(name, y, p.argmax(axis=1), groups, level) for name in names if name in GAPS}
    return found | ({"calibration_error": metrics["ece"]} if "calibration_error" in names else {})
