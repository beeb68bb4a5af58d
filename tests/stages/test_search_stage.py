"""The stage around the study: its name, and the table of trials."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from pipeline.core.settings import SearchSlice
from pipeline.search import shares_words, study_name, trials_table
from pipeline.stage import compose, slice_for
from pipeline.tuning.notes import study_note
from tests.reporting.records import records


def chosen(*overrides: str) -> SearchSlice:
    return slice_for("search", SearchSlice, compose(["search=tiny", *overrides]))


def test_a_study_is_named_by_all_its_inputs_but_the_budget() -> None:
    name = study_name(chosen(), "data")
    assert name.startswith("search-")
    for budget in ("search.n_trials=9", "search.seconds=60", "search.storage=sqlite:///x.db", "search.keep=1",
                   "search.members=[linear]", "search.member_rows=9"):  # fmt: skip
        assert study_name(chosen(budget), "data") == name
    for other in ("search.epochs=3", "seed=8", "space.optimizer.batch_size=32", "trainer=cpu"):
        assert study_name(chosen(other), "data") != name
    assert study_name(chosen(), "other data") != name


def test_who_is_in_an_ensemble_is_said_in_words() -> None:
    mixed = records().ensemble.mixed
    assert mixed is not None
    again = replace(mixed.members[0], repeat=2)
    assert shares_words((*mixed.chosen, again)) == "62% gradient boosting (not a network), 38% trial 0 seed 2"


def test_the_table_has_a_row_per_trial_and_a_column_per_name() -> None:
    search = records().search
    table = trials_table(search)
    assert list(table["number"]) == [0, 1]
    assert table["architecture.kind"].tolist() == ["cnn", "cnn"]
    assert table["optimizer.lr"].tolist() == [1e-3, 1e-3]
    assert table["traceback"].dropna().tolist() == ["secret"]
    assert trials_table(replace(search, trials=search.trials[:1])).shape[0] == 1


def test_words_beside_numbers_become_texts_of_one_column(tmp_path: Path) -> None:
    search = records().search
    trial = search.trials[0]
    sizes = ("auto", 64, None, [1, 2.5], True)
    trials = tuple(
        replace(trial, candidate={"optimizer": {"batch_size": size, "lr": lr}})
        for size, lr in zip(sizes, (1, 0.5, 2, None, 0.1), strict=True)
    )
    trials_table(replace(search, trials=trials)).to_parquet(tmp_path / "trials.parquet")
    table = pd.read_parquet(tmp_path / "trials.parquet")
    assert table["optimizer.batch_size"].dropna().tolist() == ["auto", "64", "[1, 2.5]", "true"]
    assert table["optimizer.lr"].dropna().tolist() == [1.0, 0.5, 2.0, 0.1]


def test_a_trial_is_found_by_its_number_where_one_before_it_came_to_no_score() -> None:
    search = records().search
    later = replace(search.trials[0], number=2, score=0.25)
    stopped = replace(search, trials=(replace(search.trials[0], number=1), later), best=2)
    assert stopped.trial(stopped.best) is later
    assert stopped.feasible is search.feasible
    assert study_note(stopped, []).startswith("**Handed on: trial 2**")
