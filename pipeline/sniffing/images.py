"""Image files: their sizes, and tables with a column of their paths."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.decoding import SUFFIXES
from pipeline.datasets.members import File, OnDisk
from pipeline.datasets.progress import told
from pipeline.datasets.tables import Pool, split_pool
from pipeline.sniffing.files import file_keys
from pipeline.sniffing.found import Found, Wishes, counted, listed
from pipeline.sniffing.labels import choose_target, labelled
from pipeline.sniffing.rows import Raw
from pipeline.sniffing.tables import as_pool, column_hints, how_split, people, tell_split, weighing

_SIDE = 64
"""Images of different sizes, or larger ones, become squares of at most this side."""
_PATHS = 0.95
"""Share of the cells that must end like image files."""
_TRIED = 20


@dataclass
class Pictures:
    """What is remembered of the image files that can be opened; none is decoded."""

    files: list[OnDisk] = field(default_factory=list)
    """Their names and folders."""
    places: list[int] = field(default_factory=list)
    """Which of the files asked for each is."""
    keys: list[bytes] = field(default_factory=list)
    """Digest of the bytes."""
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Files by width and height."""
    unreadable: list[str] = field(default_factory=list)


def look(files: Iterable[File]) -> Pictures:
    """Read the heads of image files."""
    from PIL import Image, UnidentifiedImageError

    found = Pictures()
    for place, file in enumerate(told(files, "images")):
        try:
            data = file.data
            with Image.open(io.BytesIO(data)) as opened:
                found.sizes[opened.size] += 1
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
            found.unreadable.append(file.name)
            continue
        found.files.append(OnDisk(file.name, ""))
        found.places.append(place)
        found.keys.append(hashlib.blake2b(data, digest_size=16).digest())
    return found


def picture_keys(found: Found, pictures: Pictures, where: str) -> None:
    """Set the side, tell sizes and files that cannot be read; too many of those are refused."""
    sizes, n = pictures.sizes, len(pictures.files)
    wide, high = max(sizes, default=(0, 0))
    if len(sizes) == 1 and max(high, wide) <= _SIDE:
        found.keys["side"] = None
        found.facts.append(f"all of {wide} x {high} pixels")
    elif sizes:
        sides = sorted(min(size) for size, count in sizes.items() for _ in range(count))
        wide = high = found.keys["side"] = max(8, min(_SIDE, int(np.median(sides))))
        found.facts.append(
            f"short sides of {sides[0]:,} to {sides[-1]:,} pixels; each becomes {wide} x {wide}, its middle (data.side)"
        )
    if bad := len(pictures.unreadable):
        message = f"{counted(bad, 'image')} of {n + bad:,} cannot be read: {listed(pictures.unreadable, 3)}"
        if bad > found.settings().max_unreadable * (n + bad):
            raise DataError(f"{where}: {message}", fix="repair or remove them")
        found.warnings.append(f"WARNING {message}")
    found.work, found.amount = "image files", float(n)
    found.packed = float(n * 3 * high * wide)


def image_column(raw: Raw) -> str | None:
    """Return the first column of image paths."""
    frame = raw.frames["train"]
    for column in (c for c in raw.columns if c not in raw.kinds.numbers):
        known = frame[column].dropna().head(1000)
        if len(known) and known.str.lower().str.endswith(SUFFIXES).mean() >= _PATHS:
            return column
    return None


def sniff_image_table(raw: Raw, wishes: Wishes, seed: int, column: str) -> Found:
    """Return a table whose rows are image files with labels.

    Raises:
        ConfigError: a wish that does not fit images.
        DataError: the files are not where the table says.
    """
    if wishes.text or wishes.horizon or wishes.id:
        raise ConfigError(
            f"init: rows are images ('{column}'); text=, horizon= and id= do not fit", fix="leave them out"
        )
    raw.one_table()
    folder = _folder(raw, column)
    target, guess = choose_target(raw.frames["train"].drop(columns=column), wishes, raw.kinds.dates)
    found = Found("image_table", "image", file_keys(raw.files) | raw.keys)
    if folder != raw.files["train"].parent:
        found.keys["path"] = str(folder)
        found.keys |= {k: f"../{v}" for k, v in found.keys.items() if k.endswith("_file")}
    found.keys |= {"image_column": column, "target": target[0] if len(target) == 1 else target}
    found.facts += [*([guess] if guess else []), *raw.facts, f"paths of images in '{column}', from {folder}"]
    pool = as_pool(raw)
    pictures = look(OnDisk(str(cell), f"{folder}/{cell}") for cell in pool.frame[column])
    found.what = counted(len(pictures.files), "image") + " named in a table"
    picture_keys(found, pictures, raw.where)
    kept = np.array(pictures.places, dtype=np.int64)
    pool = Pool(pool.frame.iloc[kept], pool.given[kept], pool.files)
    labels = labelled(found, wishes, pool.frame[target], pool.given, raw.where)
    people(found, wishes, raw.frames["train"])
    weighing(found, wishes, pool.frame, raw.where)
    how, given = how_split(found, wishes, labels, pool)
    tell_split(found, labels, lambda settings: split_pool(settings, seed, pool, pictures.keys, labels), how, given)
    column_hints(found, wishes, raw, [c for c in raw.columns if c not in (column, *target, wishes.weight)])
    return found


def _folder(raw: Raw, column: str) -> Path:
    """Return the folder from which the paths start: that of the table or one in it."""
    top = raw.files["train"].parent
    cells: pd.Series = raw.frames["train"][column].dropna().head(_TRIED)
    for folder in (top, *sorted(p for p in top.iterdir() if p.is_dir())):
        if any((folder / str(cell)).is_file() for cell in cells):
            return folder
    raise DataError(f"{raw.where}: '{column}' names images, but {top / str(cells.iloc[0])} is not there",
                    fix="move the table to the folder from which its paths start, or say format=csv")  # fmt: skip
