"""Faults in data, by the numbers of the list of bad inputs: refused in one line with place and fix, or a stated rule.

Many are tested beside what they concern; those are only named here:

 6 missing path, file, empty folder    tests/datasets/test_mistakes.py; paths in a table: test_photo_table.py
 7 empty file, header only, one class  tests/datasets/test_mistakes.py; classes of few rows: test_checks.py
 8 ragged line, cut file               tests/datasets/test_mistakes.py; separator, encoding, NUL, length: test_rows.py
 9 a column twice                      tests/datasets/test_mistakes.py; markup in reports: tests/reporting/
10 inf, NaN, 1e308, constant, mixed    tests/datasets/test_checks.py; every other value: test_round_trip.py
11 no label, unknown or rare label     tests/datasets/test_checks.py, test_labels.py
13 equal rows in train and test        tests/datasets/test_planted_leaks.py; nearly equal images: test_twins.py
14 order, repetition, gaps, future     tests/datasets/test_forecast_tables.py, test_forecasts.py, test_series_tables.py
15 persons and groups                  tests/datasets/test_splits.py
16 cut files, modes, EXIF              tests/datasets/test_photos.py; the rest: test_file_faults.py
17 image bombs, narrow images          tests/datasets/test_photos.py; the rest: test_file_faults.py
18 archives that escape, bombs         tests/datasets/test_texts.py (tar, one zip); the rest: test_file_faults.py
19 hard links, devices in a tar        tests/datasets/test_texts.py
20 wrong encoding                      tests/datasets/test_texts.py; a million characters: test_rows.py
21 pickled arrays in .npz              tests/datasets/test_npz.py
"""

import json
import os
import pickle  # noqa: TID251 - traps are made of it
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.core.contracts import DatasetCard, TableInputs, TextInputs
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError, PipelineError
from pipeline.core.store import read_record, write_json
from pipeline.datasets import Prepared, prepare_dataset
from pipeline.datasets.texts import OTHER
from tests.datasets.test_photos import files
from tests.datasets.test_texts import packed


@pytest.fixture(autouse=True)
def work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages write below the folder they run in."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def read(folder: Path, **changes: Any) -> Prepared:
    given: dict[str, Any] = {"name": "t", "format": "csv", "path": str(folder), "train_file": "a.csv", "target": "y",
                             "sensitive": {}, "slices": {}}  # fmt: skip
    return prepare_dataset(DataSettings(**(given | changes)), 7)


def images(path: Path, **changes: Any) -> Prepared:
    return read(path, **({"format": "images", "train_file": None, "target": None, "side": 8} | changes))


def refused(folder: Path, **changes: Any) -> str:
    with pytest.raises(PipelineError) as caught:
        read(folder, **changes)
    assert "\n" not in caught.value.message
    assert caught.value.fix
    return caught.value.message


def rows(n: int = 40, **columns: Any) -> str:
    held = {"a": [i * 1.25 for i in range(n)], "b": [i % 7 for i in range(n)], "y": ["no", "yes"] * (n // 2)} | columns
    lines = zip(*held.values(), strict=True)
    return "\n".join([",".join(held), *(",".join(map(str, line)) for line in lines)]) + "\n"


@pytest.mark.parametrize("kind", ["folder", "broken link", "loop of links"])
def test_fault_06_what_stands_in_for_the_file_is_no_file(tmp_path: Path, kind: str) -> None:
    if kind == "folder":
        (tmp_path / "a.csv").mkdir()
    else:
        (tmp_path / "a.csv").symlink_to("a.csv" if kind == "loop of links" else "gone.csv")
    assert refused(tmp_path) == f"{tmp_path}: neither a.csv nor a.csv.gz is there"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("place", ["a.csv", "photos/cat"])
def test_fault_06_no_permission(tmp_path: Path, place: str) -> None:
    (tmp_path / "a.csv").write_text(rows())
    packed(tmp_path / "photos", files())
    (tmp_path / place).chmod(0)
    changes = {} if place == "a.csv" else {"format": "images", "path": str(tmp_path / "photos"), "side": 8}
    try:
        assert f"{tmp_path}/{place}: cannot be" in refused(tmp_path, **changes)
    finally:
        (tmp_path / place).chmod(stat.S_IRWXU)


def test_fault_06_folders_that_link_in_a_circle(tmp_path: Path) -> None:
    path = packed(tmp_path / "photos", files())
    (path / "cat/again").symlink_to(path)
    with pytest.raises(DataError, match=r"cat/again: a link to .*photos, which is read already"):
        images(path)
    texts = packed(tmp_path / "texts", {f"{'ab'[i % 2]}/{i}.txt": b"word" for i in range(20)})
    (texts / "a/lost.txt").symlink_to("nowhere.txt")
    text = {"format": "text", "train_file": None, "text": ("text",)}
    assert refused(texts, **text) == f"{texts}: a/lost.txt cannot be read (no such file)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,y\n1,yes\n", "only one class (yes) in all 1 rows"),
        ("y\nyes\nno\n" * 9, "no input column is left"),
        ("a,y\n" + "1,yes\n1,no\n" * 20, "no input column is left"),
        (
            "a,y\n" + "1,yes\n" * 20 + "2,no\n",
            "class 'no' has 1 rows, the first is a.csv:21; train, val and test need 3",
        ),
    ],
    ids=["one row", "no feature", "one value", "one row of a class"],
)
def test_fault_07_too_little_to_learn_from(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert message in refused(tmp_path, duplicates="keep")


HOSTILE = ["<script>alert(1)</script>", 'say "hi"', "a,b", "two\nlines", "$x^2$", "🙂", "\u202eevil", "x" * 10_000, "",
           "=1+1", "../up", "label", "None", "{{ y }}", "%s", "a.b", "raw.a"]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_fault_09_any_column_name_is_kept_as_data(tmp_path: Path, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    (tmp_path / "a.csv").write_text(rows().replace("a,b,y", f"{quoted},b,y", 1))
    prepared = read(tmp_path)
    assert isinstance(prepared.card.inputs, TableInputs)
    assert prepared.card.inputs.columns[0].name == name
    assert f"raw.{name}" in prepared.splits["test"].rows
    write_json(tmp_path / "card.json", prepared.card)
    assert read_record(DatasetCard, tmp_path / "card.json") == prepared.card


def test_fault_09_a_hostile_name_in_a_message_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(rows(copy=["p", "q"] * 20).replace("copy", '"two\nlines\x1b[31m"', 1))
    message = refused(tmp_path)
    assert r"two\nlines\x1b[31m" in message


@pytest.mark.parametrize("cell", ["99999999999999999999", "-9223372036854775809", "1e38", "1e-400", "0x10", "1 000"])
def test_fault_10_large_and_odd_numbers_are_numbers_or_categories_and_never_infinite(tmp_path: Path, cell: str) -> None:
    (tmp_path / "a.csv").write_text(rows(a=[cell, *range(39)]))
    prepared = read(tmp_path)
    assert isinstance(prepared.card.inputs, TableInputs)
    assert all(np.isfinite(split.x).all() for split in prepared.splits.values())
    read_as = prepared.card.inputs.columns[0].kind
    assert read_as == ("categorical" if cell in ("0x10", "1 000") else "numeric")
    assert any(f"no numbers, the first is '{cell}'" in n for n in prepared.card.notes) == (read_as == "categorical")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["1.0", "2.0", "3.0"], ("1.0", "2.0", "3.0")),
        (["1", "2", "3"], ("1", "2", "3")),
        (["None", "NaN", "True"], ("NaN", "None", "True")),
        (["01", "1"], ("01", "1")),
        (["nan", "null", "false"], ("false", "nan", "null")),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_fault_11_12_labels_are_strings_as_they_stand_there(
    tmp_path: Path, labels: list[str], classes: tuple[str, ...], name: str
) -> None:
    y = [labels[i % len(labels)] for i in range(60)]
    lines = [json.dumps({"a": i, "y": label}) for i, label in enumerate(y)]
    text = rows(60, y=y) if name == "a.csv" else "\n".join(lines)
    (tmp_path / name).write_text(text)
    prepared = read(tmp_path, train_file=name)
    assert prepared.card.classes == classes
    found = {(row["raw.y"], prepared.card.classes[code]) for split in prepared.splits.values()
             for row, code in zip(split.rows.to_dict("records"), split.y, strict=True)}  # fmt: skip
    assert found == {(label, label) for label in labels}


def test_fault_14_moments_with_and_without_a_zone(tmp_path: Path) -> None:
    def hours(mark: str) -> list[str]:
        return [f"2024-01-{1 + i // 24:02}T{i % 24:02}:00{mark if i < 3 else '+01:00'}" for i in range(60)]

    forecast = {"format": "forecast", "target": "b", "time": "t", "horizon": 2, "window": 3}
    (tmp_path / "a.csv").write_text(rows(60, t=hours("")))
    assert "3 of 60 cells of 't' have no time zone, the others one; the first is '2024-01-01T00:00'" in refused(
        tmp_path, **forecast
    )
    (tmp_path / "a.csv").write_text(rows(60, t=hours("+01:00")))
    assert read(tmp_path, **forecast).card.task == "forecast"
    shifted = [f"2024-01-01T{i % 24:02}:00+0{1 + i // 24}:00" for i in range(26)]
    (tmp_path / "a.csv").write_text(rows(26, t=shifted))
    assert "1 moments stand there twice" in refused(tmp_path, **forecast)  # 01:00+02:00 is 00:00+01:00


@pytest.mark.parametrize("tokens", ["words", "bpe"])
def test_fault_20_empty_long_and_unknown_texts_are_counted_and_kept(tmp_path: Path, tokens: str) -> None:
    def lines(texts: list[str]) -> str:
        return "\n".join(json.dumps({"text": t, "y": "ab"[i % 2]}) for i, t in enumerate(texts))

    known = [f"a {'good' if i % 3 else 'bad'} film {i}" for i in range(60)]
    (tmp_path / "a.jsonl").write_text(lines([*known, "", " \t ", "\u200b", "film " * 200_000]))
    (tmp_path / "b.jsonl").write_text(lines(["", "zzyzx qwrtz", "a good film", "☃"]))
    prepared = read(tmp_path, format="text", text=("text",), train_file="a.jsonl", test_file="b.jsonl",
                    tokens=tokens, duplicates="keep")  # fmt: skip
    inputs = prepared.card.inputs
    assert isinstance(inputs, TextInputs)
    empty, unknown, *_ = prepared.splits["test"].x
    assert not empty.any()
    assert ((unknown[unknown > 0] == OTHER).all() and unknown.any()) == (tokens == "words")
    assert "1 texts of test have no words" in prepared.card.notes
    assert sum(prepared.card.rows.values()) == 68
    assert inputs.length < 100


class Trap:
    """What a pickle of it does when it is loaded: it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("form", ["csv", "images", "text", "series", "forecast", "npz"])
@pytest.mark.parametrize("name", ["a.pt", "a.pkl", "a.npy", "a.joblib", "a.parquet", "a.npz", "a.csv", "a.jsonl"])
def test_fault_21_pickles_are_never_loaded(tmp_path: Path, name: str, form: str) -> None:
    mark = tmp_path / "it ran"
    raw = pickle.dumps(Trap(mark))
    if name == "a.pt":
        torch.save({"trap": Trap(mark)}, tmp_path / name)
    elif name in ("a.npy", "a.npz"):
        array = np.array([Trap(mark)], dtype=object)
        (np.save if name == "a.npy" else np.savez)(tmp_path / name, array)
    else:
        (tmp_path / name).write_bytes(raw)
    pickle.loads((tmp_path / "a.pkl").read_bytes() if name == "a.pkl" else raw)  # the trap works
    assert mark.exists()
    mark.unlink()
    changes: dict[str, Any] = {"format": form, "train_file": name}
    changes |= {"path": str(tmp_path / name), "train_file": None} if form in ("images", "npz") else {}
    changes |= {"text": ("text",)} if form == "text" else {}
    changes |= {"horizon": 2} if form == "forecast" else {}
    refused(tmp_path, **changes)
    assert not mark.exists()
