"""A table with a column of image paths: its rows are decoded, labelled and split; its columns serve the audit."""

import hashlib
import posixpath
import tempfile
from pathlib import PureWindowsPath

import numpy as np

from pipeline.core.contracts import SplitName
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.store import ARTIFACTS
from pipeline.core.strict import nearest
from pipeline.datasets.csv_table import require_folder
from pipeline.datasets.idx import digest_files
from pipeline.datasets.images import ImageRows, from_rows
from pipeline.datasets.labels import read_labels
from pipeline.datasets.members import OnDisk
from pipeline.datasets.packed import Prepared
from pipeline.datasets.photos import Album, quarantine, read_album, taken
from pipeline.datasets.row_weights import read_weights
from pipeline.datasets.tables import Pool, read_pool, split_pool


def prepare_photo_table(settings: DataSettings, seed: int) -> Prepared:
    """Decode the images that the rows of data.train_file (val_file, test_file) name, then split and pack them.

    Paths start at data.path and stay below it. A row without a readable image is left out and named, up to the share
    data.max_unreadable. Every column of the table can group rows for the audit, one may weigh them; none is an input.
    """
    folder = require_folder(settings)
    pool = read_pool(settings)
    column = _image_column(settings, pool)
    files: list[OnDisk] = []
    rows: list[int] = []
    refused: list[str] = []
    for row, (name, cell) in enumerate(zip(pool.frame.index, pool.frame[column], strict=True)):
        if why := refusal(cell):
            refused.append(f"{name} {cell or ''}".strip() + f" ({why})")
        else:
            files.append(OnDisk(cell, f"{folder}/{cell}"))
            rows.append(row)
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=ARTIFACTS) as store:
        album = read_album(str(folder), files, settings, store)
        album.failed[:0] = refused
        notes = quarantine(settings, len(album.names), album.failed)
        kept = np.array(rows, np.int64)[album.places]
        return _packed(album, Pool(pool.frame.iloc[kept], pool.given[kept], pool.files), settings, notes, seed)


def _packed(album: Album, pool: Pool, settings: DataSettings, notes: list[str], seed: int) -> Prepared:
    labels = read_labels(settings, pool.frame[list(settings.targets)], pool.given, str(pool.files[0]))
    notes.append(f"{len(album.names):,} images of {album.size}")
    if again := len(album.names) - len(set(album.names)):
        notes.append(f"{again:,} rows name an image that an earlier row names too")
    weight = read_weights(settings, pool.frame, str(pool.files[0]))
    places, split_notes = split_pool(settings, seed, pool, album.keys, labels)
    parts: dict[SplitName, ImageRows] = {}
    for split, rows in places.items():
        ids = [str(i) for i in pool.frame.index[rows]]
        own = None if weight is None else weight[rows]
        parts[split] = ImageRows(taken(album, rows), labels.y[rows], ids, [album.names[i] for i in rows], own)
    columns = {split: pool.frame.iloc[rows] for split, rows in places.items()}
    digest = hashlib.sha256(f"{digest_files(pool.files)} {album.digest}".encode()).hexdigest()
    return from_rows(settings, parts, labels, digest, notes + split_notes, columns)


def _image_column(settings: DataSettings, pool: Pool) -> str:
    names = [str(name) for name in pool.frame.columns]
    if settings.image_column is None:
        raise ConfigError("data.image_column: not set", fix=f"name the column with the paths: {', '.join(names[:20])}")
    if settings.image_column not in names:
        near = nearest(settings.image_column, names)
        fix = f"did you mean '{near}'?" if near else f"columns: {', '.join(names[:20])}"
        raise DataError(f"{pool.files[0]}: no column '{settings.image_column}' (data.image_column)", fix=fix)
    return settings.image_column


def refusal(cell: str | None) -> str | None:
    """Return why a cell cannot be a path below the folder; links in the folder are followed, they are the user's."""
    if not cell:
        return "no path"
    if cell.startswith("/") or PureWindowsPath(cell).drive:
        return "an absolute path"
    if "\0" in cell:
        return "not a path"
    return "leaves the folder" if posixpath.normpath(cell).split("/")[0] == ".." else None
