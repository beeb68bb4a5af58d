"""Who goes where: stratified splits that depend on the seed alone, and a count of rows that sit on both sides."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.seeds import stream
from pipeline.datasets.packed import chunks


def stratified(y: NDArray[np.int64], fraction: float, seed: int, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return sorted index arrays (kept, split off); every class gives round(fraction * its rows), at least one."""
    rng = stream(seed, "split", name)
    off: list[int] = []
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        off.extend(rows[: max(1, round(fraction * len(rows)))])
    taken = np.zeros(len(y), dtype=bool)
    taken[off] = True
    return np.flatnonzero(~taken), np.flatnonzero(taken)


def check_classes(y: NDArray[np.int64], classes: tuple[str, ...], where: str, least: int = 3) -> None:
    """Refuse data with one class, or with a class too rare to appear in every split."""
    counts = np.bincount(y, minlength=len(classes))
    present = [i for i, n in enumerate(counts) if n]
    if len(present) < 2:
        only = classes[present[0]] if present else "none"
        raise DataError(f"{where}: only one class ({only})", fix="a classifier needs rows of at least two classes")
    for i, n in enumerate(counts):
        if n < least:
            raise DataError(
                f"{where}: class '{classes[i]}' has {n} rows; train, val and test need {least}",
                fix="add rows of this class, or remove or merge it",
            )


def shared_rows(seen: Sequence[NDArray[Any]], later: NDArray[Any]) -> int:
    """Count rows of `later` that occur byte for byte in one of the arrays `seen`."""
    known = {_fingerprint(row) for rows in seen for part in chunks(rows) for row in part}
    return sum(_fingerprint(row) in known for part in chunks(later) for row in part)


def _fingerprint(row: NDArray[Any]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=16).digest()
