"""Means of numbers by group, gaps between them, and the verdicts of `disparity`.

A group is compared with the rest of the rows: Welch's interval of two means (Welch 1947), Welch's statistic against its
distribution when rows are relabelled (absolute errors are skewed, and his own distribution then finds too much in small
groups), Benjamini-Hochberg over all tests of the run. Whether the groups differ at all is tested by the same
relabellings. What is too small is listed and never judged; "no difference" needs a delta declared before and two
one-sided Welch tests (Schuirmann 1987).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import (
    AuditFeature,
    FairnessVerdict,
    FeatureAudit,
    GroupGap,
    GroupRate,
    Number,
)
from pipeline.core.seeds import stream
from pipeline.core.settings import FairnessSettings
from pipeline.metrics.intervals import Moments, detectable_difference, mean, mean_gap, moments, small_mean, welch
from pipeline.metrics.relabelling import Dealt, deal, gap_share, spread_share
from pipeline.metrics.verdicts import settle, tests_of, verdict_on

SIGNED = "signed_error"
"""The metric without a bad side: predicted minus true."""
_SKEWED_ROWS = 20
"""From so many rows on the interval of a mean follows the skewness of its values; fewer know too little of it."""


@dataclass(frozen=True, slots=True)
class Compared:
    """An audit that is not judged yet, and each group's moments with those of the rest."""

    audit: FeatureAudit
    sides: Mapping[str, tuple[Moments, Moments]]
    settings: FairnessSettings

    @property
    def tests(self) -> Sequence[float]:
        """The p-values of its gaps."""
        return tests_of(self.audit)

    def judged(self, next_adjusted: Callable[[], float]) -> FeatureAudit:
        """Return the audit with corrected p-values, verdicts and words."""
        return _judge(self, next_adjusted, self.settings)


@dataclass(frozen=True, slots=True)
class Values:
    """How values of rows are taken: by what moments they are compared, and what their mean looks like."""

    moments: Callable[[NDArray[np.float64]], Moments]
    mean: Callable[[NDArray[np.float64], float], Number]


def _mean(values: NDArray[np.float64], level: float) -> Number:
    return mean(values, level) if len(values) >= _SKEWED_ROWS else small_mean(values, level)


NUMBERS = Values(moments, _mean)
"""Values that may be anything."""


def compared(
    feature: AuditFeature,
    group: NDArray[np.object_],
    metric: str,
    values: NDArray[np.float64],
    settings: FairnessSettings,
    seed: int,
    how: Values = NUMBERS,
) -> Compared:
    """Return means of values (N,) and their gaps between the groups (N,) of one feature, not judged yet."""
    counted = np.isfinite(values)
    of = {g: values[counted & (group == g)] for g in feature.groups}
    everyone = np.concatenate([np.empty(0), *of.values()])
    rest = {g: np.concatenate([np.empty(0), *(other for h, other in of.items() if h != g)]) for g in of}
    sides = {g: (how.moments(own), how.moments(rest[g])) for g, own in of.items()}
    there = [g for g, own in of.items() if len(own)]
    big = [g for g in there if len(of[g]) >= settings.min_judged]
    dealt = _dealt(of, stream(seed, "fairness", feature.name, metric, "relabelling"), settings)
    gaps = [_gap(g, *sides[g], settings) for g in of]
    gaps = [_tested(x, sides[x.group], dealt, there.index(x.group), settings) if x.group in there else x for x in gaps]
    audit = FeatureAudit(
        feature=feature.name,
        role=feature.role,
        metric=metric,
        higher_is_better=False,
        overall=_listed(everyone, settings, how),
        groups=tuple(GroupRate(group=g, rate=_listed(own, settings, how)) for g, own in of.items()),
        gaps=tuple(gaps),
        spread=_spread([of[g] for g in big]),
        spread_p=spread_share(dealt, [there.index(g) for g in big]) if dealt and len(big) > 1 else None,
        verdict="not_assessed",
    )
    return Compared(audit, sides, settings)


def _listed(values: NDArray[np.float64], settings: FairnessSettings, how: Values) -> Number:
    n = len(values)
    if n == 0:
        return Number(value=None, n=0, reason="no_rows")
    if n < settings.min_listed:
        reason = f"fewer than {settings.min_listed} rows: no interval"
        return Number(value=float(values.mean()), n=n, reason=reason)
    return how.mean(values, 1 - settings.alpha)


def _gap(group: str, own: Moments, rest: Moments, settings: FairnessSettings) -> GroupGap:
    gap, smallest = Number(value=None, n=own.n, reason="too_few_rows"), None
    least = min(own.n, rest.n)
    if least >= settings.min_listed:
        gap = mean_gap(own, rest, 1 - settings.alpha)
        squares = own.variance * (own.n - 1) + rest.variance * (rest.n - 1)
        pooled = math.sqrt(squares / (own.n + rest.n - 2))
        smallest = detectable_difference(pooled, own.n, rest.n, settings.alpha)
    return GroupGap(
        group=group, gap=gap, p=None, p_adjusted=None, detectable=smallest, verdict="not_assessed", words=""
    )


def _spread(groups: Sequence[NDArray[np.float64]]) -> Number:
    n = sum(map(len, groups))
    if len(groups) < 2:
        return Number(value=None, n=n, reason="fewer than two groups are large enough")
    return Number(
        value=float(np.ptp([own.mean() for own in groups])), n=n, reason="no interval: a spread cannot be below 0"
    )


def _dealt(of: Mapping[str, NDArray[np.float64]], rng: np.random.Generator, settings: FairnessSettings) -> Dealt | None:
    """Return relabellings of all rows, where two groups are there to be told apart."""
    there = [own for own in of.values() if len(own)]
    return deal(there, rng, settings.permutations) if len(there) > 1 else None


def _tested(
    gap: GroupGap, sides: tuple[Moments, Moments], dealt: Dealt | None, k: int, settings: FairnessSettings
) -> GroupGap:
    """Return the gap with its p, where both sides are large enough and have a spread."""
    if dealt is None or gap.gap.ci_low is None or min(side.n for side in sides) < settings.min_judged:
        return gap
    p = gap_share(dealt, k)
    # Where no relabelling reaches the gap, their number limits p; Welch's own distribution says how much less it is.
    return replace(gap, p=min(p, welch(*sides)[2]) if p <= 1 / len(dealt.sums) else p)


def _judge(item: Compared, next_adjusted: Callable[[], float], settings: FairnessSettings) -> FeatureAudit:
    means = {r.group: r.rate for r in item.audit.groups}

    def verdict_of(gap: GroupGap) -> FairnessVerdict:
        return verdict_on(gap, means[gap.group], settings, lambda: _equivalent(*item.sides[gap.group], settings))

    return settle(item.audit, next_adjusted, verdict_of, lambda gap, verdict: _words(gap, verdict, item, settings))


def _equivalent(own: Moments, rest: Moments, settings: FairnessSettings) -> bool:
    """Test both sides: the interval at level 1 - 2 alpha lies within delta."""
    if settings.delta is None:
        return False
    low, high, _ = welch(own, rest, 1 - 2 * settings.alpha)
    return -settings.delta < low and high < settings.delta


def _words(gap: GroupGap, verdict: FairnessVerdict, item: Compared, settings: FairnessSettings) -> str:
    if verdict == "not_assessed":
        return "no rows with this error"
    if gap.p is None:
        small = min(side.n for side in item.sides[gap.group]) < settings.min_judged
        return f"too small to judge: {gap.gap.n} rows, or too few in the rest" if small else "no spread: no test"
    value = gap.gap.value or 0.0
    if verdict == "disparity_found":
        return _side(value, item.audit.metric)
    if verdict == "equivalent_within_delta":
        return f"within {settings.delta:g} of the rest"
    return f"no difference shown; one below {amount(gap.detectable or 0.0)} could hardly have been seen"


def _side(value: float, metric: str) -> str:
    """Say which way a group differs; a sign alone disadvantages nobody."""
    if metric == SIGNED:
        return f"{'over' if value > 0 else 'under'}-predicted relative to the rest by {amount(abs(value))}"
    if value > 0:
        return f"disadvantaged: higher than the rest by {amount(value)}"
    return f"lower than the rest by {amount(abs(value))}; the disadvantage lies with others"


def amount(value: float) -> str:
    """Return a number in three digits, large ones in full."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
