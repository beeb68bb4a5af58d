"""Every task from raw files to a report, in small: what is declared arrives, and simple truths are found."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from jsonschema import Draft202012Validator

from pipeline import configure, evaluate, fairness, interpret, prepare, report, search, train
from pipeline.core import settings as kinds
from pipeline.core.data_settings import AuditSettings, DataSettings
from pipeline.core.provenance import record_provenance
from pipeline.core.store import FIT, FOLDERS, TEST, fresh_folder, write_json
from pipeline.datasets import intake_of, write_split
from pipeline.datasets.images import ImageRows, prepare_arrays
from pipeline.datasets.splits import given_splits
from pipeline.predict import load
from pipeline.stage import compose, granted, recorded, slice_for
from pipeline.tracing.verification import verified
from tests.conftest import ROOT

STAGES: tuple[tuple[str, type[Any], Any], ...] = (
    ("prepare", kinds.PrepareSlice, prepare.run),
    ("search", kinds.SearchSlice, search.run),
    ("train", kinds.TrainSlice, train.run),
    ("evaluate", kinds.EvaluateSlice, evaluate.run),
    ("interpret", kinds.InterpretSlice, interpret.run),
    ("fairness", kinds.FairnessSlice, fairness.run),
    ("report", kinds.ReportSlice, report.run),
)
SMALL = ("search.n_trials=2", "search.seconds=null", "search.epochs=3", "evaluate.resamples=100", "interpret.rows=8",
         "interpret.steps=16", "interpret.deletion_steps=5", "fairness.permutations=50", "train.seeds=1",
         "train.default=false", "trainer=cpu")  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder to run in."""
    for name in ("conf", "search_spaces"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(space: str, data: Mapping[str, Any], *overrides: str) -> dict[str, Any]:
    """Write conf/data/own.yaml, run all stages, return report.json; the page is rendered on the way."""
    own = {"name": "own", "path": ".", "sensitive": {}, "slices": {}} | data
    space_line = f"defaults:\n  - override /space@_global_.space: {space}\n"
    Path("conf/data/own.yaml").write_text(space_line + yaml.safe_dump(own, sort_keys=False))
    found = run_stages(STAGES, ["data=own", *SMALL, *overrides])
    assert [part.mismatches for part in verified()] == [()] * 9
    return found


def run_stages(stages: Sequence[tuple[str, type[Any], Any]], overrides: Sequence[str]) -> dict[str, Any]:
    """Run stages as their commands do after configure with these overrides, return report.json."""
    configure.run(compose(overrides))
    config = recorded()
    for name, kind, stage in stages:
        stage(slice_for(name, kind, config))
        if name in FOLDERS:
            record_provenance(name, granted(name, config), ["--params"])
    found: dict[str, Any] = json.loads(Path("reports/report.json").read_text())
    check_front(found)
    check_card(found)
    assert [error.json_path for error in Draft202012Validator(schema()).iter_errors(found)] == []
    return found


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("reports/report.schema.json").read_text())
    return found


def check_card(report: Mapping[str, Any]) -> None:
    """The model card says what the report says, in a header that is YAML."""
    _, header, body = Path("reports/model_card.md").read_text().split("---\n", 2)
    (result,) = yaml.safe_load(header)["model-index"][0]["results"]
    metrics = {name: number["value"] for name, number in report["evaluate"]["metrics"].items() if name != "ece_null"}
    known = [value for value in metrics.values() if value is not None]
    assert sorted(metric["value"] for metric in result["metrics"]) == sorted(known)
    assert report["model"]["weights_sha256"] in body


def check_front(report: Mapping[str, Any]) -> None:
    """The single network comes first; an ensemble costs what its networks cost together."""
    single, *others = report["evaluate"]["front"]
    metric = report["headline"]["metric"]
    assert single["metrics"] == report["evaluate"]["metrics"]
    assert single["multiply_adds"] == report["model"]["multiply_adds"]
    record = report["search"]["ensemble"]
    assert len(record["members"]) >= 1
    simple = [member for member in (record["mixed"] or {"simple": []})["simple"] if member["share"]]
    wanted = {"ensemble": record["members"]} if len(record["members"]) > 1 else {}
    wanted |= {"mixed ensemble": record["mixed"]["members"]} if simple else {}
    assert [other["name"] for other in others] == list(wanted)
    for other, members in zip(others, wanted.values(), strict=True):
        assert other["networks"] == len(members)
        assert other["multiply_adds"] == sum(member["multiply_adds"] for member in members)
        difference = other["metrics"][metric]["value"] - single["metrics"][metric]["value"]
        assert other["gain"]["value"] == pytest.approx(difference)
    if simple:
        assert others[-1]["simple"] == [[member["name"], member["share"]] for member in simple]
        assert sum(member["share"] for member in (*simple, *record["mixed"]["members"])) == pytest.approx(1)


def page() -> str:
    return Path("reports/report.html").read_text()


def value(report: Mapping[str, Any], pointer: str) -> float:
    node: Any = report
    for part in pointer.strip("/").split("/"):
        node = node[int(part)] if isinstance(node, list) else node[part]
    return float(node["value"])


def test_two_numbers_of_a_table() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).round(4)
    frame["big"] = (1000 * x[:, 0] + 50 * rng.normal(size=600)).round(2)
    frame["small"] = (0.01 * (x[:, 1] - x[:, 2]) + 1).round(5)
    frame["side"] = rng.choice(["left", "right"], 600)
    frame.to_csv("rows.csv", index=False)
    done = run("table", {"format": "csv", "train_file": "rows.csv", "target": ["big", "small"],
                         "sensitive": {"side": {"column": "side"}}}, "train.epochs=25")  # fmt: skip
    assert done["data"]["task"] == "regression"
    assert [t["name"] for t in done["data"]["targets"]] == ["big", "small"]
    assert done["headline"]["metric"] == "r2"
    assert value(done, "/evaluate/metrics/r2") > 0.8
    assert [b["name"] for b in done["evaluate"]["baselines"]] == ["mean", "ridge", "gradient_boosting"]
    assert value(done, "/evaluate/baselines/0/metrics/r2") == pytest.approx(0, abs=0.05)
    assert value(done, "/evaluate/baselines/1/metrics/r2") > 0.95
    big = done["evaluate"]["targets"][0]["metrics"]
    assert 10 < big["mae"]["value"] < 500
    assert big["mae"]["unit"] == "target"
    assert done["evaluate"]["metrics"]["mae"]["unit"] == "training standard deviations"
    assert {a["metric"] for a in done["fairness"]["audits"]} == {"absolute_error", "signed_error"}
    assert done["search"]["metric"] == "squared_error"
    intervals = done["evaluate"]["conformal"]
    assert [part["name"] for part in intervals["parts"]] == ["big", "small"]
    assert (intervals["split"], intervals["verdict"]) == ("val", "kept")
    assert intervals["parts"][0]["coverage"]["value"] > 0.8
    assert done["evaluate"]["tempering"] is None
    assert "Intervals that hold the true number" in page()
    predictions = pd.read_parquet("artifacts/evaluate/predictions.parquet")
    error = (predictions["y_pred_0"] - predictions["y_true_0"]).abs().mean()
    assert error == pytest.approx(big["mae"]["value"])
    assert "Test R²" in page()
    assert "Predicted against true" in page()
    assert "classification" not in page()


def test_a_rare_class_has_a_threshold_of_its_own_and_predict_tells_sets() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(700, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).round(4)
    frame["late"] = np.where(x[:, 0] + 0.8 * rng.normal(size=700) > 1.3, "yes", "no")
    frame.to_csv("rows.csv", index=False)
    data = {"format": "csv", "train_file": "rows.csv", "target": "late"}
    done = run("table", data, "train.epochs=15", "evaluate.threshold=auto", "evaluate.coverage=0.8")
    found = done["evaluate"]["threshold"]
    held = json.loads(Path("artifacts/train/held_out.json").read_text())
    assert (found["value"], found["rows"]) == (held["thresholds"]["balanced_accuracy"], held["threshold_rows"])
    assert found["rows"] == done["data"]["rows"]["val"] + done["data"]["rows"].get("reserve", 0)
    assert found["positive"] == "yes"
    assert found["metrics"]["recall"]["value"] > found["argmax"]["recall"]["value"]
    assert found["metrics"]["false_positive_rate"]["value"] > found["argmax"]["false_positive_rate"]["value"]
    sets = done["evaluate"]["conformal"]
    assert (sets["promised"], sets["split"], sets["rows"]) == (0.8, held["split"], held["rows"])
    assert done["evaluate"]["tempering"]["rows"] == done["data"]["rows"]["val"]
    for words in ("From which probability on it is yes", "Sets that hold the true class", "What the temperature has"):
        assert words in page()
    tested = pd.read_parquet("artifacts/evaluate/predictions.parquet").set_index("row_id")
    answers = load("artifacts/train", coverage=0.8).predict("rows.csv").set_index("row_id").loc[tested.index]
    truth = np.array(["no", "yes"])[tested["y_true"]]
    covered = np.mean([true in said.split("|") for true, said in zip(truth, answers["set"], strict=True)])
    assert covered == pytest.approx(sets["coverage"]["value"])


def test_texts_with_several_labels() -> None:
    rng = np.random.default_rng(0)
    words = {"sport": "goal match team", "money": "bank stock price", "art": "paint museum song"}
    rows = []
    for i in range(500):
        held = [name for name in words if rng.random() < 0.4]
        text = " ".join(rng.choice(words[name].split()) for name in held for _ in range(3))
        rows.append((f"{text} it was day {i} of the {rng.integers(99)}", "|".join(held)))
    frame = pd.DataFrame(rows, columns=["text", "topics"])
    frame[frame["topics"] != ""].to_csv("rows.csv", index=False)
    data = {"format": "text", "train_file": "rows.csv", "text": ["text"], "target": "topics", "label_separator": "|",
            "slices": {"length": {"property": "length", "quantiles": 2}}}  # fmt: skip
    done = run("text", data, "train.epochs=15", "report.include_raw=true")
    assert done["data"]["task"] == "multilabel"
    assert done["data"]["classes"] == ["art", "money", "sport"]
    assert done["headline"]["metric"] == "f1_micro"
    assert value(done, "/evaluate/metrics/f1_micro") > 0.9
    assert value(done, "/evaluate/metrics/label_accuracy") > 0.9
    assert [c["name"] for c in done["evaluate"]["classes"]] == ["art", "money", "sport"]
    assert done["evaluate"]["confusion"] == []
    assert done["evaluate"]["conformal"]["kind"] == "sets"
    assert value(done, "/evaluate/conformal/coverage") > 0.75
    assert list(done["evaluate"]["tempering"]["metrics"]) == ["log_loss", "brier"]
    assert value(done, "/evaluate/metrics/auroc") > 0.9
    assert done["fairness"]["notes"][-1] == "accuracy is the share of rows with every label right"
    assert "data with any of 3 labels" in page()


def test_a_series_of_hours_is_forecast() -> None:
    steps = np.arange(900)
    rng = np.random.default_rng(0)
    open_ = (steps // 12) % 2
    frame = pd.DataFrame({
        "time": pd.date_range("2024-01-01", periods=900, freq="h").strftime("%Y-%m-%d %H:%M"),
        "load": (100 + 10 * np.sin(steps / 24 * 2 * np.pi) + 5 * open_ + rng.normal(0, 0.5, 900)).round(3),
        "wind": rng.normal(size=900).round(3),
        "open": open_,
    })  # fmt: skip
    frame.to_csv("hours.csv", index=False)
    data = {"format": "forecast", "train_file": "hours.csv", "time": "time", "target": "load", "channels": ["wind"],
            "known": ["open"], "horizon": 6, "window": 48, "season": 24}  # fmt: skip
    done = run("forecast", data, "train.epochs=10")
    assert done["data"]["task"] == "forecast"
    assert done["headline"]["metric"] == "skill"
    assert value(done, "/evaluate/metrics/skill") > 0.6
    names = [b["name"] for b in done["evaluate"]["baselines"]]
    assert names == ["last_value", "ridge", "seasonal_naive"]
    assert value(done, "/evaluate/baselines/0/metrics/skill") == 0
    assert value(done, "/evaluate/baselines/2/metrics/skill") > 0.5
    assert [s["step"] for s in done["evaluate"]["steps"]] == [1, 2, 3, 4, 5, 6]
    assert done["evaluate"]["metrics"]["mae"]["ci_method"].startswith("block bootstrap, blocks of 6 rows")
    assert len(done["evaluate"]["conformal"]["parts"]) == 6
    assert done["evaluate"]["conformal"]["coverage"]["ci_method"].startswith("block bootstrap, blocks of 6 rows")
    assert "Errors by step ahead" in page()
    assert any(gone.startswith("fairness towards people: no sensitive feature") for gone in done["not_assessed"])
    forecasts = np.load("artifacts/evaluate/forecasts.npy")
    assert forecasts.shape == (done["data"]["rows"]["test"], 6)
    assert "How far ahead it can see" in page()


def test_images_with_a_number_each() -> None:
    rng = np.random.default_rng(0)
    level = rng.integers(0, 200, 300)
    images = np.clip(level[:, None, None] + rng.normal(0, 20, (300, 8, 8)), 0, 255).astype(np.uint8)
    settings = DataSettings(name="levels", format="idx", sensitive={},
                            slices={"light": AuditSettings(property="mean_intensity", quantiles=2)})  # fmt: skip
    rows = ImageRows(images[:, None], (level / 10).round(1), [str(i) for i in range(300)])
    prepared = prepare_arrays(settings, 7, [rows], given_splits(train=300), "0" * 64)
    with fresh_folder(FIT) as fit, fresh_folder(TEST) as test:
        write_json(fit / "dataset.json", prepared.card)
        write_json(fit / "intake.json", intake_of(settings, prepared))
        for split, part in prepared.splits.items():
            write_split(test if split == "test" else fit, split, part)
    done = run_stages(STAGES[1:], ["data=digits", *SMALL, "train.epochs=20"])
    assert [part.mismatches for part in verified()] == [()] * 9
    assert done["data"]["task"] == "regression"
    assert value(done, "/evaluate/metrics/r2") > 0.7
    assert done["interpret"]["rows"][0]["probability"] is None
