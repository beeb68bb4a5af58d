"""Any small table comes through prepare with every value and missing mark, in every format it may be written in."""

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from pipeline.core.contracts import CategoricalColumn, NumericColumn, TableInputs
from pipeline.core.data_settings import DataSettings
from pipeline.datasets import Prepared, load_split, prepare_dataset, write_split

MARKS = ("", "?", "NA")
LABELS = ["no", "yes", "maybe"]
Row = dict[str, str | None]


def no_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return True
    return False


SIGNS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
WORDS = st.sampled_from(
    ["café", "a,b", 'say "hi"', "two\nlines", "tab\there", "'", "=1+1", "<b>", "1_0x", "None", "NaN", "🙂", "1e5x",
     "\u202eevil", "x\x85y", "x\u2028y", "\\n", 'ends with "', "# no comment", " padded "]
)  # fmt: skip
NUMBERS = st.one_of(
    st.integers(-(2**62), 2**62).map(str),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr),
    st.sampled_from(["0", "-0.0", "1e-320", "3.4e38", "007", "+3", ".5", "1E3", " 12 "]),
)
CELLS = {"word": WORDS, "text": st.text(SIGNS, max_size=12).filter(no_number), "number": NUMBERS}


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    """Rows of different content, every label in a good many of them."""
    size = draw(st.integers(30, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows: list[Row] = [{"row": f"r{i}", "label": LABELS[i % 3], "steady": str(i % 7)} for i in range(size)]
    for name, cells in CELLS.items():
        few = draw(st.lists(st.one_of(cells, st.sampled_from(MARKS)), min_size=2, max_size=6))
        for row in rows:
            row[name] = few[rng.integers(len(few))]
    return rows


def expected(row: Row) -> Row:
    """Return a row as prepare promises it: without space at the ends, None where a mark says missing."""
    stripped = {name: (cell or "").strip() for name, cell in row.items()}
    return {name: None if cell in MARKS else cell for name, cell in stripped.items()}


def write(path: Path, rows: list[Row]) -> None:
    names = list(rows[0])
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row, ensure_ascii=len(rows) % 2 == 0) for row in rows), newline="")
    elif path.suffix == ".parquet":
        pd.DataFrame(rows, dtype=object).to_parquet(path)
    else:
        with path.open("w", newline="") as out:
            writer = csv.writer(out, delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writerows([names, *([row[name] for name in names] for row in rows)])


def prepared_by(name: str, rows: list[Row], **changes: Any) -> Prepared:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / name, rows)
        settings = DataSettings(
            name="t", format="csv", path=folder, train_file=name, target="label", exclude=("row",), missing=MARKS,
            min_category_rows=2, duplicates="keep", sensitive={}, slices={}, **changes,
        )  # fmt: skip
        return prepare_dataset(settings, 7)


def raw(prepared: Prepared) -> dict[str, Row]:
    """Return the rows of all splits by their name; each stands in one split alone."""
    frames = [split.rows for split in prepared.splits.values()]
    whole = pd.concat(frames).filter(like="raw.").rename(columns=lambda c: c.removeprefix("raw."))
    assert whole["row"].is_unique
    return {str(row["row"]): row for row in whole.to_dict("records")}


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
@limits(max_examples=10, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(rows=tables())
def test_every_value_and_missing_mark_survives(name: str, rows: list[Row]) -> None:
    prepared = prepared_by(name, rows)
    found = raw(prepared)
    assert found == {str(row["row"]): expected(row) for row in rows}
    assert sum(prepared.card.rows.values()) == len(rows)
    check_packed(prepared)


def check_packed(prepared: Prepared) -> None:
    """Packed numbers are the cells as float32, with the median and a flag where missing; codes are the categories."""
    inputs = prepared.card.inputs
    assert isinstance(inputs, TableInputs)
    flagged = [c.name for c in inputs.columns if isinstance(c, NumericColumn) and c.missing]
    for split in prepared.splits.values():
        assert split.x.dtype == np.float32
        assert split.x.shape[1] == len(inputs.columns) + len(flagged)
        for place, column in enumerate(inputs.columns):
            cells = split.rows[f"raw.{column.name}"]
            if isinstance(column, CategoricalColumn):
                codes = {name: i + 1 for i, name in enumerate(column.categories)}
                wanted = [codes.get("(missing)" if cell is None else cell, 0) for cell in cells]
                assert split.x[:, place].tolist() == wanted
                continue
            gone = np.array([cell is None for cell in cells])
            numbers = [column.median if cell is None else float(cell) for cell in cells]
            assert np.array_equal(split.x[:, place], np.array(numbers).astype(np.float32))
            if column.name in flagged:
                assert np.array_equal(split.x[:, len(inputs.columns) + flagged.index(column.name)] == 1, gone)


@limits(max_examples=5, suppress_health_check=[HealthCheck.too_slow])
@given(rows=tables())
def test_rows_read_back_from_disk_are_the_same(rows: list[Row]) -> None:
    prepared = prepared_by("a.csv", rows)
    with tempfile.TemporaryDirectory() as folder:
        for name, split in prepared.splits.items():
            write_split(Path(folder), name, split)
            again = load_split(Path(folder), name)
            assert np.array_equal(again.x, split.x)
            assert again.rows.astype(object).where(again.rows.notna(), None).equals(split.rows.astype(object))
