"""Files of series to forecast: their order, gaps and repetitions are told or refused, with count and place."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError, PipelineError
from pipeline.datasets.forecast_tables import OneSeries, read_long, read_wide

START = np.datetime64("2024-01-01T00", "h")


def settings(**changes: Any) -> DataSettings:
    given: dict[str, Any] = {"name": "load", "format": "forecast", "target": "load", "time": "hour", "horizon": 2,
                             "train_file": "a.csv", "sensitive": {}, "slices": {}}  # fmt: skip
    return DataSettings(**(given | changes))


def hours(n: int = 40) -> list[str]:
    return [str(START + i) for i in range(n)]


def lines(n: int = 40) -> list[str]:
    return [f"{hour},{i},{i % 5}" for i, hour in enumerate(hours(n))]


def read(
    folder: Path, rows: list[str], header: str = "hour,load,heat", **changes: Any
) -> tuple[list[OneSeries], list[str]]:
    (folder / "a.csv").write_text("\n".join([header, *rows]) + "\n")
    return read_long(folder / "a.csv", settings(**changes))


def refused(folder: Path, rows: list[str], **changes: Any) -> str:
    with pytest.raises(PipelineError) as caught:
        read(folder, rows, **changes)
    assert caught.value.fix
    return str(caught.value)


def test_a_long_table_is_one_series_of_the_named_channels(tmp_path: Path) -> None:
    (one,), notes = read(tmp_path, lines(), channels=("heat",))
    assert one.name == "load"
    assert one.values.tolist() == [list(range(40)), [i % 5 for i in range(40)]]
    assert one.steps == hours()
    assert notes == []


@limits(max_examples=20)
@given(order=st.permutations(range(30)))
def test_lines_out_of_order_are_sorted_and_counted(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    folder = tmp_path_factory.mktemp("unsorted")
    (one,), notes = read(folder, [lines(30)[i] for i in order])
    assert one.values[0].tolist() == list(range(30))
    assert one.steps == hours(30)
    late = sum(b < a for a, b in pairwise(order))
    told = f"{folder}/a.csv: series 'load': {late} lines are out of order and were sorted by 'hour'"
    assert notes == ([told] if late else [])


def test_a_moment_twice_is_refused_with_count_and_place(tmp_path: Path) -> None:
    rows = lines()
    message = refused(tmp_path, [*rows[:10], rows[3], rows[3], *rows[10:]])
    assert message == (
        f"{tmp_path}/a.csv: series 'load': 2 moments stand there twice, the first in data row 11\n"
        "  fix: keep one line per moment, or name data.series_id"
    )


def test_gaps_are_refused_with_count_and_place(tmp_path: Path) -> None:
    rows = lines()
    message = refused(tmp_path, [*rows[:10], *rows[13:20], *rows[21:]])
    assert message == (
        f"{tmp_path}/a.csv: series 'load': 2 gaps, 4 steps in all; the first after data row 10\n"
        "  fix: complete the file, or data.gaps=fill: those steps count as missing"
    )


def test_declared_gaps_are_missing_values_and_counted(tmp_path: Path) -> None:
    rows = lines()
    (one,), notes = read(tmp_path, [*rows[:10], *rows[13:20], *rows[21:]], gaps="fill")
    gone = [10, 11, 12, 20]
    assert np.flatnonzero(np.isnan(one.values[0])).tolist() == gone
    assert [i for i, step in enumerate(one.steps) if step == "(filled)"] == gone
    kept = np.delete(np.arange(40), gone)
    assert one.values[0][kept].tolist() == kept.tolist()
    told = "2 gaps, 4 steps in all; the first after data row 10; they count as missing (data.gaps=fill)"
    assert notes == [f"{tmp_path}/a.csv: series 'load': {told}"]


def test_too_many_gaps_cannot_be_declared(tmp_path: Path) -> None:
    rows = lines(60)
    assert "too many to fill" in refused(tmp_path, [*rows[:20], *rows[40:]], gaps="fill")


def test_months_are_no_gaps(tmp_path: Path) -> None:
    months = [f"{m}-01,{i},0" for i, m in enumerate(np.arange("2020-01", "2024-01", dtype="datetime64[M]"))]
    (one,), notes = read(tmp_path, months)
    assert one.values.shape == (1, 48)
    assert notes == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*lines()[:5], "2024-01-01T05,much,1", *lines()[6:]], "a.csv, line 7: 'load' is no number: 'much'"),
        ([*lines()[:5], "soon,5,1", *lines()[6:]], "1 cells of 'hour' are no moments, the first is 'soon'"),
        ([*lines()[:5], ",5,1", *lines()[6:]], "1 cells of 'hour' are no moments"),
    ],
)
def test_a_wrong_cell_is_refused_with_its_place(tmp_path: Path, rows: list[str], message: str) -> None:
    assert message in refused(tmp_path, rows)


def test_missing_values_stay_missing(tmp_path: Path) -> None:
    rows = lines()
    (one,), _ = read(tmp_path, [*rows[:5], f"{hours()[5]},?,1", f"{hours()[6]},,NA", *rows[7:]], channels=("heat",))
    assert np.argwhere(np.isnan(one.values)).tolist() == [[0, 5], [0, 6], [1, 6]]
    assert "(filled)" not in one.steps


def test_lines_without_any_value_shift_no_steps(tmp_path: Path) -> None:
    rows = ["1,2", "3,4", ",", "5,6"]
    assert refused(tmp_path, rows, header="load,heat", time=None) == (
        f"{tmp_path}/a.csv: a.csv: 1 lines of empty cells are no rows, the first is line 4\n"
        "  fix: write NA for missing values, or name the time column (data.time)"
    )
    (one,), _ = read(tmp_path, ["1", '""', "3"], header="load", time=None)
    assert np.array_equal(one.values, [[1, np.nan, 3]], equal_nan=True)
    (one,), notes = read(tmp_path, [*lines()[:9], ",,", *lines()[9:]])
    assert one.values.shape == (1, 40)
    assert notes == ["a.csv: 1 lines of empty cells are no rows, the first is line 11"]


def two(n: int = 30) -> list[str]:
    """Two series, their lines mixed, the second later by a day and in another step."""
    north = [f"north,{START + i},{i}" for i in range(n)]
    south = [f"south,{START + 24 + 3 * i},{100 + i}" for i in range(n)]
    return [line for both in zip(south, north, strict=True) for line in both]


def test_several_series_are_told_apart_by_their_id(tmp_path: Path) -> None:
    found, notes = read(tmp_path, two(), header="region,hour,load", series_id="region")
    assert [one.name for one in found] == ["north", "south"]
    assert found[0].values[0].tolist() == list(range(30))
    assert found[1].values[0].tolist() == list(range(100, 130))
    assert notes == []


def test_each_series_is_checked_on_its_own(tmp_path: Path) -> None:
    rows = [row for row in two() if row != f"north,{START + 7},7"]
    message = refused(tmp_path, rows, header="region,hour,load", series_id="region")
    assert "series 'north': 1 gaps, 1 steps in all; the first after data row 14" in message
    anonymous = [rows[0].replace("south", ""), *rows[1:]]
    assert "a.csv, line 2: no 'region' (data.series_id)" in refused(
        tmp_path, anonymous, header="region,hour,load", series_id="region"
    )


def test_many_notes_of_one_kind_are_cut_short(tmp_path: Path) -> None:
    rows = [f"r{s},{START + i},{i}" for s in range(9) for i in (1, 0, *range(2, 9))]
    _, notes = read(tmp_path, rows, header="region,hour,load", series_id="region")
    assert len(notes) == 6
    assert notes[-1] == "the same holds for 4 more series"


def test_a_column_in_two_roles_and_an_unknown_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="column 'load' stands in two of target, channels and known"):
        read(tmp_path, lines(), channels=("load",))
    assert "no column 'wind'" in refused(tmp_path, lines(), channels=("wind",))


def wide(folder: Path, test: bool = True) -> dict[str, Path]:
    paths = {"train": folder / "train.csv", "test": folder / "test.csv"}
    paths["train"].write_text("id,V1,V2,V3,V4\nH1,1,2,3,4\nH2,5,6,,\nH3,7,,9,10\n")
    paths["test"].write_text("id,V1,V2\nH3,11,12\nH1,5,6\nH2,7,8\n")
    return paths if test else {"train": paths["train"]}


def test_a_wide_file_continues_in_its_test_file_by_id(tmp_path: Path) -> None:
    found, notes = read_wide(wide(tmp_path), settings(time=None, series_layout="wide", target=None))
    assert [(one.name, one.given) for one in found] == [("H1", 2), ("H2", 2), ("H3", 2)]
    assert found[0].values.tolist() == [[1, 2, 3, 4, 5, 6]]
    assert found[1].values.tolist() == [[5, 6, 7, 8]]
    assert np.array_equal(found[2].values, [[7, np.nan, 9, 10, 11, 12]], equal_nan=True)
    assert found[2].steps == ["1", "2", "3", "4", "5", "6"]
    assert notes == []


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("test", "id,V1\nH1,1\nH2,2\n", "test.csv: series 'H3' is not in both files"),
        ("train", "id,V1\nH1,1\nH1,2\n", "train.csv: series 'H1' stands in two lines"),
        ("train", "id,V1\nH1,x\nH2,2\n", "'V1' is no number: 'x'"),
    ],
)
def test_a_wrong_wide_file_is_refused(tmp_path: Path, file: str, text: str, message: str) -> None:
    paths = wide(tmp_path)
    paths[file].write_text(text)
    with pytest.raises(DataError) as caught:
        read_wide(paths, settings(time=None, series_layout="wide", target=None))
    assert message in caught.value.message
    assert caught.value.fix


def test_any_format_of_a_long_table_gives_the_same_series(tmp_path: Path) -> None:
    (from_csv,), _ = read(tmp_path, lines())
    frame = pd.read_csv(tmp_path / "a.csv")
    frame.to_parquet(tmp_path / "a.parquet")
    (from_parquet,), _ = read_long(tmp_path / "a.parquet", settings())
    assert from_parquet.values.tolist() == from_csv.values.tolist()
    assert from_parquet.steps == from_csv.steps
