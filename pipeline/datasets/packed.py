"""Splits as they lie on disk: arrays as .npy (memory-mapped on reading), rows as Parquet."""

import math
import mmap
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import DatasetCard, SeriesScale, SplitName
from pipeline.core.store import missing

T = TypeVar("T")
WINDOW_MARK = " @ "
"""Between series and step in the id of a forecast's window."""
_CACHED = 2**19
"""Bytes of rows that a thread takes at once: what it makes of them on the way stays in the processor's cache."""


@dataclass(frozen=True)
class Split:
    """Packed rows of one split."""

    x: NDArray[Any]
    """As contracts' inputs say: bytes of images, places of tables, words; forecasts: all steps (C, S) of the split."""
    y: NDArray[Any]
    """(N,) class numbers, (N, K) labels of 0 and 1, (N, T) numbers; forecasts: (N,) first step after each window."""
    rows: pd.DataFrame
    """`row_id`, `audit.<feature>` and, for tables, `raw.<column>` as in the file."""
    weight: NDArray[np.float32] | None = None
    """(N,) how much each row counts, 1 on average over the training rows; none where all count the same."""


@dataclass(frozen=True)
class Prepared:
    """What prepare hands on."""

    card: DatasetCard
    splits: Mapping[SplitName, Split]
    pieces: str | None = None
    """data.tokens=bpe: the fitted cutter, in the library's own JSON."""
    scales: tuple[SeriesScale, ...] = ()
    """Forecasts: mean and deviation of each training series."""


def chunks(x: NDArray[Any], rows: int = 2048) -> Iterator[NDArray[Any]]:
    """Yield x some rows at a time; pages of a memory-mapped array are given back, so that memory stays flat."""
    for start in range(0, len(x), rows):
        yield x[start : start + rows]
        _give_back(x)


def _give_back(x: NDArray[Any]) -> None:
    if isinstance(x, np.memmap):
        x._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def on_all_cores(one: Callable[[slice], T], rows: int, row_bytes: int) -> list[T]:
    """Return one(part) for some rows after the other, in order; threads do it, since NumPy lets go of Python's lock."""
    step = max(1, _CACHED // max(1, row_bytes))
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(lambda start: one(slice(start, min(start + step, rows))), range(0, rows, step)))


def each(one: Callable[[NDArray[Any]], T], x: NDArray[Any]) -> list[T]:
    """Return one(x[part]) for some rows of x after the other, as on_all_cores; memory stays flat as in chunks."""

    def give_back_after(part: slice) -> T:
        found = one(x[part])
        _give_back(x)
        return found

    return on_all_cores(give_back_after, len(x), x.itemsize * math.prod(x.shape[1:]))


def save_rows(path: Path, x: NDArray[Any]) -> None:
    """Write an array as .npy, some rows at a time."""
    with path.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, np.lib.format.header_data_from_array_1_0(x))
        for part in chunks(x):
            out.write(np.ascontiguousarray(part).tobytes())


def write_split(folder: Path, name: SplitName, split: Split) -> None:
    """Write <name>_x.npy, <name>_y.npy, <name>_rows.parquet and, where rows have weights, <name>_weight.npy."""
    save_rows(folder / f"{name}_x.npy", split.x)
    np.save(folder / f"{name}_y.npy", split.y, allow_pickle=False)
    if split.weight is not None:
        np.save(folder / f"{name}_weight.npy", split.weight, allow_pickle=False)
    split.rows.to_parquet(folder / f"{name}_rows.parquet", index=False)


def load_split(folder: Path, name: SplitName) -> Split:
    """Read a split; the inputs stay on disk until they are touched."""
    paths = [folder / f"{name}_{part}" for part in ("x.npy", "y.npy", "rows.parquet")]
    for path in paths:
        if not path.exists():
            raise missing(path)
    x = np.load(paths[0], mmap_mode="r", allow_pickle=False)
    y = np.load(paths[1], allow_pickle=False)
    weighed = folder / f"{name}_weight.npy"
    weight = np.load(weighed, allow_pickle=False) if weighed.exists() else None
    return Split(x, y, pd.read_parquet(paths[2]), weight)
