"""Every family beside the simplest predictor: all pairs are there, a difference is judged by its whole interval."""

import json
from pathlib import Path

import families
import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline.core.contracts import ForecastInputs, ImageInputs, SeriesInputs, TableInputs, TextInputs
from pipeline.models import FAMILIES
from tests.conftest import ROOT

SETS = {
    "digits": {"space": "tiny", "path": None, "settings": "data=digits space=tiny"},
    "gone": {"space": "tiny", "path": "nowhere.csv", "settings": "data=adult space=tiny"},
}
KINDS = {"image": ImageInputs, "text": TextInputs, "series": SeriesInputs, "forecast": ForecastInputs,
         "table": TableInputs}  # fmt: skip


def test_every_family_is_measured_on_every_kind_it_reads() -> None:
    measured = {
        (family, spec["space"]) for spec in families.SETS.values() for family in families.families_of(spec["space"])
    }
    assert measured == {(name, kind) for name, f in FAMILIES.items() for kind, i in KINDS.items() if i in f.reads}


def test_only_families_without_a_branch_bring_their_own() -> None:
    for space, own in families.BRANCHES.items():
        text = (ROOT / "search_spaces" / f"{space}.yaml").read_text(encoding="utf-8")
        assert not set(own) & set(yaml.safe_load(text)["architecture"])


@pytest.mark.parametrize(("low", "expected"), [(0.001, True), (0.0, False), (-0.2, False), (None, False)])
def test_the_whole_interval_decides(low: float | None, expected: bool) -> None:
    assert families.beats({"gain": {"value": 0.3, "ci_low": low, "ci_high": 0.5}}) is expected


@pytest.mark.parametrize(
    ("notes", "expected"),
    [(["train.seconds ended the training after 0.8 of 10 epochs"], 0.8), (["something else"], 40.0), ([], 40.0)],
)
def test_passes_are_those_of_the_note_where_seconds_ended_them(notes: list[str], expected: float) -> None:
    assert families.passes({"notes": notes, "epochs": [{"epoch": 3}, {"epoch": 40}]}) == expected


@pytest.mark.slow
def test_pairs_are_trained_scored_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "families.json"
    asked = [str(tmp_path), "family=cnn,rnn", "seconds=2", f"out={out}"]
    assert families.main(asked, SETS) == 0
    found = json.loads(out.read_text())
    assert list(found) == ["digits, cnn", "digits, rnn", "gone, cnn", "gone, rnn"]
    record = found["digits, cnn"]
    assert record["candidate"]["architecture"] == {"kind": "cnn", "width": 8, "stages": 1, "depth": 1}
    assert record["predictor"] == "majority"
    assert record["gain"]["value"] == pytest.approx(record["score"]["value"] - record["predictor_score"]["value"])
    assert record["gain"]["ci_low"] < record["gain"]["value"] < record["gain"]["ci_high"]
    page = out.with_suffix(".md").read_text()
    assert "| cnn | tiny | digits |" in page
    assert "| rnn | tiny | gone | not there |" in page
    capsys.readouterr()
    assert families.main([*asked, "only=digits"], SETS) == 0
    assert capsys.readouterr().out == "digits, cnn: there already\ndigits, rnn: there already\n"


@pytest.mark.slow
def test_forecasts_stand_beside_the_training_mean_and_the_last_value(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hours = np.arange("2020-01-01", "2020-02-20", dtype="datetime64[h]")
    wave = 5 + np.sin(2 * np.pi * np.arange(len(hours)) / 24) + rng.normal(0, 0.1, len(hours))
    lines = [f"{hour},{value:.4f}" for hour, value in zip(hours, wave, strict=True)]
    (tmp_path / "waves.csv").write_text("\n".join(["date,value", *lines]) + "\n")
    settings = "data=etth1 data.name=waves data.train_file=waves.csv data.target=[value] data.steps=[]"
    settings += " data.horizon=12 data.window=48"
    sets = {"waves": {"space": "forecast", "path": ".", "settings": settings}}
    out = tmp_path / "families.json"
    assert families.main([str(tmp_path), "family=linear", "seconds=3", f"out={out}"], sets) == 0
    record = json.loads(out.read_text())["waves, linear"]
    assert record["predictor"] == "training_mean"
    # The last value has skill 0, so the difference to it is the skill itself.
    assert record["last_value"]["value"] == pytest.approx(record["score"]["value"])
    # The deviation of a sine is 0.71, its mean absolute value 0.64: the mean errs by 0.9 deviations.
    assert record["predictor_score"]["value"] < record["score"]["value"]
    assert record["gain"]["value"] == pytest.approx(record["score"]["value"] - record["predictor_score"]["value"])
    assert families.beats(record)


def test_the_weeks_of_test_come_after_all_of_training_and_targets_share_no_day(tmp_path: Path) -> None:
    days = 56 + 5 * 7 + 2 * 365
    temperatures = "\n".join(str(day) for day in range(days))
    (tmp_path / "daily-min-temperatures.csv").write_text(f"Temp\n{temperatures}\n")
    families.next_week(tmp_path, tmp_path)
    train, test = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("train", "test"))
    # The temperature of a day is its number, so the mean of a week is its fourth day.
    assert train["mean"].tolist() == [59 + 7 * i for i in range(5)]
    assert train.iloc[0, :-1].tolist() == list(range(56))
    assert test["mean"].tolist() == [56 + 35 + 3 + 7 * i for i in range(104)]
    assert (test["day_55"] + 4 == test["mean"]).all()


def test_an_unknown_family_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        families.main([str(tmp_path), "family=cnm"], SETS)
    assert "family: no family cnm" in capsys.readouterr().err
