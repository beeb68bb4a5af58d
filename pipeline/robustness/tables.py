"""Corruptions of tables, on the packed places: what a raw cell that is missing, off or new would be encoded as.

Legend: N rows, P packed places, Q columns.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import CategoricalColumn, TableInputs
from pipeline.robustness.corruptions import Corruption, Packed

MISSING = "(missing)"
"""The category of cells without a value, where enough training rows had one."""


def table_corruptions(inputs: TableInputs, spread_Q: NDArray[np.float64]) -> tuple[Corruption, ...]:
    """Return the corruptions that such a table can have; `spread_Q` are the columns' deviations in training."""
    cells = Cells(inputs, spread_Q)
    rates = (0.05, 0.1, 0.2, 0.4, 0.6)
    found = [Corruption(name="missing", words="each cell is missing with probability a", amounts=rates,
                        apply=cells.missing)]  # fmt: skip
    if any(c.kind == "numeric" for c in inputs.columns):
        words = "x + a s ε, s the column's standard deviation in training, ε standard normal for each known number"
        found.append(Corruption(name="noise", words=words, amounts=(0.05, 0.1, 0.25, 0.5, 1.0), apply=cells.noise))
    if any(c.kind == "categorical" and len(c.categories) > 1 for c in inputs.columns):
        words = "each category is another one, all equally likely, with probability a"
        found.append(Corruption(name="category_swap", words=words, amounts=rates, apply=cells.category_swap))
    if any(c.kind == "categorical" for c in inputs.columns):
        words = "each category is one that training had not, with probability a"
        found.append(Corruption(name="unknown_category", words=words, amounts=rates, apply=cells.unknown_category))
    return tuple(found)


def spread_of(x: Packed, inputs: TableInputs, rows: int = 50_000) -> NDArray[np.float64]:
    """Return the standard deviation of each column (Q,) over packed training rows, at most so many of them."""
    some = np.asarray(x[:: max(1, len(x) // rows), : len(inputs.columns)], np.float64)
    return np.asarray(some.std(axis=0))


@dataclass(frozen=True, slots=True)
class Cells:
    """The packed places of a table's columns."""

    inputs: TableInputs
    spread: NDArray[np.float64]
    """Of each column in training, (Q,)."""

    def missing(self, x: Packed, amount: float, rng: np.random.Generator) -> Packed:
        """Return rows without some of their cells; with a = 1 all rows are alike."""
        found, hit = x.copy(), self._hit(x, amount, rng)
        marks = self._marks()
        for i, column in enumerate(self.inputs.columns):
            found[hit[:, i], i] = _absent(column) if column.kind == "categorical" else column.median
            if i in marks:
                found[hit[:, i], marks[i]] = 1
        return found

    def noise(self, x: Packed, amount: float, rng: np.random.Generator) -> Packed:
        """Return rows with other numbers; a cell that is missing stays so."""
        found, marks = x.copy(), self._marks()
        drawn = rng.standard_normal((len(x), len(self.inputs.columns)))
        for i, column in enumerate(self.inputs.columns):
            if column.kind == "numeric":
                known = x[:, marks[i]] == 0 if i in marks else np.ones(len(x), bool)
                found[known, i] += (amount * self.spread[i] * drawn[known, i]).astype(x.dtype)
        return found

    def category_swap(self, x: Packed, amount: float, rng: np.random.Generator) -> Packed:
        """Return rows with other categories; a column that knows only one keeps it."""
        found, hit = x.copy(), self._hit(x, amount, rng)
        drawn = rng.random(hit.shape)
        for i, column in enumerate(self.inputs.columns):
            if column.kind == "categorical" and (known := len(column.categories)) > 1:
                code, draw = x[hit[:, i], i].astype(np.int64), drawn[hit[:, i], i]
                others = (code + (draw * (known - 1)).astype(np.int64)) % known + 1
                found[hit[:, i], i] = np.where(code == 0, (draw * known).astype(np.int64) + 1, others)
        return found

    def unknown_category(self, x: Packed, amount: float, rng: np.random.Generator) -> Packed:
        """Return rows with categories that have no code of their own."""
        found, hit = x.copy(), self._hit(x, amount, rng)
        for i, column in enumerate(self.inputs.columns):
            if column.kind == "categorical":
                found[hit[:, i], i] = 0
        return found

    def _hit(self, x: Packed, amount: float, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Return which cells (N, Q) are changed; those of a smaller amount are among those of a larger one."""
        return np.asarray(rng.random((len(x), len(self.inputs.columns))) < amount)

    def _marks(self) -> dict[int, int]:
        """Return the place of the 0/1 mark of each column that has one."""
        marked = [i for i, c in enumerate(self.inputs.columns) if c.kind == "numeric" and c.missing]
        return {i: len(self.inputs.columns) + k for k, i in enumerate(marked)}


def _absent(column: CategoricalColumn) -> int:
    return column.categories.index(MISSING) + 1 if MISSING in column.categories else 0
