"""Rows that are parted many at once are those that csv_table gives one by one, and so are the errors."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets import csv_blocks
from pipeline.datasets.csv_blocks import csv_file
from pipeline.datasets.csv_table import csv_lines

PIECES = [",", ",", ",", "\n", "\n", "\r\n", "\r", '"', '""', '"a,b"', " ", "\t", "\x1c", "\u2028", "\x0b", "a", "é",
          "5", " 5", "?", "NA", "\0"]  # fmt: skip
Told = list[tuple[str | None, ...] | int] | str
"""Cells of each row, of one with another number of cells its line; or the error."""


def declared(**changes: object) -> DataSettings:
    given = {"name": "own", "format": "csv", "path": ".", "train_file": "a.csv", "target": "y", "sensitive": {},
             "slices": {}}  # fmt: skip
    return DataSettings(**(given | changes))  # type: ignore[arg-type]


def one_by_one(path: Path, settings: DataSettings) -> Told:
    try:
        lines = list(csv_lines(path, settings, ",", []))
    except DataError as wrong:
        return str(wrong)
    if settings.header:
        width, rows = (len(lines[0][1]), lines[1:]) if lines else (0, [])
    else:
        width, rows = (len(lines[0][1]) if lines else 0), lines
    return [row(number, cells, width, settings) for number, cells in rows]


def row(number: int, cells: list[str], width: int, settings: DataSettings) -> tuple[str | None, ...] | int:
    return tuple(None if cell in settings.missing else cell for cell in cells) if len(cells) == width else number


def in_blocks(path: Path, settings: DataSettings) -> Told:
    told: Told = []
    try:
        with csv_file(path, settings, ",") as file:
            first = file.first()
            width = len(first[1]) if first else 0
            for block in file.blocks(width, range(width)):
                if isinstance(block, tuple):
                    told += zip(*(column.cells for column in block), strict=True)
                else:
                    told += [row(number, cells, width, settings) for number, cells in block]
    except DataError as wrong:
        return str(wrong)
    return told


@given(text=st.lists(st.sampled_from(PIECES), max_size=40).map("".join), header=st.booleans(), quotes=st.booleans(),
       characters=st.integers(1, 30))  # fmt: skip
def test_any_text_gives_the_same(text: str, header: bool, quotes: bool, characters: int) -> None:
    settings = declared(header=header, quotes=quotes)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "_CHARACTERS", characters)
        path = Path(folder) / "a.csv"
        path.write_bytes(text.encode())
        assert in_blocks(path, settings) == one_by_one(path, settings)


def test_lines_without_quotes_are_parted_at_once_and_others_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_blocks, "_CHARACTERS", 40)
    lines = ["a,b", *(f"{i},x" for i in range(30)), '30,"x\ny"', *(f"{i},x" for i in range(31, 60))]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    with csv_file(tmp_path / "a.csv", declared(), ",") as file:
        assert file.first() == (1, ["a", "b"])
        blocks = list(file.blocks(2, [1, 0]))
    assert [isinstance(block, tuple) for block in blocks].count(False) == 1
    assert sum(len(block[0].at) if isinstance(block, tuple) else len(block) for block in blocks) == 60
    assert isinstance(blocks[0], tuple)
    assert blocks[0][0].cells.tolist() == ["x"] * len(blocks[0][0].at)
    assert blocks[0][1].cells.tolist()[:3] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a,b\n1,2\n3,\0\n", "line 3: a NUL character, which no text has"),
        (b"a,b\n1,2\n3,\xe9\n", "line 3: not utf-8 (invalid continuation byte)"),
        (b'a,b\n1,2\n\n3,"4"5\n', "line 4: ',' expected after '\"'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    assert message in str(in_blocks(tmp_path / "a.csv", declared()))


def test_a_line_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("csv_blocks", "csv_table"):
        monkeypatch.setattr(f"pipeline.datasets.{module}.LONGEST", 50)
    (tmp_path / "a.csv").write_text(f"a,b\n1,2\n3,{'x' * 60}\n")
    assert "line 3: longer than 50 characters" in str(in_blocks(tmp_path / "a.csv", declared()))
