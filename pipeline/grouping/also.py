"""What is compared between groups beside rates and mean errors of the test rows as they are."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import DatasetCard, FairnessRecord
from pipeline.core.settings import FairnessSettings, FairnessSlice
from pipeline.grouping.beside import Beside
from pipeline.metrics.disparity import Groups
from pipeline.metrics.distributions import Spread, distributions, spreads_of
from pipeline.metrics.drops import drops
from pipeline.metrics.values import STD_UNIT, UNIT
from pipeline.metrics.verdicts import Also


def also_compared(
    card: DatasetCard,
    table: pd.DataFrame,
    groups: Groups,
    beside: Beside,
    settings: FairnessSlice,
    unit: NDArray[np.int64] | None,
) -> Also:
    """Return what is compared of groups of people beside rates and mean errors.

    What corruptions cost them, and how predicted numbers and their errors are spread; `table` has a line per test row.
    """
    chosen, seed = settings.fairness, settings.seed
    spread = distributions(card.audit, groups, _spreads(card, table), chosen, seed, unit)
    if beside.errors is None:
        return Also(distributions=spread)
    rows, at = beside.errors.rows, settings.fairness.severity - 1
    some = {name: of[rows] for name, of in groups.items()}
    worse = {name: found[at] for name, found in beside.errors.worse.items()}
    errors = beside.errors.kind, beside.errors.clean, worse
    own = None if unit is None else unit[rows]
    return Also(drops=drops(card.audit, some, errors, chosen, seed, own), distributions=spread)


def _spreads(card: DatasetCard, table: pd.DataFrame) -> list[Spread]:
    """Return the numbers whose distributions are compared: none where classes or labels are predicted."""
    match card.task:
        case "regression":
            count = range(len(card.targets))
            true, predicted = (table[[f"{y}_{k}" for k in count]].to_numpy() for y in ("y_true", "y_pred"))
            return spreads_of([target.name for target in card.targets], true, predicted, UNIT)
        case "forecast":
            named = {"predictions": "forecast", "errors": "signed_error"}
            return [Spread(name=name, values=table[column].to_numpy(), unit=STD_UNIT) for name, column in named.items()]
        case _:
            return []


def with_notes(record: FairnessRecord, card: DatasetCard, beside: Beside, settings: FairnessSettings) -> FairnessRecord:
    """Say how distributions are compared, and which rows were made worse and how much, or that none were."""
    if not any(feature.role == "sensitive" for feature in card.audit):
        return record
    if record.distributions:
        what = "predictions and errors of a series are their means" if card.task == "forecast" else "of single rows"
        spread = (
            f"distributions ({what}): a group against the rest, tested by Kolmogorov-Smirnov in the same family of "
            "tests; distances are Wasserstein's"
        )
        record = replace(record, notes=(*record.notes, spread))
    if beside.errors is None:
        gone = "robustness by group: no corruption was tried (evaluate.robustness)"
        return replace(record, not_assessed=(*record.not_assessed, gone))
    note = (
        f"what corruptions cost is that of {len(beside.errors.rows):,} test rows at severity {settings.severity} of 5 "
        "(fairness.severity), each row beside itself unchanged; a group against the rest (Welch's statistic, rows "
        "relabelled), in the same family of tests"
    )
    return replace(record, severity=settings.severity, notes=(*record.notes, note))
