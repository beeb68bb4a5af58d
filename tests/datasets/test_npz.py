"""Arrays of one .npz file: every usual naming and shape is read, everything else refused by name."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from pipeline.core.data_settings import AuditSettings, DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets import Prepared, prepare_dataset
from pipeline.datasets.npz import as_bytes, as_channels

RNG = np.random.default_rng(3)


def images(n: int = 60, *shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, *(shape or (6, 5))), dtype=np.uint8)


def labels(n: int = 60) -> NDArray[np.int64]:
    return np.arange(n) % 3


def written(path: Path, **held: Any) -> Path:
    np.savez_compressed(path, **held)
    return path


def read(path: Path, **changes: Any) -> Prepared:
    said: dict[str, Any] = {
        "name": "n", "format": "npz", "path": str(path), "sensitive": {},
        "slices": {"brightness": AuditSettings(property="mean_intensity", quantiles=2)},
    }  # fmt: skip
    return prepare_dataset(DataSettings(**(said | changes)), 7)


def refused(path: Path, **changes: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **changes)
    return str(caught.value).removeprefix(f"{path}: ")


NAMES = [
    ("x_train", "y_train", "x_test", "y_test"),
    ("X_train", "y_train", "X_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
]


@pytest.mark.parametrize("names", NAMES)
def test_given_splits_stay_and_nothing_is_changed(tmp_path: Path, names: tuple[str, ...]) -> None:
    held = dict(zip(names, (images(), labels(), images(12, seed=1), labels(12)), strict=True))
    prepared = read(written(tmp_path / "a.npz", **held))
    assert prepared.card.rows == {"train": 51, "val": 9, "test": 12}
    test = prepared.splits["test"]
    assert np.array_equal(test.x, held[names[2]][:, None])
    assert np.array_equal(test.y, labels(12))
    assert list(test.rows["row_id"][:2]) == ["test:0", "test:1"]
    train = prepared.splits["train"]
    rows = [int(name.partition(":")[2]) for name in train.rows["row_id"]]
    assert np.array_equal(train.x, held[names[0]][rows][:, None])
    assert np.array_equal(train.y, labels()[rows])


def test_as_medmnist_writes_it_with_val_and_a_column_of_labels(tmp_path: Path) -> None:
    held = {}
    for i, (split, n) in enumerate({"train": 30, "val": 9, "test": 12}.items()):
        held |= {f"{split}_images": images(n, 6, 5, 3, seed=i), f"{split}_labels": labels(n)[:, None].astype(np.uint8)}
    prepared = read(written(tmp_path / "a.npz", **held), classes=("ant", "bee", "cow"))
    assert prepared.card.rows == {"train": 30, "val": 9, "test": 12}
    assert prepared.card.classes == ("ant", "bee", "cow")
    assert np.array_equal(prepared.splits["train"].x, held["train_images"].transpose(0, 3, 1, 2))


@pytest.mark.parametrize("names", [("x", "y"), ("images", "labels")])
def test_rows_without_given_splits_are_split_by_class(tmp_path: Path, names: tuple[str, str]) -> None:
    text = np.array(["red", "green", "bläu"])[labels()]
    folder = written(tmp_path / "a.npz", **{names[0]: images(), names[1]: text}).parent
    prepared = read(folder, train_file="a.npz")
    assert prepared.card.classes == ("bläu", "green", "red")
    assert sum(prepared.card.rows.values()) == 60
    assert min(min(counts) for counts in prepared.card.class_rows.values()) > 0
    bytes_of_text = np.char.encode(text, "utf-8")
    again = read(written(tmp_path / "b.npz", **{names[0]: images(), names[1]: bytes_of_text}))
    assert again.card.classes == prepared.card.classes


def test_fractions_become_bytes_and_the_card_says_so(tmp_path: Path) -> None:
    whole = images()
    prepared = read(written(tmp_path / "a.npz", x=(whole / 255).astype(np.float32), y=labels()))
    exact = read(written(tmp_path / "b.npz", x=whole, y=labels()))
    assert all(np.array_equal(prepared.splits[s].x, exact.splits[s].x) for s in prepared.splits)
    assert any(note.startswith("x: values from 0 to 1 became bytes") for note in prepared.card.notes)
    assert not any("became bytes" in note for note in exact.card.notes)


@given(arrays.arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 2, st.just(2))))
def test_every_byte_survives_as_a_fraction(pixels: NDArray[np.uint8]) -> None:
    assert np.array_equal(as_bytes("x", pixels / 255)[0], pixels)


def test_channels_first_and_last_and_none() -> None:
    x = images(4, 7, 6, 3)
    assert np.array_equal(as_channels("x", x), as_channels("x", x.transpose(0, 3, 1, 2)))
    assert as_channels("x", x).shape == (4, 3, 7, 6)
    assert np.shares_memory(as_channels("x", x), x)
    assert as_channels("x", x[..., 0]).shape == (4, 1, 7, 6)
    assert as_channels("x", x[..., :1]).shape == (4, 1, 7, 6)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"x": images() * 1.0, "y": labels()}, "x: values of type float64 from 0 to 255"),
        ({"x": images() / 255 - 0.5, "y": labels()}, "x: values of type float64 from -0.5 to 0.5"),
        ({"x": images() * np.nan, "y": labels()}, "x: values of type float64 from nan to nan"),
        ({"x": images().astype(np.int32), "y": labels()}, "x: values of type int32 from 0 to 255"),
        ({"x": images().astype(str), "y": labels()}, "x: values of type <U3 are no pixels"),
        ({"x": images(60, 4, 4, 4), "y": labels()}, "x: shape (60, 4, 4, 4) is not that of images"),
        ({"x": images(60, 9), "y": labels()}, "x: shape (60, 9) is not that of images"),
        ({"x": images()[:0], "y": labels()[:0]}, "x: holds no images, its shape is (0, 6, 5)"),
        ({"x": images(), "y": labels()[:-1]}, "x: 60 images, but 59 labels in y"),
        ({"x": images(), "y": labels() + 0.5}, "y: 0.5 in row 0 is no whole number"),
        ({"x": images(), "y": labels() - 1}, "y: class numbers from -1 to 1 for 60 images"),
        ({"x": images(), "y": labels() * 10**9}, "y: class numbers from 0 to 2000000000 for 60 images"),
        ({"x": images(), "y": np.eye(3)[labels()]}, "y: shape (60, 3), one label per image is expected"),
        ({"x": images()}, "x without y; it holds x"),
        ({"x": images(), "z": labels()}, "x without y; it holds x, z"),
        ({"a": images(), "b": labels()}, "no training images; it holds a, b"),
        ({"x_test": images(), "y_test": labels()}, "no training images; it holds x_test, y_test"),
        ({"x": images(), "y": labels(), "x_train": images(), "y_train": labels()}, "arrays of all rows and of single"),
        ({"x": images(), "y": labels(), "images": images()}, "images of all rows stand there twice"),
        ({"x_train": images(), "y_train": labels(), "X_train": images()}, "arrays of the same name: X_train, x_train"),
        ({"x_train": images(), "y_train": labels(), "x_test": images(9, 5, 5), "y_test": labels(9)},
         "images of train are 1 x 6 x 5, of test 1 x 5 x 5"),
        ({"x_train": images(), "y_train": labels(), "x_test": images(9, seed=1), "y_test": labels(9).astype(str)},
         "labels are numbers in one split and text in another"),
        ({"x": images(), "y": labels().astype(object)}, "y: Python objects (pickled), which are never read"),
    ],
)  # fmt: skip
def test_what_is_no_image_set_is_refused(tmp_path: Path, held: dict[str, Any], message: str) -> None:
    said = refused(written(tmp_path / "a.npz", **held))
    assert said.startswith(message)
    assert "\n  fix: " in said


def test_declared_tasks_read_what_they_need(tmp_path: Path) -> None:
    sets = (np.arange(60)[:, None] % [2, 3, 4] == 0).astype(np.uint8)
    prepared = read(written(tmp_path / "a.npz", x=images(), y=sets), task="multilabel")
    assert (prepared.card.task, prepared.card.classes) == ("multilabel", ("label_1", "label_2", "label_3"))
    ages = read(written(tmp_path / "b.npz", x=images(), y=np.linspace(-1, 90, 60)), task="regression")
    assert ages.card.task == "regression"
    assert ages.splits["train"].y.min() == pytest.approx(-1, abs=5)


def test_damage_anywhere_is_told_and_nothing_is_allocated_for_a_lie(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=images(), y=labels())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert refused(path).startswith("not an .npz file, or cut off")
    middle = whole.index(images()[0].tobytes()) + 40
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    assert refused(path).startswith("x: damaged (Bad CRC-32")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"shape": (10**12, 6, 5), "fortran_order": False, "descr": "|u1"})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header.getvalue() + b"few")
        archive.writestr("y.npy", b"no array")
    assert refused(path).startswith("x: announces 30,000,000,000,")
    np.save(tmp_path / "alone.npy", images())
    assert refused(tmp_path / "alone.npy").startswith("not an .npz file")


def test_where_to_look_must_be_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.train_file: not set"):
        read(tmp_path)
    assert refused(tmp_path / "none.npz") == "not found\n  fix: data.path=<file.npz>"
