"""Few rows, none in reserve: the best candidates and the default are compared on folds of the training rows."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.contracts import AgainstDefault
from pipeline.core.objectives import ObjectiveSettings
from pipeline.core.seeds import stream_seed
from pipeline.core.strict import plain
from pipeline.space import parse
from pipeline.training.folds import fold
from pipeline.training.training import Training
from pipeline.tuning import Search, chosen_of
from pipeline.tuning.choice import choice_note, final_score
from pipeline.tuning.decisions import confirming
from pipeline.tuning.jobs import Job, Outcome, Problem, run_job
from pipeline.tuning.live import ended_words
from pipeline.tuning.notes import trial_note
from pipeline.tuning.paired import LOSSES, keep_losses, losses_in, losses_table, row_by_row
from pipeline.tuning.plan import Plan, plan_words
from pipeline.tuning.study import open_study
from pipeline.tuning.view import Repeat
from tests.training.test_fit import CPU
from tests.training.test_folds import FEW
from tests.tuning.test_decisions import RUNGS, row, view
from tests.tuning.test_search import TINY, done, problem, search_in, study


def few(**settings: object) -> Problem:
    return replace(problem(**{"n_trials": 9, "repeats": 2, "epochs": 60} | settings), data=replace(FEW))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Search, Path]:
    folder = tmp_path_factory.mktemp("folds")
    return search_in(folder, chosen=few()), folder


def test_the_best_and_the_default_are_trained_without_each_fold(searched: tuple[Search, Path]) -> None:
    search, _ = searched
    record = search.export("db")
    folded = [t for t in record.trials if t.folds]
    assert record.trials[0] in folded
    assert all(len(t.folds) == 4 and t.repeats == () for t in folded)
    complete = sorted((t for t in record.trials if t.state == "complete"), key=lambda t: (t.score or 0.0, t.number))
    assert {t.number for t in folded} == {0, *(t.number for t in complete[:3])}
    assert record.fold_rows == 12


def test_the_score_on_a_fold_is_that_of_a_network_that_did_not_see_it(searched: tuple[Search, Path]) -> None:
    search, _ = searched
    trial = search.export("db").trials[0]
    whole = Training(trial.candidate, fold(FEW, 3, seed=7), search.problem.budget,
                     seed=stream_seed(7, "repeat", -3), trainer=CPU, rung_average=True)  # fmt: skip
    whole.start()
    for share in search.problem.rungs:
        whole.advance(share)
        whole.record()
    assert trial.folds[2] == whole.records[-1].val_score


def test_default_and_leader_are_compared_on_all_rows_of_their_folds(searched: tuple[Search, Path]) -> None:
    search, folder = searched
    record = search.export("db")
    if not record.against_default:  # the default leads
        assert record.best == 0
        return
    (one,) = record.against_default
    default, trial = record.trials[one.default], record.trials[one.trial]
    assert one.seeds == ((-1, -2, -3, -4),) * 2
    assert one.rows == 48
    assert one.difference == pytest.approx(final_score(default) - final_score(trial), abs=1e-5)
    table = losses_table(record.against_default, folder / "files")
    assert sorted(table) == sorted(f"trial-{n}-fold-{k}" for n in (one.default, one.trial) for k in (1, 2, 3, 4))
    losses = {str(name): column.to_numpy() for name, column in table.items()}
    assert row_by_row((one.default, one.seeds[0]), (one.trial, one.seeds[1]), losses) == one


def test_what_folds_said_is_stored_and_not_trained_again(searched: tuple[Search, Path]) -> None:
    search, folder = searched
    record = search.export("db")
    again = Search(few(), search.space, study(folder), folder / "files")
    assert json.dumps(plain(again.export("db"))) == json.dumps(plain(record))
    assert [r.repeat for r in again.table.rows[0].repeats] == [-1, -2, -3, -4]
    note = trial_note(again.table.rows[0], "binary")
    assert f"on folds of the training rows: {', '.join(f'{s:.4f}' for s in record.trials[0].folds)}" in note


def test_networks_of_folds_are_no_members_of_an_ensemble(tmp_path: Path) -> None:
    chosen, kept = few(), []
    candidate = search_in(tmp_path / "one", chosen=few(n_trials=1)).export("db").trials[0].candidate
    for repeat in (0, 1, -1):
        job = Job(place=0, candidate=candidate, rung=len(chosen.rungs) - 1, repeat=repeat, folder=tmp_path)
        assert run_job(chosen, job, on_fit=lambda job, _: kept.append(job.repeat)).state == "complete"
    assert kept == [0, 1]
    assert sorted(path.stem for path in (tmp_path / LOSSES).iterdir()) == [
        "trial-0",
        "trial-0-fold-1",
        "trial-0-seed-1",
    ]
    assert len(np.load(tmp_path / LOSSES / "trial-0-fold-1.npy")) == 12


def test_without_repeats_or_alone_there_are_no_folds(tmp_path: Path) -> None:
    record = search_in(tmp_path, chosen=few(repeats=0)).export("db")
    assert record.fold_rows == 0
    assert not any(t.folds or t.repeats for t in record.trials)


def test_folds_come_in_turn_to_those_with_the_lowest_scores() -> None:
    rows = [row(0, 0.9, 0.6, 0.5), row(1, 0.8, 0.5, 0.4), row(2, 0.8, 0.5, 0.3), row(3, 0.8, 0.5, 0.35)]
    rows += [row(4, 0.8, 0.5, 0.45)]
    asked = []
    while (again := confirming(view(*rows, folds=2, repeats=5))) is not None:
        asked.append((again.place, again.repeat))
        worse = Outcome(place=again.place, repeat=again.repeat, state="complete", curve=((1.0, 9.0),))
        rows[again.place] = replace(rows[again.place], repeats=(*rows[again.place].repeats, worse))
    assert asked == [(2, -1), (3, -1), (1, -1), (0, -1), (2, -2), (3, -2), (1, -2), (0, -2)]
    assert rows[2].folds == (9.0, 9.0)
    assert rows[2].seeds == (0,)
    assert confirming(view(*rows[:1], repeats=1)) == Repeat(0, 1)


def test_a_fold_that_failed_ends_what_is_compared() -> None:
    def again(k: int, state: str) -> Outcome:
        return Outcome(place=0, repeat=k, state=state, curve=((1.0, 0.1 * -k),))  # type: ignore[arg-type]

    one = row(0, 0.9, 0.6, 0.5, repeats=(again(-1, "complete"), again(-2, "failed"), again(-3, "complete")))
    assert one.folds == (0.1,)


def test_leaders_are_compared_on_the_folds_that_all_have(tmp_path: Path) -> None:
    one = replace(done(tmp_path), standard_error=0.0, origin="random")
    scores = {1: (0.20, (0.5, 0.2)), 2: (0.21, (0.4,)), 3: (0.10, ())}
    trials = [replace(one, number=n, score=score, folds=folds) for n, (score, folds) in scores.items()]
    assert chosen_of(trials) is trials[1]
    assert choice_note(trials[0], trials[1]) == (
        "trial 1 scored 0.2000, trial 2 0.2100; on folds of the training rows 0.3500 and 0.4000, which decided"
    )


def test_scores_on_folds_are_not_compared_with_those_on_validation_rows(tmp_path: Path) -> None:
    one = replace(done(tmp_path), standard_error=0.01)
    first = replace(one, number=0, origin="default", score=0.44)
    found = replace(one, number=1, origin="random", score=0.40, folds=(0.60, 0.60))
    assert chosen_of([first, found]) is found  # 0.04 behind on the rows that both were scored on
    near, easy = replace(first, score=0.405), replace(found, folds=(0.20, 0.20))
    assert chosen_of([near, easy]) is near
    one_fold, two_folds = replace(first, folds=(0.43,)), replace(found, folds=(0.40, 0.90))
    assert chosen_of([one_fold, two_folds]) is two_folds


def test_with_several_objectives_there_are_fresh_seeds(tmp_path: Path) -> None:
    chosen = replace(few(n_trials=3), objective=ObjectiveSettings(kind="pareto", minimise=("score", "parameters")))
    optuna_study = open_study("two", f"sqlite:///{tmp_path / 'study.db'}", 2)
    search = Search(chosen, parse(TINY), optuna_study, tmp_path / "files")
    search.run()
    record = search.export("db")
    assert not any(t.folds for t in record.trials)
    assert any(t.repeats for t in record.trials)


def test_a_leader_behind_the_default_is_said_to_be(tmp_path: Path) -> None:
    one = replace(done(tmp_path), standard_error=0.0)
    first = replace(one, number=0, origin="default", score=0.44, folds=(0.3, 0.3))
    found = replace(one, number=1, origin="random", score=0.40, folds=(0.5, 0.5))
    seeds = (-1, -2)
    told = (AgainstDefault(default=0, trial=1, difference=-0.2, standard_error=0.1, rows=24, seeds=(seeds, seeds)),)
    assert chosen_of([first, found], against=told) is first
    assert choice_note(found, first, against=told) == (
        "trial 1 scored 0.4000, trial 0 0.4400; on the same 24 rows trial 1 is 0.2000 ± 0.1000 behind: "
        "so the default was kept"
    )


def test_the_error_over_folds_knows_rows_and_trainings(tmp_path: Path) -> None:
    def told(*means: float, noise: float) -> AgainstDefault:
        for k, mean in enumerate(means, 1):
            each = np.tile([-noise, noise], 10)
            keep_losses(tmp_path, 0, -k, (1.0 + mean + each).astype(np.float32))
            keep_losses(tmp_path, 1, -k, np.ones(20, np.float32))
        folds = tuple(range(-1, -1 - len(means), -1))
        found = row_by_row((0, folds), (1, folds), losses_in(tmp_path, (0, folds), (1, folds)))
        assert found is not None
        assert found.rows == 20 * len(means)
        assert found.difference == pytest.approx(sum(means) / len(means), abs=1e-6)
        return found

    rows = told(0.1, 0.1, noise=0.5)
    assert rows.standard_error == pytest.approx(0.5 * (40 / 39) ** 0.5 / 40**0.5, rel=1e-4)
    trainings = told(0.0, 0.4, noise=0.0)
    assert trainings.standard_error == pytest.approx(0.2, rel=1e-4)  # sqrt(0.08 / 2), above 0.2 / sqrt(40) over rows


def test_the_words_of_folds() -> None:
    candidate = row(3, 0.9, 0.6, 0.5)
    outcome = Outcome(place=3, repeat=-2, state="complete", curve=((1.0, 0.25),), quality=0.9)
    said = ended_words(candidate, outcome, [candidate], "accuracy")
    assert said is not None
    assert said.startswith("trial 3 (cnn, random) on fold 2: 0.2500, accuracy 0.9000")
    plan = Plan(mode="search", trial_seconds=2.0)
    assert "4 folds of the training rows until" in plan_words(plan, 60, "engine", 4)
    assert "fresh seeds until" in plan_words(plan, 60, "engine")
    assert len(RUNGS) == 3
