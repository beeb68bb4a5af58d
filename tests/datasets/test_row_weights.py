"""A column of weights: it reaches every split with its rows, is no input, and wrong ones are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.core.contracts import SeriesInputs, TableInputs
from pipeline.core.data_settings import AuditSettings, DataSettings
from pipeline.core.errors import PipelineError
from pipeline.datasets import Prepared, load_split, prepare_dataset, write_split
from tests.datasets.test_photo_table import table as photo_table


@pytest.fixture(autouse=True)
def work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def table(rows: int = 120) -> pd.DataFrame:
    """Return rows whose weight is settled by their first number."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.permutation(rows), "b": rng.normal(size=rows).round(4)})
    frame["w"] = 0.5 * (frame["a"] % 5)
    frame["y"] = np.where(rng.random(rows) < 0.5, "no", "yes")
    return frame


def read(frame: pd.DataFrame, file: str = "own.csv", **changes: Any) -> Prepared:
    said: dict[str, Any] = {"name": "t", "format": "csv", "path": ".", "train_file": file, "target": "y",
                            "weight": "w", "sensitive": {}, "slices": {}}  # fmt: skip
    frame.to_csv(file, index=False)
    return prepare_dataset(DataSettings(**(said | changes)), 7)


def carried(prepared: Prepared, column: str = "a") -> None:
    """Check the weights of `table` in all splits: those of their rows, 1 on average over the training rows."""
    raw = {s: 0.5 * (split.rows[f"raw.{column}"].astype(int) % 5) for s, split in prepared.splits.items()}
    for split, packed in prepared.splits.items():
        assert packed.weight is not None
        assert packed.weight.dtype == np.float32
        assert packed.weight == pytest.approx(raw[split] / raw["train"].mean())
    assert prepared.splits["train"].weight.mean() == pytest.approx(1.0)  # type: ignore[union-attr]
    assert prepared.card.weight == "w"


def test_a_table_carries_its_weights_to_disk_and_back(tmp_path: Path) -> None:
    prepared = read(table())
    carried(prepared)
    assert isinstance(prepared.card.inputs, TableInputs)
    assert [c.name for c in prepared.card.inputs.columns] == ["a", "b"]
    for name, split in prepared.splits.items():
        write_split(tmp_path, name, split)
        assert np.array_equal(load_split(tmp_path, name).weight, split.weight)  # type: ignore[arg-type]


def test_the_note_says_what_counts_and_what_does_not() -> None:
    prepared = read(table())
    raw = prepared.splits["train"].rows["raw.w"].astype(float)
    worth, none = raw.sum() ** 2 / (raw**2).sum(), int((raw == 0).sum())
    assert (
        f"training rows count by 'w' (data.weight, mean {raw.mean():.6g}), which is no input, {none} of them not at "
        f"all; together they are worth {worth:,.0f} equal rows of {len(raw)} (Kish 1965); scores on validation and "
        "test rows, and their intervals, count every row alike"
    ) in prepared.card.notes


def test_without_a_column_nothing_is_packed(tmp_path: Path) -> None:
    prepared = read(table(), weight=None)
    assert prepared.card.weight is None
    assert all(split.weight is None for split in prepared.splits.values())
    write_split(tmp_path, "val", prepared.splits["val"])
    assert load_split(tmp_path, "val").weight is None
    assert not (tmp_path / "val_weight.npy").exists()


def test_one_weight_for_all_is_none() -> None:
    prepared = read(table().assign(w=0.25))
    assert prepared.card.weight is None
    assert all(split.weight is None for split in prepared.splits.values())
    train = prepared.card.rows["train"]
    told = f"'w' (data.weight) is 0.25 in all {train} training rows: they count the same, as without it; it is no input"
    assert told in prepared.card.notes


def test_weights_are_not_content_of_a_row() -> None:
    """Splits do not depend on them, and a test row that differs in its weight alone is a twin."""
    frame = table()
    first, other = read(frame), read(frame.assign(w=1 + frame["b"].abs()))
    assert [list(s.rows["row_id"]) for s in first.splits.values()] == [
        list(s.rows["row_id"]) for s in other.splits.values()
    ]
    frame.iloc[:5].assign(w=9).to_csv("later.csv", index=False)
    with pytest.raises(PipelineError, match=r"5 of 5 test rows \(100.0%\) also stand among training"):
        read(frame, test_file="later.csv")


def test_one_column_may_weigh_rows_and_group_them() -> None:
    prepared = read(table(), sensitive={"w": AuditSettings(column="w", edges=(0.9,))})
    carried(prepared)
    assert set(prepared.splits["test"].rows["audit.w"]) == {"< 0.9", ">= 0.9"}


def test_numbers_to_predict_have_the_mean_and_deviation_of_what_counts() -> None:
    frame = table().assign(y=lambda f: np.where(f["w"] == 0, 1e6, f["b"]))
    prepared = read(frame, task="regression")
    train = prepared.splits["train"]
    copies = np.repeat(train.y[:, 0], (2 * train.rows["raw.w"].astype(float)).astype(int))
    (target,) = prepared.card.targets
    assert target.mean == pytest.approx(copies.mean())
    assert target.std == pytest.approx(copies.std())


def test_texts_and_tables_of_images_carry_them(tmp_path: Path) -> None:
    frame = table().assign(t=lambda f: "word" + f["a"].astype(str) + " and more")
    carried(read(frame, format="text", text=("t",)))
    photos = photo_table(tmp_path)
    photos["a"] = np.arange(len(photos))
    photos["w"] = 0.5 * (photos["a"] % 5)
    carried(read(photos, format="image_table", image_column="image", target="finding", side=8))


def long_series(series: int = 40, steps: int = 6) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = [(i, t, rng.normal(), 0.5 * (i % 5), "yx"[i % 2]) for i in range(series) for t in range(steps)]
    return pd.DataFrame(rows, columns=["id", "t", "v", "w", "y"])


def test_series_have_one_weight_each() -> None:
    long = read(long_series(), format="series", series_id="id", time="t")
    assert long.card.time is None
    wide = long_series().pivot(index=["id", "w", "y"], columns="t", values="v").add_prefix("s").reset_index()
    for prepared in (long, read(wide, "wide.csv", format="series", series_id="id")):
        assert isinstance(prepared.card.inputs, SeriesInputs)
        assert len(prepared.card.inputs.channels) == 1
        raw = {s: np.array([0.5 * (int(i.rpartition(":")[2]) % 5) for i in split.rows["row_id"]])
               for s, split in prepared.splits.items()}  # fmt: skip
        for split, packed in prepared.splits.items():
            assert packed.weight == pytest.approx(raw[split] / raw["train"].mean())


LINES = {"format": "series", "series_id": "id", "time": "t"}


def changed(row: int, cell: Any) -> pd.DataFrame:
    frame = table().astype({"w": object})
    frame.loc[row, "w"] = cell
    return frame


CELLS = "repair these cells; a row that shall not count has weight 0"


@pytest.mark.parametrize(
    ("frame", "said", "message"),
    [
        (changed(3, -1), {}, "own.csv: 'w' (data.weight) is no number of at least 0 in 1 rows, the first is own.csv:4 "
                             f"with '-1'\n  fix: {CELLS}"),
        (changed(0, "much"), {}, "own.csv: 'w' (data.weight) is no number of at least 0 in 1 rows, the first is "
                                 f"own.csv:1 with 'much'\n  fix: {CELLS}"),
        (changed(7, "inf"), {}, "own.csv: 'w' (data.weight) is no number of at least 0 in 1 rows, the first is "
                                f"own.csv:8 with 'inf'\n  fix: {CELLS}"),
        (changed(7, None), {}, "own.csv: 'w' (data.weight) is no number of at least 0 in 1 rows, the first is "
                               f"own.csv:8 with nothing\n  fix: {CELLS}"),
        (table().assign(w=0), {}, "own.csv: 'w' (data.weight) is 0 in every row\n"
                                  "  fix: give rows that count more than 0"),
        (table().assign(w=lambda f: (f["y"] == "no") * 2), {},
         "t train: all 37 rows with a weight above 0 ('w', data.weight) have the same target\n"
         "  fix: give rows of other targets a weight above 0"),
        (table(), {"weight": "v"}, "own.csv: no column 'v' (data.weight)\n  fix: columns: a, b, w, y"),
        (long_series().assign(w=lambda f: f["id"] + (f["t"] == 3)), LINES,
         "own.csv: series '0' has several weights in 'w': '0', '1'\n"
         "  fix: give all lines of a series one weight, or cut it into series of one weight"),
        (long_series().astype({"w": object}).assign(w=lambda f: f["w"].where(f.index != 8)),
         LINES,
         "own.csv, line 10: no weight in 'w' (1 such lines)\n  fix: fill or remove these lines"),
        (table(), {"format": "npz"}, "data.weight: arrays of an .npz file have no columns\n"
                                     "  fix: leave data.weight out"),
        (table(), {"format": "images"}, "data.weight: image files by class have no columns; data.format=image_table "
                                        "reads a table of their paths\n  fix: leave data.weight out"),
        (table(), {"format": "forecast", "horizon": 3}, "data.weight: a forecast learns from windows of many rows, "
                                                        "which have no weight of their own\n"
                                                        "  fix: leave data.weight out"),
        (table(), {"format": "series", "train_file": "x.ts"},
         "data.weight: x.ts is a .ts file, which has no columns\n  fix: leave data.weight out"),
    ],
    ids=lambda v: "" if isinstance(v, pd.DataFrame) else None,
)  # fmt: skip
def test_mistakes(frame: pd.DataFrame, said: dict[str, Any], message: str) -> None:
    Path("x.ts").write_text("@data\n1,2:a\n")
    with pytest.raises(PipelineError) as caught:
        read(frame, **said)
    assert str(caught.value) == message


def test_texts_by_class_have_no_columns() -> None:
    for i in range(12):
        path = Path(f"texts/{'ab'[i % 2]}/{i}.txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text {i}")
    with pytest.raises(PipelineError) as caught:
        read(table(), format="text", path="texts", train_file=None, text=("text",))
    assert str(caught.value) == "texts: no column 'w' (data.weight)\n  fix: columns: y, text"


def test_only_training_rows_of_weight_zero_are_refused() -> None:
    table().iloc[:30].assign(w=1, a=lambda f: f["a"] + 500).to_csv("later.csv", index=False)
    with pytest.raises(PipelineError) as caught:
        read(table().assign(w=0), test_file="later.csv", val_file=None)
    assert str(caught.value) == (
        "t train: 'w' (data.weight) is 0 in all 102 rows\n  fix: give training rows that count more than 0"
    )


def test_the_target_is_no_weight() -> None:
    with pytest.raises(ValueError, match=r"^weight must name another column than target, text and channels$"):
        read(table(), weight="y")


def test_a_side_table_needs_no_weights() -> None:
    frame = table()
    pd.DataFrame({"a": frame["a"], "town": np.where(frame["a"] % 2, "x", "z")}).to_csv("side.csv", index=False)
    prepared = read(frame, side_table="side.csv", side_key="a", slices={"town": AuditSettings(column="town")})
    carried(prepared)
    assert set(prepared.splits["test"].rows["audit.town"]) == {"x", "z"}
