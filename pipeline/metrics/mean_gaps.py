"""Mean errors by group, gaps, and the verdicts of `disparity`, for predictions that are numbers.

All errors over all features, corrected together, in one record; how one is compared stands in `means`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import AuditFeature, FairnessRecord
from pipeline.core.settings import FairnessSettings
from pipeline.metrics.disparity import Groups
from pipeline.metrics.means import compared
from pipeline.metrics.units import unit_means
from pipeline.metrics.verdicts import NOTHING_ELSE, Also, judged_together, no_delta_notes, not_assessed


def audit_values(
    features: Sequence[AuditFeature],
    groups: Groups,
    errors: Mapping[str, NDArray[np.float64]],
    settings: FairnessSettings,
    seed: int,
    unit: NDArray[np.int64] | None = None,
    also: Also = NOTHING_ELSE,
) -> FairnessRecord:
    """Compare the mean of every error over the groups of every feature; correct all tests together; judge.

    Args:
        features: what rows are grouped by.
        groups: group of every row (N,), by feature.
        errors: one number per row (N,) by metric. `signed_error` (predicted minus true) is judged on both sides and
            nobody is called disadvantaged by it; of every other metric, such as `absolute_error`, more is worse. NaN
            where a row has no truth: the row is left out and counted in the notes.
        settings: alpha, delta (in the units of the errors), draws and the sizes below which nothing is judged.
        seed: of the draws.
        unit: number of the person, series, … each row belongs to (N,): each counts once, with the mean of its rows.
            None: every row stands alone.
        also: what else is compared, and corrected together with the means.
    """
    raw = []
    for feature in features:
        for name, values in errors.items():
            of = groups[feature.name]
            each = (values, of) if unit is None else unit_means(values, of, unit)
            raw.append(compared(feature, each[1], name, each[0], settings, seed))
    (audits, drops, distributions, shares), tests = judged_together(
        raw, also.drops, also.distributions, also.representation
    )
    return FairnessRecord(
        audits=audits,
        drops=drops,
        distributions=distributions,
        representation=shares,
        positive_class=None,
        delta=settings.delta,
        tests=tests,
        notes=_notes(errors, settings, tests, unit),
        not_assessed=not_assessed(features),
    )


def _notes(
    errors: Mapping[str, NDArray[np.float64]],
    settings: FairnessSettings,
    tests: int,
    unit: NDArray[np.int64] | None,
) -> tuple[str, ...]:
    notes = [
        f"{tests} tests, each a group against the rest (Welch's statistic, rows relabelled), corrected together "
        f"(Benjamini-Hochberg, {settings.alpha:g})",
        f"means of fewer than {settings.min_listed} rows are listed without interval, of fewer than "
        f"{settings.min_judged} never judged",
    ]
    for name, values in errors.items():
        if gone := int((~np.isfinite(values)).sum()):
            notes.append(f"{gone:,} rows without {name.replace('_', ' ')} are left out")
    if unit is not None:
        units = len(np.unique(unit))
        notes.append(f"{len(unit):,} rows of {units:,} persons or series: each counts once, with the mean of its rows")
    return (*notes, *no_delta_notes(settings))
