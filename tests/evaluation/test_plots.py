"""CSV files for `dvc plots`: what the scores hold, and no file where there is nothing."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.evaluation import Said, write_plots
from tests.reporting.records import CLASSES, records


def lines(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as source:
        return list(csv.reader(source))


def test_each_file_has_what_its_plot_draws(tmp_path: Path) -> None:
    whole = records()
    y, p = np.array([0, 1, 2, 2]), np.eye(3)[[0, 2, 2, 1]]
    said = Said(y, p, np.empty((4, 0)), pd.DataFrame(), {})
    write_plots(tmp_path, whole.card, whole.scores, said)
    found = lines(tmp_path / "confusion.csv")
    assert found[0] == ["actual", "predicted"]
    assert found[1:] == [[CLASSES[a], CLASSES[b]] for a, b in ((0, 0), (1, 2), (2, 2), (2, 1))]
    bins = lines(tmp_path / "calibration.csv")[1:]
    assert [float(a) for a, _ in bins] == [bin_.confidence for bin_ in whole.scores.reliability]
    assert not (tmp_path / "points.csv").exists()


def test_a_task_without_classes_has_points(tmp_path: Path) -> None:
    whole = records()
    scores = replace(whole.scores, confusion=(), reliability=(), points=((1.0, 1.5), (2.0, 1.75)))
    write_plots(tmp_path, whole.card, scores, Said(np.ones(2), np.ones((2, 1)), np.empty((2, 0)), pd.DataFrame(), {}))
    assert [path.name for path in tmp_path.iterdir()] == ["points.csv"]
    assert lines(tmp_path / "points.csv")[1:] == [["1.0", "1.5"], ["2.0", "1.75"]]
