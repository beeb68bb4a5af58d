"""What interpret and fairness hand on: explanations and group comparisons with verdicts; and what stands behind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.core.contracts.by_group import (
    DistributionGap,
    FairnessVerdict,
    FoundSlices,
    GroupScores,
    Proxy,
    Representation,
    TradeOff,
)
from pipeline.core.contracts.concepts import Concepts
from pipeline.core.contracts.number import Number

Verdict = Literal["pass", "warn", "fail", "not_assessed"]
_GONE = Number(value=None, n=0, reason="not looked at")


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodCheck:
    """How far one attribution method can be believed on this model."""

    method: str
    baseline: str
    """What "absent" means for this method, in words."""
    promises_completeness: bool
    """Whether the method says that contributions add up; for the others the error is only a fact."""
    completeness: Number
    """Median |sum of attributions - (F(x) - F(baseline))| / |F(x) - F(baseline)|."""
    deletion_gain: Number
    """Mean area between the deletion curves of random order and of this method (positive: better than random)."""
    deletion_curve: tuple[float, ...]
    """Mean probability (numbers: minus the distance from the prediction) after removing 0, 1/k … all of the input,
    most important first."""
    random_curve: tuple[float, ...]
    insertion_gain: Number = _GONE
    """Mean area between the curves of showing the most important alone and of showing at random."""
    insertion_curve: tuple[float, ...] = ()
    """The same as the deletion curve after giving 0, 1/k … all of the input, most important first."""
    infidelity: Number = _GONE
    """Share of the squared changes, when random groups of inputs are removed, that sums of contributions miss."""
    infidelity_gain: Number = _GONE
    """What the same contributions in random places miss more."""
    randomised: Number = _GONE
    """Rank correlation with the maps of the network with shuffled weights: high means that it shows the input.

    Of images and series given how far each place is from the baseline, which most contributions grow with.
    """
    other_baseline: Number = _GONE
    """Rank correlation with the maps towards another baseline."""
    sensitivity: Number = _GONE
    """Largest relative change of a map when its input moves by two hundredths of a deviation."""
    verdict: Verdict
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Whether two methods say the same; a fact, not a verdict."""

    methods: tuple[str, str]
    rank_correlation: Number
    overlap: Number
    """Jaccard index of the tenths with the largest contributions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PermutedPart:
    """What the loss of test rows rises by when a column or channel, or several that go together, are permuted."""

    name: str
    members: tuple[str, ...]
    increase: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class EffectPoint:
    """One place of an accumulated local effect."""

    at: float
    value: float
    low: float
    high: float
    rows: int
    """Test rows between the place before and this one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """How the prediction moves with one number column, others as they are where it is so (accumulated local effect)."""

    name: str
    points: tuple[EffectPoint, ...]
    unit: str | None = None
    """Of the places, where they are no numbers as the file has them: dates are days."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WordScore:
    """A word, in how many texts of a class it stands, and its mean contribution there."""

    word: str
    texts: int
    value: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassWords:
    """Words that speak most for one class, of so many texts that were said to be of it."""

    name: str
    texts: int
    words: tuple[WordScore, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspect:
    """A training row that stands alone: a candidate for a wrong label, or a rare case."""

    row_id: str
    label: str
    said: str
    """What the network says of it."""
    own: float
    """How far a step on the row lowers its own loss."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowInfluence:
    """Training rows that help and hurt the prediction of one explained test row most."""

    index: int
    helps: tuple[str, ...]
    hurts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Influences:
    """Which training rows predictions rest on, tried by fitting the last layer without them."""

    how: str
    gain: Number
    """What the loss of explained rows rises by without those that help most, more than without others of the class."""
    verdict: Verdict
    reason: str
    suspects: tuple[Suspect, ...]
    rows: tuple[RowInfluence, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainedRow:
    """One test row of the gallery; maps lie in attributions.npz under `<method>` at this index."""

    index: int
    row_id: str
    true: str
    predicted: str
    probability: float | None
    """Of what is explained; None where numbers are predicted."""
    why_chosen: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """Mean absolute attribution of one feature (table column or image region) over the explained rows."""

    name: str
    value: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanations:
    """artifacts/interpret/checks.json; arrays in attributions.npz: one (R, …) array per method and `inputs`."""

    schema: Literal[1] = 1
    target: str
    sampling: str
    rows: tuple[ExplainedRow, ...]
    methods: tuple[MethodCheck, ...]
    importance: Mapping[str, tuple[Importance, ...]]
    prechecks: tuple[str, ...] = ()
    """What was made sure of before any map."""
    agreement: tuple[Agreement, ...] = ()
    permuted: tuple[PermutedPart, ...] = ()
    overview: str = ""
    """Of how many rows permuted parts, effects or words are."""
    effects: tuple[Effect, ...] = ()
    effects_of: str = ""
    """Which output the effects are of, in words."""
    words: tuple[ClassWords, ...] = ()
    border: Mapping[str, Number] = field(default_factory=dict)
    """Images: share of each method's contributions on the outer tenth of each side."""
    influences: Influences | None = None
    """Of training rows; none where nobody asked for it."""
    concepts: Concepts | None = None
    """Of concepts with given examples; none where nobody asked for it."""
    notes: tuple[str, ...] = ()
    not_assessed: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupRate:
    """One rate in one group; n of the Number is the rate's own denominator."""

    group: str
    rate: Number
    pooled: float | None = None
    """Of pairs of features: the rate drawn towards that of all rows, by as much as few rows leave open."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupGap:
    """One group against the rest: signed difference, corrected p, smallest gap that could have been seen."""

    group: str
    gap: Number
    p: float | None
    p_adjusted: float | None
    detectable: float | None
    verdict: FairnessVerdict
    words: str
    ratio: Number | None = None
    """Rate of the group over that of the rest; of rates alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureAudit:
    """One metric over the groups of one audit feature."""

    feature: str
    role: Literal["sensitive", "slice"]
    metric: str
    higher_is_better: bool | None
    """None: neither high nor low is."""
    overall: Number
    groups: tuple[GroupRate, ...]
    gaps: tuple[GroupGap, ...]
    spread: Number
    """Highest minus lowest rate of the groups that are large enough to judge."""
    extremes: tuple[str, ...] = ()
    """The groups with the lowest and the highest of these rates."""
    spread_p: float | None
    """Share of random relabellings of the rows with at least this spread."""
    verdict: FairnessVerdict


@dataclass(frozen=True, kw_only=True, slots=True)
class FairnessRecord:
    """artifacts/fairness/groups.json."""

    schema: Literal[1] = 1
    audits: tuple[FeatureAudit, ...]
    positive_class: str | None
    delta: float | None
    tests: int
    """Tests in the family that the Benjamini-Hochberg correction covers."""
    drops: tuple[FeatureAudit, ...] = ()
    """What each corruption at `severity` costs the groups of sensitive features: errors made more, paired by row."""
    severity: int | None = None
    """Of 1 to 5; none: no corruption was tried, or no sensitive feature declared."""
    distributions: tuple[DistributionGap, ...] = ()
    """Where numbers are predicted: how differently predictions and errors are spread, of sensitive features."""
    representation: tuple[Representation, ...] = ()
    """How large the groups of sensitive features are in each split."""
    scores: tuple[GroupScores, ...] = ()
    """Of sensitive features where classes have probabilities."""
    trade_offs: tuple[TradeOff, ...] = ()
    """Two classes: error against gap of each sensitive feature."""
    slices: FoundSlices | None = None
    proxies: tuple[Proxy, ...] = ()
    notes: tuple[str, ...] = ()
    not_assessed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """artifacts/provenance/<stage>.json: what stands behind the numbers of one stage, as it was when the stage ran.

    Where nobody recorded it, or the artifacts are not the recorded ones, stage, command and digests alone are known.
    """

    schema: Literal[1] = 1
    stage: str
    command: str
    digests: Mapping[str, str]
    """SHA-256 of each artifact, by path."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """The settings it read, whole; passwords are hidden."""
    seed: int | None = None
    code: str | None = None
    """SHA-256 over the source of `code_of`."""
    code_of: tuple[str, ...] = ()
    """Packages and modules that it imports, as dvc.yaml lists them."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of Python and the libraries that make numbers."""
    inputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What it read, by the stage that wrote it: SHA-256 by path, as that stage recorded it."""

    @property
    def recorded(self) -> bool:
        """Whether more is known than what lies there."""
        return self.code is not None
