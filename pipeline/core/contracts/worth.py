"""What evaluate says of the search itself: how far seeds agree, what it gained, and how far its own number flatters."""

from dataclasses import dataclass
from typing import Literal

from pipeline.core.contracts.number import Number

Rival = Literal["default candidate", "best simple model", "random search"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedScore:
    """The headline metric of one training of the winner, on test rows."""

    name: str
    seed: int
    headline: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedSpread:
    """How much of the headline metric is luck of initial weights and order of rows: all seeds on the same test rows."""

    scores: tuple[SeedScore, ...]
    """The network that is handed on first; it is not picked."""
    mean: Number
    deviation: Number
    """Standard deviation over seeds."""
    lowest: Number
    highest: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The network that is handed on against something that needed no search, or a blind one."""

    other: Rival
    what: str
    """What it is, and whether it is a network."""
    gain: Number
    """Headline metric of the network handed on minus that of the other, paired by row."""
    verdict: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Worth:
    """Was the search worth it? On test rows, with what it cost."""

    sentences: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    search_seconds: Number
    """Wall seconds of the search; of older records training seconds."""
    train_seconds: Number
    """Of the network that is handed on."""
    other_seconds: Number
    """Of further seeds, of the default and of a distilled network, which were trained for comparisons alone."""
    energy_wh: Number
    """Of the search."""
    seconds_per_point: Number
    """Seconds of search for each 0.01 of the headline metric gained over the default candidate."""
    wh_per_point: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class CursePoint:
    """The winner as one set of rows shows it."""

    label: str
    score: Number | None
    """What the search minimises."""
    quality: Number | None
    """What people read beside it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curse:
    """The winner's curse: the lowest of many scores is partly luck, which other rows do not have."""

    metric: str
    """What the score is."""
    quality: str
    points: tuple[CursePoint, ...]
    """Search first, test last."""
    optimism: Number
    """How much better the search saw its winner than test rows do."""
    own: Number
    """How much better the network that is handed on is on validation rows than on test rows."""
    longer: bool
    """Whether that one was trained longer than in the search, so that `own` alone tells of luck."""
    optimism_of: Literal["quality", "score"]
    """What both are differences of."""
    words: str
