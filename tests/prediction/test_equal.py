"""Raw test files give the numbers that evaluate computes on the packed test rows, for every kind of data."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.conftest import ROOT
from tests.prediction.conftest import Train, Trained

RNG = np.random.default_rng(3)
WORDS = [f"word{i}" for i in range(40)]


def check(trained: Trained, got: pd.DataFrame) -> None:
    """The rows of the test split have the numbers of evaluate, and so do their files in another place."""
    found = got.set_index("row_id").loc[trained.test_ids()]
    assert found["refused"].isna().all()
    p = found[[c for c in found if c.startswith(("p_", "predicted_"))]].to_numpy(float)
    assert np.abs(p - trained.expected()).max() < 1e-6
    assert len(np.unique(np.round(p, 6), axis=0)) > 3  # it is a network, not a constant


def table(rows: int) -> pd.DataFrame:
    a, b = RNG.normal(size=rows).round(3), RNG.choice(["x", "y", "z"], rows)
    label = np.where(a + (b == "x") + RNG.normal(0, 0.5, rows) > 0, "yes", "no")
    frame = pd.DataFrame({"a": a, "b": b, "c": RNG.integers(0, 9, rows), "label": label}).astype(object)
    frame.loc[RNG.random(rows) < 0.1, "a"] = None
    return frame


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "jsonl", "parquet"])
def test_tables(trained: Train, tmp_path: Path, ending: str) -> None:
    table(300).to_csv("train.csv", index=False)
    test = table(120)
    test.to_csv("test.csv", index=False)
    made = trained({"kind": "mlp", "width": 16, "depth": 1, "dropout": 0.0}, format="csv", train_file="train.csv",
                   test_file="test.csv", target="label", duplicates="keep")  # fmt: skip
    new = tmp_path / f"test.{ending}"
    match ending:
        case "parquet":
            test.drop(columns="label").to_parquet(new)
        case "jsonl":
            test.drop(columns="label").to_json(new, orient="records", lines=True)
        case _:
            test.drop(columns="label").to_csv(new, index=False, sep="\t" if ending == "tsv" else ",")
    got = made.model.predict(new)
    got["row_id"] = [f"test.csv:{i + 1}" for i in range(len(got))]
    check(made, got)
    assert set(got["predicted"]) <= {"no", "yes"}
    assert np.allclose(got["p_no"] + got["p_yes"], 1)


def test_the_three_lines_of_the_readme(trained: Train) -> None:
    lines = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[0]
    assert len([line for line in lines.splitlines() if line]) == 3
    table(300).to_csv("new.csv", index=False)
    made = trained({"kind": "mlp", "width": 16, "depth": 1, "dropout": 0.0}, format="csv", train_file="new.csv",
                   target="label", duplicates="keep")  # fmt: skip
    Path("artifacts").mkdir(exist_ok=True)
    shutil.move(made.folder, "artifacts/train")
    names: dict[str, pd.DataFrame] = {}
    exec(lines, names)
    check(Trained(Path("artifacts/train"), made.prepared), names["predictions"])


def test_a_folder_that_was_carried_away_predicts_frames(trained: Train, tmp_path: Path) -> None:
    table(300).to_csv("rows.csv", index=False)
    made = trained({"kind": "mlp", "width": 16, "depth": 1, "dropout": 0.0}, format="csv", train_file="rows.csv",
                   target="c", task="regression", duplicates="keep")  # fmt: skip
    frame = pd.read_csv("rows.csv").set_axis([f"rows.csv:{i + 1}" for i in range(300)])
    (tmp_path / "rows.csv").unlink()
    shutil.move(made.folder, tmp_path / "elsewhere")
    got = Trained(tmp_path / "elsewhere", made.prepared)
    check(got, got.model.predict(frame))


@pytest.mark.parametrize("tokens", ["words", "bpe"])
def test_texts(trained: Train, tokens: str) -> None:
    labels = RNG.choice(["bad", "good"], 400)
    texts = [" ".join([*RNG.choice(WORDS, 6), label, f"only{i}"]) for i, label in enumerate(labels)]
    frame = pd.DataFrame({"text": texts, "label": labels})
    frame.to_csv("rows.csv", index=False)
    made = trained({"kind": "bag", "width": 8}, format="text", train_file="rows.csv", text=("text",), target="label",
                   tokens=tokens, vocabulary=400)  # fmt: skip
    check(made, made.model.predict("rows.csv"))
    Path("lines.txt").write_text("\n".join(texts))
    lines = made.model.predict("lines.txt")
    assert np.allclose(lines["p_bad"], made.model.predict("rows.csv")["p_bad"], atol=1e-6)


def test_images(trained: Train, tmp_path: Path) -> None:
    made = trained({"kind": "cnn", "width": 8}, name="digits", format="digits", path=None)
    pixels = np.round(load_digits().images * (255 / 16)).astype(np.uint8)
    (tmp_path / "new").mkdir()
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"new/{i}.png")
    np.savez(tmp_path / "new.npz", images=pixels)
    by_file = made.model.predict(tmp_path / "new")
    check(made, by_file.assign(row_id=["digits:" + name.removesuffix(".png") for name in by_file["row_id"]]))
    for source in (pixels, tmp_path / "new.npz"):
        check(made, made.model.predict(source).assign(row_id=[f"digits:{i}" for i in range(len(pixels))]))


def test_series(trained: Train, tmp_path: Path) -> None:
    def write(path: Path, rows: int) -> None:
        lines = []
        for i in range(rows):
            wave = np.sin(np.arange(30) * (0.2 + 0.3 * (i % 2)) + RNG.random()) + RNG.normal(0, 0.2, 30)
            lines.append(",".join(f"{v:.4f}" for v in wave[: 24 + i % 6]) + f":{i % 2}")
        path.write_text("@problemName w\n@classLabel true 0 1\n@data\n" + "\n".join(lines))

    write(tmp_path / "w_TRAIN.ts", 60)
    write(tmp_path / "w_TEST.ts", 40)
    made = trained({"kind": "inception", "width": 4, "depth": 1}, format="series", train_file="w_TRAIN.ts",
                   test_file="w_TEST.ts")  # fmt: skip
    check(made, made.model.predict("w_TEST.ts"))


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_series_in_tables(trained: Train, layout: str) -> None:
    values = np.sin(np.arange(20) * (0.2 + 0.3 * (np.arange(90) % 2))[:, None]) + RNG.normal(0, 0.2, (90, 20))
    kinds = [["low", "high"][i % 2] for i in range(90)]
    keys = {"series_id": "who", "target": "kind", "train_file": "s.csv"}
    if layout == "wide":
        frame = pd.DataFrame(values.round(4), columns=[f"t{i}" for i in range(20)])
        frame.insert(0, "who", [f"s{i}" for i in range(90)])
        frame["kind"] = kinds
    else:
        rows = [(f"s{i}", t, values[i, t], kinds[i]) for i in range(90) for t in range(20)]
        frame = pd.DataFrame(rows, columns=["who", "at", "value", "kind"])
        keys |= {"time": "at"}
    frame.to_csv("s.csv", index=False)
    made = trained({"kind": "inception", "width": 4, "depth": 1}, format="series", series_layout=layout, **keys)
    frame.drop(columns="kind").to_csv("s.csv", index=False)
    check(made, made.model.predict("s.csv"))


def test_forecasts(trained: Train) -> None:
    steps = np.arange(420)
    frame = pd.DataFrame({
        "time": pd.date_range("2024-01-01", periods=420, freq="h").strftime("%Y-%m-%d %H:%M"),
        "load": (50 + 9 * np.sin(steps / 24 * 2 * np.pi) + RNG.normal(0, 1, 420)).round(3),
        "open": (steps // 12) % 2,
    })  # fmt: skip
    frame.to_csv("hours.csv", index=False)
    made = trained({"kind": "linear"}, format="forecast", train_file="hours.csv", time="time", target="load",
                   known=("open",), horizon=5, window=24, season=24)  # fmt: skip
    test = made.prepared.splits["test"].rows
    got = made.model.predict("hours.csv", windows="all").set_index("row_id").loc[made.test_ids()]
    p = got[[c for c in got if c.startswith("predicted_")]].to_numpy(float)
    raw = made.expected() * test[["raw.scale.0"]].to_numpy() + test[["raw.offset.0"]].to_numpy()
    assert np.abs(p - raw).max() < 1e-5
    future = frame.copy()
    future.loc[future.index[-5:], "load"] = None  # what is known of the future stands in the last lines
    future.to_csv("next.csv", index=False)
    last = made.model.predict("next.csv")
    assert last["row_id"].tolist() == [f"own @ {frame['time'].iloc[-5]}"]
    assert last["predicted_load_1"].iloc[0] == pytest.approx(got.loc[last["row_id"].iloc[0], "predicted_load_1"])
