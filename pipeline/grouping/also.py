"""What is compared between groups beside rates and mean errors of the test rows as they are."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import DatasetCard, FairnessRecord
from pipeline.core.settings import FairnessSettings, FairnessSlice
from pipeline.grouping.beside import Beside
from pipeline.metrics.disparity import Groups
from pipeline.metrics.drops import drops
from pipeline.metrics.verdicts import NOTHING_ELSE, Also


def also_compared(
    card: DatasetCard,
    groups: Groups,
    beside: Beside,
    settings: FairnessSlice,
    unit: NDArray[np.int64] | None,
) -> Also:
    """Return what is compared beside rates and errors: what corruptions cost the groups of people."""
    if beside.errors is None:
        return NOTHING_ELSE
    rows, at = beside.errors.rows, settings.fairness.severity - 1
    some = {name: of[rows] for name, of in groups.items()}
    worse = {name: found[at] for name, found in beside.errors.worse.items()}
    errors = beside.errors.kind, beside.errors.clean, worse
    own = None if unit is None else unit[rows]
    return Also(drops=drops(card.audit, some, errors, settings.fairness, settings.seed, own))


def with_severity(
    record: FairnessRecord, card: DatasetCard, beside: Beside, settings: FairnessSettings
) -> FairnessRecord:
    """Say which rows were made worse and how much, or that none were."""
    if not any(feature.role == "sensitive" for feature in card.audit):
        return record
    if beside.errors is None:
        gone = "robustness by group: no corruption was tried (evaluate.robustness)"
        return replace(record, not_assessed=(*record.not_assessed, gone))
    note = (
        f"what corruptions cost is that of {len(beside.errors.rows):,} test rows at severity {settings.severity} of 5 "
        "(fairness.severity), each row beside itself unchanged; a group against the rest (Welch's statistic, rows "
        "relabelled), in the same family of tests"
    )
    return replace(record, severity=settings.severity, notes=(*record.notes, note))
