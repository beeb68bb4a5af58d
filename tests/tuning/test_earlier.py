"""What a study takes over from one before it, over another space or other rows."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.space import parse
from pipeline.tuning import About, Search, open_study
from pipeline.tuning.earlier import MOST, Earlier, kept_earlier, look_back
from tests.training.test_fit import DATA
from tests.tuning.test_search import TINY, outcome, problem, run

ABOUT = About(data="stripes", task=DATA.task, objectives=("score",), seed=7, space="a", rows="r")
WIDER: Mapping[str, Any] = TINY | {"optimizer": TINY["optimizer"] | {"lr": {"float": [1e-4, 0.1], "log": True,
                                                                            "default": 1e-2}}}  # fmt: skip
WITHOUT_RNN: Mapping[str, Any] = TINY | {"architecture": {k: v for k, v in TINY["architecture"].items() if k != "rnn"}}


def rows_in(folder: Path, val: range = range(60, 100), gone: int = 0) -> Path:
    """Write a folder of prepared rows, without so many of the validation rows."""
    folder.mkdir(parents=True)
    for split, places in (("train", range(60)), ("val", val[gone:]), ("reserve", range(100, 260))):
        pd.DataFrame({"row_id": [f"digits:{i}" for i in places]}).to_parquet(folder / f"{split}_rows.parquet")
    return folder


def begun(
    top: Path, name: str, about: About, tree: Mapping[str, Any] = TINY, fit: Path | None = None, **settings: Any
) -> Search:
    """Open a study as the stage does, and search."""
    study = open_study(name, f"sqlite:///{top / 'study.db'}")
    wanted = settings.pop("wanted", True)
    look_back(study, about, parse(tree), fit or top / "fit", top, wanted=wanted)
    search = Search(problem(**{"n_trials": 8} | settings), parse(tree), study, top / name)
    search.run()
    return search


@pytest.fixture
def first(tmp_path: Path) -> Search:
    rows_in(tmp_path / "fit")
    return begun(tmp_path, "first", ABOUT, n_trials=16)


def best_drawn(search: Search) -> list[Any]:
    """Return the answers of complete trials that are no defaults, the best first."""
    done = sorted((row for row in search.table.rows if row.complete), key=lambda row: (row.last_score, row.place))
    return [row.answers for row in done if row.origin != "default"][:MOST]


def test_the_best_of_a_study_over_another_space_go_right_after_the_default(tmp_path: Path, first: Search) -> None:
    wanted = best_drawn(first)
    assert wanted
    second = begun(tmp_path, "second", replace(ABOUT, space="b"), WIDER)
    rows = second.table.rows
    assert [row.origin for row in rows[: 1 + len(wanted)]] == ["default", *["earlier"] * len(wanted)]
    assert [row.answers for row in rows[1 : 1 + len(wanted)]] == wanted
    assert len(rows) == 8
    assert all(row.outcome is not None and row.outcome.curve for row in rows)  # trained anew
    numbers = ", ".join(str(r.place) for a in wanted for r in first.table.rows if r.answers == a)
    said = f"study first, of another space, found candidates that are tried early: its trials {numbers}"
    assert said in second.export("db").notes


def test_what_was_found_is_decided_once(tmp_path: Path, first: Search) -> None:
    about = replace(ABOUT, space="b")
    second = begun(tmp_path, "second", about, WIDER)
    begun(tmp_path, "third", replace(ABOUT, space="c"), WITHOUT_RNN)  # a better one to draw on, by now
    again = begun(tmp_path, "second", about, WIDER)
    assert kept_earlier(again.study) == kept_earlier(second.study)
    assert outcome(again.export("db")) == outcome(second.export("db"))
    assert len(first.table.rows) == 16


def test_a_candidate_that_the_space_does_not_hold_is_left(tmp_path: Path, first: Search) -> None:
    second = begun(tmp_path, "second", replace(ABOUT, space="b"), WITHOUT_RNN)
    kinds = {row.candidate.architecture["kind"] for row in second.table.rows}
    assert "rnn" not in kinds
    held = [a for a in best_drawn(first) if a["architecture.kind"] != "rnn"]
    assert [row.answers for row in second.table.rows if row.origin == "earlier"][: len(held)] == held
    none = TINY | {"optimizer": TINY["optimizer"] | {"batch_size": 32}}  # every candidate is another one
    third = begun(tmp_path, "third", replace(ABOUT, space="c"), none)
    assert not [row for row in third.table.rows if row.origin == "earlier"]
    assert kept_earlier(third.study).words == (
        "study second, of another space, has no candidate that helps among its best"
    )


@pytest.mark.parametrize(
    "about",
    [
        ABOUT,
        replace(ABOUT, seed=8, space="b"),
        replace(ABOUT, data="other", space="b"),
        replace(ABOUT, task="binary", space="b"),
        replace(ABOUT, objectives=("score", "parameters"), rows="s"),
    ],
)
def test_another_task_or_seed_or_the_same_inputs_offer_nothing(tmp_path: Path, first: Search, about: About) -> None:
    study = open_study("second", f"sqlite:///{tmp_path / 'study.db'}")
    look_back(study, about, parse(WIDER), tmp_path / "fit", tmp_path, wanted=True)
    assert kept_earlier(study) == Earlier()
    assert len(first.table.rows) == 16


def test_it_can_be_declined_and_is_drawn_on_by_later_ones_all_the_same(tmp_path: Path, first: Search) -> None:
    second = begun(tmp_path, "second", replace(ABOUT, space="b"), WIDER, wanted=False, n_trials=16)
    assert not [row for row in second.table.rows if row.origin == "earlier"]
    third = begun(tmp_path, "third", replace(ABOUT, space="c"), WIDER)
    assert "study second" in (kept_earlier(third.study).words or "")
    assert len(first.table.rows) == 16


def test_rows_that_decided_and_may_be_tested_on_now_forbid_it(tmp_path: Path, first: Search) -> None:
    assert len(first.table.rows) == 16
    few, many = rows_in(tmp_path / "few", gone=2), rows_in(tmp_path / "many", gone=3)  # of 200
    kept = begun(tmp_path, "kept", replace(ABOUT, rows="s"), fit=few)
    assert (kept_earlier(kept.study).words or "").startswith("study first, of other rows, found candidates")
    left = open_study("left", f"sqlite:///{tmp_path / 'study.db'}")
    look_back(left, replace(ABOUT, rows="t"), parse(TINY), many, tmp_path, wanted=True)
    assert (kept_earlier(left).words or "").startswith("study kept, of other rows, found")  # whose rows are all here
    (tmp_path / "kept.rows.npy").unlink()
    alone = open_study("alone", f"sqlite:///{tmp_path / 'study.db'}")
    look_back(alone, replace(ABOUT, rows="u"), parse(TINY), many, tmp_path, wanted=True)
    assert kept_earlier(alone) == Earlier(
        words="study kept, of other rows, is not drawn on: which rows decided there is not known"
    )


def test_too_many_moved_rows_are_counted(tmp_path: Path, first: Search) -> None:
    assert len(first.table.rows) == 16
    second = open_study("second", f"sqlite:///{tmp_path / 'study.db'}")
    look_back(second, replace(ABOUT, rows="s", space="b"), parse(WIDER), rows_in(tmp_path / "many", gone=3), tmp_path,
              wanted=True)  # fmt: skip
    assert kept_earlier(second) == Earlier(
        words="study first, of another space and other rows, is not drawn on: 3 of the 200 rows that decided there are "
        "for tests now, or gone"
    )


def test_a_candidate_that_is_named_twice_leaves_its_place_to_others(tmp_path: Path) -> None:
    twice = TINY | {"warm_start": [{"architecture.kind": "cnn"}, {"architecture.kind": "cnn", "optimizer.lr": 0.02}]}
    record = run(tmp_path, twice, n_trials=8)
    assert len(record.trials) == 8
    origins = [trial.origin for trial in record.trials]
    assert origins[:3] == ["default"] * 3
    assert origins[3] != "warm_start"  # the default again
    assert origins[4] == "warm_start"
