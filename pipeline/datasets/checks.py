"""What tables and series are checked for before anything is fitted: columns that would spoil training, each counted.

What makes the figures wrong is refused; what may be meant is told in a note with the setting that changes it.
"""

import json
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets.leaks import equal_to_target, id_like, infinite_cells, known_values, time_like

_PLAIN = re.compile(r"\w[\w .-]*")
_MOST_LISTED = 20
_FEW = 0.5


def check_columns(
    frame: pd.DataFrame, train: pd.DataFrame, columns: Sequence[str], settings: DataSettings, where: str
) -> list[str]:
    """Return notes on input columns that name the row or its date; columns that spoil training are refused.

    Args:
        frame: all rows as text, None where missing; the index says where a row stands.
        train: the training rows of it.
        columns: the input columns, which alone are checked.
        settings: for the target and what is declared already.
        where: the file, for messages.

    Raises:
        DataError: cells like inf or nan among numbers, or a column that gives the target away in training.
    """
    if strange := infinite_cells(frame, columns):
        more = f"; so have {len(strange) - 1:,} more columns" if len(strange) > 1 else ""
        raise DataError(f"{where}: {strange[0]}{more}", fix="repair the cells, or add their text to data.missing")
    for target in settings.targets:
        if found := equal_to_target(train, target, columns):
            known = np.asarray(train[found[0]].notna())
            raise DataError(
                f"{where}: {_named(found)} would give the target '{target}' away; {_quoted(found[0])} does so in "
                f"{known.sum():,} of {len(train):,} training rows, the first is {train.index[int(known.argmax())]}",
                fix=leave_out(found, settings),
            )
    return [*_mixed(train, columns), *_ids(train, columns, settings), *_times(train, columns, settings)]


def check_channels(
    series: Sequence[NDArray[np.float32]],
    cells: pd.DataFrame,
    channels: Sequence[str],
    settings: DataSettings,
    where: str,
) -> None:
    """Refuse a channel that never changes within a series and gives the label away.

    Args:
        series: the training series (C, own length), NaN where missing.
        cells: their labels as text; the index names the series.
        channels: their C names.
        settings: for what is declared already.
        where: the file, for messages.

    Raises:
        DataError: naming the channel.
    """
    target = str(cells.columns[0])
    for c, name in enumerate(channels):
        values = [_one_value(one[c]) for one in series]
        if None in values:
            continue
        frame = pd.DataFrame({target: cells[target], f"channel {name}": values}, dtype=object)
        if equal_to_target(frame, target, [f"channel {name}"]):
            raise DataError(
                f"{where}: channel '{name}' has one value in each of the {len(values):,} training series and gives "
                f"the target '{target}' away, the first is {cells.index[0]}",
                fix=f"{leave_out([name], settings)} for a table; take the channel out of a .ts file",
            )


def _one_value(channel: NDArray[np.float32]) -> str | None:
    known = channel[~np.isnan(channel)]
    return f"{known[0]:.9g}" if len(known) and (known == known[0]).all() else None


def leave_out(names: Sequence[str], settings: DataSettings) -> str:
    """Return the setting that makes some more columns no inputs."""
    listed = [*settings.exclude, *names]
    return f"data.exclude=[{','.join(n if _PLAIN.fullmatch(n) else json.dumps(n) for n in listed)}]"


def _named(names: Sequence[str]) -> str:
    listed = ", ".join(_quoted(name) for name in names[:_MOST_LISTED])
    more = f" and {len(names) - _MOST_LISTED:,} more" if len(names) > _MOST_LISTED else ""
    return f"{'column' if len(names) == 1 else f'{len(names):,} columns:'} {listed}{more}"


def _quoted(name: str) -> str:
    """Return a name for one line of a message; signs that move the cursor or turn the text are written out."""
    return f"'{name if name.isprintable() else name.encode('unicode_escape').decode()}'"


def _mixed(train: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return a note per column whose cells are mostly numbers: a few other ones make all of them categories."""
    notes = []
    for name in columns:
        values = known_values(train[name])
        words = values[pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").isna().to_numpy()]
        if not 0 < len(words) < _FEW * len(values):
            continue
        strange = train[name].isin(words).to_numpy(bool)
        known = int(train[name].notna().sum())
        if strange.sum() < _FEW * known:
            at = int(strange.argmax())
            notes.append(
                f"column {_quoted(name)} is read as categories: {strange.sum():,} of {known:,} training cells are no "
                f"numbers, the first is {train[name].iloc[at]!r} at {train.index[at]}; repair them, or add them to "
                "data.missing"
            )
    return notes


def _ids(train: pd.DataFrame, columns: Sequence[str], settings: DataSettings) -> list[str]:
    if not (found := id_like(train, columns)):
        return []
    stay = "it stays an input" if len(found) == 1 else "they stay inputs"
    return [
        f"another value in each of the {len(train):,} training rows, as names of rows have: {_named(found)}; "
        f"{stay} unless left out: {leave_out(found, settings)}"
    ]


def _times(train: pd.DataFrame, columns: Sequence[str], settings: DataSettings) -> list[str]:
    if not (found := time_like(train, columns)):
        return []
    known = int(train[found[0]].notna().sum())
    split = "" if settings.time or settings.group_by else f"; data.time={found[0]} would split the rows by it"
    return [
        f"dates or years: {_named(found)}, {known:,} of {len(train):,} training rows have {_quoted(found[0])}; "
        f"such columns are inputs like other numbers and categories{split}"
    ]
