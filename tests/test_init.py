"""`python -m pipeline.init`: what is inferred is right, the file written works, mistakes are told in two lines."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.configure import check
from pipeline.core.settings import PrepareSlice
from pipeline.datasets import prepare_dataset
from pipeline.init import main
from pipeline.stage import compose, slice_for
from tests.conftest import ROOT
from tests.datasets.test_photos import files as image_files
from tests.datasets.test_texts import ROWS, packed


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder to write conf/data into."""
    for name in ("conf", "search_spaces"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    return tmp_path


def people(rows: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "person": [f"P{i}" for i in range(rows)],
            "age": rng.integers(18, 80, rows),
            "sex": rng.choice(["F", "M"], rows),
            "pay": rng.normal(9, 2, rows).round(3),
            "label": rng.choice(["no", "yes"], rows),
        }
    )


def prepared(name: str) -> dict[str, object]:
    """Compose the file that was written, prepare with it, return what it became."""
    config = compose([f"data={name}"])
    check(config)
    settings = slice_for("prepare", PrepareSlice, config)
    card = prepare_dataset(settings.data, settings.seed).card
    return {"kind": card.inputs.kind, "classes": card.classes, "audit": [f.name for f in card.audit],
            "rows": sum(card.rows.values()), "inputs": card.inputs, "given": card.rows}  # fmt: skip


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    people().to_csv("raw/people.csv", index=False)
    assert main(["raw/people.csv", "sensitive=[sex]"]) == 0
    said = capsys.readouterr().out
    assert "120 rows, 5 columns; 2 classes in 'label'" in said
    assert "taken for an identifier and left out: person" in said
    assert "target not given: 'label' was taken" in said
    found = prepared("people")
    assert (found["kind"], found["classes"], found["audit"], found["rows"]) == ("table", ("no", "yes"), ["sex"], 120)
    assert [c.name for c in found["inputs"].columns] == ["age", "pay"]  # type: ignore[attr-defined]


def test_given_files_without_a_header() -> None:
    frame = people().drop(columns="person")
    frame[:90].to_csv("raw/own.train.csv", index=False, header=False)
    frame[90:].to_csv("raw/own.test.csv", index=False, header=False)
    assert main(["raw", "name=own", "target=column_4"]) == 0
    found = prepared("own")
    assert found["given"]["test"] == 30  # type: ignore[index]


def test_texts_in_a_file_and_by_class() -> None:
    pd.DataFrame(ROWS, columns=["review", "sentiment"]).to_csv("raw/reviews.csv", index=False)
    assert main(["raw/reviews.csv"]) == 0
    assert prepared("reviews")["kind"] == "text"
    packed(Path("raw/reviews.zip"), {f"{y}/{i}.txt": t.encode() for i, (t, y) in enumerate(ROWS)})
    assert main(["raw/reviews.zip", "name=zipped"]) == 0
    assert (prepared("zipped")["kind"], prepared("zipped")["classes"]) == ("text", ("neg", "pos"))


def test_tabs_with_stray_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f'{y}\t"{t} and more' for t, y in ROWS]
    Path("raw/sms.tsv").write_text("\n".join(lines) + "\n")
    assert main(["raw/sms.tsv", "target=column_1"]) == 0
    assert "quotation marks do not enclose cells" in capsys.readouterr().out
    assert prepared("sms")["rows"] == 60


def test_images_and_series() -> None:
    packed(Path("raw/pets.zip"), image_files())
    assert main(["raw/pets.zip"]) == 0
    assert (prepared("pets")["kind"], prepared("pets")["classes"]) == ("image", ("cat", "dog"))
    Path("raw/s").mkdir()
    rows = "\n".join(f"{i},{i + 1},{i % 2}:{'up' if i % 2 else 'down'}" for i in range(40))
    for part in ("TRAIN", "TEST"):
        Path(f"raw/s/Steps_{part}.ts").write_text(f"@problemName Steps\n@data\n{rows}\n")
    assert main(["raw/s", "name=steps"]) == 0
    assert (prepared("steps")["kind"], prepared("steps")["rows"]) == ("series", 80)


def test_a_column_equal_to_the_target_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    people().assign(leak=lambda f: f["label"]).to_csv("raw/leaky.csv", index=False)
    assert main(["raw/leaky.csv", "target=label"]) == 0
    assert "WARNING equal to the target, left out: leak" in capsys.readouterr().out
    assert "leak" not in [c.name for c in prepared("leaky")["inputs"].columns]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["target=x"], "init: no path given\n  fix: python -m pipeline.init <file, folder or archive>"),
        (["raw/none.csv"], "raw/none.csv: not found\n  fix: give a file, a folder or an archive"),
        (["raw/people.csv", "traget=label"], "init: 'traget=label' is not understood\n  fix: did you mean 'target='?"),
        (["raw/people.csv", "target=lable"], "raw/people.csv: no column 'lable'\n  fix: did you mean 'label'?"),
        (["raw/people.csv", "name=digits"],
         "conf/data/digits.yaml: is there already\n  fix: say name=<another>, or remove the file first"),
        (["raw/people.csv", "target=person"],
         "raw/people.csv: 'person' has 120 different values; regression is not supported yet\n"
         "  fix: give a column of classes: target=<column>"),
        (["raw/empty"], "raw/empty: no table, series, image or text files by class\n"
         "  fix: lay them out as <class>/<name>, or give a CSV, TSV, JSONL, Parquet or .ts file"),
    ],
)  # fmt: skip
def test_mistakes(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    people().to_csv("raw/people.csv", index=False)
    Path("raw/empty").mkdir()
    before = sorted(Path("conf").rglob("*"))
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert sorted(Path("conf").rglob("*")) == before


def test_help() -> None:
    assert main(["--help"]) == 0
