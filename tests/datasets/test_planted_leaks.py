"""Leaks planted on purpose, one kind per modality: rows of the test among those of training, in each way data come.

A column that gives the target away is planted in test_checks.py, a future window in test_forecasts.py.
"""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets import Prepared, prepare_dataset
from tests.datasets.test_photos import picture

TRAIN, TEST, COPIES = 40, 20, 4
Writer = Callable[[Path, list[int], list[int]], dict[str, Any]]
"""Writes rows with the given contents to a training and a test file, and returns what to declare."""


@pytest.fixture(autouse=True)
def work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages write below the folder they run in."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def images(folder: Path, train: list[int], test: list[int]) -> dict[str, Any]:
    """Each copy has a file name of its own, and another way of saving: pixels count, not files."""
    for split, contents in (("train", train), ("test", test)):
        for i, content in enumerate(contents):
            path = folder / "photos" / split / ("cat" if content % 2 else "dog") / f"{split}_{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(seed=content, compress_level=1 if split == "train" else 9))
    return {"format": "images", "path": str(folder / "photos"), "side": 8}


def lines(folder: Path, train: list[int], test: list[int], head: str, line: Callable[[int], str]) -> dict[str, Any]:
    for split, contents in (("train", train), ("test", test)):
        (folder / f"{split}.csv").write_text("\n".join([head, *map(line, contents)]) + "\n")
    return {"path": str(folder), "train_file": "train.csv", "test_file": "test.csv"}


def tables(folder: Path, train: list[int], test: list[int]) -> dict[str, Any]:
    found = lines(folder, train, test, "a,b,label", lambda k: f"{k * 1.5},{k % 7},{'yes' if k % 2 else 'no'}")
    return {"format": "csv", "target": "label"} | found


def texts(folder: Path, train: list[int], test: list[int]) -> dict[str, Any]:
    """A copy differs in space and capitals: words count."""
    found = lines(folder, train, test, "text,label", lambda k: f"the film number {k},{'yes' if k % 2 else 'no'}")
    path = folder / "test.csv"
    path.write_text(path.read_text().replace("the film", "The   FILM"))
    return {"format": "text", "target": "label", "text": ("text",)} | found


def series(folder: Path, train: list[int], test: list[int]) -> dict[str, Any]:
    found = lines(
        folder, train, test, ",".join(["label", *(f"s{i}" for i in range(6))]),
        lambda k: ",".join(["up" if k % 2 else "down", *(str((k * 7 + i * i) % 997 / 10) for i in range(6))]),
    )  # fmt: skip
    return {"format": "series", "target": "label"} | found


def read(folder: Path, write: Writer, train: list[int], test: list[int], **changes: Any) -> Prepared:
    declared = {"name": "t", "sensitive": {}, "slices": {}} | write(folder, train, test) | changes
    return prepare_dataset(DataSettings(**declared), 7)


def contents_of(prepared: Prepared, written: dict[str, list[int]]) -> dict[str, set[int]]:
    """Return what was written to the rows of each split; rows are called "train.csv:1" or "…/train_0.png"."""
    held: dict[str, set[int]] = {}
    for split, part in prepared.splits.items():
        for name in part.rows["row_id"]:
            file, number = re.fullmatch(r"(?:.*/)?(train|test)(?:\.csv:|_)(\d+)(?:\.png)?", name).groups()  # type: ignore[union-attr]
            place = int(number) - name.endswith(number)
            held.setdefault(split, set()).add(written[file][place])
    return held


MODALITIES = pytest.mark.parametrize("write", [images, tables, texts, series])
CLEAN = list(range(TRAIN)), list(range(TRAIN, TRAIN + TEST))
LEAKY = CLEAN[0], [*CLEAN[1][:-COPIES], *range(2, 2 + COPIES)]


@MODALITIES
def test_files_without_common_rows_raise_no_alarm(tmp_path: Path, write: Writer) -> None:
    prepared = read(tmp_path, write, *CLEAN)
    assert prepared.card.rows["test"] == TEST
    assert not any("same content" in note for note in prepared.card.notes)


@MODALITIES
def test_test_rows_that_stand_in_training_are_refused_with_count_and_fix(tmp_path: Path, write: Writer) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, write, *LEAKY)
    assert f"{COPIES} of {TEST} test rows (20.0%) also stand among training or validation rows" in str(caught.value)
    assert caught.value.fix
    assert "data.duplicates=drop" in caught.value.fix


@MODALITIES
def test_declared_copies_are_kept_and_counted(tmp_path: Path, write: Writer) -> None:
    prepared = read(tmp_path, write, *LEAKY, duplicates="keep")
    assert sum(prepared.card.rows.values()) == TRAIN + TEST
    told = f"{COPIES} of {TEST} test rows (20.0%) have the same content as some training or validation row"
    assert told in prepared.card.notes


@MODALITIES
def test_dropped_copies_leave_training_and_the_test_stays_whole(tmp_path: Path, write: Writer) -> None:
    prepared = read(tmp_path, write, *LEAKY, duplicates="drop")
    assert prepared.card.rows["test"] == TEST
    assert sum(prepared.card.rows.values()) == TRAIN + TEST - COPIES
    told = f"{COPIES} rows that equal a test row are left out of training (data.duplicates=drop)"
    assert told in prepared.card.notes
    held = contents_of(prepared, {"train": LEAKY[0], "test": LEAKY[1]})
    assert not held["test"] & (held["train"] | held["val"])


@MODALITIES
@limits(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), twins=st.integers(1, 3))
def test_splits_made_here_never_part_equal_rows(write: Writer, seed: int, twins: int) -> None:
    rng = np.random.default_rng(seed)
    contents = [*range(60), *(int(c) for c in rng.choice(60, twins, replace=False))]
    shuffled = [contents[i] for i in rng.permutation(len(contents))]
    with tempfile.TemporaryDirectory() as folder:
        declared = {"name": "t", "sensitive": {}, "slices": {}} | write(Path(folder), shuffled, [])
        if "test_file" in declared:
            del declared["test_file"]
        else:  # without a folder named train there are no given splits
            declared["path"] = str(Path(declared["path"]) / "train")
        prepared = prepare_dataset(DataSettings(**declared), seed)
    held = contents_of(prepared, {"train": shuffled}).values()
    assert sum(map(len, held)) == len(set.union(*held)) == 60
    assert sum(prepared.card.rows.values()) == 60 + twins
