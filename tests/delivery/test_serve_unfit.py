"""Rows and files that do not fit, sent to a model as train leaves it: with sets, a threshold and a floor."""

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.core.contracts import HeldOut, ModelCard
from pipeline.core.store import read_record, write_json
from tests.delivery.conftest import Train, Trained
from tests.delivery.test_serve import client_of, digits, people, png
from tests.prediction.test_unfit_input import oversized

__all__ = ["digits", "people"]


def whole(made: Trained) -> Trained:
    """Add what train keeps of validation rows."""
    strange = np.linspace(0.3, 0.7, 99)[:, None]
    np.save(made.folder / "held_out.npy", strange, allow_pickle=False)
    held = HeldOut(split="val", rows=99, thresholds={"balanced_accuracy": 0.3}, threshold_rows=99)
    write_json(made.folder / "held_out.json", held)
    card = read_record(ModelCard, made.folder / "card.json")
    write_json(made.folder / "card.json", replace(card, familiarity_floor=0.0))
    return made


def test_a_model_with_everything_answers_as_predict_does_and_refused_rows_have_the_same_keys(people: Trained) -> None:
    made = whole(people)
    good = {"size": 5, "colour": "red"}
    rows = [good, good | {"size": "many"}, "5,red", {"colour": "red"}, good | {"size": None}, good | {"extra": 1}]
    answers = client_of(made).post("/predict", json={"rows": rows}).json()["answers"]
    names = ["predicted", "p_no", "p_yes", "label", "threshold", "set", "unlike_training", "flag", "refused"]
    for answer in answers:
        assert list(answer) == ["row", *names]
    assert [a["refused"] is None for a in answers] == [True, False, False, False, True, True]
    for answer in answers[1:4]:
        assert all(answer[name] is None for name in names[:-1])
    wanted = made.model.predict(pd.DataFrame([good])).iloc[0]
    assert answers[0]["p_yes"] == pytest.approx(wanted["p_yes"], abs=1e-6)
    for name in ("label", "threshold", "set"):
        assert answers[0][name] == wanted[name]
    assert answers[0]["unlike_training"] == bool(wanted["unlike_training"])


def test_an_image_too_large_to_open_costs_itself_alone(digits: Trained) -> None:
    good = png(np.full((8, 8), 80))
    files = [oversized(), good, good[:40], b""]
    said = client_of(digits).post("/predict", json={"rows": [base64.b64encode(data).decode() for data in files]})
    refused = [answer["refused"] for answer in said.json()["answers"]]
    assert refused[0] == "cannot be read: 200000 x 200000 pixels are too many"
    assert refused[1] is None
    assert refused[2].startswith("cannot be read: ")
    assert refused[3] == "an empty file"


def test_nan_in_a_series_is_no_number(trained: Train) -> None:
    rng = np.random.default_rng(2)
    lines = [",".join(f"{v:.3f}" for v in rng.normal(i % 2, 1, 12)) + f":{i % 2}" for i in range(60)]
    Path("w.ts").write_text("@problemName w\n@classLabel true 0 1\n@data\n" + "\n".join(lines))
    made = trained({"kind": "inception", "width": 4, "depth": 1}, format="series", train_file="w.ts")
    body = '{"rows": [[0.5, NaN], [0.5, null], [null, null], [Infinity, 1]]}'
    said = (
        client_of(made).post("/predict", content=body, headers={"content-type": "application/json"}).json()["answers"]
    )
    assert [a["refused"] for a in said] == [
        "step 2: the text 'NaN', not a number", None, None, "step 1: the text 'Infinity', not a number",
    ]  # fmt: skip
    assert said[2]["flag"] == "no values, the training mean stands in"
