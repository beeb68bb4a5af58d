"""Rates by group, gaps, and one of four verdicts.

A group is compared with the rest of the rows: Newcombe's interval of the difference, Fisher's exact test (the exact
permutation test of two rates), Benjamini-Hochberg over all tests of the run. Whether the groups differ at all is
tested by relabelling: the spread between highest and lowest rate against its distribution when groups mean nothing.
What is too small is listed and never judged; "no difference" is said only within a delta that was declared before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

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
from pipeline.metrics.intervals import detectable_gap, newcombe, proportion, rate_gap, rate_ratio
from pipeline.metrics.pairs import BETWEEN, pooled
from pipeline.metrics.rates import Rate, class_rates, rates_of
from pipeline.metrics.units import worth
from pipeline.metrics.verdicts import (
    NOTHING_ELSE,
    Also,
    judged_together,
    no_delta_notes,
    not_assessed,
    settle,
    tests_of,
    verdict_on,
)

Groups = Mapping[str, NDArray[np.object_]]
"""Group of every row, by audit feature."""


def audit(  # noqa: PLR0913 - the last three are for data and networks that have them
    features: Sequence[AuditFeature],
    groups: Groups,
    y: NDArray[np.int64],
    predicted: NDArray[np.int64],
    classes: Sequence[str],
    settings: FairnessSettings,
    seed: int,
    *,
    unit: NDArray[np.int64] | None = None,
    covered: NDArray[np.bool_] | None = None,
    also: Also = NOTHING_ELSE,
) -> FairnessRecord:
    """Compare every rate over the groups of every feature; correct all tests together; judge.

    Args:
        features: what rows are grouped by.
        groups: group of every row (N,), by feature.
        y: true class numbers (N,).
        predicted: predicted ones.
        classes: their names; of two the second is the positive one.
        settings: alpha, delta, draws and the sizes below which nothing is judged.
        seed: of the draws.
        unit: number of the person, patient, … each row belongs to (N,); None: every row stands alone.
        covered: whether the set that promises to hold the truth does so (N,); None: there are no sets.
        also: what else is compared, and corrected together with the rates.
    """
    positive = len(classes) - 1 if len(classes) == 2 else None
    of_classes, gone = class_rates(y, predicted, classes)
    of_people = rates_of(y, predicted, positive) + of_classes
    if covered is not None:
        of_people += (Rate("coverage", np.ones(len(y), bool), covered, True, "no_rows"),)
    raw = [
        _compare(feature, groups[feature.name], rate, settings, seed, unit)
        for feature in features
        for rate in (of_people if feature.role == "sensitive" else of_people[:1])
    ]
    (audits, drops, shares), tests = judged_together(raw, also.drops, also.representation)
    return FairnessRecord(
        audits=audits,
        drops=drops,
        representation=shares,
        positive_class=classes[positive] if positive is not None else None,
        delta=settings.delta,
        tests=tests,
        notes=_notes(settings, tests, unit),
        not_assessed=(*not_assessed(features), *gone),
    )


def _compare(
    feature: AuditFeature,
    group: NDArray[np.object_],
    rate: Rate,
    settings: FairnessSettings,
    seed: int,
    unit: NDArray[np.int64] | None = None,
) -> "_Compared":
    """Return rates and gaps of one feature, not judged yet."""
    sides = {name: _sides(rate, group == name, unit) for name in feature.groups}
    k, n = ({name: side.own[i] for name, side in sides.items()} for i in (0, 1))
    level = 1 - settings.alpha
    crossed = BETWEEN in feature.name and rate.good is not None
    drawn = dict(zip(feature.groups, pooled(list(k.values()), list(n.values())), strict=True)) if crossed else {}
    listed = [GroupRate(group=g, rate=_rate(sides[g], rate.empty, settings), pooled=drawn.get(g))
              for g in feature.groups]  # fmt: skip
    gaps = [_gap(g, sides[g], settings) for g in feature.groups]
    big = sorted((g for g in feature.groups if n[g] >= settings.min_judged), key=lambda g: k[g] / n[g])
    rng = stream(seed, "fairness", feature.name, rate.name)
    audit = FeatureAudit(
        feature=feature.name,
        role=feature.role,
        metric=rate.name,
        higher_is_better=rate.good,
        overall=_all(rate, [group == name for name in feature.groups], unit, level),
        groups=tuple(listed),
        gaps=tuple(gaps),
        spread=_spread([sides[g].share for g in big], sum(sides[g].rows for g in big)),
        extremes=(big[0], big[-1]) if len(big) > 1 else (),
        spread_p=spread_p([k[g] for g in big], [n[g] for g in big], rng, settings.permutations),
        verdict="not_assessed",
    )
    return _Compared(audit, sides, settings)


@dataclass(frozen=True, slots=True)
class _Sides:
    """Hits and rows of a group and of the rest, as many as they are worth, and the shares of hits as they are."""

    own: tuple[int, int]
    rest: tuple[int, int]
    share: float
    rest_share: float
    rows: int


@dataclass(frozen=True, slots=True)
class _Compared:
    """An audit that is not judged yet, and each group beside the rest."""

    audit: FeatureAudit
    sides: Mapping[str, _Sides]
    settings: FairnessSettings

    @property
    def tests(self) -> Sequence[float]:
        return tests_of(self.audit)

    def judged(self, next_adjusted: Callable[[], float]) -> FeatureAudit:
        settings, rates = self.settings, {r.group: r.rate for r in self.audit.groups}

        def verdict_of(gap: GroupGap) -> FairnessVerdict:
            return verdict_on(gap, rates[gap.group], settings, lambda: _equivalent(self.sides[gap.group], settings))

        return settle(self.audit, next_adjusted, verdict_of, lambda g, verdict: words(g, verdict, self.audit, settings))


def _sides(rate: Rate, own: NDArray[np.bool_], unit: NDArray[np.int64] | None) -> _Sides:
    inside, outside = rate.counts & own, rate.counts & ~own
    worths = [worth(rate.hit[side], None if unit is None else unit[side]) for side in (inside, outside)]
    shares = [float(rate.hit[side].mean()) if side.any() else 0.0 for side in (inside, outside)]
    return _Sides(worths[0], worths[1], shares[0], shares[1], int(inside.sum()))


def _all(rate: Rate, own: Sequence[NDArray[np.bool_]], unit: NDArray[np.int64] | None, level: float) -> Number:
    rows = rate.counts & np.any(own, axis=0)
    number = proportion(*worth(rate.hit[rows], None if unit is None else unit[rows]), level, empty=rate.empty)
    return number if unit is None or number.value is None else replace(number, value=float(rate.hit[rows].mean()),
                                                                       n=int(rows.sum()))  # fmt: skip


def _rate(side: _Sides, empty: str, settings: FairnessSettings) -> Number:
    k, n = side.own
    if 0 < n < settings.min_listed:
        return Number(value=side.share, n=side.rows, reason=f"fewer than {settings.min_listed} rows: no interval")
    number = proportion(k, n, 1 - settings.alpha, empty=empty)
    return number if number.value is None else replace(number, value=side.share, n=side.rows)


def _gap(group: str, side: _Sides, settings: FairnessSettings) -> GroupGap:
    (k, n), (hits, others), level = side.own, side.rest, 1 - settings.alpha
    gap, ratio, p, smallest = Number(value=None, n=side.rows, reason="too_few_rows"), None, None, None
    if n >= settings.min_listed and others >= settings.min_listed:
        gap = replace(rate_gap(k, n, hits, others, level), value=side.share - side.rest_share, n=side.rows)
        ratio = rate_ratio(k, n, hits, others, level)
        smallest = detectable_gap((k + hits) / (n + others), n, others, settings.alpha)
    if n >= settings.min_judged and others >= settings.min_judged:
        p = float(fisher_exact(np.array([[k, n - k], [hits, others - hits]])).pvalue)
    return GroupGap(group=group, gap=gap, p=p, p_adjusted=None, detectable=smallest, verdict="not_assessed", words="",
                    ratio=ratio)  # fmt: skip


def _spread(rates: Sequence[float], total: int) -> Number:
    few, why = "fewer than two groups are large enough", "no interval: a spread cannot be below 0"
    return Number(value=max(rates) - min(rates) if len(rates) > 1 else None, n=total,
                  reason=why if len(rates) > 1 else few)  # fmt: skip


def spread_p(k: Sequence[int], n: Sequence[int], rng: np.random.Generator, draws: int) -> float | None:
    """Return the share of relabellings with at least this spread between the groups' rates (plus one, of draws + 1)."""
    if len(n) < 2:
        return None
    sizes = np.asarray(n)
    seen = np.ptp(np.asarray(k) / sizes)
    null = rng.multivariate_hypergeometric(sizes, int(sum(k)), size=draws, method="marginals")
    return float((1 + (np.ptp(null / sizes, axis=1) >= seen - 1e-12).sum()) / (draws + 1))


def _equivalent(side: _Sides, settings: FairnessSettings) -> bool:
    if settings.delta is None:
        return False
    low, high = newcombe(*side.own, *side.rest, 1 - 2 * settings.alpha)  # two one-sided tests
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
        text = f"{side} than the rest by {abs(value):.3f}"
        if item.higher_is_better is None:
            return text
        worse = (value < 0) == item.higher_is_better
        return f"disadvantaged: {text}" if worse else f"{text}; the disadvantage lies with others"
    if verdict == "equivalent_within_delta":
        return f"within {settings.delta:g} of the rest"
    return f"no difference shown; one below {gap.detectable:.3f} could hardly have been seen"


def _notes(settings: FairnessSettings, tests: int, unit: NDArray[np.int64] | None) -> tuple[str, ...]:
    notes = [
        f"{tests} tests, each a group against the rest (Fisher's exact test), corrected together "
        f"(Benjamini-Hochberg, {settings.alpha:g})",
        f"rates with fewer than {settings.min_listed} rows are listed without interval, with fewer than "
        f"{settings.min_judged} never judged; the count is the rate's own denominator",
    ]
    if unit is not None and (units := len(np.unique(unit))) < len(unit):
        notes.append(f"{len(unit):,} rows of {units:,} persons (data.group_by): intervals, tests and the sizes above "
                     "count as many rows as these are worth (Rao and Scott 1992)")  # fmt: skip
    return (*notes, *no_delta_notes(settings))
