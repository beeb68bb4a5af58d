"""How number columns get their bins and atoms, from training rows alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.core.contracts import NumericColumn, TableInputs, Task
from pipeline.core.data_settings import DataSettings
from pipeline.core.strict import plain, read
from pipeline.datasets import Prepared, prepare_dataset
from pipeline.datasets.table_encoding import frequent_values, quantile_edges, usual_bins


@pytest.mark.parametrize(
    ("rows", "task", "bins"),
    [
        (1_999, "regression", 16),
        (2_000, "binary", 128),
        (2_000, "regression", 256),
        (49_999, "multilabel", 128),
        (50_000, "multiclass", 256),
    ],
)
def test_more_rows_pay_for_more_bins(rows: int, task: Task, bins: int) -> None:
    assert usual_bins(rows, task) == bins


def test_few_values_are_their_own_edges() -> None:
    assert quantile_edges(np.array([3.0, 1.0, 1.0, 7.0]), 16) == (1.0, 3.0, 7.0)
    assert quantile_edges(np.arange(17.0), 16) == tuple(np.arange(17.0))
    assert len(quantile_edges(np.arange(18.0), 16)) <= 17


def test_atoms_are_the_frequent_values_of_columns_with_a_spike() -> None:
    spread = np.arange(100.0) + 0.5
    spike = np.concatenate([np.zeros(30), np.full(20, 7.0), np.full(14, 9.0), spread])
    assert frequent_values(spike, len(spike)) == ()  # 30 of 164 is less than a fifth
    assert frequent_values(spike[:150], 150) == (0.0, 7.0)  # 30 of 150; 9 has fewer than 15 rows
    assert frequent_values(spike[:150], 151) == ()  # missing values are rows too


def test_atoms_need_one_row_in_two_thousand_and_are_at_most_128() -> None:
    many = np.concatenate([np.zeros(40_000), np.full(20, 1.0), np.full(25, 2.0), np.arange(9_955) + 10.5])
    assert frequent_values(many, 50_000) == (0.0, 2.0)
    crowded = np.concatenate(
        [np.zeros(2_000), np.repeat(np.arange(1.0, 201.0), 20), np.repeat(np.arange(150.0, 201.0), 9)]
    )
    found = frequent_values(crowded, len(crowded))
    assert len(found) == 128
    assert found[0] == 0.0
    assert set(range(150, 201)) <= set(found)


def prepared(folder: Path, **changes: object) -> Prepared:
    rng = np.random.default_rng(0)
    gain = np.where(rng.random(400) < 0.7, 0.0, rng.normal(50, 9, 400).round(2))
    pay = np.where(rng.random(400) < 0.4, 0.1, 0.3)
    pd.DataFrame({"gain": gain, "pay": pay, "label": rng.choice(["no", "yes"], 400)}).to_csv(
        folder / "rows.csv", index=False
    )
    given = {"name": "t", "format": "csv", "path": str(folder), "train_file": "rows.csv", "target": "label"}
    return prepare_dataset(DataSettings(**(given | {"sensitive": {}, "slices": {}} | changes)), 7)  # type: ignore[arg-type]


def test_atoms_are_as_packed_so_that_equal_cells_are_equal_numbers(tmp_path: Path) -> None:
    found = prepared(tmp_path, duplicates="keep")
    inputs, x = found.card.inputs, found.splits["train"].x
    assert isinstance(inputs, TableInputs)
    gain, pay = inputs.columns
    assert isinstance(gain, NumericColumn)
    assert isinstance(pay, NumericColumn)
    assert gain.atoms == (0.0,)
    assert set(pay.atoms) == set(np.unique(x[:, 1]).tolist())
    assert inputs.rows == len(x) == found.card.rows["train"]


def test_declared_bins_win(tmp_path: Path) -> None:
    inputs = prepared(tmp_path, duplicates="keep", bins=5).card.inputs
    assert isinstance(inputs, TableInputs)
    assert isinstance(inputs.columns[0], NumericColumn)
    assert len(inputs.columns[0].edges) <= 6


def test_records_from_before_atoms_are_readable() -> None:
    column = {"kind": "numeric", "name": "a", "edges": [0.0, 1.0], "median": 0.5, "missing": False}
    inputs = read(TableInputs, {"kind": "table", "columns": [column]}, "inputs")
    assert inputs == TableInputs(columns=(NumericColumn(name="a", edges=(0.0, 1.0), median=0.5, missing=False),))
    assert read(TableInputs, plain(inputs), "inputs") == inputs
