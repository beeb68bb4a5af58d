"""The model card: a header the hub can read, every value from report.json, nothing foreign alive."""

import re
from typing import Any

import pytest
import yaml

from pipeline.core.errors import ConfigError
from pipeline.core.settings import ReportSettings
from pipeline.core.strict import read
from pipeline.reporting.hub_card import hub_card
from pipeline.reporting.markdown import code, inert, table
from tests.reporting.records import CLASSES, HOSTILE
from tests.reporting.test_page import CASES, AnyInputs, report


def parts(card: str) -> tuple[dict[str, Any], str]:
    start, header, body = card.split("---\n", 2)
    assert start == ""
    found = yaml.safe_load(header)
    assert isinstance(found, dict)
    return found, body


@CASES
def test_the_header_has_the_form_of_the_hub(inputs: AnyInputs, role: str) -> None:
    found = report(inputs, role)
    header, _ = parts(hub_card(found))
    assert header["license"] == "unknown"
    kind = {"image": "image", "table": "tabular", "text": "text", "series": "time-series"}[inputs.kind]
    assert header.get("pipeline_tag") == (None if inputs.kind == "series" else f"{kind}-classification")
    assert header["tags"] == ["archline", "neural-architecture-search", "cnn", f"{kind}-classification"]
    (result,) = header["model-index"][0]["results"]
    assert result["dataset"]["name"] == HOSTILE
    assert re.fullmatch(r"[\w.-]+", result["dataset"]["type"])
    assert header["datasets"] == [result["dataset"]["type"]]
    metrics = found["evaluate"]["metrics"]
    known = {n: m["value"] for n, m in metrics.items() if m["value"] is not None and n != "ece_null"}
    assert [entry["value"] for entry in result["metrics"]] == list(known.values())
    assert [entry["type"] for entry in result["metrics"]][:4] == ["accuracy", "balanced_accuracy", "f1", "roc_auc"]
    assert set(header["metrics"]) == {entry["type"] for entry in result["metrics"]}


@CASES
def test_nothing_foreign_comes_alive(inputs: AnyInputs, role: str) -> None:
    found = report(inputs, role)
    found["purpose"] = f"see https://evil.example [click](javascript:x) {HOSTILE}\n# heading\n---\nlicense: mit"
    found["scope"] = dict.fromkeys(found["scope"], f"{found['purpose']}\n- item\n| a | b |")
    found["warnings"] = [
        {"text": "| a | ![x](y) **b** me@evil.example", "pointer": "/x"},
        {"text": HOSTILE, "pointer": "/x"},
    ]
    _, body = parts(hub_card(found))
    bare = re.sub(r"(`+).+?\1", "", body)
    assert "<" not in bare
    for alive in ("](", "://", "evil.example", "**b", "![", "\n# heading", "\nlicense"):
        assert alive not in bare, alive
    assert "\u202e" not in body
    assert body.count("\n# ") == 1
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in bare.splitlines() if line.startswith("| ")]
    assert min(widths) >= 3


@CASES
def test_every_metric_stands_in_the_table_with_its_interval(inputs: AnyInputs, role: str) -> None:
    found = report(inputs, role)
    _, body = parts(hub_card(found))
    accuracy = found["evaluate"]["metrics"]["accuracy"]
    cells = next(line for line in body.splitlines() if line.startswith("| accuracy |")).split("|")
    assert cells[2].strip() == f"{accuracy['value']:.3f} \\[{accuracy['ci_low']:.3f}, {accuracy['ci_high']:.3f}\\]"
    assert all(code(name) in body for name in CLASSES)
    assert found["model"]["weights_sha256"] in body
    assert found["data"]["source_digest"] in body


def test_a_licence_is_an_identifier() -> None:
    settings = ReportSettings(title="t", license="cc-by-4.0")
    assert parts(hub_card(report(settings=settings)))[0]["license"] == "cc-by-4.0"
    with pytest.raises(ConfigError) as caught:
        read(ReportSettings, {"title": "t", "license": "Mine, all mine"}, "conf.report")
    assert "conf.report: license 'Mine, all mine' is no identifier" in str(caught.value)


def test_code_keeps_what_would_end_it() -> None:
    assert code("a`b") == "``a`b``"
    assert code("`a`") == "`` `a` ``"
    assert code("a|b\nc") == "`a¦b c`"
    assert inert("a|b_c") == "a\\|b\\_c"
    assert inert("- a\n---\n+ b (c)") == "\\- a --- + b (c)"
    assert inert("www.x.y") == "`www.x.y`"
    assert table(("a", "b"), [("1", "2")]) == ["| a | b |", "| --- | ---: |", "| 1 | 2 |"]


@CASES
def test_the_scope_is_printed_whole_or_said_to_be_unwritten(inputs: AnyInputs, role: str) -> None:
    found = report(inputs, role)
    _, body = parts(hub_card(found))
    assert "- Who made the labels: to be written by a person (`report.scope.labels_made_by`)." in body
    long = "Sorting post of one town. " * 40
    found["scope"]["intended_use"] = long
    _, body = parts(hub_card(found))
    assert f"- Intended use: {long.strip()}" in body
