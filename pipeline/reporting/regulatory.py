"""What a technical documentation asks for, point by point: what this run can fill in, and what a person has to write.

Points follow Annex IV of Regulation (EU) 2024/1689 (AI Act) and the subcategories of the NIST AI Risk Management
Framework 1.0. Dates of application are left out: they depend on the system, and change.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pipeline.core.contracts import Provenance
from pipeline.core.settings import ReportSettings
from pipeline.core.strict import plain
from pipeline.reporting.scope import declared
from pipeline.reporting.words import metric_words

if TYPE_CHECKING:
    from pipeline.reporting.document import Records

CAUTION = "Not legal advice, not a conformity assessment: whether a duty applies, and is met, is for a person to say."
BY_PERSON = "to be written by a person"
Scope = Mapping[str, str | None]
"""report.scope as plain data."""
State = Literal["from this run", "in part from this run", "to be written by a person"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One point of a framework."""

    point: str
    about: str
    found: str = ""
    """What this run says of it, in words."""
    sections: tuple[str, ...] = ()
    """Identities of the sections of the page that say more."""
    by_person: str = ""
    """What is still to be written."""

    @property
    def state(self) -> State:
        """How much of it is there."""
        return BY_PERSON if not self.found else "in part from this run" if self.by_person else "from this run"  # type: ignore[return-value]


def regulatory_map(settings: ReportSettings, records: "Records", provenance: Sequence[Provenance]) -> dict[str, Any]:
    """Return the points of both frameworks as plain data."""
    purpose, made_with = settings.purpose.rstrip("."), _made_with(records, provenance)
    scope = plain(settings.scope)
    return {
        "caution": CAUTION,
        "frameworks": [
            {"name": name, "points": [_plain(point) for point in points(records, purpose, made_with, scope)]}
            for name, points in (("EU AI Act, Annex IV", annex_iv), ("NIST AI RMF 1.0", nist_rmf))
        ],
    }


def annex_iv(b: "Records", purpose: str, made_with: str, scope: Scope) -> Iterator[Point]:
    """Return the points of Annex IV."""
    yield Point(
        point="1",
        about="General description: purpose, versions, hardware, instructions for use",
        found=_joined(purpose, *declared(scope, "intended_use"), made_with),
        sections=("scope", "provenance", "training"),
        by_person=("" if purpose or scope["intended_use"] else "the purpose, ")
        + "provider, forms of delivery, instructions for use",
    )
    yield Point(
        point="2(a)",
        about="Methods and steps of the development, parts made by others",
        found=f"{_search(b)}; each stage with its command, settings and digests",
        sections=("search", "provenance"),
        by_person="parts and data made by others, and their terms",
    )
    yield Point(
        point="2(b)",
        about="Design: what is optimised, choices, assumptions, trade-offs",
        found=f"{_aims(b)}; the winner and what each of its choices was worth as far as measured",
        sections=("search", "training", "evaluation"),
        by_person="why these choices, and what is assumed of the people concerned",
    )
    yield Point(
        point="2(c)",
        about="Architecture and computing resources",
        found=f"{b.model.candidate.architecture['kind']} with {b.model.parameters:,} weights; seconds and energy",
        sections=("training", "cost"),
        by_person="how it is built into a product",
    )
    yield Point(
        point="2(d)",
        about="Data: provenance, selection, labelling, cleaning",
        found=_joined(
            f"{_data(b)}; what was dropped, merged or filled stands in the notes", *declared(scope, "labels_made_by")
        ),
        sections=("scope", "data", "provenance"),
        by_person="how the data were obtained and selected"
        + ("" if scope["labels_made_by"] else ", who labelled them and how"),
    )
    yield Point(
        point="2(e)",
        about="Human oversight, and help with reading outputs",
        found=_joined(_explained(b), *declared(scope, "human_oversight")),
        sections=("scope", "explanations"),
        by_person="" if scope["human_oversight"] else "measures of oversight",
    )
    yield Point(point="2(f)", about="Changes determined in advance", by_person=BY_PERSON)
    yield Point(
        point="2(g)",
        about="Validation and testing: metrics of accuracy and robustness, discriminatory impacts, signed logs",
        found=f"{_tested(b)}; {_robust(b)}; {_grouped(b)}",
        sections=("evaluation", "robustness", "fairness"),
        by_person="a date and the signature of who answers for it",
    )
    yield Point(
        point="2(h)",
        about="Cybersecurity",
        found="Weights are read without executing code; versions are pinned, digests are checked",
        sections=("provenance",),
        by_person="threats to the system around the model, and measures against them",
    )
    yield Point(
        point="3",
        about="Capabilities and limits, accuracy for groups of persons, unintended outcomes, specification of inputs",
        found=_joined(
            f"{_grouped(b)}; warnings, and what was not assessed", *declared(scope, "out_of_scope", "affected_people")
        ),
        sections=("scope", "known", "unknown", "fairness", "data"),
        by_person="foreseeable unintended outcomes, and risks to health, safety and fundamental rights",
    )
    yield Point(
        point="4",
        about="Why the metrics fit the purpose",
        found=f"Metrics used: {'; '.join(metric_words(name) for name in b.scores.metrics)}",
        sections=("evaluation",),
        by_person="why they fit",
    )
    for point, about in (
        ("5", "Risk management system"),
        ("6", "Changes through the lifecycle"),
        ("7", "Standards applied"),
        ("8", "Declaration of conformity"),
        ("9", "Plan for monitoring after placing on the market"),
    ):
        yield Point(point=point, about=about, by_person=BY_PERSON)


def nist_rmf(b: "Records", purpose: str, made_with: str, scope: Scope) -> Iterator[Point]:
    """Return the subcategories that a run can say something of, and those next to them."""
    yield Point(point="GOVERN", about="Policies, responsibilities, culture", by_person=BY_PERSON)
    uses = declared(scope, "intended_use", "out_of_scope", "affected_people")
    yield Point(point="MAP 1.1", about="Purpose and context of use", found=_joined(purpose, *uses), sections=("scope",),
                by_person="context, users, laws")  # fmt: skip
    yield Point(point="MAP 2.1", about="Task and methods", sections=("data", "search"),
                found=f"{b.card.task} of {b.card.inputs.kind} data; {_search(b)}")  # fmt: skip
    yield Point(point="MAP 2.2", about="Limits of knowledge", sections=("scope", "unknown"),
                found=_joined("What was not assessed", *declared(scope, "human_oversight")),
                by_person="" if scope["human_oversight"] else "how people oversee outputs")  # fmt: skip
    yield Point(point="MEASURE 2.1", about="Test sets, metrics and tools", found=f"{_tested(b)}; {made_with}",
                sections=("evaluation", "provenance"))  # fmt: skip
    yield Point(point="MEASURE 2.2", about="Evaluations with people", by_person=BY_PERSON)
    yield Point(point="MEASURE 2.3", about="Performance in conditions like those of use", found=_tested(b),
                sections=("evaluation",), by_person="whether test rows are like those of use")  # fmt: skip
    yield Point(point="MEASURE 2.4", about="Behaviour in production", by_person=BY_PERSON)
    yield Point(point="MEASURE 2.5", about="Validity, reliability, limits",
                found=f"Intervals of all scores; {_robust(b)}", sections=("evaluation", "robustness", "known"),
                by_person="limits beyond these data")  # fmt: skip
    yield Point(point="MEASURE 2.6", about="Safety", by_person=BY_PERSON)
    yield Point(point="MEASURE 2.7", about="Security and resilience", found=_attacked(b), sections=("robustness",),
                by_person="security of the system around the model")  # fmt: skip
    yield Point(point="MEASURE 2.8", about="Transparency and accountability",
                found="Every number says where it comes from", sections=("provenance",),
                by_person="who answers for what")  # fmt: skip
    yield Point(point="MEASURE 2.9", about="The model is explained", found=_explained(b), sections=("explanations",),
                by_person="what the explanations mean in the context of use")  # fmt: skip
    yield Point(point="MEASURE 2.10", about="Privacy", by_person=BY_PERSON)
    yield Point(point="MEASURE 2.11", about="Fairness and bias", sections=("fairness",),
                found=_grouped(b) if _people(b) else "",
                by_person="bias of labels, and of the decision made with the prediction")  # fmt: skip
    yield Point(point="MEASURE 2.12", about="Environment", found=_energy(b), sections=("cost",), by_person="emissions")
    yield Point(point="MEASURE 2.13", about="Whether the metrics do what they should", by_person=BY_PERSON)
    yield Point(point="MANAGE", about="Decisions on risks, response, monitoring", by_person=BY_PERSON)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _plain(point: Point) -> dict[str, Any]:
    body = plain(point)
    assert isinstance(body, dict)
    return body | {"state": point.state, "sections": body["sections"] if point.found else []}


def _made_with(b: "Records", provenance: Sequence[Provenance]) -> str:
    versions = next((stage.versions for stage in provenance if "torch" in stage.versions), {})
    known = ", ".join(f"{name} {versions[name]}" for name in ("python", "torch") if name in versions)
    return f"trained on {b.model.device}{f' with {known}' if known else ''}"


def _search(b: "Records") -> str:
    return f"{len(b.search.trials):,} trial{'s' if len(b.search.trials) != 1 else ''} of study {b.search.study}"


def _aims(b: "Records") -> str:
    bounds = f" within {len(b.search.constraints)} bounds" if b.search.constraints else ""
    others = ", ".join(metric_words(name) for name in b.search.objectives[1:])
    return f"lowest {metric_words(b.search.metric)}{f' and {others}' if others else ''} on validation rows{bounds}"


def _data(b: "Records") -> str:
    rows = ", ".join(f"{n:,} {split}" for split, n in b.card.rows.items())
    return f"{b.card.name}: rows {rows}; SHA-256 {b.card.source_digest[:12]}…"


def _tested(b: "Records") -> str:
    return f"{len(b.scores.metrics)} metrics on {b.card.rows['test']:,} test rows that no choice was made on"


def _robust(b: "Records") -> str:
    found = len(b.robustness.degradations)
    return f"{found} corruptions at five severities" if found else "robustness was not assessed"


def _attacked(b: "Records") -> str:
    found = [attack.attack.upper() for attack in b.robustness.attacks]
    return f"Attacks {', '.join(found)}" if found else ""


def _people(b: "Records") -> set[str]:
    return {audit.feature for audit in b.fairness.audits if audit.role == "sensitive"}


def _grouped(b: "Records") -> str:
    people = _people(b)
    return (
        f"groups by {', '.join(sorted(people))}"
        if people
        else "no sensitive feature was declared, so no group of persons was assessed"
    )


def _explained(b: "Records") -> str:
    said = [f"{m.method.replace('_', ' ')} ({m.verdict})" for m in b.explanations.methods]
    return f"attributions: {', '.join(said)}" if said else ""


def _energy(b: "Records") -> str:
    if b.search.energy_wh is None and b.model.energy_wh is None:
        return ""
    return f"{(b.search.energy_wh or 0.0) + (b.model.energy_wh or 0.0):.3g} Wh of search and training"
