"""Directions of concepts and what outputs do along them → numbers with intervals, and which concepts outputs rest on.

Directions of one concept share its examples. A test of scores by run (Kim et al. 2018, section 3.3) takes them for
independent, so it calls significant any concept that a layer knows at all. Hence a second test, in which each example
counts once: whether examples lie elsewhere than random rows along the gradient of the output. Both have to speak, for
the same side: the larger p counts (intersection-union test, Berger 1982).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import ConceptDirection, Concepts, ConceptScore, Number
from pipeline.metrics.intervals import mean, mean_gap, moments, welch, wilson

Values = NDArray[np.float64]

ALPHA = 0.05
LEAST_ROWS = 5
"""Rows of an output, below which its gradient is not averaged."""
_LEVEL = 0.95
_GUESSING = 0.5
_FEW = f"fewer than {LEAST_ROWS} test rows"


def concept_direction(name: str, layer: str, examples: int, correct: Values) -> ConceptDirection:
    """Return how well examples are told from as many random rows; `correct`: share held out that is, by run (I,).

    Runs look at the same examples, so n is examples and random rows of one run, not of all.
    """
    n, share = 2 * examples, float(correct.mean())
    low, high = wilson(round(share * n), n, _LEVEL)
    accuracy = Number(value=share, ci_low=min(low, share), ci_high=max(high, share), ci_level=_LEVEL,
                      ci_method="Wilson", n=n)  # fmt: skip
    return ConceptDirection(name=name, layer=layer, examples=examples, accuracy=accuracy)


def concept_score(
    of: ConceptDirection, output: str, scores: Values, random: Values, along: Values, pool: Values
) -> ConceptScore:
    """Return what a concept does to one output, before the correction of p.

    Scores along it and along random directions, by run (I,); examples (E,) and random rows (P,) along the gradient.
    """
    if of.accuracy.ci_low is None or of.accuracy.ci_low <= _GUESSING:
        return no_score(of, output, "its examples are not shown to be told from random rows")
    p, same = 1.0, (scores.mean() > random.mean()) == (along.mean() > pool.mean())
    if same:
        p = max(_p(scores, random), _p(along, pool))
    return ConceptScore(
        name=of.name, layer=of.layer, output=output, score=_share(scores), random=_share(random),
        shift=mean_gap(moments(along), moments(pool), _LEVEL), p=p, p_adjusted=None, verdict="not_shown",
        reason="" if same else "its direction and its examples point to different sides",
    )  # fmt: skip


def _share(values: Values) -> Number:
    """Return the mean of shares, which no limit goes beyond."""
    found = mean(values, _LEVEL)
    if found.ci_low is None or found.ci_high is None:
        return found
    return replace(found, ci_low=max(0.0, found.ci_low), ci_high=min(1.0, found.ci_high))


def no_score(of: ConceptDirection, output: str, reason: str = _FEW) -> ConceptScore:
    """Return that nothing can be said, and why."""
    none = Number(value=None, n=0, reason=reason)
    return ConceptScore(name=of.name, layer=of.layer, output=output, score=none, random=none, shift=none, p=None,
                        p_adjusted=None, verdict="insufficient_evidence", reason=reason)  # fmt: skip


def _p(one: Values, two: Values) -> float:
    """Return Welch's two-sided p; sides without any spread say nothing where they are equal, all where they are not."""
    try:
        return welch(moments(one), moments(two))[2]
    except ValueError:
        return 1.0 if one.mean() == two.mean() else 0.0


def concept_record(
    how: str, runs: int, directions: Sequence[ConceptDirection], scores: Sequence[ConceptScore], reduced: Sequence[str]
) -> Concepts:
    """Return the record, with the verdict on each concept, output and layer."""
    adjusted = holm({i: one.p for i, one in enumerate(scores) if one.p is not None}, len(scores))
    return Concepts(how=how, runs=runs, tests=len(scores), alpha=ALPHA, directions=tuple(directions),
                    scores=tuple(_judged(one, adjusted.get(i)) for i, one in enumerate(scores)),
                    reduced=tuple(reduced))  # fmt: skip


def holm(p: Mapping[int, float], tests: int) -> dict[int, float]:
    """Return p after Holm (1979), by key; `tests` counts those without p as well, as if theirs were 1."""
    found, largest = {}, 0.0
    for place, key in enumerate(sorted(p, key=lambda key: p[key])):
        largest = max(largest, min(1.0, (tests - place) * p[key]))
        found[key] = largest
    return found


def _judged(one: ConceptScore, adjusted: float | None) -> ConceptScore:
    if adjusted is None:
        return one
    if adjusted < ALPHA:
        assert one.shift.value is not None
        words = "raises" if one.shift.value > 0 else "lowers"
        return replace(one, p_adjusted=adjusted, verdict="used", reason=f"the concept {words} the output")
    return replace(one, p_adjusted=adjusted, reason=one.reason or "not shown to differ from random directions and rows")
