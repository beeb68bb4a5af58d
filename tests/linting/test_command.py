"""`python -m pipeline.space`: text and JSON, and mistakes in two lines."""

import json
from pathlib import Path

import pytest

from pipeline.core.contracts import DatasetCard
from pipeline.core.errors import PipelineError, SpaceError
from pipeline.core.store import FIT, write_json
from pipeline.linting.subjects import TYPICAL
from pipeline.space.__main__ import main, prepared, read_arguments, read_tree

_TINY = "architecture:\n  cnn:\n    width: {choice: [4, 8]}\n    stages: 1\noptimizer:\n  lr: 1.0e-3\n"


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "image.yaml"
    path.write_text(_TINY)
    return str(path)


def test_json_and_text_say_the_same(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([file, "format=json", "draws=5", "space.architecture.cnn.width={choice:[4,8,12]}"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["size"] == {"different": 3, "continuous": 0, "at_most": False}
    assert found["subjects"][0]["subject"] == TYPICAL["image"].name
    assert main([file, "draws=5"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("image: 2 different\n")
    assert f"on {TYPICAL['image'].name}" in text


def test_fragments_are_put_in_before_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    fragments = tmp_path / "conf/space/fragments"
    fragments.mkdir(parents=True)
    (fragments / "careful.yaml").write_text("lr: 0.001\nclip: 0.5\n")
    Path(file).write_text("architecture:\n  cnn: {width: 8}\noptimizer:\n  include: careful\n")
    monkeypatch.chdir(tmp_path)
    tree = read_tree(file, ["space.optimizer.lr=0.01"])
    assert tree["optimizer"] == {"lr": 0.01, "clip": 0.5}


def test_a_file_that_is_no_mapping_is_refused(file: str) -> None:
    Path(file).write_text("- cnn\n")
    with pytest.raises(SpaceError, match="not a mapping"):
        read_tree(file, [])


def test_overrides_change_add_and_remove(file: str) -> None:
    overrides = ["space.optimizer.lr={float:[1e-4,1e-2],log:true}", "+space.optimizer.batch_size=8",
                 "~space.architecture.cnn.stages"]  # fmt: skip
    assert read_tree(file, overrides) == {
        "architecture": {"cnn": {"width": {"choice": [4, 8]}}},
        "optimizer": {"lr": {"float": [1e-4, 1e-2], "log": True}, "batch_size": 8},
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["imgae"], "space: search_spaces/imgae.yaml: no such file\n  fix: did you mean 'image'?"),
        (["image", "fromat=json"], "space: unknown argument 'fromat=json'\n  fix: did you mean 'format'?"),
        (["image", "format=xml"], "space: format=xml: not a format\n  fix: one of: text, json"),
        (
            ["image", "draws=0"],
            "space: draws=0: not a whole number of at least 1\n  fix: for example draws=200",
        ),
        (
            ["image", "space.optimizer.rl=1"],
            "space: nothing is called space.optimizer.rl\n  fix: +space.optimizer.rl=1 adds it",
        ),
        (["draws=5"], "space: no file given\n  fix: python -m pipeline.space <file, or name in search_spaces/>"),
        (
            ["image", "data=nothing"],
            "space: data=nothing: artifacts/prepare/fit/dataset.json is not there\n"
            "  fix: python -m pipeline.prepare data=nothing",
        ),
    ],
)
def test_mistakes_are_two_lines(
    arguments: list[str], message: str, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name in ("conf", "search_spaces"):
        (tmp_path / name).symlink_to(root / name)
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_the_prepared_data_set_is_taken_if_it_is_the_one_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    typical = TYPICAL["table"]
    card = DatasetCard(
        name="mine", task="binary", classes=("no", "yes"), inputs=typical.inputs, rows={"train": 70, "val": 9},
        class_rows={}, audit=(), source_digest="", notes=(),
    )  # fmt: skip
    write_json(FIT / "dataset.json", card)
    subject = prepared("mine")
    assert (subject.rows, subject.outputs, subject.task, subject.inputs) == (70, 2, "binary", typical.inputs)
    with pytest.raises(PipelineError, match="is of 'mine'"):
        prepared("other")


def test_the_wishes_have_defaults() -> None:
    assert read_arguments(["tiny"]) == ("tiny", {"data": "", "format": "text", "draws": "200"}, [])
