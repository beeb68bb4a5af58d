"""What is said of a table before anything is fitted: refused with count, place and fix, or told in a note."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.core.contracts import TableInputs
from pipeline.core.data_settings import AuditSettings, DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets import Prepared, prepare_dataset

N = 200
RNG = np.random.default_rng(5)
BASE = pd.DataFrame(
    {
        "age": RNG.integers(18, 80, N).astype(str),
        "pay": RNG.normal(9, 2, N).round(2).astype(str),
        "job": RNG.choice(["smith", "clerk"], N),
        "sex": RNG.choice(["F", "M"], N),
        "label": RNG.choice(["no", "yes"], N),
    }
)


def read(folder: Path, frame: pd.DataFrame, test: pd.DataFrame | None = None, **changes: Any) -> Prepared:
    frame.to_csv(folder / "a.csv", index=False)
    if test is not None:
        test.to_csv(folder / "b.csv", index=False)
        changes["test_file"] = "b.csv"
    given: dict[str, Any] = {
        "name": "t", "format": "csv", "path": str(folder), "train_file": "a.csv", "target": "label",
        "sensitive": {"sex": AuditSettings(column="sex")}, "slices": {},
    }  # fmt: skip
    return prepare_dataset(DataSettings(**(given | changes)), 7)


def refused(folder: Path, frame: pd.DataFrame, **changes: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, frame, **changes)
    return str(caught.value)


def inputs(prepared: Prepared) -> list[str]:
    assert isinstance(prepared.card.inputs, TableInputs)
    return [column.name for column in prepared.card.inputs.columns]


def test_a_clean_table_has_no_notes_on_its_columns(tmp_path: Path) -> None:
    assert read(tmp_path, BASE).card.notes == ("sensitive columns are not inputs: sex",)


def test_a_copy_of_the_target_is_refused_with_the_setting_that_leaves_it_out(tmp_path: Path) -> None:
    leaky = BASE.assign(granted=np.where(BASE["label"] == "yes", "1", "0"))
    message = refused(tmp_path, leaky)
    assert message == (
        f"{tmp_path}/a.csv: column 'granted' would give the target 'label' away; 'granted' does so in 136 of 136 "
        "training rows, the first is a.csv:1\n  fix: data.exclude=[granted]"
    )
    assert inputs(read(tmp_path, leaky, exclude=("granted",))) == ["age", "pay", "job"]


def test_the_fix_keeps_what_is_excluded_already_and_quotes_strange_names(tmp_path: Path) -> None:
    leaky = BASE.assign(**{"label again, as code": BASE["label"].str.upper(), "label_2": BASE["label"]})
    message = refused(tmp_path, leaky, exclude=("pay",))
    assert "2 columns: 'label again, as code', 'label_2' would give the target 'label' away" in message
    assert message.endswith('fix: data.exclude=[pay,"label again, as code",label_2]')


def test_a_leak_in_training_alone_is_found(tmp_path: Path) -> None:
    test = BASE.assign(age=(BASE["age"].astype(int) + 100).astype(str), seen=RNG.choice(["a", "b"], N))
    message = refused(tmp_path, BASE.assign(seen=BASE["label"].map({"yes": "a", "no": "b"})), test=test)
    assert "column 'seen' would give the target 'label' away" in message


def test_a_number_in_the_order_of_a_number_target_is_refused(tmp_path: Path) -> None:
    leaky = BASE.assign(cents=(BASE["pay"].astype(float) * 100).astype(str))
    assert "column 'cents' would give the target 'pay' away" in refused(tmp_path, leaky, target="pay")


def test_columns_held_back_are_not_checked(tmp_path: Path) -> None:
    leaky = BASE.assign(sex=BASE["label"].map({"yes": "F", "no": "M"}), pay=["inf", *BASE["pay"][1:]])
    assert inputs(read(tmp_path, leaky, exclude=("pay",))) == ["age", "job"]
    assert "column 'sex' would give the target" in refused(tmp_path, leaky, exclude=("pay",), sensitive_inputs=("sex",))


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e999", "NaN", "1e308", "-3.5e38"])
def test_cells_that_are_no_finite_numbers_are_refused_with_count_and_place(tmp_path: Path, cell: str) -> None:
    broken = BASE.assign(pay=[cell, *BASE["pay"][1:-1], cell])
    assert refused(tmp_path, broken) == (
        f"{tmp_path}/a.csv: column 'pay': 2 cells are no finite numbers of 32 bits, the first '{cell}' at a.csv:1\n"
        "  fix: repair the cells, or add their text to data.missing"
    )


def test_a_few_words_among_numbers_are_told_with_count_and_place(tmp_path: Path) -> None:
    prepared = read(tmp_path, BASE.assign(pay=["n/a", *BASE["pay"][1:]], job=["7", *BASE["job"][1:]], age="a1"))
    rows = prepared.card.rows["train"]
    told = [note for note in prepared.card.notes if "is read as categories" in note]
    assert told == [
        f"column 'pay' is read as categories: 1 of {rows} training cells are no numbers, the first is 'n/a' at "
        "a.csv:1; repair them, or add them to data.missing"
    ]
    assert not any("categories:" in n for n in read(tmp_path, BASE, missing=("n/a",)).card.notes)


def test_a_number_or_band_that_is_missing_in_all_of_a_split_is_missing_there(tmp_path: Path) -> None:
    band = {"band": AuditSettings(column="pay", edges=(9.0,))}
    prepared = read(tmp_path, BASE, test=BASE.assign(pay=None, age="99"), slices=band)
    assert set(prepared.splits["test"].rows["audit.band"]) == {"(missing)"}
    assert prepared.splits["test"].x.shape == (N, 3)
    holes = BASE.assign(pay=["", *BASE["pay"][1:]])
    x = read(tmp_path, holes, test=BASE.assign(pay=None, age="99")).splits["test"].x
    assert x[:, 3].tolist() == [1.0] * N


def test_two_columns_with_infinite_cells_are_counted(tmp_path: Path) -> None:
    broken = BASE.assign(pay=["inf", *BASE["pay"][1:]], age=[*BASE["age"][:-1], "nan"])
    assert "; so have 1 more columns" in refused(tmp_path, broken)


def test_a_column_that_names_the_row_stays_an_input_and_is_told(tmp_path: Path) -> None:
    prepared = read(tmp_path, BASE.assign(number=[str(1000 + i) for i in range(N)]))
    rows = prepared.card.rows["train"]
    assert (
        f"another value in each of the {rows} training rows, as names of rows have: column 'number'; it stays an "
        "input unless left out: data.exclude=[number]"
    ) in prepared.card.notes
    assert inputs(prepared) == ["age", "pay", "job", "number"]


def test_dates_are_told_and_how_to_split_by_them(tmp_path: Path) -> None:
    days = np.datetime64("2024-01-01") + RNG.integers(0, 90, N).astype("timedelta64[D]")
    dated = BASE.assign(day=days.astype(str), joined=days.astype(str))
    prepared = read(tmp_path, dated, min_category_rows=1)
    rows = prepared.card.rows["train"]
    told = (
        f"dates or years: 2 columns: 'day', 'joined', {rows} of {rows} training rows have 'day'; such columns are "
        "inputs like other numbers and categories"
    )
    assert f"{told}; data.time=day would split the rows by it" in prepared.card.notes
    assert prepared.card.time is None
    split = read(tmp_path, dated.drop(columns="joined").assign(month=days.astype(str)), time="day").card
    assert split.time == "day"
    by_time = split.notes
    assert any(note.startswith("dates or years: column 'month'") for note in by_time)
    assert not any("data.time=" in note for note in by_time)


def test_constant_columns_are_named_and_left_out(tmp_path: Path) -> None:
    prepared = read(tmp_path, BASE.assign(flat="EUR", hollow=""))
    assert "column 'flat' is constant in training and left out" in prepared.card.notes
    assert "column 'hollow' is constant in training and left out" in prepared.card.notes
    assert inputs(prepared) == ["age", "pay", "job"]


def test_imbalance_is_told_of_the_training_rows(tmp_path: Path) -> None:
    rare = BASE.assign(label=["yes" if i < 10 else "no" for i in range(N)])
    prepared = read(tmp_path, rare)
    yes, no = (prepared.card.class_rows["train"][prepared.card.classes.index(c)] for c in ("yes", "no"))
    told = f"classes are out of balance: 'no' has {no:,} training rows, {no / yes:,.0f} times the {yes:,} of 'yes'"
    assert f"{told}; accuracy alone says little" in prepared.card.notes


@pytest.mark.parametrize(
    ("labels", "changes", "message"),
    [
        (["maybe", "no", "maybe"], {"classes": ("no", "yes")},
         "label 'maybe' is not among the classes no, yes (2 rows have such labels, the first is a.csv:1)"),
        (["no", "odd", "odd"], {}, "class 'odd' has 2 rows, the first is a.csv:2; train, val and test need 3"),
        (["no"], {"classes": ("no", "yes", "later")}, "class 'later' has 0 rows; train, val and test need 3"),
        (["yes", "", ""], {}, "2 rows have no label in 'label', the first is a.csv:2"),
        (["no/odd"], {"classes": ("no", "yes"), "label_separator": "/"},
         "label 'odd' is not among the labels no, yes (1 rows have such labels, the first is a.csv:1)"),
        ([], {"target": ("label", "label_2"), "task": "multilabel"},
         "label column 'label' holds other values than 0 and 1 in 200 rows, the first is a.csv:1"),
        ([], {"target": ("flag", "flag_2"), "task": "multilabel"},
         "label column 'flag_2' holds other values than 0 and 1 in 1 rows, the first is a.csv:3"),
    ],
)  # fmt: skip
def test_wrong_labels_are_counted_with_their_place_and_a_fix(
    tmp_path: Path, labels: list[str], changes: dict[str, Any], message: str
) -> None:
    flags = [str(i % 2) for i in range(N)]
    frame = BASE.assign(
        label=[*labels, *BASE["label"][len(labels) :]], flag=flags, flag_2=[*flags[:2], "2", *flags[3:]]
    )
    frame["label_2"] = BASE["label"]
    told = refused(tmp_path, frame, **({"exclude": ("flag", "flag_2", "label_2")} | changes))
    assert told.startswith(f"{tmp_path}/a.csv: {message}\n  fix: ")


def series_file(folder: Path, mark: bool) -> dict[str, Any]:
    rows = []
    for i in range(60):
        label = "up" if i % 2 else "down"
        for step in range(5):
            rows.append((i, step, RNG.normal(), (7.5 if i % 2 else 2.25) if mark else i % 3, label))
    frame = pd.DataFrame(rows, columns=["id", "t", "value", "kind", "label"])
    frame.to_csv(folder / "s.csv", index=False)
    return {"format": "series", "train_file": "s.csv", "series_id": "id", "time": "t", "sensitive": {}}


def test_a_channel_that_holds_the_label_is_refused(tmp_path: Path) -> None:
    changes = series_file(tmp_path, mark=True)
    message = refused(tmp_path, BASE, **changes)
    assert (
        "s.csv: channel 'kind' has one value in each of the 40 training series and gives the target 'label' away, the "
        "first is s.csv:0\n  fix: data.exclude=[kind] for a table; take the channel out of a .ts file"
    ) in message
    assert read(tmp_path, BASE, **changes, exclude=("kind",)).card.inputs.channels == ("value",)


def test_a_channel_that_never_changes_but_knows_nothing_stays(tmp_path: Path) -> None:
    assert read(tmp_path, BASE, **series_file(tmp_path, mark=False)).card.inputs.channels == ("value", "kind")
