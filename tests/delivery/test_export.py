"""Files say what the network says, for every family; what cannot be is told, and nothing is left half-written."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.core.contracts import Inputs
from pipeline.delivery import exporting
from pipeline.export import main
from pipeline.models import FAMILIES
from pipeline.training.data import Rows
from pipeline.training.heads import head_for
from pipeline.training.predict import predict
from pipeline.training.weights import load_model
from tests.delivery.conftest import folders, packed
from tests.models.test_conformance import INPUTS, SMALL

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra export is not installed")
pytest.importorskip("onnxscript", reason="the extra export is not installed")

FAST = {("mlp", "table"), ("mlp", "frequent numbers"), ("rnn", "text"), ("cnn", "image"), ("linear", "forecast")}
ALIKE = {"one column", "numbers", "frequent numbers", "long series", "text with pairs", "forecast with known"}
"""Inputs of a kind that another one stands for, but for some families."""
ALSO = {
    ("mlp", "frequent numbers"),
    ("bag", "text with pairs"),
    ("rnn", "forecast with known"),
    ("patchtst", "forecast with known"),
}
CASES = [
    pytest.param(family, name, id=f"{family}, {name}", marks=() if (family, name) in FAST else pytest.mark.slow)
    for family in SMALL
    for name, inputs in INPUTS.items()
    if isinstance(inputs, FAMILIES[family].reads) and (name not in ALIKE or (family, name) in ALSO)
]


def run(tmp_path: Path, *arguments: str) -> int:
    places = [f"model={tmp_path / 'model'}", f"data={tmp_path / 'fit'}", f"output={tmp_path / 'out'}", "batch=4"]
    return main([*places, *arguments])


def network_says(model: Path, inputs: Inputs, x: np.ndarray) -> np.ndarray:
    network, _ = load_model(model)
    task = "forecast" if inputs.kind == "forecast" else "multiclass"
    rows = Rows(x, np.zeros(len(x)), inputs, "cpu")
    rows.forecast = None  # the windows are cut already
    return predict(network, rows, head_for(task, inputs, ()))


@pytest.mark.parametrize(("family", "name"), CASES)
def test_every_family_is_exported(family: str, name: str, tmp_path: Path, read: Any) -> None:
    inputs = INPUTS[name]
    model, _ = folders(tmp_path, {"kind": family} | SMALL[family][0], inputs)
    assert run(tmp_path) == 0
    record = read(tmp_path / "out/export.json")
    torch_file, onnx_file, int8_file = record["files"]
    assert (torch_file["file"], onnx_file["file"]) == ("model.pt2", "model.onnx")
    assert max(torch_file["difference"], onnx_file["difference"]) <= 1e-4
    x, _ = packed(inputs, 9, seed=5)  # rows that no export saw
    if name.startswith("forecast"):
        x = np.stack([x[:, i : i + inputs.length] for i in range(9)])  # type: ignore[union-attr]
    wanted = network_says(model, inputs, x)
    session = onnxruntime.InferenceSession(tmp_path / "out/model.onnx", providers=["CPUExecutionProvider"])
    program = torch.export.load(tmp_path / "out/model.pt2").module()
    for rows in (x, x[:1]):
        (got,) = session.run(["predictions"], {"rows": rows})
        assert np.abs(got - wanted[: len(rows)]).max() < 1e-5
        assert np.abs(program(torch.from_numpy(rows)).numpy() - wanted[: len(rows)]).max() < 1e-5
    assert np.ptp(wanted, axis=0).max() > 1e-3  # it is a network, not a constant
    assert record["input"]["dtype"] == str(x.dtype)
    assert session.get_inputs()[0].shape == record["input"]["shape"]
    assert [size for size in record["input"]["shape"] if isinstance(size, int)] == [
        size for size, word in zip(x.shape, record["input"]["shape"], strict=True) if isinstance(word, int)
    ]
    assert [t["batch"] for t in record["times"]] == [1, 4]
    assert all(t["milliseconds"]["onnx"]["ci_low"] <= t["milliseconds"]["onnx"]["value"] for t in record["times"])
    if int8_file["file"] is None:
        assert int8_file["reason"].startswith("not supported for this network: ")
    else:
        assert int8_file["bytes"] < onnx_file["bytes"]
        assert {"log_loss", "accuracy"} == set(int8_file["change"]) or set(int8_file["change"]) == {"squared_error"}


def test_files_do_not_say_where_they_were_made(tmp_path: Path) -> None:
    folders(tmp_path, {"kind": "mlp", "width": 8, "depth": 1}, INPUTS["table"])
    assert run(tmp_path) == 0
    with zipfile.ZipFile(tmp_path / "out/model.pt2") as parts:
        inside = [parts.read(name) for name in parts.namelist()]
    for text in (*inside, *(file.read_bytes() for file in (tmp_path / "out").iterdir())):
        for place in (Path(exporting.__file__).parents[2], Path(torch.__file__).parents[1], tmp_path):
            assert str(place).encode() not in text


def test_every_family_has_a_case() -> None:
    assert {case.values[0] for case in CASES} == set(FAMILIES)


def test_a_file_that_differs_is_refused_and_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders(tmp_path, {"kind": "mlp", "width": 8, "depth": 1}, INPUTS["table"])
    honest = exporting.run_onnx
    monkeypatch.setattr(exporting, "run_onnx", lambda path: lambda rows: honest(path)(rows) + 2e-4)
    assert run(tmp_path, "to=onnx") == 1
    said = capsys.readouterr().err
    assert said.startswith("refused: model.onnx differs from the network by up to 0.0002 on 40 validation rows")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fit", "model"]


def test_a_network_that_looks_at_its_rows_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders(tmp_path, {"kind": "mlp", "width": 8, "depth": 1}, INPUTS["table"])
    forward = torch.nn.Flatten.forward
    monkeypatch.setattr(torch.nn.Flatten, "forward", lambda self, x: forward(self, x) * (1 if x.sum() > 0 else 2))
    assert run(tmp_path, "to=torch") == 1
    assert capsys.readouterr().err.startswith("refused: mlp cannot be exported: torch.export: ")
    assert not (tmp_path / "out").exists()


def test_what_no_network_is_to_blame_for_is_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders(tmp_path, {"kind": "mlp", "width": 8, "depth": 1}, INPUTS["table"], rows=4)

    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    for place, kind in (("torch.export.export", "torch"), ("torch.onnx.export", "onnx"),
                        ("onnxruntime.quantization.quantize_dynamic", "int8")):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(place, full)
            with pytest.raises(OSError, match="no space left"):
                run(tmp_path, f"to={kind}")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fit", "model"]


def test_texts_may_be_given_without_their_padding(tmp_path: Path, read: Any) -> None:
    inputs = INPUTS["text"]
    model, _ = folders(tmp_path, {"kind": "transformer", "width": 8}, inputs)
    assert run(tmp_path, "to=onnx") == 0
    record = read(tmp_path / "out/export.json")
    assert record["input"]["shape"] == ["batch", "length"]
    assert record["input"]["length"] == [8, 11]
    assert record["files"][0]["shorter"] <= 1e-4
    x, _ = packed(inputs, 5, seed=6)
    x[:, 9:] = 0
    session = onnxruntime.InferenceSession(tmp_path / "out/model.onnx", providers=["CPUExecutionProvider"])
    (got,) = session.run(["predictions"], {"rows": np.ascontiguousarray(x[:, :9])})
    assert np.abs(got - network_says(model, inputs, x)).max() < 1e-4


def test_int8_says_what_it_changes_and_gains(tmp_path: Path, read: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folders(tmp_path, {"kind": "mlp", "width": 256, "depth": 2, "dropout": 0.0}, INPUTS["table"], rows=300)
    assert run(tmp_path, "to=int8") == 0
    record = read(tmp_path / "out/export.json")
    (made,) = record["files"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "card.json", "export.json", "intake.json", "model.int8.onnx",
    ]  # fmt: skip
    assert made["bytes"] < 0.6 * record["network_bytes"]
    assert made["change"]["log_loss"]["ci_low"] <= made["change"]["log_loss"]["value"]
    assert made["change"]["log_loss"]["n"] == 300
    for name in ("log_loss", "accuracy"):
        before, after = made["before"][name], made["after"][name]
        assert after["value"] - before["value"] == pytest.approx(made["change"][name]["value"], abs=1e-12)
        assert before["ci_low"] <= before["value"] <= before["ci_high"]
    assert 0 < made["difference"] < 0.2
    assert record["times"][1]["gain"]["int8_over_onnx"]["value"] > 0
    said = capsys.readouterr().out
    assert "model.int8.onnx" in said
    assert "int8 (dynamic int8 of products and look-ups) changes log loss " in said
    assert "times as fast as model.onnx for 4 rows" in said


def test_what_cannot_be_smaller_is_said_and_the_rest_stands(tmp_path: Path, read: Any) -> None:
    folders(tmp_path, {"kind": "rnn", "width": 8}, INPUTS["series"])
    assert run(tmp_path) == 0
    int8 = read(tmp_path / "out/export.json")["files"][2]
    assert int8["file"] is None
    assert int8["reason"].startswith("not supported for this network: its weights are in GRU cells, which stay")


def test_an_earlier_export_is_replaced_as_a_whole_and_other_folders_are_not_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders(tmp_path, {"kind": "mlp", "width": 8, "depth": 1}, INPUTS["table"])
    assert run(tmp_path, "to=torch") == 0
    assert run(tmp_path, "to=onnx") == 0
    assert not (tmp_path / "out/model.pt2").exists()
    assert main([f"model={tmp_path / 'model'}", f"data={tmp_path / 'fit'}", f"output={tmp_path / 'fit'}"]) == 2
    assert "fit is there and no earlier export\n  fix: name a new folder" in capsys.readouterr().err
    assert (tmp_path / "fit/dataset.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["to=onxx"], "export.to: 'onxx' is not one of onnx, torch, int8, all\n  fix: did you mean 'onnx'?"),
        (["outptu=x"], "export: unknown key 'outptu'\n  fix: did you mean 'output'?"),
        (["model=gone"], "export: model=gone: no such folder\n  fix: run `dvc repro train`, or name it"),
        (["batch=0"], "export: batch must be at least 1\n  fix: batch=64"),
    ],
)
def test_commands_that_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    folders(tmp_path, {"kind": "mlp", "width": 8, "depth": 1}, INPUTS["table"], rows=4)
    assert run(tmp_path, *arguments) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not (tmp_path / "out").exists()


def test_data_of_another_training_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other").mkdir()
    folders(tmp_path, {"kind": "mlp", "width": 8, "depth": 1}, INPUTS["table"], rows=4)
    _, data = folders(tmp_path / "other", {"kind": "cnn", "width": 8}, INPUTS["image"], rows=4)
    assert run(tmp_path, f"data={data}") == 2
    assert f"error: {data}: not the data that" in capsys.readouterr().err


def test_without_the_extra_torch_remains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders(tmp_path, {"kind": "mlp", "width": 8, "depth": 1}, INPUTS["table"], rows=4)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnx" else name)
    assert run(tmp_path) == 2
    fix = "pip install 'archline[export]', or to=torch"
    assert capsys.readouterr().err == f"error: export: onnx not installed\n  fix: {fix}\n"
