"""The stage around the study: its name, and the table of trials."""

from dataclasses import replace

from pipeline.core.settings import SearchSlice
from pipeline.search import study_name, trials_table
from pipeline.stage import compose, slice_for
from tests.reporting.records import records


def chosen(*overrides: str) -> SearchSlice:
    return slice_for("search", SearchSlice, compose(["search=tiny", *overrides]))


def test_a_study_is_named_by_all_its_inputs_but_the_budget() -> None:
    name = study_name(chosen(), "data")
    assert name.startswith("search-")
    for budget in ("search.n_trials=9", "search.seconds=60", "search.storage=sqlite:///x.db"):
        assert study_name(chosen(budget), "data") == name
    for other in ("search.epochs=3", "seed=8", "space.optimizer.batch_size=32", "trainer=cpu"):
        assert study_name(chosen(other), "data") != name
    assert study_name(chosen(), "other data") != name


def test_the_table_has_a_row_per_trial_and_a_column_per_name() -> None:
    search = records().search
    table = trials_table(search)
    assert list(table["number"]) == [0, 1]
    assert table["architecture.kind"].tolist() == ["cnn", "cnn"]
    assert table["optimizer.lr"].tolist() == [1e-3, 1e-3]
    assert table["traceback"].dropna().tolist() == ["secret"]
    assert trials_table(replace(search, trials=search.trials[:1])).shape[0] == 1
