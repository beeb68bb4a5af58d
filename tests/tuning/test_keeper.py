"""Weights of the best trials: which are kept, over kills, restarts and damage."""

import os
import signal
from pathlib import Path

import pytest
import torch

from pipeline.models import Network, build
from pipeline.space import parse
from pipeline.training.members import load_trial, save_trial
from pipeline.training.training import Training
from pipeline.tuning import Keeper, Search, open_keeper
from tests.training.test_fit import CANDIDATE, DATA
from tests.tuning.test_search import TINY, problem, study


def network(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return build(CANDIDATE.architecture, DATA.inputs, DATA.outputs)


def keep(keeper: Keeper, *scores: float) -> None:
    for number, score in enumerate(scores):
        keeper.keep((number, 0), score, network(number))


def names(keeper: Keeper) -> set[str]:
    return {path.name for path in keeper.folder.iterdir()}


def test_the_best_stay_and_the_others_go(tmp_path: Path) -> None:
    keeper = open_keeper(tmp_path, "study", 2)
    keep(keeper, 0.9, 0.5, 0.7, 0.8, 0.6)
    assert list(keeper.kept().items()) == [((1, 0), 0.5), ((4, 0), 0.6)]
    assert names(keeper) == {"trial-1.safetensors", "trial-4.safetensors"}
    assert keeper.folder == tmp_path / "study" / "members"


def test_of_equal_scores_the_earlier_stays(tmp_path: Path) -> None:
    keeper = open_keeper(tmp_path, "study", 2)
    keep(keeper, 0.5, 0.5, 0.5)
    assert list(keeper.kept()) == [(0, 0), (1, 0)]
    for which in ((12, 0), (2, 1)):
        keeper.keep(which, 0.4, network())
    assert list(keeper.kept()) == [(2, 1), (12, 0)]
    assert names(keeper) == {"trial-2-seed-1.safetensors", "trial-12.safetensors"}


def test_a_score_that_is_no_number_is_not_kept(tmp_path: Path) -> None:
    keeper = open_keeper(tmp_path, "study", 3)
    keep(keeper, float("nan"), float("inf"))
    assert names(keeper) == set()


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    keeper = open_keeper(tmp_path, "study", 1)
    kept = network(3).eval()
    kept.temperature.fill_(1.7)
    keeper.keep((3, 0), 0.25, kept)
    again = load_trial(keeper.path((3, 0)), CANDIDATE, DATA.inputs, DATA.outputs)
    x = torch.rand(4, 1, 8, 8)
    assert torch.equal(again(x), kept(x))
    assert not again.training


def test_a_trial_that_is_run_again_replaces_its_weights(tmp_path: Path) -> None:
    keeper = open_keeper(tmp_path, "study", 2)
    keep(keeper, 0.5, 0.6)
    keeper.keep((0, 0), 0.7, network(9))
    assert keeper.kept() == {(1, 0): 0.6, (0, 0): 0.7}
    again = load_trial(keeper.path((0, 0)), CANDIDATE, DATA.inputs, DATA.outputs)
    assert torch.equal(again.state_dict()["head.1.weight"], network(9).state_dict()["head.1.weight"])


def test_fewer_may_be_asked_for_later(tmp_path: Path) -> None:
    keep(open_keeper(tmp_path, "study", 3), 0.3, 0.1, 0.2)
    fewer = open_keeper(tmp_path, "study", 2)
    assert list(fewer.kept()) == [(1, 0), (2, 0)]
    fewer.keep((3, 0), 0.9, network())
    assert names(fewer) == {"trial-1.safetensors", "trial-2.safetensors"}


def test_weights_that_another_worker_drops_meanwhile_are_no_error(tmp_path: Path) -> None:
    keeper = open_keeper(tmp_path, "study", 2)
    keep(keeper, 0.9, 0.5)
    gone = keeper.path((7, 0))
    gone.symlink_to(tmp_path / "nowhere")  # listed, and not there when it is opened
    keeper.keep((2, 0), 0.7, network())
    assert list(keeper.kept()) == [(1, 0), (2, 0)]


def test_two_workers_keep_weights_in_one_folder(tmp_path: Path) -> None:
    keeper = open_keeper(tmp_path, "study", 1)
    one = network()
    workers = []
    for first in (0, 1):
        if (pid := os.fork()) == 0:
            code = 1
            try:
                for number in range(first, 200, 2):
                    keeper.keep((number, 0), 1 / (1 + number), one)
                code = 0
            finally:
                os._exit(code)
        workers.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers] == [0, 0]
    assert list(keeper.kept()) == [(199, 0)]


def test_damaged_weights_are_dropped_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keeper = open_keeper(tmp_path, "study", 3)
    keep(keeper, 0.3, 0.1)
    keeper.path((1, 0)).write_bytes(keeper.path((1, 0)).read_bytes()[:40])
    assert keeper.kept() == {(0, 0): 0.3}
    assert f"{keeper.path((1, 0))} is damaged; its trial is no member of an ensemble" in caplog.text
    assert names(keeper) == {"trial-0.safetensors"}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(("moment", "kept"), [("replace", [(1, 0), (0, 0)]), ("unlink", [(2, 0), (1, 0)])])
def test_a_kill_while_weights_are_written_or_dropped_leaves_whole_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, kept: list[tuple[int, int]]
) -> None:
    """Written but not yet named: as if the trial had not been; named but not yet dropped: one too many for a while."""
    keeper = open_keeper(tmp_path, "study", 2)
    keep(keeper, 0.5, 0.3)
    child = os.fork()
    if not child:
        monkeypatch.setattr(Path, moment, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
        try:
            keeper.keep((2, 0), 0.2, network(2))
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    left = {path.name for path in keeper.folder.iterdir()}
    assert len(left) == 3
    again = open_keeper(tmp_path, "study", 2)
    assert names(again) == {name for name in left if not name.endswith(".part")}
    assert list(again.kept()) == kept
    again.keep((2, 0), 0.2, network(2))
    assert names(again) == {"trial-1.safetensors", "trial-2.safetensors"}
    assert all(load_trial(again.path((n, 0)), CANDIDATE, DATA.inputs, DATA.outputs) for n in (1, 2))


def test_an_interrupted_search_keeps_what_an_uninterrupted_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = problem(n_trials=6, epochs=2, keep=2)

    def run(folder: Path) -> Keeper:
        folder.mkdir(exist_ok=True)
        keeper = open_keeper(folder, "test", 2)
        search = Search(chosen, parse(TINY), study(folder), folder / "test")
        search.run(keeper.keep_fit)
        complete = [t for t in search.export("db").trials if t.state == "complete"]
        best = sorted(complete, key=lambda t: (t.score or 0.0, t.number))[:2]
        assert keeper.kept() == {(t.number, 0): t.score for t in best}
        return keeper

    whole = run(tmp_path / "whole")
    real, calls = Training.start, []

    def dies(training: Training) -> None:
        calls.append(1)
        if len(calls) in (2, 4):
            raise KeyboardInterrupt
        real(training)

    monkeypatch.setattr(Training, "start", dies)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "cut")
    cut = run(tmp_path / "cut")
    assert names(cut) == names(whole)
    assert all(cut.path(which).read_bytes() == whole.path(which).read_bytes() for which in whole.kept())


def test_scores_are_noted_to_the_last_digit(tmp_path: Path) -> None:
    keeper = open_keeper(tmp_path, "study", 1)
    save_trial(keeper.path((7, 0)), network(), 0.1 + 0.2)
    assert keeper.kept() == {(7, 0): 0.1 + 0.2}
