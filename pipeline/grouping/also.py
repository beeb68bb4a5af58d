"""What is compared between groups beside rates and mean errors of the test rows as they are."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import DatasetCard, FairnessRecord
from pipeline.core.settings import FairnessSettings, FairnessSlice
from pipeline.grouping.beside import Beside
from pipeline.grouping.reference import check_reference
from pipeline.metrics.disparity import Groups
from pipeline.metrics.distributions import Spread, distributions, spreads_of
from pipeline.metrics.drops import drops
from pipeline.metrics.representation import UNDECLARED, Members, representation
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

    What corruptions cost them, how predicted numbers and their errors are spread, and how many of them are in each
    split; `table` has a line per test row.
    """
    chosen, seed = settings.fairness, settings.seed
    check_reference(card, chosen)
    also = Also(
        distributions=distributions(card.audit, groups, _spreads(card, table), chosen, seed, unit),
        representation=representation(card.audit, _members(card, beside, groups, unit), chosen, seed),
    )
    if beside.errors is None:
        return also
    rows, at = beside.errors.rows, settings.fairness.severity - 1
    some = {name: of[rows] for name, of in groups.items()}
    worse = {name: found[at] for name, found in beside.errors.worse.items()}
    errors = beside.errors.kind, beside.errors.clean, worse
    own = None if unit is None else unit[rows]
    return replace(also, drops=drops(card.audit, some, errors, chosen, seed, own))


def _members(
    card: DatasetCard, beside: Beside, groups: Groups, unit: NDArray[np.int64] | None
) -> dict[str, dict[str, Members]]:
    """Return who is in each split, the test rows last."""
    names = [feature.name for feature in card.audit]
    found: dict[str, dict[str, Members]] = {
        split: {name: (rows[f"audit.{name}"].to_numpy(object), unit_of(card, rows)) for name in names}
        for split, rows in beside.splits.items()
    }
    return found | {"test": {name: (groups[name], unit) for name in names}}


def unit_of(card: DatasetCard, rows: pd.DataFrame) -> NDArray[np.int64] | None:
    """Return the number of the person, patient, … each row belongs to, or of its series; None: every row stands alone.

    Neighbouring windows of a series share most of their steps, so it is series that forecasts are compared by. `rows`
    are those of a split, or of predictions.parquet.
    """
    if card.task == "forecast":
        return pd.factorize(rows["row_id"].str.rpartition(" @ ")[0])[0]
    if card.unit is None:
        return None
    if "unit" in rows:
        return rows["unit"].to_numpy()
    return pd.factorize(rows[f"raw.{card.unit}"])[0] if f"raw.{card.unit}" in rows else None


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
    """Say what was not declared, how distributions are compared, and how rows were made worse, or that none were."""
    if not any(feature.role == "sensitive" for feature in card.audit):
        return record
    undeclared = {one.feature for one in record.representation if one.words == UNDECLARED}
    if undeclared:
        gone = f"whether the data represent those the model is for, by {', '.join(sorted(undeclared))}: {UNDECLARED}"
        record = replace(record, not_assessed=(*record.not_assessed, gone))
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
