"""What `dvc plots show` draws of the test rows: CSV files beside the scores, a line for each point."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from pipeline.core.contracts import DatasetCard, Scores
from pipeline.core.store import write_bytes
from pipeline.evaluation.stored import Said

CONFUSION, CALIBRATION, POINTS = "confusion.csv", "calibration.csv", "points.csv"
_MOST_ROWS = 20_000
"""Lines of confusion.csv; of more test rows some, evenly spread."""


def write_plots(folder: Path, card: DatasetCard, scores: Scores, said: Said) -> None:
    """Write confusion.csv, calibration.csv and points.csv, those of them that the task has: DVC draws no empty file."""
    if scores.confusion:
        _write(folder / CONFUSION, ("actual", "predicted"), _pairs(card, said))
    if scores.reliability:
        bins = ((bin_.confidence, bin_.accuracy.value) for bin_ in scores.reliability)
        _write(folder / CALIBRATION, ("confidence", "accuracy"), bins)
    if scores.points:
        _write(folder / POINTS, ("actual", "predicted"), scores.points)


def _pairs(card: DatasetCard, said: Said) -> Iterable[tuple[str, str]]:
    shown = np.unique(np.linspace(0, len(said.y) - 1, min(len(said.y), _MOST_ROWS)).round().astype(int))
    predicted = said.p.argmax(axis=1)
    return ((card.classes[said.y[i]], card.classes[predicted[i]]) for i in shown)


def _write(path: Path, head: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(lines)
    write_bytes(path, out.getvalue().encode())
