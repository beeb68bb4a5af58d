"""The search on a real study: totals, order, interruption, failure, export."""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

import pipeline.tuning.jobs as jobs
import pipeline.tuning.packs as packs
from pipeline.core.contracts import SearchRecord, TrialRecord
from pipeline.core.errors import ConfigError, SpaceError
from pipeline.core.settings import SearchSettings
from pipeline.space import DefaultChooser, parse, sample
from pipeline.training.training import Training
from pipeline.tuning import Problem, Search, best_of, chosen_of, open_study, shown_url
from pipeline.tuning.choice import choice_note
from pipeline.tuning.clock import Clock
from pipeline.tuning.jobs import Job, OnFit, Onward, Outcome, run_job
from pipeline.tuning.paired import LOSSES
from pipeline.tuning.plan import kept_plan
from pipeline.tuning.speed import Speed
from pipeline.tuning.table import Table
from tests.training.test_fit import CPU, DATA, stripes

TINY: Mapping[str, Any] = yaml.safe_load(Path("search_spaces/tiny.yaml").read_text())


def problem(**settings: Any) -> Problem:
    defaults: dict[str, Any] = {"n_trials": 5, "epochs": 40, "eta": 3, "first_steps": 20, "repeats": 0, "workers": 0}
    return Problem(DATA, SearchSettings(**(defaults | settings)), CPU, 7)


def study(folder: Path) -> optuna.Study:
    return open_study("test", f"sqlite:///{folder / 'study.db'}")


def outcome(record: SearchRecord) -> list[tuple[object, ...]]:
    return [(t.state, t.score, t.curve, t.candidate, t.origin, t.repeats) for t in record.trials]


def search_in(
    folder: Path,
    tree: Mapping[str, Any] = TINY,
    chosen: Problem | None = None,
    on_fit: OnFit | None = None,
    **settings: Any,
) -> Search:
    folder.mkdir(parents=True, exist_ok=True)
    search = Search(chosen or problem(**settings), parse(tree), study(folder), folder / "files")
    search.run(on_fit)
    return search


def trained_alone(search: Search) -> bool:
    """Say whether the plan was to train the default and nothing else."""
    plan = kept_plan(search.study)
    return plan is not None and plan.mode == "seeds"


def run(folder: Path, tree: Mapping[str, Any] = TINY, **settings: Any) -> SearchRecord:
    return search_in(folder, tree, **settings).export("db")


def test_the_default_is_trained_to_its_end_and_the_others_earn_it(tmp_path: Path) -> None:
    search = search_in(tmp_path, n_trials=12)
    record = search.export("db")
    assert [t.number for t in record.trials] == list(range(12))
    assert [t.origin for t in record.trials[:3]] == ["default"] * 3
    assert {t.origin for t in record.trials[3:]} <= {"prior", "mutation", "tpe", "random"}
    assert [t.candidate.architecture["kind"] for t in record.trials[:3]] == ["cnn", "rnn", "transformer"]
    assert record.trials[0].state == "complete"
    rungs = search.problem.rungs
    assert rungs == pytest.approx((1 / 9, 1 / 3, 1))
    reached = [len(row.scores(rungs)) for row in search.table.rows]
    assert min(reached) == 1
    assert sum(n > 1 for n in reached) >= 12 // 3
    assert sum(t.state == "complete" for t in record.trials) >= 2
    assert all(t.parameters and t.seconds > 0 and t.curve for t in record.trials)
    assert all(t.ended is not None and 0 < t.ended <= search.clock.used for t in record.trials)
    assert all((t.multiply_adds is not None) == (t.state == "complete") for t in record.trials)
    best = record.trials[record.best]
    lowest = min((t.score, t.standard_error or 0.0) for t in record.trials if t.state == "complete" and t.score)
    assert best.score is not None
    assert best.standard_error is not None
    assert best.score <= lowest[0] + max(lowest[1], best.standard_error)


def test_what_is_promoted_goes_on_where_it_paused(tmp_path: Path) -> None:
    record = run(tmp_path, n_trials=9)
    complete = next(t for t in record.trials[1:] if t.state == "complete")
    whole = Training(complete.candidate, DATA, problem().budget, seed=7, trainer=CPU, rung_average=True)
    whole.start()
    for share in problem().rungs:
        whole.advance(share)
        whole.record()
    assert [score for _, score in complete.curve] == [r.val_score for r in whole.records]
    assert complete.epochs == 40.0


def test_an_interrupted_search_ends_as_an_uninterrupted_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(tmp_path / "whole", n_trials=8, repeats=1)
    real, calls = Training.advance, []

    def dies(*args: Any, **options: Any) -> bool:
        calls.append(1)
        if len(calls) in (2, 7, 15, 16):
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(Training, "advance", dies)
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "cut", n_trials=8, repeats=1)
    cut = run(tmp_path / "cut", n_trials=8, repeats=1)
    assert len(calls) > 16
    assert outcome(cut) == outcome(whole)
    assert cut.best == whole.best
    assert len(study(tmp_path / "cut").trials) == 8
    assert sum(len(t.repeats) for t in whole.trials) >= 2
    left = {path.name for path in (tmp_path / "cut" / "files").iterdir()}
    paused = {f"trial-{t.number}" for t in cut.trials if t.state == "pruned"}  # they go on with a larger budget
    assert left == paused | {LOSSES}


def test_a_paused_trial_whose_file_is_gone_is_trained_from_its_start(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", n_trials=6)
    first = Search(problem(n_trials=6), parse(TINY), study_at(tmp_path / "cut"), tmp_path / "cut" / "files")
    dispatch = first.planned(0)
    for _ in range(5):
        job = dispatch.next_job()
        assert job is not None
        first.table.start(job.place)
        first._note(jobs.run_job(first.problem, job))
    first.table.flush()
    for file in (tmp_path / "cut" / "files").rglob("*.ckpt"):
        file.unlink()
    assert outcome(run(tmp_path / "cut", n_trials=6)) == outcome(whole)


def study_at(folder: Path) -> optuna.Study:
    folder.mkdir()
    return study(folder)


def test_n_trials_is_a_total_over_restarts_and_raising_it_continues(tmp_path: Path) -> None:
    first = run(tmp_path, n_trials=4)
    more = run(tmp_path, n_trials=7)
    assert [t.candidate for t in more.trials[:4]] == [t.candidate for t in first.trials]
    assert len(more.trials) == 7
    assert outcome(run(tmp_path, n_trials=7)) == outcome(more)
    assert len(run(tmp_path, n_trials=4).trials) == 4


STRICT = {
    "architecture": {"cnn": {"width": {"choice": [4, 6, 8]}, "stages": 1, "depth": {"int": [1, 2]}}},
    "optimizer": {"lr": {"float": [1e-3, 3e-2], "log": True, "default": 1e-2}, "batch_size": 64},
    "forbid": ["architecture.cnn.width == 8", "optimizer.lr < 0.005"],
}
HEADS = {
    "architecture": {"transformer": {"width": {"choice": [8, 9, 10, 11]}, "heads": {"choice": [2, 4]}, "depth": 1}},
    "optimizer": {"lr": {"float": [1e-3, 3e-2], "log": True, "default": 1e-2}, "batch_size": 64},
}


@pytest.mark.parametrize("tree", [STRICT, HEADS], ids=["forbidden", "refused by the architecture"])
def test_a_draw_that_is_no_candidate_is_passed_over_and_does_not_count(tmp_path: Path, tree: Mapping[str, Any]) -> None:
    search = search_in(tmp_path, tree, n_trials=7, epochs=1, strategy="random")
    record = search.export("db")
    assert [t.number for t in record.trials] == list(range(7))
    assert {t.state for t in record.trials} == {"complete"}
    skipped = [reason for row in search.table.rows for reason in row.skipped]
    assert len(skipped) >= 2
    assert skipped[-1].startswith(("space.forbid[", "space.architecture.transformer: width "))
    assert record.notes[0] == f"{len(skipped)} draws were no candidates and did not count; the last: {skipped[-1]}"


def test_a_space_whose_every_draw_is_infeasible_ends_after_a_hundred(tmp_path: Path) -> None:
    tree = STRICT | {"forbid": ["optimizer.lr != 0.01"], "architecture": {"cnn": {"width": 4}}}
    message = (
        "search: every draw is infeasible (100 in a row), the last with: "
        "space.forbid[0]: forbidden: optimizer.lr != 0.01\n"
        "  fix: forbid less, or narrow the ranges to what can be built"
    )
    for _ in range(2):  # and a restart ends in the same way
        with pytest.raises(SpaceError) as caught:
            run(tmp_path, tree, epochs=1, strategy="random")
        assert str(caught.value) == message


def test_a_space_with_few_candidates_is_searched_in_full(tmp_path: Path) -> None:
    tree = STRICT | {"forbid": [], "optimizer": {"lr": 0.01, "batch_size": 64}}
    record = run(tmp_path, tree, n_trials=50, epochs=1)
    assert len(record.trials) == 6
    assert len({str(t.candidate) for t in record.trials}) == 6


def test_a_default_that_cannot_be_built_is_refused_before_any_trial(tmp_path: Path) -> None:
    wrong = {"transformer": {"width": {"choice": [9, 8]}, "heads": 2}}
    with pytest.raises(SpaceError) as caught:
        run(tmp_path, HEADS | {"architecture": wrong})
    assert str(caught.value) == "space.architecture.transformer: width 9 is not divisible by heads 2"
    assert study(tmp_path).trials == []


def test_values_of_the_optimizer_that_do_not_go_together_are_passed_over(tmp_path: Path) -> None:
    shares = {"warm_up": {"choice": [0.05, 0.6]}, "cool_down": {"choice": [0.3, 0.6]}}
    tree = STRICT | {"forbid": [], "optimizer": {"lr": 0.01} | shares}
    record = run(tmp_path, tree, n_trials=9, epochs=1, strategy="random")
    assert all(t.candidate.optimizer.warm_up + t.candidate.optimizer.cool_down <= 1 for t in record.trials)
    assert "draws were no candidates" in record.notes[0]


def test_a_finished_study_is_only_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(tmp_path)
    monkeypatch.setattr(Training, "advance", lambda *_, **__: pytest.fail("trained again"))
    assert run(tmp_path) == first


def test_seconds_are_a_total_over_restarts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used, keep = [0.0], Clock.keep

    def noted(self: Clock, **settings: bool) -> None:
        used.append(self.used)
        keep(self, **settings)

    monkeypatch.setattr(Clock, "keep", noted)
    settings: dict[str, Any] = {"n_trials": 100_000, "seconds": 6.0, "epochs": 3, "repeats": 1}
    search = search_in(tmp_path, **settings)
    record = search.export("db")
    assert 1 <= len(record.trials) < 100_000
    assert {t.state for t in record.trials} <= {"complete", "pruned"}
    assert record.trials[record.best].state == "complete"
    assert f"search.seconds ended the study after {len(record.trials)} of 100000 trials" in record.notes
    assert sum(study(tmp_path).user_attrs["phases"].values()) == pytest.approx(used[-1], abs=1.0)
    assert used[-1] >= 3.0
    assert run(tmp_path, **settings) == record


def test_with_less_time_than_three_defaults_only_the_default_is_trained(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    record = run(tmp_path, n_trials=100, seconds=4.0, epochs=100_000)
    assert [t.origin for t in record.trials] == ["default"]
    assert "it alone is trained" in caplog.text
    assert record.trials[0].state == "complete"  # its schedule was made for the time there is
    assert 0 < record.trials[0].epochs < 100_000


@pytest.mark.parametrize("strategy", ["engine", "random", "default_only"])
def test_however_late_it_is_one_candidate_is_begun_and_handed_on(tmp_path: Path, strategy: Any) -> None:
    record = run(tmp_path, n_trials=100, seconds=1e-3, strategy=strategy)  # the probe alone takes longer
    assert len(record.trials) == 1
    assert record.best == 0
    assert record.trials[0].epochs > 0
    assert record.trials[0].score is not None


def test_a_failing_trial_costs_one_trial_and_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Training.start

    def no_recurrent_nets(training: Training) -> None:
        if training.candidate.architecture["kind"] == "rnn":
            raise RuntimeError("out of luck\nmore")
        real(training)

    monkeypatch.setattr(Training, "start", no_recurrent_nets)
    record = run(tmp_path, n_trials=4)
    failed = record.trials[1]
    assert (failed.state, failed.score, failed.error) == ("failed", None, "RuntimeError: out of luck")
    assert failed.traceback
    assert "no_recurrent_nets" in failed.traceback
    assert record.notes[0].endswith("of 4 trials failed; see trials.parquet for class and traceback")
    assert len(record.trials) == 4


def test_too_large_networks_fail_without_training(tmp_path: Path) -> None:
    with pytest.raises(SpaceError) as caught:
        run(tmp_path, max_parameters=10)
    assert str(caught.value).startswith("search: the first 3 trials all failed, the last with SpaceError: ")
    assert "weights are more than search.max_parameters 10\n  fix: check the space and search.max_parameters" in str(
        caught.value
    )


def test_a_crash_of_ours_in_every_trial_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any, **__: Any) -> Any:
        raise IndexError("ours")

    monkeypatch.setattr(Training, "start", crash)
    with pytest.raises(
        RuntimeError, match=r"(?s)the first 3 trials all failed; the last one:\nTraceback.*IndexError: ours"
    ):
        run(tmp_path)
    kept = Table(study(tmp_path), DATA.task).rows  # and all of them are there to be looked at
    assert [row.outcome.error if row.outcome else None for row in kept] == ["IndexError: ours"] * 3


def test_a_storage_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^conf\.search\.storage: cannot open the study"):
        open_study("x", f"sqlite:///{tmp_path}/no/such/folder/x.db")
    with pytest.raises(ConfigError, match=r"^conf\.search\.storage: cannot open the study"):
        open_study("x", "nonsense")


def test_a_password_is_never_shown() -> None:
    assert shown_url("postgresql+psycopg://me:secret@host/db") == "postgresql+psycopg://me:***@host/db"
    assert shown_url(None) == "sqlite:///state/optuna.db"


@pytest.mark.parametrize(
    ("epochs", "eta", "rungs"),
    [
        (40, 3, (1 / 9, 1 / 3, 1)),
        (1, 3, (1,)),
        (10_000, 3, (1 / 81, 1 / 27, 1 / 9, 1 / 3, 1)),
        (20, 2, (1 / 4, 1 / 2, 1)),
    ],
)
def test_rungs_are_powers_of_eta_of_a_percent_and_so_many_steps(
    epochs: int, eta: int, rungs: tuple[float, ...]
) -> None:
    # 150 rows in steps of 32: 4.7 steps a pass
    assert problem(epochs=epochs, eta=eta).rungs == pytest.approx(rungs)


def test_steps_before_the_first_rung_are_those_that_the_time_of_a_trial_allows() -> None:
    long = problem(epochs=400, first_steps=60)  # 1,876 steps
    assert long.rungs == pytest.approx((1 / 27, 1 / 9, 1 / 3, 1))
    assert long.within(5.0, 0.2).rungs == pytest.approx((1 / 3, 1))
    assert long.within(5.0, 0.2).within(4.0).rungs == pytest.approx((1 / 3, 1))


@pytest.mark.parametrize(
    ("below", "left", "reached"),
    [
        (None, 0.0, 1),
        ((math.inf, math.inf), 100.0, 3),
        ((math.inf, -math.inf), 100.0, 2),
        ((-math.inf, math.inf), 100.0, 1),
        ((math.inf, math.inf), 0.0, 1),
    ],
)
def test_a_trial_goes_on_without_a_pause_as_long_as_it_leads(
    tmp_path: Path, below: tuple[float, ...] | None, left: float, reached: int
) -> None:
    told = None if below is None else Onward(below=below, until=time.monotonic() + left)
    chosen = problem()
    candidate = sample(parse(TINY), DefaultChooser({}))
    found = run_job(chosen, Job(place=0, candidate=candidate, rung=0, onward=told, folder=tmp_path))
    assert len(found.curve) == reached
    assert found.state == ("complete" if reached == len(chosen.rungs) else "paused")
    whole = run_job(chosen, Job(place=1, candidate=candidate, rung=2, folder=tmp_path))
    assert found.curve == whole.curve[:reached]


def test_long_pieces_are_never_gone_on_to_without_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.tuning.jobs._AT_ONCE", 0.0)
    candidate = sample(parse(TINY), DefaultChooser({}))
    told = Onward(below=(math.inf, math.inf), until=time.monotonic() + 100.0)
    found = run_job(problem(), Job(place=0, candidate=candidate, rung=0, onward=told, folder=tmp_path))
    assert (found.state, len(found.curve)) == ("paused", 1)


def test_a_search_with_seconds_takes_fewer_jobs_than_rungs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Job] = []
    real = packs.run_job

    def counted(chosen: Problem, job: Job, *more: Any) -> Outcome:
        given.append(job)
        return real(chosen, job, *more)

    monkeypatch.setattr("pipeline.tuning.packs.run_job", counted)
    search = search_in(tmp_path, n_trials=30, seconds=1000.0, epochs=40, trial_share=1.0)
    promoted = sum(len(row.scores(search.problem.rungs)) - 1 for row in search.table.rows[1:])
    assert promoted >= 10
    assert len(given) < len(search.table) + promoted
    assert {row.outcome.state for row in search.table.rows if row.outcome} <= {"complete", "paused"}
    trials = search.study.get_trials()
    for row, trial in zip(search.table.rows, trials, strict=True):
        assert tuple(trial.intermediate_values.values()) == row.scores(search.problem.rungs)


@pytest.mark.parametrize("strategy", ["random", "grid", "tpe_hyperband", "one_epoch_topk", "default_only"])
def test_simpler_searches_run_on_the_same_space(tmp_path: Path, strategy: str) -> None:
    record = run(tmp_path, n_trials=7, strategy=strategy)
    states = [t.state for t in record.trials]
    assert record.trials[record.best].state == "complete"
    if strategy == "default_only":
        assert [t.origin for t in record.trials] == ["default"]
        return
    assert len(record.trials) == 7
    assert {t.origin for t in record.trials} == {
        {"tpe_hyperband": "tpe", "one_epoch_topk": "random"}.get(strategy, strategy)
    }
    if strategy in ("random", "grid"):
        assert set(states) == {"complete"}
        assert len({str(t.candidate) for t in record.trials}) == 7
    if strategy == "tpe_hyperband":  # trials pause at every rung to be asked about, and only there
        assert all(len(t.curve) > 1 for t in record.trials if t.state == "complete")
    if strategy == "one_epoch_topk":
        assert states.count("complete") == 7 // 3
        firsts = [t.curve[0][1] for t in record.trials]
        best = sorted(range(7), key=lambda i: firsts[i])[: 7 // 3]
        assert {i for i, state in enumerate(states) if state == "complete"} == set(best)


def test_stock_tpe_and_hyperband_stop_trials_at_rungs(tmp_path: Path) -> None:
    record = run(tmp_path, n_trials=16, strategy="tpe_hyperband")
    states = {t.state for t in record.trials}
    assert states == {"complete", "pruned"}
    stopped = [t for t in record.trials if t.state == "pruned"]
    rungs = problem().rungs
    assert all(
        t.curve[-1][0] == pytest.approx(rungs[len(t.curve) - 1], abs=0.02) and t.curve[-1][0] < 1 for t in stopped
    )
    assert run(tmp_path, n_trials=16, strategy="tpe_hyperband") == record


def done(tmp_path: Path) -> TrialRecord:
    return run(tmp_path, n_trials=1, epochs=1).trials[0]


def test_the_earlier_of_two_equal_trials_is_best(tmp_path: Path) -> None:
    one = done(tmp_path)
    twins = [replace(one, number=2), replace(one, number=1), replace(one, number=0, state="pruned")]
    best = best_of(twins)
    assert best is not None
    assert best.number == 1


def test_where_none_came_to_its_end_the_furthest_is_handed_on(tmp_path: Path) -> None:
    one = replace(done(tmp_path), state="pruned")
    trials = [
        replace(one, number=0, curve=((0.1, 0.2),), score=0.2),
        replace(one, number=1, curve=((0.1, 0.4), (0.3, 0.3)), score=0.3),
    ]
    best = chosen_of(trials)
    assert best is not None
    assert best.number == 1


@pytest.mark.parametrize(
    ("default", "errors", "chosen"),
    [(0.50, (0.02, 0.02), 1), (0.44, (0.02, 0.05), 0), (0.44, (0.05, 0.02), 0), (0.40, (0.0, 0.0), 0)],
)
def test_a_default_within_one_standard_error_is_kept(
    tmp_path: Path, default: float, errors: tuple[float, float], chosen: int
) -> None:
    one = done(tmp_path)
    first = replace(one, number=0, origin="default", score=default, standard_error=errors[0])
    found = replace(one, number=1, origin="random", score=0.40, standard_error=errors[1])
    handed_on = chosen_of([first, found])
    assert handed_on is not None
    assert handed_on.number == chosen


def test_the_reserve_decides_among_the_best_few(tmp_path: Path) -> None:
    one = replace(done(tmp_path), origin="random", standard_error=0.0)
    scores = [(0.40, 0.50), (0.41, 0.45), (0.42, 0.47), (0.43, 0.48), (0.44, 0.49), (0.60, 0.10)]
    trials = [replace(one, number=i, score=s, reserve_score=r) for i, (s, r) in enumerate(scores)]
    handed_on = chosen_of(trials)
    assert handed_on is not None
    assert handed_on.number == 1  # the last is no leader: a reserve looked at by all would be a second search
    assert choice_note(trials[0], handed_on) == (
        "trial 0 scored 0.4000, trial 1 0.4100; on the reserve 0.5000 and 0.4500, which decided"
    )


def test_fresh_seeds_decide_among_those_that_had_them(tmp_path: Path) -> None:
    one = replace(done(tmp_path), origin="random", standard_error=0.0, reserve_score=None)
    lucky = replace(one, number=0, score=0.30, repeats=((0.50, None), (0.46, None)))
    steady = replace(one, number=1, score=0.40, repeats=((0.40, None), (0.40, None)))
    untried = replace(one, number=2, score=0.41)
    handed_on = chosen_of([lucky, steady, untried])
    assert handed_on is steady
    assert choice_note(lucky, steady) == (
        "trial 0 scored 0.3000, trial 1 0.4000; over fresh seeds 0.4200 and 0.4000, which decided"
    )


def test_a_complete_trial_is_scored_on_the_reserve_and_a_stopped_one_is_not(tmp_path: Path) -> None:
    spare = replace(problem(), data=replace(DATA, reserve=stripes(60, 5)))
    trials = search_in(tmp_path, chosen=spare).export("db").trials
    assert all((t.reserve_score is not None) == (t.state == "complete") for t in trials)
    assert {t.state for t in trials} == {"complete", "pruned"}


def test_workers_without_work_train_the_default_with_fresh_seeds_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.tuning.plan.speed_of", lambda *_: Speed(start=0.0, each=1.0))  # 40 passes: 40 s
    began: list[tuple[int, int]] = []
    start = Table.start

    def noted(self: Table, place: int, repeat: int = 0) -> None:
        began.append((repeat, sum(row.running for row in self.rows)))
        start(self, place, repeat)

    monkeypatch.setattr(Table, "start", noted)
    search = search_in(tmp_path, n_trials=1, seconds=30.0, workers=2, repeats=2)
    record = search.export("db")
    assert trained_alone(search)
    assert began[:2] == [(0, 0), (1, 1)]
    assert sorted(repeat for repeat, _ in began) == [0, 1, 2]
    assert len(record.trials) == 1
    assert record.trials[0].state == "complete"
    assert len(record.trials[0].repeats) == 2
    again = search_in(tmp_path, n_trials=1, seconds=30.0, workers=2, repeats=2).export("db")
    assert outcome(again) == outcome(record)
    assert len(began) == 3


def test_a_default_that_took_less_than_it_seemed_leaves_time_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.tuning.plan.speed_of", lambda *_: Speed(start=0.0, each=1.0))  # 40 passes: 40 s
    search = search_in(tmp_path, n_trials=3, seconds=30.0, repeats=1)
    record = search.export("db")
    assert trained_alone(search)
    assert [(t.state, t.origin) for t in record.trials] == [("complete", "default")] * 3
    assert [len(t.repeats) for t in record.trials] == [1, 1, 1]
