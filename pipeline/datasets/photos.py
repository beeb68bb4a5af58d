"""Image files by class: a folder or an archive, any size and mode, decoded on all cores, one size for all.

The short side is scaled to `side` and the middle is cut out. What cannot be read is left out and named, up to a
declared share of the files. Pixels go to an unnamed file as they are decoded, so memory does not grow with the data.
"""

import hashlib
import io
import logging
import multiprocessing
import os
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.core.contracts import SplitName
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.store import ARTIFACTS
from pipeline.datasets.images import ImageRows, from_rows
from pipeline.datasets.labels import read_labels
from pipeline.datasets.members import Member, members
from pipeline.datasets.packed import Prepared
from pipeline.datasets.splits import RowFacts, split_rows

log = logging.getLogger("pipeline.prepare")

Image.MAX_IMAGE_PIXELS = None  # the limit below is stricter, and names the file
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
_MOST_PIXELS = 50_000_000
_MOST_EXTREME = 20
_AT_ONCE = 1024
_SAID_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class Photo:
    """One file: its pixels (H, W, 3) as bytes, or why there are none."""

    name: str
    label: str
    split: str | None
    pixels: NDArray[np.uint8] | None = None
    grey: bool = False
    failure: str | None = None


@dataclass
class Album:
    """What was decoded: pixels lie one after the other in an unnamed file, the rest is small."""

    shape: tuple[int, ...]
    names: list[str]
    labels: list[str]
    splits: list[str]
    grey: bool
    failed: list[str]
    digest: str
    store: IO[bytes]
    """(N, H, W, 3) bytes."""
    keys: list[bytes] = field(default_factory=list)
    """Digest of each image's pixels."""


def prepare_photos(settings: DataSettings, seed: int) -> Prepared:
    """Decode, check, split and pack the files below data.path."""
    if settings.path is None:
        raise ConfigError("data.path: not set", fix="data.path=<folder, tar or zip of images by class>")
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=ARTIFACTS) as store:
        album = read_album(Path(settings.path), settings, store)
        return _packed(album, settings, str(settings.path), seed)


def _packed(album: Album, settings: DataSettings, where: str, seed: int) -> Prepared:
    notes = quarantine(settings, len(album.names), album.failed)
    given = given_folders(album.splits)
    cells = pd.DataFrame({"class": album.labels}, index=album.names, dtype=object)
    labels = read_labels(settings, cells, given, where)
    wide, high = album.shape[1], album.shape[0]
    notes.append(f"{len(given):,} images of {wide} x {high} pixels, {'grey' if album.grey else 'in colour'}")
    places, split_notes = split_rows(settings, seed, RowFacts(album.keys, given, labels.strata, where=where))
    parts: dict[SplitName, ImageRows] = {
        split: ImageRows(_taken(album, rows), labels.y[rows], [album.names[i] for i in rows])
        for split, rows in places.items()
    }
    return from_rows(settings, parts, labels, album.digest, notes + split_notes)


def given_folders(splits: Sequence[str]) -> NDArray[np.object_]:
    """Return the split of each row as the folders say.

    Where there are train and val folders alone, val is what its makers tested on, and becomes the test split.
    """
    given = np.array(["" if split == "train" else split for split in splits], dtype=object)
    if (given == "val").any() and not (given == "test").any():
        given = np.where(given == "val", "test", given)
    return given


def read_album(path: Path, settings: DataSettings, store: IO[bytes]) -> Album:
    """Decode all files of a folder or archive in one pass; pixels go to `store`."""
    album = Album((), [], [], [], True, [], "", store)
    whole = hashlib.sha256()
    for photo in decoded_photos(path, settings):
        name = photo.name
        if photo.pixels is None:
            album.failed.append(f"{name} ({photo.failure})")
            continue
        if not album.shape:
            album.shape = photo.pixels.shape
        if photo.pixels.shape != album.shape:
            raise DataError(f"{path}: {name}: {_size(photo.pixels.shape)} pixels, the first image has "
                            f"{_size(album.shape)}", fix="give all the same size: data.side=64")  # fmt: skip
        data = photo.pixels.tobytes()
        store.write(data)
        whole.update(name.encode() + b"\0" + data)
        album.keys.append(hashlib.blake2b(data, digest_size=16).digest())
        album.names.append(name)
        album.labels.append(photo.label)
        album.splits.append(photo.split or "")
        album.grey &= photo.grey
        if len(album.names) % _SAID_EVERY == 0:
            log.info("%s images read", f"{len(album.names):,}")
    store.flush()
    album.digest = whole.hexdigest()
    return album


def decoded_photos(path: Path, settings: DataSettings) -> Iterator[Photo]:
    """Yield every image file in order; after the first thousand all cores decode, some thousands in memory at a time.

    Processes, not threads: decoding holds Python's lock for too long (threads on two cores gave 1.2 times one's speed).
    """
    one = partial(decode, side=settings.side)
    files = members(path, SUFFIXES)
    yield from map(one, islice(files, _AT_ONCE))
    first = list(islice(files, _AT_ONCE))
    if not first:
        return
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("forkserver")) as workers:
        batches = chain([first], iter(lambda: list(islice(files, _AT_ONCE)), []))
        under_way: deque[Iterator[Photo]] = deque()
        for batch in batches:
            under_way.append(workers.map(one, batch, chunksize=32))
            if len(under_way) > 2:
                yield from under_way.popleft()
        for photos in under_way:
            yield from photos


def decode(member: Member, side: int | None) -> Photo:
    """Return the pixels of a file as they are meant to be seen: upright, first frame, on white where transparent."""
    place = member.name, member.label, member.split
    try:
        with Image.open(io.BytesIO(member.data)) as opened:
            wide, high = opened.size
            if wide * high > _MOST_PIXELS:
                raise ValueError(f"{wide} x {high} pixels are too many")
            if max(wide, high) > _MOST_EXTREME * min(wide, high):
                raise ValueError(f"{wide} x {high} pixels are too narrow")
            if side is not None and opened.format == "JPEG":
                opened.draft(None, (2 * side, 2 * side))
            image = _plain(ImageOps.exif_transpose(opened))
            if side is not None:
                image = ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR)
            grey = image.mode == "L"
            pixels = np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as wrong:
        why = "no image" if isinstance(wrong, UnidentifiedImageError) else str(wrong).partition("\n")[0]
        return Photo(*place, failure=why)
    return Photo(*place, pixels, grey)


def _plain(image: Image.Image) -> Image.Image:
    """Return the image as 8-bit grey or colour."""
    if image.mode in ("I", "I;16", "I;16B", "F"):  # more than 8 bits: the range of the file becomes 0 to 255
        values = np.asarray(image, dtype=np.float64)
        low, high = values.min(), values.max()
        return Image.fromarray(np.round((values - low) * (255 / max(high - low, 1))).astype(np.uint8))
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return image.convert("RGB")


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"


def _taken(album: Album, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return some images as (n, C, H, W), memory-mapped in an unnamed file of their own."""
    channels, size = 1 if album.grey else 3, int(np.prod(album.shape))
    shape = (len(rows), channels, album.shape[0], album.shape[1])
    with tempfile.TemporaryFile(dir=ARTIFACTS) as store:
        for row in rows:
            pixels = np.frombuffer(os.pread(album.store.fileno(), size, int(row) * size), np.uint8)
            kept = pixels.reshape(album.shape)[..., :channels].transpose(2, 0, 1)
            store.write(np.ascontiguousarray(kept).tobytes())
        store.flush()
        taken: NDArray[np.uint8] = np.memmap(store, np.uint8, "r", shape=shape)
    return taken


def quarantine(settings: DataSettings, kept: int, failed: list[str]) -> list[str]:
    """Return the note on files that were left out; too many of them, or none left, is an error."""
    if not kept and not failed:
        raise DataError(f"{settings.path}: no images by class", fix="lay them out as <class>/<name>.jpg")
    if not failed:
        return []
    listed = "; ".join(failed[:5]) + (" …" if len(failed) > 5 else "")
    if len(failed) > settings.max_unreadable * (kept + len(failed)):
        message = f"{settings.path}: {len(failed):,} of {kept + len(failed):,} images cannot be read: {listed}"
        raise DataError(message, fix="repair or remove them, or raise data.max_unreadable")
    return [f"{len(failed):,} images could not be read and are left out: {listed}"]
