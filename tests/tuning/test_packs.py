"""Packs in the search: who is in one, that it ends as single trainings do, and that a kill changes nothing."""

import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import pipeline.tuning.constraints as constraints
import pipeline.tuning.packs as packs
from pipeline.core.bounds import Constraints
from pipeline.core.contracts import Latency
from pipeline.core.settings import SearchSettings
from pipeline.space import parse
from pipeline.training.pack_training import PackTraining
from pipeline.training.packing import Gain, bucket
from pipeline.tuning import Problem, Search
from pipeline.tuning.chooser import free
from pipeline.tuning.jobs import Job, Outcome, run_job
from pipeline.tuning.packs import PackJob, Packs, work
from pipeline.tuning.paired import LOSSES
from pipeline.tuning.proposals import Exhausted, proposal
from pipeline.tuning.row import Row
from pipeline.tuning.table import Table
from pipeline.tuning.view import View
from tests.training.test_fit import CPU
from tests.training.test_packing import candidates, data
from tests.tuning.test_search import outcome, study

SPACE: Mapping[str, Any] = {
    "architecture": {
        "mlp": {
            "width": {"choice": [6, 8, 10]},
            "depth": {"choice": [2, 1]},
            "token": 4,
            "dropout": {"choice": [0.0, 0.2, 0.4]},
        },
        "table_resnet": {"width": 8, "depth": 1, "token": 4},
    },
    "optimizer": {
        "lr": {"float": [1e-3, 3e-2], "log": True, "default": 1e-2},
        "weight_decay": {"float": [1e-3, 0.3], "log": True, "default": 1e-2},
        "batch_size": 64,
    },
}


def problem(**settings: Any) -> Problem:
    defaults: dict[str, Any] = {"n_trials": 16, "epochs": 140, "first_steps": 20, "repeats": 0, "workers": 0, "pack": 4}
    return Problem(data(), SearchSettings(**(defaults | settings)), CPU, 7)


def search_in(folder: Path, tree: Mapping[str, Any] = SPACE, **settings: Any) -> Search:
    folder.mkdir(parents=True, exist_ok=True)
    search = Search(problem(**settings), parse(tree), study(folder), folder / "files")
    search.run()
    return search


def packs_of(search: Search) -> list[list[Row]]:
    leaders = [row for row in search.table.rows if row.pack is not None and row.pack[0] == row.place]
    return [packs.members(leader, search.table.rows) for leader in leaders]


def test_a_pack_shares_shapes_and_each_is_a_row_like_any_other(tmp_path: Path) -> None:
    search = search_in(tmp_path)
    found = packs_of(search)
    assert found
    for rows in found:
        assert [row.place for row in rows] == list(range(rows[0].place, rows[0].place + 4))
        assert len({bucket(row.candidate) for row in rows}) == 1
        assert len({str(row.candidate) for row in rows}) == 4
        assert {row.origin for row in rows} <= {"prior", "mutation", "tpe", "random"}
        assert {row.candidate.architecture["kind"] for row in rows} == {"mlp"}
    followers = sum(len(rows) - 1 for rows in found)
    assert followers <= len(search.table.rows) / 2
    assert len({bucket(row.candidate) for row in search.table.rows}) > len(found)
    rungs, rows = search.problem.rungs, [row for one in found for row in one]
    assert all(row.outcome and row.outcome.parameters for row in rows)
    assert all((row.record().multiply_adds is not None) == row.complete for row in rows)
    reached = [len(row.scores(rungs)) for row in rows]
    assert min(reached) == 1
    assert max(reached) > 1
    paused = {f"trial-{row.place}" for row in search.table.rows if row.paused}
    assert {path.name for path in (tmp_path / "files").iterdir()} == paused | {LOSSES}


def jobs_of(folder: Path, rung: int = 0) -> tuple[Job, ...]:
    found = [replace(c, optimizer=replace(c.optimizer, batch_size=64)) for c in candidates()]
    return tuple(Job(place=place, candidate=one, rung=rung, folder=folder) for place, one in enumerate(found))


def test_a_pack_brings_what_single_jobs_bring_and_goes_on_as_they_do(tmp_path: Path) -> None:
    chosen = problem()
    packed = work(chosen, PackJob(jobs=jobs_of(tmp_path / "packed"), places=(0, 1, 2)))
    alone = [run_job(chosen, job) for job in jobs_of(tmp_path / "alone")]
    for one, other in zip(packed, alone, strict=True):
        assert one.state == other.state == "paused"
        assert one.curve[0][0] == other.curve[0][0]
        assert one.curve[0][1] == pytest.approx(other.curve[0][1], abs=1e-4)
        same = {name: getattr(one, name) for name in ("place", "quality", "parameters", "passes")}
        assert same == {name: getattr(other, name) for name in same}
    assert len({one.seconds for one in packed}) <= 3
    for name in ("packed", "alone"):
        assert sorted(f.parent.name for f in (tmp_path / name).rglob("*.ckpt")) == ["trial-0", "trial-1", "trial-2"]
    last = len(chosen.rungs) - 1
    ends = [[run_job(chosen, job) for job in jobs_of(tmp_path / name, last)] for name in ("packed", "alone")]
    for one, other in zip(*ends, strict=True):
        assert one.state == other.state == "complete"
        assert [s for _, s in one.curve] == pytest.approx([s for _, s in other.curve], abs=1e-3)


def test_a_search_that_dies_in_a_pack_ends_as_one_that_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = search_in(tmp_path / "whole")
    assert packs_of(whole)
    real_step, real_create, real_store = PackTraining.advance, Table._create, Table._store
    calls: list[str] = []

    def dies(name: str, real: Any, when: set[int]) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            calls.append(name)
            if calls.count(name) in when:
                raise KeyboardInterrupt
            return real(*args, **options)

        return call

    first = packs_of(whole)[0][0].place
    stored = sum(len(row.scores(whole.problem.rungs)) for row in whole.table.rows[:first])
    monkeypatch.setattr(PackTraining, "advance", dies("advance", real_step, {1}))
    monkeypatch.setattr(Table, "_create", dies("create", real_create, {first + 3}))
    monkeypatch.setattr(Table, "_store", dies("store", real_store, {stored + 3}))
    killed = 0
    while killed < 10:
        try:
            cut = search_in(tmp_path / "cut")
        except KeyboardInterrupt:
            killed += 1
        else:
            break
    assert killed == 3
    assert outcome(cut.export("db")) == outcome(whole.export("db"))
    assert [row.pack for row in cut.table.rows] == [row.pack for row in whole.table.rows]
    assert cut.export("db").best == whole.export("db").best


def test_each_of_a_pack_keeps_the_bounds_and_is_stored_with_its_amounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_where_much_is_dropped(network: Any, inputs: Any, **how: Any) -> Latency:
        much = any(isinstance(part, torch.nn.Dropout) and part.p == 0.4 for part in network.modules())
        return Latency(batch=how["batch"], device=how["device"], threads=1, milliseconds=9.0 if much else 2.0, spread=0)

    monkeypatch.setattr(constraints, "measured_latency", slow_where_much_is_dropped)
    search = search_in(tmp_path, constraints=Constraints(latency_ms=5.0))
    found = packs_of(search)
    assert found
    assert all(row.gauged == {"latency_ms": (2.0, 5.0)} for row in search.table.rows)
    assert not any(row.candidate.architecture.get("dropout") == 0.4 for row in search.table.rows)
    stored = Table(search.study, "binary").rows
    assert [(row.pack, row.gauged) for row in stored] == [(row.pack, row.gauged) for row in search.table.rows]
    leader, chosen = found[0][0], problem(constraints=Constraints(latency_ms=1.0))
    strict = constraints.Gauge(data=chosen.data, settings=chosen.settings, trainer=CPU)
    before = search.table.rows[: leader.place + 1]
    with pytest.raises(Exhausted) as caught:
        proposal(search.space, before, chosen.rungs, search.first, strict, chosen.seed, leader)
    assert any(reason.startswith(constraints.MARK) for reason in caught.value.skipped)


def test_what_cannot_be_packed_is_trained_alone(tmp_path: Path) -> None:
    unpackable = {"architecture": {"table_resnet": {"width": {"choice": [6, 8]}, "depth": 1, "token": 4}}}
    for change in (unpackable, {"optimizer": dict(SPACE["optimizer"]) | {"ema": 0.1}}):
        search = search_in(tmp_path / str(len(change)) / next(iter(change)), dict(SPACE) | change, n_trials=9)
        assert packs_of(search) == []
        assert len(search.export("db").trials) == 9


def test_a_pack_that_fails_as_one_is_trained_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: Any, **__: Any) -> bool:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(PackTraining, "advance", breaks)
    found = work(problem(), PackJob(jobs=jobs_of(tmp_path), places=(1, 2)))
    assert [(one.place, one.state) for one in found] == [(1, "paused"), (2, "paused")]
    assert "the pack of trial 0 failed (RuntimeError: out of memory)" in caplog.text


def test_one_that_diverges_fails_alone(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path)
    wild = replace(jobs[1].candidate, optimizer=replace(jobs[1].candidate.optimizer, lr=1e30))
    found = work(problem(), PackJob(jobs=(jobs[0], replace(jobs[1], candidate=wild), jobs[2]), places=(0, 1, 2)))
    assert [one.state for one in found] == ["paused", "failed", "paused"]
    assert str(found[1].error).startswith("FloatingPointError: loss is not finite after ")
    assert found[1].traceback


def test_a_deadline_stops_all(tmp_path: Path) -> None:
    jobs = tuple(replace(job, deadline=0.0) for job in jobs_of(tmp_path))
    assert {one.state for one in work(problem(), PackJob(jobs=jobs, places=(0, 1, 2)))} == {"stopped"}


def test_when_the_worker_of_a_pack_dies_each_has_its_own_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PackTraining, "advance", lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    search = search_in(tmp_path, n_trials=10, workers=1)
    assert packs_of(search)
    assert all(row.outcome and row.outcome.state != "failed" for row in search.table.rows)


def test_workers_pack_as_the_process_itself_does(tmp_path: Path) -> None:
    alone, one = (search_in(tmp_path / str(n), n_trials=9, workers=n) for n in (0, 1))
    assert packs_of(one)
    assert outcome(one.export("db")) == outcome(alone.export("db"))
    two = search_in(tmp_path / "two", n_trials=18, workers=2)  # of 9 trials, who is ready first may leave none to pack
    assert packs_of(two)
    assert len(two.export("db").trials) == 18


@pytest.mark.parametrize(
    "settings",
    [
        {"pack": None},
        {"pack": 1},
        {"pack": 1, "seconds": 100.0},
        {"pack": None, "seconds": 100.0, "strategy": "random"},
    ],
)
def test_without_seconds_nothing_is_measured_and_nothing_packed(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    monkeypatch.setattr(packs, "gain_of", lambda *_: pytest.fail("measured"))
    row = Row(place=9, origin="prior", candidate=candidates()[0], answers={"optimizer.lr": 1e-3}, distributions={})
    assert Packs(problem(**settings)).size(row, [replace(row, place=place) for place in range(9)]) == 1


@pytest.mark.parametrize(
    ("speed_up", "packed", "n_trials", "rows", "size"),
    [
        (1.1, 0.01, 100, 20, 1),  # does not pay
        (2.0, 0.01, 100, 20, 8),
        (4.0, 0.01, 100, 20, 16),
        (2.0, 0.01, 26, 20, 4),  # six are left
        (2.0, 0.01, 23, 20, 1),
        (2.0, 0.03, 100, 20, 4),  # 93.3 steps of 0.03 s are 2.8 s, more than 2 % of 100 s
        (2.0, 1.0, 100, 20, 1),
        (4.0, 0.01, 100, 12, 1),  # 16 pay, and there will be room for them
    ],
)
def test_a_pack_is_as_large_as_pays_and_fits(
    monkeypatch: pytest.MonkeyPatch, speed_up: float, packed: float, n_trials: int, rows: int, size: int
) -> None:
    asked: list[int] = []

    def gain(found: Any, *_: Any) -> Gain:
        asked.append(len(found))
        return Gain(alone=0.0, packed=packed, speed_up=speed_up)

    monkeypatch.setattr(packs, "gain_of", gain)
    row = Row(place=rows, origin="prior", candidate=candidates()[0], answers={"optimizer.lr": 1e-3}, distributions={})
    chooser = Packs(problem(pack=None, seconds=100.0, n_trials=n_trials))
    before = [replace(row, place=place) for place in range(rows)]
    assert [chooser.size(row, before) for _ in range(2)] == [size] * 2
    assert asked == ([8] if n_trials >= rows + 4 else [])  # once for all of this size


def test_followers_are_half_of_all_at_most() -> None:
    row = Row(place=0, origin="prior", candidate=candidates()[0], answers={}, distributions={})
    rows = [replace(row, place=place) for place in range(6)]
    assert packs.largest(rows) == 8
    rows += [replace(row, place=place, pack=(6, 8)) for place in range(6, 14)]  # seven of fourteen
    assert packs.largest(rows) == 2
    assert packs.largest([*rows, replace(row, place=14)]) == 3


def test_what_is_free_in_a_pack() -> None:
    names = ("optimizer.lr", "optimizer.schedule", "optimizer.warm_up", "architecture.mlp.dropout")
    assert all(free(name) for name in names)
    shapes = ("optimizer.batch_size", "optimizer.kind", "architecture.kind", "architecture.mlp.width")
    assert not any(free(name) for name in (*shapes, "architecture.mlp.blocks.0.dropout"))


def test_a_share_of_a_packs_seconds_is_no_estimate_for_training_alone() -> None:
    row = Row(place=3, origin="prior", candidate=candidates()[0], answers={}, distributions={},
              outcome=Outcome(place=3, state="paused", curve=((0.1, 0.5),), seconds=1.0))  # fmt: skip
    view = View(rows=[row], rungs=(0.1, 0.3, 1.0), n_trials=9, eta=3, seed=1, repeats=0)
    assert view.cost(row, 1) == pytest.approx(2.0)
    assert view.cost(replace(row, pack=(0, 8)), 1) == pytest.approx(16.0)


def test_nothing_random_is_left_behind_by_choosing_a_size() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    row = Row(place=9, origin="prior", candidate=candidates()[0], answers={"optimizer.lr": 1e-3}, distributions={})
    assert Packs(problem()).size(row, [replace(row, place=place) for place in range(9)]) == 4
    assert torch.equal(before, torch.get_rng_state())
