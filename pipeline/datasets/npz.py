"""Images and labels as arrays of one .npz file, as Keras and MedMNIST write them. Nothing in it is ever executed."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.store import sha256_file
from pipeline.datasets.csv_table import find_file
from pipeline.datasets.images import ImageRows, prepare_arrays
from pipeline.datasets.packed import Prepared, chunks
from pipeline.datasets.splits import given_splits

_SPLITS: Mapping[str, tuple[tuple[str, str], ...]] = {
    split: tuple(pair for short in shorts for pair in
                 ((f"x_{short}", f"y_{short}"), (f"{short}_images", f"{short}_labels")))
    for split, shorts in {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}.items()
}  # fmt: skip
_WHOLE = (("x", "y"), ("images", "labels"), ("x", "labels"), ("images", "y"))
_FIX = "name the arrays x_train, y_train, x_test, y_test, or x and y"
_CHANNELS = (1, 3)
_MOST_CLASSES = 100_000

Found = dict[str, tuple[str, str]]
"""Names of the images and labels of each split."""


def prepare_npz(settings: DataSettings, seed: int) -> Prepared:
    """Read, check, split and pack the arrays of a file; given test (and val) arrays stay that split."""
    path = _file(settings)
    sources: dict[str, ImageRows] = {}
    notes: list[str] = []
    with _opened(path) as archive:
        for split, (x_name, y_name) in array_names(path, archive).items():
            where = f"{path}: {x_name}"
            images, image_notes = as_bytes(where, as_channels(where, read_array(path, archive, x_name)))
            labels = as_labels(f"{path}: {y_name}", read_array(path, archive, y_name), settings)
            if len(images) != len(labels):
                message = f"{where}: {len(images):,} images, but {len(labels):,} labels in {y_name}"
                raise DataError(message, fix="write the file again with a label per image")
            sources[split] = ImageRows(images, labels, [f"{split}:{i}" for i in range(len(labels))])
            notes += image_notes
    shapes = {split: source.images.shape[1:] for split, source in sources.items()}
    for split, shape in shapes.items():
        if shape != shapes["train"]:
            raise DataError(f"{path}: images of train are {_words(shapes['train'])}, of {split} {_words(shape)}",
                            fix="give all images the same size and channels")  # fmt: skip
    kinds = {source.labels.dtype.kind for source in sources.values()}
    if len(kinds) > 1:
        raise DataError(f"{path}: labels are numbers in one split and text in another", fix="write them all alike")
    given = given_splits(**{split: len(source.labels) for split, source in sources.items()})
    return prepare_arrays(settings, seed, list(sources.values()), given, sha256_file(path), notes)


def _file(settings: DataSettings) -> Path:
    if settings.path is None:
        raise ConfigError("data.path: not set", fix="data.path=<file.npz>, or its folder and data.train_file")
    path = Path(settings.path)
    if path.is_dir():
        if settings.train_file is None:
            raise ConfigError(f"data.train_file: not set, and {path} is a folder", fix="name the .npz file in it")
        return find_file(settings, settings.train_file)
    if not path.is_file():
        raise DataError(f"{path}: not found", fix="data.path=<file.npz>")
    return path


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as wrong:
        fix = "download the file again, or write it with numpy.savez"
        raise DataError(f"{path}: not an .npz file, or cut off ({wrong})", fix=fix) from None


def array_names(path: Path, archive: zipfile.ZipFile) -> Found:
    """Return which arrays hold images and labels of each split; one array of all rows counts as train."""
    names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    held = {name.lower(): name for name in names}
    if len(held) < len(names):
        raise DataError(f"{path}: arrays of the same name: {', '.join(sorted(names)[:10])}", fix=_FIX)
    found: Found = {}
    for split, pairs in {**_SPLITS, "": _WHOLE}.items():
        images = [p for p in pairs if p[0] in held]
        whole = [p for p in images if p[1] in held]
        if len({p[0] for p in images}) > 1 or len(whole) > 1:
            raise DataError(f"{path}: images of {split or 'all rows'} stand there twice: {_listed(held)}", fix=_FIX)
        if images and not whole:
            raise DataError(f"{path}: {held[images[0][0]]} without {images[0][1]}; it holds {_listed(held)}", fix=_FIX)
        if whole and not split and found:
            raise DataError(f"{path}: arrays of all rows and of single splits: {_listed(held)}", fix=_FIX)
        if whole:
            found[split or "train"] = held[whole[0][0]], held[whole[0][1]]
    if "train" not in found:
        raise DataError(f"{path}: no training images; it holds {_listed(held)}", fix=_FIX)
    return found


def _listed(held: Mapping[str, str]) -> str:
    return ", ".join(sorted(held.values())[:10]) or "no arrays"


def read_array(path: Path, archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Return one array; what the header announces must lie there before memory is taken for it."""
    where = f"{path}: {name}"
    try:
        with archive.open(f"{name}.npy") as opened:
            version = np.lib.format.read_magic(opened)
            reads = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, kind = reads(opened)
            if kind.hasobject:
                fix = "write plain numbers, or text as a string array (astype(str))"
                raise DataError(f"{where}: Python objects (pickled), which are never read", fix=fix)
            announced = opened.tell() + int(np.prod(shape, dtype=object)) * kind.itemsize
        size = archive.getinfo(f"{name}.npy").file_size
        if announced != size:
            message = f"{where}: announces {announced:,} bytes, holds {size:,}"
            raise DataError(message, fix="download the file again")
        with archive.open(f"{name}.npy") as opened:
            return np.asarray(np.lib.format.read_array(opened, allow_pickle=False))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as wrong:
        raise DataError(f"{where}: damaged ({_first(wrong)})", fix="download the file again") from None


def _first(wrong: Exception) -> str:
    return str(wrong).partition("\n")[0] or type(wrong).__name__


def as_channels(where: str, images: NDArray[Any]) -> NDArray[Any]:
    """Return images of (N, H, W), (N, H, W, C) or (N, C, H, W) as (N, C, H, W), a view; 1 or 3 channels."""
    if images.size == 0:
        raise DataError(f"{where}: holds no images, its shape is {images.shape}", fix="write the file again")
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[3] in _CHANNELS:
        return images.transpose(0, 3, 1, 2)
    if images.ndim == 4 and images.shape[1] in _CHANNELS:
        return images
    raise DataError(f"{where}: shape {images.shape} is not that of images",
                    fix="write (N, H, W) or (N, H, W, C) with 1 or 3 channels")  # fmt: skip


def as_bytes(where: str, images: NDArray[Any]) -> tuple[NDArray[np.uint8], list[str]]:
    """Return images as bytes; numbers with fractions from 0 to 1 become 0 to 255, which the note says."""
    if images.dtype == np.uint8:
        return images, []
    if images.dtype.kind not in "fiub":
        fix = "write bytes (uint8), or numbers from 0 to 1"
        raise DataError(f"{where}: values of type {images.dtype} are no pixels", fix=fix)
    extremes = [(part.min(), part.max()) for part in chunks(images)]
    low, high = float(np.min([e[0] for e in extremes])), float(np.max([e[1] for e in extremes]))
    if images.dtype.kind != "f" or not (low >= 0 and high <= 1):
        raise DataError(f"{where}: values of type {images.dtype} from {low:g} to {high:g}",
                        fix="write bytes (uint8) from 0 to 255, or fractions from 0 to 1")  # fmt: skip
    pixels = np.empty(images.shape, np.uint8)
    at = 0
    for part in chunks(images):
        pixels[at : at + len(part)] = np.rint(part.astype(np.float32) * 255)
        at += len(part)
    return pixels, [f"{where.rpartition(' ')[2]}: values from {low:g} to {high:g} became bytes from 0 to 255"]


def as_labels(where: str, labels: NDArray[Any], settings: DataSettings) -> NDArray[Any]:
    """Return labels as whole numbers or text (N,); numbers with fractions, or (N, K), only as data.task declares."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 and not (labels.ndim == 2 and settings.task in ("multilabel", "regression")):
        fix = "write the class numbers (argmax of one-hot rows), or declare data.task=multilabel"
        raise DataError(f"{where}: shape {labels.shape}, one label per image is expected", fix=fix)
    if labels.dtype.kind in "SU":
        return _as_text(where, labels)
    if labels.dtype.kind not in "fiub":
        fix = "write whole numbers or text"
        raise DataError(f"{where}: values of type {labels.dtype} are no labels", fix=fix)
    if settings.task == "regression":
        return labels.astype(np.float64)
    with np.errstate(invalid="ignore"):  # NaN and infinite become some number, which then differs
        whole = labels.astype(np.int64)
    if (wrong := np.flatnonzero(whole.ravel() != labels.ravel())).size:
        fix = "write whole numbers or text, or declare data.task=regression"
        raise DataError(f"{where}: {labels.ravel()[wrong[0]]:g} in row {wrong[0]} is no whole number", fix=fix)
    if len(whole) and (whole.min() < 0 or whole.max() >= _MOST_CLASSES):
        raise DataError(f"{where}: class numbers from {whole.min()} to {whole.max()} for {len(whole):,} images",
                        fix="number the classes from 0, write text, or declare data.task=regression")  # fmt: skip
    return whole


def _as_text(where: str, labels: NDArray[Any]) -> NDArray[Any]:
    try:
        return np.char.decode(labels, "utf-8") if labels.dtype.kind == "S" else labels
    except UnicodeDecodeError as strange:
        raise DataError(f"{where}: text that is not UTF-8 ({strange.reason})", fix="write str arrays") from None


def _words(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)
