"""Some raw rows, encoded as prepare encodes them, with what was unusual or wrong about each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import Inputs, Intake, TextInputs
from pipeline.datasets.intake import measured


@dataclass(frozen=True, kw_only=True, slots=True)
class Scaled:
    """Forecasts: where windows end, and how to get raw units back; one line per window."""

    starts: NDArray[np.int64]
    """First step after each window, (N,)."""
    offset: NDArray[np.float64]
    """(N, T) of the T targets."""
    scale: NDArray[np.float64]
    """(N, T)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """N rows in order, of which those without a reason in `refused` are encoded."""

    ids: Sequence[str]
    x: NDArray[Any]
    """Rows that are not refused, packed as the contract of the inputs says; forecasts: all steps (C, S)."""
    flags: Sequence[str | None]
    refused: Sequence[str | None]
    scaled: Scaled | None = None


class Remarks:
    """What is said about rows, in words."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._words: dict[int, list[str]] = {}

    def add(self, which: NDArray[np.bool_], words: Callable[[int], str] | str) -> None:
        """Say the same, or what `words` makes of the number of the row, about the rows of a mask (N,)."""
        for row in np.flatnonzero(which):
            self._words.setdefault(int(row), []).append(words if isinstance(words, str) else words(int(row)))

    def __bool__(self) -> bool:
        return bool(self._words)

    def listed(self) -> list[str | None]:
        """Return one text per row, None where there is nothing to say."""
        listed: list[str | None] = [None] * self.rows
        for row, words in self._words.items():
            listed[row] = "; ".join(words)
        return listed


def unusual(x: NDArray[Any], inputs: Inputs, intake: Intake, remarks: Remarks, at: NDArray[np.int64]) -> None:
    """Remark on rows x, which are the rows `at` of a block, where a measure lies beyond that of the training rows."""
    if not len(x):
        return
    for name, values in measured(x, inputs).items():
        if name not in intake.usual:
            continue
        low, high = intake.usual[name]
        flat = values.reshape(len(values), -1)
        known = np.nan_to_num(flat, nan=low)
        least, most = known.min(axis=1), known.max(axis=1)
        for extreme, beyond in ((least, least < low), (most, most > high)):
            which = np.zeros(remarks.rows, bool)
            which[at[beyond]] = True
            found = dict(zip(at[beyond].tolist(), extreme[beyond].tolist(), strict=True))
            usual = f"{low:.4g} to {high:.4g} in {'validation' if isinstance(inputs, TextInputs) else 'training'}"
            remarks.add(which, lambda row, f=found, n=name, u=usual: f"{n} {f[row]:.4g}, {u}")  # type: ignore[misc]


def joined(blocks: Iterable[Iterator[Block]]) -> Iterator[Block]:
    """Yield the blocks of several sources in order."""
    for some in blocks:
        yield from some
