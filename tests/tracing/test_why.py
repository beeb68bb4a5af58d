"""Why prints what stands behind a number, found by any of its names; what it prints computes the number again."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import why
from pipeline.core.errors import ConfigError
from pipeline.core.store import read_json
from pipeline.tracing.places import find, main_places, places, stage_of
from pipeline.tracing.why import why_lines


def number(value: float | None, **fields: Any) -> dict[str, Any]:
    absent = dict.fromkeys(("ci_low", "ci_high", "ci_level", "ci_method", "unit", "reason"))
    return {"value": value, "n": 10} | absent | fields


def made(stage: str) -> dict[str, str]:
    return {"stage": stage, "command": f"python -m pipeline.{stage} --params"}


REPORT: dict[str, Any] = {
    "schema_version": 1,
    "headline": {"metric": "accuracy", "score": "/evaluate/metrics/accuracy", "verdict": "better"},
    "data": {"name": "d\x1b[31m", "source_digest": "5" * 64, "rows": {"train": 90}},
    "search": {"trials": [{"number": 0, "score": 0.5}], "notes": []},
    "model": {"parameters": 12},
    "evaluate": {
        "metrics": {"accuracy": number(0.9, ci_low=0.8, ci_high=0.95, ci_level=0.95, ci_method="Wilson"),
                    "log_loss": number(None, reason="no_rows"), "mae": number(0.5, unit="target", reason="no spread")},
        "baselines": [{"name": name, "metrics": {"accuracy": number(0.5)}, "gain": number(0.4)}
                      for name in ("majority", "a/b")],
    },
    "fairness": {"audits": [{"feature": "sex", "spread": number(0.1)}, {"feature": "sex", "spread": number(0.2)}]},
    "provenance": [
        {**made("prepare"), "digests": {"artifacts/prepare/fit": "aa"},
         "params": {"seed": 7, "data": {"format": "csv", "path": "raw", "train_file": "t.csv", "target": None}},
         "seed": 7, "code": "c0", "code_of": ["core"], "versions": {"python": "2.7.1"}},
        {**made("evaluate"), "digests": {"artifacts/evaluate": "ee"},
         "params": {"seed": 7, "evaluate": {"level": 0.95, "baselines": ["constant"]}}, "seed": 7, "code": "c1",
         "code_of": ["core"], "versions": {"python": "2.7.1"},
         "inputs": {"prepare": {"artifacts/prepare/fit": "aa"}}},
        {**made("fairness"), "digests": {"artifacts/fairness": "ff"}},
        {**made("report"), "digests": {}},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ("/evaluate/metrics/accuracy", "/evaluate/metrics/accuracy"),
        ("/evaluate/metrics/accuracy/value", "/evaluate/metrics/accuracy"),
        ("evaluate.metrics.accuracy", "/evaluate/metrics/accuracy"),
        ("evaluate.accuracy", "/evaluate/metrics/accuracy"),
        ("evaluate.majority.accuracy", "/evaluate/baselines/0/metrics/accuracy"),
        ("evaluate.baselines.1.gain", "/evaluate/baselines/1/gain"),
        ("evaluate.a/b.gain", "/evaluate/baselines/1/gain"),
        ("search.trials.0.score", "/search/trials/0/score"),
        ("data.train", "/data/rows/train"),
        ("headline.score", "/evaluate/metrics/accuracy"),
        ("/headline/score", "/evaluate/metrics/accuracy"),
    ],
)
def test_a_number_has_many_names(wanted: str, pointer: str) -> None:
    assert find(REPORT, wanted).pointer == pointer


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            "evaluate.metrics.acuracy",
            "why: reports/report.json has no number at 'evaluate.metrics.acuracy'\n"
            "  fix: did you mean evaluate.metrics.accuracy or evaluate.metrics.mae or "
            "evaluate.baselines.1.metrics.accuracy?",
        ),
        (
            "evaluate.gain",
            "why: 2 numbers of reports/report.json are called 'evaluate.gain'\n"
            "  fix: one of: evaluate.baselines.0.gain, evaluate.baselines.1.gain",
        ),
        (
            "fairness.sex.spread",
            "why: 2 numbers of reports/report.json are called 'fairness.sex.spread'\n"
            "  fix: one of: fairness.audits.0.spread, fairness.audits.1.spread",
        ),
        (
            "headline.verdict",
            "why: reports/report.json has no number at 'headline.verdict'\n"
            "  fix: without a place, the main ones are listed",
        ),
        (
            "zzz",
            "why: reports/report.json has no number at 'zzz'\n  fix: without a place, the main ones are listed",
        ),
    ],
)
def test_a_place_that_is_none_is_explained(wanted: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find(REPORT, wanted)
    assert str(caught.value) == message


def test_numbers_belong_to_the_stage_that_made_them() -> None:
    stages = {place.dotted: stage_of(REPORT, place) for place in places({k: REPORT[k] for k in ("data", "evaluate")})}
    assert set(stages.values()) == {"prepare", "evaluate"}
    assert stages["data.rows.train"] == "prepare"
    assert stage_of(REPORT, find(REPORT, "model.parameters")) == "report"  # no stage `train` stands behind this report
    assert [place.dotted for place in main_places(REPORT)] == [
        "data.rows.train", "model.parameters", "evaluate.metrics.accuracy", "evaluate.metrics.log_loss",
        "evaluate.metrics.mae",
    ]  # fmt: skip


def test_all_that_stands_behind_a_number_is_printed() -> None:
    lines = why_lines(REPORT, find(REPORT, "evaluate.accuracy"))
    text = "\n".join(lines)
    for wanted in (
        "evaluate.metrics.accuracy   (/evaluate/metrics/accuracy in reports/report.json)",
        "  value     0.9",
        "[0.8, 0.95], 95 % Wilson, n = 10",
        "  stage     evaluate",
        "  command   python -m pipeline.evaluate --params",
        '  settings  seed=7, evaluate.level=0.95, evaluate.baselines=["constant"]',
        "  seed      7",
        "raw data SHA-256 " + "5" * 64,
        "  code      SHA-256 c1 over",
        "pipeline/core",
        "changed since: here it is ",
        "  versions  python 2.7.1",
        "here: python 3.",
        "  chain     evaluate: python -m pipeline.evaluate --params   (reads prepare)",
        "prepare: python -m pipeline.prepare --params   (reads the raw data)",
        "artifacts/prepare/fit  SHA-256 aa",
        "raw data: raw t.csv",
    ):
        assert wanted in text, wanted
    assert "\x1b" not in text


def test_undefined_numbers_and_plain_ones_say_so() -> None:
    assert "undefined: no_rows" in "\n".join(why_lines(REPORT, find(REPORT, "evaluate.log_loss")))
    mae = "\n".join(why_lines(REPORT, find(REPORT, "evaluate.mae")))
    assert "no interval: no spread, n = 10, unit: target" in mae
    assert "a count or a measurement: no interval" in "\n".join(why_lines(REPORT, find(REPORT, "data.train")))


def test_where_the_clock_had_a_say_it_is_told() -> None:
    """A stage that its seconds cut short gets further, or less far, on another day; what was measured is new."""
    cut = ["interpret.seconds (30 s) left time for 32 of 64 steps", "integrated gradients used 32 steps"]
    report = REPORT | {
        "interpret": {"seconds": 3.5, "gain": number(0.1), "notes": cut},
        "provenance": [*REPORT["provenance"], {**made("interpret"), "digests": {}}],
    }
    told = [line for line in why_lines(report, find(report, "/interpret/gain")) if line.startswith("  repeats")]
    assert told == [f"  repeats   if as much is done in the time as here: {cut[0]}"]
    text = "\n".join(why_lines(report, find(report, "/interpret/seconds")))
    assert "  repeats   not to the digit: seconds are measured once" in text
    assert "repeats" not in "\n".join(why_lines(report, find(report, "evaluate.accuracy")))


def test_what_nobody_recorded_is_not_made_up() -> None:
    text = "\n".join(why_lines(REPORT, find(REPORT, "/fairness/audits/0/spread")))
    assert "settings  not recorded: its files were not written by `python -m pipeline.fairness`" in text
    assert "  versions" not in text


def test_the_command(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert why.main(["evaluate.accuracy"]) == 0
    shown = capsys.readouterr().out
    report = read_json(run / "reports/report.json")
    assert f"value     {report['evaluate']['metrics']['accuracy']['value']!r}" in shown
    assert "changed since" not in shown
    assert "raw data: the file that scikit-learn brings" in shown
    for stage in ("prepare", "search", "train", "evaluate"):
        assert f"{stage}: python -m pipeline.{stage} --params" in shown
    assert "fairness:" not in shown
    assert why.main([]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert any(line.startswith("evaluate.metrics.accuracy ") for line in listed)
    assert len(listed) < 120
    assert why.main(["a", "b"]) == 2
    assert capsys.readouterr().err.startswith("error: why: one place at a time\n  fix: ")
    assert why.main(["evaluate.acc"]) == 2
    assert capsys.readouterr().err.startswith(
        "error: why: reports/report.json has no number at 'evaluate.acc'\n  fix: "
    )
    (run / "reports/report.json").unlink()
    assert why.main([]) == 2
    assert capsys.readouterr().err == "error: reports/report.json: not found\n  fix: run `dvc repro`\n"


def test_every_number_of_a_finished_report_has_a_stage_with_settings(run: Path) -> None:
    report = json.loads((run / "reports/report.json").read_text())
    recorded = {behind["stage"] for behind in report["provenance"] if behind["code"]}
    parts = [key for key in report if key not in ("provenance", "warnings", "not_assessed")]
    stages = {stage_of(report, place) for place in places({key: report[key] for key in parts})}
    assert stages == {"prepare", "search", "train", "evaluate", "interpret", "fairness", "report"}
    assert stages <= recorded
