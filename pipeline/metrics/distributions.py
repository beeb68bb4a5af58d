"""Whether predictions or errors of numbers are spread differently in one group: not their means alone, all of them.

Two-sample Kolmogorov-Smirnov says whether there is a difference, the Wasserstein distance how large it is, in the units
of the numbers: what the values of the group would have to be moved by, on average, to be spread as those of the rest.
Legend: N rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp, wasserstein_distance

from pipeline.core.contracts import AuditFeature, DistributionGap, Number
from pipeline.core.seeds import stream
from pipeline.core.settings import FairnessSettings
from pipeline.metrics.disparity import Groups
from pipeline.metrics.means import amount
from pipeline.metrics.resampling import draws_for, row_weights
from pipeline.metrics.units import unit_means

Values = NDArray[np.float64]

_MOST_EXACT = 1_000_000
"""Products of the sizes of both sides up to which the exact distribution of the KS statistic is worth its time."""
_CELLS = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Numbers (N,) whose distribution is compared, in which units they are; NaN where a row has none."""

    name: str
    values: Values
    unit: str


@dataclass(frozen=True, slots=True)
class _Compared:
    """A comparison that is not judged yet."""

    gap: DistributionGap
    settings: FairnessSettings

    @property
    def tests(self) -> Sequence[float]:
        return [] if self.gap.p is None else [self.gap.p]

    def judged(self, next_adjusted: Callable[[], float]) -> DistributionGap:
        return _judged(self.gap, None if self.gap.p is None else next_adjusted(), self.settings)


def distributions(
    features: Sequence[AuditFeature],
    groups: Groups,
    spreads: Sequence[Spread],
    settings: FairnessSettings,
    seed: int,
    unit: NDArray[np.int64] | None = None,
) -> list[_Compared]:
    """Return each of the spreads of each group of each sensitive feature against the rest, not judged yet.

    Args:
        features: what rows are grouped by; slices of the data are left out.
        groups: group of every row (N,), by feature.
        spreads: what is compared.
        settings: alpha, delta (in the units of the numbers), draws and sizes.
        seed: of the draws.
        unit: number of the person, series, … each row belongs to (N,): each counts once, with the mean of its rows.
    """
    found = []
    for feature in (f for f in features if f.role == "sensitive"):
        for spread in spreads:
            of = groups[feature.name]
            values, of = (spread.values, of) if unit is None else unit_means(spread.values, of, unit)
            known = np.isfinite(values)
            sides = {g: (values[known & (of == g)], values[known & (of != g)]) for g in feature.groups}
            for group, (own, rest) in sides.items():
                rng = stream(seed, "fairness", "distribution", feature.name, spread.name, group)
                gap = _gap(own, rest, settings, rng, spread.unit)
                found.append(_Compared(replace(gap, feature=feature.name, group=group, of=spread.name), settings))
    return found


def _gap(own: Values, rest: Values, settings: FairnessSettings, rng: np.random.Generator, unit: str) -> DistributionGap:
    n, least = len(own), min(len(own), len(rest))
    few = Number(value=None, n=n, reason="too_few_rows" if n else "no_rows")
    blank = DistributionGap(feature="", group="", of="", statistic=few, p=None, p_adjusted=None,
                            distance=replace(few, unit=unit), by_chance=replace(few, unit=unit),
                            verdict="not_assessed", words="")  # fmt: skip
    if least < settings.min_listed:
        return blank
    test = ks_2samp(own, rest, method="exact" if n * len(rest) <= _MOST_EXACT else "asymp")
    distance, by_chance = distances(own, rest, rng, settings.permutations, 1 - settings.alpha)
    return replace(
        blank,
        statistic=Number(value=float(test.statistic), n=n, reason="no interval: its p-value stands beside it"),
        p=float(test.pvalue) if least >= settings.min_judged else None,
        distance=replace(distance, unit=unit),
        by_chance=replace(by_chance, unit=unit),
    )


def distances(own: Values, rest: Values, rng: np.random.Generator, draws: int, level: float) -> tuple[Number, Number]:
    """Return the Wasserstein distance of two samples, and the mean of it when rows are dealt out anew.

    The distance is the area between the two shares F and G of values up to x, and never below 0: percentiles of its own
    bootstrap would lie above 0 where there is no difference at all. What two bootstrap samples F* and G* differ from F
    and G by, the area below |(F* - F) - (G* - G)|, bounds how wrong it is (triangle inequality), so its quantile is
    taken to both sides.
    """
    n, count = len(own), draws_for(len(own) + len(rest), draws)
    value = float(wasserstein_distance(own, rest))
    pooled = np.concatenate([own, rest])
    order = np.argsort(pooled, kind="stable")
    widths = np.diff(pooled[order])
    share = np.where(order < n, 1 / n, -1 / len(rest))  # of each row in F - G
    if not widths.any():
        flat = Number(value=value, n=n, reason="no spread: no interval")
        return flat, flat
    places = np.argsort(order)[:n], np.argsort(order)[n:]
    wrong = [_areas(w - share, widths) for w in _resampled(places, share, rng, count)]
    half = float(np.quantile(np.concatenate(wrong), level))
    size = max(1, _CELLS // len(share))
    dealt = [rng.permuted(np.tile(share, (min(size, count - i), 1)), axis=1) for i in range(0, count, size)]
    chance = np.concatenate([_areas(part, widths) for part in dealt])
    low, high = np.quantile(chance, [(1 - level) / 2, (1 + level) / 2])
    return (
        Number(value=value, ci_low=max(0.0, value - half), ci_high=value + half, ci_level=level,
               ci_method=f"bootstrap of the error, {count} draws", n=n),
        Number(value=float(chance.mean()), ci_low=float(low), ci_high=float(high), ci_level=level,
               ci_method=f"relabelling, {count} draws", n=n),
    )  # fmt: skip


def _resampled(
    places: tuple[NDArray[np.int64], NDArray[np.int64]], share: Values, rng: np.random.Generator, draws: int
) -> Iterator[Values]:
    """Yield shares (B, N) of bootstrap samples of both sides, whose rows stand at these places in order."""
    size = max(1, _CELLS // len(share))
    for start in range(0, draws, size):
        found = np.tile(share, (min(size, draws - start), 1))
        for side in places:
            (times,) = row_weights(len(side), rng, len(found))
            found[:, side] *= times
        yield found


def _areas(shares: Values, widths: Values) -> Values:
    """Return the area (B,) below |sum of shares up to x| of sorted values that lie `widths` apart."""
    return np.asarray(np.abs(shares.cumsum(axis=1)[:, :-1]) @ widths)


def _judged(gap: DistributionGap, p: float | None, settings: FairnessSettings) -> DistributionGap:
    """Return the comparison with corrected p-value, verdict and words; to be spread otherwise is no disadvantage."""
    high, value = gap.distance.ci_high, gap.distance.value or 0.0
    if gap.statistic.n == 0:
        verdict, words = "not_assessed", "no rows"
    elif p is None:
        verdict, words = "insufficient_evidence", f"too small to judge: {gap.statistic.n} rows, or too few in the rest"
    elif p <= settings.alpha:
        verdict, words = "disparity_found", f"spread otherwise than in the rest, {amount(value)} apart"
    elif settings.delta is not None and high is not None and high <= settings.delta:
        verdict, words = "equivalent_within_delta", f"within {settings.delta:g} of the rest"
    else:
        most = "" if high is None else f"; they may be {amount(high)} apart"
        verdict, words = "insufficient_evidence", f"no difference shown{most}"
    return replace(gap, p_adjusted=p, verdict=verdict, words=words)  # type: ignore[arg-type]


def spreads_of(names: Sequence[str], true: Values, predicted: Values, unit: str) -> list[Spread]:
    """Return predictions and errors (predicted minus true) of targets (N, T), each in its own units."""
    found: list[Spread] = []
    for k, name in enumerate(names):
        of = f" of {name}" if len(names) > 1 else ""
        found.append(Spread(name=f"predictions{of}", values=predicted[:, k], unit=unit))
        found.append(Spread(name=f"errors{of}", values=predicted[:, k] - true[:, k], unit=unit))
    return found
