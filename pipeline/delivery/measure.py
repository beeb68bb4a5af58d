"""What a file's predictions are worth beside the network's own, and how long they take.

Legend: N rows, K classes, labels or numbers.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.core.contracts import Number, Target, Task
from pipeline.core.seeds import stream
from pipeline.delivery.formats import Run
from pipeline.delivery.record import NETWORK, Timed
from pipeline.metrics.intervals import median
from pipeline.metrics.resampling import interval, resampled_sums

_LEAST = 1e-7
"""Of a probability: about a step of float32."""
_RESAMPLES = 1000
_LEVEL = 0.95
_WARM_UPS = 3
_SECONDS = 1.5
"""Spent on one batch size, by all runtimes together."""
_REPEATS = (9, 101)
_AT_ONCE = 256

Values = NDArray[np.float64]


def predictions(run: Run, rows: NDArray[Any]) -> Values:
    """Return predictions (N, K), some rows at a time."""
    parts = [run(rows[i : i + _AT_ONCE]) for i in range(0, len(rows), _AT_ONCE)]
    return np.concatenate(parts).astype(np.float64)


def difference(p: Values, q: Values, task: Task, targets: tuple[Target, ...]) -> float:
    """Return the largest absolute difference: of probabilities, or in training deviations; infinite if undefined."""
    unit = np.array([target.std for target in targets]) if task == "regression" else 1.0
    largest = float(np.abs((p - q) / unit).max())
    return largest if np.isfinite(largest) else float("inf")


def row_measures(task: Task, targets: tuple[Target, ...], y: NDArray[Any], p: Values) -> dict[str, Values]:
    """Return what the task is judged by for each row: its loss, and of classes and labels how much is right (N,)."""
    if task in ("binary", "multiclass"):
        held = p[np.arange(len(y)), y]
        return {"log_loss": -np.log(held.clip(_LEAST)), "accuracy": (p.argmax(axis=1) == y).astype(np.float64)}
    if task == "multilabel":
        loss = -np.log(np.where(y > 0.5, p, 1 - p).clip(_LEAST)).mean(axis=1)
        return {"log_loss": loss, "label_accuracy": ((p >= 0.5) == (y > 0.5)).mean(axis=1)}
    unit = np.array([target.std for target in targets]) if task == "regression" else 1.0
    missed = ((y - p) / unit) ** 2
    known = ~np.isnan(missed)
    return {"squared_error": np.where(known, missed, 0.0).sum(axis=1) / known.sum(axis=1).clip(1)}


def change(
    task: Task, targets: tuple[Target, ...], y: NDArray[Any], before: Values, after: Values, block: int, seed: int
) -> dict[str, Number]:
    """Return by how much each measure changes, paired by row; `block` windows, which overlap, are drawn at once."""
    old, new = (row_measures(task, targets, y, p) for p in (before, after))
    found = {}
    for name in old:
        gap = new[name] - old[name]
        sums = np.stack([gap, np.ones(len(gap))], axis=1)
        drawn = resampled_sums(sums, stream(seed, "export", name), _RESAMPLES, block)
        found[name] = interval(float(gap.mean()), drawn[:, 0] / drawn[:, 1], len(gap), _LEVEL, block)
    return found


def worth(
    task: Task, targets: tuple[Target, ...], y: NDArray[Any], p: Values, block: int, seed: int
) -> dict[str, Number]:
    """Return the mean of each measure over rows; `block` windows, which overlap, are drawn at once."""
    found = {}
    for name, rows in row_measures(task, targets, y, p).items():
        sums = np.stack([rows, np.ones(len(rows))], axis=1)
        drawn = resampled_sums(sums, stream(seed, "export", name), _RESAMPLES, block)
        found[name] = interval(float(rows.mean()), drawn[:, 0] / drawn[:, 1], len(rows), _LEVEL, block)
    return found


def timed(runs: Mapping[str, Run], rows: NDArray[Any], batch: int) -> Timed:
    """Return how long each takes for a batch of these rows; they take turns, so that all meet the same neighbours."""
    x = np.ascontiguousarray(rows[np.arange(batch) % len(rows)])
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        started = time.perf_counter()
        for run in [*runs.values()] * _WARM_UPS:
            run(x)
        turn = (time.perf_counter() - started) / _WARM_UPS
        repeats = int(np.clip(_SECONDS / turn, *_REPEATS))
        took = np.array([[_milliseconds(run, x) for run in runs.values()] for _ in range(repeats)])
    finally:
        torch.set_num_threads(before)
    taken = dict(zip(runs, took.T, strict=True))
    pairs = {name: (NETWORK, name) for name in taken if name != NETWORK}
    if {"onnx", "int8"} <= set(taken):
        pairs["int8_over_onnx"] = ("onnx", "int8")
    return Timed(
        batch=batch,
        milliseconds={name: replace(median(each, _LEVEL), unit="ms") for name, each in taken.items()},
        gain={label: median(taken[slow] / taken[fast], _LEVEL) for label, (slow, fast) in pairs.items()},
    )


def _milliseconds(run: Run, x: NDArray[Any]) -> float:
    start = time.perf_counter()
    run(x)
    return (time.perf_counter() - start) * 1000
