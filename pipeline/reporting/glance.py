"""The first screen in words that are read in ten seconds: what was asked, whether bounds hold, how groups fare."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pipeline.core.bounds import amount_words
from pipeline.core.contracts import (
    DatasetCard,
    FairnessRecord,
    FairnessVerdict,
    FeatureAudit,
    ForecastInputs,
    FrontRecord,
    GroupGap,
    ModelCard,
    Scores,
    SearchRecord,
    Worth,
)
from pipeline.reporting.words import counted, metric_words

SEVERITIES = (
    "not what was asked for",
    "people are treated unequally",
    "explanations or slices are in doubt",
    "probabilities or promised coverage are off",
    "a stage has a note",
    "the data have a note",
)
"""Of warnings, gravest first."""
ORDER = "Within one, the gravest of each kind first; gaps by the end of their interval that is nearer to 0"
"""Of warnings of one severity."""
_ROWS = {"image": "image", "text": "text", "series": "series", "table": "row", "forecast": "series"}
_WORST: tuple[FairnessVerdict, ...] = (
    "disparity_found",
    "insufficient_evidence",
    "equivalent_within_delta",
    "not_assessed",
)


def glance(
    card: DatasetCard, search: SearchRecord, front: FrontRecord, scores: Scores, fairness: FairnessRecord
) -> dict[str, Any]:
    """Return the lines of the first screen that are no scores."""
    return {
        "asked": asked_words(card, search, front),
        "worth": worth_words(scores.worth),
        "bounds": bounds_line(scores),
        "groups": groups_line(fairness),
        "rule": list(SEVERITIES),
        "order": ORDER,
    }


def asked_words(card: DatasetCard, search: SearchRecord, front: FrontRecord) -> str:
    """Return what is to be predicted, what the search minimised, and within which bounds."""
    row, names = _ROWS[card.inputs.kind], ", ".join(target.name for target in card.targets)
    if isinstance(card.inputs, ForecastInputs):
        what = f"forecast {names} {card.inputs.horizon} steps ahead"
    elif card.task == "regression":
        what = f"predict {names} of each {row}"
    elif card.task == "multilabel":
        what = f"say which of {len(card.classes)} labels each {row} has"
    else:
        what = f"say to which of {len(card.classes)} classes each {row} belongs"
    others = front.objectives[1:] if front.declared else ()
    aims = " and ".join(metric_words(name) for name in (search.metric, *others))
    bounds = ", ".join(f"{metric_words(name)} at most {amount_words(b)}" for name, b in search.constraints.items())
    within = f", within bounds: {bounds}" if bounds else ""
    return f"{what[:1].upper()}{what[1:]}; lowest {aims} on validation rows{within}"


def winner_line(model: ModelCard) -> str:
    """Return the winning candidate in one line."""
    fields = [f"{k} {'yes' if v is True else 'no' if v is False else f'{v:.3g}' if isinstance(v, float) else v}"
              for k, v in model.candidate.architecture.items() if k != "kind"]  # fmt: skip
    how = model.candidate.optimizer
    work = f", {model.multiply_adds:,} multiply-adds a row" if model.multiply_adds is not None else ""
    return (
        f"{model.candidate.architecture['kind']}: {', '.join(fields)}; {counted(model.parameters, 'weight')}{work}; "
        f"{how.kind}, learning rate {how.lr:.2g}, batches of {how.batch_size}"
    )


def worth_words(worth: Worth | None) -> str:
    """Return whether the search paid, in one sentence."""
    return worth.sentences[0] if worth is not None and worth.sentences else "Not measured."


def bounds_line(scores: Scores) -> dict[str, Any]:
    """Return whether the bounds of the search hold on test rows, those that do not by name."""
    checks = scores.constraints
    if not checks:
        return {"verdict": "not_assessed", "words": "None were set (search.constraints)"}
    broken, open_ones = (
        [metric_words(check.name) for check in checks if check.verdict == verdict]
        for verdict in ("does not hold", "cannot tell")
    )
    held = len(checks) - len(broken) - len(open_ones)
    words = [f"{held} of {len(checks)} hold{'s' if len(checks) == 1 else ''} on test rows"]
    words += [f"broken: {', '.join(broken)}"] * bool(broken) + [f"cannot tell: {', '.join(open_ones)}"] * bool(
        open_ones
    )
    return {"verdict": "fail" if broken else "warn" if open_ones else "pass", "words": "; ".join(words)}


def groups_line(fairness: FairnessRecord) -> dict[str, Any]:
    """Return the verdicts on groups, counted, and where the group stands that fares worst.

    People go before slices of the data: of slices alone it says that nothing is known of people.
    """
    people = [audit for audit in fairness.audits if audit.role == "sensitive"]
    judged = people or list(fairness.audits)
    unknown = "" if people else "People: not assessed, none are declared (data.sensitive)"
    if not judged:
        return {"verdict": "not_assessed", "words": unknown, "worst": None}
    counts = Counter(audit.verdict for audit in judged)
    verdict = next(v for v in _WORST if counts[v])
    of = f"of {len(judged)} comparison{'s' if len(judged) != 1 else ''}"
    told = ", ".join(f"{v.replace('_', ' ')} in {counts[v]}" for v in _WORST if counts[v])
    words = f"{told} {of}"
    if unknown:
        words = f"{unknown}. Slices of the data: {words}"
    return {"verdict": verdict, "words": f"{words[:1].upper()}{words[1:]}", "worst": _worst(fairness.audits, judged)}


def _worst(audits: Sequence[FeatureAudit], judged: Sequence[FeatureAudit]) -> dict[str, Any] | None:
    """Return the group with the largest disadvantage that was found, as words and pointers; None where none was."""
    found: list[tuple[float, FeatureAudit, GroupGap]] = [
        (abs(gap.gap.value), audit, gap)
        for audit in judged
        for gap in audit.gaps
        if gap.verdict == "disparity_found" and gap.words.startswith("disadvantaged") and gap.gap.value is not None
    ]
    if not found:
        return None
    _, audit, gap = max(found, key=lambda one: one[0])
    at = next(i for i, one in enumerate(audits) if one is audit)
    place = next(i for i, group in enumerate(audit.groups) if group.group == gap.group)
    return {
        "group": gap.group,
        "of": f"{metric_words(audit.metric)} by {audit.feature}",
        "rate": f"/fairness/audits/{at}/groups/{place}/rate",
        "gap": f"/fairness/audits/{at}/gaps/{audit.gaps.index(gap)}/gap",
    }
