"""A budget that is raised, and the disk that paused trials wait on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

import pipeline.tuning.jobs as jobs
from pipeline.space import parse
from pipeline.training.training import Training
from pipeline.tuning import Search
from pipeline.tuning.decisions import engine
from pipeline.tuning.jobs import Job, run_job
from pipeline.tuning.paired import LOSSES
from pipeline.tuning.row import Row
from pipeline.tuning.shelf import Shelf
from pipeline.tuning.strategies import default_only, to_the_end
from pipeline.tuning.view import Continue
from tests.training.test_fit import CANDIDATE, CPU, DATA
from tests.tuning.test_decisions import RUNGS, row, view
from tests.tuning.test_search import TINY, outcome, problem, run, search_in, study


def test_what_a_smaller_budget_left_paused_is_promoted_in_a_larger_one(tmp_path: Path) -> None:
    few = run(tmp_path, n_trials=12)
    paused = {t.number: t.curve for t in few.trials if t.state == "pruned"}
    many = run(tmp_path, n_trials=27)
    went_on = [t for t in many.trials if len(t.curve) > len(paused.get(t.number, t.curve))]
    assert went_on
    assert all(t.curve[: len(paused[t.number])] == paused[t.number] for t in went_on)
    one = went_on[0]
    whole = Training(one.candidate, DATA, problem().budget, seed=7, trainer=CPU, rung_average=True)
    whole.start()
    for share in problem().rungs[: len(one.curve)]:
        whole.advance(share)
        whole.record()
    assert [score for _, score in one.curve] == [r.val_score for r in whole.records]
    shown = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    trials = study(tmp_path).trials
    assert [(t.state, t.value) for t in trials] == [(shown[t.state], t.score) for t in many.trials]
    assert [len(t.intermediate_values) for t in trials] == [len(t.curve) for t in many.trials]


def test_a_raised_budget_that_is_interrupted_ends_as_one_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "whole", n_trials=6)
    run(tmp_path / "cut", n_trials=6)
    whole = run(tmp_path / "whole", n_trials=12, repeats=1)
    real, calls = Training.advance, []

    def dies(*args: Any, **options: Any) -> bool:
        calls.append(1)
        if len(calls) in (1, 4):
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(Training, "advance", dies)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "cut", n_trials=12, repeats=1)
    assert outcome(run(tmp_path / "cut", n_trials=12, repeats=1)) == outcome(whole)


def test_what_the_deadline_stopped_goes_on_from_there(tmp_path: Path) -> None:
    """A training through which the deadline went: scored where it stood, and with more time it ends as any other."""
    job = Job(place=3, candidate=CANDIDATE, rung=2, folder=tmp_path / "files")
    whole = run_job(problem(), replace(job, folder=tmp_path / "other"))
    real, steps = Training.advance, []

    def stops(training: Training, until: float, **options: Any) -> bool:
        steps.append(1)
        if len(steps) > 1:
            return real(training, until, **options)
        real(training, until / 2)  # half way to the first rung
        return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "advance", stops)
        cut = run_job(problem(), job)
    assert cut.state == "stopped"
    assert [share for share, _ in cut.curve] == [pytest.approx(1 / 18, abs=0.01)]
    again = run_job(problem(), job)
    assert again.state == "complete"
    assert again.curve[0] == cut.curve[0]
    assert [share for share, _ in again.curve[1:]] == [share for share, _ in whole.curve]
    assert again.passes == whole.passes


def test_trials_that_the_deadline_stopped_may_go_on_once_the_seconds_are_raised(tmp_path: Path) -> None:
    search = Search(problem(n_trials=3), parse(TINY), study(tmp_path), tmp_path / "files")
    dispatch = search.planned(0)
    for place in range(2):
        job = dispatch.next_job()
        assert isinstance(job, Job)
        search.table.start(place)
        done = jobs.run_job(search.problem, job)
        search._note(replace(done, state="stopped", curve=done.curve[:1]) if place else done)
    search.table.flush()
    search.table.close()
    again = Search(problem(n_trials=3), parse(TINY), study(tmp_path), tmp_path / "files")
    assert [found.paused for found in again.table.rows] == [False, True]
    assert [found.over for found in again.table.rows] == [True, False]


def test_a_default_that_was_cut_short_comes_first() -> None:
    cut = row(0, 0.9, 0.6, state="stopped", seconds=3.0)
    assert engine(view(replace(cut, over=False), row(1, 0.8))) == Continue(0, 2)
    assert default_only(view(replace(cut, over=False))) == Continue(0, 2)
    assert to_the_end(view(row(0, 0.9, 0.6, 0.5), replace(cut, place=1, over=False), n_trials=2)) == Continue(1, 2)


def test_a_row_whose_files_are_gone_costs_its_whole_way() -> None:
    paused = row(1, 0.9, 0.6)
    assert view(paused).cost(paused, 2) == pytest.approx(6.0)
    assert view(paused, lost=frozenset({1})).cost(paused, 2) == pytest.approx(9.0)


def filled(folder: Path, *kilobytes: int) -> Shelf:
    for place, size in enumerate(kilobytes):
        (folder / f"trial-{place}").mkdir(parents=True)
        (folder / f"trial-{place}" / "last.ckpt").write_bytes(bytes(1000 * size))
    return Shelf(folder, 1.0)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


ROWS: list[Row] = [row(0, 0.9, state="stopped"), row(1, 0.1), row(2, 0.5), row(3, 0.3), row(4, 0.8, 0.9)]


def test_over_the_bound_the_worst_of_the_lowest_rung_lose_their_files_first(tmp_path: Path) -> None:
    shelf = filled(tmp_path, 300, 300, 300, 300, 300)
    shelf.bound(ROWS, RUNGS)
    assert names(tmp_path) == ["trial-0", "trial-1", "trial-4"]
    assert (shelf.dropped, shelf.used_mb) == (2, 0.9)
    assert shelf.lost(ROWS) == {2, 3}
    shelf.put("trial-4")
    assert shelf.words() == "paused trials took at most 0.9 of 1 MB of disk; 2 lost their files to the bound"


def test_what_trains_and_the_default_keep_their_files(tmp_path: Path) -> None:
    shelf = filled(tmp_path, 800, 800, 800)
    shelf.bound([replace(ROWS[0], over=False), replace(ROWS[1], busy=True), ROWS[2]], RUNGS)
    assert names(tmp_path) == ["trial-0", "trial-1"]


def test_only_what_may_go_on_stays_after_the_end(tmp_path: Path) -> None:
    shelf = filled(tmp_path, 1, 1, 1)
    (tmp_path / "trial-2" / ".last.ckpt.77.part").write_bytes(b"half")
    shelf = Shelf(tmp_path, 1.0)
    assert shelf.used_mb == pytest.approx(0.003)
    shelf.tidy([row(0, 0.9, 0.6, 0.5), ROWS[1], row(2, 0.5, state="failed")])
    assert names(tmp_path) == ["trial-1"]
    assert shelf.used_mb == pytest.approx(0.001)


def test_a_bound_on_disk_changes_no_trial(tmp_path: Path) -> None:
    free = search_in(tmp_path / "free", n_trials=9)
    bound = search_in(tmp_path / "bound", n_trials=9, disk_mb=1e-6)
    assert outcome(bound.export("db")) == outcome(free.export("db"))
    assert (free.shelf.dropped, names(tmp_path / "bound" / "files")) == (0, [LOSSES])
    assert bound.shelf.dropped >= 6
    assert "lost their files to the bound" in "\n".join(bound.summary(bound.export("db")))


def test_a_start_that_leaps_over_the_first_rung_is_scored_where_it_lands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Training.start

    def long(training: Training) -> None:
        real(training)
        training.pace._spent += 40.0  # of 100: beyond the second of three rungs

    monkeypatch.setattr(Training, "start", long)
    given = problem().within(100.0)
    assert len(given.rungs) == 3
    job = Job(place=0, candidate=CANDIDATE, rung=0, folder=tmp_path)
    found = run_job(given, job)
    assert (found.state, found.error) == ("paused", None)
    assert [share for share, _ in found.curve] == pytest.approx([0.4], abs=0.05)
    assert len(replace(row(0), outcome=found).scores(given.rungs)) == 2
    monkeypatch.setattr(Training, "start", real)
    assert run_job(given, replace(job, rung=2)).state == "complete"


def test_files_of_another_candidate_at_the_same_place_are_not_gone_on_from(tmp_path: Path) -> None:
    job = Job(place=3, candidate=CANDIDATE, rung=0, folder=tmp_path / "old")
    assert run_job(problem(), job).state == "paused"
    other = replace(job, candidate=replace(CANDIDATE, optimizer=replace(CANDIDATE.optimizer, lr=0.07)), rung=1)
    found = run_job(problem(), other)
    fresh = run_job(problem(), replace(other, folder=tmp_path / "new"))
    assert found.curve == fresh.curve
    assert len(found.curve) == 2
    went_on = run_job(problem(), replace(job, folder=tmp_path / "third"))
    assert run_job(problem(), replace(job, folder=tmp_path / "third", rung=1)).curve[:1] == went_on.curve


def test_files_that_are_further_than_the_database_do_not_tell_before_they_are_asked(tmp_path: Path) -> None:
    """As a killed search leaves them: what a trial scored at a later rung must not decide what it did not before."""
    first = Job(place=0, candidate=CANDIDATE, rung=0, folder=tmp_path)
    further = replace(first, rung=1)
    run_job(problem(), first)
    whole = run_job(problem(), further)
    assert len(whole.curve) == 2
    again = run_job(problem(), first)
    assert (again.state, again.curve) == ("paused", whole.curve[:1])
    assert run_job(problem(), further).curve == whole.curve


@pytest.mark.parametrize("seconds", [None, 1000.0])
def test_a_search_that_is_stopped_hands_on_the_best_so_far_and_may_go_on(tmp_path: Path, seconds: float | None) -> None:
    fits = 0

    def stop(*_: Any) -> None:
        nonlocal fits
        fits += 1
        if fits == 4:
            raise KeyboardInterrupt

    settings: dict[str, Any] = {"n_trials": 16, "seconds": seconds}
    with pytest.raises(KeyboardInterrupt):
        search_in(tmp_path, on_fit=stop, **settings)
    had = [t.number for t in study(tmp_path).trials]
    now = run(tmp_path, n_trials=16, seconds=1e-3)
    assert [t.number for t in now.trials] == had[: len(now.trials)]
    assert len(now.trials) < 16
    assert now.trials[now.best].state == "complete"
    assert any(note.startswith("search.seconds ended the study") for note in now.notes)
    later = run(tmp_path, **settings)
    assert len(later.trials) == 16
    assert {t.number: t.curve for t in now.trials if t.state == "complete"}.items() <= {
        t.number: t.curve for t in later.trials
    }.items()
