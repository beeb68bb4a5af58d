"""Groups on own data: rows go where split.json says, trainings stand beside each other, a page is written."""

import json
from pathlib import Path
from typing import Any

import fairness
import numpy as np
import pandas as pd
import pytest

SET: dict[str, Any] = {
    "path": "own", "file": "rows.csv", "mitigation": ("reweighed",),
    "conf": {"target": "y", "exclude": ["id"], "sensitive": {"sex": {"column": "sex"}}},
}  # fmt: skip


def folder(at: Path, n: int = 400) -> Path:
    rng = np.random.default_rng(0)
    sex = rng.choice(["f", "m"], n)
    x = rng.normal(size=n)
    y = np.where(x + rng.normal(size=n) > np.where(sex == "f", 0.5, -0.5), "yes", "no")
    (at / "own").mkdir(parents=True)
    pd.DataFrame({"id": np.arange(n), "x": x, "sex": sex, "y": y}).to_csv(at / "own" / "rows.csv", index=False)
    (at / "own" / "split.json").write_text(json.dumps({"test": list(range(0, n, 4))}))
    return at


def test_rows_go_where_the_split_says(tmp_path: Path) -> None:
    data = folder(tmp_path / "data")
    (tmp_path / "top" / "conf" / "data").mkdir(parents=True)
    assert fairness.settings_of(SET, data / "own", tmp_path / "top") == ["data=own"]
    train, test = (pd.read_csv(tmp_path / "top" / "own" / f"{name}.csv") for name in ("train", "test"))
    assert test["id"].tolist() == list(range(0, 400, 4))
    assert len(train) == 300
    conf = json.loads((tmp_path / "top" / "conf" / "data" / "own.yaml").read_text())
    assert (conf["target"], conf["test_file"], conf["sensitive"]) == ("y", "test.csv", {"sex": {"column": "sex"}})


def test_an_unknown_set_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fairness.main([str(tmp_path), "only=compass"])
    assert "only: no set compass" in capsys.readouterr().err


@pytest.mark.slow
def test_trainings_stand_beside_each_other(tmp_path: Path) -> None:
    out = tmp_path / "fairness.json"
    sets = {"own": SET, "gone": {"path": "nowhere", "conf": None}}
    assert fairness.main([str(folder(tmp_path / "data")), "seconds=2", f"out={out}"], sets) == 0
    record = json.loads(out.read_text())["own"]
    assert record["status"] == "done", record
    assert {a["metric"] for a in record["audits"]} >= {"accuracy", "true_positive_rate", "precision"}
    for trade in record["trade_offs"]:
        assert [d["name"] for d in trade["decisions"]] == ["none", "reweighed"]
    assert {p["source"] for p in record["proxies"]} == {"inputs", "features of the network"}
    page = out.with_suffix(".md").read_text()
    assert "## own" in page
    assert "not there" in page
