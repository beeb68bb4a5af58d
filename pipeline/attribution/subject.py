"""What is explained, by task: which output of which rows, chosen by a rule that is said and not by the picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import DatasetCard, ForecastInputs

_CLASS_RULE = (
    "a quarter each: most confident mistakes, rows nearest to the boundary, most confident right answers, "
    "and rows drawn at random; quarters that run short are filled at random"
)
_VALUE_RULE = (
    "a quarter each: largest errors, smallest errors, most extreme predictions, and rows drawn at random; "
    "quarters that run short are filled at random"
)


@dataclass(frozen=True)
class Subject:
    """Predictions of all test rows, seen as a question to explain."""

    words: str
    """What is explained."""
    rule: str
    """How rows are chosen."""
    outputs: NDArray[np.int64]
    """The explained output of each row, (N,)."""
    ranked: Mapping[str, Sequence[int]]
    """Rows in order, by why they are worth a look."""
    true: Sequence[str]
    predicted: Sequence[str]
    probability: Sequence[float] | None
    """Of what is explained; None where numbers are predicted."""


def subject_of(card: DatasetCard, y: NDArray[Any], p: NDArray[np.float64]) -> Subject:
    """Return what is explained of truth y and predictions p, both as evaluate sees them."""
    if card.task in ("binary", "multiclass"):
        return _classes(card, y, p)
    if card.task == "multilabel":
        return _label_sets(card, y, p)
    return _values(card, y, p)


def choose_rows(subject: Subject, rows: int, rng: np.random.Generator) -> list[tuple[int, str]]:
    """Return (index, why) of at most `rows` different rows, a quarter for each reason and for chance."""
    ranked = {**subject.ranked, "random": list(rng.permutation(len(subject.outputs)))}
    quarter = max(1, rows // len(ranked))
    chosen: dict[int, str] = {}
    for why, order in ranked.items():
        free = [int(i) for i in order if int(i) not in chosen]
        wanted = rows - len(chosen) if why == "random" else min(quarter, rows - len(chosen))
        chosen |= dict.fromkeys(free[:wanted], why)
    return list(chosen.items())


def _classes(card: DatasetCard, y: NDArray[Any], p: NDArray[np.float64]) -> Subject:
    top = np.sort(p, axis=1)
    right, by_confidence = p.argmax(axis=1) == y, np.argsort(-top[:, -1], kind="stable")
    return Subject(
        words="logit of the predicted class",
        rule=_CLASS_RULE,
        outputs=p.argmax(axis=1),
        ranked={
            "confident mistake": [i for i in by_confidence if not right[i]],
            "near the boundary": list(np.argsort(top[:, -1] - top[:, -2], kind="stable")),
            "confident and right": [i for i in by_confidence if right[i]],
        },
        true=[card.classes[k] for k in y],
        predicted=[card.classes[k] for k in p.argmax(axis=1)],
        probability=[float(v) for v in top[:, -1]],
    )


def _label_sets(card: DatasetCard, y: NDArray[Any], p: NDArray[np.float64]) -> Subject:
    best = p.argmax(axis=1)
    sure, right = p.max(axis=1), y[np.arange(len(y)), best] == 1

    def names(held: NDArray[Any]) -> str:
        return ", ".join(c for c, there in zip(card.classes, held, strict=True) if there) or "(no label)"

    by_confidence = np.argsort(-sure, kind="stable")
    return Subject(
        words="logit of the most probable label",
        rule=_CLASS_RULE,
        outputs=best,
        ranked={
            "confident mistake": [i for i in by_confidence if not right[i]],
            "near the boundary": list(np.argsort(np.abs(p - 0.5).min(axis=1), kind="stable")),
            "confident and right": [i for i in by_confidence if right[i]],
        },
        true=[names(held) for held in y == 1],
        predicted=[names(held) for held in p >= 0.5],
        probability=[float(v) for v in sure],
    )


def _values(card: DatasetCard, y: NDArray[Any], p: NDArray[np.float64]) -> Subject:
    output, words = 0, f"prediction of {card.targets[0].name}, in training standard deviations"
    if isinstance(card.inputs, ForecastInputs):
        output = (card.inputs.horizon - 1) * card.inputs.targets
        words = f"forecast of {card.targets[0].name} {card.inputs.horizon} steps ahead, in training standard deviations"
    predicted, true = p[:, output], y[:, output]
    error = np.nan_to_num(np.abs(predicted - true))
    return Subject(
        words=words,
        rule=_VALUE_RULE,
        outputs=np.full(len(p), output),
        ranked={
            "large error": list(np.argsort(-error, kind="stable")),
            "small error": list(np.argsort(error, kind="stable")),
            "extreme prediction": list(np.argsort(-np.abs(predicted - np.median(predicted)), kind="stable")),
        },
        true=[_shown(v) for v in true],
        predicted=[_shown(v) for v in predicted],
        probability=None,
    )


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
