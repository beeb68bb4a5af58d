"""What comparisons of groups share, whether of rates or of means: corrected p-values, verdicts, notes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from scipy.stats import false_discovery_control

from pipeline.core.contracts import (
    AuditFeature,
    DistributionGap,
    FairnessVerdict,
    FeatureAudit,
    GroupGap,
    Number,
    Representation,
)
from pipeline.core.settings import FairnessSettings

Found_co = TypeVar("Found_co", covariant=True)


class Unjudged(Protocol[Found_co]):
    """A comparison whose p-values wait for the correction."""

    @property
    def tests(self) -> Sequence[float]:
        """Its p-values, in order."""

    def judged(self, next_adjusted: Callable[[], float]) -> Found_co:
        """Return it with verdicts; `next_adjusted` gives the corrected p-values in the order of `tests`."""


@dataclass(frozen=True, kw_only=True)
class Also:
    """What is compared in the same run beside the audits, and corrected together with them."""

    drops: Sequence[Unjudged[FeatureAudit]] = ()
    distributions: Sequence[Unjudged[DistributionGap]] = ()
    representation: Sequence[Unjudged[Representation]] = ()


NOTHING_ELSE = Also()


def judged_together(*lists: Sequence[Unjudged[Any]]) -> tuple[list[tuple[Any, ...]], int]:
    """Return the judged comparisons of each list, and how many tests there are.

    All tests of the run are one family (Benjamini and Hochberg 1995).
    """
    tests = [p for some in lists for item in some for p in item.tests]
    adjusted = iter(false_discovery_control(tests, method="bh") if tests else ())
    return [tuple(item.judged(lambda: float(next(adjusted))) for item in some) for some in lists], len(tests)


def tests_of(audit: FeatureAudit) -> list[float]:
    """Return the p-values of an audit's gaps."""
    return [gap.p for gap in audit.gaps if gap.p is not None]


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
    gone.append("label bias, and the decision that people make with the prediction")
    return tuple(gone)
