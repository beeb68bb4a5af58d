"""Tables: task, inputs, what is left out, splits, hints."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sniffing.columns import group_like, kinds, sensitive_like
from pipeline.sniffing.labels import separator_of
from tests.init.helpers import found, init, people, prepared, written

Capture = pytest.CaptureFixture[str]
RNG = np.random.default_rng(5)


def test_a_table(capsys: Capture) -> None:
    people().to_csv("raw/people.csv", index=False)
    lines = init(capsys, "raw/people.csv", "sensitive=[sex]")
    assert lines[0] == "people: 120 rows, 5 columns; binary, 2 classes in 'label'"
    assert "one value per row, taken for an identifier and left out: person" in lines
    assert "target not given: 'label' was taken; say target=<column> if it is another" in lines
    assert found(lines, "columns:") == "columns: 2 numbers (age, pay)"
    assert found(lines, "split ").startswith("split by content, stratified by class: train ")
    assert "hint: sensitive=[sex,age] would audit them and keep them from the inputs" in lines
    assert found(lines, "the standard search is at most 120 s of training (search.seconds) and 900 s for the final")
    card = prepared("people")
    assert (card.inputs.kind, card.classes, sum(card.rows.values())) == ("table", ("no", "yes"), 120)
    assert [f.name for f in card.audit] == ["sex"]
    assert [c.name for c in card.inputs.columns] == ["age", "pay"]  # type: ignore[union-attr]
    told = found(lines, "split ").rpartition(": ")[2]
    assert told == ", ".join(f"{split} {n}" for split, n in card.rows.items())


def test_a_sensitive_number_is_audited_in_bins(capsys: Capture) -> None:
    people().to_csv("raw/people.csv", index=False)
    lines = init(capsys, "raw/people.csv", "sensitive=[age, sex]", "val_fraction=0.3")
    assert "'age' is audited in 4 bins of equal size; data.sensitive takes edges instead" in lines
    card = prepared("people")
    assert {f.name: len(f.groups) for f in card.audit} == {"age": 4, "sex": 2}
    assert card.rows["val"] == pytest.approx(0.3 * 96, abs=2)


def test_given_files_without_a_header(capsys: Capture) -> None:
    frame = people().drop(columns="person")
    frame[:90].to_csv("raw/own.train.csv", index=False, header=False)
    frame[90:].to_csv("raw/own.test.csv", index=False, header=False)
    lines = init(capsys, "raw", "name=own", "target=column_4")
    assert found(lines, "split ").startswith("split as given (own.test.csv), else by content")
    assert prepared("own").rows["test"] == 30
    lines = init(capsys, "raw/own.train.csv", "name=again")
    assert "found beside it: own.test.csv (test)" in lines
    assert prepared("again").rows == prepared("own").rows


def test_given_test_rows_that_differ_or_repeat(capsys: Capture) -> None:
    frame = people().drop(columns="person")
    frame[:90].to_csv("raw/train.csv", index=False)
    frame[86:].assign(label=lambda f: f["label"] + ".").to_csv("raw/test.csv", index=False)
    frame[90:].drop(columns="label").to_csv("raw/val_unlabelled.csv", index=False)
    lines = init(capsys, "raw", "name=own")
    assert "WARNING 4 rows that equal a test row are left out of training (data.duplicates=drop)" in lines
    assert "labels of the test rows end in '.', which is cut off" in lines
    assert "val_unlabelled.csv is not used: it has no column label" in lines
    card = prepared("own")
    assert (card.rows["test"], sum(card.rows.values()), card.classes) == (34, 120, ("no", "yes"))


def test_what_gives_the_target_away_is_left_out(capsys: Capture) -> None:
    frame = people().assign(leak=lambda f: f["label"], same="x", note=lambda f: f["label"].map({"no": 0, "yes": 1}))
    frame.to_csv("raw/leaky.csv", index=False)
    lines = init(capsys, "raw/leaky.csv", "target=label")
    assert "WARNING gives the target away, left out: leak, note" in lines
    assert "one value in all rows, of no use: same" in lines
    assert written("leaky")["exclude"] == ["leak", "note", "person"]
    assert [c.name for c in prepared("leaky").inputs.columns] == ["age", "sex", "pay"]  # type: ignore[union-attr]


def test_what_gives_the_target_away_in_training_rows_alone_is_left_out_too(capsys: Capture) -> None:
    frame = people(400).assign(tells=lambda f: f["label"].map({"no": "a", "yes": "b"}))
    frame.loc[[3, 7], "tells"] = ["b", "a"]
    frame["when"] = range(400)
    frame.loc[[3, 7], "when"] = [1000, 1001]
    frame.to_csv("raw/late.csv", index=False)
    lines = init(capsys, "raw/late.csv", "time=when", "target=label")
    assert "WARNING gives the target away in the training rows, left out: tells" in lines
    assert "split by time: the last rows by 'when' are for testing: train 272, val 48, test 80" in lines
    assert prepared("late").rows == {"train": 272, "val": 48, "test": 80}


def test_tasks_follow_the_target(capsys: Capture) -> None:
    frame = people().assign(few=RNG.integers(1, 6, 120), many=RNG.integers(0, 90, 120), a=RNG.integers(0, 2, 120),
                            b=RNG.integers(0, 2, 120), tags=RNG.choice(["x", "x|y", "y|z", "z"], 120))  # fmt: skip
    frame.to_csv("raw/t.csv", index=False)
    hint = "whole numbers are taken for classes; say task=regression if they are quantities"
    lines = init(capsys, "raw/t.csv", "name=t1", "target=few")
    assert lines[0].endswith("multiclass, 5 classes in 'few'")
    assert hint in lines
    lines = init(capsys, "raw/t.csv", "name=t2", "target=few", "task=regression")
    assert lines[0].endswith("regression of 'few'")
    assert hint not in lines
    assert init(capsys, "raw/t.csv", "name=t3", "target=[pay,many]")[0].endswith("regression of 'pay', 'many'")
    assert init(capsys, "raw/t.csv", "name=t4", "target=[a, b]")[0].endswith("multilabel, 2 labels")
    lines = init(capsys, "raw/t.csv", "name=t5", "target=tags")
    assert lines[0].endswith("multilabel, 3 labels in 'tags'")
    assert "several labels in a cell of 'tags', parted by '|'" in lines
    tasks = [prepared(f"t{i}").task for i in range(1, 6)]
    assert tasks == ["multiclass", "regression", "regression", "multilabel", "multilabel"]
    assert (prepared("t5").classes, written("t5")["label_separator"]) == (("x", "y", "z"), "|")


def test_groups_and_times(capsys: Capture) -> None:
    frame = people().assign(patient_id=[i // 4 for i in range(120)])
    frame["visited"] = pd.date_range("2024-01-01", periods=120).astype(str)
    frame.to_csv("raw/visits.csv", index=False)
    lines = init(capsys, "raw/visits.csv")
    assert "hint: time=visited splits by time: trained on the past, tested on the future" in lines
    assert "hint: group_by=patient_id keeps rows of one patient_id on one side" in lines
    assert "dates, read as days since the first: visited; data.dates=[] makes them categories" in lines
    columns = {c.name: c for c in prepared("visits").inputs.columns}  # type: ignore[union-attr]
    assert columns["visited"].since is not None  # another date in each row, and yet no identifier
    lines = init(capsys, "raw/visits.csv", "group_by=patient_id", "name=grouped")
    assert found(lines, "split ").startswith("split by group: no 'patient_id' on two sides: train ")
    assert all(n % 4 == 0 for n in prepared("grouped").rows.values())
    assert not [line for line in lines if line.startswith("hint: group_by")]


def test_missing_and_infinite_cells(capsys: Capture) -> None:
    frame = people().astype(object)
    frame.loc[[1, 2, 3], "pay"] = ["inf", "NaN", None]
    frame.loc[5, "sex"] = None
    frame.to_csv("raw/holes.csv", index=False)
    lines = init(capsys, "raw/holes.csv")
    assert "WARNING 2 cells 'NaN', 'inf' among numbers: taken for 'no value'" in lines
    assert "4 missing cells in 2 columns (pay 2%, sex 1%)" in lines
    card = prepared("holes")
    assert {c.name: c.kind for c in card.inputs.columns} == {  # type: ignore[union-attr]
        "age": "numeric", "sex": "categorical", "pay": "numeric"
    }  # fmt: skip


def test_imbalance_is_told(capsys: Capture) -> None:
    people().assign(label=["rare"] * 5 + ["usual"] * 115).to_csv("raw/odd.csv", index=False)
    lines = init(capsys, "raw/odd.csv")
    assert found(lines, "classes are out of balance: 'usual' has ")


def test_names_that_yaml_would_change(capsys: Capture) -> None:
    frame = people().rename(columns={"age": "~", "sex": "${x}", "pay": "no", "person": "a: b"})
    frame.to_csv("raw/names.csv", index=False)
    init(capsys, "raw/names.csv", "sensitive=[${x}]", "target=label")
    card = prepared("names")
    assert [c.name for c in card.inputs.columns] == ["~", "no"]  # type: ignore[union-attr]
    assert [f.name for f in card.audit] == ["${x}"]


def test_other_ways_to_write_a_table(capsys: Capture) -> None:
    frame = people().drop(columns="person")
    frame.to_parquet("raw/p.parquet")
    frame.to_json("raw/j.jsonl", orient="records", lines=True)
    frame.to_csv("raw/tabs.txt", index=False, sep="\t")
    frame.assign(sex=frame["sex"].map({"F": "männlich", "M": "weiblich"})).to_csv(
        "raw/latin.csv", index=False, encoding="latin-1"
    )
    for name in ("p.parquet", "j.jsonl", "tabs.txt", "latin.csv"):
        lines = init(capsys, f"raw/{name}", f"name={Path(name).stem}")
        assert lines[0].endswith("120 rows, 4 columns; binary, 2 classes in 'label'")
        assert sum(prepared(Path(name).stem).rows.values()) == 120
    assert "latin.csv: not utf-8, read as latin-1; check some words with accents" in lines
    assert (written("latin")["encoding"], written("tabs")["layout"]) == ("latin-1", "tsv")


def test_columns_by_kind() -> None:
    frame = pd.DataFrame({"n": ["1", None, "3"], "d": ["2024-01-01", "2024-01-02", None], "c": ["a", "b", "a"]})
    sorted_out = kinds(frame.astype(object))
    assert (sorted_out.numbers, sorted_out.dates, sorted_out.categories, sorted_out.texts) == (["n"], ["d"], ["c"], [])


def test_sensitive_names() -> None:
    named = ["Sex", "age", "age_band", "housing_median_age", "maritalStatus", "native-country", "usage", "sextant"]
    assert sensitive_like(named) == ["Sex", "age", "age_band", "maritalStatus"]


@given(st.integers(2, 10), st.integers(20, 60))
def test_columns_whose_values_repeat_evenly_look_like_groups(each: int, groups: int) -> None:
    names = [f"g{i}" for i in range(groups)] * each
    numbers = [str(i % 7) for i in range(len(names))]
    frame = pd.DataFrame({"place": names, "user_id": [str(i % groups) for i in range(len(names))], "n": numbers})
    assert group_like(frame, ["place", "user_id", "n"], ["user_id", "n"]) == ["place", "user_id"]


@given(st.lists(st.sets(st.sampled_from("abcd"), min_size=1), min_size=30, max_size=60), st.sampled_from("|;,"))
def test_a_separator_is_found_where_parts_are_fewer_than_cells(sets: list[set[str]], mark: str) -> None:
    cells = pd.Series([mark.join(sorted(s)) for s in sets], dtype=object)
    kinds_of, sizes = set(cells), {len(s) for s in sets}
    parts = set().union(*sets)
    expected = mark if len(parts) < len(kinds_of) and len(sizes) > 1 and max(sizes) > 1 else None
    assert separator_of(cells) == expected


def test_classes_with_commas_are_no_label_sets() -> None:
    assert separator_of(pd.Series(["yes, please", "no, thanks"] * 20)) is None
    assert separator_of(pd.Series(["Lyon, FR", "Paris, FR", "Rome, IT"] * 20)) is None
