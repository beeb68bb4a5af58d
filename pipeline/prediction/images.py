"""Raw images to encoded rows: files, folders, archives, tables of paths, idx and .npz files, arrays."""

import math
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import ImageInputs, Intake
from pipeline.core.errors import DataError
from pipeline.datasets.decoding import SUFFIXES, Photo
from pipeline.datasets.idx import read_idx
from pipeline.datasets.members import File, OnDisk, is_archive, members
from pipeline.datasets.npz import as_bytes, as_channels, read_array
from pipeline.datasets.photo_table import refusal
from pipeline.datasets.photos import pictured, unlike
from pipeline.prediction.block import Block, Remarks, unusual
from pipeline.prediction.cells import cells_of
from pipeline.prediction.rows import wanted

_PIXELS = 2**23
"""Values held at once."""
_IMAGES = ("x_test", "test_images", "x", "images")
"""Names of the array that is read of an .npz file; of a file with one array it may be any."""


def image_blocks(
    source: Path | pd.DataFrame | NDArray[Any], intake: Intake, inputs: ImageInputs, *, spread: bool = False
) -> Iterator[Block]:
    """Yield encoded images; `spread` lets all cores decode files, in processes of their own."""
    if isinstance(source, np.ndarray):
        return _array_blocks("the array", source, "", intake, inputs)
    if isinstance(source, pd.DataFrame) or _is_table(source, intake):
        return _table_blocks(source, intake, inputs, spread)
    if not source.exists():
        raise DataError(f"{source}: not found", fix="check the path")
    ending = Path(source.name.removesuffix(".gz")).suffix.lower()
    if source.is_file() and ending == ".npz":
        return _array_blocks(str(source), _npz(source), source.name, intake, inputs)
    if source.is_dir() or is_archive(source):
        return _file_blocks(str(source), members(source, SUFFIXES), intake, inputs, spread)
    if ending in SUFFIXES:
        return _file_blocks(str(source), [OnDisk(source.name, str(source))], intake, inputs, spread)
    return _array_blocks(str(source), read_idx(source, 3)[:, None], source.name, intake, inputs)


def _is_table(path: Path, intake: Intake) -> bool:
    ending = Path(path.name.removesuffix(".gz")).suffix.lower()
    return intake.data.image_column is not None and ending in (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


def _file_blocks(
    where: str, files: Iterable[File], intake: Intake, inputs: ImageInputs, spread: bool
) -> Iterator[Block]:
    photos, some = pictured(files, intake.data.side, spread=spread), False
    while held := list(islice(photos, _at_once(inputs))):
        some = True
        yield _photo_block(held, [photo.name for photo in held], intake, inputs)
    if not some:
        raise DataError(f"{where}: no images", fix="give a folder or an archive with image files")


def _table_blocks(source: Path | pd.DataFrame, intake: Intake, inputs: ImageInputs, spread: bool) -> Iterator[Block]:
    """Yield the images that a table names; paths start at the folder of the table, of a frame at the working folder."""
    column = intake.data.image_column
    if column is None:
        raise DataError("the frame: this network reads images", fix="give paths of images, or an array")
    folder = source.parent if isinstance(source, Path) else Path()
    for cells in cells_of(source, intake.data, wanted([column], intake)):
        named = cells.frame[column].tolist()
        wrong = [why or refusal(name) for why, name in zip(cells.refused, named, strict=True)]
        files = (OnDisk(name, f"{folder}/{name}") for name, why in zip(named, wrong, strict=True) if not why)
        photos = pictured(files, intake.data.side, spread=spread)
        for start in range(0, len(named), _at_once(inputs)):
            ids = cells.ids[start : start + _at_once(inputs)]
            held = [Photo(i, "", None, failure=why) if why else next(photos)
                    for i, why in zip(ids, wrong[start:], strict=False)]  # fmt: skip
            yield _photo_block(held, ids, intake, inputs)


def _photo_block(photos: Sequence[Photo], ids: list[str], intake: Intake, inputs: ImageInputs) -> Block:
    refused = [unlike(photo, inputs) for photo in photos]
    kept = [p.pixels for p, why in zip(photos, refused, strict=True) if why is None and p.pixels is not None]
    x = np.empty((len(kept), inputs.channels, inputs.height, inputs.width), np.uint8)
    for row, pixels in enumerate(kept):
        x[row] = pixels[..., : inputs.channels].transpose(2, 0, 1)
    return _block(x, ids, refused, intake, inputs)


def _array_blocks(where: str, images: NDArray[Any], name: str, intake: Intake, inputs: ImageInputs) -> Iterator[Block]:
    x, _ = as_bytes(where, as_channels(where, images))
    if (shape := x.shape[1:]) != (inputs.channels, inputs.height, inputs.width):
        read = (inputs.channels, inputs.height, inputs.width)
        raise DataError(f"{where}: channels, height and width are {shape}, the network reads {read}",
                        fix="give images like those it was trained on")  # fmt: skip
    for start in range(0, len(x), _at_once(inputs)):
        part = x[start : start + _at_once(inputs)]
        ids = [f"{name}:{start + i}".lstrip(":") for i in range(len(part))]
        yield _block(part, ids, [None] * len(ids), intake, inputs)


def _block(
    x: NDArray[np.uint8], ids: list[str], refused: Sequence[str | None], intake: Intake, inputs: ImageInputs
) -> Block:
    remarks = Remarks(len(ids))
    unusual(x, inputs, intake, remarks, np.flatnonzero([why is None for why in refused]))
    return Block(ids=ids, x=x, flags=remarks.listed(), refused=refused)


def _npz(path: Path) -> NDArray[Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            found = [name for name in names if name.lower() in _IMAGES] or (names if len(names) == 1 else [])
            if len(found) != 1:
                raise DataError(f"{path}: which array holds the images is not clear; it holds {', '.join(names[:10])}",
                                fix=f"name it {_IMAGES[-1]}, and no other {', '.join(_IMAGES[:-1])}")  # fmt: skip
            return read_array(path, archive, found[0])
    except (zipfile.BadZipFile, OSError) as wrong:
        raise DataError(f"{path}: not an .npz file, or cut off ({wrong})", fix="write it with numpy.savez") from None


def _at_once(inputs: ImageInputs) -> int:
    return max(1, _PIXELS // math.prod((inputs.channels, inputs.height, inputs.width)))
