"""Tables that name image files: rows, labels and groups stay together, bad paths are counted."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.core.data_settings import AuditSettings, DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets import Prepared, prepare_dataset
from pipeline.datasets.decoding import decode
from pipeline.datasets.members import OnDisk
from tests.datasets.test_photos import picture


@pytest.fixture(autouse=True)
def work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def table(folder: Path, n: int = 40, start: int = 0) -> pd.DataFrame:
    """Write n pictures below folder/shots; return their table."""
    (folder / "shots").mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(start, start + n):
        name = f"shots/{i:03}.png"
        (folder / name).write_bytes(picture(seed=i))
        rows.append((name, "sick" if i % 2 else "well", "f" if i % 3 else "m", str(20 + i), f"person{i // 2}"))
    return pd.DataFrame(rows, columns=["image", "finding", "sex", "age", "patient"])


def read(folder: Path, **changes: Any) -> Prepared:
    said: dict[str, Any] = {
        "name": "t", "format": "image_table", "path": str(folder), "train_file": "rows.csv", "side": 8,
        "image_column": "image", "target": "finding", "slices": {},
        "sensitive": {"sex": AuditSettings(column="sex"), "age": AuditSettings(column="age", edges=(40,))},
    }  # fmt: skip
    return prepare_dataset(DataSettings(**(said | changes)), 7)


def write(folder: Path, frame: pd.DataFrame, name: str = "rows.csv") -> None:
    path = folder / name
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.jsonl", "rows.parquet"])
def test_pixels_labels_and_groups_of_a_row_stay_together(tmp_path: Path, name: str) -> None:
    frame = table(tmp_path)
    write(tmp_path, frame, name)
    prepared = read(tmp_path, train_file=name)
    assert prepared.card.rows == {"train": 28, "val": 4, "test": 8}
    assert prepared.card.classes == ("sick", "well")
    for split in prepared.splits.values():
        for i, row_id in enumerate(split.rows["row_id"]):
            row = frame.iloc[int(str(row_id).rpartition(":")[2]) - 1]
            alone = decode(OnDisk("x", str(tmp_path / row["image"])), 8).pixels
            assert alone is not None
            assert np.array_equal(split.x[i], alone.transpose(2, 0, 1))
            assert prepared.card.classes[split.y[i]] == row["finding"]
            assert split.rows["audit.sex"][i] == row["sex"]
            assert split.rows["raw.image"][i] == row["image"]
    assert set(prepared.splits["test"].rows["audit.age"]) <= {"< 40", ">= 40"}
    assert not any((Path.cwd() / "artifacts").iterdir())


def test_given_files_persons_and_numbers_to_predict(tmp_path: Path) -> None:
    write(tmp_path, table(tmp_path))
    write(tmp_path, table(tmp_path, 10, start=40), "test.csv")
    prepared = read(tmp_path, test_file="test.csv", group_by="patient")
    assert prepared.card.rows["test"] == 10
    held = {split: set(rows.rows["raw.patient"]) for split, rows in prepared.splits.items()}
    assert not held["train"] & held["val"]
    ages = read(tmp_path, target="age", task="regression", sensitive={})
    train = ages.splits["train"]
    assert train.y[:, 0].tolist() == [float(a) for a in train.rows["raw.age"]]


BAD = ["../out.png", "shots/../../out.png", "/etc/hostname", "C:\\x.png", "shots/none.png", "shots", "", "shots/no.png"]


@pytest.mark.parametrize("cell", BAD)
def test_a_bad_path_counts_as_unreadable(tmp_path: Path, cell: str) -> None:
    folder = tmp_path / "data"
    frame = table(folder)
    (tmp_path / "out.png").write_bytes(picture())
    (folder / "shots/no.png").write_bytes(b"nothing")
    frame.loc[3, "image"] = cell
    write(folder, frame)
    with pytest.raises(DataError, match="1 of 40 images cannot be read"):
        read(folder)
    prepared = read(folder, max_unreadable=0.1)
    assert sum(prepared.card.rows.values()) == 39
    assert any(n.startswith("1 images could not be read and are left out: ") and cell in n
               for n in prepared.card.notes)  # fmt: skip
    ids = {i for split in prepared.splits.values() for i in split.rows["row_id"]}
    assert ids == {f"rows.csv:{i + 1}" for i in range(40) if i != 3}


def test_the_reason_is_named(tmp_path: Path) -> None:
    frame = table(tmp_path)
    frame.loc[:4, "image"] = BAD[0], BAD[2], BAD[4], "", "./shots/../shots/004.png"
    write(tmp_path, frame)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert str(caught.value).partition("\n")[0] == (
        f"{tmp_path}: 4 of 40 images cannot be read: rows.csv:1 ../out.png (leaves the folder); "
        "rows.csv:2 /etc/hostname (an absolute path); rows.csv:4 (no path); shots/none.png (no such file)"
    )


def test_an_image_named_twice_is_counted_and_stays_on_one_side(tmp_path: Path) -> None:
    frame = table(tmp_path)
    write(tmp_path, pd.concat([frame, frame.iloc[:2]]))
    prepared = read(tmp_path)
    assert "2 rows name an image that an earlier row names too" in prepared.card.notes
    held = [set(split.rows["raw.image"]) for split in prepared.splits.values()]
    assert sum(len(h) for h in held) == 40


def test_the_digest_follows_pixels_and_table(tmp_path: Path) -> None:
    frame = table(tmp_path)
    write(tmp_path, frame)
    first = read(tmp_path).card.source_digest
    assert read(tmp_path).card.source_digest == first
    (tmp_path / "shots/000.png").write_bytes(picture(seed=999))
    second = read(tmp_path).card.source_digest
    frame.loc[5, "sex"] = "x"
    write(tmp_path, frame)
    assert len({first, second, read(tmp_path).card.source_digest}) == 3


def test_the_column_of_paths_must_be_named_and_there(tmp_path: Path) -> None:
    write(tmp_path, table(tmp_path))
    with pytest.raises(ConfigError, match=r"data\.image_column: not set"):
        read(tmp_path, image_column=None)
    with pytest.raises(DataError) as caught:
        read(tmp_path, image_column="imag")
    assert str(caught.value).endswith("no column 'imag' (data.image_column)\n  fix: did you mean 'image'?")
