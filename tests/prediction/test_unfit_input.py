"""Empty and huge files, cells of a wrong kind and those that are no number: refused or flagged with their place."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.core.errors import DataError
from tests.prediction.conftest import Train
from tests.prediction.test_bad_input import people

RNG = np.random.default_rng(8)


def oversized() -> bytes:
    """Return a PNG file that claims more pixels than a memory holds, and has none."""
    head, body = b"IHDR" + struct.pack(">IIBBBBB", 200_000, 200_000, 8, 0, 0, 0, 0), b"IDAT"
    parts = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (head, body)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_cells_of_another_kind_in_a_frame_and_in_a_parquet_file(trained: Train) -> None:
    model = people(trained).model
    sizes = [5, 5.0, "5", np.nan, None, True, pd.Timestamp("2024-01-01"), [5], np.inf, np.float32(5)]
    got = model.predict(pd.DataFrame({"size": pd.Series(sizes, dtype=object), "colour": "red"}))
    assert got["refused"].dropna().to_dict() == {
        5: "size: 'True' is no finite number of 32 bits",
        6: "size: '2024-01-01 00:00:00' is no finite number of 32 bits",
        7: "size: '[5]' is no finite number of 32 bits",
        8: "size: 'inf' is no finite number of 32 bits",
    }
    assert [i for i, flag in got["flag"].dropna().items() if flag.startswith("size missing, ")] == [3, 4]
    assert np.ptp(got.loc[[0, 1, 2, 9], "p_yes"]) < 1e-6
    pd.DataFrame({"size": [True, False], "colour": [1.5, np.nan]}).to_parquet("new.parquet")
    got = model.predict("new.parquet")
    assert got["refused"].tolist() == [f"size: '{said}' is no finite number of 32 bits" for said in (True, False)]
    pd.DataFrame({"size": [5], "colour": [1.5]}).to_parquet("new.parquet")
    assert model.predict("new.parquet")["flag"].tolist() == ["colour '1.5', as in few training rows or none"]


def test_nan_as_text_is_no_missing_value_unless_declared(trained: Train) -> None:
    model = people(trained).model
    Path("new.csv").write_text("size,colour\nnan,red\nNaN,red\nNA,red\n5,nan\n")
    got = model.predict("new.csv")
    assert got["refused"].dropna().to_dict() == {
        0: "size: 'nan' is no finite number of 32 bits",
        1: "size: 'NaN' is no finite number of 32 bits",
    }
    assert got["flag"][2].startswith("size missing, ")
    assert got["flag"][3] == "colour 'nan', as in few training rows or none"


def test_sources_without_rows_are_refused(trained: Train, tmp_path: Path) -> None:
    model = people(trained).model
    pd.DataFrame({"size": [], "colour": []}).to_parquet("new.parquet")
    Path("new.jsonl").write_text("\n\n")
    Path("new.tsv").write_text("size\tcolour\n\t\n")
    for source in ("new.parquet", "new.tsv", pd.DataFrame({"size": [], "colour": []})):
        with pytest.raises(DataError, match="holds no rows"):
            model.predict(source)
    with pytest.raises(DataError, match=r"new\.jsonl: (no column 'size'|holds no rows)"):
        model.predict("new.jsonl")


def test_a_folder_without_images_and_a_file_without_bytes(trained: Train, tmp_path: Path) -> None:
    model = trained({"kind": "cnn", "width": 8}, name="digits", format="digits", path=None).model
    folder = tmp_path / "new"
    folder.mkdir()
    with pytest.raises(DataError, match="no images"):
        model.predict(folder)
    (folder / "a.png").write_bytes(b"")
    (folder / "b.png").write_bytes(oversized())
    Image.fromarray(RNG.integers(0, 255, (8, 8), dtype=np.uint8)).save(folder / "c.png")
    got = model.predict(folder)
    assert got["refused"].tolist() == ["cannot be read: no image",
                                       "cannot be read: 200000 x 200000 pixels are too many", None]  # fmt: skip
    assert got["predicted"].notna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 8, 8), np.nan, np.float32), "values of type float32 from nan to nan"),
        (np.full((2, 8, 8), 300.0), "values of type float64 from 300 to 300"),
        (np.full((2, 8, 8), "a"), "values of type <U1 are no pixels"),
    ],
)
def test_arrays_that_are_no_images(trained: Train, images: Any, message: str) -> None:
    model = trained({"kind": "cnn", "width": 8}, name="digits", format="digits", path=None).model
    with pytest.raises(DataError, match=message):
        model.predict(images)


def test_a_file_is_answered_while_it_is_read(trained: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    model = people(trained).model
    monkeypatch.setattr("pipeline.datasets.csv_blocks._CHARACTERS", 1000)
    rows = 3000
    Path("new.csv").write_text("size,colour\n" + "5,red\n" * rows + '6,"blue"x\n')
    stream = model.stream("new.csv")
    first = next(stream)
    assert len(first) < 200
    assert first["predicted"].notna().all()
    with pytest.raises(DataError, match=f"line {rows + 2}: ',' expected after"):
        list(stream)


def test_a_line_without_end_is_refused(trained: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    model = people(trained).model
    for module in ("csv_blocks", "csv_table"):
        monkeypatch.setattr(f"pipeline.datasets.{module}.LONGEST", 1000)
    Path("new.csv").write_text("size,colour\n5,red\n" + "5" * 5000)
    with pytest.raises(DataError, match=r"new\.csv, line 3: longer than 1,000 characters"):
        model.predict("new.csv")


def test_missing_and_wrong_values_of_forecasts(trained: Train) -> None:
    def series(load: list[Any]) -> pd.DataFrame:
        return pd.DataFrame({"who": "a", "t": range(len(load)), "load": load})

    series([round(float(np.sin(t / 4) + RNG.normal(0, 0.1)), 4) for t in range(160)]).to_csv("rows.csv", index=False)
    model = trained({"kind": "linear"}, format="forecast", train_file="rows.csv", time="t", series_id="who",
                    target="load", horizon=3, window=12).model  # fmt: skip
    series([0.5] * 20 + [None] * 12).to_csv("new.csv", index=False)
    got = model.predict("new.csv")
    assert got["flag"].tolist() == ["load missing in the whole window"]
    assert got["predicted_load_1"].notna().all()
    series([0.5] * 20 + ["x"]).to_csv("new.csv", index=False)
    with pytest.raises(DataError, match=r"new\.csv.*'x'"):
        model.predict("new.csv")
