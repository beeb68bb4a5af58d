"""Verify computes everything again, and names what was changed since: in what is stored, reported, shown or set."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline import verify
from pipeline.core.store import EVALUATE, INTERPRET, SEARCH
from pipeline.tracing.verification import verified
from tests.conftest import Shell


def outcome(capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Return exit code, what was printed and what was complained about."""
    code = verify.main([])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_finished_run_is_equal_in_all_parts(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code, printed, complained = outcome(capsys)
    assert (code, complained) == (0, "")
    rows = re.findall(r"^(\S+) +([\d,]+) +([\d,]+)$", printed, re.M)
    assert [name for name, _, _ in rows] == [
        "data", "search", "model", "evaluate", "interpret", "fairness", "report.json", "report.html", "digests",
    ]  # fmt: skip
    assert all(checked == equal and int(checked.replace(",", "")) > 10 for _, checked, equal in rows)
    assert "/evaluate/latency_ms: latency is measured once; evaluate measures it anew" in printed
    left = [line for line in printed.splitlines() if "what it was made of is not stored" in line]
    assert not left, left
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_every_number_of_evaluate_is_computed_again_but_latency(run: Path) -> None:
    part = next(part for part in verified() if part.name == "evaluate")
    assert set(part.left) == {"/evaluate/latency_ms"}


def change_table(path: Path, column: str, row: int, change: Callable[[Any], Any]) -> None:
    table = pd.read_parquet(path)
    table.loc[row, column] = change(table.loc[row, column])
    table.to_parquet(path, index=False)


def change_arrays(path: Path, name: str) -> None:
    with np.load(path) as found:
        arrays = {key: found[key].copy() for key in found.files}
    arrays[name].flat[0] += 0.25
    np.savez(path, **arrays)


def predictions(run: Path) -> None:
    change_table(EVALUATE / "predictions.parquet", "p_3", 0, lambda p: p + 0.01)


def truth(run: Path) -> None:
    change_table(EVALUATE / "predictions.parquet", "y_true", 5, lambda y: (y + 1) % 10)


def a_group(run: Path) -> None:
    table = pd.read_parquet(EVALUATE / "predictions.parquet")
    name = next(column for column in table if str(column).startswith("audit."))
    other = next(group for group in table[name] if group != table.loc[0, name])
    change_table(EVALUATE / "predictions.parquet", str(name), 0, lambda _: other)


def a_baseline(run: Path) -> None:
    change_arrays(EVALUATE / "others.npz", "logistic_regression")


def an_ensemble(run: Path) -> None:
    change_arrays(EVALUATE / "others.npz", "mixed ensemble")


def a_trial(run: Path) -> None:
    change_table(SEARCH / "trials.parquet", "score", 1, lambda score: score + 0.001)


def a_map(run: Path) -> None:
    change_arrays(INTERPRET / "attributions.npz", "occlusion")


def a_curve(run: Path) -> None:
    change_arrays(INTERPRET / "checks.npz", "integrated_gradients.curves")


def in_text(path: str, pattern: str) -> Callable[[Path], None]:
    """Return what changes the last digit of the first number that `pattern` ends with."""

    def change(run: Path) -> None:
        text = (run / path).read_text()
        found = re.search(pattern, text, re.S)
        assert found, f"{pattern!r} not in {path}"
        at = found.end() - 1
        (run / path).write_text(text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :])

    return change


CHANGES = {
    "a stored prediction": (predictions, ["/evaluate/metrics/brier/value",
                                          "  evaluate: artifacts/evaluate: "]),
    "a true class": (truth, ["/data/class_rows/test/", "/evaluate/metrics/accuracy/value"]),
    "a group": (a_group, ["/fairness/audits/0/groups/"]),
    "a baseline's prediction": (a_baseline, ["/evaluate/baselines/1/metrics/brier/value"]),
    "an ensemble's prediction": (an_ensemble, ["/evaluate/front/"]),
    "a trial": (a_trial, ["/search/trials/1/score", "  search: artifacts/search: "]),
    "a map": (a_map, ["/interpret/importance/occlusion/0/value/", "/interpret/gallery/rows/0/maps/occlusion/"]),
    "a deletion curve": (a_curve, ["/interpret/methods/0/deletion_gain/value"]),
    "a record": (in_text("artifacts/evaluate/scores.json", r'"brier": \{\s+"value": [\d.]{6}'),
                 ["/evaluate/metrics/brier/value"]),
    "the handed on": (in_text("artifacts/search/best.json", r'"score": [\d.]{6}'), ["/search/best/score"]),
    "the report": (in_text("reports/report.json", r'"brier": \{\s+"value": [\d.]{4}'),
                   ["/evaluate/metrics/brier/value", "reports/report.html: /evaluate/metrics/brier"]),
    "the page": (in_text("reports/report.html", r'data-json-pointer="/evaluate/metrics/accuracy"[^>]*>[\d.]{6}'),
                 ["reports/report.html: /evaluate/metrics/accuracy"]),
    "a figure": (in_text("reports/report.html", r'<svg .*?<circle [^>]*?cx="\d'), ["reports/report.html: reported"]),
    "a setting": (in_text("params.yaml", r"evaluate:\n +level: 0\.9\d"),
                  ["  evaluate: params.yaml: evaluate.level: reported 0.95, recomputed 0.96"]),
    "the seed": (in_text("params.yaml", r"\bseed: \d"),
                 [f"  {stage}: params.yaml: seed: reported 7" for stage in ("prepare", "fairness")]),
    "metrics.json": (in_text("reports/metrics.json", r'"accuracy": [\d.]{6}'), ["/reports/metrics.json/accuracy"]),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_named(change: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.tracing.verification.SHOWN", 10_000)
    tamper, wanted = CHANGES[change]
    tamper(run)
    lines, equal = verify.run([])
    assert not equal
    told = [line for line in lines if ": reported " in line]
    assert [place for place in wanted if not any(place in line for line in told)] == []


def test_the_first_mismatches_are_printed_with_both_values(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads((run / "reports/report.json").read_text())
    was = report["evaluate"]["metrics"]["accuracy"]["value"]
    report["evaluate"]["metrics"]["accuracy"]["value"] = 0.123
    (run / "reports/report.json").write_text(json.dumps(report))
    code, printed, complained = outcome(capsys)
    assert (code, complained) == (1, "")
    assert f"  /evaluate/metrics/accuracy/value: reported 0.123, recomputed {was!r}\n" in printed
    assert re.search(r"^report.json +([\d,]+) +([\d,]+)$", printed, re.M)


@pytest.mark.parametrize(
    ("path", "fix"),
    [
        ("reports/report.json", "run `dvc repro`"),
        ("reports/report.html", "run `dvc repro`"),
        ("artifacts/evaluate/predictions.parquet", "run `dvc repro evaluate`"),
        ("artifacts/evaluate/others.npz", "run `dvc repro evaluate`"),
        ("artifacts/search/trials.parquet", "run `dvc repro search`"),
        ("artifacts/interpret/checks.npz", "run `dvc repro interpret`"),
    ],
)
def test_a_missing_artifact_is_a_mistake_in_two_lines(
    path: str, fix: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / path).unlink()
    assert outcome(capsys) == (2, "", f"error: {path}: not found\n  fix: {fix}\n")


def test_without_a_record_of_the_settings_nothing_is_recomputed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads((run / "reports/report.json").read_text())
    for made in report["provenance"]:
        if made["stage"] == "evaluate":
            made |= {"params": {}, "code": None, "versions": {}, "inputs": {}}
    (run / "reports/report.json").write_text(json.dumps(report))
    where = "artifacts/provenance/evaluate.json: nothing is recorded of the files that lie there"
    assert outcome(capsys) == (2, "", f"error: {where}\n  fix: run `dvc repro evaluate`\n")


def test_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(["fast"]) == 2
    assert capsys.readouterr().err == "error: verify: takes nothing, got fast\n  fix: python -m pipeline.verify\n"


def test_the_command_says_what_it_does(root: Path, shell: Shell) -> None:
    assert "test rows stay sealed" in shell(root, "python -m pipeline.verify --help").stdout
