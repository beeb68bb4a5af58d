"""Which column is to be predicted, and as what: the task follows by the rules of `labels`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.datasets.labels import Labels, read_labels
from pipeline.datasets.leaks import id_like
from pipeline.datasets.table_encoding import as_numbers
from pipeline.sniffing.found import Found, Wishes, counted, listed

_USUAL = (
    "target",
    "label",
    "labels",
    "class",
    "category",
    "outcome",
    "y",
    "income",
    "species",
    "survived",
    "sentiment",
)
_SEPARATORS = ("|", ";", ",")
_FEW = 20
_SHOWN_CLASSES = 8


def choose_target(frame: pd.DataFrame, wishes: Wishes, ruled_out: Sequence[str]) -> tuple[list[str], str | None]:
    """Return the target columns, and a note if they were not given: a usual name, else the last that can be one.

    `ruled_out` are dates and texts.
    """
    if wishes.target:
        return list(wishes.target), None
    if list(frame.columns) == ["label", "text"]:
        return ["label"], None
    taken = {name for names in wishes.columns().values() for name in names}
    columns = [str(c) for c in frame.columns if c not in taken]
    usual = [c for c in columns if c.lower() in _USUAL]
    ids = id_like(frame, columns)
    able = [c for c in columns if c not in ruled_out and c not in ids and frame[c].nunique() > 1]
    chosen = (usual or able[-1:] or columns[-1:])[0]
    return [chosen], f"target not given: '{chosen}' was taken; say target=<column> if it is another"


def separator_of(cells: pd.Series, said: bool = False) -> str | None:
    """Return what parts the labels of a cell, if rows have several: the parts are fewer than the cells they make."""
    kinds = [str(v) for v in cells.dropna().unique()]
    for mark in _SEPARATORS:
        if any(mark in kind for kind in kinds):
            parts = [{p.strip() for p in kind.split(mark)} - {""} for kind in kinds]
            sizes = {len(p) for p in parts}
            if (
                (said or len(sizes) > 1)
                and len(set().union(*parts)) < len(kinds)
                and all(len(str(k)) < 500 for k in kinds)
            ):
                return mark
    return None


def labelled(
    found: Found,
    wishes: Wishes,
    cells: pd.DataFrame,
    given: NDArray[np.object_],
    where: str,
    more: Mapping[str, Any] | None = None,
) -> Labels:
    """Return the labels as prepare will read them, and tell the task and the classes.

    Args:
        found: keys to add `task` and `label_separator` to, facts to add to.
        wishes: `task` wins over what the cells suggest.
        cells: (N, T) target columns as text.
        given: (N,) split that the data name for each row, or "".
        where: the file, for messages.
        more: settings that hold for reading these labels, but need not be written.

    Raises:
        DataError: the target cannot be predicted as it is.
    """
    if wishes.task:
        found.keys["task"] = wishes.task
    if more is None and len(cells.columns) == 1 and wishes.task in (None, "multilabel"):
        one = cells.iloc[:, 0]
        mark = separator_of(one, wishes.task == "multilabel") if as_numbers(one) is None else None
        if mark:
            found.keys["label_separator"] = mark
            found.facts.append(f"several labels in a cell of '{one.name}', parted by '{mark}'")
        elif wishes.task == "multilabel":
            raise DataError(f"{where}: no separator of labels in '{one.name}'", fix="give several columns of 0 and 1")
    _strip(found, cells, given)
    if end := found.keys.get("strip_label"):
        cells = cells.map(lambda v: v if v is None else v.rstrip(end))
    if not more:
        _refuse_free_text(cells, wishes, where)
    try:
        labels = read_labels(
            found.settings(**(more or {})), cells, given, where, least=2 if found.format == "series" else 3
        )
    except DataError as mistake:
        raise DataError(mistake.message, fix=_other_fix(cells, wishes, str(mistake.fix))) from None
    _tell(found, wishes, cells, labels, more is None)
    return labels


def _strip(found: Found, cells: pd.DataFrame, given: NDArray[np.object_]) -> None:
    """Find a mark that only labels of the given test rows end with."""
    if len(cells.columns) > 1 or "label_separator" in found.keys or not (given == "test").any():
        return
    labels = cells.iloc[:, 0]
    known, later = set(labels[given != "test"].dropna()), set(labels[given == "test"].dropna())
    ends = {str(v)[-1:] for v in later - known}
    if len(ends) == 1 and not (end := ends.pop()).isalnum() and {str(v).rstrip(end) for v in later} <= known:
        found.keys["strip_label"] = end
        found.facts.append(f"labels of the test rows end in '{end}', which is cut off")


def _refuse_free_text(cells: pd.DataFrame, wishes: Wishes, where: str) -> None:
    for name in cells.columns:
        kinds = cells[name].nunique()
        many = wishes.task is None and kinds > max(100, 0.2 * len(cells))
        if many and as_numbers(cells[name]) is None and separator_of(cells[name]) is None:
            message = f"{where}: '{name}' has {kinds:,} different texts in {counted(len(cells), 'row')}"
            raise DataError(message, fix="give a column of classes or numbers: target=<column>")


def _other_fix(cells: pd.DataFrame, wishes: Wishes, fix: str) -> str:
    numbers = all(as_numbers(cells[name]) is not None for name in cells.columns)
    if wishes.task is None and numbers and "class" in fix:
        return f"{fix}; or say task=regression if they are quantities"
    return fix if wishes.target else f"{fix}; or say target=<column> if another is to be predicted"


def _tell(found: Found, wishes: Wishes, cells: pd.DataFrame, labels: Labels, unsure: bool) -> None:
    names = listed([f"'{c}'" for c in cells.columns])
    if labels.task == "regression":
        found.what += f"; regression of {names}"
        for i, name in enumerate(labels.names[:3]):
            y = labels.y[:, i]
            found.facts.append(f"'{name}': {y.min():,.6g} to {y.max():,.6g}, median {np.median(y):,.6g}")
        return
    found.what += f"; {labels.task}, {len(labels.classes)} {'labels' if labels.task == 'multilabel' else 'classes'}"
    found.what += f" in {names}" if len(cells.columns) == 1 else ""
    counts = dict(zip(labels.classes, labels.counts({"train": labels.y})["train"], strict=True))
    found.facts.append(shares(counts, len(labels.y)))
    values = as_numbers(cells.iloc[:, 0]) if len(cells.columns) == 1 else None
    if unsure and wishes.task is None and values is not None and 2 < len(np.unique(values)) <= _FEW:
        found.facts.append("whole numbers are taken for classes; say task=regression if they are quantities")


def shares(counts: Mapping[str, int], rows: int) -> str:
    """Return the classes with their rows, or the largest and the smallest of many."""
    ordered = sorted(counts, key=lambda c: -counts[c])
    if len(counts) > _SHOWN_CLASSES:
        most, least = ordered[0], ordered[-1]
        if counts[most] == counts[least]:
            return f"classes: {counts[most]:,} rows of each"
        return f"largest class '{most}' {counts[most]:,} rows, smallest '{least}' {counts[least]:,}"
    return "classes: " + ", ".join(f"'{c}' {counts[c]:,} rows ({counts[c] / rows:.0%})" for c in ordered)


def folder_cells(names: Sequence[str], ids: Sequence[Any]) -> pd.DataFrame:
    """Return labels that come from folders or .ts files as cells of one column."""
    return pd.DataFrame({"label": list(names)}, index=list(ids), dtype=object)
