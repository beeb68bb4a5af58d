"""Image sets: digits of scikit-learn and folders of idx files, packed as uint8 (N, C, H, W)."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import AuditFeature, DatasetCard, ImageInputs, SplitName
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.settings import DataSettings
from pipeline.datasets.audit import number_groups
from pipeline.datasets.csv_table import require_folder
from pipeline.datasets.idx import digest_arrays, digest_files, read_pair
from pipeline.datasets.packed import Prepared, Split
from pipeline.datasets.splits import check_classes, shared_rows, stratified

Part = tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]
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


def _take(images: NDArray[np.uint8], labels: NDArray[np.int64], ids: list[str], rows: NDArray[Any]) -> Part:
    return images[rows], labels[rows], [ids[i] for i in rows]


def _prepare(settings: DataSettings, seed: int, rest: Part, test: Part, digest: str) -> Prepared:
    where = settings.path or settings.name
    most = int(max(rest[1].max(), test[1].max()))
    classes = settings.classes or tuple(str(i) for i in range(most + 1))
    if most >= len(classes):
        raise DataError(
            f"{where}: labels go up to {most}, but only {len(classes)} classes are named", fix="complete data.classes"
        )
    check_classes(rest[1], classes, where)
    kept, off = stratified(rest[1], settings.val_fraction, seed, "val")
    parts: dict[SplitName, Part] = {"train": _take(*rest, kept), "val": _take(*rest, off), "test": test}
    features, groups = _audit(settings, parts)
    notes = []
    if same := shared_rows(rest[0], test[0]):
        notes.append(f"{same:,} test images equal some training image byte for byte")
    splits: dict[SplitName, Split] = {}
    for split, (x, y, ids) in parts.items():
        rows = pd.DataFrame({"row_id": ids} | {f"audit.{f.name}": groups[f.name][split] for f in features})
        splits[split] = Split(np.ascontiguousarray(x), y, rows)
    card = DatasetCard(
        name=settings.name,
        task="binary" if len(classes) == 2 else "multiclass",
        classes=classes,
        inputs=_inputs(parts["train"][0]),
        rows={split: len(y) for split, (_, y, _) in parts.items()},
        class_rows={s: tuple(int(n) for n in np.bincount(y, minlength=len(classes))) for s, (_, y, _) in parts.items()},
        audit=tuple(features),
        source_digest=digest,
        notes=tuple(notes),
    )
    return Prepared(card, splits)


def _inputs(train: NDArray[np.uint8]) -> ImageInputs:
    """Fit mean and standard deviation per channel on the training images, in units of [0, 1]."""
    flat = train.transpose(1, 0, 2, 3).reshape(train.shape[1], -1)
    mean = flat.mean(axis=1) / 255
    std = np.maximum(flat.std(axis=1) / 255, 1e-3)
    return ImageInputs(
        channels=train.shape[1],
        height=train.shape[2],
        width=train.shape[3],
        mean=tuple(round(float(m), 6) for m in mean),
        std=tuple(round(float(s), 6) for s in std),
    )


def _audit(
    settings: DataSettings, parts: dict[SplitName, Part]
) -> tuple[list[AuditFeature], dict[str, dict[str, NDArray[Any]]]]:
    features, groups = [], {}
    for role, declared in (("sensitive", settings.sensitive), ("slice", settings.slices)):
        for name, setting in declared.items():
            if setting.property is None:
                raise ConfigError(f"data.{role}.{name}: images have no column '{setting.column}'", fix="give property")
            values = {str(s): x.reshape(len(x), -1).mean(axis=1) / 255 for s, (x, _, _) in parts.items()}
            feature, groups[name] = number_groups(name, role, "mean intensity", setting, values["train"], values)
            features.append(feature)
    return features, groups
