"""Texts and images: in files, by class, as arrays, named in tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.datasets.test_photos import files as image_files
from tests.datasets.test_photos import picture
from tests.datasets.test_texts import packed
from tests.init.helpers import found, init, prepared, written

Capture = pytest.CaptureFixture[str]
ROWS = [(f"the {'good' if i % 2 else 'bad'} film number {i} on my list", "pos" if i % 2 else "neg") for i in range(60)]


def test_texts_in_a_file_and_by_class(capsys: Capture) -> None:
    pd.DataFrame(ROWS, columns=["review", "sentiment"]).to_csv("raw/reviews.csv", index=False)
    lines = init(capsys, "raw/reviews.csv")
    assert lines[0] == "reviews: 60 texts; binary, 2 classes in 'sentiment'"
    assert found(lines, "text in 'review': ")
    assert prepared("reviews").inputs.kind == "text"
    packed(Path("raw/reviews.zip"), {f"{y}/{i}.txt": t.encode() for i, (t, y) in enumerate(ROWS)})
    assert (
        init(capsys, "raw/reviews.zip", "name=zipped")[0] == "zipped: 60 texts by folder; binary, 2 classes in 'label'"
    )
    assert (prepared("zipped").inputs.kind, prepared("zipped").classes) == ("text", ("neg", "pos"))


def test_tabs_with_stray_quotes(capsys: Capture) -> None:
    Path("raw/sms.tsv").write_text("".join(f'{y}\t"{t} and more\n' for t, y in ROWS))
    lines = init(capsys, "raw/sms.tsv")
    assert "quotation marks do not enclose cells" in lines
    assert "target not given: 'column_1' was taken; say target=<column> if it is another" in lines
    assert sum(prepared("sms").rows.values()) == 60


def test_lines_of_a_label_and_a_text_in_latin_1(capsys: Capture) -> None:
    for name, rows in (("s.train", ROWS[:40]), ("s.dev", ROWS[40:50]), ("s.test", ROWS[50:])):
        lines = "".join(f"{int(y == 'pos')} {t} à la crème {name} {i}\n" for i, (t, y) in enumerate(rows))
        Path(f"raw/{name}").write_text(lines, encoding="latin-1")
    Path("raw/README.md").write_text("what this is")
    told = init(capsys, "raw", "name=films")
    assert told[0] == "films: 60 texts; binary, 2 classes in 'label'"
    assert "s.train, s.dev, s.test: not utf-8, read as latin-1; check some words with accents" in told
    card = prepared("films")
    assert (card.rows["test"], card.rows["val"], written("films")["layout"]) == (10, 10, "label_text")
    assert "crème" in card.inputs.vocabulary  # type: ignore[union-attr]


def test_texts_that_stand_in_train_and_test(capsys: Capture) -> None:
    frame = pd.DataFrame(ROWS, columns=["review", "sentiment"])
    frame[:50].to_csv("raw/train.csv", index=False)
    frame[48:].to_csv("raw/test.csv", index=False)
    lines = init(capsys, "raw", "name=twins")
    assert "WARNING 2 rows that equal a test row are left out of training (data.duplicates=drop)" in lines
    assert sum(prepared("twins").rows.values()) == 60


def test_texts_of_people(capsys: Capture) -> None:
    frame = pd.DataFrame(ROWS, columns=["review", "sentiment"]).assign(sex=["f", "m", "m"] * 20)
    frame.to_csv("raw/reviews.csv", index=False)
    lines = init(capsys, "raw/reviews.csv", "sensitive=[sex]", "text=review")
    assert lines[0].startswith("reviews: 60 texts")
    assert [f.name for f in prepared("reviews").audit] == ["sex", "length"]


def test_images_by_class(capsys: Capture) -> None:
    packed(Path("raw/pets.zip"), image_files())
    lines = init(capsys, "raw", "name=pets")
    assert lines[0].endswith("images by folder; binary, 2 classes in 'label'")
    assert (prepared("pets").inputs.kind, prepared("pets").classes) == ("image", ("cat", "dog"))


def test_images_of_one_small_size_keep_it(capsys: Capture) -> None:
    for i in range(40):
        place = Path(f"raw/{'train' if i < 30 else 'test'}/{'ab'[i % 2]}/{i}.png")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(picture(size=(12, 9), seed=i))
    Path("raw/train/a/broken.png").write_bytes(b"no image")
    with pytest.raises(AssertionError, match=r"1 image of 41 cannot be read: train/a/broken.png"):
        init(capsys, "raw", "name=small")
    Path("raw/train/a/broken.png").unlink()
    lines = init(capsys, "raw", "name=small")
    assert "all of 12 x 9 pixels" in lines
    assert found(lines, "split ").startswith("split as given (folder test), else by content")
    card = prepared("small")
    assert (card.inputs.width, card.inputs.height, card.rows["test"]) == (12, 9, 10)  # type: ignore[union-attr]


@pytest.mark.parametrize("below", ["", "shots"])
def test_images_named_in_a_table(below: str, capsys: Capture) -> None:
    (Path("raw") / below).mkdir(exist_ok=True)
    rows = []
    for i in range(40):
        (Path("raw") / below / f"{i}.png").write_bytes(picture(seed=i))
        rows.append((f"{i}.png", "sick" if i % 2 else "well", f"p{i // 2}", "f" if i % 3 else "m"))
    pd.DataFrame(rows, columns=["file", "finding", "patient", "sex"]).to_csv("raw/rows.csv", index=False)
    lines = init(capsys, "raw", "name=scans", "target=finding", "group_by=patient", "sensitive=[sex]")
    assert lines[0] == "scans: 40 images named in a table; binary, 2 classes in 'finding'"
    assert found(lines, "split ").startswith("split by group: no 'patient' on two sides")
    card = prepared("scans")
    assert [f.name for f in card.audit][:1] == ["sex"]
    assert sum(card.rows.values()) == 40


def test_arrays(capsys: Capture) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (90, 8, 8), dtype=np.uint8)
    x[80] = x[0]
    np.savez("raw/a.npz", x_train=x[:70], y_train=np.arange(70) % 30 % 3, x_test=x[70:], y_test=np.arange(20) % 3)
    lines = init(capsys, "raw/a.npz")
    assert lines[0] == "a: 90 images of 8 x 8 pixels, grey; multiclass, 3 classes in 'label'"
    assert "WARNING 1 rows that equal a test row are left out of training (data.duplicates=drop)" in lines
    assert prepared("a").rows["test"] == 20
    np.savez("raw/b.npz", x=x, y=np.arange(90) % 30)
    assert init(capsys, "raw/b.npz")[0].endswith("multiclass, 30 classes in 'label'")
    assert prepared("b").task == "multiclass"
