"""Several seeds and the default: from train through evaluate to the report, killed on the way and run again."""

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from pipeline import evaluate, prepare, search, train
from pipeline.core import settings as kinds
from pipeline.core.contracts import DatasetCard, ModelCard, Scores, SearchRecord
from pipeline.core.store import EVALUATE, FIT, SEARCH, TRAIN, read_record
from pipeline.core.strict import plain
from pipeline.reporting import document, render, summary_lines
from pipeline.stage import compose, slice_for
from pipeline.training import fit
from tests.conftest import ROOT
from tests.reporting.records import records
from tests.reporting.test_page import BEHIND, SETTINGS, Page

OVERRIDES = ["data=digits", "space=tiny", "search=tiny", "search.n_trials=4", "search.epochs=1", "train.epochs=2",
             "train.seconds=null", "train.seeds=2", "evaluate.baselines=[constant]", "evaluate.resamples=100",
             "trainer=cpu"]  # fmt: skip
STAGES = {"prepare": prepare, "search": search, "train": train, "evaluate": evaluate}


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project folder after a search whose winner is not its first default."""
    for name in ("conf", "search_spaces"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    stage("prepare")
    stage("search")
    assert read_record(SearchRecord, SEARCH / "search.json").best != 0


def stage(name: str, *overrides: str) -> None:
    kind = getattr(kinds, f"{name.capitalize()}Slice")
    STAGES[name].run(slice_for(name, kind, compose([*OVERRIDES, *overrides])))


def all_weights() -> dict[str, Any]:
    return {path.name: load_file(path) for path in sorted(TRAIN.glob("*.safetensors"))}


def same(one: dict[str, Any], two: dict[str, Any]) -> bool:
    return one.keys() == two.keys() and all(
        np.array_equal(one[file][name], two[file][name]) for file in one for name in one[file]
    )


@pytest.mark.usefixtures("searched")
def test_seeds_and_the_default_are_trained_scored_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    stage("train", "train.seeds=1", "train.default=false")
    alone = all_weights()
    assert list(alone) == ["model.safetensors"]
    stage("train")
    whole = all_weights()
    assert list(whole) == ["default.safetensors", "model.safetensors", "seed_2.safetensors"]
    assert same(alone, {"model.safetensors": whole["model.safetensors"]})

    # Killed in the second epoch of the second seed: what was trained is not trained again, and all comes out the same.
    shutil.rmtree(TRAIN)
    saved, save = 0, fit.save_checkpoint

    def killed(folder: Path, state: dict[str, Any]) -> None:
        nonlocal saved
        saved += 1
        if saved == 4:
            raise KeyboardInterrupt
        save(folder, state)

    monkeypatch.setattr(fit, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        stage("train")
    assert not TRAIN.exists()
    stage("train")
    assert saved == 4 + 1 + 2  # the lost epoch, and the two of the default
    assert same(all_weights(), whole)
    assert not list(Path("state/train").iterdir())

    card = read_record(ModelCard, TRAIN / "card.json")
    assert [training.name for training in card.seeds] == ["seed 1", "seed 2"]
    assert (card.seeds[0].val_score, card.seeds[0].weights_sha256) == (card.val_score, card.weights_sha256)
    assert card.default is not None
    assert (card.default_trial, card.no_default) == (0, "")
    lines = list(csv.DictReader((TRAIN / "log.csv").read_text().splitlines()))
    names = [(line["training"], line["epoch"]) for line in lines]
    assert names == [(name, epoch) for name in ("seed 1", "seed 2", "default") for epoch in ("1", "2")]
    assert float(lines[1]["val_score"]) == card.val_score

    stage("evaluate")
    scores = read_record(Scores, EVALUATE / "scores.json")
    assert scores.seeds is not None
    assert scores.seeds.scores[0].headline == scores.metrics["accuracy"]
    values = [score.headline.value or 0.0 for score in scores.seeds.scores]
    assert scores.seeds.mean.value == pytest.approx(np.mean(values))
    assert scores.front[-1].name == "averaged seeds"
    assert scores.default is not None
    ours, theirs = scores.metrics["accuracy"].value, scores.default.metrics["accuracy"].value
    assert ours is not None
    assert theirs is not None
    assert scores.default.gain.value == pytest.approx(ours - theirs)
    assert scores.worth is not None
    assert scores.worth.comparisons[0].gain == scores.default.gain
    assert scores.worth.comparisons[2].verdict == "not measured in this run"
    assert scores.curse is not None
    assert scores.curse.points[-1].quality == scores.metrics["accuracy"]
    flat = json.loads(Path("reports/metrics.json").read_text())
    assert flat["default_candidate_accuracy"] == theirs
    assert flat["seeds_mean_accuracy"] == scores.seeds.mean.value
    told_in_the_report(card, scores)

    shutil.copytree("artifacts", "elsewhere")
    stage("evaluate", "evaluate.random_search=elsewhere/evaluate/predictions.parquet")
    again = read_record(Scores, EVALUATE / "scores.json").worth
    assert again is not None
    assert (again.comparisons[2].gain.value, again.comparisons[2].verdict) == (0, "not shown to differ")
    assert "of its trials were not drawn blindly" in again.comparisons[2].what


def told_in_the_report(card: ModelCard, scores: Scores) -> None:
    """All of it stands in the page, what matters most on its first screen."""
    data = read_record(DatasetCard, FIT / "dataset.json")
    told = document(SETTINGS, replace(records(), card=data, model=card, scores=scores), BEHIND)
    found = json.loads(json.dumps(plain(told)))
    page = render(found)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))
    assert scores.worth is not None
    assert f"Worth it?{scores.worth.sentences[0]}" in re.sub(r"\? ", "?", text)
    assert "Was the search worth it?" in text
    assert all(sentence in text for sentence in scores.worth.sentences)
    assert "default candidate (a network)" in text
    assert "Only the first two columns are networks; baselines are not." in text
    assert "spread over several searches: this is one" in found["not_assessed"]
    lines = summary_lines(found)
    assert any(line.startswith("averaged seeds  ") for line in lines)
    assert f"search          {scores.worth.sentences[0]}" in lines
    pointers = {pointer for pointer, _ in Page(page).numbers}
    assert {"/evaluate/default/gain", "/evaluate/seeds/mean", "/evaluate/curse/optimism",
            "/evaluate/curse/own", "/model/seeds/1/val_score",
            "/model/default/val_score", "/evaluate/seeds/scores/1/headline", "/evaluate/curse/points/2/quality",
            "/evaluate/worth/comparisons/0/gain", "/evaluate/worth/search_seconds"} <= pointers  # fmt: skip
