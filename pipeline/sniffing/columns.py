"""What columns of a table are like, and which of them deserve a thought. Nothing is decided here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline.datasets.leaks import time_like
from pipeline.datasets.table_encoding import as_numbers
from pipeline.sniffing.found import counted, listed

_TEXT_WORDS = 4.0
"""Words per cell, on average, from which a column is a text."""
_SHOWN = 400
_PEOPLE = re.compile(
    r"(person|people|patient|subject|user|customer|client|participant|member|student|employee|driver|speaker|group|"
    r"household|family|account|device|session)[ _.-]*(id|no|nr|num|number|key|code|name)?",
    re.I,
)
_SENSITIVE = {"sex", "gender", "race", "racial", "ethnic", "ethnicity", "religion", "religious", "nationality",
              "foreign", "citizen", "citizenship", "disability", "disabled", "marital", "veteran"}  # fmt: skip


_ONE = {"numbers": "number", "categories": "category", "texts": "text", "dates": "date"}


@dataclass(frozen=True)
class Kinds:
    """Names of columns by what they hold."""

    numbers: list[str]
    categories: list[str]
    texts: list[str]
    dates: list[str]

    def line(self, columns: Sequence[str]) -> str:
        """Return the counts of some columns with a few names."""
        parts = []
        for name, held in vars(self).items():
            if here := [c for c in columns if c in held]:
                parts.append(f"{counted(len(here), _ONE[name], name)} ({listed(here, 4)})")
        return "columns: " + "; ".join(parts)


def kinds(frame: pd.DataFrame) -> Kinds:
    """Sort columns by what their cells are."""
    columns = [str(c) for c in frame.columns]
    found = Kinds([], [], [], time_like(frame, columns))
    for name in (c for c in columns if c not in found.dates):
        if as_numbers(frame[name]) is not None:
            found.numbers.append(name)
        else:
            (found.texts if is_text(frame[name]) else found.categories).append(name)
    return found


def is_text(cells: pd.Series) -> bool:
    """Tell a text by its words, and by hardly ever being the same."""
    known = cells.dropna()
    if known.empty or known.nunique() <= max(20, 0.2 * len(known)) < len(known):
        return False
    return float(known.head(_SHOWN).map(lambda v: len(str(v).split())).mean()) >= _TEXT_WORDS


def group_like(frame: pd.DataFrame, columns: Sequence[str], quantities: Sequence[str]) -> list[str]:
    """Return columns of texts or whole numbers that may name a person or thing with several rows.

    Their name says so, or each value stands in 2 to 50 rows; numbers must all stand in equally many, since those of
    a quantity hardly do.
    """
    found = []
    for name in columns:
        counts = frame[name].value_counts()
        is_number = name in quantities
        if len(counts) < 3 or (is_number and (pd.to_numeric(counts.index.to_series()) % 1 != 0).any()):
            continue
        named = bool(_PEOPLE.fullmatch(name)) and 2 < len(counts) < frame[name].notna().sum()
        repeats = len(counts) >= 20 and counts.min() >= 2 and counts.max() <= 50
        if named or (repeats and (not is_number or counts.min() == counts.max())):
            found.append(name)
    return found


def sensitive_like(columns: Sequence[str]) -> list[str]:
    """Return columns whose names speak of sex, age, origin, belief, …; the cells are not looked at."""
    found = []
    for name in columns:
        words = [w.lower() for w in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]
        if words and (words[0] == "age" or _SENSITIVE & set(words)):
            found.append(name)
    return found


def gaps(frame: pd.DataFrame, columns: Sequence[str]) -> str | None:
    """Return a line on missing cells in all; shares are of the rows, at least 1 %."""
    counts = frame[list(columns)].isna().sum()
    counts = counts[counts > 0].sort_values(ascending=False)
    if counts.empty:
        return None
    worst = listed([f"{name} {max(n / len(frame), 0.01):.0%}" for name, n in counts.items()], 3)
    cells = counted(int(counts.sum()), "missing cell")
    return f"{cells} in {counted(len(counts), 'column')} ({worst})"


def constant(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return columns with one value in all rows."""
    return [name for name in columns if frame[name].nunique(dropna=False) < 2]
