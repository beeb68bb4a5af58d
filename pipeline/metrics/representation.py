"""How large each group is in each split, and whether that is the share it was declared to have where the model is used.

Shares have Wilson's interval. Against a reference: chi-square where every group is expected five times at least, else
the exact binomial test of two groups, or the same statistic against draws of the multinomial. Legend: N rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, chisquare

from pipeline.core.contracts import AuditFeature, GroupShare, Representation
from pipeline.core.seeds import stream
from pipeline.core.settings import FairnessSettings
from pipeline.metrics.intervals import proportion, wilson

Members = tuple[NDArray[np.object_], NDArray[np.int64] | None]
"""Group of every row (N,), and the number of the person or series each row belongs to; None: every row stands alone."""

_LEAST_EXPECTED = 5
"""Rows of a group from which on the chi-square distribution is close enough (Cochran 1954)."""
UNDECLARED = "no reference shares are declared (fairness.reference)"


@dataclass(frozen=True, slots=True)
class _Compared:
    """Shares in one split that are not judged yet."""

    found: Representation
    settings: FairnessSettings

    @property
    def tests(self) -> Sequence[float]:
        return [] if self.found.p is None else [self.found.p]

    def judged(self, next_adjusted: Callable[[], float]) -> Representation:
        return _judged(self.found, None if self.found.p is None else next_adjusted(), self.settings)


def representation(
    features: Sequence[AuditFeature],
    splits: Mapping[str, Mapping[str, Members]],
    settings: FairnessSettings,
    seed: int,
) -> list[_Compared]:
    """Return the shares of the groups of every sensitive feature in every split, not judged yet.

    Args:
        features: what rows are grouped by; slices of the data are left out.
        splits: rows of every feature, by split. A person counts once, and once in each group he or she is in.
        settings: alpha, delta (a difference of shares), sizes, draws and references.
        seed: of the draws.
    """
    return [
        _Compared(_found(feature, split, _counts(feature, members[feature.name]), settings, seed), settings)
        for feature in features
        if feature.role == "sensitive"
        for split, members in splits.items()
    ]


def _counts(feature: AuditFeature, members: Members) -> NDArray[np.int64]:
    """Return the rows, or persons, of each group (G,)."""
    group, unit = members
    if unit is None:
        return np.array([int((group == name).sum()) for name in feature.groups])
    return np.array([len(np.unique(unit[group == name])) for name in feature.groups])


def _found(
    feature: AuditFeature, split: str, counts: NDArray[np.int64], settings: FairnessSettings, seed: int
) -> Representation:
    level, n = 1 - settings.alpha, int(counts.sum())
    wanted = (settings.reference or {}).get(feature.name)
    shares = tuple(GroupShare(group=name, share=proportion(int(k), n, level), reference=None)
                   for name, k in zip(feature.groups, counts, strict=True))  # fmt: skip
    blank = Representation(feature=feature.name, split=split, shares=shares, test=None, p=None, p_adjusted=None,
                           verdict="not_assessed", words=UNDECLARED)  # fmt: skip
    if wanted is None:
        return blank
    named = [i for i, name in enumerate(feature.groups) if name in wanted]
    expected = np.array([wanted[feature.groups[i]] for i in named])
    seen = counts[named]
    among = {feature.groups[i]: proportion(int(k), int(seen.sum()), level) for i, k in zip(named, seen, strict=True)}
    shares = tuple(replace(one, share=among.get(one.group, one.share), reference=wanted.get(one.group))
                   for one in shares)  # fmt: skip
    rng = stream(seed, "fairness", "representation", feature.name, split)
    test, p = against(seen, expected, rng, settings.permutations)
    judged = int(seen.sum()) >= settings.min_judged
    return replace(blank, shares=shares, test=test if judged else None, p=p if judged else None)


def against(
    seen: NDArray[np.int64], shares: NDArray[np.float64], rng: np.random.Generator, draws: int
) -> tuple[str, float]:
    """Return which test it is, and p of counts (G,) if their true shares were `shares` (G,), which sum to 1."""
    n = int(seen.sum())
    expected = n * shares
    if not n:
        return "none", 1.0
    if expected.min() >= _LEAST_EXPECTED:
        return "chi-square", float(chisquare(seen, expected).pvalue)
    if len(seen) == 2:
        return "exact binomial", float(binomtest(int(seen[0]), n, float(shares[0])).pvalue)
    drawn = rng.multinomial(n, shares, size=draws)
    far, own = ((((counts - expected) ** 2) / expected).sum(axis=-1) for counts in (drawn, seen))
    return "multinomial draws", float((1 + (far >= own * (1 - 1e-9)).sum()) / (draws + 1))


def _judged(found: Representation, p: float | None, settings: FairnessSettings) -> Representation:
    """Return the comparison with corrected p-value, verdict and words."""
    compared = [one for one in found.shares if one.reference is not None]
    if not compared:
        return found
    n = compared[0].share.n
    off = {one.group: (one.share.value or 0.0, one.reference or 0.0) for one in compared}
    verdict, words = "insufficient_evidence", f"too small to judge: {n} rows"
    if p is not None:
        worst = max(off, key=lambda group: abs(off[group][0] - off[group][1]))
        reach = _reach(compared, 1 - 2 * settings.alpha)
        if p <= settings.alpha:
            share, wanted = off[worst]
            verdict, words = "disparity_found", f"{worst}: a share of {share:.3f} instead of {wanted:.3f}"
        elif settings.delta is not None and reach < settings.delta:
            verdict, words = "equivalent_within_delta", f"all shares within {settings.delta:g} of the reference"
        else:
            words = f"no difference shown; a share may be {reach:.3f} off"
    return replace(found, p_adjusted=p, verdict=verdict, words=words)  # type: ignore[arg-type]


def _reach(compared: Sequence[GroupShare], level: float) -> float:
    """Return how far the limits of any share lie from its reference at most: two one-sided tests of each."""
    limits = []
    for one in compared:
        n = one.share.n
        low, high = wilson(round((one.share.value or 0.0) * n), n, level)
        limits += [abs(low - (one.reference or 0.0)), abs(high - (one.reference or 0.0))]
    return max(limits)
