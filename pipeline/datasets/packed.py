"""Splits as they lie on disk: arrays as .npy (memory-mapped on reading), rows as Parquet."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import DatasetCard, SplitName
from pipeline.core.store import missing


@dataclass(frozen=True)
class Split:
    """Packed rows of one split."""

    x: NDArray[Any]
    """Images: uint8 (N, C, H, W). Tables: float32 (N, P), see contracts.TableInputs."""
    y: NDArray[np.int64]
    """(N,) class numbers."""
    rows: pd.DataFrame
    """`row_id`, `audit.<feature>` and, for tables, `raw.<column>` as in the file."""


@dataclass(frozen=True)
class Prepared:
    """What prepare hands on."""

    card: DatasetCard
    splits: Mapping[SplitName, Split]


def write_split(folder: Path, name: SplitName, split: Split) -> None:
    """Write <name>_x.npy, <name>_y.npy and <name>_rows.parquet."""
    np.save(folder / f"{name}_x.npy", split.x, allow_pickle=False)
    np.save(folder / f"{name}_y.npy", split.y, allow_pickle=False)
    split.rows.to_parquet(folder / f"{name}_rows.parquet", index=False)


def load_split(folder: Path, name: SplitName) -> Split:
    """Read a split; the inputs stay on disk until they are touched."""
    paths = [folder / f"{name}_{part}" for part in ("x.npy", "y.npy", "rows.parquet")]
    for path in paths:
        if not path.exists():
            raise missing(path)
    x = np.load(paths[0], mmap_mode="r", allow_pickle=False)
    y = np.load(paths[1], allow_pickle=False)
    return Split(x, y, pd.read_parquet(paths[2]))
