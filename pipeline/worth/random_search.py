"""Another run's predictions of the same test rows: what a random search of equal cost would have handed on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import SearchRecord, Task
from pipeline.core.errors import ConfigError
from pipeline.core.store import read_record

Values = NDArray[np.float64]

_EQUAL = 0.2
"""Seconds of two searches that differ by no more than this share are called equal."""


@dataclass(frozen=True, kw_only=True)
class RandomSearch:
    """What it predicts (N, K), and what is known of it."""

    p: Values
    words: str


def random_search(path: Path, task: Task, row_ids: NDArray[np.object_], here: SearchRecord) -> RandomSearch:
    """Read predictions.parquet of another run; what is not of exactly these test rows is refused."""
    where, fix = f"conf.evaluate.random_search: {path}", "predictions.parquet of a run on the same data and seed"
    if not path.exists():
        raise ConfigError(f"{where}: not found", fix=fix)
    try:
        table = pd.read_parquet(path)
        ids = table["row_id"].to_numpy(object)
        p = _values(table, path, task)
    except (OSError, ValueError, KeyError) as wrong:
        raise ConfigError(f"{where}: not predictions ({str(wrong).partition(chr(10))[0]})", fix=fix) from None
    if len(ids) != len(row_ids) or (ids != row_ids).any() or len(p) != len(ids):
        raise ConfigError(f"{where}: other test rows than here", fix=fix)
    return RandomSearch(p=p, words=_words(path.parent.parent / "search" / "search.json", here))


def _values(table: pd.DataFrame, path: Path, task: Task) -> Values:
    """Return the predictions (N, K) as evaluate wrote them; forecasts lie beside the table."""
    if task == "forecast":
        return np.asarray(np.load(path.with_name("forecasts.npy"), allow_pickle=False), np.float64)
    prefix = "y_pred_" if task == "regression" else "p_"
    count = sum(str(name).startswith(prefix) for name in table.columns)
    if not count:
        raise KeyError(f"no columns {prefix}0 …")
    return table[[f"{prefix}{k}" for k in range(count)]].to_numpy(np.float64)


def _words(path: Path, here: SearchRecord) -> str:
    """Say what the search record beside the predictions tells of their cost."""
    if not path.exists():
        return "its search record does not lie beside it, so nobody knows whether it had equal compute"
    there = read_record(SearchRecord, path)
    ours, theirs = here.wall_seconds, there.wall_seconds
    told = f"{len(there.trials)} trials in {theirs:.0f} s, against {len(here.trials)} in {ours:.0f} s"
    if blind := sum(trial.origin != "random" for trial in there.trials):
        return f"{told}; {blind} of its trials were not drawn blindly"
    equal = abs(theirs - ours) <= _EQUAL * max(ours, theirs)
    return f"{told}: {'equal compute' if equal else 'not equal compute'}"
