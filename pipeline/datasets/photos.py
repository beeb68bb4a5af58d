"""Image files by class: a folder or an archive, any size and mode, decoded on all cores, one size for all.

The short side is scaled to `side` and the middle is cut out. What cannot be read is left out and named, up to a
declared share of the files. Pixels go to an unnamed file where they are decoded, so memory does not grow with the data.
"""

import hashlib
import math
import multiprocessing
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import ImageInputs, SplitName
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.store import ARTIFACTS
from pipeline.datasets.decoding import SUFFIXES, Photo, decode, put, put_received, receive
from pipeline.datasets.images import ImageRows, from_rows
from pipeline.datasets.labels import read_labels
from pipeline.datasets.members import File, members
from pipeline.datasets.packed import Prepared, on_all_cores
from pipeline.datasets.progress import told
from pipeline.datasets.splits import RowFacts, split_rows
from pipeline.datasets.stores import Store

__all__ = ["SUFFIXES", "Album", "Photo", "decode", "prepare_photos", "quarantine", "read_album", "taken", "unlike"]

_AT_ONCE = 1024


@dataclass
class Album:
    """What was decoded: pixels lie one after the other in an unnamed file, the rest is small."""

    store: IO[bytes]
    """(F, H, W, 3) bytes, one place for each of the files; `places` says where the images lie."""
    shape: tuple[int, ...] = ()
    """(H, W, 3)."""
    names: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    """Which of the files each image is, counted from 0 and with those that failed."""
    keys: list[bytes] = field(default_factory=list)
    """Digest of each image's pixels."""
    grey: bool = True
    failed: list[str] = field(default_factory=list)
    digest: str = ""

    @property
    def size(self) -> str:
        """How large the images are, in words."""
        return f"{_size(self.shape)} pixels, {'grey' if self.grey else 'in colour'}"


def prepare_photos(settings: DataSettings, seed: int) -> Prepared:
    """Decode, check, split and pack the files below data.path."""
    if settings.path is None:
        raise ConfigError("data.path: not set", fix="data.path=<folder, tar or zip of images by class>")
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=ARTIFACTS) as store:
        album = read_album(settings.path, members(Path(settings.path), SUFFIXES), settings, store)
        return _packed(album, settings, str(settings.path), seed)


def _packed(album: Album, settings: DataSettings, where: str, seed: int) -> Prepared:
    notes = quarantine(settings, len(album.names), album.failed)
    given = given_folders(album.splits)
    cells = pd.DataFrame({"class": album.labels}, index=album.names, dtype=object)
    labels = read_labels(settings, cells, given, where)
    notes.append(f"{len(given):,} images of {album.size}")
    places, split_notes = split_rows(settings, seed, RowFacts(album.keys, given, labels.strata, where=where))
    parts: dict[SplitName, ImageRows] = {
        split: ImageRows(taken(album, rows), labels.y[rows], [album.names[i] for i in rows])
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


def read_album(where: str, files: Iterable[File], settings: DataSettings, store: IO[bytes]) -> Album:
    """Decode all files in one pass; pixels go to `store`, `where` is named in messages."""
    album = Album(store)
    whole = hashlib.sha256()
    for place, photo in enumerate(told(decoded(files, settings.side, Store(store.fileno())), "images")):
        name = photo.name
        if photo.failure is not None:
            album.failed.append(f"{name} ({photo.failure})")
            continue
        if not album.shape:
            album.shape = photo.shape
        if photo.shape != album.shape:
            raise DataError(f"{where}: {name}: {_size(photo.shape)} pixels, the first image has "
                            f"{_size(album.shape)}", fix="give all the same size: data.side=64")  # fmt: skip
        whole.update(f"{name}\0{album.shape}\0".encode() + photo.key)
        album.keys.append(photo.key)
        album.names.append(name)
        album.labels.append(photo.label)
        album.splits.append(photo.split or "")
        album.places.append(place)
        album.grey &= photo.grey
    album.digest = whole.hexdigest()
    return album


def decoded(files: Iterable[File], side: int | None, store: Store) -> Iterator[Photo]:
    """Write every image to the store and yield the rest of it in order.

    Processes read the files of a folder and write the pixels themselves: pixels that came back through a pipe would be
    copied five times on the way.
    """
    rest = enumerate(files)
    shape: tuple[int, ...] | None = None if side is None else (side, side, 3)
    while shape is None and (item := next(rest, None)):  # the first image says how large all are
        photo = put(*item, side, None, store)
        shape = photo.shape or None
        yield photo
    here = partial(put, side=side, shape=shape, store=store)
    yield from on_all_processes(partial(put_received, side=side, shape=shape), rest, here, store)


def pictured(files: Iterable[File], side: int | None, *, spread: bool) -> Iterator[Photo]:
    """Yield every image in order, with its pixels.

    Without `spread` this process does all: a script that starts others must guard its main part.
    """
    one = partial(decode, side=side)
    yield from on_all_processes(one, ((file,) for file in files), one) if spread else map(one, files)


def on_all_processes(
    one: Callable[..., Photo], items: Iterable[tuple[Any, ...]], here: Callable[..., Photo], store: Store | None = None
) -> Iterator[Photo]:
    """Yield one(*item) in order, some thousands at a time; all cores work where there are over a thousand items.

    Processes, not threads: decoding holds Python's lock for too long (threads on two cores gave 1.2 times one's speed).
    `here` does the same in this process, for few; `store` is handed to every process as it starts.
    """
    rest = iter(items)
    first = list(islice(rest, _AT_ONCE))
    if len(first) < _AT_ONCE:
        yield from (here(*item) for item in first)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([decode.__module__])  # imported once, not once per process
    begin = () if store is None else (receive, (store,))
    with ProcessPoolExecutor(os.cpu_count(), context, *begin) as workers:
        batches = chain([first], iter(lambda: list(islice(rest, _AT_ONCE)), []))
        under_way: deque[Iterator[Photo]] = deque()
        for batch in batches:
            under_way.append(workers.map(one, *zip(*batch, strict=True), chunksize=32))
            if len(under_way) > 2:
                yield from under_way.popleft()
        for photos in under_way:
            yield from photos


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"


def taken(album: Album, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return some images as (n, C, H, W), memory-mapped in an unnamed file of their own."""
    channels = 1 if album.grey else 3
    shape = (len(rows), channels, album.shape[0], album.shape[1])
    source = Store(album.store.fileno())
    with tempfile.TemporaryFile(dir=ARTIFACTS) as store:
        target = Store(store.fileno())

        def copy(part: slice) -> None:
            images = np.stack([source.get(album.places[row], album.shape) for row in rows[part]])
            target.put(np.ascontiguousarray(images[..., :channels].transpose(0, 3, 1, 2)), part.start)

        on_all_cores(copy, len(rows), math.prod(album.shape))
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


def unlike(photo: Photo, inputs: ImageInputs) -> str | None:
    """Return why an image is not one that a network with such inputs reads."""
    if photo.pixels is None:
        return f"cannot be read: {photo.failure}"
    high, wide = photo.pixels.shape[:2]
    if (high, wide) != (inputs.height, inputs.width):
        return f"{wide} x {high} pixels, the network reads {inputs.width} x {inputs.height}"
    return "in colour, the training images were all grey" if inputs.channels == 1 and not photo.grey else None
