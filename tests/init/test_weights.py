"""weight=COLUMN is written, told and kept from the inputs, whatever a row is."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.init import main
from tests.datasets.test_photos import picture
from tests.init.helpers import found, init, people, prepared, written
from tests.init.test_series import lines_of, steps

Capture = pytest.CaptureFixture[str]


def weights(rows: int) -> np.ndarray:
    """Return one weight per row, from 0 to 2."""
    return np.arange(rows) % 5 / 2


def test_a_table(capsys: Capture) -> None:
    people().assign(survey=weights(120)).to_csv("raw/people.csv", index=False)
    lines = init(capsys, "raw/people.csv", "weight=survey", "target=label")
    assert "rows count by 'survey' in training: 0 to 2, 24 rows of 0; no input" in lines
    assert found(lines, "columns:") == "columns: 2 numbers (age, pay); 1 category (sex)"
    assert written("people")["weight"] == "survey"
    card = prepared("people")
    assert card.weight == "survey"
    assert [c.name for c in card.inputs.columns] == ["age", "sex", "pay"]  # type: ignore[union-attr]
    told = found(lines, "split ").rpartition(": ")[2]
    assert told == ", ".join(f"{split} {n}" for split, n in card.rows.items())


def test_the_target_is_another_column(capsys: Capture) -> None:
    frame = people()[["age", "sex", "pay"]].assign(survey=weights(120) + 0.1)
    frame.to_csv("raw/people.csv", index=False)
    assert init(capsys, "raw/people.csv", "weight=survey", "sensitive=[survey,sex]")[0].endswith("regression of 'pay'")
    card = prepared("people")
    assert (card.weight, [f.name for f in card.audit]) == ("survey", ["survey", "sex"])


def test_texts(capsys: Capture) -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefgh"), 6)) + f" number {i}" for i in range(60)]
    frame = pd.DataFrame({"review": texts, "a": 1, "b": range(60), "n": weights(60), "label": ["x", "y"] * 30})
    frame.to_csv("raw/reviews.csv", index=False)
    lines = init(capsys, "raw/reviews.csv", "weight=n")
    assert "not read: a, b; data.sensitive and data.slices may name them" in lines
    assert prepared("reviews").weight == "n"


def test_images_named_in_a_table(capsys: Capture) -> None:
    for i in range(40):
        Path(f"raw/{i}.png").write_bytes(picture(seed=i))
    frame = pd.DataFrame({"file": [f"{i}.png" for i in range(40)], "kind": ["a", "b"] * 20, "w": weights(40)})
    frame.to_csv("raw/table.csv", index=False)
    assert "rows count by 'w' in training: 0 to 2, 8 rows of 0; no input" in init(capsys, "raw", "name=p", "weight=w")
    assert prepared("p").weight == "w"


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_series(layout: str, capsys: Capture) -> None:
    frame = steps().assign(w=weights(40)) if layout == "wide" else lines_of().assign(w=np.repeat(weights(30), 12))
    frame.to_csv("raw/s.csv", index=False)
    lines = init(capsys, "raw/s.csv", "weight=w", "target=kind" if layout == "wide" else "target=fault")
    assert any(line.startswith("rows count by 'w' in training: 0 to 2, ") for line in lines)
    assert written("s")["series_layout"] == layout
    card = prepared("s")
    assert card.weight == "w"
    assert card.inputs.channels == (("value",) if layout == "wide" else ("speed", "force"))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["raw/people.csv", "weight=surve"],
         "raw/people.csv: no column 'surve' (weight=)\n  fix: did you mean 'survey'?"),
        (["raw/people.csv", "weight=sex", "target=label"],
         "raw/people.csv: 'sex' (data.weight) is no number of at least 0 in 120 rows, the first is people.csv:1 with "
         "'M'\n  fix: repair these cells; a row that shall not count has weight 0"),
        (["raw/people.csv", "weight=pay", "target=pay"],
         "init: 'pay' is both weight= and target=\n  fix: name another column"),
        (["raw/people.csv", "weight=survey", "horizon=3", "target=pay"],
         "init: sensitive=, group_by=, weight=, task= and text= say nothing of a forecast\n  fix: leave them out"),
        (["raw/photos", "weight=w"], "init: weight= says something of columns, but raw/photos holds files by class\n"
                                     "  fix: leave weight= out; data.side_table takes a table about the files"),
    ],
)  # fmt: skip
def test_mistakes(arguments: list[str], message: str, capsys: Capture) -> None:
    people().assign(survey=weights(120)).to_csv("raw/people.csv", index=False)
    Path("raw/photos/a").mkdir(parents=True)
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
