"""What there is so far, as a document of the report's shape: parts that are not there are None, and are listed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from numpy.typing import NDArray

from pipeline.core.contracts import (
    TASKS,
    DatasetCard,
    EnsembleRecord,
    Explanations,
    FairnessRecord,
    FrontRecord,
    ModelCard,
    Provenance,
    RobustnessRecord,
    Scores,
    SearchRecord,
)
from pipeline.core.settings import ReportSettings
from pipeline.core.strict import plain
from pipeline.reporting.cautions import DATA, STAGES
from pipeline.reporting.document import (
    Records,
    data_part,
    ensemble_part,
    front_part,
    gallery,
    headline,
    model_part,
    search_part,
)
from pipeline.reporting.glance import SEVERITIES
from pipeline.reporting.schema import SCHEMA_VERSION


@dataclass(frozen=True, kw_only=True)
class SoFar:
    """What some of the stages wrote, and the trials of a study that is not finished."""

    card: DatasetCard | None = None
    search: SearchRecord | None = None
    front: FrontRecord | None = None
    ensemble: EnsembleRecord | None = None
    """None while the study goes on."""
    model: ModelCard | None = None
    scores: Scores | None = None
    robustness: RobustnessRecord | None = None
    explanations: Explanations | None = None
    attributions: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    fairness: FairnessRecord | None = None
    gone: Sequence[str] = ()
    """What is missing, each with the stage that is still to run."""


def partial_document(settings: ReportSettings, found: SoFar, provenance: Sequence[Provenance]) -> dict[str, Any]:
    """Return what there is as plain data, marked as partial."""
    card, search, model = found.card, found.search, found.model
    records = cast(Records, found)  # functions below are handed what is there
    body = {
        "schema_version": SCHEMA_VERSION,
        "partial": True,
        "title": settings.title,
        "purpose": settings.purpose,
        "scope": plain(settings.scope),
        "headline": None if found.scores is None or model is None else headline(records),
        "glance": None,
        "warnings": [{"text": note, "pointer": pointer, "severity": SEVERITIES[level],
                      "kind": DATA if level == -1 else STAGES} for note, pointer, level in _notes(found)],
        "not_assessed": list(found.gone),
        "data": None if card is None else data_part(card),
        "search": None if search is None or card is None else search_part(search) | {
            "quality": TASKS[card.task].quality,
            "front": None if found.front is None else front_part(found.front),
            "ensemble": None if found.ensemble is None else ensemble_part(found.ensemble),
        },
        "model": None if model is None or card is None else model_part(model, TASKS[card.task]),
        "evaluate": None if found.scores is None else plain(found.scores),
        "robustness": None if found.robustness is None else plain(found.robustness),
        "interpret": None if found.explanations is None else plain(found.explanations)
        | {"gallery": gallery(settings, records)},
        "fairness": None if found.fairness is None else plain(found.fairness),
        "cost": None,
        "regulatory": None,
        "provenance": plain(list(provenance)),
    }  # fmt: skip
    assert isinstance(body, dict)
    return body


def _notes(found: SoFar) -> list[tuple[str, str, int]]:
    parts = [(found.search, "/search/notes", -2), (found.model, "/model/notes", -2), (found.card, "/data/notes", -1)]
    return [(note, pointer, level) for part, pointer, level in parts if part is not None for note in part.notes]
