"""Image sets: digits of scikit-learn and folders of idx files, packed as uint8 (N, C, H, W)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import ImageInputs, SplitName
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets.assemble import Part, assemble
from pipeline.datasets.csv_table import require_folder
from pipeline.datasets.idx import digest_arrays, digest_files, read_pair
from pipeline.datasets.labels import Labels, read_labels
from pipeline.datasets.packed import Prepared, each
from pipeline.datasets.splits import RowFacts, array_keys, given_splits, split_rows
from pipeline.datasets.twins import near_twins


def prepare_digits(settings: DataSettings, seed: int) -> Prepared:
    """Pack scikit-learn's 1,797 digits; grey levels 0 to 16 become 0 to 255."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    images = np.round(raw.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = raw.target.astype(np.int64)
    ids = [f"digits:{i}" for i in range(len(labels))]
    sources = [ImageRows(images, labels, ids)]
    return prepare_arrays(settings, seed, sources, given_splits(train=len(labels)), digest_arrays(images, labels))


def prepare_idx(settings: DataSettings, seed: int) -> Prepared:
    """Pack a folder of idx files; the given t10k files stay the test split."""
    folder = require_folder(settings)
    images, labels, files = read_pair(folder, "train")
    test_images, test_labels, test_files = read_pair(folder, "t10k")
    if images.shape[1:] != test_images.shape[1:]:
        raise DataError(f"{folder}: training images are {images.shape[2:]}, test images {test_images.shape[2:]}")
    sources = [ImageRows(x, y, [f"{n}:{i}" for i in range(len(y))]) for x, y, n in
               ((images, labels, "train"), (test_images, test_labels, "t10k"))]  # fmt: skip
    given = given_splits(train=len(labels), test=len(test_labels))
    return prepare_arrays(settings, seed, sources, given, digest_files(files + test_files))


@dataclass(frozen=True)
class ImageRows:
    """Images (N, C, H, W), labels (N,) and row ids of one file."""

    images: NDArray[np.uint8]
    labels: NDArray[Any]
    ids: list[str]
    paths: Sequence[str] = ()
    """Names of the images' files where the ids are others."""
    weight: NDArray[np.float64] | None = None
    """How much each row counts in training, as in the file."""


def prepare_arrays(
    settings: DataSettings,
    seed: int,
    sources: Sequence[ImageRows],
    given: NDArray[np.object_],
    digest: str,
    notes: Sequence[str] = (),
) -> Prepared:
    """Split and pack images that lie in memory; `given` names the split of every row of all sources in order."""
    where = settings.path or settings.name
    numbers = np.concatenate([s.labels for s in sources])
    ids = [i for s in sources for i in s.ids]
    labels = _labels(settings, numbers, ids, given, where)
    keys = array_keys(*[s.images for s in sources])
    places, split_notes = split_rows(settings, seed, RowFacts(keys, given, labels.strata, where=where))
    images = [s.images for s in sources]
    parts = {
        split: ImageRows(_gathered(images, rows), labels.y[rows], [ids[i] for i in rows])
        for split, rows in places.items()
    }
    return from_rows(settings, parts, labels, digest, [*notes, *split_notes])


def _gathered(sources: Sequence[NDArray[np.uint8]], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return rows, counted over all sources in order; a source that is asked for as it lies is not copied."""
    start = 0
    found = np.empty((len(rows), *sources[0].shape[1:]), np.uint8)  # takes no memory until it is written to
    for source in sources:
        mine = (rows >= start) & (rows < start + len(source))
        if mine.all() and len(rows) == len(source) and (np.diff(rows) == 1).all():
            return source
        found[mine] = source[rows[mine] - start]
        start += len(source)
    return found


def _labels(
    settings: DataSettings, numbers: NDArray[Any], ids: list[str], given: NDArray[np.object_], where: str
) -> Labels:
    """Return the labels; numbered classes may have names in data.classes."""
    if settings.classes and numbers.ndim == 1 and np.issubdtype(numbers.dtype, np.integer):
        most = int(numbers.max())
        if most >= len(settings.classes):
            raise DataError(f"{where}: labels go up to {most}, but only {len(settings.classes)} classes are named",
                            fix="complete data.classes")  # fmt: skip
        cells = pd.DataFrame({"label": [settings.classes[i] for i in numbers]}, index=ids, dtype=object)
        return read_labels(settings, cells, given, where)
    columns = numbers[:, None] if numbers.ndim == 1 else numbers
    names = ["label"] if columns.shape[1] == 1 else [f"label_{i + 1}" for i in range(columns.shape[1])]
    cells = pd.DataFrame(columns.astype(str), columns=names, index=ids, dtype=object)
    whole = np.issubdtype(numbers.dtype, np.integer) and numbers.ndim == 1 and settings.task is None
    named = replace(settings, classes=tuple(str(i) for i in range(int(numbers.max()) + 1))) if whole else settings
    return read_labels(named, cells, given, where)


def from_rows(
    settings: DataSettings,
    rows: Mapping[SplitName, ImageRows],
    labels: Labels,
    digest: str,
    notes: list[str],
    columns: Mapping[SplitName, pd.DataFrame] | None = None,
) -> Prepared:
    """Return packed images with their statistics and audit groups; the ids are file names where there are files."""
    packed: dict[SplitName, Part] = {}
    for split, part in rows.items():
        means = np.concatenate(each(lambda x: x.mean(axis=(1, 2, 3)) / 255, part.images))
        own = columns[split] if columns else None
        paths, bright = part.paths or part.ids, {"mean_intensity": means}
        packed[split] = Part(part.images, part.labels, part.ids, bright, own, paths, part.weight)
    if twins := near_twins([part.images for split, part in rows.items() if split != "test"], rows["test"].images):
        same = "nearly equal to some training or validation image (difference hash)"
        notes = [*notes, f"{twins:,} of {len(rows['test'].images):,} test images are {same}"]
    return assemble(settings, labels, _inputs(rows["train"].images), packed, digest, notes)


def _inputs(train: NDArray[np.uint8]) -> ImageInputs:
    """Fit mean and standard deviation per channel on the training images, in units of [0, 1]."""

    def both(part: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        values = part.reshape(*part.shape[:2], -1).astype(float)  # sums of whole numbers: exact, whatever the order
        return values.sum(axis=(0, 2)), np.einsum("ncp,ncp->c", values, values)

    sums, squares = (np.sum(parts, axis=0) for parts in zip(*each(both, train), strict=True))
    n = train.size / train.shape[1]
    mean = sums / (n * 255)
    std = np.maximum(np.sqrt(np.maximum(squares / (n * 255**2) - mean**2, 0)), 1e-3)
    return ImageInputs(
        channels=train.shape[1],
        height=train.shape[2],
        width=train.shape[3],
        mean=tuple(round(float(m), 6) for m in mean),
        std=tuple(round(float(s), 6) for s in std),
    )
