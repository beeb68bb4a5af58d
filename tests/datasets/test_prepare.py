"""What prepare promises: splits by seed, statistics of train alone, sensitive columns held back."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.core.contracts import TableInputs
from pipeline.core.data_settings import AuditSettings, DataSettings
from pipeline.datasets import Prepared, load_split, prepare_dataset, write_split
from pipeline.datasets.audit import bin_labels, binned
from pipeline.datasets.table_encoding import quantile_edges

SLICES = {"ink_amount": AuditSettings(property="mean_intensity", quantiles=3)}


def digits(seed: int = 7) -> Prepared:
    return prepare_dataset(DataSettings(name="digits", format="digits", sensitive={}, slices=SLICES), seed)


def table(tmp_path: Path, rows: int = 300, **changes: object) -> Prepared:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, rows).astype(str),
            "pay": np.where(rng.random(rows) < 0.1, "?", rng.normal(9, 2, rows).round(3).astype(str)),
            "job": rng.choice(["smith", "clerk", "?"], rows, p=[0.5, 0.4, 0.1]),
            "town": np.where(np.arange(rows) % 90 == 1, "Rare", "Big"),
            "flat": "same",
            "sex": rng.choice(["F", "M"], rows),
            "label": rng.choice(["no", "yes"], rows),
        }
    )
    frame.to_csv(tmp_path / "rows.csv", index=False)
    settings = {
        "name": "t",
        "format": "csv",
        "path": str(tmp_path),
        "train_file": "rows.csv",
        "target": "label",
        "sensitive": {"sex": AuditSettings(column="sex"), "band": AuditSettings(column="age", edges=(30, 50))},
        "slices": {},
    }
    return prepare_dataset(DataSettings(**(settings | changes)), 7)  # type: ignore[arg-type]


def test_splits_are_disjoint_complete_and_stratified() -> None:
    prepared = digits()
    ids = [set(s.rows["row_id"]) for s in prepared.splits.values()]
    assert sum(map(len, ids)) == len(set.union(*ids)) == 1797
    assert list(prepared.splits) == ["train", "val", "test"]
    for counts in zip(*prepared.card.class_rows.values(), strict=True):
        assert counts[0] == pytest.approx(sum(counts) * 0.68, abs=2)


def test_the_seed_decides_the_split_and_nothing_else_does() -> None:
    first, again, other = digits(), digits(), digits(8)
    assert list(first.splits["test"].rows["row_id"]) == list(again.splits["test"].rows["row_id"])
    assert list(first.splits["test"].rows["row_id"]) != list(other.splits["test"].rows["row_id"])
    assert first.card.source_digest == other.card.source_digest


def test_image_statistics_are_of_the_training_rows() -> None:
    prepared = digits()
    train = prepared.splits["train"].x / 255
    assert prepared.card.inputs.kind == "image"
    assert prepared.card.inputs.mean == pytest.approx((train.mean(),), abs=1e-5)
    assert prepared.card.inputs.std == pytest.approx((train.std(),), abs=1e-5)


def test_slices_have_equal_size_on_train() -> None:
    groups = digits().splits["train"].rows["audit.ink_amount"].value_counts()
    assert set(groups.index) == {"low", "medium", "high"}
    assert groups.max() - groups.min() < 40


def test_splits_come_back_as_written(tmp_path: Path) -> None:
    split = digits().splits["val"]
    write_split(tmp_path, "val", split)
    read = load_split(tmp_path, "val")
    assert np.array_equal(read.x, split.x)
    assert np.array_equal(read.y, split.y)
    assert read.rows.equals(split.rows)


def test_a_table_holds_back_sensitive_columns_and_tells_what_it_did(tmp_path: Path) -> None:
    prepared = table(tmp_path)
    inputs = prepared.card.inputs
    assert isinstance(inputs, TableInputs)
    assert [c.name for c in inputs.columns] == ["pay", "job", "town"]
    notes = "\n".join(prepared.card.notes)
    assert "sensitive columns are not inputs: age, sex" in notes
    assert "column 'flat' is constant in training and left out" in notes
    assert "missing training values are filled with" in notes
    pay = inputs.columns[0]
    assert pay.kind == "numeric"
    assert pay.missing
    assert prepared.splits["train"].x.shape == (inputs_rows(prepared), inputs.places)


def inputs_rows(prepared: Prepared) -> int:
    return prepared.card.rows["train"]


def test_declared_sensitive_inputs_stay_inputs(tmp_path: Path) -> None:
    prepared = table(tmp_path, sensitive_inputs=("sex",))
    assert isinstance(prepared.card.inputs, TableInputs)
    assert "sex" in [c.name for c in prepared.card.inputs.columns]


def test_table_statistics_are_of_the_training_rows(tmp_path: Path) -> None:
    prepared = table(tmp_path)
    raw = pd.to_numeric(prepared.splits["train"].rows["raw.pay"], errors="coerce")
    pay = prepared.card.inputs.columns[0]  # type: ignore[union-attr]
    assert pay.median == pytest.approx(raw.median())
    assert pay.edges[0] == pytest.approx(raw.min(), abs=1e-5)
    assert pay.edges[-1] == pytest.approx(raw.max(), abs=1e-5)
    x = prepared.splits["train"].x
    assert x[raw.isna().to_numpy(), 0] == pytest.approx(pay.median, abs=1e-5)
    assert np.array_equal(x[:, 3] == 1, raw.isna().to_numpy())


def test_bands_have_their_edges_in_the_upper_group(tmp_path: Path) -> None:
    rows = table(tmp_path).splits["test"].rows
    ages = rows["raw.age"].astype(int)
    assert set(rows["audit.band"][ages < 30]) == {"< 30"}
    assert set(rows["audit.band"][(ages >= 30) & (ages < 50)]) == {"30 to < 50"}
    assert set(rows["audit.band"][ages >= 50]) == {">= 50"}


def test_missing_values_are_a_group_of_their_own() -> None:
    labels = bin_labels([1.0])
    assert list(binned(np.array([0.0, 1.0, np.nan]), [1.0], labels)) == ["< 1", ">= 1", "(missing)"]


def test_edges_are_increasing_and_span_the_values_also_with_spikes() -> None:
    values = np.concatenate([np.zeros(900), np.arange(100)]).astype(float)
    edges = quantile_edges(values, 16)
    assert edges[0] == 0
    assert edges[-1] == 99
    assert list(edges) == sorted(set(edges))
    assert 8 <= len(edges) <= 17
