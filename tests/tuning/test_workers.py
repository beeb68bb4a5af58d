"""Workers of their own: a trial that takes its process down costs one trial."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import pipeline.training.training as training_module
from pipeline.core.errors import DeviceError
from pipeline.core.settings import TrainerSettings
from pipeline.training.training import Training
from pipeline.tuning.jobs import Job, Problem
from pipeline.tuning.workers import Team, crew_of
from tests.training.test_fit import CANDIDATE
from tests.tuning.test_search import outcome, problem, run, search_in


def test_workers_find_what_the_process_itself_finds(tmp_path: Path) -> None:
    alone, one = run(tmp_path / "alone", n_trials=6, workers=0), run(tmp_path / "one", n_trials=6, workers=1)
    assert outcome(one) == outcome(alone)
    two = run(tmp_path / "two", n_trials=6, workers=2)
    assert len(two.trials) == 6
    assert outcome(two)[0] == outcome(alone)[0]


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "WorkerDied: killed by SIGKILL (out of memory?)"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "WorkerDied: killed by SIGSEGV"),
        (lambda: os._exit(3), "WorkerDied: exit code 3"),
    ],
)
def test_a_worker_that_dies_costs_its_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: Any, error: str
) -> None:
    real = Training.start

    def deadly(training: Training) -> None:
        if training.candidate.architecture["kind"] == "rnn":
            end()
        real(training)

    monkeypatch.setattr(Training, "start", deadly)
    record = search_in(tmp_path, n_trials=3, workers=1, epochs=1).export("db")
    assert [(t.state, t.error) for t in record.trials] == [("complete", None), ("failed", error), ("complete", None)]
    told = record.trials[1].traceback
    assert told
    assert ("deadly" in told) == ("SEGV" in error)  # what ran when it crashed


def test_a_worker_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Training.start

    def hangs(training: Training) -> None:
        if training.candidate.architecture["kind"] == "rnn":
            time.sleep(1000)
        real(training)

    monkeypatch.setattr(Training, "start", hangs)
    record = search_in(tmp_path, n_trials=3, workers=1, epochs=1, silence=5.0).export("db")
    assert [t.state for t in record.trials] == ["complete", "failed", "complete"]
    assert record.trials[1].error == "WorkerDied: no sign of life for 5 s"


def test_workers_are_gone_when_the_search_is(tmp_path: Path) -> None:
    chosen = problem(epochs=10_000)
    with crew_of(chosen, 2, 60.0) as team:
        assert isinstance(team, Team)
        team.give(chosen, Job(place=0, candidate=CANDIDATE, rung=5, folder=tmp_path))
        pids = [worker.process.pid for worker in team._workers]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_device_that_is_not_there_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(settings: TrainerSettings) -> Any:
        raise DeviceError("the GPU is gone")

    chosen: Problem = problem()
    monkeypatch.setattr(training_module, "choose_device", gone)
    with crew_of(chosen, 1, 60.0) as team:
        team.give(chosen, Job(place=0, candidate=CANDIDATE, rung=0, folder=tmp_path))
        with pytest.raises(DeviceError, match="the GPU is gone"):
            team.take()
