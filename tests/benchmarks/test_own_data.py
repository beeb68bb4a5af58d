"""The table of real data sets: measured, merged, skipped, and honest about what failed."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import own_data
import pytest
from own_data_page import render
from scratch import commit

SETS = {
    "tiny": {"path": "tiny.csv", "init": "target=label sensitive=[sex]"},
    "broken": {"path": "tiny.csv", "init": "target=lable"},
    "unprepared": {"path": "", "conf": "adult"},
    "gone": {"path": "nowhere.csv"},
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = [f"{rng.normal():.4f},{rng.choice(['F', 'M'])},{rng.choice(['no', 'yes'])}" for _ in range(200)]
    (folder / "tiny.csv").write_text("\n".join(["size,sex,label", *rows]) + "\n")
    return folder


def run(data: Path, out: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    code = own_data.main([str(data), f"out={out}", *arguments], SETS)
    return code, json.loads(out.read_text()), out.with_suffix(".md").read_text()


def test_from_files_to_a_page_and_again(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results" / "out.json"
    code, records, page = run(data, out, "experiment=no")
    assert code == 1
    assert {name: r["status"] for name, r in records.items()} == {
        "tiny": "done", "broken": "failed", "unprepared": "failed", "gone": "not there"
    }  # fmt: skip

    tiny = records["tiny"]
    assert tiny["init"]["command"].startswith("python -m pipeline.init DATA_FOLDER/tiny.csv name=own_tiny target=label")
    assert "own_tiny: 200 rows, 3 columns; binary, 2 classes in 'label'" in tiny["init"]["said"]
    assert tiny["prepare"]["command"] == "python -m pipeline.prepare data=own_tiny"
    assert tiny["prepare"]["seconds"] > 0.1
    assert tiny["prepare"]["largest_mb"] > 20
    assert (tiny["data"]["kind"], tiny["data"]["task"], sum(tiny["data"]["rows"].values())) == ("table", "binary", 200)
    assert tiny["commit"] == commit()
    assert {"date", "python", "torch", "optuna", "pytorch-lightning", "cpu", "cores", "seed", "load_before"} == set(
        tiny["circumstances"]
    )
    assert "experiment" not in tiny
    assert (records["broken"]["failure"]["step"], records["broken"]["failure"]["code"]) == ("init", 2)
    assert "no column 'lable'" in " ".join(records["broken"]["failure"]["tail"])
    assert (records["unprepared"]["failure"]["step"], records["unprepared"]["failure"]["code"]) == ("prepare", 2)
    assert str(tmp_path) not in out.read_text()

    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in rows] == ["| set", "| ---", "| tiny", "| broken", "| unprepared", "| gone"]
    assert len({line.count("|") for line in rows}) == 1
    assert "`tiny.csv target=label sensitive=[sex]` | table, binary, 2 classes |" in rows[2]
    assert "**failed: init**" in rows[3]
    assert "shipped conf/data/adult.yaml" in rows[4]
    assert "not there" in rows[5]
    assert "error: DATA_FOLDER/tiny.csv: no column 'lable'" in page

    capsys.readouterr()
    records["tiny"]["commit"]["hash"] = "another"
    out.write_text(json.dumps(records))
    _, later, _ = run(data, out, "experiment=no", "only=tiny,broken")
    said = capsys.readouterr().out.splitlines()
    assert said == ["tiny: done", "broken: there already (failed)"]
    assert later["tiny"]["commit"] == commit()
    assert list(later) == list(SETS)


@pytest.mark.slow
def test_an_experiment_ends_with_its_outcome(data: Path, tmp_path: Path) -> None:
    arguments = ("only=tiny", "seconds=3", "train_seconds=3")
    code, records, page = run(data, tmp_path / "out.json", *arguments)
    assert code == 0, records["tiny"].get("failure")
    found = records["tiny"]["experiment"]
    assert found["command"].startswith("dvc exp run -S data=own_tiny -S search.seconds=3 -S train.seconds=3")
    assert 0 <= found["score"]["ci_low"] <= found["score"]["value"] <= found["score"]["ci_high"] <= 1
    assert found["metrics"][found["metric"]] == found["score"]["value"]
    assert found["baseline_name"]
    assert "simple model" in found["verdict"]
    assert found["verdict"] in page
    assert found["summary"][0] in page


def record(**more: Any) -> Mapping[str, Any]:
    machine = {"date": "2026-01-01T00:00:00+00:00", "python": "3", "torch": "2", "optuna": "5",
               "pytorch-lightning": "2", "cpu": "a processor", "cores": 2, "seed": 7, "load_before": 0.5}  # fmt: skip
    return {"status": "done", "settings": {"set": {"path": "x"}}, "circumstances": machine,
            "commit": {"hash": "c" * 40, "dirty": True, "changes": "d"}} | more  # fmt: skip


def test_texts_cannot_break_out_of_the_page() -> None:
    said = {"command": "python -m pipeline.init x", "said": ["largest class '```' 3 rows", "a | b"]}
    failure = {"step": "prepare", "code": 1, "tail": ["<b>|</b>"]}
    page = render({"a|b<i>": record(init=said, failure=failure, status="failed")})
    assert "| a\\|b&lt;i> |" in page
    assert page.count("```") == 2
    assert "commit cccccccccc with changes" in page


def test_numbers_without_interval_or_value() -> None:
    experiment = {"metric": "mase", "score": {"value": 0.5, "ci_low": None, "ci_high": None}, "baseline_name": None,
                  "baseline": None, "verdict": "no baseline was fitted", "seconds": 9.6, "command": "dvc exp run",
                  "summary": ["s"]}  # fmt: skip
    assert "| mase 0.5 | – | no baseline was fitted | 10 |" in render({"a": record(experiment=experiment)})
    experiment["score"] = {"value": None, "reason": "one class"}
    assert "| mase undefined (one class) | – |" in render({"a": record(experiment=experiment)})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["only=tiny"], "no folder given\n  fix: the folder comes first, then key=value"),
        (["."], None),
        ([".", "secnds=3"], "'secnds=3' is not understood\n  fix: known: only=, experiment=, seconds=, train_seconds=, "
                            "again=, out="),
        ([".", "again=maybe"], "again: 'maybe' is neither yes nor no\n  fix: again=yes or again=no"),
        ([".", "seconds=1.5"], "seconds: '1.5' is not a whole number\n  fix: seconds=60"),
        ([".", "only=tiny,none"], "only: no set none\n  fix: known: tiny, broken, unprepared, gone"),
    ],
)  # fmt: skip
def test_mistakes(arguments: list[str], message: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    if message is None:  # what is right is not refused
        assert own_data.options(arguments, own_data.DEFAULTS)[1] == own_data.DEFAULTS
        return
    with pytest.raises(SystemExit) as ended:
        own_data.main(arguments, SETS)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_every_shipped_file_named_is_there(root: Path) -> None:
    named = {spec["conf"] for spec in own_data.SETS.values() if "conf" in spec}
    assert named <= {file.stem for file in (root / "conf" / "data").glob("*.yaml")}
    assert all(set(spec) <= {"path", "init", "conf", "settings"} for spec in own_data.SETS.values())


def test_places_of_this_machine_are_hidden(tmp_path: Path) -> None:
    steps = own_data.Steps(tmp_path / "top", tmp_path / "data")
    text = f"{sys.executable} {tmp_path}/data/a.csv {tmp_path}/top/conf {own_data.ROOT}/x"
    assert steps.hide(text).split()[1:] == ["DATA_FOLDER/a.csv", "./conf", "PROJECT/x"]
    assert sys.prefix not in steps.hide(text)
