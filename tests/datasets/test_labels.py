"""Targets: the task follows from the cells unless declared; what cannot be learnt is refused with its place."""

import numpy as np
import pandas as pd
import pytest

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.labels import Labels, read_labels


def labels(columns: dict[str, list[str | None]], given: list[str] | None = None, **changes: object) -> Labels:
    plain = {"name": "t", "format": "csv", "target": tuple(columns), "sensitive": {}, "slices": {}}
    frame = pd.DataFrame(columns, dtype=object)
    frame.index = pd.Index([f"rows.csv:{i + 1}" for i in range(len(frame))])
    where = np.array(given or [""] * len(frame), dtype=object)
    return read_labels(DataSettings(**(plain | changes)), frame, where, "rows.csv")  # type: ignore[arg-type]


def cells(values: list[object]) -> list[str | None]:
    return [str(v) for v in values]


@pytest.mark.parametrize(
    ("columns", "changes", "task"),
    [
        ({"y": ["a", "b"] * 10}, {}, "binary"),
        ({"y": ["a", "b", "c"] * 10}, {}, "multiclass"),
        ({"y": cells(list(range(3)) * 10)}, {}, "multiclass"),
        ({"y": cells(list(range(30)))}, {}, "regression"),
        ({"y": ["0.5", "1", "2"] * 10}, {}, "regression"),
        ({"y": cells(list(range(3)) * 10)}, {"task": "regression"}, "regression"),
        ({"y": ["1.0", "2.0", "3.0"] * 10}, {}, "multiclass"),
        ({"a": ["0", "1"] * 10, "b": ["1", "1", "0", "0"] * 5}, {}, "multilabel"),
        ({"a": ["0", "1"] * 10, "b": ["1", "2", "3", "4"] * 5}, {}, "regression"),
        ({"y": ["x;y", "y", "x", "z;x"] * 5}, {"label_separator": ";"}, "multilabel"),
        ({"y": cells(list(range(30)))}, {"classes": tuple(str(i) for i in range(30)), "task": None}, "regression"),
    ],
)
def test_the_task_follows_from_the_target(
    columns: dict[str, list[str | None]], changes: dict[str, object], task: str
) -> None:
    if changes.get("classes"):
        with pytest.raises(DataError, match="class '0' has 1 rows"):
            labels(columns, **changes)
        return
    assert labels(columns, **changes).task == task


def test_label_sets_are_read_from_cells_and_from_columns() -> None:
    found = labels({"y": ["b|a", "b", "", "a | b", "a"] * 2}, label_separator="|")
    assert found.classes == ("a", "b")
    assert found.y[:5].tolist() == [[1, 1], [0, 1], [0, 0], [1, 1], [1, 0]]
    assert found.counts({"train": found.y}) == {"train": (6, 6)}
    two = labels({"a": ["0", "1.0"] * 5, "b": ["1", "0", "0", "0", "1"] * 2})
    assert two.classes == ("a", "b")
    assert two.y.sum(axis=0).tolist() == [5, 4]


def test_targets_have_statistics_of_the_training_rows() -> None:
    found = labels({"a": cells([i / 2 for i in range(40)]), "b": cells([-i for i in range(40)])})
    first, second = found.targets(found.y[:10])
    assert (first.name, first.mean) == ("a", 2.25)
    assert second.std == pytest.approx(np.arange(10).std())
    assert found.counts({"train": found.y}) == {}
    assert np.bincount(found.strata).tolist() == [4] * 10  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("columns", "changes", "message"),
    [
        ({"y": ["1.5", None, "2"] * 9}, {}, "rows.csv: 9 rows have no label in 'y', the first is rows.csv:2\n"),
        ({"y": ["1", "2", "x"] * 9}, {"task": "regression"},
         "rows.csv: 'y' of row rows.csv:3 is no number: 'x'\n"),
        ({"y": ["7"] * 9}, {"task": "regression"}, "rows.csv: target 'y' is 7 in every row\n"),
        ({"a": ["0", "1"] * 9, "b": ["0", "2"] * 9}, {"task": "multilabel"},
         "rows.csv: label column 'b' holds other values than 0 and 1 in 9 rows, the first is rows.csv:2\n"),
        ({"y": ["a", "a;b", *"aaaaaaaaa"]}, {"label_separator": ";"}, "rows.csv: label 'a' stands in 11 of 11 rows\n"),
        ({"a": ["u", "v"] * 9, "b": ["0", "1"] * 9}, {},
         "data.target: several columns that are not all numbers\n"),
        ({"a": ["u", "v", "w"] * 9}, {"task": "binary"}, "data.task: binary, but there are 3 classes\n"),
        ({"a": ["u", "v"] * 9, "b": ["0", "1"] * 9}, {"task": "multiclass"},
         "data.target: 2 columns, but data.task=multiclass\n"),
    ],
)  # fmt: skip
def test_what_cannot_be_learnt_is_refused(
    columns: dict[str, list[str | None]], changes: dict[str, object], message: str
) -> None:
    with pytest.raises((DataError, ConfigError)) as caught:
        labels(columns, **changes)
    assert str(caught.value).startswith(message)


def test_a_label_of_the_test_file_alone_is_refused() -> None:
    given = [""] * 18 + ["test"] * 2
    with pytest.raises(DataError, match=r"label 'new' is not among the classes a, b"):
        labels({"y": ["a", "b"] * 9 + ["a", "new"]}, given)
    with pytest.raises(DataError, match=r"label 'new' is not among the labels a, b"):
        labels({"y": ["a", "b"] * 9 + ["a", "b,new"]}, given, label_separator=",")
