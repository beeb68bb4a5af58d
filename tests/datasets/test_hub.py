"""Splits of the hub become texts or tables; the library itself is optional."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from pipeline.core.contracts import TableInputs, TextInputs
from pipeline.core.data_settings import AuditSettings, DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets import prepare_dataset
from pipeline.datasets.hub import frames_of, prepare_frames


@pytest.fixture(autouse=True)
def work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Rows:
    """What a split of the library offers here."""

    def __init__(self, frame: pd.DataFrame, **names: list[str]) -> None:
        self.frame = frame
        self.features = {c: SimpleNamespace(names=names[c]) if c in names else object() for c in frame.columns}

    def __len__(self) -> int:
        return len(self.frame)

    def to_pandas(self) -> pd.DataFrame:
        return self.frame.copy()


def said(**changes: Any) -> DataSettings:
    given: dict[str, Any] = {
        "name": "h", "format": "hf", "hf_name": "someone/films", "target": "label", "sensitive": {}, "slices": {},
    }  # fmt: skip
    return DataSettings(**(given | changes))


def films(n: int, start: int = 0) -> pd.DataFrame:
    texts = [f"film {i} was {'good and warm' if i % 2 else 'bad and cold'}" for i in range(start, start + n)]
    return pd.DataFrame({"text": texts, "label": [i % 2 for i in range(n)], "year": range(n), "cast": [["a"]] * n})


def rows(frame: pd.DataFrame) -> Rows:
    return Rows(frame, label=["neg", "pos"])


def test_texts_with_given_splits_named_classes_and_groups() -> None:
    settings = said(text=("text",), slices={"year": AuditSettings(column="year", edges=(20,))})
    splits = {"train": rows(films(60)), "validation": rows(films(12, 60)), "test": rows(films(12, 80))}
    prepared = prepare_frames(settings, 7, *frames_of(splits, settings))
    assert isinstance(prepared.card.inputs, TextInputs)
    assert prepared.card.rows == {"train": 60, "val": 12, "test": 12}
    assert prepared.card.classes == ("neg", "pos")
    assert prepared.card.notes[0] == "columns of lists or objects are left out: cast"
    assert set(prepared.splits["train"].rows["audit.year"]) == {"< 20", ">= 20"}
    assert prepared.splits["test"].y.tolist() == [0, 1] * 6
    assert list(Path("artifacts").iterdir()) == []


def test_a_table_of_a_single_split_of_any_name() -> None:
    frame = films(60).drop(columns="text").assign(height=[i / 7 for i in range(60)])
    prepared = prepare_frames(said(), 7, *frames_of({"everything": rows(frame)}, said()))
    assert isinstance(prepared.card.inputs, TableInputs)
    assert sum(prepared.card.rows.values()) == 60


def test_splits_without_labels_or_of_unknown_name_are_left_out_and_counted() -> None:
    hidden = films(10).assign(label=-1)
    splits = {"train": rows(films(60)), "unsupervised": rows(films(5)), "test": rows(hidden)}
    frames, notes = frames_of(splits, said())
    assert list(frames) == ["train"]
    assert notes[:2] == [
        "split 'unsupervised' is left out, 5 rows: it is none of train, validation, test",
        "split 'test' is left out, 10 rows: it has no labels",
    ]


def test_what_cannot_be_read_is_named_by_the_data_set() -> None:
    with pytest.raises(DataError, match="someone/films: no split of training rows among a, b"):
        frames_of({"a": rows(films(5)), "b": rows(films(5))}, said())
    with pytest.raises(DataError, match="someone/films: two splits mean val: train, validation, dev"):
        frames_of({name: rows(films(5)) for name in ("train", "validation", "dev")}, said())
    with pytest.raises(DataError, match="someone/films: 'cast' holds lists"):
        frames_of({"train": rows(films(5))}, said(target="cast"))
    settings = said(target="lable")
    with pytest.raises(DataError) as caught:
        prepare_frames(settings, 7, *frames_of({"train": rows(films(60))}, settings))
    assert str(caught.value) == (
        "someone/films: train.parquet: no column 'lable' (data.target)\n  fix: did you mean 'label'?"
    )


def test_without_the_library_or_a_name_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError) as caught:
        prepare_dataset(said(), 7)
    assert str(caught.value) == (
        "data.format=hf: the library datasets is not installed\n  fix: pip install archline[hf]"
    )
    with pytest.raises(ConfigError, match=r"data\.hf_name: not set"):
        prepare_dataset(said(hf_name=None), 7)


def test_the_real_library_s_splits() -> None:
    datasets = pytest.importorskip("datasets")
    kinds = datasets.Features({
        "text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"]),
        "year": datasets.Value("int64"), "cast": datasets.Sequence(datasets.Value("string")),
    })  # fmt: skip
    splits = datasets.DatasetDict({
        "train": datasets.Dataset.from_pandas(films(60), features=kinds),
        "test": datasets.Dataset.from_pandas(films(12, 80), features=kinds),
    })  # fmt: skip
    settings = said(text=("text",))
    prepared = prepare_frames(settings, 7, *frames_of(splits, settings))
    assert prepared.card.classes == ("neg", "pos")
    assert prepared.card.rows["test"] == 12
