"""Tables and labelled texts in files: target, inputs, what is left out, how rows are split."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets.dates import are_dates
from pipeline.datasets.labels import Labels
from pipeline.datasets.leaks import equal_to_target, id_like, imbalance_note, infinite_cells
from pipeline.datasets.row_weights import read_weights
from pipeline.datasets.splits import Places
from pipeline.datasets.table_encoding import as_numbers
from pipeline.datasets.tables import Pool, input_columns, read_pool, split_pool
from pipeline.datasets.texts import joined, words
from pipeline.sniffing.columns import constant, gaps, group_like, sensitive_like
from pipeline.sniffing.files import file_keys
from pipeline.sniffing.found import Found, Wishes, counted, listed
from pipeline.sniffing.labels import choose_target, labelled
from pipeline.sniffing.rows import Raw

_MOST_GROUPS = 10
"""Numbers of people with more different values are audited in bins."""
_BINS = 4

Split = Callable[[DataSettings], tuple[Places, list[str]]]


def sniff_table(raw: Raw, wishes: Wishes, seed: int) -> Found:
    """Return what a table, or texts with labels, are; the splits are tried with prepare's own code."""
    raw.one_table()
    frame, columns = raw.frames["train"], raw.columns
    texts = list(wishes.text) or raw.keys.get("text") or raw.kinds.texts
    target, guess = choose_target(frame, wishes, [*texts, *raw.kinds.dates])
    texts = [c for c in texts if c not in target]
    as_text = bool(wishes.text) or wishes.format == "text" or (
        wishes.format is None and bool(texts) and len(columns) - len(texts) - bool(wishes.weight) <= 3
    )  # fmt: skip
    found = Found("text", "text", {}) if as_text else Found("csv", "table", {})
    if as_text and not texts:
        raise DataError(f"{raw.where}: no column of texts", fix="name it: text=[<column>]")
    found.keys = file_keys(raw.files) | raw.keys | {"target": target[0] if len(target) == 1 else target}
    pool = as_pool(raw)
    found.what = counted(len(pool.frame), "text" if as_text else "row")
    found.what += "" if as_text else f", {len(columns)} columns"
    found.facts += [*([guess] if guess else []), *raw.facts]
    labels = labelled(found, wishes, pool.frame[target], pool.given, raw.where)
    people(found, wishes, frame)
    weighing(found, wishes, pool.frame, raw.where)
    inputs = [c for c in columns if c not in {*target, *wishes.sensitive, wishes.time, wishes.group_by, wishes.weight}]
    if as_text:
        _texts(found, wishes, texts, inputs, pool)
    else:
        _table(found, wishes, raw, inputs)
    (_split_texts if as_text else _split_table)(found, wishes, labels, seed)
    column_hints(found, wishes, raw, inputs)
    return found


def as_pool(raw: Raw) -> Pool:
    """Return all rows as `tables.read_pool` would give them."""
    frames, given = [], []
    for split, frame in raw.frames.items():
        names = [f"{raw.files[split].name.removesuffix('.gz')}:{i + 1}" for i in range(len(frame))]
        frames.append(frame.set_axis(names, axis=0))
        given.append(np.full(len(frame), "" if split == "train" else split, dtype=object))
    return Pool(pd.concat(frames), np.concatenate(given), list(raw.files.values()))


def people(found: Found, wishes: Wishes, frame: pd.DataFrame) -> None:
    """Declare the sensitive columns that were named; numbers of many values in bins."""
    declared: dict[str, Any] = {}
    for name in wishes.sensitive:
        declared[name] = {"column": name}
        if as_numbers(frame[name]) is not None and frame[name].nunique() > _MOST_GROUPS:
            declared[name]["quantiles"] = _BINS
            found.facts.append(f"'{name}' is audited in {_BINS} bins of equal size; data.sensitive takes edges instead")
    found.keys["sensitive"] = declared


def weighing(found: Found, wishes: Wishes, frame: pd.DataFrame, where: str) -> None:
    """Declare the column of weights that was named, and check it as prepare will; `frame` has all rows."""
    if wishes.weight is None:
        return
    found.keys["weight"] = wishes.weight
    weights = read_weights(found.settings(), frame, where)
    assert weights is not None
    none = f", {counted(int((weights == 0).sum()), 'row')} of 0" if (weights == 0).any() else ""
    found.facts.append(
        f"rows count by '{wishes.weight}' in training: {weights.min():,.6g} to {weights.max():,.6g}{none}; no input"
    )


def _texts(found: Found, wishes: Wishes, texts: Sequence[str], inputs: Sequence[str], pool: Pool) -> None:
    found.keys["text"] = list(texts)
    if wishes.time:
        found.keys["time"] = wishes.time
    cells = joined(pool.frame, found.settings())
    lengths = np.array([len(text.split()) for text in cells])
    usual = int(np.quantile(lengths, 0.95))
    found.facts.append(f"text in '{listed(texts)}': {int(np.median(lengths)):,} words as a rule, 95 % up to {usual:,}")
    most = found.settings().max_words
    if usual > most:
        found.keys["max_words"] = min(2 * most, usual)
        found.why["max_words"] = f"95 % have up to {usual:,}"
    if empty := int((lengths == 0).sum()):
        found.facts.append(f"{counted(empty, 'text')} without a word")
    if others := [c for c in inputs if c not in texts]:
        found.facts.append(f"not read: {listed(others)}; data.sensitive and data.slices may name them")
    limit = min(found.settings().max_words, usual)
    found.work, found.amount = "text words", float(lengths.sum())
    found.packed = float(len(cells) * max(limit, 1) * 4 + sum(map(len, cells)) / 2)


def _table(found: Found, wishes: Wishes, raw: Raw, inputs: list[str]) -> None:
    frame, kinds = raw.frames["train"], raw.kinds
    same = sorted({c for t in found.settings().targets for c in equal_to_target(frame, t, inputs)})
    ids = [c for c in id_like(frame, inputs) if c not in same]
    ids += [wishes.id] if wishes.id and wishes.id not in ids else []
    if same:
        found.warnings.append(f"WARNING gives the target away, left out: {listed(same)}")
    left = [c for c in inputs if c not in (*same, *ids)]
    fixed = constant(frame, left)
    if len(left) == len(fixed):
        raise DataError(f"{raw.where}: no column is left as an input",
                        fix="name another target, or give a table with more columns")  # fmt: skip
    if infinite_cells(frame, left):
        strange = infinite_cells(frame.set_axis([f"row {i + 1}" for i in range(len(frame))], axis=0), left)
        raise DataError(f"{raw.where}: {strange[0]}", fix="repair the cells, or leave the column out of the table")
    found.facts.append(kinds.line(left))
    if dates := [c for c in left if c in kinds.dates and are_dates(frame[c])]:
        found.facts.append(f"dates, read as days since the first: {listed(dates)}; data.dates=[] makes them categories")
    if ids:
        found.facts.append(f"one value per row, taken for an identifier and left out: {listed(ids)}")
    found.keys["exclude"] = sorted({*same, *ids})
    reasons = (f"identifiers: {listed(ids)}" if ids else "", f"give the target away: {listed(same)}" if same else "")
    found.why["exclude"] = "; ".join(r for r in reasons if r)
    if fixed:
        found.facts.append(f"one value in all rows, of no use: {listed(fixed)}")
    found.facts += [line for line in (gaps(frame, left),) if line]
    for key in ("time", "group_by"):
        if column := getattr(wishes, key):
            found.keys[key] = column
    if wordy := [c for c in kinds.texts if c in left]:
        found.hints.append(f"texts are categories in a table; text=[{wordy[0]}] would learn from the text instead")
    found.work, found.amount = "table cells", float(len(frame) * len(left))
    found.packed = float(len(frame) * (len(left) * 4 + frame.size / len(frame) * 3))


def how_split(found: Found, wishes: Wishes, labels: Labels, pool: Pool) -> tuple[str, list[str]]:
    """Set the keys of the split; return how rows are split, in words, and the given files."""
    for key in ("time", "group_by", "val_fraction"):
        if (value := getattr(wishes, key)) is not None:
            found.keys[key] = value
    how = "by content, " + ("alike in the target" if labels.task == "regression" else "stratified by class")
    if wishes.time:
        how = f"by time: the last rows by '{wishes.time}' are for testing"
    if wishes.group_by:
        how = f"by group: no '{wishes.group_by}' on two sides"
    return how, [file.name for file in pool.files[1:]]


def _split_texts(found: Found, wishes: Wishes, labels: Labels, seed: int) -> None:
    settings = found.settings()
    pool = read_pool(settings)  # once more, now with all that was found out
    texts = joined(pool.frame, settings)
    keys = [hashlib.blake2b("\0".join(words(text)).encode(), digest_size=16).digest() for text in texts]
    how, given = how_split(found, wishes, labels, pool)
    tell_split(found, labels, lambda s: split_pool(s, seed, pool, keys, labels), how, given)


def _split_table(found: Found, wishes: Wishes, labels: Labels, seed: int) -> None:
    """Split, and leave out what gives the target away in the training rows, until nothing does."""
    how, told = "", (list(found.warnings), list(found.facts))
    pool = read_pool(found.settings())
    for _ in pool.frame.columns:
        found.warnings, found.facts = list(told[0]), list(told[1])
        how, given = how_split(found, wishes, labels, pool)
        settings = found.settings()
        keys = pool.keys([str(c) for c in pool.frame.columns if c not in (*settings.exclude, settings.weight)])
        places = tell_split(found, labels, lambda s, k=keys: split_pool(s, seed, pool, k, labels), how, given)  # type: ignore[misc]
        train = pool.frame.iloc[places["train"]]
        columns, _ = input_columns(settings, train)
        same = sorted({c for t in settings.targets for c in equal_to_target(train, t, columns)})
        if not same:
            return
        found.keys["exclude"] = sorted({*found.keys["exclude"], *same})
        told[0].append(f"WARNING gives the target away in the training rows, left out: {listed(same)}")


def tell_split(found: Found, labels: Labels, split: Split, how: str, given: Sequence[str]) -> Places:
    """Split as prepare will; where given rows stand on two sides, leave them out of training, and say so.

    Args:
        found: to add `duplicates`, warnings and facts to.
        labels: of all rows.
        split: settings to the rows of each split, and notes.
        how: rows are split, in words.
        given: what the data name for splits, in words.

    Raises:
        DataError: what prepare would refuse.
    """
    try:
        places, notes = split(found.settings())
    except DataError as mistake:
        try:
            places, notes = split(found.settings(duplicates="drop"))
        except DataError:
            raise mistake from None
        found.keys["duplicates"] = "drop"
        found.why["duplicates"] = mistake.message.partition(": ")[2].partition(", the first")[0]
        found.warnings += [f"WARNING {note}" for note in notes if "data.duplicates" in note]
        found.warnings = found.warnings or [f"WARNING {found.why['duplicates']}; left out of training"]
    rows = ", ".join(f"{name} {len(at):,}" for name, at in places.items())
    found.facts.append(f"split {'as given (' + listed(given) + '), else ' if given else ''}{how}: {rows}")
    found.facts += [note for note in notes if "WARNING" in note or "twin" in note]
    if labels.task in ("binary", "multiclass"):
        counts = labels.counts({"train": labels.y[places["train"]]})["train"]
        note = imbalance_note(dict(zip(labels.classes, counts, strict=True)))
        found.facts += [note] if note else []
    return places


def column_hints(found: Found, wishes: Wishes, raw: Raw, inputs: Sequence[str]) -> None:
    """Tell columns that may be meant for the split or for the audit."""
    left = [c for c in inputs if c not in found.keys.get("exclude", ()) and c not in found.keys.get("text", ())]
    dates = [] if wishes.time else [c for c in raw.kinds.dates if c in inputs]
    if dates and not wishes.group_by:
        found.hints.append(f"time={dates[0]} splits by time: trained on the past, tested on the future")
    groups = (
        []
        if wishes.group_by or wishes.time
        else group_like(raw.frames["train"], [c for c in left if c not in dates], raw.kinds.numbers)
    )
    if groups:
        found.hints.append(f"group_by={groups[0]} keeps rows of one {groups[0]} on one side"
                           + (f" (or {listed(groups[1:], 3)})" if groups[1:] else ""))  # fmt: skip
    if sensitive := sensitive_like(left):
        them = ",".join([*wishes.sensitive, *sensitive])
        found.hints.append(f"sensitive=[{them}] would audit them and keep them from the inputs")
