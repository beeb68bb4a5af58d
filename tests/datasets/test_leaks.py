"""Checks of a table: what gives the target away, names rows or dates, and what only looks so."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from pipeline.core.data_settings import DataSettings
from pipeline.datasets.leaks import equal_to_target, id_like, imbalance_note, infinite_cells, time_like
from pipeline.datasets.rows import read_rows
from tests.conftest import ROOT

SETS = ROOT.parent / "shared" / "data"
N = 400
RNG = np.random.default_rng(3)
LOAN = RNG.integers(0, 2, N)
DAYS = np.datetime64("2019-03-01") + RNG.integers(0, 900, N).astype("timedelta64[D]")
INCOME = RNG.normal(3000, 700, N).round(2)


def frame(**columns: Any) -> pd.DataFrame:
    table = pd.DataFrame({name: list(cells) for name, cells in columns.items()}, dtype=object)
    table = table.map(lambda cell: None if pd.isna(cell) else str(cell))
    return table.set_axis([f"a.csv:{i + 1}" for i in range(len(table))], axis=0)


def others(table: pd.DataFrame, target: str) -> list[str]:
    return [c for c in table.columns if c != target]


def test_columns_that_give_the_class_away_are_named() -> None:
    words = np.where(LOAN, "paid", "default")
    table = frame(
        target=words,
        copy=words,
        code=LOAN,
        holes=[word if i % 3 else None for i, word in enumerate(words)],
        grade=[f"{'AB'[y]}{i % 7}" for i, y in enumerate(LOAN)],
        written_off_in=[None if y else f"2020-{1 + i % 12:02}" for i, y in enumerate(LOAN)],
        income=INCOME,
        town=RNG.choice(["Ulm", "Kiel", "Bonn"], N),
        nearly=[*LOAN[:-1], 1 - LOAN[-1]],
        name=[f"client {i}" for i in range(N)],
        constant=["EUR"] * N,
        empty=[None] * N,
    )
    found = equal_to_target(table, "target", others(table, "target"))
    assert found == ["copy", "code", "holes", "grade", "written_off_in"]


def test_a_rare_class_is_not_given_away_by_chance() -> None:
    rare = ["yes"] + ["no"] * (N - 1)
    table = frame(target=rare, town=[f"hamlet {i}" if i < 150 else f"town {i % 20}" for i in range(N)])
    assert equal_to_target(table, "target", ["town"]) == []


def test_numbers_in_the_same_order_as_the_target_give_it_away() -> None:
    table = frame(
        price=INCOME, cents=INCOME * 100, debt=-(INCOME**3), noisy=INCOME + RNG.normal(0, 60, N), number=range(N),
        partly=[v * 2 if i % 4 else None for i, v in enumerate(INCOME)], town=RNG.choice(["Ulm", "Kiel"], N),
    )  # fmt: skip
    assert equal_to_target(table, "price", others(table, "price")) == ["cents", "debt", "partly"]


def test_a_target_of_one_value_has_nothing_to_give_away() -> None:
    assert equal_to_target(frame(target=["a"] * 9, copy=["a"] * 9), "target", ["copy"]) == []


@limits(max_examples=60)
@given(rows=st.lists(st.integers(0, 3), min_size=6, max_size=40), names=st.permutations(list("wxyz")))
def test_renamed_classes_are_always_found(rows: list[int], names: list[str]) -> None:
    table = frame(target=rows, code=[names[i] for i in rows])
    assert equal_to_target(table, "target", ["code"]) == (["code"] if len(set(rows)) > 1 else [])


@limits(max_examples=60)
@given(seed=st.integers(0, 10_000), kinds=st.integers(2, 30))
def test_columns_that_know_nothing_are_never_named(seed: int, kinds: int) -> None:
    rng = np.random.default_rng(seed)
    table = frame(target=rng.integers(0, 2, 120), value=rng.integers(0, kinds, 120), number=rng.normal(size=120))
    assert equal_to_target(table, "target", ["value", "number"]) == []


def test_columns_with_another_value_in_each_row_are_named() -> None:
    table = frame(
        number=range(1000, 1000 + N), code=[f"K-{i:05}" for i in range(N)], whole=[f"{i}.0" for i in range(N)],
        income=RNG.normal(size=N), mixed=[i if i % 2 else i + 0.5 for i in range(N)],
        broken=["inf", *(i + 0.25 for i in range(1, N))], holes=[None, *range(1, N)], town=["Ulm", "Kiel"] * (N // 2),
    )  # fmt: skip
    assert id_like(table, list(table.columns)) == ["number", "code", "whole"]
    assert id_like(table.iloc[:49], ["number"]) == []
    assert id_like(table.iloc[:50], ["number"]) == ["number"]


@pytest.mark.parametrize(
    ("counts", "note"),
    [
        ({"no": 1000, "yes": 99}, "classes are out of balance: 'no' has 1,000 training rows, 10 times the 99 of 'yes'"),
        ({"no": 90, "yes": 0}, "classes are out of balance: 'no' has 90 training rows, against the 0 of 'yes'"),
        ({"no": 1000, "yes": 100}, None),
        ({}, None),
    ],
)
def test_classes_out_of_balance_are_told(counts: dict[str, int], note: str | None) -> None:
    found = imbalance_note(counts)
    assert found == (None if note is None else f"{note}; accuracy alone says little")


@pytest.mark.parametrize(
    "form",
    ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M", "%d.%m.%Y", "%m/%d/%Y %H:%M", "%d/%m/%y", "%Y/%m/%d",
     "%d-%b-%Y", "%B %d, %Y", "%d %b %Y", "%b %Y", "%a %b %d %H:%M:%S %Y", "%Y-%m"],
)  # fmt: skip
def test_dates_are_known_in_the_usual_ways_of_writing(form: str) -> None:
    cells = [day.astype(object).strftime(form) for day in DAYS]
    cells[::50] = ["unknown"] * len(cells[::50])
    assert time_like(frame(seen=[None, None, *cells[2:]]), ["seen"]) == ["seen"]


def test_what_only_looks_like_a_date_is_none() -> None:
    table = frame(
        age=RNG.choice(["10-20", "20-30", "30-40"], N), phone=[f"555-{1000 + i}" for i in range(N)],
        version=[f"{i % 3}.{i % 7}" for i in range(N)], price=[f"{i},50" for i in range(N)], income=INCOME,
        month=RNG.choice(["may", "june"], N), size=[f"{i % 40}/{i % 30 + 31}" for i in range(N)],
        serial=[20200101 + i for i in range(N)], word=["now", "today"] * (N // 2), empty=[None] * N,
        half=[day if i % 2 else "open" for i, day in enumerate(DAYS)], clock=[f"{i % 24:02}:30" for i in range(N)],
    )  # fmt: skip
    assert time_like(table, list(table.columns)) == []


def test_years_count_only_where_the_name_says_so() -> None:
    years = RNG.integers(1950, 2020, N)
    table = frame(year_built=years, Date=years, parts=years, lifetime=years * 3, year_share=years + 0.5)
    assert time_like(table, list(table.columns)) == ["year_built", "Date"]


def test_cells_that_are_no_finite_numbers_are_counted_with_their_place() -> None:
    table = frame(a=[1, "inf", 3, "-INF"], b=[1.5, None, "1e999", 2], c=["nan", "x", "y", "1"], d=[1, 2, 3, None],
                  e=["nan", "inf", "nan", None])  # fmt: skip
    table.loc["a.csv:4", "b"] = "NaN"
    assert infinite_cells(table, list(table.columns)) == [
        "column 'a': 2 cells are no finite numbers of 32 bits, the first 'inf' at a.csv:2",
        "column 'b': 2 cells are no finite numbers of 32 bits, the first '1e999' at a.csv:3",
    ]


@pytest.mark.parametrize(
    ("file", "target", "found"),
    [
        ("titanic/train.csv", "Survived", {"ids": ["PassengerId", "Name"]}),
        ("student/student_por_new.csv", "class", {}),
        ("california_housing/housing.csv.gz", "median_house_value", {}),
        ("ett/ETTh1.csv", "OT", {"times": ["date"]}),
        ("compas/compas-scores-two-years_nonames.csv.gz", "decile_score",
         {"leaks": ["decile_score.1"], "ids": ["id"], "times": ["c_jail_in", "c_offense_date", "in_custody"]}),
    ],
)  # fmt: skip
def test_real_tables(file: str, target: str, found: dict[str, list[str]]) -> None:
    if not (SETS / file).is_file():
        pytest.skip(f"{SETS / file} is not there")
    rows = read_rows(SETS / file, DataSettings(name="x", format="csv", target=target, sensitive={}, slices={}))
    columns = others(rows, target)
    assert equal_to_target(rows, target, columns) == found.get("leaks", [])
    assert id_like(rows, columns) == found.get("ids", [])
    assert set(found.get("times", [])) <= set(time_like(rows, columns))
    assert bool(found.get("times")) == bool(time_like(rows, columns))
    assert infinite_cells(rows, columns) == []
