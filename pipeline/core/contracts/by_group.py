"""What fairness finds beside rates and gaps: scores by group, ways to decide, slices, proxies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline.core.contracts.number import Number

Curve = tuple[tuple[float, ...], ...]
FairnessVerdict = Literal["disparity_found", "equivalent_within_delta", "insufficient_evidence", "not_assessed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DistributionGap:
    """How differently predictions or errors are spread in one group and in the rest."""

    feature: str
    group: str
    of: str
    """predictions or errors; with several targets also of which one."""
    statistic: Number
    """Kolmogorov-Smirnov: the largest difference between the shares of values up to some x; n are the group's rows."""
    p: float | None
    p_adjusted: float | None
    distance: Number
    """Wasserstein: what values would have to move by, on average, to be spread as in the rest."""
    by_chance: Number
    """The same when rows are dealt out anew: without it the distance means little."""
    verdict: FairnessVerdict
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupShare:
    """How large a group is among the rows of a split, or among those of all groups that have a reference."""

    group: str
    share: Number
    reference: float | None
    """The share that was declared before the run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Representation:
    """The groups of a sensitive feature in one split, beside the shares they should have."""

    feature: str
    split: str
    shares: tuple[GroupShare, ...]
    test: str | None
    """chi-square, exact binomial, or multinomial draws where the groups are too small for either."""
    p: float | None
    p_adjusted: float | None
    verdict: FairnessVerdict
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupScores:
    """How good probabilities are in one group of a sensitive feature."""

    feature: str
    group: str
    brier: Number
    ece: Number
    """Expected calibration error of the predicted class."""
    ece_null: Number
    """The same of a calibrated model on so many rows, by chance: without it the first means little."""
    above: Number | None = None
    """Two classes: mean probability of the positive one minus its share; above 0: over-predicted."""
    auroc: Number | None = None
    """Two classes: how well probabilities rank rows of this group."""
    set_size: Number | None = None
    """Classes in the sets that promise to hold the truth."""
    roc: Curve = ()
    """(false, true positive rate) from the highest threshold down."""
    by_threshold: Curve = ()
    """(threshold, selection rate, true positive rate, false positive rate)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """One way to decide about test rows: its error beside the gap between groups."""

    name: str
    error: Number
    """Share of rows decided wrongly."""
    gap: Number
    front: bool
    """Whether no other way has both a smaller error and a smaller gap."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Probability from which each group is decided positive, where that depends on the group."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """From one way to decide to another, on the same rows."""

    start: str
    end: str
    error: Number
    """Error there minus error here."""
    gap: Number
    """Gap there minus gap here; its interval is of a bootstrap, and a gap is never below 0."""
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TradeOff:
    """Error against one gap of one sensitive feature, over all ways to decide that are stored."""

    feature: str
    gap: str
    decisions: tuple[Decision, ...]
    """The network that is handed on first."""
    moves: tuple[Move, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundSlice:
    """Rows by a rule that was found on one half of the test rows, measured on the other."""

    rule: str
    error: Number
    rest: Number
    gap: Number
    p_adjusted: float
    verdict: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundSlices:
    """Where errors gather, looked for with a tree of depth 3."""

    searched: int
    """Rows the rules were found on."""
    measured: int
    """Rows they are measured on."""
    properties: tuple[str, ...]
    slices: tuple[FoundSlice, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Proxy:
    """How well a probe tells the groups of a sensitive feature apart without being told."""

    feature: str
    source: str
    """What the probe sees: inputs, or the network's own features."""
    auroc: Number
    """Mean over groups, each against the rest, on rows the probe was not fitted on; one half is chance."""
    columns: tuple[tuple[str, float], ...] = ()
    """Tables: what each of the most telling columns reaches alone."""
