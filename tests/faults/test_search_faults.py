"""Faults around a search: its database, memory, devices, budgets, and where and when it runs."""

import json
import multiprocessing
import os
import resource
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import pipeline.tuning.study as study_module
from pipeline.core.errors import ConfigError, DeviceError
from pipeline.core.settings import SearchSlice
from pipeline.stage import compose, slice_for
from pipeline.training.training import Training
from pipeline.tuning import Problem, refusals
from pipeline.tuning.jobs import Job, run_job
from pipeline.tuning.table import Table
from pipeline.tuning.workers import _serve
from tests.conftest import Shell
from tests.training.test_fit import CANDIDATE, CPU, DATA, stripes
from tests.tuning.test_search import outcome, problem, run, search_in, study


class Holder:
    """Another program that holds a database."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.held = False

    def hold(self) -> None:
        if not self.held:
            self.held = True
            self.connection.execute("BEGIN IMMEDIATE")

    def let_go(self) -> None:
        self.connection.execute("ROLLBACK")


def test_fault_29_a_database_that_stays_locked_costs_two_lines_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path / "whole")
    monkeypatch.setattr(study_module, "_PATIENCE", 1)
    monkeypatch.setattr(study_module, "_QUIET", 0)
    study(tmp_path)
    other = Holder(tmp_path / "study.db")
    with pytest.raises(ConfigError) as caught, refusals():
        search_in(tmp_path, on_fit=lambda job, fit: other.hold())
    assert str(caught.value) == (
        "conf.search.storage: the database refuses (database is locked)\n"
        "  fix: end the program that holds it; the same command goes on where the search was"
    )
    other.let_go()
    assert outcome(run(tmp_path)) == outcome(whole)


def test_fault_29_a_database_that_is_locked_for_a_while_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(study_module, "_QUIET", 0)
    study(tmp_path)
    other = Holder(tmp_path / "study.db")

    def hold_a_while(*_: Any) -> None:
        if not other.held:
            other.hold()
            threading.Timer(1.0, other.let_go).start()

    with caplog.at_level("WARNING"):
        record = search_in(tmp_path, on_fit=hold_a_while).export("db")
    assert len(record.trials) == 5
    assert "another program has locked the study's database; waiting for it up to 60 s" in caplog.text


def test_fault_29_a_damaged_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(ConfigError, match=r"cannot open the study \(file is not a database\)\n  fix: move it away"):
        study(tmp_path)


def test_fault_29_tables_of_another_optuna_are_named(tmp_path: Path) -> None:
    study(tmp_path)
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    with pytest.raises(ConfigError) as caught:
        study(tmp_path)
    assert "is no longer compatible with the table schema" in str(caught.value)
    assert "fix: move the database away for a new one, or run `optuna storage upgrade`" in str(caught.value)


def running_out(monkeypatch: pytest.MonkeyPatch, most: int = 1) -> None:
    """Let steps of recurrent networks in at most so many parts run out of memory, from the third one on."""
    real = Training._learn_from

    def hungry(training: Training, batch: Any) -> None:
        recurrent = training.candidate.architecture["kind"] == "rnn"
        if recurrent and training.policy.parts <= most and training.pace.step >= 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        real(training, batch)

    monkeypatch.setattr(Training, "_learn_from", hungry)


@pytest.mark.parametrize("workers", [0, 1])
def test_fault_30_where_memory_runs_out_steps_are_taken_in_two_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    parts = run(tmp_path / "parts", chosen=problem_in(2))
    running_out(monkeypatch)
    found = run(tmp_path, workers=workers)
    assert [t.state for t in found.trials].count("failed") == 0
    for trial, in_two in zip(found.trials[:2], parts.trials[:2], strict=True):
        rnn = trial.candidate.architecture["kind"] == "rnn"
        assert trial.policy is not None
        assert trial.policy.parts == (2 if rnn else 1)
        if rnn:  # from its start on, and the step is the same
            assert trial.curve == in_two.curve
            assert "steps in 2 parts" in trial.policy.words
    kept = Table(study(tmp_path), DATA.task).rows
    assert [row.policy for row in kept] == [trial.policy for trial in found.trials]


def problem_in(parts: int) -> Problem:
    return replace(problem(), trainer=replace(CPU, accumulate=parts))


def test_fault_30_memory_that_runs_out_twice_costs_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running_out(monkeypatch, most=2)
    found = run(tmp_path, n_trials=3)
    assert [t.state for t in found.trials] == ["complete", "failed", "complete"]
    assert found.trials[1].error == "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."


def test_fault_30_a_gpu_that_fails_costs_a_trial_and_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Training.start

    def fails(training: Training) -> None:
        if training.candidate.architecture["kind"] == "rnn":
            raise torch.AcceleratorError("CUDA error: unspecified launch failure")
        real(training)

    monkeypatch.setattr(Training, "start", fails)
    found = run(tmp_path, n_trials=3, workers=1)
    assert [t.state for t in found.trials] == ["complete", "failed", "complete"]
    assert found.trials[1].error == "WorkerDied: its GPU failed"
    assert "unspecified launch failure" in (found.trials[1].traceback or "")


@pytest.mark.parametrize(
    "wrong", ["search.n_trials=0", "search.n_trials=-1", "search.seconds=0", "search.seconds=-5", "search.energy_wh=0"]
)
def test_fault_31_a_budget_of_nothing_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"^conf\.search: (n_trials, epochs|seconds and energy_wh must be positive)"):
        slice_for("search", SearchSlice, compose(["search=standard", wrong]))


@pytest.mark.parametrize("strategy", ["engine", "random", "tpe_hyperband", "one_epoch_topk", "default_only"])
def test_fault_31_a_budget_smaller_than_a_batch_hands_on_what_one_batch_gave(tmp_path: Path, strategy: str) -> None:
    found = run(tmp_path, seconds=1e-6, strategy=strategy)
    assert len(found.trials) == 1
    assert found.trials[0].score is not None
    assert 0 < found.trials[0].epochs <= 0.5  # a step: its schedule ends where the time does
    assert "search.seconds ended the study after 1 of 5 trials" in found.notes


def test_fault_31_a_single_trial_is_a_search(tmp_path: Path) -> None:
    found = run(tmp_path, n_trials=1)
    assert [t.state for t in found.trials] == ["complete"]


def test_fault_32_a_gpu_that_is_gone_midway_is_said_and_never_the_cpu_for_hours(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    serving = context.Process(
        target=_serve, args=(there, here, problem(), None, os.getpid(), tmp_path / "words", True), daemon=True
    )
    serving.start()
    there.close()
    here.send((None, Job(place=0, candidate=CANDIDATE, rung=0, folder=tmp_path)))
    said = here.recv()
    serving.kill()
    serving.join()
    assert isinstance(said, DeviceError)
    assert str(said) == (
        "search: the GPU that trained so far is not there any more\n"
        "  fix: run the same command once it is back; without it the search goes on on the CPU"
    )


def test_fault_32_a_search_that_goes_on_on_another_device_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    search_in(tmp_path, n_trials=2)
    opened = study(tmp_path)
    for trial in opened.get_trials():
        kept = {"policy": trial.system_attrs["policy"] | {"device": "cuda"}}
        study_module.keep_attributes(opened, trial._trial_id, kept=kept)
    with caplog.at_level("WARNING"):
        search_in(tmp_path, n_trials=3)
    assert "trials so far were trained on cuda, it goes on on cpu" in caplog.text


def test_fault_33_a_clock_that_goes_back_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = run(tmp_path / "usual")
    now = iter(range(10**9, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    assert outcome(run(tmp_path / "back")) == outcome(usual)


@pytest.mark.slow
def test_fault_33_34_place_language_and_zone_change_nothing_and_another_space_draws_on_the_first(
    project: Path, shell: Shell
) -> None:
    odd = project.parent / "an odd place, naïve ü 漢" / ("long" * 20)
    odd.mkdir(parents=True)
    shell(project.parent, f"cp -r project '{odd}/copy'")
    command = "python -m pipeline.{} search=tiny space=tiny search.n_trials=6"
    shell(project, command.format("prepare"))
    shell(project, command.format("search"))
    odd_words = {"TZ": "Pacific/Kiritimati", "LC_ALL": "tr_TR.UTF-8", "LANG": "C", "PYTHONUTF8": "0"}
    for stage in ("prepare", "search"):
        shell(odd / "copy", command.format(stage), **odd_words)
    first, second = (told(where) for where in (project, odd / "copy"))
    assert first == second
    fit = "artifacts/prepare/fit"
    names = sorted(path.name for path in (project / fit).iterdir())
    assert names == sorted(path.name for path in (odd / "copy" / fit).iterdir())
    for name in names:
        assert (project / fit / name).read_bytes() == (odd / "copy" / fit / name).read_bytes(), name

    changed = shell(project, f"{command.format('search')} 'space.optimizer.lr.float=[1.0e-4, 1.0e-1]'")
    assert ", of another space, found candidates that are tried early: its trials " in changed.stdout + changed.stderr
    record = json.loads((project / "artifacts/search/search.json").read_text())
    drawn_on = [trial for trial in record["trials"] if trial["origin"] == "earlier"]
    assert drawn_on
    before = [trial["candidate"] for trial in first["trials"]]
    assert all(trial["candidate"] in before for trial in drawn_on)


def told(project: Path) -> dict[str, Any]:
    """Return what a search found, without what it took."""
    record = json.loads((project / "artifacts/search/search.json").read_text())
    keep = ("number", "state", "score", "quality", "reserve_score", "origin", "candidate", "curve", "policy")
    return {"study": record["study"], "trials": [{k: t[k] for k in keep} for t in record["trials"]]}


def trained_within(megabytes: int, chosen: Problem, job: Job, told: Any) -> None:
    """Train in this process with so much more address space than it has."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + megabytes * 2**20, resource.getrlimit(resource.RLIMIT_AS)[1]))
    done = run_job(chosen, job)
    told.send((done.state, done.parts, done.error))


@pytest.mark.slow
def test_fault_30_memory_that_really_runs_out_is_enough_for_two_parts(tmp_path: Path) -> None:
    rows = 4096
    many = replace(DATA, train=stripes(rows, 0))
    chosen = replace(problem(epochs=2), data=many)
    candidate = replace(CANDIDATE, architecture=CANDIDATE.architecture | {"width": 64},
                        optimizer=replace(CANDIDATE.optimizer, batch_size=rows))  # fmt: skip
    context = multiprocessing.get_context("fork")
    found = []
    for megabytes in (50, 150, 200, 250, 300, 350, 400, 450, 500, 600, 800, 1600):
        here, there = context.Pipe()
        job = Job(place=0, candidate=candidate, rung=len(chosen.rungs) - 1, folder=tmp_path / str(megabytes))
        child = context.Process(target=trained_within, args=(megabytes, chosen, job, there))
        child.start()
        there.close()
        found.append(here.recv() if here.poll(600) else None)
        child.join()
        if found[-1] == ("complete", 1, None):
            break
    states = [one[:2] for one in found if one is not None]
    assert states[-1] == ("complete", 1)
    assert ("complete", 2) in states, found
    assert states[0][0] == "failed"
