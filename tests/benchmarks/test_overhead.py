"""Where seconds go: shares add up, and every part is timed in a real search."""

import json
from pathlib import Path

import overhead
import pytest

PARTS = {
    "jobs": 150.0, "steps": 120.0, "scores": 20.0, "networks, made or read": 4.0, "at the end": 3.0,
    "checkpoints written": 2.0, "probe": 2.0, "decisions and proposals": 1.0, "storing": 2.0,
    "notes and terminal": 0.5, "waiting for workers": 70.0,
}  # fmt: skip
WHERE = {
    "marks": {"workers": 2, "start": 5.0, "searched": 95.0, "end": 100.0},
    "parts": {name: [seconds, 3] for name, seconds in PARTS.items()},
}


def test_shares_of_all_workers_time_add_up() -> None:
    found = overhead.shares(WHERE, 90)
    assert found["overhead"] == pytest.approx(1 - 140 / 200)
    assert found["of_all_time"]["other work of jobs"] == pytest.approx(1 / 200)
    assert found["of_all_time"]["workers idle"] == pytest.approx(30 / 200)
    assert sum(found["of_all_time"].values()) == pytest.approx(1.0)
    assert found["beyond_budget"] == 0.0
    assert found["of_search_process"]["waiting for workers"] == pytest.approx(0.7)


@pytest.mark.slow
def test_a_search_is_timed_part_by_part(tmp_path: Path) -> None:
    tasks = {
        "digits": {"path": None, "settings": "data=digits space=tiny search.epochs=2"},
        "gone": {"path": "x", "settings": ""},
    }
    out = tmp_path / "overhead.json"
    assert overhead.main([str(tmp_path), "only=digits,gone", "seconds=8", f"out={out}"], tasks) == 0
    found = json.loads(out.read_text())
    assert found["gone"]["status"] == "not there"
    record = found["digits"]
    assert 0 < record["overhead"] < 1
    assert record["calls"]["steps"] >= record["calls"]["jobs"] >= record["trials"] >= 1
    assert all(record["calls"][name] for name in ("probe", "storing", "ensemble", "waiting for workers"))
    assert sum(record["of_all_time"].values()) == pytest.approx(1.0, abs=0.1)
    assert "| digits | 8 |" in out.with_suffix(".md").read_text()
