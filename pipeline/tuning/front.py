"""The front of a search: trials that no other betters in all objectives at once, and the one of them to hand on."""

import math
from collections.abc import Sequence

from pipeline.core.contracts import FrontMember, FrontRecord, SearchRecord, TrialRecord
from pipeline.core.objectives import SCORE
from pipeline.metrics.fronts import Point, front, hypervolume

SPEED = "multiply_adds"
"""Stands beside the score where that alone is minimised: every complete trial has it, and it costs nothing."""
_MARGIN = 0.1


def members_of(complete: Sequence[TrialRecord], names: Sequence[str]) -> list[TrialRecord]:
    """Return the trials of the front, lowest score first, the earlier one of equals."""
    ahead = [complete[i] for i in front([_point(trial, names) for trial in complete])]
    return sorted(ahead, key=lambda trial: (*_point(trial, names), trial.number))


def front_of(record: SearchRecord) -> FrontRecord:
    """Return the front of an exported study; where the score alone was minimised, against multiply-adds."""
    declared = len(record.objectives) > 1
    names = record.objectives if declared else (SCORE, SPEED)
    complete = [t for t in record.trials if t.state == "complete" and not t.violations]
    complete = [t for t in complete if all(t.objective(name) is not None for name in names)]
    points = [_point(trial, names) for trial in complete]
    ideal = tuple(min(axis) for axis in zip(*points, strict=True))
    reference = tuple(_beyond(min(axis), max(axis)) for axis in zip(*points, strict=True))
    volume = hypervolume(points, reference) if points else 0.0
    box = math.prod(high - low for low, high in zip(ideal, reference, strict=True))
    return FrontRecord(
        objectives=names,
        metric=record.metric,
        declared=declared,
        compared=len(complete),
        members=tuple(_member(trial, names) for trial in members_of(complete, names)),
        best=record.best,
        default=next((t.number for t in complete if t.origin == "default"), None),
        reference=reference,
        ideal=ideal,
        hypervolume=volume,
        hypervolume_share=volume / box if points else 0.0,
    )


def front_words(found: FrontRecord) -> str:
    """Return the front in one line."""
    names = ", ".join(name.replace("_", " ") for name in found.objectives)
    return (
        f"front of {names}: {len(found.members)} of {found.compared} complete trials, which fill "
        f"{100 * found.hypervolume_share:.1f} % of the box between the best and the worst of each"
    )


def _beyond(low: float, high: float) -> float:
    """Return a reference a little above the largest value, so that trials at the end of the front count as well."""
    return high + _MARGIN * ((high - low) or abs(high) or 1.0)


def _point(trial: TrialRecord, names: Sequence[str]) -> Point:
    found = [trial.objective(name) for name in names]
    return tuple(math.inf if value is None else float(value) for value in found)


def _member(trial: TrialRecord, names: Sequence[str]) -> FrontMember:
    score, *others = _point(trial, names)
    return FrontMember(
        number=trial.number,
        score=score,
        standard_error=trial.standard_error,
        objectives=dict(zip(names[1:], others, strict=True)),
        candidate=trial.candidate,
    )
