"""Samples per second of a search: whose turn it is, the ratio, and both sides at work."""

import json
from pathlib import Path
from typing import Any

import engine_throughput
import pytest
from engine_figures import compared, order, rate

CASES = {
    "cnn, digits": {"path": None, "settings": "data=digits", "batch": 64, "epochs": 2,
                    "architecture": {"kind": "cnn", "width": 4, "stages": 1, "depth": 1}},
    "broken": {"path": None, "settings": "data=digits", "batch": 64, "epochs": 2,
               "architecture": {"kind": "cnn", "width": 0}},
    "gone": {"path": "nowhere", "settings": "data=adult", "batch": 64, "epochs": 2, "architecture": {"kind": "mlp"}},
}  # fmt: skip


def visit(side: str, rows: int, seconds: float, cpu: float = 1.0) -> dict[str, Any]:
    return {"side": side, "rows": rows, "seconds": seconds, "cpu_seconds": cpu, "trials": 2}


def test_each_side_has_as_many_early_turns_as_late_ones() -> None:
    assert order(1) == ("ours", "theirs", "theirs", "ours")
    turns = order(3)
    places = {side: sum(i for i, who in enumerate(turns) if who == side) for side in turns}
    assert places["ours"] == places["theirs"]


def test_ratio_over_neighbouring_visits() -> None:
    visits = [visit("ours", 400, 10, 5), visit("theirs", 200, 10, 20), visit("theirs", 100, 20, 5),
              visit("ours", 800, 20, 10)]  # fmt: skip
    found = compared(visits)
    assert found["ratio_range"] == [2.0, 8.0]
    assert found["ratio"] == pytest.approx(4.0)
    assert found["cpu_ratio"] == pytest.approx(((80 / 10) * (80 / 20)) ** 0.5)
    assert found["ours_per_second"] == 1200 / 30
    assert found["theirs_per_second"] == 300 / 30
    assert (found["ours_range"], found["theirs_range"]) == ([40, 40], [5, 20])
    assert (found["ours_trials"], found["theirs_trials"]) == (4, 4)
    assert rate(visits, "cpu_seconds") == 1500 / 40


def test_a_busy_machine_is_told_from_a_quiet_one() -> None:
    quiet = [
        visit("ours", 10, 10, 9.9),
        visit("theirs", 10, 10, 19),
        visit("theirs", 10, 10, 4),
        visit("ours", 10, 10, 9),
    ]
    assert compared(quiet)["core_share"] == pytest.approx(0.9)
    assert not engine_throughput.busy(compared(quiet))
    starved = [*quiet[:3], visit("ours", 10, 10, 7)]
    assert engine_throughput.busy(compared(starved))
    uneven = [*quiet[:3], visit("ours", 16, 10, 9)]
    assert engine_throughput.busy(compared(uneven))


def test_a_machine_that_slows_down_steadily_favours_nobody() -> None:
    speeds = [100, 50, 25, 12.5]  # both sides alike, halved from visit to visit
    visits = [visit(side, round(10 * speed), 10) for side, speed in zip(order(1), speeds, strict=True)]
    assert compared(visits)["ratio"] == pytest.approx(1.0)


def test_pairs_hold_one_of_either_side() -> None:
    with pytest.raises(ValueError, match="one of either side"):
        compared([visit("ours", 1, 1), visit("ours", 1, 1)])


def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for argument, message in (
        ("only=cnn", "only: no case cnn\n  fix: known: cnn, digits; broken; gone\n"),
        ("rounds=0", "seconds and rounds must be at least 1\n  fix: seconds=20 rounds=2\n"),
    ):
        with pytest.raises(SystemExit) as ended:
            engine_throughput.main([str(tmp_path), argument], CASES)
        assert ended.value.code == 2
        assert capsys.readouterr().err == f"error: {message}"


@pytest.mark.slow
def test_both_sides_train_and_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "engine.json"
    arguments = [str(tmp_path), "name=try", "seconds=3", "rounds=1", f"out={out}"]
    assert engine_throughput.main(arguments, CASES) == 1
    records = json.loads(out.read_text())
    found = records["try / cnn, digits"]
    assert [v["side"] for v in found["visits"]] == ["ours", "theirs", "theirs", "ours"]
    rows = found["rows"]["train"]
    for v in found["visits"]:
        assert v["rows"] > 0
        assert v["rows"] <= 2 * rows * v["trials"] + 1  # two passes each at most
        assert v["seconds"] > 0
        assert v["cpu_seconds"] > 0
    ours = [v for v in found["visits"] if v["side"] == "ours"]
    assert {v["threads"] for v in ours} == {1}
    assert min(found["import_seconds"].values()) > 0
    assert records["try / broken"]["status"] == "failed"
    assert records["try / gone"]["status"] == "not there"
    page = out.with_suffix(".md").read_text()
    assert "| try | cnn, digits |" in page
    assert "| try | gone | not there |" in page
    assert str(tmp_path) not in out.read_text()
    capsys.readouterr()
    assert engine_throughput.main([*arguments, "only=cnn, digits"], CASES) == 0
    assert capsys.readouterr().out == "try / cnn, digits: there already\n"
