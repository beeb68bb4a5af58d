"""The report is timed on a run of its own size."""

import gzip
import json
from pathlib import Path

import pytest
import report

ROW = "39, State-gov, 77516, Bachelors, 13, Divorced, Adm-clerical, Not-in-family, White, Male, 2174, 0, 40, Cuba, {}"


def test_rows_are_repeated_until_there_are_enough(tmp_path: Path) -> None:
    source = tmp_path / "adult"
    source.mkdir()
    (source / "adult.data.gz").write_bytes(gzip.compress(b"x"))
    (source / "adult.test.gz").write_bytes(gzip.compress(f"|head\n{ROW.format('<=50K.')}\n{ROW}\n\n".encode()))
    report.repeated_rows(source, tmp_path / "more", 5)
    lines = (tmp_path / "more" / "adult.test").read_text().splitlines()
    assert lines[0] == "|head"
    assert len(lines) == 1 + 6


def test_trials_are_repeated_under_new_numbers(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    path.write_text(json.dumps({"best": 1, "trials": [{"number": 0, "score": 1}, {"number": 1, "score": 2}]}))
    report.repeated_trials(path, 5)
    trials = json.loads(path.read_text())["trials"]
    assert [(t["number"], t["score"]) for t in trials] == [(0, 1), (1, 2), (2, 1), (3, 2), (4, 1)]


def test_the_page_of_results_says_what_was_measured() -> None:
    one = {
        "seconds": {"start": 1.0, "report": 2.0, "page again": 0.5},
        "page_mb": 1.5,
        "json_mb": 3.0,
        "trials": 2000,
        "rows": 9,
    }
    slow = one | {"seconds": {"start": 3.0, "report": 4.0, "page again": 0.75}}
    found = report.summary([one, slow, slow])
    assert found["seconds"]["report"] == [4.0, 2.0, 4.0]
    where = {"cpu": "c", "cores": 2, "python": "3", "torch": "2", "optuna": "5", "pytorch-lightning": "2", "seed": 7,
             "date": "d", "load_before": 0.1}  # fmt: skip
    about = {"status": "done", "circumstances": where, "commit": {"hash": "abc", "dirty": False}}
    text = report.render({"a": about | found})
    assert "| 2,000 | 9 | 3.00 (1.00 to 3.00) | 4.00 (2.00 to 4.00) | 0.75 (0.50 to 0.75) | 1.50 | 3.00 |" in text


def test_a_folder_without_the_data_is_said_to_be_that(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main([str(tmp_path), f"out={tmp_path / 'report.json'}"]) == 0
    assert json.loads((tmp_path / "report.json").read_text())["2000 trials, 100000 rows"]["status"] == "not there"
    assert "not there" in capsys.readouterr().out
