"""Series in the .ts format: lengths, channels, missing values, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.contracts import SeriesInputs
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets import Prepared, prepare_dataset

HEAD = "# a comment\n@problemName X\n@timeStamps false\n@univariate false\n@classLabel true up down\n@data\n"


def row(i: int, length: int = 6) -> str:
    values = [f"{i + t * (1 if i % 2 else -1)}" for t in range(length)]
    return f"{','.join(values)}:{','.join(values[::-1])}:{'up' if i % 2 else 'down'}"


def prepare(folder: Path, text: str, **changes: Any) -> Prepared:
    (folder / "X_TRAIN.ts").write_text(text)
    given: dict[str, Any] = {
        "name": "x", "format": "series", "path": str(folder), "train_file": "X_TRAIN.ts", "sensitive": {}, "slices": {},
    }  # fmt: skip
    return prepare_dataset(DataSettings(**(given | changes)), 7)


def test_series_of_unequal_length_are_padded_and_cut(tmp_path: Path) -> None:
    text = HEAD + "\n".join(row(i, 4 + i % 3) for i in range(30)) + "\n"
    (tmp_path / "X_TEST.ts").write_text(HEAD + "\n".join(row(i, 9) for i in range(4)) + "\n")
    prepared = prepare(tmp_path, text, test_file="X_TEST.ts")
    inputs = prepared.card.inputs
    assert isinstance(inputs, SeriesInputs)
    assert (inputs.channels, inputs.length) == (("channel 1", "channel 2"), 6)
    assert prepared.splits["train"].x.shape == (26, 2, 6)
    assert prepared.splits["test"].x.shape == (4, 2, 6)
    assert not np.isnan(prepared.splits["test"].x).any()
    known = prepared.splits["train"].x
    ends = {int(n) for n in (~np.isnan(known[:, 0])).sum(axis=1)}
    assert ends == {4, 5, 6}
    assert inputs.mean == pytest.approx(np.nanmean(known, axis=(0, 2)), rel=1e-5)
    assert prepared.card.notes == ("4 series of test are longer than any in training and cut at 6 steps",)


def test_missing_values_are_kept_as_missing_and_counted(tmp_path: Path) -> None:
    lines = [row(i) for i in range(20)]
    lines[3] = lines[3].replace(lines[3].split(",")[1], "?", 1)
    prepared = prepare(tmp_path, HEAD + "\n".join(lines))
    assert "1 values are missing" in prepared.card.notes[0]
    assert sum(int(np.isnan(s.x).sum()) for s in prepared.splits.values()) == 1
    assert prepared.card.classes == ("down", "up")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, "holds no series"),
        (HEAD + "1,2:3,x:up\n", "line 7: could not convert string to float: 'x'"),
        (HEAD + "1,2:3:up\n", "line 7: channels of different length"),
        (HEAD + "1,inf:3,4:up\n", "line 7: an infinite value"),
        (HEAD + row(1) + "\n1,2:down\n", "rows have different numbers of channels"),
        (HEAD.replace("@timeStamps false", "@timeStamps true") + row(1), "line 3: @timeStamps true is not supported"),
        (HEAD + "\n".join(row(1) for _ in range(9)), "only one class (up)"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        prepare(tmp_path, text)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "X_TRAIN.ts"))


def test_an_unknown_label_in_test_is_refused(tmp_path: Path) -> None:
    (tmp_path / "X_TEST.ts").write_text(HEAD + row(1).replace("up", "sideways"))
    with pytest.raises(DataError, match="label 'sideways' is not among the classes down, up"):
        prepare(tmp_path, HEAD + "\n".join(row(i) for i in range(20)), test_file="X_TEST.ts")
