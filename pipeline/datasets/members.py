"""Files of a folder, a tar or a zip by name, read in place: nothing is unpacked, so nothing can escape."""

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.core.errors import DataError

SPLIT_FOLDERS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_LARGEST_FILE = 256 * 1024**2
_LARGEST_RATIO = 200


class _Placed:
    """What a file's place says: `label` is its folder, `split` the folder above if that is named like a split."""

    __slots__ = ()
    name: str

    @property
    def label(self) -> str:
        """The class, by folder."""
        return self._folder(2)

    @property
    def split(self) -> str | None:
        """train, val or test, where the data are given so."""
        return SPLIT_FOLDERS.get(self._folder(3).lower())

    def _folder(self, level: int) -> str:
        parts = _parts(self.name)
        return parts[-level] if len(parts) >= level else ""


@dataclass(frozen=True, slots=True)
class Member(_Placed):
    """One file of an archive, with its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class OnDisk(_Placed):
    """One file that lies open; whoever asks for its bytes reads them, so that another process can do it."""

    name: str
    path: str

    @property
    def data(self) -> bytes:
        """The bytes; OSError where there is no such file, or no plain one (a pipe would never end)."""
        # A path object costs as much as reading; only it tells a file that is not there from a locked folder.
        if not os.path.isfile(self.path) and not Path(self.path).is_file():  # noqa: PTH113
            raise OSError("no such file")
        with open(self.path, "rb", buffering=0) as source:  # noqa: PTH123
            return source.read()


File = Member | OnDisk


def is_archive(path: Path) -> bool:
    """Tell tar (also packed) and zip files by their content."""
    return path.is_file() and (zipfile.is_zipfile(path) or _is_tar(path))


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (EOFError, OSError, zlib.error):  # a packed file that is cut; whoever reads it next says so
        return False


def members(path: Path, suffixes: tuple[str, ...]) -> Iterator[File]:
    """Yield the files with one of these endings (lower case), sorted by name; those of a folder are not read yet."""
    if path.is_dir():
        return _folder(path, suffixes)
    if not path.exists():
        raise DataError(f"{path}: not found", fix="set data.path to a folder, or a tar or zip file")
    if zipfile.is_zipfile(path):
        return _zip(path, suffixes)
    if _is_tar(path):
        return _tar(path, suffixes)
    raise DataError(f"{path}: neither a folder nor a tar or zip file", fix="set data.path to one of these")


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def _wanted(name: str, suffixes: tuple[str, ...]) -> bool:
    ending = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a path object per file costs as much as reading it
    return ending in suffixes and not any(part.startswith((".", "__MACOSX")) for part in _parts(name))


def _folder(path: Path, suffixes: tuple[str, ...]) -> Iterator[OnDisk]:
    names: list[str] = []
    seen: set[str] = set()
    for folder, inner, found in os.walk(path, onerror=_stop, followlinks=True):
        inner[:] = [name for name in inner if not name.startswith((".", "__MACOSX"))]
        real = os.path.realpath(folder)
        if real in seen:
            raise DataError(f"{folder}: a link to {real}, which is read already", fix="remove the link")
        seen.add(real)
        below = os.path.relpath(folder, path)
        names += [name if below == "." else f"{below}/{name}" for name in found]
    for name in sorted((n for n in names if _wanted(n, suffixes)), key=lambda n: n.split("/")):
        yield OnDisk(name, f"{path}/{name}")


def _stop(wrong: OSError) -> None:
    raise DataError(f"{wrong.filename}: cannot be listed ({wrong.strerror})", fix="make the folder readable")


def _refuse(path: Path, name: str, why: str) -> DataError:
    return DataError(f"{path}: member {name!r} {why}", fix="make the archive again from plain files")


def _check(path: Path, name: str, size: int, packed: int) -> None:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith("/") or ".." in parts or (parts and parts[0].endswith(":")):
        raise _refuse(path, name, "points outside the archive")
    if size > _LARGEST_FILE or (packed and size > _LARGEST_RATIO * packed and size > 1024**2):
        raise _refuse(path, name, f"would unpack to {size / 1024**2:,.0f} MB")


def _zip(path: Path, suffixes: tuple[str, ...]) -> Iterator[Member]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = sorted(archive.infolist(), key=lambda e: e.filename)
            for before, entry in zip([None, *entries], entries, strict=False):
                if before is not None and before.filename == entry.filename:
                    raise _refuse(path, entry.filename, "stands there twice")
                if entry.is_dir():
                    continue
                _check(path, entry.filename, entry.file_size, entry.compress_size)
                if (entry.external_attr >> 16) & 0o170000 == 0o120000:
                    raise _refuse(path, entry.filename, "is a link")
                if _wanted(entry.filename, suffixes):
                    yield Member(entry.filename, archive.read(entry))
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, zlib.error, lzma.LZMAError) as wrong:
        raise DataError(f"{path}: damaged or locked ({wrong})", fix="download the archive again") from None


def _tar(path: Path, suffixes: tuple[str, ...]) -> Iterator[Member]:
    try:
        names: set[str] = set()
        with tarfile.open(path) as archive:
            for entry in archive:
                if entry.isdir():
                    continue
                if entry.name in names:
                    raise _refuse(path, entry.name, "stands there twice")
                names.add(entry.name)
                _check(path, entry.name, entry.size, 0)
                if not entry.isreg():
                    raise _refuse(path, entry.name, "is a link or a device")
                if _wanted(entry.name, suffixes):
                    opened = archive.extractfile(entry)
                    assert opened is not None
                    yield Member(entry.name.removeprefix("./"), opened.read())
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as wrong:
        raise DataError(f"{path}: damaged ({wrong})", fix="download the archive again") from None
