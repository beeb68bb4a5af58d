"""What evaluate stores is enough to judge again: the same numbers, of every task."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.core.contracts import ForecastInputs, Target
from pipeline.core.errors import ArtifactError
from pipeline.evaluation import (
    Said,
    judge_for,
    load_predictions,
    load_row_errors,
    store_predictions,
    store_row_errors,
)
from tests.evaluation.test_judges import NO_ROWS, SETTINGS, X, card, problem


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])
def test_stored_predictions_are_judged_as_they_were(task: str, tmp_path: Path) -> None:
    description, y, p = problem(task)
    judge = judge_for(description, SETTINGS, 7, y, NO_ROWS, X)
    table = pd.DataFrame({"row_id": [str(i) for i in range(len(y))], **judge.table(p)})
    others = {"a b": np.roll(p, 1, axis=0)}
    store_predictions(tmp_path, description, Said(y, p, X, table, others))
    said = load_predictions(tmp_path, description)
    again = judge_for(description, SETTINGS, 7, said.y, said.rows, said.x)
    assert again.metrics(said.p, "") == judge.metrics(p, "")
    assert again.details(said.p) == judge.details(p)
    assert again.gain(said.p, said.others["a b"], "a b") == judge.gain(p, others["a b"], "a b")
    (tmp_path / "others.npz").unlink()
    with pytest.raises(ArtifactError, match=r"others\.npz: not found"):
        load_predictions(tmp_path, description)


def test_forecasts_are_judged_without_their_windows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = ForecastInputs(channels=("a", "b", "c"), targets=2, known=0, window=5, horizon=3, season=None)
    targets = tuple(Target(name=name, mean=0.0, std=1.0, change=0.5) for name in "ab")
    description = card(task="forecast", classes=(), inputs=inputs, targets=targets)
    x = rng.normal(size=(40, 3, 5)).astype(np.float32)
    x[3, 0, 2:] = np.nan
    y, p = (rng.normal(size=(40, 6)).astype(np.float32) for _ in range(2))
    y[7, 4] = np.nan
    rows = pd.DataFrame({"row_id": [f"s @ {i}" for i in range(40)]})
    for i in range(2):
        for kind in ("scale", "offset", "change"):
            rows[f"raw.{kind}.{i}"] = rng.uniform(0.5, 2, 40)
    judge = judge_for(description, SETTINGS, 7, y, rows, x)
    table = pd.DataFrame({"row_id": rows["row_id"], **judge.table(p.astype(float))})
    store_predictions(tmp_path, description, Said(y, p.astype(float), x, table, {}))
    said = load_predictions(tmp_path, description)
    again = judge_for(description, SETTINGS, 7, said.y, said.rows, said.x)
    assert again.metrics(said.p, "") == judge.metrics(p.astype(float), "")
    assert again.details(said.p) == judge.details(p.astype(float))
    assert said.x.shape == (40, 2, 1)


@pytest.mark.parametrize("kind", ["wrong", "absolute_error"])
def test_errors_of_rows_come_back_as_they_were(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kept = {
        "rows": np.array([1, 300]),
        kind: rng.integers(2, size=2) * 1.0,
        "noise": rng.integers(2, size=(5, 2)) * 1.0,
    }
    if kind == "absolute_error":
        kept["noise"] += 0.1
    store_row_errors(tmp_path, kept)
    found = load_row_errors(tmp_path)
    assert found is not None
    assert (found.kind, found.rows.tolist(), list(found.worse)) == (kind, [1, 300], ["noise"])
    assert found.clean.tolist() == kept[kind].tolist()
    assert found.worse["noise"].tolist() == kept["noise"].tolist()
    store_row_errors(tmp_path, {})
    assert load_row_errors(tmp_path) is None


def test_the_error_of_a_row_is_what_its_metric_is_the_mean_of() -> None:
    description, y, p = problem("regression")
    judge = judge_for(description, SETTINGS, 7, y, NO_ROWS, X)
    assert judge.row_errors(p)[1].mean() == pytest.approx(judge.metrics(p, "")["mae"].value)
    description, y, p = problem("multilabel")
    judge = judge_for(description, SETTINGS, 7, y, NO_ROWS, X)
    assert 1 - judge.row_errors(p)[1].mean() == pytest.approx(judge.metrics(p, "")["subset_accuracy"].value)
