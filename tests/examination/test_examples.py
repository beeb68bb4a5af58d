"""Examples of concepts as people give them: what is read, and what is refused in which words."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.core.contracts import DatasetCard, ImageInputs, Inputs, Intake, NumericColumn, TableInputs, TextInputs
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError
from pipeline.core.store import TRAIN, write_json
from pipeline.examination import read_concepts

IMAGE = ImageInputs(channels=1, height=6, width=6, mean=(0.5,), std=(0.3,))
TEXT = TextInputs(length=4, vocabulary=("good", "bad", "film"))
TABLE = TableInputs(columns=(NumericColumn(name="a", edges=(0.0, 1.0), median=0.5, missing=False),))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def card(inputs: Inputs, side: int | None = None) -> DatasetCard:
    """Return the card of a data set, whose intake then lies in artifacts/train."""
    settings = DataSettings(name="t", format="images", side=side, sensitive={}, slices={})
    write_json(TRAIN / "intake.json", Intake(data=settings, task="binary", classes=("a", "b"), usual={}))
    return DatasetCard(name="t", task="binary", classes=("a", "b"), inputs=inputs, rows={}, class_rows={}, audit=(),
                       source_digest="", notes=())  # fmt: skip


def picture(name: str, seed: int, size: tuple[int, int] = (6, 6), mode: str = "L") -> None:
    path = Path("concepts") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = size[::-1] if mode == "L" else (*size[::-1], 3)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)).save(path)


def refused(inputs: Inputs, side: int | None = None) -> str:
    with pytest.raises(ConfigError) as wrong:
        read_concepts("concepts", card(inputs, side))
    return str(wrong.value)


def test_a_folder_of_pictures_is_a_concept() -> None:
    for i in range(10):
        picture(f"striped/{i}.png", i)
        picture(f"dotted/{i}.png", 100 + i)
    Path("concepts/.hidden").mkdir()
    Path("concepts/striped/notes.txt").write_text("no picture")
    found = read_concepts("concepts", card(IMAGE))
    assert [one.name for one in found] == ["dotted", "striped"]
    assert found[0].examples.shape == (10, 1, 6, 6)
    assert found[0].examples.dtype == np.uint8
    expected = np.random.default_rng(3).integers(0, 256, (6, 6))
    assert (found[1].examples[3, 0] == expected).all()


def test_pictures_are_scaled_as_those_of_training_were() -> None:
    for i in range(10):
        picture(f"large/{i}.png", i, (40, 30))
    assert read_concepts("concepts", card(IMAGE, side=6))[0].examples.shape == (10, 1, 6, 6)


def test_a_file_of_phrases_is_a_concept() -> None:
    Path("concepts").mkdir()
    lines = ["Good film", "bad film", "good", "bad", "film", "good bad", "bad good", "film good", "film bad", "bad bad"]
    Path("concepts/taste.txt").write_text("\ufeff" + "\n\n".join(lines), encoding="utf-8")
    (found,) = read_concepts("concepts", card(TEXT))
    assert found.name == "taste"
    assert found.examples[0].tolist() == [2, 4, 0, 0]
    assert found.examples.shape == (10, 4)


def test_other_rows_have_no_concepts() -> None:
    assert refused(TABLE) == (
        "interpret.concepts: rows of kind table have no concepts, images and texts have\n  fix: interpret.concepts=null"
    )


@pytest.mark.parametrize(
    ("inputs", "fix"),
    [(IMAGE, "one sub-folder of pictures per concept"), (TEXT, "one .txt file per concept, with one phrase per line")],
)
def test_no_folder_and_an_empty_one(inputs: Inputs, fix: str) -> None:
    assert refused(inputs) == f"interpret.concepts: concepts: no such folder\n  fix: give a folder with {fix}"
    Path("concepts").mkdir()
    assert refused(inputs) == f"interpret.concepts: concepts: holds no concept\n  fix: put {fix} there"


def test_too_few_pictures() -> None:
    Path("concepts/striped").mkdir(parents=True)
    fix = "\n  fix: add pictures, or remove the concept"
    assert refused(IMAGE) == f"interpret.concepts: concepts: striped: no pictures, a direction needs 10{fix}"
    picture("striped/0.png", 0)
    assert refused(IMAGE) == f"interpret.concepts: concepts: striped: 1 picture, a direction needs 10{fix}"
    for i in range(1, 9):
        picture(f"striped/{i}.png", i)
    assert refused(IMAGE) == f"interpret.concepts: concepts: striped: 9 pictures, a direction needs 10{fix}"


def test_pictures_that_are_none_or_others() -> None:
    for i in range(10):
        picture(f"striped/{i}.png", i)
    fix = "\n  fix: give pictures like those it was trained on, or remove this one"
    Path("concepts/striped/4.png").write_bytes(b"no picture at all")
    assert refused(IMAGE) == f"interpret.concepts: concepts: striped/4.png: cannot be read: no image{fix}"
    picture("striped/4.png", 4, (7, 6))
    assert refused(IMAGE) == (
        f"interpret.concepts: concepts: striped/4.png: 7 x 6 pixels, the network reads 6 x 6{fix}"
    )
    picture("striped/4.png", 4, mode="RGB")
    assert refused(IMAGE) == (
        f"interpret.concepts: concepts: striped/4.png: in colour, the training images were all grey{fix}"
    )
    shutil.copy("concepts/striped/1.png", "concepts/striped/4.png")
    assert refused(IMAGE) == (
        "interpret.concepts: concepts: striped: 1.png and 4.png are the same to the network\n  fix: remove one"
    )


def test_phrases_that_are_none() -> None:
    Path("concepts").mkdir()
    file = Path("concepts/taste.txt")
    file.write_text("good\n\n")
    fix = "\n  fix: add phrases, or remove the concept"
    assert refused(TEXT) == f"interpret.concepts: concepts: taste.txt: 1 phrase, a direction needs 10{fix}"
    file.write_text("")
    assert refused(TEXT) == f"interpret.concepts: concepts: taste.txt: no phrases, a direction needs 10{fix}"
    file.write_bytes("gün\n".encode("latin-1") * 10)
    assert refused(TEXT) == (
        "interpret.concepts: concepts: taste.txt: cannot be read: not UTF-8\n  fix: write it as UTF-8 text"
    )
    file.write_text("good\n" + "xyzzy\n" * 10)
    assert refused(TEXT) == (
        "interpret.concepts: concepts: taste.txt: line 2: the network knows none of its words\n"
        "  fix: use words of the training texts, or remove the line"
    )
    file.write_text("good film\n" * 10)
    assert refused(TEXT) == (
        "interpret.concepts: concepts: taste: line 1 and line 2 are the same to the network\n  fix: remove one"
    )
