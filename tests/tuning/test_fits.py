"""Simple models as members of an ensemble: fitted beside the trials, chosen by what they predict, fitted again."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.baselines import baseline_probabilities
from pipeline.core.contracts import EnsembleRecord, NumericColumn, SimpleMember, TableInputs
from pipeline.core.errors import ArtifactError, ConfigError
from pipeline.core.settings import SearchSettings
from pipeline.core.store import sha256_file
from pipeline.space import parse
from pipeline.training.data import Arrays, Data
from pipeline.training.simple import fit_simple, kinds_for, predict_simple
from pipeline.tuning import Fits, Keeper, Problem, Search, hand_over, open_keeper
from pipeline.tuning import fits as module
from pipeline.tuning.selection import loss_on
from tests.training.test_fit import CPU, DATA
from tests.tuning.test_search import study

TREE: dict[str, Any] = {
    "architecture": {"mlp": {"width": 8, "depth": 1, "dropout": 0.0}},
    "optimizer": {"lr": {"choice": [0.01, 0.02]}, "batch_size": 64},
}
SETTINGS = SearchSettings(n_trials=2, epochs=1, repeats=0, workers=1, keep=4, members="auto")


def chequered(n: int, seed: int) -> Arrays:
    """Return rows whose class is told by squares of two numbers among eight: easy for trees, hard in one pass."""
    x = np.random.default_rng(seed).random((n, 8), dtype=np.float32)
    return Arrays(x, (np.floor(x[:, 0] * 4) + np.floor(x[:, 1] * 4)).astype(np.int64) % 2)


COLUMNS = tuple(NumericColumn(name=n, edges=(0.0, 0.5, 1.0), median=0.5, missing=False) for n in "abcdefgh")
TABLE = Data(TableInputs(columns=COLUMNS), 2, chequered(1500, 0), chequered(300, 1), chequered(300, 2), task="binary")
PROBLEM = Problem(TABLE, SETTINGS, CPU, 7)
TEST = chequered(200, 3)


def searched(folder: Path, problem: Problem = PROBLEM) -> tuple[EnsembleRecord, Fits, Keeper]:
    """Search or go on, and hand over to `folder`/search."""
    keeper = open_keeper(folder, "study", problem.settings.keep)
    fits, search = Fits(problem, keeper.folder), Search(problem, parse(TREE), study(folder), folder / "study")
    search.run(keeper.keep_fit, fits)
    return hand_over(folder / "search", problem, search.export("db"), keeper, fits), fits, keeper


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[EnsembleRecord, Path]:
    folder = tmp_path_factory.mktemp("trees")
    return searched(folder)[0], folder


def test_trees_that_win_get_weight_and_stand_beside_the_networks(done: tuple[EnsembleRecord, Path]) -> None:
    record = done[0]
    assert record.mixed is not None
    (trees,) = record.mixed.chosen
    assert (trees.kind, trees.name, trees.fitted_on) == (
        "gradient_boosting", "gradient_boosting", "1,500 of 1,500 training rows",
    )  # fmt: skip
    assert trees.share > 0.5
    assert trees.share + sum(member.share for member in record.mixed.members) == pytest.approx(1)
    assert record.single_score is not None
    assert trees.score < record.single_score
    assert record.mixed.score <= trees.score
    assert TABLE.reserve is not None
    own = baseline_probabilities(
        "gradient_boosting", TABLE.inputs, (TABLE.train.x, TABLE.train.y), TABLE.reserve.x, 2, 7
    )
    assert trees.score == pytest.approx(loss_on(TABLE, torch.tensor(TABLE.reserve.y))(torch.tensor(own)))
    assert not any("gradient" in note for note in record.notes)


def test_without_members_the_ensemble_is_that_of_the_networks(done: tuple[EnsembleRecord, Path]) -> None:
    record, folder = done
    off = replace(PROBLEM, settings=replace(SETTINGS, members=()))
    keeper = open_keeper(folder, "study", 4)
    search = Search(off, parse(TREE), study(folder), folder / "study")
    plain = hand_over(folder / "off", off, search.export("db"), keeper)
    same = hand_over(folder / "none", off, search.export("db"), keeper, Fits(off, keeper.folder))
    assert plain == same == replace(record, mixed=None)
    assert (folder / "off" / "ensemble.json").read_bytes() == (folder / "none" / "ensemble.json").read_bytes()
    assert all(path.suffix == ".safetensors" for path in (folder / "off" / "members").iterdir())


def test_what_is_fitted_again_predicts_the_same_and_anything_else_is_an_error(
    done: tuple[EnsembleRecord, Path],
) -> None:
    record, folder = done
    ((_, p),) = predict_simple(folder / "search", record, TABLE, TEST)
    assert (p.argmax(1) == TEST.y).mean() > 0.9
    own = baseline_probabilities("gradient_boosting", TABLE.inputs, (TABLE.train.x, TABLE.train.y), TEST.x, 2, 7)
    assert p == pytest.approx(own)
    path = folder / "search" / "members" / "gradient_boosting.npy"
    other = replace(TABLE, train=Arrays(TABLE.train.x, TABLE.train.y.copy()))
    other.train.y[0] = 1 - other.train.y[0]
    with pytest.raises(ArtifactError) as caught:
        predict_simple(folder / "search", record, other, TEST)
    message, fix = str(caught.value).split("\n")
    start = (
        f"{path}: gradient_boosting fitted again is another model than in the search: its predictions differ by up to"
    )
    assert message.startswith(start)
    assert float(message.removeprefix(start)) > 1e-6
    assert fix.strip() == (
        "fix: run `dvc repro search`; training rows, code or the library that fits it are no longer the same"
    )
    fewer = replace(TABLE, reserve=chequered(299, 2))
    with pytest.raises(ArtifactError, match=r"its predictions are \(299, 2\), not \(300, 2\)"):
        predict_simple(folder / "search", record, fewer, TEST)


def test_predictions_that_are_not_those_of_the_record_are_refused(
    done: tuple[EnsembleRecord, Path], tmp_path: Path
) -> None:
    record, folder = done
    path = tmp_path / "members" / "gradient_boosting.npy"
    with pytest.raises(ArtifactError, match="not found"):
        predict_simple(tmp_path, record, TABLE, TEST)
    path.parent.mkdir()
    whole = (folder / "search" / "members" / path.name).read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ArtifactError) as caught:
        predict_simple(tmp_path, record, TABLE, TEST)
    assert str(caught.value) == (
        f"{path}: not the predictions that ensemble.json describes\n  fix: run `dvc repro search`"
    )


_SCRIPT = """
import sys
from pathlib import Path
from tests.tuning.test_fits import searched
print("go", flush=True)
searched(Path(sys.argv[1]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a fit dies with its search on Linux")
def test_a_search_killed_while_it_fits_ends_with_the_same_ensemble(
    done: tuple[EnsembleRecord, Path], tmp_path: Path, root: Path
) -> None:
    kills = 0
    for wait in (0.3, 0.6, 0.9, 1.2, 1.5):
        process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, str(tmp_path)], cwd=root, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        time.sleep(wait)
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert kills
    found = searched(tmp_path)[0]
    assert found == done[0]
    for path in (tmp_path / "search").rglob("*.*"):
        assert path.read_bytes() == (done[1] / path.relative_to(tmp_path)).read_bytes()


def test_a_fit_that_takes_too_long_is_ended_and_that_is_said(
    done: tuple[EnsembleRecord, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "fit_simple", lambda *_: time.sleep(3600))
    fits = Fits(PROBLEM, tmp_path)
    with fits.beside(time.monotonic() + 0.5):
        pass
    assert fits.predictions("gradient_boosting") is None
    assert fits.why_not("gradient_boosting") == "it was not fitted within 0 s"
    fits.complete()  # a finished study does not try again
    record, keeper = done[0], open_keeper(done[1], "study", 4)
    search = Search(PROBLEM, parse(TREE), study(done[1]), done[1] / "study")
    found = hand_over(tmp_path / "search", PROBLEM, search.export("db"), keeper, fits)
    assert found.mixed is None
    assert (found.members, found.score) == (record.members, record.score)
    assert found.notes[-1] == "gradient boosting (not a network) could not be a member: it was not fitted within 0 s"
    monkeypatch.undo()
    with fits.beside(None):  # a search that goes on does
        pass
    assert fits.predictions("gradient_boosting") is not None
    assert fits.why_not("gradient_boosting") is None


def test_a_fit_that_fails_or_dies_costs_no_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("no such rows\nmore")

    monkeypatch.setattr(module, "fit_simple", broken)
    fits = Fits(PROBLEM, tmp_path)
    with fits.beside(None):
        pass
    assert fits.why_not("gradient_boosting") == "ValueError: no such rows"
    assert "in broken" in (tmp_path / "gradient_boosting-50000.txt").read_text()
    monkeypatch.setattr(module, "fit_simple", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with fits.beside(None):
        pass
    assert fits.why_not("gradient_boosting") == "its process ended: killed by SIGKILL (out of memory?)"


def test_a_simple_model_without_a_share_is_no_member_and_that_is_said(
    done: tuple[EnsembleRecord, Path], tmp_path: Path
) -> None:
    keeper, fits = open_keeper(done[1], "study", 4), Fits(PROBLEM, tmp_path)
    np.save(fits.path("gradient_boosting"), np.tile([0.999, 0.001], (300, 1)))
    search = Search(PROBLEM, parse(TREE), study(done[1]), done[1] / "study")
    found = hand_over(tmp_path / "search", PROBLEM, search.export("db"), keeper, fits)
    assert found.mixed is not None
    assert found.mixed.chosen == ()
    assert [(m.number, m.share) for m in found.mixed.members] == [(m.number, m.share) for m in found.members]
    assert found.notes[-1] == (
        "gradient boosting (not a network) was fitted and got no share: networks alone predict better on these rows"
    )
    assert predict_simple(tmp_path / "search", found, TABLE, TEST) == []


def test_auto_is_the_strong_one_of_such_data_and_others_must_exist() -> None:
    assert kinds_for(SETTINGS, TABLE) == ("gradient_boosting",)
    assert kinds_for(SETTINGS, DATA) == ()  # images
    assert kinds_for(replace(SETTINGS, keep=0), TABLE) == ()
    assert kinds_for(replace(SETTINGS, members=("linear", "gradient_boosting")), TABLE) == (
        "linear", "gradient_boosting",
    )  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        kinds_for(replace(SETTINGS, members=("ngram_svm",)), TABLE)
    assert str(caught.value) == (
        "search.members: there is no ngram_svm for table inputs and the task binary\n"
        "  fix: one of: linear, gradient_boosting"
    )
    with pytest.raises(ConfigError) as caught:
        kinds_for(replace(SETTINGS, members=("linear",), keep=0), TABLE)
    assert str(caught.value) == ("search.members: search.keep is 0, so there is no ensemble\n  fix: search.members=[]")


def test_it_is_fitted_on_so_many_rows_and_no_more() -> None:
    train = replace(TABLE, train=Arrays(TABLE.train.x, TABLE.train.y))
    some, same = (fit_simple("linear", data, 100, 7, [TEST])[0] for data in (train, TABLE))
    assert (some == same).all()
    assert (some != fit_simple("linear", TABLE, 1500, 7, [TEST])[0]).any()
    both = fit_simple("linear", TABLE, 100, 7, [TABLE.val, TEST])
    assert [len(p) for p in both] == [300, 200]
    assert both[1] == pytest.approx(some)


def test_the_record_is_json_that_says_how_to_fit_again(done: tuple[EnsembleRecord, Path]) -> None:
    kept = json.loads((done[1] / "search" / "ensemble.json").read_text())["mixed"]["simple"][0]
    assert set(kept) == set(SimpleMember.__dataclass_fields__)
    assert (kept["rows"], kept["seed"]) == (50_000, 7)
    assert kept["predictions_sha256"] == sha256_file(done[1] / "search" / "members" / "gradient_boosting.npy")
