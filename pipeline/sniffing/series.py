"""Labelled series: .ts files, tables with a line per moment, tables with a line per series."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core.contracts import SplitName
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.checks import check_channels
from pipeline.datasets.labels import inferred_task
from pipeline.datasets.leaks import id_like
from pipeline.datasets.rows import text_of
from pipeline.datasets.series import digest, read_series
from pipeline.datasets.series_tables import SeriesRows
from pipeline.datasets.splits import RowFacts, given_splits, split_rows
from pipeline.sniffing.files import Files, ending, file_keys
from pipeline.sniffing.found import Found, Wishes, counted, listed
from pipeline.sniffing.labels import choose_target, folder_cells, labelled
from pipeline.sniffing.rows import Raw
from pipeline.sniffing.tables import tell_split, weighing

_LEAST_STEPS = 20
_LEAST_LINES = 5
"""Lines per series, on average, of a table that is taken for series without being told so."""
_STEP_NAME = re.compile(r"(.*?)(\d+)")
_STEPS = re.compile(r"(|t|ts|time|timestep|step|s|sample|value|val|lag|day|hour|minute|second|week|month)[ _.-]*", re.I)
_SERIES = re.compile(r"(.*[ _.-])?(series|sequence|seq|sample|case|instance|recording|trial|run|unit|id|uid)"
                     r"([ _.-]?(id|no|nr|number|name))?|id", re.I)  # fmt: skip
_TIME = re.compile(r"t|time|timestamp|time[ _.-]?step|step|tick|cycle|frame|moment|date|datetime|second|ms", re.I)
_VAL_FRACTION = 0.25
"""These sets are small as a rule."""


def step_columns(raw: Raw, any_name: bool) -> list[str]:
    """Return at least 20 number columns whose names end in rising numbers: t0, t1, … or 1, 2, 3."""
    best: list[str] = []
    run: list[str] = []
    last: tuple[str, int] | None = None
    for column in raw.columns:
        named = _STEP_NAME.fullmatch(column)
        now = (named.group(1), int(named.group(2))) if named else None
        follows = now is not None and last is not None and now == (last[0], last[1] + 1)
        run = [*run, column] if follows else [column] if now else []
        best, last = max(best, run, key=len), now
    usual = best and (match := _STEP_NAME.fullmatch(best[0])) and _STEPS.fullmatch(match.group(1))
    if len(best) < (2 if any_name else _LEAST_STEPS) or not (usual or any_name):
        return []
    frame, numbers = raw.frames["train"], set(raw.kinds.numbers)
    return best if all(c in numbers or frame[c].isna().all() for c in best) else []


def long_pair(raw: Raw, wishes: Wishes) -> tuple[str, str] | None:
    """Return the columns of series and time, as said or as their names and cells suggest."""
    frame = raw.frames["train"]
    columns = [c for c in raw.columns if c not in (*wishes.target, wishes.weight)]
    dates = [c for c in raw.kinds.dates if c in columns]
    times = [wishes.time] if wishes.time else [*dates, *(c for c in columns if _TIME.fullmatch(c) and c not in dates)]
    ids = [wishes.id] if wishes.id else [c for c in columns if _SERIES.fullmatch(c)]
    for series in ids:
        for time in times:
            kinds = frame[series].nunique()
            if series == time or kinds < 2 or len(frame) < _LEAST_LINES * kinds:
                continue
            if not frame.duplicated([series, time]).any():
                return series, time
    return None


def sniff_ts(files: Files, wishes: Wishes, seed: int) -> Found:
    """Return what .ts files hold."""
    if wishes.sensitive:
        raise ConfigError("init: .ts files have no columns for sensitive=", fix="leave sensitive= out")
    named: Files = {split: file for split, file in files.items() if split != "val"}
    found = Found("series", "series", file_keys(named) | {"val_fraction": wishes.val_fraction or _VAL_FRACTION})
    return _read(found, named, wishes, seed)


def sniff_wide(raw: Raw, wishes: Wishes, seed: int, steps: Sequence[str]) -> Found | None:
    """Return a table with a line per series, or None if it has columns beside steps, target and id."""
    frame = raw.frames["train"]
    rest = frame.drop(columns=list(steps))
    target, guess = choose_target(rest, wishes, raw.kinds.dates) if len(rest.columns) else ([], None)
    others = [str(c) for c in rest.columns if c not in (*target, wishes.weight)]
    ids = [wishes.id] if wishes.id else id_like(rest, others)[:1]
    more = [c for c in others if c not in ids]
    if not target or (more and wishes.format != "series"):
        return None
    raw.one_table()
    found = Found("series", "series", file_keys(raw.files) | raw.keys | {"series_layout": "wide", "target": target[0]})
    found.keys |= {"series_id": ids[0]} if ids else {}
    found.keys |= {"exclude": more} if more else {}
    found.facts += [guess] if guess else []
    found.facts.append(f"a line per series: {len(steps):,} steps, {steps[0]} to {steps[-1]}"
                       + (f"; left out: {listed(more)}" if more else ""))  # fmt: skip
    if wishes.format is None:
        found.hints.append("say format=csv if the columns are features of a row, not steps of a series")
    return _finish(found, raw, wishes, seed)


def sniff_long(raw: Raw, wishes: Wishes, seed: int, pair: tuple[str, str]) -> Found | None:
    """Return a table with a line per moment, or None if its target changes within a series."""
    frame = raw.frames["train"]
    series, time = pair
    raw.one_table()
    target, guess = choose_target(frame.drop(columns=[series, time]), wishes, raw.kinds.dates)
    said = wishes.format == "series" or (wishes.id is not None and wishes.time is not None)
    changes = frame.groupby(series, sort=False)[target[0]].nunique(dropna=False).max() > 1
    if changes and not said:
        return None
    found = Found("series", "series", file_keys(raw.files) | raw.keys | {"series_layout": "long"})
    found.keys |= {"series_id": series, "time": time, "target": target[0]}
    others = [str(c) for c in frame.columns if c not in (series, time, *target, wishes.weight)]
    ids = id_like(frame, [c for c in others if c in raw.kinds.numbers])
    dates = [c for c in raw.kinds.dates if c in others]
    if ids or dates:
        found.keys["exclude"] = sorted({*ids, *dates})
        found.facts.append(f"another value in every line, or dates, left out: {listed(found.keys['exclude'])}")
    found.facts += [guess] if guess else []
    found.facts.append(f"a line per moment: series by '{series}', steps by '{time}'")
    if not said:
        found.hints.append("say format=csv if each line is a row of its own")
    return _finish(found, raw, wishes, seed)


def _finish(found: Found, raw: Raw, wishes: Wishes, seed: int) -> Found:
    if wishes.sensitive:
        raise ConfigError("init: the audit of series has no columns", fix="leave sensitive= out")
    if wishes.val_fraction:
        found.keys["val_fraction"] = wishes.val_fraction
    found = _read(found, raw.files, wishes, seed)
    found.facts += raw.facts
    return found


def _declared(file: Path) -> str | None:
    """Return the task that the head of a .ts file speaks of."""
    if ending(file) != ".ts":
        return None
    head = text_of(file, "latin-1").lower().partition("@data")[0]
    if re.search(r"^@targetlabel\s+true", head, re.M):
        return "regression"
    return "multiclass" if re.search(r"^@classlabel\s+true", head, re.M) else None


def _read(found: Found, files: Files, wishes: Wishes, seed: int) -> Found:
    """Read all series as prepare will, and tell what they are like."""
    if wishes.weight:
        found.keys["weight"] = wishes.weight
    parts: dict[SplitName, SeriesRows] = {split: read_series(file, found.settings()) for split, file in files.items()}
    first = parts["train"]
    odd = next((s for s in parts if parts[s].channels != first.channels), None)
    if odd:
        raise DataError(f"{files[odd]}: other channels than {files['train'].name}", fix="give both the same channels")
    rows = [row for part in parts.values() for row in part.series]
    labels_of = [label for part in parts.values() for label in part.labels]
    ids = [name for part in parts.values() for name in part.ids]
    given = given_splits(**{str(split): len(part.series) for split, part in parts.items()})
    where = str(files["train"])
    found.what = counted(len(rows), "series", "series")
    cells = folder_cells(labels_of, ids).set_axis([found.keys.get("target", "label")], axis=1)
    task = None if wishes.task else _declared(files["train"])
    if task and (inferred_task(found.settings(), cells) == "regression") != (task == "regression"):
        found.keys["task"] = task
    labels = labelled(found, wishes, cells, given, where, {"task": task} if task else None)
    if wishes.weight:
        column = {wishes.weight: [cell for part in parts.values() for cell in part.weights]}
        weighing(found, wishes, pd.DataFrame(column, index=ids, dtype=object), where)
    lengths = np.array([row.shape[1] for row in rows])
    steps = (
        f"{lengths.min():,} steps"
        if lengths.min() == lengths.max()
        else f"{lengths.min():,} to {lengths.max():,} steps"
    )
    channels = f"channels {listed(first.channels, 4)}" if len(first.channels) > 1 else "one channel"
    found.facts.append(f"{steps}, {channels}")
    if gone := int(sum(np.isnan(row).sum() for row in rows)):
        found.facts.append(f"{counted(gone, 'value')} missing, which will stand for the mean")
    found.facts += [note for part in parts.values() for note in part.notes][:3]
    how = "by content, " + ("alike in the target" if labels.task == "regression" else "stratified by class")
    facts = RowFacts([digest(row) for row in rows], given, labels.strata, where=where)
    named = [files[s].name for s in files if s != "train"]
    places = tell_split(found, labels, lambda settings: split_rows(settings, seed, facts), how, named)
    train = places["train"]
    check_channels([rows[i] for i in train], cells.iloc[train], first.channels, found.settings(), where)
    found.work, found.amount = "series values", float(lengths.sum() * len(first.channels))
    found.packed = float(len(rows) * len(first.channels) * lengths.max() * 4)
    return found
