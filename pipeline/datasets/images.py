"""Image sets: digits of scikit-learn and folders of idx files, packed as uint8 (N, C, H, W)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import ImageInputs, SplitName
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets.assemble import Part, assemble
from pipeline.datasets.csv_table import require_folder
from pipeline.datasets.idx import digest_arrays, digest_files, read_pair
from pipeline.datasets.packed import Prepared, chunks
from pipeline.datasets.splits import check_classes, shared_rows, stratified

Rows = tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]
"""Images (N, C, H, W), labels (N,), row ids."""


def prepare_digits(settings: DataSettings, seed: int) -> Prepared:
    """Pack scikit-learn's 1,797 digits; grey levels 0 to 16 become 0 to 255."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    images = np.round(raw.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = raw.target.astype(np.int64)
    rest, off = stratified(labels, settings.test_fraction, seed, "test")
    ids = [f"digits:{i}" for i in range(len(labels))]
    digest = digest_arrays(images, labels)
    return _prepare(settings, seed, _take(images, labels, ids, rest), _take(images, labels, ids, off), digest)


def prepare_idx(settings: DataSettings, seed: int) -> Prepared:
    """Pack a folder of idx files; the given t10k files stay the test split."""
    folder = require_folder(settings)
    images, labels, files = read_pair(folder, "train")
    test_images, test_labels, test_files = read_pair(folder, "t10k")
    if images.shape[1:] != test_images.shape[1:]:
        raise DataError(f"{folder}: training images are {images.shape[2:]}, test images {test_images.shape[2:]}")
    parts = [(x, y, [f"{n}:{i}" for i in range(len(y))]) for x, y, n in
             ((images, labels, "train"), (test_images, test_labels, "t10k"))]  # fmt: skip
    return _prepare(settings, seed, parts[0], parts[1], digest_files(files + test_files))


def _take(images: NDArray[np.uint8], labels: NDArray[np.int64], ids: list[str], rows: NDArray[Any]) -> Rows:
    return images[rows], labels[rows], [ids[i] for i in rows]


def _prepare(settings: DataSettings, seed: int, rest: Rows, test: Rows, digest: str) -> Prepared:
    where = settings.path or settings.name
    most = int(max(rest[1].max(), test[1].max()))
    classes = settings.classes or tuple(str(i) for i in range(most + 1))
    if most >= len(classes):
        raise DataError(
            f"{where}: labels go up to {most}, but only {len(classes)} classes are named", fix="complete data.classes"
        )
    check_classes(rest[1], classes, where)
    kept, off = stratified(rest[1], settings.val_fraction, seed, "val")
    parts: dict[SplitName, Rows] = {"train": _take(*rest, kept), "val": _take(*rest, off), "test": test}
    return from_rows(settings, parts, classes, digest, [])


def from_rows(
    settings: DataSettings, parts: dict[SplitName, Rows], classes: tuple[str, ...], digest: str, notes: list[str]
) -> Prepared:
    """Return packed images with their statistics and audit groups."""
    seen = [parts["train"][0], parts["val"][0]]
    if same := shared_rows(seen, parts["test"][0]):
        notes.append(f"{same:,} test images equal some training image byte for byte")
    packed = {
        split: Part(x, y, ids, {"mean_intensity": np.concatenate([p.mean(axis=(1, 2, 3)) / 255 for p in chunks(x)])})
        for split, (x, y, ids) in parts.items()
    }
    return assemble(settings, classes, _inputs(parts["train"][0]), packed, digest, notes)


def _inputs(train: NDArray[np.uint8]) -> ImageInputs:
    """Fit mean and standard deviation per channel on the training images, in units of [0, 1], some rows at a time."""
    sums, squares = np.zeros(train.shape[1]), np.zeros(train.shape[1])
    for part in chunks(train):
        scaled = part.astype(np.float32) / 255
        sums += scaled.sum(axis=(0, 2, 3), dtype=float)
        squares += (scaled**2).sum(axis=(0, 2, 3), dtype=float)
    n = train.size / train.shape[1]
    mean = sums / n
    std = np.maximum(np.sqrt(np.maximum(squares / n - mean**2, 0)), 1e-3)
    return ImageInputs(
        channels=train.shape[1],
        height=train.shape[2],
        width=train.shape[3],
        mean=tuple(round(float(m), 6) for m in mean),
        std=tuple(round(float(s), 6) for s in std),
    )
