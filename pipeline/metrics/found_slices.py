"""Slices that nobody declared: a small tree looks for errors on one half of the rows, the other half says how many.

Without the second half the worst of many slices would look worse than it is, whatever the data. Legend: N rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, fisher_exact

from pipeline.core.contracts import FoundSlice, FoundSlices, Number
from pipeline.core.settings import FairnessSettings
from pipeline.metrics.intervals import proportion, rate_gap

_DEPTH = 3
_MOST = 10
_LEAST_ROWS = 200
"""Fewer rows in all are not halved."""
_MOST_LEVELS = 20


@dataclass(frozen=True, slots=True)
class _Test:
    """One column of the tree: a number, or whether a text is this one."""

    name: str
    values: NDArray[np.float64]
    level: str | None = None

    def words(self, cut: float, above: bool) -> str:
        """Say which side of a cut is meant."""
        if self.level is None:
            return f"{self.name} {'>' if above else '<='} {cut:.4g}"
        return f"{self.name} is {'' if above else 'not '}{self.level}"


def found_slices(
    wrong: NDArray[np.bool_],
    properties: Mapping[str, NDArray[np.object_]],
    unit: NDArray[np.int64] | None,
    settings: FairnessSettings,
    rng: np.random.Generator,
) -> FoundSlices | None:
    """Return the slices of a tree over the properties (N,) of rows that are decided wrongly or not (N,).

    Units stay on one half. None: too few rows, or no property that differs.
    """
    n = len(wrong)
    tests = [test for name, values in properties.items() for test in _tests(name, values)]
    if n < _LEAST_ROWS or not tests:
        return None
    units = np.arange(n) if unit is None else np.unique(unit, return_inverse=True)[1]
    first = (rng.permutation(int(units.max()) + 1) % 2 == 0)[units]
    x = np.stack([test.values for test in tests], axis=1)
    rules = _rules(x[first], wrong[first], tests, max(settings.min_judged, n // 50))
    second = [(words, wrong[~first], inside[~first]) for words, inside in ((w, rule(x)) for w, rule in rules)]
    big = [item for item in second if min(int(item[2].sum()), int((~item[2]).sum())) >= settings.min_judged]
    return FoundSlices(
        searched=int(first.sum()),
        measured=int((~first).sum()),
        properties=tuple(properties),
        slices=_judged(big, settings),
    )


def _judged(
    slices: list[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]], settings: FairnessSettings
) -> tuple[FoundSlice, ...]:
    counts = [(words, int(w[i].sum()), int(i.sum()), int(w[~i].sum()), int((~i).sum())) for words, w, i in slices]
    raw = [float(fisher_exact(np.array([[k, n - k], [h, m - h]])).pvalue) for _, k, n, h, m in counts]
    adjusted = [float(p) for p in false_discovery_control(raw, method="bh")] if raw else []
    level, found = 1 - settings.alpha, []
    for (words, k, n, h, m), p in zip(counts, adjusted, strict=True):
        gap: Number = rate_gap(k, n, h, m, level)
        verdict = "insufficient_evidence"
        if p <= settings.alpha:
            verdict = "more errors" if k / n > h / m else "fewer errors"
        found.append(FoundSlice(rule=words, error=proportion(k, n, level), rest=proportion(h, m, level), gap=gap,
                                p_adjusted=p, verdict=verdict))  # fmt: skip
    return tuple(sorted(found, key=lambda item: -(item.gap.value or 0.0))[:_MOST])


def _tests(name: str, values: NDArray[np.object_]) -> list[_Test]:
    """Return a property as columns of numbers: as it is, or one per text where they are few."""
    texts = ["" if value is None else str(value) for value in values]
    try:
        numbers = np.array([float(text) if text.strip() else np.nan for text in texts])
    except ValueError:
        numbers = np.full(len(texts), np.nan)
    known = numbers[np.isfinite(numbers)]
    if len(known) and len(known) + texts.count("") == len(texts):
        filled = np.where(np.isfinite(numbers), numbers, np.median(known))
        return [_Test(name, filled)] if np.ptp(filled) > 0 else []
    levels = sorted(set(texts))
    if not 1 < len(levels) <= _MOST_LEVELS:
        return []
    column = np.array(texts, object)
    return [_Test(name, (column == level).astype(float), level or "missing") for level in levels]


class _Rule:
    """Rows on one path of a tree."""

    def __init__(self, steps: tuple[tuple[int, float, bool], ...]) -> None:
        self.steps = steps

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which rows of x (N, C) lie on the path."""
        inside = np.ones(len(x), bool)
        for column, cut, above in self.steps:
            inside &= (x[:, column] > cut) == above
        return inside


def _rules(x: NDArray[np.float64], wrong: NDArray[np.bool_], tests: list[_Test], least: int) -> list[tuple[str, _Rule]]:
    """Return all nodes below the root of a tree of depth 3, in words and as rules."""
    from sklearn.tree import DecisionTreeClassifier

    if wrong.all() or not wrong.any():
        return []
    tree = DecisionTreeClassifier(max_depth=_DEPTH, min_samples_leaf=least, random_state=0).fit(x, wrong).tree_
    found: list[tuple[str, _Rule]] = []

    def walk(node: int, steps: tuple[tuple[int, float, bool], ...]) -> None:
        if steps:
            words = " and ".join(tests[column].words(cut, above) for column, cut, above in steps)
            found.append((words, _Rule(steps)))
        if tree.children_left[node] >= 0:
            column, cut = int(tree.feature[node]), float(tree.threshold[node])
            walk(int(tree.children_left[node]), (*steps, (column, cut, False)))
            walk(int(tree.children_right[node]), (*steps, (column, cut, True)))

    walk(0, ())
    return found
