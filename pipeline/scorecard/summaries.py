"""What maps of many rows say on the whole: which parts count, which words speak for a class, what permuting costs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import (
    ClassWords,
    DatasetCard,
    ForecastInputs,
    ImageInputs,
    Importance,
    Inputs,
    Number,
    PermutedPart,
    SeriesInputs,
    TableInputs,
    TextInputs,
    WordScore,
)
from pipeline.metrics.intervals import mean

Values = NDArray[np.float64]

_LEVEL = 0.95
_GRID = 4
_LEAST_ROWS = 2
"""A word is listed when at least this many explained texts have it."""
_LEAST_TEXTS, _MOST_WORDS = 10, 10
"""Texts that must have a word before it is said to speak for a class, and words listed of each."""


def importance(inputs: Inputs, x: NDArray[Any], values: NDArray[Any]) -> tuple[Importance, ...]:
    """Return mean absolute contributions of the modality's parts over the explained rows x, from the stored maps."""
    size = np.abs(values.astype(np.float64))
    match inputs:
        case ImageInputs():
            parts = _fields(inputs, size.sum(axis=1))
        case TableInputs():
            parts = {column.name: size[:, i] for i, column in enumerate(inputs.columns)}
        case TextInputs():
            parts = _words(inputs, x, size)
        case SeriesInputs() | ForecastInputs():
            windows = np.array_split(np.arange(inputs.length), min(_GRID, inputs.length))
            parts = {
                f"{name}, {_stretch(inputs, w)}": size[:, c][:, w].sum(axis=1)
                for c, name in enumerate(inputs.channels)
                for w in windows
            }
    return tuple(Importance(name=n, value=mean(part, _LEVEL)) for n, part in parts.items())


def _stretch(inputs: SeriesInputs | ForecastInputs, steps: NDArray[np.int64]) -> str:
    first, last = int(steps[0]), int(steps[-1])
    if isinstance(inputs, SeriesInputs):
        return f"steps {first + 1} to {last + 1}"
    return f"{first - inputs.window + 1:+d} to {last - inputs.window + 1:+d} steps from now"


def _fields(inputs: ImageInputs, size: Values) -> dict[str, Values]:
    rows, columns = np.array_split(np.arange(inputs.height), _GRID), np.array_split(np.arange(inputs.width), _GRID)
    return {
        f"row {i + 1}, column {j + 1} of {_GRID}": size[:, r][:, :, c].sum(axis=(1, 2))
        for i, r in enumerate(rows)
        for j, c in enumerate(columns)
        if len(r) and len(c)
    }


def _words(inputs: TextInputs, x: NDArray[Any], size: Values) -> dict[str, Values]:
    found = {}
    for number in np.unique(x[x > 1]):
        rows = (x == number).any(axis=1)
        if rows.sum() >= _LEAST_ROWS:
            at = np.where(x == number, size, 0.0).sum(axis=1)[rows]
            found[f"{inputs.vocabulary[number - 2]} ({rows.sum()} texts)"] = at
    return found


def class_words(
    card: DatasetCard, x: NDArray[Any], values: NDArray[Any], said: NDArray[np.int64]
) -> tuple[ClassWords, ...]:
    """Return the words that speak most for what was said, by class or target: their mean contribution where they stand.

    x and values (N, L) of many texts, said (N,): the class explained. Words of fewer than ten texts are left out.
    """
    assert isinstance(card.inputs, TextInputs)
    names = card.classes or tuple(target.name for target in card.targets)
    found = []
    for k in np.unique(said):
        own_x, own = x[said == k], values[said == k].astype(np.float64)
        numbers, texts = np.unique([n for row in own_x for n in set(row[row > 1].tolist())], return_counts=True)
        scored = []
        for number, count in zip(numbers.astype(int), texts, strict=True):
            if count >= _LEAST_TEXTS:
                rows = (own_x == number).any(axis=1)
                at = np.where(own_x[rows] == number, own[rows], 0.0).sum(axis=1)
                scored.append(WordScore(word=card.inputs.vocabulary[number - 2], texts=int(count),
                                        value=mean(at, _LEVEL)))  # fmt: skip
        best = sorted((w for w in scored if (w.value.value or 0) > 0), key=lambda w: -(w.value.value or 0))
        if best:
            found.append(ClassWords(name=names[k], texts=len(own_x), words=tuple(best[:_MOST_WORDS])))
    return tuple(found)


def permuted_parts(
    parts: Sequence[tuple[str, tuple[str, ...]]], losses: NDArray[np.float64]
) -> tuple[PermutedPart, ...]:
    """Return what permuting each part among rows adds to the loss; parts: name and members, losses (parts, N)."""
    return tuple(
        PermutedPart(name=name, members=members, increase=mean(rise, _LEVEL))
        for (name, members), rise in zip(parts, losses, strict=True)
    )


def border_share(values: NDArray[Any]) -> Number:
    """Return the share of an image map's contributions (R, C, H, W) that lies on the outer tenth of each side."""
    size = np.abs(values.astype(np.float64)).sum(axis=1)
    _, height, width = size.shape
    down, across = max(1, round(height / 10)), max(1, round(width / 10))
    total = size.sum(axis=(1, 2))
    inner = size[:, down : height - down, across : width - across].sum(axis=(1, 2))
    known = total > 0
    if not known.any():
        return Number(value=None, n=0, reason="maps are zero")
    return mean(1 - inner[known] / total[known], _LEVEL)
