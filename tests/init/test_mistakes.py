"""Mistakes are told in two lines, exit with code 2, and nothing is written."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from pipeline.init import as_yaml, budget, main
from tests.init.helpers import people


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["target=x"], "init: no path given\n  fix: python -m pipeline.init <file, folder or archive>"),
        (["raw/none.csv"], "raw/none.csv: not found\n  fix: give a file, a folder or an archive"),
        (["raw/people.csv", "traget=label"], "init: 'traget=label' is not understood\n  fix: did you mean 'target='?"),
        (["raw/people.csv", "horizon=soon"],
         "init: horizon=soon is no number of steps\n  fix: say for example horizon=24"),
        (["raw/people.csv", "val_fraction=20"],
         "init: val_fraction=20 is no share of the rows\n  fix: say for example val_fraction=0.2"),
        (["raw/people.csv", "task=forecast"],
         "init: task=forecast is not known\n  fix: a forecast is told by horizon=<steps>"),
        (["raw/people.csv", "target="], "init: target= has no value\n  fix: say target=<value>, or leave it out"),
        (["raw/people.csv", "target=lable"],
         "raw/people.csv: no column 'lable' (target=)\n  fix: did you mean 'label'?"),
        (["raw/people.csv", "time=age", "group_by=sex"],
         "init: time= and group_by= both split the rows\n  fix: leave one of them out"),
        (["raw/people.csv", "time=sex", "target=sex"],
         "init: 'sex' is both time= and target=\n  fix: name another column"),
        (["raw/people.csv", "name=digits"],
         "conf/data/digits.yaml: is there already\n  fix: say name=<another>, or remove the file first"),
        (["raw/people.csv", "target=person"],
         "raw/people.csv: 'person' has 120 different texts in 120 rows\n"
         "  fix: give a column of classes or numbers: target=<column>"),
        (["raw/people.csv", "horizon=4"],
         "raw/people.csv: 2 columns of numbers; which are to be forecast?\n"
         "  fix: target=<column> or several: target=[age,pay]"),
        (["raw/people.csv", "format=series"],
         "raw/people.csv: no series: neither steps in columns nor lines by series and time\n"
         "  fix: say id=<column> time=<column>"),
        (["raw/people.csv", "task=multilabel"],
         "raw/people.csv: no separator of labels in 'label'\n  fix: give several columns of 0 and 1"),
        (["raw/empty"], "raw/empty: no table, series, image or text files by class\n"
         "  fix: lay them out as <class>/<name>, or give a CSV, TSV, JSONL, Parquet, .npz or .ts file"),
        (["raw/two"], "raw/two: which file holds the training rows? (a.csv, b.csv)\n"
         "  fix: give the path of that file"),
        (["raw/semi.csv"], "raw/semi.csv: cells are parted by ';'\n"
         "  fix: save it with commas, or with tabs as .tsv"),
        (["raw/list.json"], 'raw/list.json: one JSON list\n  fix: write one object per line: {"a": 1, "b": "x"}'),
        (["raw/flat"], "raw/flat: all 3 files lie in one folder, 'notes'\n"
         "  fix: lay them out as <class>/<name>, or give a table with their paths"),
        (["raw/flat", "time=x"], "init: time= says something of columns, but raw/flat holds files by class\n"
         "  fix: leave time= out; data.side_table takes a table about the files"),
        (["raw/m4"], "raw/m4/h-train.csv: series to forecast, which h-test.csv continues\n"
         "  fix: say how many steps: horizon=4"),
        (["raw/holes.csv"], "raw/holes.csv: 2 rows have no label in 'label', the first is holes.csv:3\n"
         "  fix: remove or label these rows; or say target=<column> if another is to be predicted"),
        (["raw/head.csv"], "raw/head.csv: a single line\n  fix: give a file with rows below a header"),
        (["raw/large.csv"], "raw/large.csv: column 'pay': 120 cells are no finite numbers of 32 bits, the first "
         "'1e+60' at row 1\n  fix: repair the cells, or leave the column out of the table"),
        (["raw/people.csv", "target=pay", "horizon=200"],
         "series 'people' has 120 steps: 200 for test and 200 for val leave none for training\n"
         "  fix: lower data.horizon, or leave the series out"),
        (["raw/people.csv", "target=pay", "horizon=2", "time=age"],
         "raw/people.csv: series 'people': 65 moments stand there twice, the first in data row 43\n"
         "  fix: keep one line per moment, or say id=<column> where there are several series"),
        (["raw/rare.csv", "target=n"],
         "raw/rare.csv: class '7' has 1 rows, the first is rare.csv:1; train, val and test need 3\n"
         "  fix: add rows of this class, or remove or merge it; or say task=regression if they are quantities"),
    ],
)  # fmt: skip
def test_mistakes(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    frame = people()
    frame.to_csv("raw/people.csv", index=False)
    frame.to_csv("raw/semi.csv", index=False, sep=";")
    frame.assign(label=frame["label"].where(~frame.index.isin([2, 5]))).to_csv("raw/holes.csv", index=False)
    frame.assign(n=[7, *[1, 2] * 59, 1]).to_csv("raw/rare.csv", index=False)
    frame.assign(pay=1e60).to_csv("raw/large.csv", index=False)
    frame[:0].to_csv("raw/head.csv", index=False)
    Path("raw/list.json").write_text('[{"a": 1}]')
    for name in ("empty", "two", "flat/notes", "m4"):
        Path(f"raw/{name}").mkdir(parents=True)
    for name in "ab":
        frame.to_csv(f"raw/two/{name}.csv", index=False)
    for i in range(3):
        Path(f"raw/flat/notes/{i}.txt").write_text(f"some words {i}")
    for name, steps in (("train", 60), ("test", 4)):
        wide = pd.DataFrame(np.random.default_rng(0).normal(size=(4, steps)), index=list("wxyz"))
        wide.add_prefix("V").to_csv(f"raw/m4/h-{name}.csv", index_label="id")
    before = sorted(Path("conf").rglob("*"))
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert sorted(Path("conf").rglob("*")) == before


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"{key}=" in said for key in ("name", "target", "task", "text", "horizon", "time", "id", "group_by",
                                             "weight", "sensitive", "val_fraction", "format"))  # fmt: skip


def test_the_budget_is_that_of_conf() -> None:
    limits = {"search": {"seconds": None, "n_trials": 9}, "train": {"seconds": 5, "epochs": 3}}
    told = (
        "the standard search is at most 9 trials of training (search.n_trials) "
        "and 5 s for the final trainings (train.seconds)"
    )
    assert budget(limits) == told


@pytest.mark.parametrize(
    "value", ["1e3", "${x}", r"\${x}", r"\\${x}", "a: b", "no", None, ["", "y, z"], {"a ${b}": 0.5, "c": [r"\${x}"]}]
)
def test_values_are_written_as_hydra_reads_them(value: object) -> None:
    read = OmegaConf.to_container(OmegaConf.create(f"v: {as_yaml(value)}"), resolve=True)
    assert read == {"v": value}
