"""Selection against an independent one, its loss against the heads, and what a search hands over of it."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save

from pipeline.core.contracts import EnsembleRecord, ForecastInputs, SearchRecord, Target, Task
from pipeline.core.errors import ArtifactError
from pipeline.core.store import read_record
from pipeline.space import parse
from pipeline.training.data import Arrays, Data, Rows
from pipeline.training.heads import head_for
from pipeline.training.members import load_ensemble, member_file, predict_ensemble
from pipeline.training.predict import predict
from pipeline.training.temperature import best_temperature, softening
from pipeline.tuning import Keeper, Problem, Search, hand_over, open_keeper
from pipeline.tuning.selection import loss_on, select
from tests.training.test_fit import DATA, on_cpu, stripes
from tests.tuning.test_search import TINY, problem, study

RNG = np.random.default_rng(0)
TARGETS = (Target(name="u", mean=50.0, std=10.0), Target(name="v", mean=0.0, std=0.5))


def squared(y: NDArray[Any]) -> Callable[[torch.Tensor], float]:
    return lambda p: float(((p.numpy() - y) ** 2).mean())


def naive(p: NDArray[Any], y: NDArray[Any], most: int) -> list[int]:
    """Return the picks for the squared error, each tried by averaging all picks anew, up to the best of them."""

    def error(members: list[int]) -> float:
        return float(((p[members].mean(axis=0) - y) ** 2).mean())

    picks: list[int] = []
    while len(picks) < most:
        picks.append(int(np.argmin([error([*picks, m]) for m in range(len(p))])))
    return picks[: 1 + int(np.argmin([error(picks[: n + 1]) for n in range(most)]))]


@pytest.mark.parametrize("most", [1, 2, 5, 25])
def test_picks_are_those_of_a_search_that_averages_anew_each_time(most: int) -> None:
    y = RNG.normal(size=(60, 2))
    p = y + RNG.normal(size=(7, 60, 2)) * np.linspace(0.8, 1.4, 7)[:, None, None]
    picks = naive(p, y, most)
    found = select(torch.tensor(p), squared(y), most)
    assert found.shares == tuple(picks.count(m) / len(picks) for m in range(7))
    assert found.score == pytest.approx(((p[picks].mean(axis=0) - y) ** 2).mean())
    assert found.score <= min(found.scores)
    assert len(picks) <= most
    assert most < 5 or len(set(picks)) > 2


def test_opposite_mistakes_cancel_and_shares_follow_their_size() -> None:
    """Errors +1 and -3 cancel at 3/4 and 1/4; one half each is no better than the first alone, so picks go on."""
    y = np.zeros((30, 1))
    found = select(torch.tensor(np.stack([y + 5, y + 1, y - 3])), squared(y))
    assert found.shares == (0.0, 3 / 4, 1 / 4)
    assert found.score == 0
    assert found.scores == (25.0, 1.0, 9.0)
    assert found.single == 1


def test_the_smallest_of_equal_ensembles_is_taken_and_ties_go_to_the_earlier() -> None:
    y = np.zeros((10, 1))
    same = select(torch.tensor(np.stack([y + 2, y + 1, y + 1, y + 3])), squared(y))
    assert same.shares == (0.0, 1.0, 0.0, 0.0)
    assert (same.score, same.single) == (1.0, 1)
    twins = select(torch.tensor(np.stack([y + 1, y - 1, y - 1])), squared(y))
    assert twins.shares == (0.5, 0.5, 0.0)
    assert select(torch.tensor(y[None] + 4), squared(y)).shares == (1.0,)


def data_of(task: Task, outputs: int, targets: tuple[Target, ...] = ()) -> Data:
    return replace(DATA, task=task, outputs=outputs, targets=targets)


def rows_of(task: Task) -> tuple[Data, torch.Tensor, torch.Tensor]:
    """Return data, outputs of a network (N, K) and the truth."""
    out = torch.tensor(RNG.normal(size=(200, 3)))
    if task == "multiclass":
        return data_of(task, 3), out, (out + 2 * torch.tensor(RNG.normal(size=(200, 3)))).argmax(1)
    if task == "multilabel":
        return data_of(task, 3), out, (out + torch.tensor(RNG.normal(size=(200, 3))) > 0).long()
    y = RNG.normal(size=(200, 2))
    y[:20, 0], y[15:30, 1] = np.nan, np.nan  # and of some rows both
    if task == "regression":
        return data_of(task, 2, TARGETS), out[:, :2], torch.tensor(y * [10, 0.5] + [50, 0])
    inputs = ForecastInputs(channels=("u",), targets=1, known=0, window=4, horizon=2, season=None)
    return replace(data_of(task, 2, TARGETS[:1]), inputs=inputs), out[:, :2], torch.tensor(y)


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression", "forecast"])
def test_the_loss_of_one_member_is_the_score_of_the_search(task: Task) -> None:
    data, out, y = rows_of(task)
    head = head_for(task, data.inputs, data.targets)
    scored = head.score(out, y)
    own = loss_on(data, y)(head.predict(out / scored.temperature))
    assert own == pytest.approx(scored.score, rel=1e-6)
    assert loss_on(data, y)(head.predict(out * 3)) > own


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression", "forecast"])
def test_members_that_err_apart_are_better_together(task: Task) -> None:
    data, out, y = rows_of(task)
    head = head_for(task, data.inputs, data.targets)
    noise = torch.tensor(RNG.normal(size=(6, *out.shape)))
    truth = out if task in ("multiclass", "multilabel") else torch.zeros_like(out)
    found = select(torch.stack([head.predict(truth + part) for part in noise]), loss_on(data, y))
    assert found.score < 0.97 * min(found.scores)
    assert sum(share > 0 for share in found.shares) >= 3
    assert sum(found.shares) == pytest.approx(1)


def test_a_certain_mistake_costs_much_and_not_infinitely() -> None:
    data = data_of("multiclass", 3)
    wrong, right = torch.eye(3)[[1, 1]].double(), torch.eye(3)[[0, 0]].double()
    loss = loss_on(data, torch.tensor([0, 0]))
    assert 100 < loss(wrong) < 1000
    assert loss((wrong + right) / 2) < loss(wrong)


def test_temperature_and_softening_are_those_of_the_heads() -> None:
    """A network that makes no mistake on few rows is not scored as if it never made one."""
    out, y = 50 * torch.eye(3).double()[[0, 1, 2, 0]], torch.tensor([0, 1, 2, 0])
    assert loss_on(data_of("multiclass", 3), y)(out.softmax(1)) > 1
    soft = softening(4, 3)
    t = best_temperature(
        lambda t: torch.nn.functional.cross_entropy(out / t, y, reduction="none", label_smoothing=soft)
    )
    assert loss_on(data_of("multiclass", 3), y)((out / t).softmax(1)) < 0.6


def spare() -> Problem:
    """A problem with rows in reserve, whose trials make mistakes."""
    return replace(problem(n_trials=6, epochs=2, keep=4), data=replace(DATA, reserve=stripes(120, 5)))


def run(chosen: Problem, folder: Path) -> tuple[SearchRecord, Keeper]:
    return searched_in(chosen, TINY, folder)


def searched_in(chosen: Problem, tree: Mapping[str, Any], folder: Path) -> tuple[SearchRecord, Keeper]:
    keeper = open_keeper(folder, "test", chosen.settings.keep)
    search = Search(chosen, parse(tree), study(folder), folder / "test")
    search.run(keeper.keep_fit)
    return search.export("db"), keeper


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[SearchRecord, Path]:
    """One search for all tests, and where its state lies."""
    folder = tmp_path_factory.mktemp("state")
    return run(spare(), folder)[0], folder


@pytest.fixture
def kept(searched: tuple[SearchRecord, Path], tmp_path: Path) -> tuple[SearchRecord, Keeper]:
    """The search's record and a copy of its weights."""
    record, folder = searched
    shutil.copytree(folder / "test", tmp_path / "test")
    return record, open_keeper(tmp_path, "test", 4)


def test_a_search_hands_over_networks_that_predict_what_it_scored(
    tmp_path: Path, kept: tuple[SearchRecord, Keeper]
) -> None:
    chosen, (record, keeper) = spare(), kept
    found = hand_over(tmp_path / "search", chosen, record, keeper)
    assert read_record(EnsembleRecord, tmp_path / "search" / "ensemble.json") == found
    assert (found.split, found.rows, found.metric) == ("reserve", 120, "log_loss")
    best = sorted((t for t in record.trials if t.state == "complete"), key=lambda t: (t.score or 0.0, t.number))[:4]
    assert set(found.considered) == {t.number for t in best}
    assert not any("reserve" in note for note in found.notes)

    again, networks = load_ensemble(tmp_path / "search", DATA.inputs, DATA.outputs)
    assert again == found
    shares = [member.share for member in found.members]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    assert chosen.data.reserve is not None
    rows, head = on_cpu(chosen.data.reserve), head_for("multiclass", DATA.inputs, ())
    loss = loss_on(chosen.data, torch.tensor(chosen.data.reserve.y))
    p = predict_ensemble(networks, shares, rows, head)
    assert found.score == pytest.approx(loss(torch.tensor(p)))
    for member, network in zip(found.members, networks, strict=True):
        trial = record.trials[member.number]
        assert member.score == pytest.approx(loss(torch.tensor(predict(network, rows, head))))
        assert (member.candidate, member.parameters) == (trial.candidate, trial.parameters)
        assert member.temperature == pytest.approx(float(network.temperature))
        val = Rows(DATA.val.x, DATA.val.y, DATA.inputs, "cpu")
        on_val = loss_on(DATA, torch.tensor(DATA.val.y))(torch.tensor(predict(network, val, head)))
        assert on_val == pytest.approx(trial.score, rel=1e-4)  # the very weights that were scored
    assert found.single_score is not None
    assert found.score is not None
    assert found.score <= found.single_score
    names = {path.name for path in (tmp_path / "search" / "members").iterdir()}
    assert names == {member_file(member.number, member.repeat) for member in found.members} | {member_file(record.best)}


def test_the_same_study_hands_over_the_same_bytes(searched: tuple[SearchRecord, Path], tmp_path: Path) -> None:
    for name in ("a", "b"):
        record, keeper = run(spare(), searched[1])  # only exported
        assert record == searched[0]
        hand_over(tmp_path / name, spare(), record, keeper)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) >= 2
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


def test_without_a_reserve_the_record_says_that_the_rows_were_seen(tmp_path: Path) -> None:
    chosen = problem(n_trials=3, epochs=2)
    record, keeper = run(chosen, tmp_path)
    found = hand_over(tmp_path / "search", chosen, record, keeper)
    assert (found.split, found.rows) == ("val", len(DATA.val.y))
    assert found.notes[-1] == (
        "no rows are kept in reserve: the ensemble was chosen on validation rows that all trials were compared and "
        "their temperatures set on, so its score there is flattered twice"
    )


def test_one_kept_trial_is_no_ensemble_and_that_is_said(tmp_path: Path, kept: tuple[SearchRecord, Keeper]) -> None:
    chosen, record, keeper = spare(), kept[0], replace(kept[1], most=1)
    found = hand_over(tmp_path / "search", chosen, record, keeper)
    lowest = min((t for t in record.trials if t.state == "complete"), key=lambda t: (t.score or 0.0, t.number))
    assert [(m.number, m.share) for m in found.members] == [(lowest.number, 1.0)]
    assert (found.score, found.single) == (found.single_score, lowest.number)
    assert found.notes[-1:] == (f"no ensemble is better than trial {lowest.number} alone",)


def test_without_weights_there_is_no_member_and_that_is_said(tmp_path: Path) -> None:
    chosen = replace(spare(), settings=replace(spare().settings, keep=0, n_trials=1))
    record, keeper = run(chosen, tmp_path)
    assert list(keeper.folder.iterdir()) == []
    found = hand_over(tmp_path / "search", chosen, record, keeper)
    assert (found.members, found.score, found.single, found.single_score, found.considered) == (
        (),
        None,
        None,
        None,
        (),
    )
    assert found.notes == ("search.keep is 0, so no weights are kept for an ensemble",)
    assert load_ensemble(tmp_path / "search", DATA.inputs, DATA.outputs) == (found, ())


def test_lost_weights_and_those_of_another_training_are_no_members(
    tmp_path: Path, kept: tuple[SearchRecord, Keeper]
) -> None:
    chosen, (record, keeper) = spare(), kept
    lost, other = list(keeper.kept())[:2]
    complete = sum(t.state == "complete" for t in record.trials)
    assert (lost[1], other[1]) == (0, 0)
    keeper.path(lost).unlink()
    trials = tuple(replace(t, score=(t.score or 0.0) + 0.5) if t.number == other[0] else t for t in record.trials)
    found = hand_over(tmp_path / "search", chosen, replace(record, trials=trials), keeper)
    assert not {lost[0], other[0]} & set(found.considered)
    left = len(found.considered)
    assert found.notes[0] == (
        f"usable weights of {left} of {complete} finished trainings are there, the others are no members"
    )


def test_predictions_that_are_no_numbers_are_no_members(tmp_path: Path, kept: tuple[SearchRecord, Keeper]) -> None:
    chosen, (record, keeper) = spare(), kept
    good = hand_over(tmp_path / "good", chosen, record, keeper)
    assert chosen.data.reserve is not None
    broken = good.considered[0]
    tensors = load_file(keeper.path((broken, 0)))
    tensors["head.1.bias"][:] = torch.nan
    metadata = {"score": repr(record.trials[broken].score)}
    keeper.path((broken, 0)).write_bytes(save(tensors, metadata=metadata))
    found = hand_over(tmp_path / "search", chosen, record, keeper)
    assert found.considered == good.considered[1:]
    assert found.notes


def test_weights_that_do_not_match_the_record_are_refused(tmp_path: Path, kept: tuple[SearchRecord, Keeper]) -> None:
    chosen, (record, keeper) = spare(), kept
    found = hand_over(tmp_path / "search", chosen, record, keeper)
    path = tmp_path / "search" / "members" / f"trial-{found.members[0].number}.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ArtifactError) as caught:
        load_ensemble(tmp_path / "search", DATA.inputs, DATA.outputs)
    assert str(caught.value) == f"{path}: not the weights that ensemble.json describes\n  fix: run `dvc repro search`"
    path.unlink()
    with pytest.raises(ArtifactError, match="not found"):
        load_ensemble(tmp_path / "search", DATA.inputs, DATA.outputs)
    assert json.loads((tmp_path / "search" / "ensemble.json").read_text())["schema"] == 1


def test_targets_and_windows_of_forecasts_are_read_as_packed(tmp_path: Path) -> None:
    inputs = ForecastInputs(channels=("u",), targets=1, known=0, window=12, horizon=3, season=None)
    steps = np.sin(np.arange(200) / 3)[None].astype(np.float32)
    arrays = [Arrays(steps, np.arange(start, start + 40)) for start in (20, 80, 140)]
    data = Data(inputs, 3, arrays[0], arrays[1], arrays[2], task="forecast", targets=(Target(name="u", mean=0, std=1),))
    chosen = replace(problem(n_trials=2, epochs=3), data=data)
    tree = {"architecture": {"linear": {}}, "optimizer": {"lr": {"choice": [0.01, 0.02]}, "batch_size": 16}}
    record, keeper = searched_in(chosen, tree, tmp_path)
    found = hand_over(tmp_path / "search", chosen, record, keeper)
    for member in found.members:
        assert member.score == pytest.approx(record.trials[member.number].reserve_score, rel=1e-4)


def test_trainings_again_with_fresh_seeds_may_be_members(tmp_path: Path) -> None:
    chosen = replace(spare(), settings=replace(spare().settings, n_trials=2, repeats=2, keep=9))
    record, keeper = run(chosen, tmp_path)
    assert sorted(keeper.kept()) == [(trial, seed) for trial in (0, 1) for seed in (0, 1, 2)]
    found = hand_over(tmp_path / "search", chosen, record, keeper)
    assert found.considered == (0, 1)
    _, networks = load_ensemble(tmp_path / "search", DATA.inputs, DATA.outputs)
    assert len(networks) == len(found.members) >= 2
    assert {member.repeat for member in found.members} - {0}
