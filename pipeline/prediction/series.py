"""Raw labelled series to encoded rows: .ts files and wide tables row by row, long tables as a whole."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import Intake, SeriesInputs
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.csv_table import text_lines
from pipeline.datasets.rows import read_rows
from pipeline.datasets.series import pack, refuse_head, ts_row
from pipeline.datasets.series_tables import as_float32, long_series, value_columns
from pipeline.prediction.block import Block, Remarks, unusual
from pipeline.prediction.cells import Cells, Pick, cells_of

_SERIES = 512
"""Series encoded together."""

One = tuple[str, NDArray[np.float32] | str]
"""Name of a series, and its values (C, own length) or why there are none."""


def series_blocks(source: Path | pd.DataFrame, intake: Intake, inputs: SeriesInputs) -> Iterator[Block]:
    """Yield encoded series."""
    settings = intake.data
    is_ts = isinstance(source, Path) and source.name.removesuffix(".gz").lower().endswith(".ts")
    long = settings.series_layout == "long" or (settings.series_id is not None and settings.time is not None)
    if is_ts and isinstance(source, Path):
        found = _ts(source, settings)
    elif not long:
        found = (one for cells in cells_of(source, settings, _steps(settings)) for one in _wide(cells, settings))
    elif isinstance(source, Path):
        found = _long(source, settings, inputs)
    else:
        raise ConfigError("predict: long tables of series are read from files", fix="give the path of the file")
    some = False
    while held := list(islice(found, _SERIES)):
        some = True
        yield _block(held, intake, inputs)
    if not some:
        raise DataError(f"{source}: holds no series", fix="check that the file is like the training file")


def _block(held: Sequence[One], intake: Intake, inputs: SeriesInputs) -> Block:
    remarks, channels = Remarks(len(held)), len(inputs.channels)
    refused = [one if isinstance(one, str)
               else None if len(one) == channels
               else f"{len(one)} channels, the network reads {channels}" for _, one in held]  # fmt: skip
    kept = np.flatnonzero([why is None for why in refused])
    series = [one for (_, one), why in zip(held, refused, strict=True) if why is None and not isinstance(one, str)]
    x = pack(series, inputs.length) if series else np.empty((0, channels, inputs.length), np.float32)
    long = np.array([not isinstance(one, str) and one.shape[1] > inputs.length for _, one in held])
    remarks.add(long, f"longer than any in training, cut at {inputs.length} steps")
    empty = np.zeros(len(held), bool)
    empty[kept] = np.isnan(x).all(axis=(1, 2))
    remarks.add(empty, "no values, the training mean stands in")
    unusual(x, inputs, intake, remarks, kept)
    flags = [None if why else flag for flag, why in zip(remarks.listed(), refused, strict=True)]
    return Block(ids=[name for name, _ in held], x=x, flags=flags, refused=refused)


def _ts(path: Path, settings: DataSettings) -> Iterator[One]:
    if not path.exists():
        raise DataError(f"{path}: not found", fix="check the path")
    stem, count, in_data, labelled = path.name, 0, False, True
    for number, line in text_lines(path, settings):
        text = line.strip()
        if text.startswith("#"):
            continue
        if not in_data:
            refuse_head(text, ("@timestamps true",), f"{path}, line {number}")
            labelled &= " ".join(text.lower().split()[:2]) != "@classlabel false"
            in_data = text.lower().split()[0] == "@data"
            continue
        count += 1
        channels = text.split(":")[:-1] if labelled else text.split(":")
        try:
            yield f"{stem}:{count}", ts_row(path.name, number, channels)
        except DataError as wrong:
            yield f"{stem}:{count}", wrong.message


def _steps(settings: DataSettings) -> Pick:
    """Return what picks the columns of steps, and that of the name where there is one."""

    def pick(where: str, names: Sequence[str]) -> Sequence[str]:
        own = [settings.series_id] if settings.series_id in names and settings.series_id else []
        steps, _ = value_columns(settings, pd.DataFrame(columns=[name for name in names if name not in own]))
        if not steps:
            raise DataError(f"{where}: no columns with steps", fix="give one column per step")
        return [*own, *steps]

    return pick


def _wide(cells: Cells, settings: DataSettings) -> Iterator[One]:
    named = settings.series_id if settings.series_id in cells.frame else None
    text = cells.frame.drop(columns=named) if named else cells.frame
    table = text.to_numpy(object)
    values = as_float32(table.ravel()).reshape(table.shape)
    known = np.asarray(pd.notna(table), dtype=bool)
    wrong = known & ~np.isfinite(values)
    lengths = np.where(known.any(axis=1), known.shape[1] - np.argmax(known[:, ::-1], axis=1), 0)
    for row, (name, why) in enumerate(zip(cells.ids, cells.refused, strict=True)):
        if named:
            stem = name.rpartition(":")[0]
            name = f"{stem}:{cells.frame[named].iat[row]}"  # noqa: PLW2901 - named as in training
        if why is None and wrong[row].any():
            at = int(wrong[row].argmax())
            why = f"{text.columns[at]}: {table[row, at]!r} is not a finite number"  # noqa: PLW2901
        if why is None and not lengths[row]:
            why = "no values"  # noqa: PLW2901
        yield name, why or values[row : row + 1, : lengths[row]]


def _long(path: Path, settings: DataSettings, inputs: SeriesInputs) -> Iterator[One]:
    bare = replace(settings, format="forecast", target=None, weight=None, group_by=None, exclude=(), sensitive={},
                   slices={}, side_table=None)  # fmt: skip
    if not path.exists():
        raise DataError(f"{path}: not found", fix="check the path")
    frame = read_rows(path, bare)
    frame[settings.targets[0]] = "-"  # the labels of new series are what is asked for
    like = replace(settings, channels=inputs.channels, weight=None, exclude=(), sensitive={}, slices={})
    found = long_series(path, like, frame)
    yield from zip(found.ids, found.series, strict=True)
