"""train.refit: the validation rows are trained on as well, and nothing that is reported of them changes."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from pipeline.core.contracts import ForecastInputs
from pipeline.core.errors import ConfigError
from pipeline.core.settings import PrepareSlice, SearchSlice, TrainSlice
from pipeline.core.store import SEARCH, TRAIN
from pipeline.prepare import run as prepare
from pipeline.search import run as search
from pipeline.stage import compose, slice_for
from pipeline.train import run as train
from pipeline.training.card import rebuilt_words
from pipeline.training.data import Arrays, Data, Rows
from tests.conftest import ROOT
from tests.training.test_fit import DATA

OVERRIDES = ["data=digits", "space=tiny", "search=tiny", "search.n_trials=1", "search.epochs=1", "train.epochs=2",
             "train.seconds=null", "train.seeds=1",
             "train.default=false", "trainer=cpu"]  # fmt: skip


def trained(*overrides: str) -> tuple[dict[str, Any], dict[str, Any]]:
    train(slice_for("train", TrainSlice, compose([*OVERRIDES, *overrides])))
    return json.loads((TRAIN / "card.json").read_text()), load_file(TRAIN / "model.safetensors")


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project folder after a search."""
    for name in ("conf", "search_spaces"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    prepare(slice_for("prepare", PrepareSlice, compose(OVERRIDES)))
    search(slice_for("search", SearchSlice, compose(OVERRIDES)))


@pytest.mark.usefixtures("searched")
def test_weights_have_seen_all_rows_and_scores_are_of_the_training_before() -> None:
    card, weights = trained()
    again, others = trained("train.refit=true")
    assert card["refit_rows"] is None
    rows = json.loads(Path("artifacts/prepare/fit/dataset.json").read_text())["rows"]
    assert again["refit_rows"] == rows["train"] + rows["val"] + rows.get("reserve", 0)
    assert (again["val_score"], len(again["epochs"])) == (card["val_score"], len(card["epochs"]))
    assert np.array_equal(weights["temperature"], others["temperature"])
    assert any(not np.array_equal(weights[name], others[name]) for name in weights)
    assert trained("train.refit=true")[1].keys() == others.keys()
    assert not list(Path("state/train").iterdir())


def test_all_rows_are_there_once() -> None:
    whole = DATA.with_validation_rows()
    assert len(whole.train.y) == len(DATA.train.y) + len(DATA.val.y)
    assert np.array_equal(whole.train.x[len(DATA.train.y) :], DATA.val.x)
    assert np.array_equal(whole.val.y, DATA.val.y)


def test_windows_of_forecasts_stay_in_their_split() -> None:
    inputs = ForecastInputs(channels=("a",), targets=1, known=0, window=4, horizon=2, season=None)
    steps = np.arange(20, dtype=np.float32)[None]
    train, val = Arrays(steps, np.array([4, 9, 18])), Arrays(100 + steps, np.array([4, 18]))
    whole = Data(inputs=inputs, outputs=2, train=train, val=val, task="forecast").with_validation_rows()
    x, future = Rows(whole.train.x, whole.train.y, inputs, "cpu").take(torch.arange(5))
    assert x[:, 0, :4].tolist() == [[0, 1, 2, 3], [5, 6, 7, 8], [14, 15, 16, 17], [100, 101, 102, 103],
                                    [114, 115, 116, 117]]  # fmt: skip
    assert future.tolist() == [[4, 5], [9, 10], [18, 19], [104, 105], [118, 119]]


def test_weighted_rows_are_refused() -> None:
    weighted = Arrays(DATA.train.x, DATA.train.y, np.ones(len(DATA.train.y), np.float32))
    with pytest.raises(ConfigError) as wrong:
        Data(inputs=DATA.inputs, outputs=DATA.outputs, train=weighted, val=DATA.val).with_validation_rows()
    assert str(wrong.value) == (
        "train.refit: training rows are weighted, validation rows are not\n  fix: train.refit=false"
    )


WORSE = (
    "the winner, trained again, scores 0.3500 on validation rows and scored 0.3000 in the search: "
    "worse by more than two standard errors (0.0200)"
)


@pytest.mark.parametrize(
    ("searched", "rebuilt", "error", "said"),
    [(0.30, 0.32, 0.02, None), (0.30, 0.20, 0.02, None), (0.30, 0.35, 0.02, WORSE)],
)
def test_a_rebuilt_winner_out_of_the_noise_is_told(
    searched: float, rebuilt: float, error: float, said: str | None
) -> None:
    assert rebuilt_words(searched, rebuilt, error) == said


@pytest.mark.usefixtures("searched")
def test_a_winner_that_is_no_longer_what_it_was_chosen_for_is_told_in_card_and_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "pipeline.train")
    best = SEARCH / "best.json"
    found = json.loads(best.read_text())
    best.write_text(json.dumps(found | {"score": found["score"] - 5.0}))
    card, _ = trained()
    (note,) = card["notes"]
    assert note.startswith(f"the winner, trained again, scores {card['val_score']:.4f} on validation rows and scored ")
    assert f"note: {note}" in caplog.text
