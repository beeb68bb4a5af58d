"""How much worse a default is than what would be handed on instead, row by row of the same rows.

Two scores on the same rows err together: what is hard for one network is hard for the other. The error of their
difference is therefore taken over differences of rows, not over the rows of each. To it comes what fresh seeds tell of
the luck of a training; of folds, each with a training of its own, their means tell it. Losses of rows lie in a file per
training under state/; those that were compared are handed on.
"""

import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import variance

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import AgainstDefault
from pipeline.core.store import write_bytes

LOSSES = "losses"
"""Folder of the files below a study's state."""

Losses = NDArray[np.float32]
Trained = tuple[int, Sequence[int]]
"""Number of a trial, and the seeds it was trained with: 0 is that of the search, -k the training without fold k."""


def keep_losses(folder: Path, number: int, seed: int, losses: Losses) -> None:
    """Write the losses (N,) of a training that came to its end, on the rows that decide."""
    data = io.BytesIO()
    np.save(data, losses, allow_pickle=False)
    write_bytes(_path(folder, number, seed), data.getvalue())


def losses_in(folder: Path, *trained: Trained) -> dict[str, Losses]:
    """Return {training: losses (N,)} of those that are there whole."""
    found = {}
    for number, seed in {(number, seed) for number, seeds in trained for seed in seeds}:
        with suppress(OSError, ValueError):
            found[name_of(number, seed)] = np.load(_path(folder, number, seed), allow_pickle=False)
    return found


def losses_table(compared: Sequence[AgainstDefault], folder: Path) -> pd.DataFrame:
    """Return the losses behind comparisons, a column for each training and a row for each row."""
    trained = [side for one in compared for side in ((one.default, one.seeds[0]), (one.trial, one.seeds[1]))]
    return pd.DataFrame(dict(sorted(losses_in(folder, *trained).items())))


def row_by_row(
    default: Trained, trial: Trained, losses: Mapping[str, Losses], reserve: int = 0
) -> AgainstDefault | None:
    """Return how far the default is behind, over the seeds of both; None where losses of a seed are not there.

    Of folds both sides have the same ones. `reserve`: the last so many rows are those in reserve.
    """
    sides = [_all_losses(losses, *trained) for trained in (default, trial)]
    first, second = sides
    if first is None or second is None or first.shape[1] != second.shape[1] or first.shape[1] < 2:
        return None
    if min(default[1]) < 0:
        apart = first - second
        each = apart.ravel()
        squared = max(each.var(ddof=1) / len(each), _of_seeds(apart))
    else:
        each = first.mean(0) - second.mean(0)
        squared = each.var(ddof=1) / len(each) + _of_seeds(first) + _of_seeds(second)
    return AgainstDefault(
        default=default[0],
        trial=trial[0],
        difference=float(each.mean()),
        standard_error=float(squared**0.5),
        rows=len(each),
        reserve_rows=reserve,
        seeds=(tuple(default[1]), tuple(trial[1])),
    )


def _of_seeds(losses: NDArray[np.float64]) -> float:
    """Return the squared error of the mean over seeds (S, N) that seeds alone make; 0 of one, of which none is known.

    The rows' own share in it, which is in their differences as well, is small: all seeds see the same rows.
    """
    return variance(losses.mean(1).tolist()) / len(losses) if len(losses) > 1 else 0.0


def _all_losses(losses: Mapping[str, Losses], number: int, seeds: Sequence[int]) -> NDArray[np.float64] | None:
    """Return the losses of each seed of a trial (S, N)."""
    found = [losses.get(name_of(number, seed)) for seed in seeds]
    whole = [one.astype(np.float64) for one in found if one is not None]
    if len(whole) < len(found) or len({len(one) for one in whole}) > 1:
        return None
    return np.stack(whole) if all(np.isfinite(one).all() for one in whole) else None


def name_of(number: int, seed: int) -> str:
    """Return the name of a training's file, and of its column."""
    again = f"-seed-{seed}" if seed > 0 else f"-fold-{-seed}" if seed < 0 else ""
    return f"trial-{number}{again}"


def _path(folder: Path, number: int, seed: int) -> Path:
    return folder / LOSSES / f"{name_of(number, seed)}.npy"
