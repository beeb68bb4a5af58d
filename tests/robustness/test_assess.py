"""The whole examination of small networks that were really trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.core.contracts import Budget, Candidate, Optimizer, RobustnessRecord
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError
from pipeline.core.settings import EvaluateSettings, TrainerSettings
from pipeline.core.store import write_json
from pipeline.core.strict import plain, read
from pipeline.datasets import Prepared, intake_of, prepare_dataset, write_split
from pipeline.robustness import Examined, assess, chosen, chosen_in, told
from pipeline.training.data import Arrays, Data, Rows
from pipeline.training.familiarity import familiarity_floor
from pipeline.training.fit import fit
from pipeline.training.heads import head_for
from pipeline.training.predict import outputs, predict

SETTINGS = EvaluateSettings(baselines=("constant",), resamples=50, robustness_rows=120, attack_rows=40,
                            robustness_seconds=1e6)  # fmt: skip
RNG = np.random.default_rng(0)


def prepared_rows(**settings: Any) -> Prepared:
    return prepare_dataset(DataSettings(**({"name": "own", "path": ".", "sensitive": {}, "slices": {}} | settings)), 7)


def examined(prepared: Prepared, architecture: dict[str, Any], epochs: int = 4) -> Examined:
    """Train a small network on prepared rows."""
    card, train, val = prepared.card, prepared.splits["train"], prepared.splits["val"]
    data = Data(card.inputs, card.outputs, Arrays(train.x, train.y), Arrays(val.x, val.y), task=card.task,
                targets=card.targets)  # fmt: skip
    candidate = Candidate(architecture=architecture, optimizer=Optimizer(batch_size=32, lr=0.01))
    done = fit(candidate, data, Budget(epochs=epochs), seed=7, trainer=TrainerSettings(device="cpu", precision="fp32"))
    floor = familiarity_floor(outputs(done.network, data.placed("val", "cpu")), card.task)
    return Examined(done.network, floor, card, prepared.splits["test"], SETTINGS, 7)


@pytest.fixture(scope="module")
def digits() -> tuple[Prepared, Examined]:
    prepared = prepare_dataset(DataSettings(name="digits", format="digits", sensitive={}, slices={}), 7)
    return prepared, examined(prepared, {"kind": "cnn", "width": 8}, epochs=6)


def accuracy(subject: Examined) -> float:
    head = head_for(subject.card.task, subject.card.inputs, subject.card.targets)
    rows = Rows(subject.test.x, subject.test.y, subject.card.inputs, "cpu")
    return float((predict(subject.network, rows, head).argmax(1) == subject.test.y).mean())


def test_digits(digits: tuple[Prepared, Examined]) -> None:
    prepared, subject = digits
    choice = chosen("auto", subject.card, prepared.splits["train"].x, None)
    found = assess(subject, choice)
    assert (found.rows, found.of, found.metric) == (120, 359, "accuracy")
    assert found.clean is not None
    assert found.clean.value == pytest.approx(accuracy(subject), abs=0.06)
    assert found.clean.value > 0.8
    assert [d.corruption for d in found.degradations] == [c.name for c in choice.corruptions]
    for degraded in found.degradations:
        assert [n.n for n in degraded.quality] == [120] * 5
        last = degraded.quality[-1].value
        assert last is not None
        assert degraded.change.value == pytest.approx(last - found.clean.value)
    worst = {d.corruption: d.quality[-1].value for d in found.degradations}
    assert worst["gaussian_noise"] < found.clean.value
    assert found.attack_clean is not None
    assert (found.attack_clean.n, [a.attack for a in found.attacks]) == (40, ["fgsm", "pgd"])
    for attack in found.attacks:
        values = [n.value for n in (found.attack_clean, *attack.accuracy)]
        assert values == sorted(values, reverse=True)  # type: ignore[type-var]
        assert values[-1] < values[0]
    assert [(o.name, o.synthetic, o.rows) for o in found.outside] == [(c.name, True, 120) for c in choice.corruptions]
    assert found.flagged is not None
    assert found.flagged.value == pytest.approx(0.05, abs=0.06)
    assert found.not_assessed == ("inputs of another kind than these: no other data set is named (evaluate.ood)",)
    assert read(RobustnessRecord, plain(found), "record") == found
    kept: dict[str, Any] = {}
    assert assess(subject, choice, kept) == found
    assert {"rows", "wrong", *(d.corruption for d in found.degradations)} == set(kept)
    assert 1 - kept["wrong"].mean() == pytest.approx(found.clean.value)
    for degraded in found.degradations:
        assert [1 - errors.mean() for errors in kept[degraded.corruption]] == pytest.approx(
            [n.value for n in degraded.quality]
        )
    assert len(kept["rows"]) == len(set(kept["rows"])) == 120
    lines = told(found)
    assert lines[0].startswith(f"accuracy of 120 rows {found.clean.value:.4f}; at severity 5 from ")
    assert lines[1].startswith("accuracy under FGSM at 8/255: at most 0.")


def test_loss_of_all_information_is_chance(digits: tuple[Prepared, Examined]) -> None:
    prepared, subject = digits
    subject = replace(subject, settings=replace(SETTINGS, robustness_rows=359))
    choice = chosen(("occlusion",), subject.card, prepared.splits["train"].x, None)
    blind = replace(choice.corruptions[0], amounts=(0.2, 0.4, 0.6, 0.8, 1.0))
    found = assess(subject, replace(choice, corruptions=(blind,)))
    (only,) = found.degradations
    shares = np.bincount(subject.test.y) / 359
    assert only.quality[-1].value is not None
    assert min(abs(only.quality[-1].value - shares)) < 1e-9  # all rows are taken for one class
    assert found.attacks == ()
    assert "attacks (evaluate.robustness)" in found.not_assessed
    assert found.outside[0].auroc["free_energy"].n == 718


def test_without_time_fewer_rows_are_taken_and_that_is_said(digits: tuple[Prepared, Examined]) -> None:
    prepared, subject = digits
    subject = replace(subject, settings=replace(SETTINGS, robustness_seconds=1e-6))
    choice = chosen(("brightness", "pgd"), subject.card, prepared.splits["train"].x, None)
    found = assess(subject, choice)
    assert found.attack_clean is not None
    assert (found.rows, found.attack_clean.n) == (32, 32)
    assert found.notes == (
        "evaluate.robustness_seconds=1e-06 left time for 32 of 120 rows",
        "evaluate.robustness_seconds=1e-06 left time to attack 32 of 40 rows",
    )


def test_nothing_is_done_where_nothing_is_asked_for(digits: tuple[Prepared, Examined]) -> None:
    prepared, subject = digits
    found = assess(subject, chosen((), subject.card, prepared.splits["train"].x, None))
    assert (found.rows, found.clean, found.degradations, found.outside) == (0, None, (), ())
    assert found.not_assessed[0] == "robustness to corrupted inputs (evaluate.robustness)"


def test_an_unknown_name_is_refused(digits: tuple[Prepared, Examined]) -> None:
    prepared, _ = digits
    with pytest.raises(ConfigError) as caught:
        chosen(("blurr",), prepared.card, prepared.splits["train"].x, None)
    assert str(caught.value) == ("evaluate.robustness: data of kind image have no 'blurr'\n  fix: did you mean 'blur'?")
    with pytest.raises(ConfigError) as caught:
        chosen(("zzz",), prepared.card, prepared.splits["train"].x, None)
    assert str(caught.value) == (
        "evaluate.robustness: data of kind image have no 'zzz'\n  fix: auto, or some of: gaussian_noise, blur, "
        "brightness, contrast, pixelate, jpeg, occlusion, shift, rotation, fgsm, pgd"
    )


def written(folder: Path, prepared: Prepared, settings: DataSettings) -> Path:
    """Write what prepare writes for the search."""
    folder.mkdir()
    write_json(folder / "dataset.json", prepared.card)
    write_json(folder / "intake.json", intake_of(settings, prepared))
    for split in ("train", "val"):
        write_split(folder, split, prepared.splits[split])
    return folder


def test_rows_of_another_data_set(digits: tuple[Prepared, Examined], tmp_path: Path) -> None:
    prepared, subject = digits
    settings = DataSettings(name="digits", format="digits", sensitive={}, slices={})
    own = written(tmp_path / "own", prepared, settings)
    val = prepared.splits["val"]
    strange = replace(val, x=RNG.integers(0, 2, val.x.shape).astype(np.uint8) * 255)
    foreign = replace(prepared, card=replace(prepared.card, name="static", source_digest="1"),
                      splits={**prepared.splits, "val": strange})  # fmt: skip
    other = written(tmp_path / "other", foreign, settings)
    asked = replace(SETTINGS, ood=str(other), robustness=("blur",))
    choice = chosen_in(own, asked, prepared.card, 7)
    found = assess(replace(subject, settings=asked), choice)
    (only,) = found.outside
    assert (only.name, only.synthetic, only.rows) == ("static", False, 120)
    assert all(only.auroc[score].value > 0.6 for score in ("largest_probability", "free_energy"))
    assert "inputs of another kind" not in " ".join(found.not_assessed)
    fix = "\n  fix: name a folder that prepare wrote of other data of this kind and shape: …/artifacts/prepare/fit"
    wide = replace(foreign, card=replace(foreign.card, inputs=replace(prepared.card.inputs, width=9)))
    for folder, words in (
        (tmp_path, "holds no dataset.json"),
        (own, "these are the data the network was trained on"),
        (
            written(tmp_path / "wide", wide, settings),
            "holds images of 1 x 8 x 9, the network reads images of 1 x 8 x 8",
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            chosen_in(own, replace(asked, ood=str(folder)), prepared.card, 7)
        assert str(caught.value) == f"evaluate.ood: {folder}: {words}{fix}"


def sentences(rows: int, extra: str) -> pd.DataFrame:
    labels = RNG.choice(["bad", "good"], rows)
    texts = [
        " ".join([*RNG.choice(["one", "two", "three", extra], 6), label, f"only{i}"]) for i, label in enumerate(labels)
    ]
    return pd.DataFrame({"text": texts, "label": labels})


@pytest.mark.parametrize("tokens", ["words", "bpe"])
def test_texts(tokens: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    declared = {"format": "text", "text": ("text",), "target": "label", "vocabulary": 400}
    sentences(400, "four").to_csv("rows.csv", index=False)
    prepared = prepared_rows(train_file="rows.csv", tokens=tokens, **declared)
    sentences(300, "zzz").to_csv("others.csv", index=False)
    foreign = prepared_rows(train_file="others.csv", tokens="words" if tokens == "bpe" else "bpe", **declared)
    folders = [written(tmp_path / name, rows, DataSettings(name="own", sensitive={}, slices={}, **declared))
               for name, rows in (("own", prepared), ("other", foreign))]  # fmt: skip
    subject = examined(prepared, {"kind": "bag", "width": 8})
    asked = replace(SETTINGS, ood=str(folders[1]))
    choice = chosen_in(folders[0], asked, prepared.card, 7)
    spelt = choice.code.words(choice.outside.x)
    seen = {word for text in spelt for word in text}
    assert {"one", "two", "good", "bad"} <= seen
    assert ("zzz" in seen) == (tokens == "bpe")  # no training text had it, and only pieces can spell it
    found = assess(replace(subject, settings=asked), choice)
    assert found.notes[0].startswith("texts are changed in the words that prepare kept")
    lost = {d.corruption: d.quality[-1].value for d in found.degradations}
    assert found.clean.value > 0.9
    assert lost["truncation"] < 0.8
    assert lost["word_order"] == found.clean.value  # a bag knows no order


def test_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def rows(shift: float) -> pd.DataFrame:
        frame = pd.DataFrame({"a": RNG.normal(shift, 1, 500).round(3), "kind": RNG.choice(["x", "y", "z"], 500)})
        return frame.assign(label=np.where(frame["a"] + (frame["kind"] == "x") > shift, "up", "down"))

    rows(0.0).to_csv("rows.csv", index=False)
    rows(0.0).assign(kind="y").sort_values("a").to_csv("others.csv", index=False)
    declared = {"format": "csv", "target": "label", "duplicates": "keep"}
    prepared = prepared_rows(train_file="rows.csv", **declared)
    foreign = prepared_rows(train_file="others.csv", **declared)
    own = written(tmp_path / "own", prepared, DataSettings(name="own", format="csv", sensitive={}, slices={}))
    other = written(tmp_path / "other", foreign, DataSettings(name="own", format="csv", sensitive={}, slices={}))
    with pytest.raises(ConfigError, match="holds tables of a, the network reads tables of a, kind"):
        chosen_in(own, replace(SETTINGS, ood=str(other)), prepared.card, 7)
    rows(3.0).to_csv("again.csv", index=False)
    foreign = prepared_rows(train_file="again.csv", **declared)
    other = written(tmp_path / "again", foreign, DataSettings(name="own", format="csv", sensitive={}, slices={}))
    choice = chosen_in(own, replace(SETTINGS, ood=str(other)), prepared.card, 7)
    assert choice.outside.x[:, 0].mean() == pytest.approx(3, abs=0.3)
    subject = examined(prepared, {"kind": "mlp", "width": 16, "depth": 1, "dropout": 0.0}, epochs=8)
    found = assess(replace(subject, settings=replace(SETTINGS, ood=str(other))), choice)
    assert [d.corruption for d in found.degradations] == ["missing", "noise", "category_swap", "unknown_category"]
    assert all(d.change.value < 0 for d in found.degradations if d.corruption in ("missing", "noise"))


def test_numbers_have_no_familiarity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(RNG.normal(size=(400, 2)).round(4), columns=["a", "b"])
    frame.assign(y=(3 * frame["a"] + frame["b"]).round(4)).to_csv("rows.csv", index=False)
    prepared = prepared_rows(format="csv", train_file="rows.csv", target="y", task="regression")
    subject = examined(prepared, {"kind": "mlp", "width": 16, "depth": 1, "dropout": 0.0}, epochs=8)
    assert subject.floor is None
    found = assess(subject, chosen("auto", prepared.card, prepared.splits["train"].x, None))
    assert (found.metric, found.outside, found.flagged) == ("r2", (), None)
    quality = [n.value for n in next(d for d in found.degradations if d.corruption == "noise").quality]
    assert quality == sorted(quality, reverse=True)
    # Noise of one deviation would cost a linear map an R² of 1; bins end where the training rows do, so it costs less.
    assert found.clean.value - 1 < quality[-1] < found.clean.value - 0.3
    assert found.not_assessed == (
        "attacks (only images with classes are attacked)",
        "telling rows of another kind: predicted numbers have no probability that could fall",
    )


def test_forecasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    steps = np.arange(900)
    values = np.sin(steps * 2 * np.pi / 12) + RNG.normal(0, 0.1, 900)
    pd.DataFrame({"t": steps, "load": values.round(4)}).to_csv("rows.csv", index=False)
    prepared = prepared_rows(format="forecast", train_file="rows.csv", target="load", time="t", horizon=6, window=24)
    subject = examined(prepared, {"kind": "linear"})
    kept: dict[str, Any] = {}
    found = assess(subject, chosen("auto", prepared.card, prepared.splits["train"].x, None), kept)
    assert (found.metric, found.rows) == ("skill", 120)
    assert (kept["absolute_error"].shape, kept["noise"].shape) == ((120,), (5, 120))
    assert kept["noise"][4].mean() > kept["absolute_error"].mean() > 0
    assert found.clean.value > 0.5
    noise = next(d for d in found.degradations if d.corruption == "noise")
    assert noise.quality[-1].value < found.clean.value
    assert noise.quality[0].ci_method.startswith("block bootstrap, blocks of 6 rows")


def test_the_card_of_a_model_without_a_limit_says_so(digits: tuple[Prepared, Examined]) -> None:
    prepared, subject = digits
    found = assess(replace(subject, floor=None), chosen(("blur",), subject.card, prepared.splits["train"].x, None))
    assert found.flagged.reason == found.outside[0].flagged.reason == "the model's card has no limit: train again"
