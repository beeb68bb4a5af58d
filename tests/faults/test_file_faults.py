"""Faults in single files and archives, by the numbers of the list in test_data_faults.py."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets import Prepared, prepare_dataset
from pipeline.datasets.members import Member, members
from pipeline.datasets.photos import decode
from tests.datasets.test_photos import files, picture
from tests.datasets.test_texts import packed


@pytest.fixture(autouse=True)
def work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages write below the folder they run in."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def images(path: Path, max_unreadable: float) -> Prepared:
    given = DataSettings(name="t", format="images", path=str(path), side=8, max_unreadable=max_unreadable,
                         sensitive={}, slices={})  # fmt: skip
    return prepare_dataset(given, 7)


def test_fault_06_broken_links_among_images_are_counted_and_linked_folders_are_read(tmp_path: Path) -> None:
    path = packed(tmp_path / "photos", {n: d for n, d in files(60).items() if n.startswith("dog")})
    (packed(tmp_path / "elsewhere", files(60)) / "cat").rename(tmp_path / "cats")
    (path / "cat").symlink_to(tmp_path / "cats")
    (path / "dog/lost.png").symlink_to("nowhere.png")
    prepared = images(path, max_unreadable=0.05)
    assert prepared.card.classes == ("cat", "dog")
    assert sum(prepared.card.rows.values()) == 60
    assert "1 images could not be read and are left out: dog/lost.png (no such file)" in prepared.card.notes


@pytest.mark.parametrize("form", ["JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_fault_16_a_wrong_ending_is_read_by_content(form: str) -> None:
    photo = decode(Member("cat/a.png", picture(form=form)), 8)
    assert photo.failure is None


def test_fault_16_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("white", "black", "red")]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    pixels = decode(Member("cat/a.gif", out.getvalue()), None).pixels
    assert pixels is not None
    assert pixels.shape == (9, 9, 3)
    assert pixels.min() == 255


def test_fault_16_drawings_and_programs_are_named_not_run(tmp_path: Path) -> None:
    eps = io.BytesIO()
    Image.new("RGB", (9, 9)).save(eps, "EPS")
    more = {"cat/drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "cat/page.png": eps.getvalue()}
    prepared = images(packed(tmp_path / "a.zip", files() | more), max_unreadable=0.1)
    told = "cat/drawing.svg (no image); cat/page.png (no image)"
    assert f"2 images could not be read and are left out: {told}" in prepared.card.notes


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "JPEG2000"])
def test_fault_16_damaged_bytes_are_named_or_read_and_never_stop_the_rest(form: str) -> None:
    whole = picture(form=form)
    rng = np.random.default_rng(1)
    failed = 0
    for i in range(60):
        data = bytearray(whole[: int(rng.integers(len(whole)))] if i % 2 else whole)
        for place in rng.integers(max(1, len(data)), size=4):
            data[place : place + 1] = bytes([int(rng.integers(256))])
        photo = decode(Member("cat/a.png", bytes(data)), 8)
        assert (photo.pixels is None) == bool(photo.failure)
        failed += photo.pixels is None
    assert failed


@pytest.mark.parametrize(
    ("size", "failure"),
    [((12_000, 9_000), "12000 x 9000 pixels are too many"), ((1, 1), None), ((2, 41), "2 x 41 pixels are too narrow")],
)
def test_fault_17_sizes_that_pillow_only_warns_of(size: tuple[int, int], failure: str | None) -> None:
    out = io.BytesIO()
    Image.new("1", size).save(out, "PNG")
    assert decode(Member("cat/a.png", out.getvalue()), 8).failure == failure


def zipped(path: Path, entries: list[tuple[str, bytes]], link: bool = False) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            entry = zipfile.ZipInfo(name)
            if link:
                entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, data)
    return path


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../pos/a.txt", "points outside the archive"),
        ("/pos/a.txt", "points outside the archive"),
        ("pos/../../a.txt", "points outside the archive"),
        ("..\\pos\\a.txt", "points outside the archive"),
        ("C:\\pos\\a.txt", "points outside the archive"),
        ("pos/link.txt", "is a link"),
    ],
)
def test_fault_18_a_zip_that_would_escape_is_refused_and_writes_nothing(tmp_path: Path, name: str, why: str) -> None:
    path = zipped(tmp_path / "a.zip", [(name, b"/etc/passwd")], link=name == "pos/link.txt")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=why):
        list(members(path, (".txt",)))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_fault_18_a_name_twice_is_refused_and_names_that_differ_in_case_are_two(tmp_path: Path, kind: str) -> None:
    def written(names: list[str]) -> Path:
        if kind == "zip":
            return zipped(tmp_path / "a.zip", [(name, b"x") for name in names])
        with tarfile.open(tmp_path / "a.tar", "w") as archive:
            for name in names:
                archive.addfile(tarfile.TarInfo(name), io.BytesIO())
        return tmp_path / "a.tar"

    with pytest.raises(DataError, match=r"member 'pos/a\.txt' stands there twice"):
        list(members(written(["pos/a.txt", "pos/b.txt", "pos/a.txt"]), (".txt",)))
    assert len(list(members(written(["pos/a.txt", "pos/A.txt"]), (".txt",)))) == 2


def test_fault_18_a_packed_bomb_in_a_zip_in_a_zip_stays_packed(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", [("pos/a.txt", b"0" * 1_000_000)]).read_bytes()
    outer = zipped(tmp_path / "outer.zip", [(f"pos/{i}.zip", inner) for i in range(9)] + [("pos/b.txt", b"x")])
    assert [m.name for m in members(outer, (".txt",))] == ["pos/b.txt"]


def test_fault_18_a_locked_or_damaged_archive_says_so(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", [("pos/a.txt", bytes(range(256)) * 40)])
    data = bytearray(path.read_bytes())
    locked = data.copy()
    locked[6] |= 1
    locked[data.rindex(b"PK\x01\x02") + 8] |= 1
    torn = data.copy()
    torn[60:90] = b"\xff" * 30
    for broken in (locked, torn):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"a\.zip: damaged or locked"):
            list(members(path, (".txt",)))


def test_fault_19_nothing_in_a_tar_is_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.tar.gz", {"../../evil.txt": b"x"})
    before = sorted(tmp_path.parent.rglob("*"))
    with pytest.raises(DataError, match="points outside the archive"):
        list(members(path, (".txt",)))
    assert sorted(tmp_path.parent.rglob("*")) == before
