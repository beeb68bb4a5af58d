"""Judges: every task has metrics, baselines and a gain on the same rows; forecasts are scored in raw units too."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.core.contracts import (
    TASKS,
    DatasetCard,
    ForecastInputs,
    NumericColumn,
    SeriesInputs,
    TableInputs,
    Target,
)
from pipeline.core.settings import EvaluateSettings
from pipeline.datasets import Split
from pipeline.evaluate import baseline_rows
from pipeline.evaluation import judge_for
from pipeline.evaluation.forecasts import last_known

SETTINGS = EvaluateSettings(
    baselines=("constant", "linear", "ngram_svm", "gradient_boosting", "random_kernels", "seasonal"), resamples=100
)
TABLE = TableInputs(
    columns=tuple(NumericColumn(name=n, edges=(-2.0, 0.0, 2.0), median=0.0, missing=False) for n in "abc")
)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 3)).astype(np.float32)
NO_ROWS = pd.DataFrame({"row_id": []})


def card(**changes: Any) -> DatasetCard:
    values: dict[str, Any] = {"name": "t", "task": "multiclass", "classes": ("a", "b", "c"), "inputs": TABLE,
                              "rows": {}, "class_rows": {}, "audit": (), "source_digest": "", "notes": ()}  # fmt: skip
    return DatasetCard(**(values | changes))


def problem(task: str) -> tuple[DatasetCard, np.ndarray, np.ndarray]:
    """Return card, truth and a good prediction of 400 rows."""
    if task == "multiclass":
        y = X[:, :3].argmax(1)
        return card(), y, 0.8 * np.eye(3)[y] + 0.2 / 3
    if task == "multilabel":
        held = (X > 0.3).astype(np.int64)
        return card(task="multilabel"), held, np.clip(held * 0.8 + 0.1, 0, 1)
    y = np.stack([100 * X[:, 0], X[:, 1] - X[:, 2]], axis=1).astype(float)
    targets = (Target(name="u", mean=0.0, std=100.0), Target(name="v", mean=0.0, std=1.4))
    return card(task="regression", classes=(), targets=targets), y, y + RNG.normal(size=y.shape) * [5, 0.1]


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])
def test_metrics_baselines_and_gains_are_on_the_same_rows(task: str) -> None:
    description, y, p = problem(task)
    judge = judge_for(description, SETTINGS, 7, y[200:], NO_ROWS, X[200:])
    headline = TASKS[description.task].headline
    ours = judge.metrics(p[200:], "")[headline]
    assert ours.value is not None
    assert ours.value > 0.9
    names = []
    for kind in SETTINGS.baselines:
        found = judge.baseline(kind, (X[:200], y[:200]), X[200:])
        if found is None:
            continue
        name, q = found
        names.append(name)
        theirs = judge.metrics(q, name)[headline]
        gain = judge.gain(p[200:], q, name)
        if theirs.value is not None:
            assert gain.value == pytest.approx(ours.value - theirs.value)
        assert judge.metrics(q, name) == judge.metrics(q, name)
    assert len(names) == 3
    table = judge.table(p[200:])
    assert {len(column) for column in table.values()} == {200}
    assert judge.details(p[200:])


def test_boosting_is_left_out_and_told_where_there_are_many_classes() -> None:
    y = np.arange(200) % 25
    judge = judge_for(card(classes=tuple(f"c{i}" for i in range(25))), SETTINGS, 7, y, NO_ROWS, X[:200])
    assert judge.baseline("gradient_boosting", (X[:200], y), X[:200]) is None
    assert judge.baseline("linear", (X[:200], y), X[:200]) is not None
    p = np.full((200, 25), 1 / 25)
    assert judge.details(p)["notes"] == ("gradient boosting is left out: it fits trees for each of 25 classes",)
    assert judge_for(card(), SETTINGS, 7, y % 3, NO_ROWS, X[:200]).details(p[:, :3])["notes"] == ()


INPUTS = ForecastInputs(channels=("u", "v", "w"), targets=2, known=0, window=24, horizon=4, season=12)


def forecast_rows(n: int, series: list[str]) -> pd.DataFrame:
    scales = {"raw.offset.0": 100.0, "raw.offset.1": 5.0, "raw.scale.0": 10.0, "raw.scale.1": 2.0,
              "raw.change.0": 4.0, "raw.change.1": 1.0}  # fmt: skip
    return pd.DataFrame(
        {"row_id": [f"{s} @ {i}" for i, s in enumerate(series)]} | {k: [v] * n for k, v in scales.items()}
    )


def test_forecasts_are_scored_in_raw_units_and_against_the_last_value() -> None:
    n = 120
    x = RNG.normal(size=(n, 3, 24)).astype(np.float32)
    x[:, 0, -1] = np.nan
    y = RNG.normal(size=(n, 8)).astype(np.float32)
    description = card(task="forecast", classes=(), inputs=INPUTS,
                       targets=(Target(name="u", mean=0, std=1), Target(name="v", mean=0, std=1)))  # fmt: skip
    judge = judge_for(description, SETTINGS, 7, y, forecast_rows(n, ["s"] * n), x)
    good = y + 0.01
    metrics = judge.metrics(good, "")
    assert metrics["mae"].value == pytest.approx(0.01, abs=1e-4)  # in training deviations
    assert metrics["mase"].value == pytest.approx((0.1 / 4 + 0.02 / 1) / 2, rel=0.02)  # in raw units over the change
    assert metrics["mae"].ci_method == "block bootstrap, blocks of 4 rows, 100 draws"
    last = last_known(x[:, :2])
    assert last[:, 0] == pytest.approx(x[:, 0, -2])
    name, q = judge.baseline("constant", (x, y), x) or ("", np.empty(0))
    assert name == "last_value"
    assert q.reshape(n, 4, 2)[:, 3] == pytest.approx(last)
    assert judge.metrics(q, name)["skill"].value == pytest.approx(0, abs=1e-6)
    gain = judge.gain(good, q, name)
    assert gain.value == pytest.approx(metrics["skill"].value)
    assert judge.baseline("gradient_boosting", (x, y), x) is None
    assert (judge.baseline("seasonal", (x, y), x) or ("",))[0] == "seasonal_naive"
    assert [s.step for s in judge.details(good)["steps"]] == [1, 2, 3, 4]


def test_windows_of_different_series_are_resampled_one_by_one() -> None:
    x, y = RNG.normal(size=(50, 3, 24)).astype(np.float32), RNG.normal(size=(50, 8)).astype(np.float32)
    description = card(task="forecast", classes=(), inputs=INPUTS)
    judge = judge_for(description, SETTINGS, 7, y, forecast_rows(50, [f"H{i}" for i in range(50)]), x)
    assert judge.metrics(y + 0.1 * RNG.normal(size=y.shape), "")["mae"].ci_method == "bootstrap, 100 draws"


def test_random_kernels_are_for_series_alone() -> None:
    x, y = RNG.normal(size=(30, 1, 20)).astype(np.float32), np.arange(30) % 3
    x[y == 1] += np.sin(np.arange(20) * 2.0)
    series = SeriesInputs(channels=("x",), length=20, mean=(0.0,), std=(1.0,))
    found = judge_for(card(inputs=series), SETTINGS, 7, y, NO_ROWS, x).baseline("random_kernels", (x, y), x)
    assert found is not None
    assert found[0] == "random_kernels"
    assert found[1].shape == (30, 3)
    assert judge_for(card(), SETTINGS, 7, y, NO_ROWS, X[:30]).baseline("random_kernels", (X[:30], y), X[:30]) is None


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])
def test_baselines_get_the_weights_of_the_rows_they_are_fitted_on(task: str) -> None:
    description, y, _ = problem(task)
    weight = np.where(X[:, 0] > 0, 2.0, 0.0).astype(np.float32)
    split = Split(X, y, NO_ROWS, weight)
    x, some, kept, words = baseline_rows(SETTINGS, split, TABLE, 7)
    assert kept is not None
    assert len(x) == len(some) == len(kept) == np.count_nonzero(weight)
    assert words == f"{len(x)} of 400 training rows, weighted"
    judge = judge_for(description, SETTINGS, 7, y, NO_ROWS, X)
    uneven = 0.1 + X[:, 1] ** 2
    told = judge.baseline("constant", (X, y), X[:1], uneven)
    assert told is not None
    rows = np.eye(3)[y] if task == "multiclass" else y
    assert told[1][0] == pytest.approx(np.average(rows, axis=0, weights=uneven))
