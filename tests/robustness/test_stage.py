"""A small pipeline from digits to its report: evaluate writes robustness.json, predict marks rows."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.core.contracts import Intake, ModelCard, RobustnessRecord, TableInputs
from pipeline.core.data_settings import DataSettings
from pipeline.core.store import read_record
from pipeline.predict import load
from pipeline.prediction.block import Block
from pipeline.prediction.output import UNLIKE, answers, output_file, table_of
from pipeline.stage import compose, slice_for
from tests.conftest import ROOT
from tests.stages.test_tasks import STAGES

SMALL = ("data=digits", "space=tiny", "search=default_only", "search.seconds=null", "search.epochs=2",
         "search.workers=0", "search.repeats=0", "train.epochs=2", "trainer=cpu", "evaluate.resamples=50",
         "evaluate.baselines=[constant]",
         "evaluate.robustness_rows=100", "evaluate.attack_rows=20", "interpret.rows=4", "interpret.steps=8",
         "interpret.seconds=1", "interpret.deletion_steps=4", "fairness.permutations=50")  # fmt: skip


def test_from_digits_to_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("conf", "search_spaces"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    monkeypatch.chdir(tmp_path)
    config = compose(SMALL)
    for name, kind, stage in STAGES:
        stage(slice_for(name, kind, config))
    record = read_record(RobustnessRecord, Path("artifacts/evaluate/robustness.json"))
    assert (record.rows, record.of, len(record.degradations), len(record.attacks)) == (100, 359, 9, 2)
    report = json.loads(Path("reports/report.json").read_text())
    assert report["robustness"]["clean"]["n"] == 100
    assert not any("corrupted" in gone for gone in report["not_assessed"])
    assert "attacks" not in " ".join(report["not_assessed"])
    page = Path("reports/report.html").read_text()
    assert "accuracy against severity under 9 corruptions" in page
    card = read_record(ModelCard, Path("artifacts/train/card.json"))
    assert card.familiarity_floor is not None
    images = np.random.default_rng(0).integers(0, 2, (60, 8, 8)).astype(np.uint8) * 255
    model = load("artifacts/train")
    answers = model.predict(images)
    assert answers["unlike_training"].dtype == "boolean"
    val = np.load("artifacts/prepare/fit/val_x.npy")[:, 0]
    assert model.predict(val)["unlike_training"].mean() == pytest.approx(0.05, abs=0.01)
    assert list(answers.columns[-3:]) == ["unlike_training", "flag", "refused"]


def test_the_column_goes_to_files(tmp_path: Path) -> None:
    data = DataSettings(name="t", format="csv", sensitive={}, slices={})
    intake = Intake(data=data, task="binary", classes=("a", "b"), usual={})
    block = Block(ids=["1", "2", "3"], x=np.zeros((2, 1)), flags=[None] * 3, refused=[None, "no number", None])
    p = np.array([[0.9, 0.1], [0.4, 0.6]])
    found = answers(intake, TableInputs(columns=()), p)
    frame = table_of(block, found | {UNLIKE: pd.Series([True, False], dtype="boolean")})
    assert frame["unlike_training"].tolist() == [True, pd.NA, False]
    for name in ("rows.csv", "rows.parquet"):
        with output_file(tmp_path / name) as out:
            out.write(frame)
    assert pd.read_parquet(tmp_path / "rows.parquet")["unlike_training"].tolist() == [True, None, False]
    assert (tmp_path / "rows.csv").read_text().splitlines()[1] == '"1","a",0.9,0.1,true,,'
    assert "unlike_training" not in table_of(block, found)
