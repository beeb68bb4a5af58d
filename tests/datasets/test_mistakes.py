"""A wrong data set: two lines that say where, what and how to fix, exit 2, nothing half-written."""

import gzip
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT

HEADER = "age,job,sex,income"
ROWS = [
    f"{20 + i % 40},{'clerk' if i % 3 else 'smith'},{'F' if i % 2 else 'M'},{'hi' if i % 5 else 'lo'}"
    for i in range(80)
]
CONF = """\
defaults:
  - override /space@_global_.space: tiny
name: own
format: csv
path: null
train_file: own.csv
target: income
sensitive: {sex: {column: sex}}
slices: {}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project folder with conf/ and a CSV data set of its own."""
    for name in ("conf", "search_spaces"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    (tmp_path / "conf/data/own.yaml").write_text(CONF)
    (tmp_path / "raw").mkdir()
    return tmp_path


def write(folder: Path, lines: list[str], name: str = "own.csv") -> None:
    (folder / "raw" / name).write_text("\n".join(lines) + "\n")


def prepare(folder: Path, *overrides: str, data: str = "own") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline.prepare", f"data={data}", *overrides]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, check=False
    )


def refused(folder: Path, message: str, *overrides: str, data: str = "own") -> None:
    done = prepare(folder, *(overrides or ("data.path=raw",)), data=data)
    assert done.returncode == 2, done.stderr
    assert done.stderr == f"error: {message}\n"
    assert not (folder / "artifacts").exists() or not any((folder / "artifacts").rglob("*"))


def test_a_good_table_is_prepared(folder: Path) -> None:
    write(folder, [HEADER, *ROWS])
    done = prepare(folder, "data.path=raw")
    assert done.returncode == 0, done.stderr
    assert "own: table, binary (2 classes); rows: train 54, val 10, test 16" in done.stdout
    assert "sensitive columns are not inputs: sex" in done.stdout


def test_no_path(folder: Path) -> None:
    refused(
        folder,
        "data.path: not set; own is read from your own folder\n  fix: data.path=<folder of own.csv>",
        "data.name=own",
    )


def test_a_missing_path(folder: Path) -> None:
    refused(folder, "no/such: not found\n  fix: set data.path to the folder with the raw files", "data.path=no/such")


def test_a_missing_file(folder: Path) -> None:
    refused(folder, "raw: neither own.csv nor own.csv.gz is there\n  fix: point data.path at the folder that has it")


def test_an_empty_file(folder: Path) -> None:
    (folder / "raw/own.csv").write_text("")
    refused(folder, "raw/own.csv: the file is empty\n  fix: point data.path at a file with rows")


def test_a_header_and_nothing_else(folder: Path) -> None:
    write(folder, [HEADER])
    refused(folder, "raw/own.csv: holds no rows\n  fix: point data.path at a file with rows")


def test_no_target_column(folder: Path) -> None:
    write(folder, ["age,job,sex,incomes", *ROWS])
    refused(folder, "raw/own.csv: no column 'income' (data.target)\n  fix: did you mean 'incomes'?")


def test_one_class_only(folder: Path) -> None:
    write(folder, [HEADER, *(row.replace(",lo", ",hi") for row in ROWS)])
    refused(
        folder,
        "raw/own.csv: only one class (hi) in all 80 rows\n  fix: a classifier needs rows of at least two classes",
    )


def test_a_ragged_line(folder: Path) -> None:
    write(folder, [HEADER, *ROWS[:10], "1,2", *ROWS[10:]])
    refused(
        folder,
        "raw/own.csv, line 12: 2 cells, expected 4\n"
        "  fix: repair the line, or check data.columns and the separator (a comma)",
    )


def test_a_column_twice(folder: Path) -> None:
    write(folder, ["age,age,sex,income", *ROWS])
    refused(folder, "raw/own.csv: column 'age' appears twice\n  fix: rename one of them")


def test_a_missing_label(folder: Path) -> None:
    write(folder, [HEADER, *ROWS, "30,clerk,F,?"])
    done = prepare(folder, "data.path=raw")
    assert done.returncode == 2
    assert (
        "1 rows have no label in 'income', the first is own.csv:81\n  fix: remove or label these rows\n" in done.stderr
    )


def test_not_utf_8(folder: Path) -> None:
    (folder / "raw/own.csv").write_bytes("\n".join([HEADER, *ROWS]).encode() + b"\n30,caf\xe9,F,hi\n")
    done = prepare(folder, "data.path=raw")
    assert done.returncode == 2
    assert "not utf-8" in done.stderr
    assert done.stderr.endswith("fix: declare the file's encoding (data.encoding), for example latin-1\n")


def test_a_cut_gzip(folder: Path) -> None:
    whole = gzip.compress("\n".join([HEADER, *ROWS]).encode())
    (folder / "raw/own.csv.gz").write_bytes(whole[: len(whole) // 2])
    done = prepare(folder, "data.path=raw")
    assert done.returncode == 2, done.stderr
    assert "raw/own.csv.gz: cannot be unpacked" in done.stderr
    assert done.stderr.endswith("fix: download the file again\n")


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def idx_folder(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for prefix, rows in (("train", 60), ("t10k", 20)):
        (folder / f"raw/{prefix}-images-idx3-ubyte").write_bytes(idx(rng.integers(256, size=(rows, 8, 8))))
        labels = gzip.compress(idx(np.arange(rows) % 10))
        (folder / f"raw/{prefix}-labels-idx1-ubyte.gz").write_bytes(labels)
    return folder / "raw"


def test_idx_files_gzipped_or_not(folder: Path) -> None:
    idx_folder(folder)
    done = prepare(folder, "data.path=raw", data="fashion_mnist")
    assert done.returncode == 0, done.stderr
    assert "rows: train 50, val 10, test 20" in done.stdout


def test_swapped_idx_files(folder: Path) -> None:
    raw = idx_folder(folder)
    (raw / "train-images-idx3-ubyte").write_bytes(gzip.decompress((raw / "train-labels-idx1-ubyte.gz").read_bytes()))
    refused(
        folder,
        "raw/train-images-idx3-ubyte: not an idx file of bytes with 3 dimensions (starts with 00000801)\n"
        "  fix: check that the images and labels files are not swapped and the download is complete",
        "data.path=raw",
        data="fashion_mnist",
    )


def test_a_cut_idx_file(folder: Path) -> None:
    raw = idx_folder(folder)
    path = raw / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    refused(
        folder,
        "raw/t10k-images-idx3-ubyte: announces 1,280 bytes of data, holds 1,275\n  fix: download the file again",
        "data.path=raw",
        data="fashion_mnist",
    )


def test_a_failed_prepare_leaves_the_last_good_one(folder: Path) -> None:
    write(folder, [HEADER, *ROWS])
    assert prepare(folder, "data.path=raw").returncode == 0
    before = {p: p.read_bytes() for p in (folder / "artifacts").rglob("*") if p.is_file()}
    write(folder, [HEADER, *ROWS, "x"])
    assert prepare(folder, "data.path=raw").returncode == 2
    assert {p: p.read_bytes() for p in (folder / "artifacts").rglob("*") if p.is_file()} == before
