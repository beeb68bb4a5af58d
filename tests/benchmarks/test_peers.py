"""Beside other tools: the same rows, the single network and the ensemble, budgets as they were kept."""

import json
from pathlib import Path

import numpy as np
import peers
import pytest


def test_digits_are_the_rows_the_others_had(tmp_path: Path) -> None:
    peers.write_rows("digits", tmp_path, tmp_path)
    with np.load(tmp_path / "digits.npz", allow_pickle=False) as arrays:
        assert arrays["x_train"].shape == (1200, 8, 8)
        assert arrays["x_test"].shape == (597, 8, 8)
        assert arrays["x_train"].max() == 255
        assert np.bincount(arrays["y_test"]).min() >= 57


@pytest.mark.slow
def test_a_race_is_run_scored_and_kept(tmp_path: Path) -> None:
    races = {
        "digits-8": {**peers.RACES["digits-30"], "seconds": 8, "settings": peers.RACES["digits-30"]["settings"] +
                     " space=tiny search.epochs=40"},
        "gone-8": {"path": "nowhere", "settings": "data=adult", "seconds": 8},
    }  # fmt: skip
    out = tmp_path / "peers.json"
    assert peers.main([str(tmp_path), f"out={out}"], races) == 0
    found = json.loads(out.read_text())
    assert found["gone-8, seed 0"]["status"] == "not there"
    record = found["digits-8, seed 0"]
    assert 0 < record["test"] <= 1
    assert record["test_interval"][0] < record["test"] <= record["test_interval"][1]
    assert record["networks"] >= 1
    assert record["wall"] > 0
    assert "| digits-8 | 0 |" in out.with_suffix(".md").read_text()
