"""train.distill: from train through evaluate to the report, and refused where there is nobody to learn from."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline import evaluate, prepare, search, train
from pipeline.core import settings as kinds
from pipeline.core.contracts import DatasetCard, EnsembleRecord, ModelCard, Scores
from pipeline.core.errors import ConfigError
from pipeline.core.store import EVALUATE, FIT, SEARCH, TRAIN, read_record, write_json
from pipeline.core.strict import plain
from pipeline.reporting import document, render, summary_lines
from pipeline.stage import compose, slice_for
from tests.conftest import ROOT
from tests.reporting.records import records
from tests.reporting.test_page import BEHIND, SETTINGS

OVERRIDES = ["data=digits", "space=tiny", "search=tiny", "search.n_trials=4", "search.epochs=1", "train.epochs=2",
             "train.seconds=null", "train.seeds=2", "train.default=false", "train.distill=true",
             "evaluate.baselines=[constant]", "evaluate.resamples=100", "trainer=cpu"]  # fmt: skip
STAGES = {"prepare": prepare, "search": search, "train": train, "evaluate": evaluate}


def stage(name: str, *overrides: str) -> None:
    kind = getattr(kinds, f"{name.capitalize()}Slice")
    STAGES[name].run(slice_for(name, kind, compose([*OVERRIDES, *overrides])))


def test_the_distilled_network_is_trained_scored_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("conf", "search_spaces"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    stage("prepare")
    stage("search")
    found = read_record(EnsembleRecord, SEARCH / "ensemble.json")
    stage("train")
    card = read_record(ModelCard, TRAIN / "card.json")
    assert [training.name for training in card.seeds] == ["seed 1", "seed 2"]
    assert card.distilled is not None
    assert card.distilled.teacher in (f"the search's ensemble of {len(found.members)} networks", "the 2 seeds")
    assert card.distilled.weights_sha256 not in {training.weights_sha256 for training in card.seeds}
    stage("evaluate")
    scores = read_record(Scores, EVALUATE / "scores.json")
    single, other = scores.front[0], scores.front[-1]
    assert (other.name, other.networks, other.parameters) == ("distilled", 1, single.parameters)
    ours, theirs = single.metrics["accuracy"].value, other.metrics["accuracy"].value
    assert ours is not None
    assert theirs is not None
    assert other.gain is not None
    assert other.gain.value == pytest.approx(theirs - ours)
    assert str(other.gain.ci_method).endswith("of pairs")
    with np.load(EVALUATE / "others.npz") as said:
        assert said["distilled"].argmax(1).shape == said["seed 2"].argmax(1).shape
    assert json.loads(Path("reports/metrics.json").read_text())["distilled_accuracy"] == theirs

    behind = read_record(DatasetCard, FIT / "dataset.json")
    told = json.loads(json.dumps(plain(document(SETTINGS, replace(records(), card=behind, model=card, scores=scores),
                                                BEHIND))))  # fmt: skip
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", render(told)))
    assert f"the mean predictions of {card.distilled.teacher}" in text
    assert any(line.startswith("distilled  ") for line in summary_lines(told))

    write_json(SEARCH / "ensemble.json", replace(found, members=found.members[:1]))
    with pytest.raises(ConfigError, match=r"^conf\.train\.distill: true, but the search's ensemble is one network"):
        stage("train", "train.seeds=1")
