"""What comparisons of groups share, whether of rates or of means: corrected p-values, verdicts, notes."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from scipy.stats import false_discovery_control

from pipeline.core.contracts import AuditFeature, FairnessVerdict, FeatureAudit, GroupGap, Number
from pipeline.core.settings import FairnessSettings


def corrected(items: Sequence[FeatureAudit]) -> tuple[Callable[[], float], int]:
    """Return the next corrected p-value at each call, in order of the gaps that have one, and how many there are.

    All tests of the run are one family (Benjamini and Hochberg 1995).
    """
    tests = [gap.p for item in items for gap in item.gaps if gap.p is not None]
    adjusted = iter(false_discovery_control(tests, method="bh") if tests else ())
    return lambda: float(next(adjusted)), len(tests)


def settle(
    item: FeatureAudit,
    next_adjusted: Callable[[], float],
    verdict_of: Callable[[GroupGap], FairnessVerdict],
    words_of: Callable[[GroupGap, FairnessVerdict], str],
) -> FeatureAudit:
    """Return the audit with corrected p-values, verdicts and words."""
    gaps = []
    for gap in item.gaps:
        settled = replace(gap, p_adjusted=next_adjusted() if gap.p is not None else None)
        verdict = verdict_of(settled)
        gaps.append(replace(settled, verdict=verdict, words=words_of(settled, verdict)))
    return replace(item, gaps=tuple(gaps), verdict=overall_verdict([g.verdict for g in gaps]))


def verdict_on(
    gap: GroupGap, group: Number, settings: FairnessSettings, equivalent: Callable[[], bool]
) -> FairnessVerdict:
    """Judge one gap; `equivalent` is asked only where delta was declared and enough rows could have shown it."""
    if group.n == 0:
        return "not_assessed"
    if gap.p_adjusted is None or gap.detectable is None:
        return "insufficient_evidence"
    if gap.p_adjusted <= settings.alpha:
        return "disparity_found"
    if settings.delta is not None and gap.detectable <= 2 * settings.delta and equivalent():
        return "equivalent_within_delta"
    return "insufficient_evidence"


def overall_verdict(verdicts: Sequence[FairnessVerdict]) -> FairnessVerdict:
    """One group with a disparity is a disparity; equivalence needs all groups."""
    if "disparity_found" in verdicts:
        return "disparity_found"
    if all(v == "not_assessed" for v in verdicts):
        return "not_assessed"
    return "equivalent_within_delta" if set(verdicts) == {"equivalent_within_delta"} else "insufficient_evidence"


def no_delta_notes(settings: FairnessSettings) -> list[str]:
    """Say that equivalence cannot be found where no delta was declared."""
    if settings.delta is not None:
        return []
    return ['no delta was declared, so the verdict "equivalent" is never given (fairness.delta)']


def not_assessed(features: Sequence[AuditFeature]) -> tuple[str, ...]:
    """Say what was not compared."""
    gone = []
    if not any(f.role == "sensitive" for f in features):
        gone.append("fairness towards people: no sensitive feature is declared (data.sensitive); none is ever inferred")
    if not features:
        gone.append("slices: none is declared (data.slices)")
    gone.append("label bias, robustness by group, and the decision that people make with the prediction")
    return tuple(gone)
