"""Sets and intervals beside predictions: those that evaluate would make of the same rows, or none, and why."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.core.contracts import HeldOut
from pipeline.core.errors import ArtifactError, ConfigError
from pipeline.core.settings import EvaluateSettings
from pipeline.core.store import write_json
from pipeline.evaluation import cut_of, threshold
from pipeline.metrics.conformal import class_sets, label_sets
from pipeline.predict import load, run
from tests.prediction.conftest import Train, Trained
from tests.prediction.test_equal import table

RNG = np.random.default_rng(4)
MLP = {"kind": "mlp", "width": 16, "depth": 1, "dropout": 0.0}


def keep(made: Trained, strange: np.ndarray) -> None:
    """Write what train keeps of held-out rows."""
    np.save(made.folder / "held_out.npy", np.sort(strange, axis=0), allow_pickle=False)
    write_json(made.folder / "held_out.json", HeldOut(split="val", rows=len(strange)))


def classes(trained: Train) -> Trained:
    table(300).to_csv("train.csv", index=False)
    return trained(MLP, format="csv", train_file="train.csv", target="label", duplicates="keep")


def test_sets_hold_the_classes_that_are_not_stranger_than_promised(trained: Train) -> None:
    made = classes(trained)
    sure = made.model.predict("train.csv")[["p_no", "p_yes"]].max(axis=1).median()
    strange = np.concatenate([np.linspace(0, sure, 90), np.ones(9)])[:, None]  # the 90th of 99 is the limit at 0.9
    keep(made, strange)
    got = load(made.folder).predict("train.csv")
    p = got[["p_no", "p_yes"]].to_numpy(float)
    kept = class_sets(p, sure)
    names = ["|".join(np.array(["no", "yes"])[row]) for row in kept]
    assert got["set"].tolist() == names
    assert {"no|yes"} < set(names)
    assert (load(made.folder, coverage=0.6).predict("train.csv")["set"] != got["set"]).any()
    assert list(got).index("set") == list(got).index("p_yes") + 1
    assert "set" not in load(made.folder, sets=False).predict("train.csv")


def test_a_refused_row_has_no_set_and_files_hold_the_column(trained: Train, tmp_path: Path) -> None:
    made = classes(trained)
    keep(made, np.linspace(0.3, 0.7, 99)[:, None])
    frame = pd.read_csv("train.csv", dtype=object).head(5)
    frame.loc[2, "c"] = "many"
    frame.to_csv("new.csv", index=False)
    for ending in ("csv", "parquet"):
        run([f"input={tmp_path / 'new.csv'}", f"output={tmp_path / f'out.{ending}'}", f"model={made.folder}"])
    for got in (pd.read_csv("out.csv"), pd.read_parquet("out.parquet")):
        assert got["set"].isna().tolist() == [False, False, True, False, False]
        assert pd.notna(got["refused"].iloc[2])


def topics(trained: Train) -> Trained:
    """Return a model of texts that may have several labels."""
    words = {"art": "paint stage", "money": "bank loan", "sport": "ball goal"}
    held = [[name for name in words if RNG.random() < 0.4] or ["art"] for _ in range(300)]
    texts = [" ".join([*RNG.choice(["it", "was", "day"], 4), *(words[name] for name in names)]) for names in held]
    pd.DataFrame({"text": texts, "topics": [";".join(names) for names in held]}).to_csv("rows.csv", index=False)
    return trained({"kind": "bag", "width": 8}, format="text", train_file="rows.csv", text=("text",), target="topics",
                   task="multilabel", label_separator=";", duplicates="keep")  # fmt: skip


def test_sets_of_labels_hold_the_predicted_ones_and_those_not_too_strange(trained: Train) -> None:
    made = topics(trained)
    names = [f"p_{name}" for name in ("art", "money", "sport")]
    limit = 1 - float(made.model.predict("rows.csv")[names].to_numpy().mean())
    keep(made, np.concatenate([np.linspace(0, limit, 90), np.ones(9)])[:, None])
    got = load(made.folder).predict("rows.csv")
    p = got[names].to_numpy(float)
    for column, held in (("predicted", p >= 0.5), ("set", label_sets(p, limit))):
        assert got[column].tolist() == [";".join(np.array(["art", "money", "sport"])[row]) for row in held]
    assert got["set"].nunique() > 1
    keep(made, np.empty((0, 1)))
    with pytest.raises(ConfigError, match="was trained before sets of labels were kept"):
        load(made.folder, sets=True)


def test_two_classes_are_told_apart_by_the_threshold_that_evaluate_reports(trained: Train, tmp_path: Path) -> None:
    made = classes(trained)
    assert "label" not in made.model.predict("train.csv")  # of a model that kept none
    second = made.model.predict("train.csv")["p_yes"]
    cuts = {"balanced_accuracy": float(second.quantile(0.3)), "f1": float(second.quantile(0.6))}
    np.save(made.folder / "held_out.npy", np.zeros((0, 1)), allow_pickle=False)
    held = HeldOut(split="val", rows=0, thresholds=cuts, threshold_rows=80)
    write_json(made.folder / "held_out.json", held)
    got = load(made.folder).predict("train.csv")
    assert list(got)[:6] == ["row_id", "predicted", "p_no", "p_yes", "label", "threshold"]
    assert set(got["threshold"]) == {cuts["balanced_accuracy"]}
    assert (got["label"] != got["predicted"]).any()
    y, p = (pd.read_csv("train.csv")["label"] == "yes").to_numpy(int), got[["p_no", "p_yes"]].to_numpy(float)
    card = made.prepared.card
    reported = threshold(card, cut_of(card, EvaluateSettings(baselines=()), held), y, p, 0.95)
    assert reported is not None
    assert reported.value == got["threshold"][0]
    assert reported.metrics["accuracy"].value == pytest.approx(((got["label"] == "yes") == (y == 1)).mean())
    assert reported.argmax["accuracy"].value == pytest.approx(((got["predicted"] == "yes") == (y == 1)).mean())
    other = load(made.folder, threshold_for="f1").predict("train.csv")
    assert ((other["label"] == "yes") == (second >= cuts["f1"])).all()
    half = load(made.folder, threshold=0.5).predict("train.csv")
    assert (half["label"] == half["predicted"]).all()
    asked = [f"input={tmp_path / 'train.csv'}", f"output={tmp_path / 'out.csv'}", f"model={made.folder}", "sets=false"]
    run([*asked, "threshold=0.25"])
    written = pd.read_csv("out.csv")
    assert set(written["threshold"]) == {0.25}
    assert ((written["label"] == "yes") == (written["p_yes"] >= 0.25)).all()
    with pytest.raises(ConfigError, match=r"threshold=1: a probability between 0 and 1\n  fix: threshold=auto"):
        run([*asked, "threshold=1"])


def test_only_two_classes_have_a_threshold(trained: Train) -> None:
    made = topics(trained)
    with pytest.raises(ConfigError, match=r"threshold=0\.3: only two classes that exclude each other have one"):
        load(made.folder, threshold=0.3)


def test_intervals_stand_around_numbers(trained: Train) -> None:
    table(300).to_csv("train.csv", index=False)
    made = trained(MLP, format="csv", train_file="train.csv", target="c", task="regression", duplicates="keep")
    keep(made, np.arange(1.0, 100.0)[:, None] / 10)
    got = load(made.folder).predict("train.csv")
    assert np.allclose(got["predicted_c"] - got["low_c"], 9.0)
    assert np.allclose(got["high_c"] - got["predicted_c"], 9.0)


def test_intervals_of_forecasts_are_in_units_of_their_series(trained: Train) -> None:
    steps = np.arange(420)
    frame = pd.DataFrame({
        "time": pd.date_range("2024-01-01", periods=420, freq="h").strftime("%Y-%m-%d %H:%M"),
        "load": (50 + 9 * np.sin(steps / 24 * 2 * np.pi)).round(3),
        "heat": np.cos(steps / 24 * 2 * np.pi).round(3),
    })  # fmt: skip
    frame.to_csv("hours.csv", index=False)
    made = trained({"kind": "linear"}, format="forecast", train_file="hours.csv", time="time",
                   target=("load", "heat"), horizon=3, window=24, season=24)  # fmt: skip
    keep(made, np.tile(np.arange(1.0, 7.0), (50, 1)))
    got = load(made.folder).predict("hours.csv")
    row = made.prepared.splits["test"].rows.iloc[0]
    for place, name in enumerate(["load_1", "heat_1", "load_2", "heat_2", "load_3", "heat_3"]):
        scale = row[f"raw.scale.{place % 2}"]
        width = (got[f"high_{name}"] - got[f"low_{name}"]).iloc[0]
        assert width == pytest.approx(2 * (place + 1) * scale, rel=1e-5)


def test_what_cannot_be_promised_is_left_out_unless_asked_for(trained: Train, tmp_path: Path) -> None:
    made = classes(trained)
    wanted = [f"input={tmp_path / 'train.csv'}", f"output={tmp_path / 'out.csv'}", f"model={made.folder}", "sets=true"]
    with pytest.raises(ConfigError, match="was trained before sets were kept"):
        run(wanted)
    keep(made, np.linspace(0, 1, 9)[:, None])
    assert "set" not in load(made.folder).predict("train.csv")
    with pytest.raises(ConfigError) as wrong:
        run(wanted)
    assert str(wrong.value) == (
        f"predict: sets=true: {made.folder} was checked on 9 held-out rows, too few to promise 0.9\n"
        "  fix: sets=false, or a lower coverage"
    )
    assert not (tmp_path / "out.csv").exists()
    for said, why in (("coverage=1.5", r"fix: coverage=0\.9"), ("coverage=most", r"a number(.|\n)*fix: coverage=0\.9")):
        with pytest.raises(ConfigError, match=why):
            run([*wanted, said])
    np.save(made.folder / "held_out.npy", np.zeros((3, 1)), allow_pickle=False)
    with pytest.raises(ArtifactError, match="not the rows that"):
        load(made.folder)
