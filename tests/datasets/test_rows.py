"""Rows of text cells: the same cells whatever the format, lines that end where lines end, refusals with their line."""

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets import prepare_dataset
from pipeline.datasets.rows import lines_of, place_of, read_rows

Cells = dict[str, list[str | None]]


def settings(**changes: Any) -> DataSettings:
    given: dict[str, Any] = {"name": "t", "format": "csv", "target": "y", "sensitive": {}, "slices": {}}
    return DataSettings(**(given | changes))


def cells(folder: Path, name: str, data: bytes | str, **changes: Any) -> Cells:
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_rows(folder / name, settings(**changes)).to_dict("list")  # type: ignore[return-value]


def refused(folder: Path, name: str, data: bytes | str, **changes: Any) -> str:
    with pytest.raises(DataError) as caught:
        cells(folder, name, data, **changes)
    assert caught.value.fix
    return caught.value.message.removeprefix(f"{folder}/{name}")


SEPARATORS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
"""What str.splitlines takes for the end of a line, and files do not."""


def test_lines_end_at_line_feeds_and_returns_alone() -> None:
    assert lines_of("a\nb\r\nc\rd\n\r\n") == ["a", "b", "c", "d", "", ""]
    assert lines_of(f"a{SEPARATORS}b\n") == [f"a{SEPARATORS}b", ""]


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt", "a.csv", "a.tsv"])
def test_signs_that_only_look_like_line_ends_stay_in_the_text(tmp_path: Path, name: str) -> None:
    text = f"well{SEPARATORS}then"
    written = {
        "a.jsonl": json.dumps({"y": "pos", "text": text}, ensure_ascii=False) + "\n" + '{"y": "neg", "text": "no"}\n',
        "a.txt": f"pos {text}\nneg no\n",
        "a.csv": f"y,text\npos,{text}\nneg,no\n",
        "a.tsv": f"y\ttext\npos\t{text}\nneg\tno\n",
    }[name]
    layout = "label_text" if name == "a.txt" else None
    found = cells(tmp_path, name, written, layout=layout, text=("text",))
    assert found == {"y": ["pos", "neg"], "text": [text, "no"]}


def test_film_sentences_read_as_latin_1_keep_their_lines(tmp_path: Path) -> None:
    lines = [f"{i % 2} sentence {i} it\x85s {'good' if i % 2 else 'bad'}" for i in range(40)]
    (tmp_path / "a.all").write_bytes("\n".join(lines).encode("latin-1"))
    declared = settings(layout="label_text", encoding="latin-1", text=("text",))
    frame = read_rows(tmp_path / "a.all", declared)
    assert list(frame["text"]) == [line.partition(" ")[2] for line in lines]
    assert place_of(tmp_path / "a.all", declared, 39) == f"{tmp_path}/a.all, line 40"


def test_a_place_after_blank_lines_and_strange_signs(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"y": "a\u2028b"}\n\n\n{"y": 1}\r\n{"y": 2}\n')
    assert [place_of(path, settings(), row) for row in (0, 1, 2)] == [f"{path}, line {n}" for n in (1, 4, 5)]
    path.write_text('{"y": "a\u2028b"}\nx\n')
    with pytest.raises(DataError, match=r"a\.jsonl, line 2: not JSON"):
        read_rows(path, settings())


ROWS: Cells = {"a": ["1", None, "1152921504606846977"], "b": ["x", None, "-"], "y": ["p", "q", "p"]}


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.csv.gz"])
def test_missing_is_none_and_whole_numbers_stay_whole_in_every_format(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame(ROWS).assign(a=pd.array([1, None, 1152921504606846977], dtype="Int64"))
    if name == "a.parquet":
        frame.to_parquet(tmp_path / name, index=False)
    elif name == "a.jsonl":
        lines = [{"a": 1, "b": "x", "y": "p"}, {"a": None, "y": "q"}, {"a": 1152921504606846977, "b": "-", "y": "p"}]
        (tmp_path / name).write_text("\n".join(map(json.dumps, lines)))
    else:
        frame.to_csv(tmp_path / name, index=False, sep="\t" if ".tsv" in name else ",")
    found = read_rows(tmp_path / name, settings())
    assert found.to_dict("list") == ROWS
    assert found["b"].iloc[1] is None
    assert found.dtypes.eq(object).all()
    marked = read_rows(tmp_path / name, settings(missing=("", "-")))
    assert marked["b"].iloc[2] is None


def test_parquet_written_without_pandas_keeps_whole_numbers_and_named_index_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [2**60 + 1, None], "y": ["p", "q"]}), tmp_path / "a.parquet")
    assert read_rows(tmp_path / "a.parquet", settings()).to_dict("list") == {
        "a": [str(2**60 + 1), None],
        "y": ["p", "q"],
    }
    pd.DataFrame({"y": ["p"]}, index=pd.Index(["2024-01-01"], name="day")).to_parquet(tmp_path / "b.parquet")
    assert read_rows(tmp_path / "b.parquet", settings(time="day")).to_dict("list") == {
        "day": ["2024-01-01"],
        "y": ["p"],
    }


def test_lists_and_records_are_json_text(tmp_path: Path) -> None:
    data = '{"y": 1, "a": [1, "é"], "b": {"c": null}}\n{"y": 2, "a": []}\n'
    assert cells(tmp_path, "a.jsonl", data) == {"y": ["1", "2"], "a": ['[1, "é"]', "[]"], "b": ['{"c": null}', None]}
    pd.DataFrame({"y": ["1", "2"], "a": [[1, 2], None]}).to_parquet(tmp_path / "a.parquet")
    assert read_rows(tmp_path / "a.parquet", settings()).to_dict("list") == {"y": ["1", "2"], "a": ["[1, 2]", None]}


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", '{"y": 1, "y": 2}\n', ", line 1: not JSON ('y' stands in it twice)"),
        ("a.jsonl", '{"y": 1}\n' + "[" * 100_000, ", line 2: not JSON (maximum recursion depth"),
        ("a.jsonl", '{"y": 1}\n{"y": "\\ud83d"}', ", line 2: \\ud800 to \\udfff alone is half a character"),
        ("a.jsonl", '{"y": 1, "\\uDC00": 2}', ", line 1: \\ud800 to \\udfff alone is half a character"),
        ("a.csv", "a,y\n1\x00,2\n", ", line 2: a NUL character, which no text has"),
        ("a.csv", "a,y\n1,2\n" + "x" * 17_000_000, ", line 3: longer than 16,777,216 characters"),
        ("a.csv", "a;y\n1;2\n", ": one column only, 'a;y'; are cells parted by ';'?"),
        ("a.csv", "a\ty\n1\t2\n", ": one column only, 'a\ty'; are cells parted by '\\t'?"),
        ("a.csv", "a,y\né,2\n".encode() + "è,1\n".encode("latin-1"), ", line 3: not utf-8 (invalid continuation byte)"),
        ("a.csv", "a,y\n" + "1,2\n" * 700_000 + "\udce9,2\n", ", line 700002: not utf-8 (invalid"),
        ("a.csv.gz", gzip.compress(b"a,y\n\xff,2\n"), ", line 2: not utf-8 (invalid start byte)"),
        ("a.csv", "a,y\n1,2\n".encode("utf-16"), ", line 1: not utf-8 (invalid start byte)"),
    ],
    ids=str.split("twice deep half name-half nul long semicolon tab mixed late packed utf-16"),
)
def test_a_file_that_is_no_such_file_is_refused_with_its_line(
    tmp_path: Path, name: str, data: bytes | str, message: str
) -> None:
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    assert refused(tmp_path, name, raw).startswith(message)


def test_a_file_with_a_mark_of_utf_16_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.encoding\), for example utf-16$"):
        cells(tmp_path, "a.csv", "a,y\n1,2\n".encode("utf-16"))
    assert cells(tmp_path, "a.csv", "a,y\n1,2\n".encode("utf-16"), encoding="utf-16") == {"a": ["1"], "y": ["2"]}


def test_both_halves_of_a_character_are_one(tmp_path: Path) -> None:
    assert cells(tmp_path, "a.jsonl", '{"y": "\\ud83d\\ude00"}') == {"y": ["😀"]}


def test_a_cell_of_a_million_characters_is_read(tmp_path: Path) -> None:
    assert cells(tmp_path, "a.csv", f"a,y\n{'x' * 1_000_000},2\n")["a"] == ["x" * 1_000_000]


@pytest.mark.parametrize("tokens", ["words", "bpe"])
def test_texts_with_half_characters_are_refused_however_they_are_cut(tmp_path: Path, tokens: str) -> None:
    rows = [{"text": f"film {i} \U0001f600 {'good' if i % 2 else 'bad'}", "y": str(i % 2)} for i in range(40)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    given = settings(format="text", path=str(tmp_path), train_file="a.jsonl", text=("text",), tokens=tokens)
    assert prepare_dataset(given, 7).card.rows["train"] == 28
    rows[9]["text"] = "cut \ud83d"
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match=r"a\.jsonl, line 10: \\ud800 to \\udfff alone is half a character"):
        prepare_dataset(given, 7)


def test_lines_of_empty_cells_are_counted(tmp_path: Path) -> None:
    rows = [f"{i % 7},{i % 5},{'yes' if i % 3 else 'no'}" for i in range(60)]
    (tmp_path / "a.csv").write_text("\n".join(["a,b,y", *rows[:30], "", ",,", *rows[30:], ",,", ""]))
    prepared = prepare_dataset(settings(path=str(tmp_path), train_file="a.csv", duplicates="keep"), 7)
    assert sum(prepared.card.rows.values()) == 60
    assert "a.csv: 2 lines of empty cells are no rows, the first is line 33" in prepared.card.notes
