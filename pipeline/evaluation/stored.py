"""What was predicted of the test rows, as it lies in artifacts/evaluate: enough to judge it again without the rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import DatasetCard, ForecastInputs
from pipeline.core.store import missing
from pipeline.evaluation.forecasts import last_known

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Said:
    """Truth and predictions of the N test rows."""

    y: NDArray[Any]
    """As judge_for takes it: (N,) class numbers, (N, K) labels or numbers, (N, H · T) futures."""
    p: Values
    """(N, K), of the network that is handed on."""
    x: NDArray[Any]
    """(N, T, 1) the last known values of forecasts; of other tasks (N, 0), since their judges read no inputs."""
    rows: pd.DataFrame
    """predictions.parquet."""
    others: Mapping[str, Values]
    """(N, K) of each baseline and ensemble, by name."""


def store_predictions(folder: Path, card: DatasetCard, said: Said) -> None:
    """Write predictions.parquet and others.npz; of forecasts forecasts.npy and futures.npz as well."""
    said.rows.to_parquet(folder / "predictions.parquet", index=False)
    others: dict[str, Any] = dict(said.others)
    np.savez(folder / "others.npz", **others)
    if isinstance(card.inputs, ForecastInputs):
        np.save(folder / "forecasts.npy", said.p.astype(np.float32), allow_pickle=False)
        last = last_known(said.x[:, : card.inputs.targets, : card.inputs.window])
        np.savez(folder / "futures.npz", y=said.y, last=last)


def load_predictions(folder: Path, card: DatasetCard) -> Said:
    """Read what store_predictions wrote, number for number."""
    table = pd.read_parquet(_there(folder / "predictions.parquet"))
    others = load_arrays(folder / "others.npz")
    x = np.empty((len(table), 0))
    if isinstance(card.inputs, ForecastInputs):
        futures = load_arrays(folder / "futures.npz")
        p = np.load(_there(folder / "forecasts.npy"), allow_pickle=False).astype(np.float64)
        return Said(futures["y"], p, futures["last"][:, :, None], table, others)
    match card.task:
        case "binary" | "multiclass":
            return Said(table["y_true"].to_numpy(), _columns(table, "p", card), x, table, others)
        case "multilabel":
            return Said(_columns(table, "y_true", card), _columns(table, "p", card), x, table, others)
        case _:
            return Said(_columns(table, "y_true", card), _columns(table, "y_pred", card), x, table, others)


@dataclass(frozen=True)
class RowErrors:
    """Errors of single test rows, as they are and made worse: R rows, of which robustness speaks."""

    kind: str
    """`wrong`: 0 or 1; `absolute_error`: a distance."""
    rows: NDArray[np.int64]
    """(R,) places in the test split."""
    clean: Values
    """(R,)"""
    worse: Mapping[str, Values]
    """(5, R) at severities 1 to 5, by corruption."""


def store_row_errors(folder: Path, errors: Mapping[str, NDArray[Any]]) -> None:
    """Write row_errors.npz from what robustness kept; zeros and ones take a byte each."""
    small = {name: part.astype(np.uint8) if "wrong" in errors and name != "rows" else part
             for name, part in errors.items()}  # fmt: skip
    named: dict[str, Any] = small
    np.savez(folder / "row_errors.npz", **named)


def load_row_errors(folder: Path) -> RowErrors | None:
    """Read what store_row_errors wrote; None where no corruption was tried."""
    found = load_arrays(folder / "row_errors.npz")
    kind = next((name for name in ("wrong", "absolute_error") if name in found), None)
    if kind is None:
        return None
    rows, clean = found.pop("rows"), found.pop(kind).astype(float)
    return RowErrors(kind, rows, clean, {name: part.astype(float) for name, part in found.items()})


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz file by name."""
    with np.load(_there(path), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _columns(table: pd.DataFrame, name: str, card: DatasetCard) -> NDArray[Any]:
    # Sums depend on the order in memory in their last digits: rows lie together, as in what was predicted.
    return np.ascontiguousarray(table[[f"{name}_{k}" for k in range(card.outputs)]].to_numpy())


def _there(path: Path) -> Path:
    if not path.exists():
        raise missing(path)
    return path
