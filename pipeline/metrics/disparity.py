"""Rates by group, gaps, and one of four verdicts.

A group is compared with the rest of the rows: Newcombe's interval of the difference, Fisher's exact test (the exact
permutation test of two rates), Benjamini-Hochberg over all tests of the run. Whether the groups differ at all is
tested by relabelling: the spread between highest and lowest rate against its distribution when groups mean nothing.
What is too small is listed and never judged; "no difference" is said only within a delta that was declared before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact

from pipeline.core.contracts import (
    AuditFeature,
    FairnessRecord,
    FairnessVerdict,
    FeatureAudit,
    GroupGap,
    GroupRate,
    Number,
)
from pipeline.core.seeds import stream
from pipeline.core.settings import FairnessSettings
from pipeline.metrics.intervals import detectable_gap, newcombe, proportion, rate_gap
from pipeline.metrics.verdicts import corrected, no_delta_notes, not_assessed, settle, verdict_on

Groups = Mapping[str, NDArray[np.object_]]
"""Group of every row, by audit feature."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate: `hit` among the rows where `counts`; `good` says whether a high rate is good for the group."""

    name: str
    counts: NDArray[np.bool_]
    hit: NDArray[np.bool_]
    good: bool
    empty: str


def rates_of(y: NDArray[np.int64], predicted: NDArray[np.int64], positive: int | None) -> tuple[Rate, ...]:
    """Return accuracy and, with a positive class, selection rate, true and false positive rate."""
    every = np.ones(len(y), bool)
    found = [Rate("accuracy", every, predicted == y, True, "no_rows")]
    if positive is not None:
        chosen = predicted == positive
        found += [
            Rate("selection_rate", every, chosen, True, "no_rows"),
            Rate("true_positive_rate", y == positive, chosen, True, "no_positive_labels"),
            Rate("false_positive_rate", y != positive, chosen, False, "no_negative_labels"),
        ]
    return tuple(found)


def audit(
    features: Sequence[AuditFeature],
    groups: Groups,
    y: NDArray[np.int64],
    predicted: NDArray[np.int64],
    classes: Sequence[str],
    settings: FairnessSettings,
    seed: int,
) -> FairnessRecord:
    """Compare every rate over the groups of every feature; correct all tests together; judge."""
    positive = len(classes) - 1 if len(classes) == 2 else None
    raw = [
        feature_audit(feature, groups[feature.name], rate, settings, seed)
        for feature in features
        for rate in rates_of(y, predicted, positive if feature.role == "sensitive" else None)
    ]
    next_adjusted, tests = corrected(raw)
    return FairnessRecord(
        audits=tuple(judge(item, next_adjusted, settings) for item in raw),
        positive_class=classes[positive] if positive is not None else None,
        delta=settings.delta,
        tests=tests,
        notes=_notes(settings, tests),
        not_assessed=not_assessed(features),
    )


def feature_audit(
    feature: AuditFeature, group: NDArray[np.object_], rate: Rate, settings: FairnessSettings, seed: int
) -> FeatureAudit:
    """Return rates and gaps of one feature, not judged yet."""
    n = {name: int((rate.counts & (group == name)).sum()) for name in feature.groups}
    k = {name: int((rate.counts & rate.hit & (group == name)).sum()) for name in feature.groups}
    total, hits = sum(n.values()), sum(k.values())
    level = 1 - settings.alpha
    listed = [GroupRate(group=g, rate=_rate(k[g], n[g], rate.empty, settings)) for g in feature.groups]
    gaps = []
    for g in feature.groups:
        gap, p, smallest = Number(value=None, n=n[g], reason="too_few_rows"), None, None
        if n[g] >= settings.min_listed and total - n[g] >= settings.min_listed:
            gap = rate_gap(k[g], n[g], hits - k[g], total - n[g], level)
            smallest = detectable_gap(hits / total, n[g], total - n[g], settings.alpha)
        if n[g] >= settings.min_judged and total - n[g] >= settings.min_judged:
            table = np.array([[k[g], n[g] - k[g]], [hits - k[g], total - n[g] - hits + k[g]]])
            p = float(fisher_exact(table).pvalue)
        gaps.append(
            GroupGap(group=g, gap=gap, p=p, p_adjusted=None, detectable=smallest, verdict="not_assessed", words="")
        )
    big = [g for g in feature.groups if n[g] >= settings.min_judged]
    rng = stream(seed, "fairness", feature.name, rate.name)
    return FeatureAudit(
        feature=feature.name,
        role=feature.role,
        metric=rate.name,
        higher_is_better=rate.good,
        overall=proportion(hits, total, level, empty=rate.empty),
        groups=tuple(listed),
        gaps=tuple(gaps),
        spread=_spread([k[g] for g in big], [n[g] for g in big]),
        spread_p=spread_p([k[g] for g in big], [n[g] for g in big], rng, settings.permutations),
        verdict="not_assessed",
    )


def _rate(k: int, n: int, empty: str, settings: FairnessSettings) -> Number:
    if 0 < n < settings.min_listed:
        return Number(value=k / n, n=n, reason=f"fewer than {settings.min_listed} rows: no interval")
    return proportion(k, n, 1 - settings.alpha, empty=empty)


def _spread(k: Sequence[int], n: Sequence[int]) -> Number:
    if len(n) < 2:
        return Number(value=None, n=sum(n), reason="fewer than two groups are large enough")
    rates = [a / b for a, b in zip(k, n, strict=True)]
    return Number(value=max(rates) - min(rates), n=sum(n), reason="no interval: a spread cannot be below 0")


def spread_p(k: Sequence[int], n: Sequence[int], rng: np.random.Generator, draws: int) -> float | None:
    """Return the share of relabellings with at least this spread between the groups' rates (plus one, of draws + 1)."""
    if len(n) < 2:
        return None
    sizes = np.asarray(n)
    seen = np.ptp(np.asarray(k) / sizes)
    null = rng.multivariate_hypergeometric(sizes, int(sum(k)), size=draws, method="marginals")
    return float((1 + (np.ptp(null / sizes, axis=1) >= seen - 1e-12).sum()) / (draws + 1))


def judge(item: FeatureAudit, next_adjusted: Callable[[], float], settings: FairnessSettings) -> FeatureAudit:
    """Return the audit with corrected p-values, verdicts and words."""
    rates = {r.group: r.rate for r in item.groups}
    total = sum(rate.n for rate in rates.values())

    def verdict_of(gap: GroupGap) -> FairnessVerdict:
        rate = rates[gap.group]
        return verdict_on(gap, rate, settings, lambda: _equivalent(rate, item.overall, total, settings))

    return settle(item, next_adjusted, verdict_of, lambda gap, verdict: words(gap, verdict, item, settings))


def _equivalent(rate: Number, overall: Number, total: int, settings: FairnessSettings) -> bool:
    if settings.delta is None or rate.value is None or overall.value is None:
        return False
    k1, n1 = round(rate.value * rate.n), rate.n
    k2, n2 = round(overall.value * total) - k1, total - n1
    low, high = newcombe(k1, n1, k2, n2, 1 - 2 * settings.alpha)  # two one-sided tests
    return -settings.delta < low and high < settings.delta


def words(gap: GroupGap, verdict: FairnessVerdict, item: FeatureAudit, settings: FairnessSettings) -> str:
    """Say a verdict; only a disadvantaged group is called that."""
    if verdict == "not_assessed":
        return "no rows with this rate's denominator"
    if gap.p is None:
        return f"too small to judge: {gap.gap.n} rows, or too few in the rest"
    value = gap.gap.value or 0.0
    side = "higher" if value > 0 else "lower"
    if verdict == "disparity_found":
        worse = (value < 0) == item.higher_is_better
        text = f"{side} than the rest by {abs(value):.3f}"
        return f"disadvantaged: {text}" if worse else f"{text}; the disadvantage lies with others"
    if verdict == "equivalent_within_delta":
        return f"within {settings.delta:g} of the rest"
    return f"no difference shown; one below {gap.detectable:.3f} could hardly have been seen"


def _notes(settings: FairnessSettings, tests: int) -> tuple[str, ...]:
    notes = [
        f"{tests} tests, each a group against the rest (Fisher's exact test), corrected together "
        f"(Benjamini-Hochberg, {settings.alpha:g})",
        f"rates with fewer than {settings.min_listed} rows are listed without interval, with fewer than "
        f"{settings.min_judged} never judged; the count is the rate's own denominator",
    ]
    return (*notes, *no_delta_notes(settings))
