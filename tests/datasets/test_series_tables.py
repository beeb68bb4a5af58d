"""Series of long tables, a line for each step: what is sorted and counted, and what is refused."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from pipeline.core.contracts import SeriesInputs
from pipeline.core.data_settings import AuditSettings, DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets import prepare_dataset
from pipeline.datasets.series import read_series
from pipeline.datasets.series_tables import SeriesRows

LONG: dict[str, Any] = {"series_id": "engine", "time": "t"}
HEAD = "engine,t,heat,speed,state\n"


def settings(path: Path, **changes: Any) -> DataSettings:
    base: dict[str, Any] = {"name": "x", "format": "series", "path": str(path.parent), "train_file": path.name,
                            "target": "state", "sensitive": {}, "slices": {}}  # fmt: skip
    return DataSettings(**(base | changes))


def read(path: Path, text: str, **changes: Any) -> SeriesRows:
    path.write_text(text)
    return read_series(path, settings(path, **changes))


def lines(series: int = 12, steps: int = 5) -> list[str]:
    return [f"e{i},{t},{i + t / 10},{t * i},{'bad' if i % 3 else 'good'}" for i in range(series) for t in range(steps)]


def test_long_lines_become_series_in_the_order_of_time(tmp_path: Path) -> None:
    text = HEAD + "b,2,0.2,20,good\na,1,1.5,1,bad\nb,1,0.1,10,good\nb,3,0.3,30,good\n"
    found = read(tmp_path / "a.csv", text, **LONG)
    assert found.ids == ["a.csv:b", "a.csv:a"]
    assert found.labels == ["good", "bad"]
    assert found.channels == ("heat", "speed")
    assert [s.dtype for s in found.series] == [np.float32, np.float32]
    assert np.allclose(found.series[0], [[0.1, 0.2, 0.3], [10, 20, 30]])
    assert found.series[1].tolist() == [[1.5], [1.0]]
    assert found.notes == ("a.csv: 1 lines stood below a later time of their series; steps are sorted by time",)


@limits(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(60)))
def test_the_order_of_the_lines_does_not_matter(tmp_path: Path, order: list[int]) -> None:
    whole = lines()
    straight = read(tmp_path / "a.csv", HEAD + "\n".join(whole), **LONG)
    mixed = read(tmp_path / "a.csv", HEAD + "\n".join(whole[i] for i in order), **LONG)
    same = dict(zip(mixed.ids, zip(mixed.series, mixed.labels, strict=True), strict=True))
    assert len(same) == len(straight.ids) == 12
    for name, series, label in zip(straight.ids, straight.series, straight.labels, strict=True):
        assert np.array_equal(same[name][0], series)
        assert same[name][1] == label


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.jsonl", "a.parquet"])
def test_every_table_format_gives_the_same_series(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame([line.split(",") for line in lines()], columns=HEAD.strip().split(","))
    frame = frame.astype({"t": int, "heat": float, "speed": float})
    path = tmp_path / name
    if name == "a.parquet":
        frame.to_parquet(path)
    elif name == "a.jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif name == "a.csv.gz":
        path.write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    else:
        frame.to_csv(path, index=False, sep="\t" if name == "a.tsv" else ",")
    found = read_series(path, settings(path, **LONG))
    plain = read(tmp_path / "plain.csv", HEAD + "\n".join(lines()), **LONG)
    assert found.ids[3] == f"{name.removesuffix('.gz')}:e3"
    assert found.labels == plain.labels
    assert all(np.array_equal(a, b) for a, b in zip(found.series, plain.series, strict=True))
    assert (found.channels, found.notes) == (plain.channels, ())


def test_missing_values_stay_missing_and_texts_are_no_channels(tmp_path: Path) -> None:
    text = "engine,t,place,heat,speed,state\na,1,north,1,?,x\na,2,south,,4,x\na,3,south,NA,5,x\nb,1,west,7,8,y\n"
    found = read(tmp_path / "a.csv", text, **LONG)
    assert found.channels == ("heat", "speed")
    assert np.array_equal(found.series[0], np.array([[1, np.nan, np.nan], [np.nan, 4, 5]], np.float32), equal_nan=True)
    assert found.notes == (
        "a.csv: columns without numbers are no channels: place",
        "a.csv: values are missing, 2 in 'heat', 1 in 'speed'",
    )


def test_channels_may_be_named_in_an_order_of_their_own(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", HEAD + "\n".join(lines()), **LONG, channels=("speed", "heat"))
    assert found.channels == ("speed", "heat")
    assert np.allclose(found.series[2], [[0, 2, 4, 6, 8], [2, 2.1, 2.2, 2.3, 2.4]])


def test_sensitive_and_excluded_columns_are_no_channels(tmp_path: Path) -> None:
    text = "engine,t,age,heat,line,state\na,1,30,1,7,x\nb,1,40,2,8,y\n"
    people: dict[str, Any] = {"sensitive": {"age": AuditSettings(column="age", edges=(35,))}, "exclude": ("line",)}
    found = read(tmp_path / "a.csv", text, **LONG, **people)
    assert found.channels == ("heat",)
    assert found.notes == ("sensitive columns are not inputs: age",)
    with pytest.raises(ConfigError, match=r"data\.channels: 'age' is excluded or sensitive"):
        read(tmp_path / "a.csv", text, **LONG, **people, channels=("heat", "age"))
    declared = read(tmp_path / "a.csv", text, **LONG, **people, channels=("heat", "age"), sensitive_inputs=("age",))
    assert declared.channels == ("heat", "age")


def spaced(*times: object) -> str:
    rows = [f"{name},{t},1,2,{name}" for name in "ab" for t in times]
    return HEAD + "\n".join(rows)


@pytest.mark.parametrize(
    ("times", "odd"),
    [
        ((0, 1, 2, 4, 5), 2),
        ((0.0, 0.1, 0.2, 0.30000001, 0.4), 0),
        ((1_700_000_000_000_000_000, 1_700_000_000_000_000_100, 1_700_000_000_000_000_200), 0),
        (("2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"), 0),
        (("2024-01-01", "2024-02-01", "2024-03-01", "2024-06-01"), 2),
        (("2024-01-30", "2024-01-31", "2024-02-01", "2024-02-04"), 2),
        (("2024-01-01T00:00:00Z", "2024-01-01T03:00:00+02:00", "2024-01-01T02:00:00Z"), 0),
        (("2024-01-01 00:00", "2024-01-01 06:00", "2024-01-01 12:00", "2024-01-01 13:00"), 2),
        ((5,), 0),
    ],
)
def test_gaps_are_counted(tmp_path: Path, times: tuple[object, ...], odd: int) -> None:
    found = read(tmp_path / "a.csv", spaced(*times), **LONG)
    of = 2 * (len(times) - 1)
    text = f"a.csv: {odd} of {of} steps, in 2 of 2 series, are not at the distance usual in their series"
    assert [note.split(" (")[0] for note in found.notes] == ([text] if odd else [])


def test_series_of_other_spacing_are_told(tmp_path: Path) -> None:
    text = HEAD + "".join(f"a,{t},1,2,x\nb,{t * 60},1,2,y\n" for t in range(4))
    assert read(tmp_path / "a.csv", text, **LONG).notes == (
        "a.csv: the usual distance between steps is not the same in all series",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,1,1,1,x\na,1,2,2,x\na,1,3,3,x\n", "{path}: series 'a' has 3 lines of time '1'"),
        ("a,1,1,1,x\nb,1,1,1,x\na,2,1,1,y\n", "{path}: series 'a' has several labels in 'state': 'x', 'y'"),
        ("a,1,1,1,x\n\na,2,warm,1,x\nb,1,2,2,x\n", "{path}, line 4, column 'heat': 'warm' is not a finite number"),
        ("a,1,1,inf,x\n", "{path}, line 2, column 'speed': 'inf' is not a finite number"),
        ("a,1,1,1e39,x\n", "{path}, line 2, column 'speed': '1e39' is not a finite number"),
        ("a,1,1,1,x\na,soon,1,1,x\n", "{path}, line 3, column 't': 'soon' is no number (1 such lines)"),
        ("a,2024-01-01,1,1,x\na,2024-01-32,1,1,x\n",
         "{path}, line 3, column 't': '2024-01-32' is no ISO date (1 such lines)"),
        ("a,,1,1,x\na,2,1,1,x\n", "{path}, line 2, column 't': no time (1 such lines)"),
        (",1,1,1,x\n", "{path}, line 2: no series in 'engine' (1 such lines)"),
        ("a,1,1,1,x\na,2,1,1,\n", "{path}, line 3: no label in 'state' (1 such lines)"),
        ("a,1,?,?,x\n", "{path}: no column of numbers besides series, time and target"),
    ],
)  # fmt: skip
def test_a_wrong_long_table_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.csv"
    with pytest.raises(DataError) as caught:
        read(path, HEAD + text, **LONG)
    assert caught.value.message == message.format(path=path)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"series_id": "engin", "time": "t"}, "no column 'engin' (data.series_id)\n  fix: did you mean 'engine'?"),
        ({"series_id": "engine", "time": "state"}, "data.time: 'state' is data.target already"),
        ({"series_layout": "long", "time": "t"}, "data.series_id, data.time: not set"),
        ({"time": "t"}, "data.time: in a wide table a line is a whole series"),
        ({**LONG, "channels": ("cold",)}, "no column 'cold' (data.channels)"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path / "a.csv", HEAD + "\n".join(lines()), **changes)
    assert message in str(caught.value)


def test_prepare_keeps_the_names_of_the_channels(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEAD + "\n".join(lines(60)))
    (tmp_path / "b.csv").write_text(HEAD + "\n".join(lines(6)))
    prepared = prepare_dataset(settings(path, **LONG, test_file="b.csv", duplicates="keep"), 7)
    inputs = prepared.card.inputs
    assert isinstance(inputs, SeriesInputs)
    assert (inputs.channels, inputs.length) == (("heat", "speed"), 5)
    assert prepared.splits["test"].rows["row_id"].tolist() == [f"b.csv:e{i}" for i in range(6)]
    assert prepared.card.classes == ("bad", "good")


def test_a_test_file_with_other_channels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEAD + "\n".join(lines(60)))
    (tmp_path / "b.csv").write_text(HEAD.replace("heat", "cold") + "\n".join(lines(6)))
    with pytest.raises(DataError, match=r"b\.csv: other channels than a\.csv"):
        prepare_dataset(settings(path, **LONG, test_file="b.csv"), 7)


def test_a_number_to_predict_is_read_as_text(tmp_path: Path) -> None:
    found = read(tmp_path / "a.ts", "@targetlabel true\n@data\n1,2,3:0.25\n4,5,?:-1e3\n")
    assert found.labels == ["0.25", "-1e3"]
    assert found.labels == ["0.25", "-1e3"]
