"""The shape of report.json: the records of the stages, as far as `document` changes them, and what it adds."""

from typing import Any, Literal, NotRequired, TypedDict

from pipeline.core.arms import Arm
from pipeline.core.contracts import (
    DatasetCard,
    EnsembleRecord,
    Explanations,
    FairnessRecord,
    FrontMember,
    FrontRecord,
    Member,
    ModelCard,
    Number,
    Provenance,
    RobustnessRecord,
    Scores,
    SearchRecord,
    TextInputs,
    TrialRecord,
)
from pipeline.core.schema import DIALECT, Change, Schema, Schemas
from pipeline.core.settings import ScopeSettings

SCHEMA_VERSION = 1
"""Of report.json; it grows when something that stood there before means something else or is gone."""


class Headline(TypedDict):
    """The first screen; places are JSON pointers."""

    metric: str
    score: str
    winner: str
    verdict: str
    baseline: NotRequired[str]
    gain: NotRequired[str]
    baseline_name: NotRequired[str]


class Bounds(TypedDict):
    """Whether the bounds of the search hold on test rows."""

    verdict: str
    words: str


class WorstGroup(TypedDict):
    """The group with the largest disadvantage that was found; rate and gap are JSON pointers."""

    group: str
    of: str
    rate: str
    gap: str


class Groups(TypedDict):
    """How groups of people fare, in one line."""

    verdict: str
    words: str
    worst: WorstGroup | None


class Glance(TypedDict):
    """The lines of the first screen that are no scores."""

    asked: str
    worth: str
    bounds: Bounds
    groups: Groups
    rule: list[str]
    order: str


class Warned(TypedDict):
    """What a reader must know, how grave it is, of which kind, and where it stands."""

    severity: str
    kind: str
    text: str
    pointer: str


class MapPoint(TypedDict):
    """A point of a framework: what it asks for, what the run says of it, and what is left to a person."""

    point: str
    about: str
    found: str
    sections: list[str]
    by_person: str
    state: str


class Framework(TypedDict):
    """A framework and its points."""

    name: str
    points: list[MapPoint]


class RegulatoryMap(TypedDict):
    """What technical documentation asks for."""

    caution: str
    frameworks: list[Framework]


class Map(TypedDict):
    """Contributions as whole numbers of -127 to 127, which stand for -scale to scale."""

    scale: float
    values: list[Any]


class GalleryRow(TypedDict):
    """An explained row, as far as it may be shown."""

    index: int
    row_id: NotRequired[str]
    true: str
    predicted: str
    probability: float | None
    why_chosen: str
    input: NotRequired[list[Any]]
    maps: dict[str, Map]


class Gallery(TypedDict):
    """Explained rows."""

    kind: Literal["image", "table", "text", "series"]
    columns: list[str]
    rows: list[GalleryRow]
    caption: str
    raw: bool


class StageCost(TypedDict):
    """What a stage took."""

    stage: str
    wall: Number
    processor: Number
    accelerator: Number
    energy: Number
    energy_of: str


class FolderSize(TypedDict):
    """What a folder takes."""

    folder: str
    size: Number


class Cost(TypedDict):
    """What finding and training the network took."""

    stages: list[StageCost]
    disk: list[FolderSize]


class Report(TypedDict):
    """A report of archline: all that its page shows."""

    schema_version: Literal[1]
    title: str
    purpose: str
    license: str
    scope: ScopeSettings
    headline: Headline
    glance: Glance
    warnings: list[Warned]
    not_assessed: list[str]
    data: DatasetCard
    search: SearchRecord
    model: ModelCard
    evaluate: Scores
    robustness: RobustnessRecord
    interpret: Explanations
    fairness: FairnessRecord
    cost: Cost
    regulatory: RegulatoryMap
    provenance: list[Provenance]


_CHANGES = {
    TrialRecord: Change(without=("traceback",), more={"broken": list[str]}),
    SearchRecord: Change(
        more={"arms": list[Arm], "counts": dict[str, int], "front": FrontRecord, "ensemble": EnsembleRecord}
    ),
    FrontMember: Change(without=("candidate",)),
    Member: Change(without=("candidate",)),
    ModelCard: Change(without=("inputs",), more={"score": str, "quality": str}),
    TextInputs: Change(more={"vocabulary": int}),
    Explanations: Change(more={"gallery": Gallery}),
}
"""What `document` leaves out of the records, and what it adds."""


def report_schema() -> Schema:
    """Return the JSON Schema of report.json."""
    schemas = Schemas(_CHANGES)
    top = schemas.of(Report)
    return {
        "$schema": DIALECT,
        "$id": f"urn:archline:report:{SCHEMA_VERSION}",
        "title": "report.json",
        **top,
        "$defs": dict(sorted(schemas.definitions.items())),
    }
