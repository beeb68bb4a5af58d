"""Image files of every kind: decoded by rule, or left out and named."""

import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.core.contracts import ImageInputs
from pipeline.core.data_settings import AuditSettings, DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets import Prepared, prepare_dataset
from pipeline.datasets.members import Member, OnDisk, members
from pipeline.datasets.photos import SUFFIXES, decode, read_album, taken
from pipeline.datasets.stores import Store
from tests.datasets.test_texts import packed


@pytest.fixture(autouse=True)
def work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages write below the folder they run in."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def picture(
    mode: str = "RGB", size: tuple[int, int] = (20, 12), form: str = "PNG", seed: int = 0, **save: Any
) -> bytes:
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    out = io.BytesIO()
    if mode == "I;16":
        Image.fromarray(rng.integers(0, 65536, (size[1], size[0]), dtype=np.uint16)).save(out, form)
    else:
        noise.convert(mode).save(out, form, **save)
    return out.getvalue()


def settings(path: Path, **changes: Any) -> DataSettings:
    given: dict[str, Any] = {
        "name": "p", "format": "images", "path": str(path), "side": 8, "sensitive": {},
        "slices": {"brightness": AuditSettings(property="mean_intensity", quantiles=2)},
    }  # fmt: skip
    return DataSettings(**(given | changes))


def files(n: int = 40, mode: str = "RGB", prefix: str = "", first: int = 0) -> dict[str, bytes]:
    return {
        f"{prefix}{'cat' if i % 2 else 'dog'}/{i:03}.png": picture(mode, (12 + i % 5, 10 + i % 3), seed=first + i)
        for i in range(n)
    }


def read(path: Path, **changes: Any) -> Prepared:
    return prepare_dataset(settings(path, **changes), 7)


@pytest.mark.parametrize("name", ["folder", "a.zip", "a.tar.gz"])
def test_mixed_sizes_by_class_from_folder_and_archives(tmp_path: Path, name: str) -> None:
    prepared = read(packed(tmp_path / name, files()))
    assert prepared.card.classes == ("cat", "dog")
    assert prepared.card.rows == {"train": 28, "val": 4, "test": 8}
    assert prepared.splits["train"].x.shape == (28, 3, 8, 8)
    assert set(prepared.splits["test"].rows["audit.brightness"]) <= {"low", "high"}
    assert not any((Path.cwd() / "artifacts").iterdir())


def test_grey_files_give_one_channel_and_statistics_of_train(tmp_path: Path) -> None:
    prepared = read(packed(tmp_path / "folder", files(mode="L")))
    inputs = prepared.card.inputs
    assert isinstance(inputs, ImageInputs)
    train = prepared.splits["train"].x / 255
    assert inputs.channels == 1
    assert inputs.mean == pytest.approx((train.mean(),), abs=1e-5)
    assert inputs.std == pytest.approx((train.std(),), abs=1e-5)


def test_given_folders_are_kept_and_val_alone_is_the_test(tmp_path: Path) -> None:
    both = files(30, prefix="root/train/") | files(10, prefix="root/test/", first=100)
    assert read(packed(tmp_path / "a.zip", both)).card.rows == {"train": 26, "val": 4, "test": 10}
    val = files(30, prefix="train/") | files(10, prefix="val/", first=100)
    assert read(packed(tmp_path / "b.zip", val)).card.rows == {"train": 26, "val": 4, "test": 10}
    three = val | files(6, prefix="test/", first=200)
    assert read(packed(tmp_path / "c.zip", three)).card.rows == {"train": 30, "val": 10, "test": 6}


def test_one_size_needs_no_side_and_another_size_is_named(tmp_path: Path) -> None:
    same = {f"{'cat' if i % 2 else 'dog'}/{i}.png": picture(size=(9, 7), seed=i) for i in range(30)}
    assert read(packed(tmp_path / "a.zip", same), side=None).splits["train"].x.shape[1:] == (3, 7, 9)
    path = packed(tmp_path / "b.zip", same | {"dog/99.png": picture(size=(8, 7))})
    with pytest.raises(DataError) as caught:
        read(path, side=None)
    assert str(caught.value) == (
        f"{path}: dog/99.png: 8 x 7 pixels, the first image has 9 x 7\n  fix: give all the same size: data.side=64"
    )


def member(data: bytes, name: str = "cat/a.jpg") -> Member:
    return Member(name, data)


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_every_mode_becomes_colour_or_grey(mode: str) -> None:
    form = "JPEG" if mode == "CMYK" else "PNG"
    photo = decode(member(picture(mode, form=form)), 8)
    assert photo.failure is None
    assert photo.pixels is not None
    assert photo.pixels.shape == (8, 8, 3)
    assert photo.grey == (mode in ("L", "1", "I;16"))


def test_transparent_is_white_and_sixteen_bits_use_their_range() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (8, 8), (10, 20, 30, 0)).save(out, "PNG")
    clear = decode(member(out.getvalue()), None).pixels
    assert clear is not None
    assert clear.min() == 255
    wide = decode(member(picture("I;16")), None).pixels
    assert wide is not None
    assert (wide.min(), wide.max()) == (0, 255)


def test_a_turned_photo_is_set_upright() -> None:
    image = Image.new("RGB", (8, 4), "black")
    image.paste((255, 255, 255), (0, 0, 4, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    out = io.BytesIO()
    image.save(out, "PNG", exif=exif)
    pixels = decode(member(out.getvalue()), None).pixels
    assert pixels is not None
    assert pixels.shape == (8, 4, 3)
    assert pixels[0].mean() > 200
    assert pixels[-1].mean() < 50


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (b"", "no image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no image"),
        (picture(form="JPEG", size=(64, 64))[:600], "runcated"),
        (picture(size=(400, 10)), "400 x 10 pixels are too narrow"),
    ],
)
def test_what_is_no_image_is_named(data: bytes, failure: str) -> None:
    photo = decode(member(data), 8)
    assert photo.pixels is None
    assert failure in str(photo.failure)


def test_a_bomb_is_refused_by_its_header() -> None:
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    assert "20000 x 20000 pixels are too many" in str(decode(member(out.getvalue()), 8).failure)


def test_a_declared_share_of_bad_files_is_left_out_and_listed(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", files() | {"cat/bad.png": b"nothing"})
    assert (
        "1 images could not be read and are left out: cat/bad.png (no image)"
        in read(path, max_unreadable=0.05).card.notes
    )
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value) == (
        f"{path}: 1 of 41 images cannot be read: cat/bad.png (no image)\n"
        "  fix: repair or remove them, or raise data.max_unreadable"
    )


def test_no_images_and_undeclared_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images by class"):
        read(packed(tmp_path / "a.zip", {"cat/readme.txt": b"x"}))
    with pytest.raises(DataError, match="label 'dog' is not among the classes cat, cow"):
        read(packed(tmp_path / "b.zip", files()), classes=("cat", "cow"))


def many(size: tuple[int, int] | None = None) -> dict[str, bytes]:
    """More files than one process decodes alone, the first and one in the middle damaged."""
    one = files(60) if size is None else {f"cat/{i:03}.png": picture(size=size, seed=i) for i in range(60)}
    found = {f"{name.replace('.', f'_{i:02}.')}": data for i in range(20) for name, data in one.items()}
    return found | {"cat/000_bad.png": b"nothing", "cat/021_bad.png": b"nothing"}


@pytest.mark.parametrize("side", [8, None])
def test_many_files_are_decoded_by_several_processes_in_the_same_order(tmp_path: Path, side: int | None) -> None:
    given = many(None if side else (9, 7))
    found = {}
    for name in ("folder", "a.zip"):
        place = packed(tmp_path / name, given)
        with tempfile.TemporaryFile() as store:
            album = read_album("here", members(place, SUFFIXES), settings(place, side=side), store)
            pixels = [Store(store.fileno()).get(place, album.shape) for place in album.places]
        assert album.names == sorted(n for n, data in given.items() if data != b"nothing")
        assert album.failed == ["cat/000_bad.png (no image)", "cat/021_bad.png (no image)"]
        assert album.places == [i for i, n in enumerate(sorted(given)) if given[n] != b"nothing"]
        for row in (0, 700, len(pixels) - 1):
            alone = decode(Member("x", given[album.names[row]]), side)
            assert np.array_equal(pixels[row], alone.pixels)
            assert album.keys[row] == alone.key
        found[name] = album.digest
    assert found["folder"] == found["a.zip"]


def test_images_are_taken_from_their_places(tmp_path: Path) -> None:
    given = many()
    place = packed(tmp_path / "folder", given)
    with tempfile.TemporaryFile() as store:
        album = read_album("here", members(place, SUFFIXES), settings(place, side=64), store)
        Path("artifacts").mkdir()
        rows = np.array([1100, 0, *range(20, 900)])
        images = taken(album, rows)
    assert images.shape == (882, 3, 64, 64)
    for image, row in zip(images, rows, strict=True):
        alone = decode(Member("x", given[album.names[row]]), 64).pixels
        assert alone is not None
        assert np.array_equal(image, alone.transpose(2, 0, 1))


def test_another_size_is_named_where_several_processes_decode(tmp_path: Path) -> None:
    place = packed(tmp_path / "folder", many((9, 7)) | {"cat/055_19_odd.png": picture(size=(90, 70))})
    with pytest.raises(DataError, match=r"cat/055_19_odd.png: 90 x 70 pixels, the first image has 9 x 7"):
        read(place, side=None)
    with pytest.raises(DataError, match="3 of 3 images cannot be read"):
        read(packed(tmp_path / "bad", {f"cat/{i}.png": b"" for i in range(3)}), side=None)


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryFile() as store:
        written = Store(store.fileno())
        written.put(np.full((2, 4, 4, 3), 7, np.uint8), 3)
        assert [int(written.get(place, (4, 4, 3)).max()) for place in (2, 3, 4)] == [0, 7, 7]
        monkeypatch.setattr(os, "pwrite", lambda *_: 5)
        with pytest.raises(OSError, match="No space left"):
            written.put(np.zeros((1, 4, 4, 3), np.uint8), 0)


def test_a_file_that_vanishes_is_named() -> None:
    assert decode(OnDisk("cat/a.png", "no/such.png"), 8).failure == "no such file"
