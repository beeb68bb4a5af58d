"""One bad row costs that row alone and is named; a file that cannot be read at all is refused with its place."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.core.errors import ConfigError, DataError
from pipeline.predict import load, main
from tests.prediction.conftest import Train, Trained

RNG = np.random.default_rng(5)


def people(trained: Train) -> Trained:
    """Return a model of a table with a number between 0 and 9 and a category."""
    size, colour = RNG.integers(0, 10, 300), RNG.choice(["red", "blue"], 300)
    label = np.where(size + 3 * (colour == "red") + RNG.normal(0, 2, 300) > 6, "yes", "no")
    pd.DataFrame({"size": size, "colour": colour, "label": label}).to_csv("rows.csv", index=False)
    return trained({"kind": "mlp", "width": 8, "depth": 1, "dropout": 0.0}, format="csv", train_file="rows.csv",
                   target="label", duplicates="keep")  # fmt: skip


def test_every_kind_of_bad_row_of_a_table(trained: Train) -> None:
    model = people(trained).model
    Path("new.csv").write_text(
        "size,colour\n5,red\n5\nmany,red\n,blue\n12,blue\n5,green\ninf,red\n5,\n1e39,red\n5,red\n"
    )
    got = model.predict("new.csv")
    assert got["row_id"].tolist() == [f"new.csv:{i}" for i in range(1, 11)]
    assert got["refused"].dropna().to_dict() == {
        1: "line 3 has 1 cells, expected 2",
        2: "size: 'many' is no finite number of 32 bits",
        6: "size: 'inf' is no finite number of 32 bits",
        8: "size: '1e39' is no finite number of 32 bits",
    }
    median = np.median(pd.read_csv("rows.csv")["size"])
    flags = got["flag"].dropna().to_dict()
    assert flags[3].startswith("size missing, ")
    assert abs(float(flags.pop(3).split()[2]) - median) <= 1  # of the training rows
    assert flags == {
        4: "size 12, 0 to 9 in training",
        5: "colour 'green', as in few training rows or none",
        7: "colour missing, as in few training rows or none",
    }
    lost = got["refused"].notna()
    assert got.loc[lost, ["predicted", "p_no", "p_yes"]].isna().all(axis=None)
    assert got.loc[~lost, ["predicted", "p_no", "p_yes"]].notna().all(axis=None)
    assert got.loc[0, "p_yes"] == pytest.approx(got.loc[9, "p_yes"])


def test_bad_rows_change_nothing_for_the_others(trained: Train) -> None:
    model = people(trained).model
    good = ["5,red", "1,blue", "9,red"]
    Path("good.csv").write_text("\n".join(["size,colour", *good]))
    Path("mixed.csv").write_text("\n".join(["size,colour", "x,red", good[0], "1,2,3", *good[1:]]))
    alone, mixed = model.predict("good.csv"), model.predict("mixed.csv")
    assert np.allclose(mixed["p_yes"].dropna(), alone["p_yes"], atol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "new.csv: the file is empty"),
        ("size,colour\n", "new.csv: holds no rows"),
        ("sise,colour\n1,red\n", "new.csv: no column 'size', which the network reads\n  fix: did you mean 'sise'?"),
        ("size,colour,size\n1,red,2\n", "new.csv: column 'size' appears twice\n  fix: rename one of them"),
        ('size,colour\n1,red\n2,"red"x\n', "new.csv, line 3: ',' expected after '\"'"),
        ("size,colour\n1,r\0d\n", "new.csv, line 2: a NUL character, which no text has"),
    ],
)
def test_files_that_are_refused(trained: Train, capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    made = people(trained)
    Path("new.csv").write_text(text)
    Path("out.csv").write_text("what was there")
    assert main(["input=new.csv", "output=out.csv", f"model={made.folder}"]) == 2
    assert message in capsys.readouterr().err
    assert Path("out.csv").read_text() == "what was there"
    assert [p.name for p in Path().iterdir() if p.name.endswith(".part")] == []


def test_a_file_without_header_has_the_columns_of_the_training_file_or_lacks_the_target(trained: Train) -> None:
    rows = [f"{i % 10},{'red' if i % 3 else 'blue'},{'yes' if (i * 7 + i % 10) % 11 > 4 else 'no'}" for i in range(200)]
    Path("rows.csv").write_text("\n".join(rows))
    model = trained({"kind": "mlp", "width": 8, "depth": 1, "dropout": 0.0}, format="csv", train_file="rows.csv",
                    header=False, columns=("size", "colour", "label"), target="label",
                    duplicates="keep").model  # fmt: skip
    Path("bare.csv").write_text("\n".join(row.rpartition(",")[0] for row in rows))
    assert np.array_equal(model.predict("bare.csv")["p_yes"], model.predict("rows.csv")["p_yes"])
    Path("narrow.csv").write_text("5\n6\n")
    with pytest.raises(DataError, match="line 1: 1 cells; the training file had no header and 3 columns, 2 without"):
        model.predict("narrow.csv")


def test_columns_that_training_did_not_have_are_told(trained: Train, capsys: pytest.CaptureFixture[str]) -> None:
    made = people(trained)
    Path("new.csv").write_text("extra,colour,size,label\n1,red,5,yes\n")
    assert main(["input=new.csv", "output=out.parquet", f"model={made.folder}"]) == 0
    said = capsys.readouterr().out
    assert "new.csv: not read, because the training file had no such columns: extra" in said
    assert "out.parquet: 1 rows, 0 flagged, 0 refused" in said
    assert pd.read_parquet("out.parquet")["predicted"].iloc[0] in ("no", "yes")


def test_many_rows_come_out_in_order_in_both_formats(trained: Train) -> None:
    made = people(trained)
    size = RNG.integers(0, 10, 20_000)
    frame = pd.DataFrame({"size": size, "colour": "red"})
    frame.loc[9_000, "size"] = 99
    frame.to_csv("new.csv", index=False)
    for out in ("out.csv", "out.parquet"):
        assert main(["input=new.csv", f"output={out}", f"model={made.folder}"]) == 0
    got = pd.read_parquet("out.parquet")
    assert got["row_id"].tolist() == [f"new.csv:{i + 1}" for i in range(20_000)]
    assert got["flag"].dropna().to_dict() == {9_000: "size 99, 0 to 9 in training"}
    by_size = got.drop(index=9_000).groupby(size[np.arange(20_000) != 9_000])["p_yes"]
    assert (by_size.max() - by_size.min()).max() < 1e-6
    again = pd.read_csv("out.csv")
    assert np.array_equal(again["p_yes"], got["p_yes"])
    assert again["predicted"].tolist() == got["predicted"].tolist()


def test_images_of_another_size_mode_or_none(trained: Train, tmp_path: Path) -> None:
    model = trained({"kind": "cnn", "width": 8}, name="digits", format="digits", path=None).model
    folder = tmp_path / "new"
    folder.mkdir()
    grey = np.full((8, 8), 80, np.uint8)
    grey[2:6, 2:6] = 200
    Image.fromarray(grey).save(folder / "a.png")
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(folder / "b.png")
    Image.fromarray(RNG.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(folder / "c.png")
    (folder / "d.png").write_bytes(b"no image at all")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "e.png")
    got = model.predict(folder).set_index("row_id")
    assert got["refused"].dropna().to_dict() == {
        "b.png": "8 x 9 pixels, the network reads 8 x 8",
        "c.png": "in colour, the training images were all grey",
        "d.png": "cannot be read: no image",
    }
    assert got.loc["e.png", "flag"].startswith("brightness 0, ")
    assert got["predicted"].notna().tolist() == [True, False, False, False, True]
    with pytest.raises(DataError, match=r"channels, height and width are \(1, 9, 9\), the network reads \(1, 8, 8\)"):
        model.predict(np.zeros((2, 9, 9), np.uint8))


def test_texts_without_words_and_with_unknown_ones(trained: Train) -> None:
    labels = RNG.choice(["bad", "good"], 300)
    words = [f"word{i}" for i in range(30)]
    texts = [" ".join([*RNG.choice(words, 8), label]) for label in labels]
    pd.DataFrame({"text": texts, "label": labels}).to_csv("rows.csv", index=False)
    model = trained({"kind": "bag", "width": 8}, format="text", train_file="rows.csv", text=("text",), target="label",
                    duplicates="keep").model  # fmt: skip
    Path("new.jsonl").write_text('{"text": "word1 word2 good"}\n{"text": null}\nnot json\n{"text": "word1 quux"}\n')
    got = model.predict("new.jsonl")
    assert got["flag"].tolist()[:2] == [None, "no words"]
    assert got["flag"][3] == "unknown words 0.5, 0 to 0 in validation"
    assert got["refused"].notna().tolist() == [False, False, True, False]
    assert got["refused"][2].startswith("line 3: not JSON")


def test_series_that_do_not_fit(trained: Train) -> None:
    rows = [",".join(f"{v:.3f}" for v in RNG.normal(i % 2, 1, 12)) + f":{i % 2}" for i in range(60)]
    head = "@problemName w\n@classLabel true 0 1\n@data\n"
    Path("w.ts").write_text(head + "\n".join(rows))
    model = trained({"kind": "inception", "width": 4, "depth": 1}, format="series", train_file="w.ts").model
    new = ["1,2,x", "0,1", "0,1:0,2", ",".join(["0.1"] * 20), "?,?", "99,0"]
    Path("new.ts").write_text("@classLabel false\n@data\n" + "\n".join(new))
    got = model.predict("new.ts")
    assert got["refused"][0] == "new.ts, line 3: could not convert string to float: 'x'"
    assert got["refused"][2] == "2 channels, the network reads 1"
    assert got["flag"][3] == "longer than any in training, cut at 12 steps"
    assert got["flag"][4] == "no values, the training mean stands in"
    assert got["flag"][5].startswith("value 99, ")
    assert got["predicted"].notna().tolist() == [False, True, False, True, True, True]


def test_forecasts_of_short_and_of_new_series(trained: Train) -> None:
    def written(path: str, **series: int) -> None:
        rows = [(name, t, round(float(np.sin(t / 4) + RNG.normal(0, 0.1)), 4)) for name, n in series.items()
                for t in range(n)]  # fmt: skip
        pd.DataFrame(rows, columns=["who", "t", "load"]).to_csv(path, index=False)

    written("rows.csv", a=120, b=140)
    model = trained({"kind": "linear"}, format="forecast", train_file="rows.csv", time="t", series_id="who",
                    target="load", horizon=3, window=12).model  # fmt: skip
    written("new.csv", a=30, b=5, c=20)
    got = model.predict("new.csv").set_index("row_id")
    assert got.index.tolist() == ["a @ after 29", "b", "c @ after 19"]
    assert got["refused"].dropna().to_dict() == {"b": "5 steps, the network needs 12 of the past"}
    assert got["flag"]["c @ after 19"].startswith("no series of training: scaled by its own 20 steps")
    assert got["predicted_load_3"].notna().tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["input=new.csv", "output=out.txt"], "predict: output=out.txt: what to write is told by the ending"),
        (["input=gone.csv", "output=out.csv"], "gone.csv: not found"),
        (["input=new.csv", "output=new.csv"], "predict: output is the input"),
        (["input=new.csv", "outptu=out.csv"], "predict: unknown key 'outptu'\n  fix: did you mean 'output'?"),
        (["new.csv", "output=out.csv"], "predict: 'new.csv' is not key=value"),
        (["input=new.csv", "output=nowhere/out.csv"], "predict: output=nowhere/out.csv: no such folder"),
    ],
)
def test_commands_that_are_refused(
    trained: Train, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    made = people(trained)
    Path("new.csv").write_text("size,colour\n5,red\n")
    assert main([*arguments, f"model={made.folder}"]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_is_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        load(tmp_path / "gone")
