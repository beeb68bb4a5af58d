"""All records to one JSON document, the only source of the page. Nothing here is measured, only put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arms import arms_of
from pipeline.core.contracts import (
    TASKS,
    DatasetCard,
    EnsembleRecord,
    Explanations,
    FairnessRecord,
    ForecastInputs,
    FrontRecord,
    Inputs,
    ModelCard,
    Provenance,
    RobustnessRecord,
    Scores,
    SearchRecord,
    SeriesInputs,
    TableInputs,
    TaskFacts,
    TextInputs,
    best_baseline,
)
from pipeline.core.settings import ReportSettings
from pipeline.core.strict import plain
from pipeline.reporting.cautions import warnings
from pipeline.reporting.costs import cost_part, energy_not_assessed
from pipeline.reporting.glance import glance, winner_line
from pipeline.reporting.regulatory import regulatory_map
from pipeline.reporting.schema import SCHEMA_VERSION
from pipeline.reporting.scope import unwritten

_GALLERY_ROWS = 12
_CURVE_POINTS = 60


@dataclass(frozen=True)
class Records:
    """What the stages before wrote."""

    card: DatasetCard
    search: SearchRecord
    front: FrontRecord
    ensemble: EnsembleRecord
    model: ModelCard
    scores: Scores
    robustness: RobustnessRecord
    explanations: Explanations
    attributions: Mapping[str, NDArray[Any]]
    fairness: FairnessRecord
    disk: Mapping[str, int] = field(default_factory=dict)
    """Bytes of the folders that stages wrote."""


def document(settings: ReportSettings, records: Records, provenance: Sequence[Provenance]) -> dict[str, Any]:
    """Return the report as plain data; the same records give the same document."""
    head = headline(records)
    body = {
        "schema_version": SCHEMA_VERSION,
        "title": settings.title,
        "purpose": settings.purpose,
        "license": settings.license,
        "scope": plain(settings.scope),
        "headline": head,
        "glance": glance(records.card, records.search, records.front, records.scores, records.fairness),
        "warnings": warnings(records, str(head["verdict"])),
        "not_assessed": not_assessed(settings, records),
        "data": data_part(records.card),
        "search": search_part(records.search)
        | {"front": front_part(records.front), "ensemble": ensemble_part(records.ensemble)},
        "model": model_part(records.model, TASKS[records.card.task]),
        "evaluate": plain(records.scores),
        "robustness": plain(records.robustness),
        "interpret": plain(records.explanations) | {"gallery": gallery(settings, records)},
        "fairness": plain(records.fairness),
        "cost": cost_part(records.search, records.model, records.explanations, records.disk),
        "regulatory": regulatory_map(settings, records, provenance),
        "provenance": plain(list(provenance)),
    }
    assert isinstance(body, dict)
    return body


def headline(records: Records) -> dict[str, Any]:
    """Return the pointers and words of the first screen."""
    best = best_baseline(records.scores.baselines, records.scores.headline)
    found: dict[str, Any] = {
        "metric": records.scores.headline,
        "score": f"/evaluate/metrics/{records.scores.headline}",
        "winner": winner_line(records.model),
        "verdict": "no baseline was fitted",
    }
    if best is not None:
        at = records.scores.baselines.index(best)
        gain = best.gain
        name = best.name.replace("_", " ")
        if gain.ci_low is not None and gain.ci_low > 0:
            words = f"better than the best simple model ({name})"
        elif gain.ci_high is not None and gain.ci_high < 0:
            words = f"worse than a simple model ({name}): use that instead"
        else:
            words = f"not shown to be better than a simple model ({name})"
        pointer = f"/evaluate/baselines/{at}"
        found |= {
            "verdict": words,
            "baseline": f"{pointer}/metrics/{records.scores.headline}",
            "gain": f"{pointer}/gain",
        }
        found["baseline_name"] = name
    return found


def not_assessed(settings: ReportSettings, records: Records) -> list[str]:
    """Return what this report says nothing about."""
    purpose = [] if settings.purpose else ["purpose of the model: a person has to write it (report.purpose)"]
    if blank := unwritten(plain(settings.scope)):
        purpose.append(f"scope: a person has to write {', '.join(blank)} (report.scope)")
    general = [
        "spread over several searches: this is one"
        if records.scores.seeds is not None
        else "spread over several seeds of search and training: this is one run",
        *energy_not_assessed(records.search, records.model),
    ]
    assessed = (records.fairness, records.explanations, records.robustness)
    return [*purpose, *(gone for part in assessed for gone in part.not_assessed), *general]


def data_part(card: DatasetCard) -> dict[str, Any]:
    """Return the card; a vocabulary is counted, not listed."""
    body = plain(card)
    if isinstance(card.inputs, TextInputs):
        body["inputs"]["vocabulary"] = len(card.inputs.vocabulary)
    assert isinstance(body, dict)
    return body


def search_part(record: SearchRecord) -> dict[str, Any]:
    """Return the study without tracebacks; those stay in trials.parquet."""
    body = plain(record)
    for trial, found in zip(body["trials"], record.trials, strict=True):
        trial.pop("traceback")
        trial["broken"] = sorted(found.violations)
    states = [t.state for t in record.trials]
    body["arms"] = plain(arms_of(record.trials))
    body["counts"] = {state: states.count(state) for state in ("complete", "pruned", "failed")}
    assert isinstance(body, dict)
    return body


def front_part(record: FrontRecord) -> dict[str, Any]:
    """Return the front without its candidates; those stand among the trials."""
    body = plain(record)
    for member in body["members"]:
        member.pop("candidate")
    assert isinstance(body, dict)
    return body


def ensemble_part(record: EnsembleRecord) -> dict[str, Any]:
    """Return the ensembles without their candidates; those stand among the trials."""
    body = plain(record)
    mixed = body["mixed"]["members"] if body["mixed"] else []
    for member in (*body["members"], *mixed):
        member.pop("candidate")
    assert isinstance(body, dict)
    return body


def model_part(model: ModelCard, facts: TaskFacts) -> dict[str, Any]:
    """Return the card; long learning curves are thinned, the last epoch stays."""
    body = plain(model)
    body.pop("inputs")
    epochs = body["epochs"]
    step = max(1, -(-len(epochs) // _CURVE_POINTS))
    body["epochs"] = [e for i, e in enumerate(epochs) if i % step == step - 1 or i == len(epochs) - 1]
    assert isinstance(body, dict)
    return body | {"score": facts.score, "quality": facts.quality}


def gallery(settings: ReportSettings, records: Records) -> dict[str, Any]:
    """Return explained rows with whole-number maps (-127 to 127) and their scale.

    Inputs are shown for images and series without sensitive features; texts and rows of tables are people more often
    than not: texts are shown only where report.include_raw says so, and without it rows of tables only by their
    contributions.
    """
    inputs = records.card.inputs
    names = [c.name for c in inputs.columns] if isinstance(inputs, TableInputs) else []
    if isinstance(inputs, TextInputs) and not settings.include_raw:
        return {"kind": "text", "columns": [], "rows": [], "raw": False,
                "caption": "none are shown: texts may tell of people (report.include_raw=true shows them)"}  # fmt: skip
    rows = records.explanations.rows[:_GALLERY_ROWS]
    private = any(f.role == "sensitive" for f in records.card.audit) and not settings.include_raw
    shown = []
    for i, row in enumerate(rows):
        entry: dict[str, Any] = plain(row) | {"maps": {}}
        if private or (isinstance(inputs, TableInputs) and not settings.include_raw):
            entry.pop("row_id")
        else:
            entry["input"] = shown_input(inputs, records.attributions["inputs"][i])
        for method in records.explanations.methods:
            values = np.nan_to_num(records.attributions[method.method][i].astype(float))
            values = values.sum(axis=0) if values.ndim == 3 else values
            scale = float(np.abs(values).max()) or 1.0
            entry["maps"][method.method] = {
                "scale": round(scale, 6),
                "values": np.round(values / scale * 127).astype(int).tolist(),
            }
        shown.append(entry)
    of = f"showing {len(shown)} of {len(records.explanations.rows)} explained rows"
    kind = "series" if isinstance(inputs, ForecastInputs) else inputs.kind
    return {"kind": kind, "columns": names, "rows": shown, "caption": of, "raw": settings.include_raw}


def shown_input(inputs: Inputs, x: NDArray[Any]) -> list[Any]:
    """Return an input as plain data: bytes of an image, words, or values with None where they are missing."""
    if isinstance(inputs, TextInputs):
        return ["\u25a1" if number == 1 else inputs.vocabulary[number - 2] for number in x[x > 0]]
    if isinstance(inputs, TableInputs):
        return raw_values(inputs, x)
    if isinstance(inputs, SeriesInputs | ForecastInputs):
        return [[None if np.isnan(v) else round(float(v), 6) for v in channel] for channel in x]
    found: list[Any] = x.tolist()
    return found


def raw_values(inputs: TableInputs, x: NDArray[Any]) -> list[str]:
    """Return what a packed row has in each column, in words."""
    marks = iter(x[len(inputs.columns) :])
    found = []
    for column, value in zip(inputs.columns, x, strict=False):
        if column.kind == "categorical":
            found.append(column.categories[int(value) - 1] if value >= 1 else "(unknown or rare)")
        else:
            gone = column.missing and next(marks) > 0
            shown = f"{float(value):,.0f}" if abs(value) >= 1000 else f"{float(value):.4g}"
            shown = shown if column.since is None else column.said(float(value))
            found.append("(missing)" if gone else shown)
    return found
