"""Answers over HTTP are those of predict; a bad row costs that row alone, a bad request itself alone."""

import asyncio
import base64
import io
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.core.contracts import ModelCard
from pipeline.core.store import read_record
from pipeline.serve import main
from tests.delivery.conftest import Train, Trained

pytest.importorskip("fastapi", reason="the extra serve is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")

from fastapi import FastAPI  # noqa: E402
from fastapi.testclient import TestClient  # noqa: E402

from pipeline.delivery.service import Limits, application  # noqa: E402

RNG = np.random.default_rng(5)
LIMITS = Limits(rows=20, body_bytes=20_000, wait_seconds=0.05)


def app_of(made: Trained, limits: Limits = LIMITS) -> FastAPI:
    return application(made.model, read_record(ModelCard, made.folder / "card.json"), limits)


def client_of(made: Trained, limits: Limits = LIMITS) -> TestClient:
    return TestClient(app_of(made, limits), raise_server_exceptions=True)


@pytest.fixture
def people(trained: Train) -> Trained:
    """A model of a table with a number between 0 and 9 and a category."""
    size, colour = RNG.integers(0, 10, 300), RNG.choice(["red", "blue"], 300)
    label = np.where(size + 3 * (colour == "red") + RNG.normal(0, 2, 300) > 6, "yes", "no")
    pd.DataFrame({"size": size, "colour": colour, "label": label}).to_csv("rows.csv", index=False)
    return trained({"kind": "mlp", "width": 8, "depth": 1, "dropout": 0.0}, format="csv", train_file="rows.csv",
                   target="label", duplicates="keep")  # fmt: skip


@pytest.fixture
def digits(trained: Train) -> Trained:
    """A model of grey images of 8 x 8 pixels."""
    return trained({"kind": "cnn", "width": 8}, name="digits", format="digits", path=None)


def png(pixels: np.ndarray) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(held, "png")
    return held.getvalue()


def test_rows_of_a_table_are_answered_as_predict_does(people: Trained) -> None:
    frame = pd.DataFrame({"size": RNG.integers(0, 10, 12), "colour": RNG.choice(["red", "blue"], 12)})
    said = client_of(people).post("/predict", json={"rows": frame.to_dict("records")})
    assert said.status_code == 200
    wanted = people.model.predict(frame)
    answers = pd.DataFrame(said.json()["answers"])
    assert answers["row"].tolist() == list(range(12))
    assert answers["predicted"].tolist() == wanted["predicted"].tolist()
    assert np.allclose(answers["p_yes"], wanted["p_yes"], atol=1e-6)
    assert answers["flag"].isna().all()
    assert answers["p_yes"].nunique() > 3


def test_every_kind_of_bad_row_of_a_table(people: Trained) -> None:
    good = {"size": 5, "colour": "red"}
    rows = [
        good,
        {"colour": "red"},
        {"sise": 5, "colour": "red"},
        good | {"extra": 1, "label": "yes"},
        good | {"colour": "green"},
        good | {"size": "many"},
        good | {"size": None},
        good | {"size": 12},
        good | {"size": True},
        good | {"size": [5]},
        "5,red",
        good | {"size": 1e39},
    ]
    body = json.dumps({"rows": [*rows, good]}).replace('"many"', "NaN")
    answers = client_of(people).post("/predict", content=body, headers={"content-type": "application/json"}).json()
    refused = {a["row"]: a["refused"] for a in answers["answers"] if a["refused"] is not None}
    assert refused == {
        1: "no column 'size', which the network reads",
        2: "no column 'size', which the network reads; 'sise'?",
        5: "size: 'NaN' is no finite number of 32 bits",
        8: "size: 'True' is no finite number of 32 bits",
        9: "size: a list, not a number or a text",
        10: "the text '5,red', not an object with the columns size, colour",
        11: "size: '1e+39' is no finite number of 32 bits",
    }
    flags = {a["row"]: a["flag"] for a in answers["answers"] if a["flag"] is not None}
    assert flags.pop(6).startswith("size missing, ")
    assert flags == {
        3: "not read: extra",
        4: "colour 'green', as in few training rows or none",
        7: "size 12, 0 to 9 in training",
    }
    for answer in answers["answers"]:
        assert (answer["predicted"] is None) == (answer["refused"] is not None)
        assert set(answer) == {"row", "predicted", "p_no", "p_yes", "flag", "refused"}
    assert answers["answers"][0]["p_yes"] == pytest.approx(answers["answers"][-1]["p_yes"], abs=1e-6)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 400, "an empty body"),
        (b'{"rows": [', 400, "not JSON (Expecting value: line 1 column 11 (char 10))"),
        (b"\xff\xfe", 400, "not JSON ("),
        (b"[" * 15_000, 400, "not JSON ("),
        (b"[]", 422, "the body is not an object with the one key 'rows', a list"),
        (b'{"rows": [], "more": 1}', 422, "the body is not an object with the one key 'rows', a list"),
        (b'{"rows": []}', 422, "no rows"),
        (json.dumps({"rows": [{"size": 1, "colour": "red"}] * 21}).encode(), 413, "21 rows, at most 20 a request"),
        (b" " * 20_001, 413, "a body of 20,001 bytes"),
    ],
)
def test_requests_that_are_declined(people: Trained, body: bytes, status: int, error: str) -> None:
    client = client_of(people)
    said = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert said.status_code == status
    assert said.json()["error"].startswith(error)
    assert said.json()["fix"]
    assert client.get("/health").json()["status"] == "ok"


def test_a_huge_body_of_unknown_length_is_read_no_further_than_the_limit(people: Trained) -> None:
    sent = 0

    async def parts() -> Any:
        nonlocal sent
        while sent < 10_000_000:
            sent += 10_000
            yield b" " * 10_000

    async def ask() -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app_of(people)), base_url="http://here") as client:
            return await client.post("/predict", content=parts(), headers={"content-type": "application/json"})

    said = asyncio.run(ask())
    assert said.status_code == 413
    assert sent <= 40_000


def test_other_bodies_than_json_are_declined(people: Trained) -> None:
    said = client_of(people).post("/predict", content=b"size,colour\n", headers={"content-type": "text/csv"})
    assert (said.status_code, said.json()["error"]) == (415, "a body of kind text/csv")
    said = client_of(people).post("/predict", files={"file": ("a.png", b"x")})
    assert said.status_code == 415


def test_requests_at_the_same_time_are_predicted_together(people: Trained) -> None:
    app = app_of(people)
    rows = [{"size": int(i % 10), "colour": "red"} for i in range(10)]
    bodies = [{"rows": [row, {"size": "x", "colour": "red"}]} for row in rows]

    async def ask() -> list[Any]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await asyncio.gather(*(client.post("/predict", json=body) for body in bodies))

    said = asyncio.run(ask())
    wanted = people.model.predict(pd.DataFrame(rows))
    for answer, p in zip(said, wanted["p_yes"], strict=True):
        first, second = answer.json()["answers"]
        assert first["p_yes"] == pytest.approx(p, abs=1e-6)
        assert second["refused"] == "size: 'x' is no finite number of 32 bits"
    assert app.state.batcher.batches < len(bodies)


def test_images_from_forms_and_from_base64(digits: Trained) -> None:
    grey = np.full((8, 8), 80)
    grey[2:6, 2:6] = 200
    colour = RNG.integers(0, 255, (8, 8, 3))
    files = [png(grey), png(np.zeros((9, 8))), png(colour), b"no image at all", b"", png(grey)]
    refused = [None, "8 x 9 pixels, the network reads 8 x 8", "in colour, the training images were all grey",
               "cannot be read: no image", "an empty file", None]  # fmt: skip
    client = client_of(digits)
    form = client.post("/predict", files=[("files", (f"{i}.jpg", data)) for i, data in enumerate(files)])
    rows = [base64.b64encode(data).decode() for data in files]
    coded = client.post("/predict", json={"rows": [{"image": rows[0]}, *rows[1:]]})
    wanted = digits.model.predict(grey[None].astype(np.uint8)).iloc[0]
    for said in (form, coded):
        answers = said.json()["answers"]
        assert [a["refused"] for a in answers] == refused
        for answer in (answers[0], answers[-1]):
            assert answer["predicted"] == wanted["predicted"]
            assert answer["p_3"] == pytest.approx(wanted["p_3"], abs=1e-6)
    answers = client.post("/predict", json={"rows": ["###", 5]}).json()["answers"]
    assert answers[0]["refused"].startswith("not base64 (")
    assert answers[1]["refused"] == "the number 5, not an image file as base64"
    assert client.post("/predict", content=b"--x", headers={"content-type": "multipart/form-data"}).status_code == 400


def test_texts(trained: Train) -> None:
    labels = RNG.choice(["bad", "good"], 300)
    texts = [" ".join([*RNG.choice([f"word{i}" for i in range(30)], 8), label]) for label in labels]
    pd.DataFrame({"text": texts, "label": labels}).to_csv("rows.csv", index=False)
    made = trained({"kind": "bag", "width": 8}, format="text", train_file="rows.csv", text=("text",), target="label",
                   duplicates="keep")  # fmt: skip
    rows = ["word1 good", {"text": "word1 good"}, {"text": 5}, {"txet": "a"}, {"text": None}, "word1 quux"]
    answers = client_of(made).post("/predict", json={"rows": rows}).json()["answers"]
    assert [a["refused"] for a in answers] == [
        None, None, "text: the number 5, not a text", "no column 'text', which the network reads; 'txet'?", None, None,
    ]  # fmt: skip
    assert answers[0]["p_good"] == pytest.approx(made.model.predict(pd.DataFrame({"text": rows[:1]}))["p_good"][0])
    assert answers[4]["flag"] == "no words"
    assert answers[5]["flag"].startswith("unknown words 0.5")


def test_series(trained: Train) -> None:
    lines = [",".join(f"{v:.3f}" for v in RNG.normal(i % 2, 1, 12)) + f":{i % 2}" for i in range(60)]
    Path("w.ts").write_text("@problemName w\n@classLabel true 0 1\n@data\n" + "\n".join(lines))
    made = trained({"kind": "inception", "width": 4, "depth": 1}, format="series", train_file="w.ts")
    whole = [0.5, None, 1, 0.25] * 3
    rows = [whole, [whole], [[1, 2], [1, 2]], [1, "x"], [], [[1, 2], [1]], [0.1] * 20, {"value": 1}, [1, 1e300]]
    answers = client_of(made).post("/predict", json={"rows": rows}).json()["answers"]
    assert [a["refused"] for a in answers] == [
        None, None, "2 channels, the network reads 1", "step 2: the text 'x', not a number",
        "a list, not a list of values or one list per channel", "channels of different length; pad them with null",
        None, "an object, not a list of values or one list per channel",
        "step 2: 1e+300 is no finite number of 32 bits",
    ]  # fmt: skip
    Path("new.ts").write_text("@classLabel false\n@data\n" + ",".join("?" if v is None else str(v) for v in whole))
    assert answers[0]["p_1"] == answers[1]["p_1"] == pytest.approx(made.model.predict("new.ts")["p_1"][0])
    assert answers[6]["flag"] == "longer than any in training, cut at 12 steps"


def test_forecasts_are_answered_by_series(trained: Train) -> None:
    rows = [{"who": who, "t": t, "load": round(float(np.sin(t / 4) + RNG.normal(0, 0.1)), 4)}
            for who, n in (("a", 120), ("b", 140)) for t in range(n)]  # fmt: skip
    pd.DataFrame(rows).to_csv("rows.csv", index=False)
    made = trained({"kind": "linear"}, format="forecast", train_file="rows.csv", time="t", series_id="who",
                   target="load", horizon=3, window=12)  # fmt: skip
    client = client_of(made, Limits(rows=100))
    new = [row for row in rows if row["who"] == "a"][:30] + [row for row in rows if row["who"] == "b"][:5]
    pd.DataFrame(new).to_csv("new.csv", index=False)
    wanted = made.model.predict("new.csv")
    answers = client.post("/predict", json={"rows": new}).json()["answers"]
    assert [a["row_id"] for a in answers] == wanted["row_id"].tolist() == ["a @ after 29", "b"]
    assert answers[0]["predicted_load_3"] == pytest.approx(wanted["predicted_load_3"][0])
    assert answers[1]["refused"] == "5 steps, the network needs 12 of the past"
    said = client.post("/predict", json={"rows": [{"who": "a", "load": 1.0}]})
    assert said.status_code == 422
    assert "archline-" not in said.json()["error"]
    assert said.json()["error"].startswith("rows.jsonl: ")
    said = client.post("/predict", json={"rows": [new[0], 7]})
    assert (said.status_code, said.json()["error"][:6]) == (422, "row 1:")


def test_the_card_says_what_a_row_is(people: Trained) -> None:
    card = client_of(people).get("/card").json()
    assert card["classes"] == ["no", "yes"]
    assert card["rows"]["columns"] == {"size": "number", "colour": "category"}
    assert card["limits"] == {"rows": 20, "body_bytes": 20_000}
    assert card["weights_sha256"] == read_record(ModelCard, people.folder / "card.json").weights_sha256


def test_dates_are_asked_for_as_dates_and_answered_as_predict_does(trained: Train) -> None:
    days = pd.date_range("2024-01-01", periods=90).strftime("%Y-%m-%d").to_numpy()
    when = RNG.choice(days, 300)
    late = (when > days[40]) ^ (RNG.random(300) < 0.2)
    pd.DataFrame({"when": when, "label": np.where(late, "b", "a")}).to_csv("rows.csv", index=False)
    made = trained({"kind": "mlp", "width": 8, "depth": 1, "dropout": 0.0}, format="csv", train_file="rows.csv",
                   target="label", duplicates="keep")  # fmt: skip
    client = client_of(made)
    assert client.get("/card").json()["rows"]["columns"] == {"when": "ISO date"}
    new = [{"when": days[3]}, {"when": "2024-02-30"}, {"when": None}]
    answers = client.post("/predict", json={"rows": new}).json()["answers"]
    Path("new.csv").write_text("\n".join(["when", days[3], "2024-02-30", '""']))
    wanted = made.model.predict("new.csv")
    assert [a["refused"] for a in answers] == [None, wanted["refused"][1], None]
    assert answers[0]["p_a"] == pytest.approx(wanted["p_a"][0])
    assert answers[2]["flag"] == wanted["flag"][2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model=gone"], "serve: model=gone: no such folder\n  fix: run `dvc repro train`, or name it"),
        (["prot=1"], "serve: unknown key 'prot'\n  fix: did you mean 'port'?"),
        (["port=x"], "serve.port: expected an integer, got a string 'x'"),
        (["rows=0"], "serve: rows, batch and body_mb must be positive"),
        (["8000"], "serve: '8000' is not key=value\n  fix: port=8000"),
    ],
)
def test_commands_that_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")


def test_a_port_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main([f"model={tmp_path}", f"port={port}"]) == 2
    assert capsys.readouterr().err == (
        f"error: serve: 127.0.0.1:{port}: Address already in use\n  fix: port=<another>, 0 for any that is free\n"
    )


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"model={tmp_path}", "port=0"]) == 2
    assert "card.json: not found" in capsys.readouterr().err


def test_without_the_extra_it_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "fastapi" else name)
    assert main([f"model={tmp_path}"]) == 2
    assert capsys.readouterr().err == "error: serve: fastapi not installed\n  fix: pip install 'archline[serve]'\n"
