"""Series of wide tables, a line each: their end, their names, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.core.errors import DataError, PipelineError
from pipeline.datasets.series import read_series
from tests.datasets.test_series_tables import read, settings


def test_wide_lines_end_where_the_missing_cells_begin(tmp_path: Path) -> None:
    text = "state,s1,s2,s3,s4\nx,1,2,3,4\ny,5,,7,\nx,8,?,?,?\n"
    found = read(tmp_path / "a.csv", text)
    assert [s.shape for s in found.series] == [(1, 4), (1, 3), (1, 1)]
    assert np.array_equal(found.series[1], [[5, np.nan, 7]], equal_nan=True)
    assert (found.labels, found.ids) == (["x", "y", "x"], ["a.csv:1", "a.csv:2", "a.csv:3"])
    assert found.channels == ("value",)
    assert found.notes == (
        "a.csv: 1 values inside of series are missing",
        "a.csv: 2 series end before the last of 4 columns",
    )


def test_wide_steps_and_ids_may_be_named(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", "id,state,a,b,c\nu,x,1,2,3\nv,y,4,5,6\n", series_id="id", channels=("c", "a"))
    assert found.ids == ["a.csv:u", "a.csv:v"]
    assert [s.tolist() for s in found.series] == [[[3.0, 1.0]], [[6.0, 4.0]]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,1,2\ny,3,often\n", "{path}, line 3, column 's2': 'often' is not a finite number"),
        ("x,1,2\ny,,\n", "{path}, line 3: a series without values"),
        (",1,2\n", "{path}, line 2: no label in 'state' (1 such lines)"),
    ],
)
def test_a_wrong_wide_table_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.csv"
    with pytest.raises(DataError) as caught:
        read(path, "state,s1,s2\n" + text)
    assert caught.value.message == message.format(path=path)


def test_a_wide_name_must_be_one_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv, line 4: series 'u' stands there already"):
        read(tmp_path / "a.csv", "id,state,a\nu,x,1\nv,y,4\nu,x,2\n", series_id="id")


@pytest.mark.parametrize(("name", "where"), [("a.jsonl", "line 4"), ("a.parquet", "row 3")])
def test_places_in_files_of_other_formats(tmp_path: Path, name: str, where: str) -> None:
    path = tmp_path / name
    rows = [f'{{"state": "x", "s1": {v}}}' for v in ("1", "2", '"?!"')]
    if name == "a.jsonl":
        path.write_text("\n\n".join([rows[0], "\n".join(rows[1:])]))
    else:
        pd.DataFrame({"state": ["x"] * 3, "s1": ["1", "2", "?!"]}).to_parquet(path)
    with pytest.raises(PipelineError) as caught:
        read_series(path, settings(path))
    assert str(caught.value).startswith(f"{path}, {where}, column 's1': '?!' is not a finite number")
