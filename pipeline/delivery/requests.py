"""Rows of a request to predictions: what predict says of them, and of each row that cannot be read why."""

import base64
import binascii
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.contracts import ForecastInputs, ImageInputs, SeriesInputs, TableInputs
from pipeline.core.errors import DataError
from pipeline.core.strict import nearest
from pipeline.prediction import Model

_LARGEST = float(np.finfo(np.float32).max)

Answer = dict[str, Any]
"""The columns of predict, without row_id but for forecasts; null where there is nothing to say."""


class Unreadable(Exception):  # noqa: N818  of one row: the others are answered
    """Why a row cannot be read."""


class Reader:
    """Rows as JSON has them to items that can wait, and many items to answers at once."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._item, self._source = _ways(model)

    @property
    def alone(self) -> bool:
        """Whether rows of a request belong together, as steps of series do, and those of another one do not."""
        return isinstance(self.model.inputs, ForecastInputs)

    def item(self, row: Any) -> tuple[Any, str | None]:
        """Return a row as an item and what is unusual about it; Unreadable where it is none."""
        return self._item(row)

    def answers(self, items: Sequence[Any]) -> list[Answer]:
        """Return one answer per item; of forecasts one per series.

        Raises:
            DataError: forecasts: the rows are no series; elsewhere no row can cause it.
        """
        with tempfile.TemporaryDirectory(prefix="archline-") as held:
            try:
                frame = self.model.predict(self._source(items, Path(held)))
            except DataError as wrong:
                raise DataError(wrong.message.replace(f"{held}/", ""), fix=wrong.fix) from None
        if not self.alone:
            frame = frame.drop(columns="row_id")
        return [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]

    def refused(self, why: str) -> Answer:
        """Return the answer to a row that cannot be read."""
        return dict.fromkeys((*self.model.columns, "flag")) | {"refused": why}


Item = Callable[[Any], tuple[Any, str | None]]
Source = Callable[[Sequence[Any], Path], Any]


def _ways(model: Model) -> tuple[Item, Source]:
    """Return how a row of JSON is read, and how items become a source of predict."""
    inputs, settings = model.inputs, model.intake.data
    match inputs:
        case ImageInputs():
            return _image, _image_files
        case SeriesInputs():
            return _series, _series_file
        case ForecastInputs():
            return _step, _step_file
        case TableInputs():
            columns = [column.name for column in inputs.columns]
            return lambda row: _cells(row, columns, model.intake.columns, text=False), _frame(columns)
    columns = list(settings.text)
    return lambda row: _cells(row, columns, model.intake.columns, text=True), _frame(columns)


def _cells(row: Any, columns: Sequence[str], known: Sequence[str], *, text: bool) -> tuple[Any, str | None]:
    """Return the cells a network reads of {column: value}; a text of one column may stand alone."""
    if text and isinstance(row, str) and len(columns) == 1:
        row = {columns[0]: row}
    if not isinstance(row, Mapping):
        raise Unreadable(f"{_kind(row)}, not an object with the columns {', '.join(columns[:20])}")
    for name in columns:
        if name not in row:
            near = nearest(name, list(row))
            raise Unreadable(f"no column '{name}', which the network reads" + (f"; '{near}'?" if near else ""))
        cell = row[name]
        if isinstance(cell, list | dict) or (text and not isinstance(cell, str | None)):
            raise Unreadable(f"{name}: {_kind(cell)}, not a {'text' if text else 'number or a text'}")
    strange = [str(name) for name in row if known and name not in known]
    return tuple(row[name] for name in columns), f"not read: {', '.join(strange[:20])}" if strange else None


def _frame(columns: Sequence[str]) -> Source:
    return lambda items, _: pd.DataFrame(list(items), columns=list(columns), dtype=object)


def _series(row: Any) -> tuple[Any, str | None]:
    """Return channels of equal length from a list of values, null where missing, or one list per channel."""
    if not isinstance(row, list) or not row:
        raise Unreadable(f"{_kind(row)}, not a list of values or one list per channel")
    channels = row if isinstance(row[0], list) else [row]
    if not all(isinstance(channel, list) and channel for channel in channels):
        raise Unreadable("a channel is empty or no list")
    if len({len(channel) for channel in channels}) > 1:
        raise Unreadable("channels of different length; pad them with null")
    for channel in channels:
        for step, value in enumerate(channel, 1):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise Unreadable(f"step {step}: {_kind(value)}, not a number")
            if value is not None and not abs(value) <= _LARGEST:
                raise Unreadable(f"step {step}: {value} is no finite number of 32 bits")
    return channels, None


def _series_file(items: Sequence[Any], folder: Path) -> Path:
    path = folder / "rows.ts"
    lines = (":".join(",".join("?" if v is None else repr(v) for v in channel) for channel in row) for row in items)
    path.write_text("\n".join(["@classLabel false", "@data", *lines]) + "\n", encoding="utf-8")
    return path


def _step(row: Any) -> tuple[Any, str | None]:
    if not isinstance(row, Mapping):
        raise Unreadable(f"{_kind(row)}, not an object with the columns of the training file")
    return row, None


def _step_file(items: Sequence[Any], folder: Path) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in items), encoding="utf-8")
    return path


def _image(row: Any) -> tuple[Any, str | None]:
    """Return the bytes of an image file, as they came or from base64."""
    if isinstance(row, Mapping) and set(row) == {"image"}:
        row = row["image"]
    if isinstance(row, str):
        try:
            row = base64.b64decode(row, validate=True)
        except binascii.Error as wrong:
            raise Unreadable(f"not base64 ({wrong})") from None
    if not isinstance(row, bytes):
        raise Unreadable(f"{_kind(row)}, not an image file as base64")
    if not row:
        raise Unreadable("an empty file")
    return row, None


def _image_files(items: Sequence[Any], folder: Path) -> Path:
    """Write the images under names that keep their order; what they hold is told by their first bytes."""
    for place, data in enumerate(items):
        (folder / f"{place:09}.png").write_bytes(data)
    return folder


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return f"the text {value[:40]!r}"
        case int() | float():
            return f"the number {value}"
        case list():
            return "a list"
    return "an object"


def _plain(value: Any) -> Any:
    if value is pd.NA:
        return None
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return value.item() if isinstance(value, np.generic) else value
