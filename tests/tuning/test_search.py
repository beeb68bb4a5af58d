"""The search on a real study: totals, order, interruption, failure, export."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

import pipeline.tuning.objective as objective
from pipeline.core.contracts import SearchRecord, TrialRecord
from pipeline.core.errors import ConfigError, SpaceError
from pipeline.core.seeds import stream
from pipeline.core.settings import SearchSettings
from pipeline.space import PriorChooser, answers, parse
from pipeline.tuning import Problem, best_of, chosen_of, export, open_study, search, shown_url
from pipeline.tuning.loop import choice_note
from pipeline.tuning.objective import may_go_on
from pipeline.tuning.study import passed_over, records
from tests.training.test_fit import CPU, DATA, stripes

TINY: Mapping[str, Any] = yaml.safe_load(Path("search_spaces/tiny.yaml").read_text())


def problem(**settings: Any) -> Problem:
    defaults: dict[str, Any] = {"n_trials": 5, "epochs": 4, "eta": 2}
    return Problem(DATA, SearchSettings(**(defaults | settings)), CPU, 7)


def study(folder: Path) -> optuna.Study:
    return open_study("test", f"sqlite:///{folder / 'study.db'}")


def outcome(record: SearchRecord) -> list[tuple[object, ...]]:
    return [(t.state, t.score, t.curve, t.candidate, t.origin) for t in record.trials]


def run(folder: Path, **settings: Any) -> SearchRecord:
    chosen = problem(**settings)
    opened = study(folder)
    search(chosen, parse(TINY), opened)
    return export(chosen, opened, "db")


def test_defaults_of_each_family_come_first_and_the_best_is_complete(tmp_path: Path) -> None:
    record = run(tmp_path)
    assert [t.origin for t in record.trials] == ["default", "default", "default", "sampler", "sampler"]
    assert [t.candidate.architecture["kind"] for t in record.trials[:3]] == ["cnn", "rnn", "transformer"]
    assert [t.number for t in record.trials] == [0, 1, 2, 3, 4]
    best = record.trials[record.best]
    assert best.state == "complete"
    assert best.score is not None
    assert best.standard_error is not None
    lowest = min((t.score, t.standard_error or 0.0) for t in record.trials if t.state == "complete" and t.score)
    assert best.score <= lowest[0] + max(lowest[1], best.standard_error)
    assert all(t.parameters and t.multiply_adds and t.seconds > 0 and t.curve for t in record.trials)


def test_n_trials_is_a_total_over_restarts_and_raising_it_continues(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    whole = run(tmp_path / "a", n_trials=6)
    first = run(tmp_path / "b", n_trials=4)
    assert outcome(first) == outcome(whole)[:4]
    assert outcome(run(tmp_path / "b", n_trials=6)) == outcome(whole)
    assert outcome(run(tmp_path / "b", n_trials=4)) == outcome(first)


def test_an_interrupted_search_ends_as_an_uninterrupted_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = run(tmp_path / "whole", n_trials=6)
    real, calls = objective.fit, []

    def dies_in_third(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) in (3, 6):
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(objective, "fit", dies_in_third)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "cut", n_trials=6)
    monkeypatch.setattr(objective, "fit", real)
    assert outcome(run(tmp_path / "cut", n_trials=6)) == outcome(whole)
    assert len(study(tmp_path / "cut").trials) == 8


STRICT = {
    "architecture": {"cnn": {"width": {"choice": [4, 6, 8]}, "stages": 1, "depth": {"int": [1, 2]}}},
    "optimizer": {"lr": {"float": [1e-3, 3e-2], "log": True, "default": 1e-2}, "batch_size": 64},
    "forbid": ["architecture.cnn.width == 8", "optimizer.lr < 0.005"],
}
HEADS = {
    "architecture": {"transformer": {"width": {"choice": [8, 9, 10, 11]}, "heads": {"choice": [2, 4]}, "depth": 1}},
    "optimizer": {"lr": 0.01, "batch_size": 64},
}


def search_in(folder: Path, tree: Mapping[str, Any], **settings: Any) -> SearchRecord:
    chosen, opened = problem(**settings), study(folder)
    search(chosen, parse(tree), opened)
    return export(chosen, opened, "db")


@pytest.mark.parametrize("tree", [STRICT, HEADS], ids=["forbidden", "refused by the architecture"])
def test_a_draw_that_is_no_candidate_is_passed_over_and_does_not_count(tmp_path: Path, tree: Mapping[str, Any]) -> None:
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = search_in(tmp_path / "whole", tree, n_trials=5, epochs=1)
    assert [t.number for t in whole.trials] == list(range(5))
    assert {t.state for t in whole.trials} <= {"complete", "pruned"}
    skipped = [t for t in study(tmp_path / "whole").trials if "infeasible" in t.user_attrs]
    assert len(skipped) >= 2
    assert {t.state for t in skipped} == {optuna.trial.TrialState.FAIL}
    reason = skipped[-1].user_attrs["infeasible"]
    assert reason.startswith(("space.forbid[", "space.architecture.transformer: width "))
    assert whole.notes[0] == f"{len(skipped)} draws were no candidates and did not count; the last: {reason}"
    for n_trials in (2, 5):
        cut = search_in(tmp_path / "cut", tree, n_trials=n_trials, epochs=1)
    assert outcome(cut) == outcome(whole)
    assert cut.notes == whole.notes
    reasons = [passed_over(study(tmp_path / "cut"), place) for place in range(5)]
    assert reasons == [passed_over(study(tmp_path / "whole"), place) for place in range(5)]


def test_a_space_whose_every_draw_is_infeasible_ends_after_a_hundred() -> None:
    opened = optuna.create_study()
    tree = STRICT | {"forbid": ["optimizer.lr != 0.01"]}
    message = (
        "search: every draw is infeasible (100 in a row), the last with: "
        "space.forbid[0]: forbidden: optimizer.lr != 0.01\n"
        "  fix: forbid less, or narrow the ranges to what can be built"
    )
    for _ in range(2):  # and a restart draws no more
        with pytest.raises(SpaceError) as caught:
            search(problem(epochs=1), parse(tree), opened)
        assert str(caught.value) == message
        assert len(opened.trials) == 101


def test_a_default_that_cannot_be_built_is_refused_before_any_trial(tmp_path: Path) -> None:
    wrong = {"transformer": {"width": {"choice": [9, 8]}, "heads": 2}}
    with pytest.raises(SpaceError) as caught:
        search_in(tmp_path, HEADS | {"architecture": wrong})
    assert str(caught.value) == "space.architecture.transformer: width 9 is not divisible by heads 2"
    assert study(tmp_path).trials == []


def test_values_of_the_optimizer_that_do_not_go_together_are_passed_over(tmp_path: Path) -> None:
    shares = {"warm_up": {"choice": [0.05, 0.6]}, "cool_down": {"choice": [0.3, 0.6]}}
    record = search_in(tmp_path, STRICT | {"forbid": [], "optimizer": {"lr": 0.01} | shares}, n_trials=6, epochs=1)
    assert all(t.candidate.optimizer.warm_up + t.candidate.optimizer.cool_down <= 1 for t in record.trials)
    assert "draws were no candidates" in record.notes[0]


def test_first_proposals_are_drawn_around_the_defaults_if_the_space_says_how_sure_they_are(tmp_path: Path) -> None:
    tree = STRICT | {"forbid": [], "optimizer": {"lr": {"float": [1e-4, 1.0], "log": True, "prior": "high"}}}
    space = parse(tree)
    record = search_in(tmp_path, tree, n_trials=8, epochs=1)
    assert [t.origin for t in record.trials] == ["default"] + ["sampler"] * 7
    for place in range(1, 7):
        drawn = answers(space, PriorChooser(stream(7, "prior", place)))
        assert record.trials[place].candidate.optimizer.lr == drawn["optimizer.lr"]
        assert record.trials[place].candidate.architecture["width"] == drawn["architecture.cnn.width"]
    assert (
        record.trials[7].candidate.optimizer.lr != answers(space, PriorChooser(stream(7, "prior", 7)))["optimizer.lr"]
    )


def test_a_finished_study_is_only_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(tmp_path)
    monkeypatch.setattr(objective, "fit", lambda *_, **__: pytest.fail("trained again"))
    assert run(tmp_path) == first


def test_seconds_are_a_total_over_restarts(tmp_path: Path) -> None:
    record = run(tmp_path, n_trials=1000, seconds=4.0, epochs=20)
    assert 1 <= len(record.trials) < 1000
    assert record.seconds < 4.0 + 2.0
    assert {t.state for t in record.trials} <= {"complete", "pruned"}
    assert f"search.seconds ended the study after {len(record.trials)} of 1000 trials" in record.notes
    assert run(tmp_path, n_trials=1000, seconds=4.0, epochs=20) == record


def test_a_failing_trial_costs_one_trial_and_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = objective.fit

    def no_recurrent_nets(candidate: Any, *args: Any, **options: Any) -> Any:
        if candidate.architecture["kind"] == "rnn":
            raise RuntimeError("out of luck\nmore")
        return real(candidate, *args, **options)

    monkeypatch.setattr(objective, "fit", no_recurrent_nets)
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

    monkeypatch.setattr(objective, "fit", crash)
    with pytest.raises(
        RuntimeError, match=r"(?s)the first 3 trials all failed; the last one:\nTraceback.*IndexError: ours"
    ):
        run(tmp_path)


def test_a_storage_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^conf\.search\.storage: cannot open the study"):
        open_study("x", f"sqlite:///{tmp_path}/no/such/folder/x.db")
    with pytest.raises(ConfigError, match=r"^conf\.search\.storage: cannot open the study"):
        open_study("x", "nonsense")


def test_a_password_is_never_shown() -> None:
    assert shown_url("postgresql+psycopg://me:secret@host/db") == "postgresql+psycopg://me:***@host/db"
    assert shown_url(None) == "sqlite:///state/optuna.db"


@pytest.mark.parametrize(
    ("score", "others", "eta", "on"),
    [
        (1.0, [], 3, True),
        (1.0, [0.5], 3, True),
        (1.0, [0.5, 0.6], 3, False),
        (0.4, [0.5, 0.6], 3, True),
        (0.55, [0.5, 0.6, 0.7, 0.8, 0.9], 3, True),
        (0.65, [0.5, 0.6, 0.7, 0.8, 0.9], 3, False),
        (0.5, [0.5, 0.5], 3, True),
    ],
)
def test_one_in_eta_goes_on(score: float, others: list[float], eta: int, on: bool) -> None:
    assert may_go_on(score, others, eta) is on


@pytest.mark.parametrize(
    ("epochs", "eta", "rungs"),
    [(9, 3, (1 / 9, 1 / 3, 1)), (8, 3, (1 / 3, 1)), (1, 3, (1,)), (8, 2, (1 / 8, 1 / 4, 1 / 2, 1))],
)
def test_rungs_are_powers_of_eta_of_at_least_an_epoch(epochs: int, eta: int, rungs: tuple[float, ...]) -> None:
    assert problem(epochs=epochs, eta=eta).rungs == pytest.approx(rungs)


def test_the_earlier_of_two_equal_trials_is_best(tmp_path: Path) -> None:
    done = run(tmp_path, n_trials=1).trials[0]
    twins: list[TrialRecord] = [
        replace(done, number=2),
        replace(done, number=1),
        replace(done, number=0, state="pruned"),
    ]
    best = best_of(twins)
    assert best is not None
    assert best.number == 1


@pytest.mark.parametrize(
    ("default", "errors", "chosen"),
    [(0.50, (0.02, 0.02), 1), (0.44, (0.02, 0.05), 0), (0.44, (0.05, 0.02), 0), (0.40, (0.0, 0.0), 0)],
)
def test_a_default_within_one_standard_error_is_kept(
    tmp_path: Path, default: float, errors: tuple[float, float], chosen: int
) -> None:
    done = run(tmp_path, n_trials=1).trials[0]
    first = replace(done, number=0, origin="default", score=default, standard_error=errors[0])
    found = replace(done, number=1, origin="sampler", score=0.40, standard_error=errors[1])
    handed_on = chosen_of([first, found])
    assert handed_on is not None
    assert handed_on.number == chosen


def test_the_reserve_decides_among_the_best_few(tmp_path: Path) -> None:
    done = replace(run(tmp_path, n_trials=1).trials[0], origin="sampler", standard_error=0.0)
    scores = [(0.40, 0.50), (0.41, 0.45), (0.42, 0.47), (0.43, 0.48), (0.44, 0.49), (0.60, 0.10)]
    trials = [replace(done, number=i, score=s, reserve_score=r) for i, (s, r) in enumerate(scores)]
    handed_on = chosen_of(trials)
    assert handed_on is not None
    assert handed_on.number == 1  # the last is no leader: a reserve looked at by all would be a second search
    assert choice_note(trials[0], handed_on) == (
        "trial 0 scored 0.4000, trial 1 0.4100; on the reserve 0.5000 and 0.4500, which decided"
    )


def test_a_complete_trial_is_scored_on_the_reserve_and_a_stopped_one_is_not(tmp_path: Path) -> None:
    spare = replace(problem(), data=replace(DATA, reserve=stripes(60, 5)))
    opened = study(tmp_path)
    search(spare, parse(TINY), opened)
    trials = export(spare, opened, "db").trials
    assert all((t.reserve_score is not None) == (t.state == "complete") for t in trials)
    assert {t.state for t in trials} == {"complete", "pruned"}


def test_records_of_the_study_are_what_is_exported(tmp_path: Path) -> None:
    record = run(tmp_path, n_trials=2)
    assert tuple(records(study(tmp_path))) == record.trials
