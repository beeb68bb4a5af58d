"""Labelled texts in every layout, and the files they come in."""

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.core.contracts import TextInputs
from pipeline.core.data_settings import AuditSettings, DataSettings
from pipeline.core.errors import DataError, PipelineError
from pipeline.datasets import Prepared, prepare_dataset
from pipeline.datasets.members import members
from pipeline.datasets.texts import encode_texts, fit_texts, words

ROWS = [
    (f"the {'good' if i % 2 else 'bad'} film number {i % 7}" + " again" * (i // 14), "pos" if i % 2 else "neg")
    for i in range(60)
]


def settings(path: Path, **changes: Any) -> DataSettings:
    given: dict[str, Any] = {
        "name": "t",
        "format": "text",
        "path": str(path),
        "text": ("text",),
        "target": "label",
        "sensitive": {},
        "slices": {"length": AuditSettings(property="length", quantiles=2)},
    }
    return DataSettings(**(given | changes))


def read(path: Path, **changes: Any) -> Prepared:
    return prepare_dataset(settings(path, **changes), 7)


def as_csv(separator: str) -> str:
    return "\n".join([separator.join(("text", "label")), *(separator.join(row) for row in ROWS)]) + "\n"


@pytest.mark.parametrize(
    ("name", "content", "changes"),
    [
        ("a.csv", as_csv(",").encode(), {}),
        ("a.tsv", as_csv("\t").encode(), {}),
        ("a.csv.gz", gzip.compress(as_csv(",").encode()), {}),
        ("a.jsonl", "\n".join(json.dumps({"text": t, "label": y}) for t, y in ROWS).encode(), {}),
        ("a.txt", "\n".join(f"{y} {t}" for t, y in ROWS).encode("latin-1"),
         {"layout": "label_text", "encoding": "latin-1"}),
    ],
)  # fmt: skip
def test_layouts_of_one_file_give_the_same_rows(
    tmp_path: Path, name: str, content: bytes, changes: dict[str, Any]
) -> None:
    (tmp_path / name).write_bytes(content)
    prepared = read(tmp_path, train_file=name, **changes)
    assert prepared.card.classes == ("neg", "pos")
    assert prepared.card.rows == {"train": 40, "val": 8, "test": 12}
    assert isinstance(prepared.card.inputs, TextInputs)
    assert {"the", "film", "good", "bad"} <= set(prepared.card.inputs.vocabulary)


def test_parquet(tmp_path: Path) -> None:
    pd.DataFrame(ROWS, columns=["text", "label"]).to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path, train_file="a.parquet").card.rows["train"] == 40


def tree(with_splits: bool) -> dict[str, bytes]:
    def place(i: int) -> str:
        return ("test/" if i % 5 == 0 else "train/") if with_splits else ""

    return {f"root/{place(i)}{label}/{i:03}.txt": text.encode() for i, (text, label) in enumerate(ROWS)}


def packed(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    elif ".tar" in path.name:
        with tarfile.open(path, "w:gz") as archive:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    else:
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["folder", "a.zip", "a.tar.gz"])
def test_a_folder_by_class_or_an_archive_of_it(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / name, tree(with_splits=False))
    assert read(path).card.rows == {"train": 40, "val": 8, "test": 12}
    before = sorted(tmp_path.rglob("*"))
    read(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_given_splits_are_kept(tmp_path: Path) -> None:
    prepared = read(packed(tmp_path / "a.zip", tree(with_splits=True)))
    assert prepared.card.rows["test"] == 12
    assert set(prepared.splits["test"].y) == {0, 1}


def escape(kind: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo({"up": "../pos/a.txt", "absolute": "/pos/a.txt"}.get(kind, "pos/a.txt"))
    if kind == "link":
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
    if kind == "hard link":
        entry.type, entry.linkname = tarfile.LNKTYPE, "../../etc/passwd"
    if kind == "device":
        entry.type = tarfile.CHRTYPE
    return entry


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("up", "'../pos/a.txt' points outside the archive"),
        ("absolute", "'/pos/a.txt' points outside the archive"),
        ("link", "'pos/a.txt' is a link or a device"),
        ("hard link", "'pos/a.txt' is a link or a device"),
        ("device", "'pos/a.txt' is a link or a device"),
    ],
)
def test_an_archive_that_would_escape_is_refused(tmp_path: Path, kind: str, why: str) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(escape(kind), io.BytesIO(b""))
    with pytest.raises(DataError) as caught:
        list(members(path, (".txt",)))
    assert str(caught.value) == f"{path}: member {why}\n  fix: make the archive again from plain files"


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pos/a.txt", b"0" * 50_000_000)
    with pytest.raises(DataError, match=r"member 'pos/a\.txt' would unpack to 48 MB"):
        list(members(path, (".txt",)))


def test_a_cut_archive_says_so(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.tar.gz", tree(with_splits=False))
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(PipelineError, match=r"damaged|cannot be unpacked"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content", "changes", "message"),
    [
        ("a.jsonl", b'{"text": "x", "label": 1}\n{"text"\n', {}, "a.jsonl, line 2: not JSON"),
        ("a.jsonl", b"[1]\n", {}, "a.jsonl, line 1: not a JSON object"),
        ("a.jsonl", b'{"text": "x", "lable": 1}\n', {}, "no column 'label' (data.target)"),
        ("a.txt", b"pos\n", {"layout": "label_text"}, "a.txt, line 1: a label without a text"),
        ("a.txt", b"pos caf\xe9\n", {"layout": "label_text"}, "a.txt, line 1: not utf-8"),
        ("a.csv", b"txt,label\nx,1\n", {}, "no column 'text' (data.text)"),
        ("a.parquet", b"PAR1 not really", {}, "not a readable Parquet file"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(
    tmp_path: Path, name: str, content: bytes, changes: dict[str, Any], message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(tmp_path, train_file=name, **changes)
    assert message in str(caught.value)
    assert caught.value.fix


def test_words_marks_and_other_alphabets() -> None:
    assert words("Don't stop: ÄPFEL für 5€!") == ["don't", "stop", ":", "äpfel", "für", "5", "€", "!"]
    assert words(" \n\t ") == []


def test_the_vocabulary_is_of_the_training_texts_and_the_rest_shares_a_number(tmp_path: Path) -> None:
    train = [["a", "b"], ["a", "c"], ["a", "b", "b"]]
    inputs, notes = fit_texts(train, settings(tmp_path, max_words=2))
    assert inputs.vocabulary == ("a", "b")
    assert encode_texts([["b", "z", "a"], []], inputs).tolist() == [[3, 1], [0, 0]]
    assert notes[0] == "1 of 3 words are rare and share one number"
    assert notes[1] == "1 training texts are cut after 2 words (data.max_words)"


def test_several_text_columns_are_joined(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS, columns=["text", "label"]).assign(title="headline")
    frame.to_csv(tmp_path / "a.csv", index=False)
    prepared = read(tmp_path, train_file="a.csv", text=("title", "text"))
    inputs = prepared.card.inputs
    assert isinstance(inputs, TextInputs)
    first = inputs.vocabulary.index("headline") + 2
    assert np.array_equal(np.unique(prepared.splits["train"].x[:, 0]), [first])


def test_slices_by_length_and_no_text_in_the_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(as_csv(","))
    rows = read(tmp_path, train_file="a.csv").splits["test"].rows
    assert set(rows["audit.length"]) <= {"low", "high"}
    assert "raw.text" not in rows.columns
