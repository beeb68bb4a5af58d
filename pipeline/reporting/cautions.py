"""What a reader must know before believing the numbers: by severity, and within one the gravest of each kind first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.bounds import amount_words, violation_words
from pipeline.core.contracts import FairnessRecord, GroupGap, Number, Scores
from pipeline.reporting.glance import SEVERITIES
from pipeline.reporting.words import metric_words

if TYPE_CHECKING:
    from pipeline.reporting.document import Records

ASKED, EXPLAINED, PROMISED = "what was asked for", "explanation methods", "probabilities and promised coverage"
STAGES, DATA = "notes of search, training and evaluation", "notes on the data"


@dataclass(frozen=True, kw_only=True, slots=True)
class Caution:
    """One warning."""

    level: int
    """Place of its severity; below 0 where nothing else matters."""
    kind: str
    """Warnings of one kind are told together."""
    text: str
    pointer: str
    grave: float = 0.0
    """Within a severity and kind: the larger, the graver."""


def warnings(records: "Records", verdict: str) -> list[dict[str, str]]:
    """Return what a reader must know, gravest first; `verdict` is that of the headline.

    Equals in severity stand in rounds: the gravest of each kind, then the second of each, and so on; gaps between
    groups by what their interval leaves of them at least, so that few rows weigh less; all else as the stages ran.
    """
    found = [*_asked(records, verdict), *_gaps(records.fairness), *_explained(records), *_promised(records.scores)]
    said = {one.text for one in found}
    stages = {
        "search": [note for note in records.search.notes if note not in said],
        "model": records.model.notes,
        "interpret": records.explanations.notes[1:],
        "evaluate": records.scores.notes,
    }
    found += [
        Caution(level=4, kind=STAGES, text=note, pointer=f"/{part}/notes")
        for part, notes in stages.items()
        for note in notes
    ]
    found += [Caution(level=5, kind=DATA, text=note, pointer="/data/notes") for note in records.card.notes]
    return [
        {"text": one.text, "pointer": one.pointer, "severity": SEVERITIES[max(one.level, 0)], "kind": one.kind}
        for one in in_order(found)
    ]


def in_order(found: Sequence[Caution]) -> list[Caution]:
    """Return cautions by severity; those of one severity in rounds over their kinds."""
    ranked = sorted(found, key=lambda one: (one.level, -one.grave))
    rounds: dict[tuple[int, str], int] = {}
    placed = []
    for one in ranked:
        place = rounds.get((one.level, one.kind), 0)
        rounds[one.level, one.kind] = place + 1
        placed.append((one.level, place, -one.grave, one))
    return [one for *_, one in sorted(placed, key=lambda each: each[:3])]


def _asked(records: "Records", verdict: str) -> Iterator[Caution]:
    """Yield what was asked for and is not there."""
    if records.search.feasible is False:
        best = records.search.trial(records.search.best)
        closest = f"no feasible model: the closest, trial {best.number}, has {violation_words(best.amounts)}"
        yield Caution(level=-1, kind=ASKED, text=closest, pointer="/search/constraints")
    for i, check in enumerate(records.scores.constraints):
        if check.verdict == "does not hold":
            text = f"{metric_words(check.name)}: the bound {amount_words(check.bound)} does not hold on test rows"
            yield Caution(level=0, kind=ASKED, text=text, pointer=f"/evaluate/constraints/{i}")
    if not verdict.startswith("better"):
        yield Caution(level=0, kind=ASKED, text=verdict, pointer="/headline/verdict")


def _gaps(fairness: FairnessRecord) -> Iterator[Caution]:
    for part, items in (("audits", fairness.audits), ("drops", fairness.drops)):
        for i, item in enumerate(items):
            for gap in (g for g in item.gaps if g.words.startswith("disadvantaged")):
                yield Caution(
                    level=1 if item.role == "sensitive" else 2,
                    kind=f"groups by {item.feature}" if item.role == "sensitive" else f"slices by {item.feature}",
                    text=f"{item.metric.replace('_', ' ')} by {item.feature}: {gap.group} is {gap.words}",
                    pointer=f"/fairness/{part}/{i}",
                    grave=at_least(gap),
                )
    for i, shares in enumerate(fairness.representation):
        if shares.verdict == "disparity_found":
            text = f"{shares.feature} in {shares.split} rows is not as declared: {shares.words}"
            yield Caution(level=1, kind="declared shares of groups", text=text, pointer=f"/fairness/representation/{i}")


def at_least(gap: GroupGap) -> float:
    """Return the size of a gap at the end of its interval that is nearer to 0; 0 where the interval holds it."""
    number: Number = gap.gap
    if number.value is None or number.ci_low is None or number.ci_high is None:
        return 0.0
    return max(0.0, number.ci_low, -number.ci_high)


def _explained(records: "Records") -> Iterator[Caution]:
    for i, method in enumerate(records.explanations.methods):
        if method.verdict in ("fail", "warn"):
            text = f"{method.method.replace('_', ' ')}: {method.reason}"
            yield Caution(level=2, kind=EXPLAINED, text=text, pointer=f"/interpret/methods/{i}")


def _promised(scores: Scores) -> Iterator[Caution]:
    ece, null = scores.metrics.get("ece"), scores.metrics.get("ece_null")
    if ece and null and ece.value is not None and null.ci_high is not None and ece.value > null.ci_high:
        text = "probabilities are less calibrated than chance explains"
        yield Caution(level=3, kind=PROMISED, text=text, pointer="/evaluate/metrics/ece")
    for text in promise_warnings(scores):
        yield Caution(level=3, kind=PROMISED, text=text, pointer="/evaluate/conformal")


def promise_warnings(scores: Scores) -> tuple[str, ...]:
    """Return what a reader must know of sets or intervals before believing them."""
    found = scores.conformal
    if found is None or found.verdict == "kept":
        return ()
    if found.verdict == "insufficient_evidence":
        return (f"no {found.kind} with a promised coverage: {found.notes[0]}",) if found.notes else ()
    return (f"{found.kind} that promise to hold the truth in {found.promised:.4g} of rows hold it less often",)
