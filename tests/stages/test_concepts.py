"""Concepts from raw files to the report: a coloured corner that decides the class, a word that does."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.core import settings as kinds
from pipeline.core.errors import ConfigError
from pipeline.stage import compose, slice_for
from tests.stages.test_tasks import folder, page, run

__all__ = ["folder"]


def verdicts(report: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(one["name"], one["output"]): one["verdict"] for one in report["interpret"]["concepts"]["scores"]}


def corners(where: str, count: int, rng: np.random.Generator, red: bool | None, green: bool | None) -> None:
    """Write noise with a red corner and a green one, each as told or in half of the pictures; red is the class."""
    for i in range(count):
        x = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
        has_red, has_green = (rng.random() < 0.5 if told is None else told for told in (red, green))
        if has_red:
            x[:5, :5] = (255, 0, 0)
        if has_green:
            x[-5:, -5:] = (0, 255, 0)
        path = Path(where.format(kind="with" if has_red else "without")) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(x).save(path)


def test_a_corner_that_decides_the_class_is_a_concept_and_another_is_not() -> None:
    rng = np.random.default_rng(0)
    corners("raw/{kind}", 600, rng, None, None)
    corners("concepts/red", 40, rng, True, None)
    corners("concepts/green", 40, rng, None, True)
    corners("concepts/random", 40, rng, None, None)
    data = {"format": "images", "path": "raw"}
    done = run("image", data, "train.epochs=6", "interpret.concepts=concepts", "interpret.concept_runs=20")
    assert done["evaluate"]["metrics"]["accuracy"]["value"] > 0.95
    said = verdicts(done)
    assert said["red", "with"] == said["red", "without"] == "used"
    assert "used" not in {said["green", "with"], said["green", "without"]}
    assert said["random", "with"] == said["random", "without"] == "insufficient_evidence"
    found = done["interpret"]["concepts"]
    assert (found["runs"], found["tests"], len(found["directions"])) == (20, 6, 3)
    assert [one["accuracy"]["n"] for one in found["directions"]] == [80, 80, 80]
    assert "Concepts that outputs rest on" in page()
    assert "interpret.concepts=FOLDER" not in " ".join(done["not_assessed"])


def test_a_word_that_decides_the_class_is_a_concept() -> None:
    rng = np.random.default_rng(0)
    plain = np.array([f"word{i}" for i in range(60)])
    asked = np.array(["refund", "money", "return", "bill"])
    rows = []
    for i in range(800):
        text = list(rng.choice(plain, rng.integers(6, 12)))
        if i % 2:
            text[:2] = rng.choice(asked, 2)
        rows.append((" ".join(rng.permutation(text)), "complaint" if i % 2 else "other"))
    pd.DataFrame(rows, columns=["text", "kind"]).to_csv("rows.csv", index=False)
    Path("concepts").mkdir()
    for name, words in {"payment": asked, "plain": plain}.items():
        lines = {" ".join([*rng.choice(words, 2), *rng.choice(plain, 3)]) for _ in range(30)}
        Path(f"concepts/{name}.txt").write_text("\n".join(sorted(lines)))
    data = {"format": "text", "train_file": "rows.csv", "text": ["text"], "target": "kind"}
    done = run("text", data, "train.epochs=6", "interpret.concepts=concepts")
    said = verdicts(done)
    assert said["payment", "complaint"] == "used"
    shifts = {(s["name"], s["output"]): s["shift"]["value"] for s in done["interpret"]["concepts"]["scores"]}
    assert shifts["payment", "complaint"] > 0 > shifts["payment", "other"]
    assert done["interpret"]["concepts"]["how"] == (
        "544 stretches of training texts as long as the phrases; explained is the logit of a class above the mean of "
        "the others"
    )
    assert done["interpret"]["concepts"]["runs"] == 30


@pytest.mark.parametrize(("runs", "layers"), [(19, "[features]"), (20, "[]"), (20, "[a,a]")])
def test_settings_that_say_nothing_are_refused(runs: int, layers: str) -> None:
    config = compose([f"interpret.concept_runs={runs}", f"interpret.concept_layers={layers}"])
    with pytest.raises(ConfigError) as wrong:
        slice_for("interpret", kinds.InterpretSlice, config)
    told = ("concept_runs must be at least 20: fewer random sets say little" if runs < 20
            else "concept_layers must name at least one part, each once")  # fmt: skip
    assert told in str(wrong.value)
