"""The default candidate alone: handed on, trained once per seed, scored, merged into the page."""

import json
from pathlib import Path

import defaults
import pytest

SETS = {
    "digits": {"path": None, "settings": "data=digits space=tiny", "seconds": 2, "aim": 0.3, "script": "none"},
    "gone": {"path": "nowhere.csv", "settings": "data=adult", "seconds": 2, "aim": 0.3, "script": "none"},
}


@pytest.mark.slow
def test_each_seed_is_scored_and_known_results_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "defaults.json"
    assert defaults.main([str(tmp_path), "seeds=2", f"out={out}"], SETS) == 0
    record = json.loads(out.read_text())["digits"]
    assert [run["seed"] for run in record["runs"]] == [0, 1]
    assert record["mean"] == pytest.approx(sum(run["score"] for run in record["runs"]) / 2)
    assert record["candidate"]["architecture"]["kind"] == "cnn"
    page = out.with_suffix(".md").read_text()
    assert "| digits | cnn |" in page
    assert "| gone | not there |" in page
    capsys.readouterr()
    assert defaults.main([str(tmp_path), "seeds=2", f"out={out}"], SETS) == 0
    assert "digits: there already" in capsys.readouterr().out


def test_an_unknown_set_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        defaults.main([str(tmp_path), "only=digit"], SETS)
    assert "only: no set digit" in capsys.readouterr().err
