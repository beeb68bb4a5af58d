"""The schema of report.json: read off the records, kept by reports, and not kept by what is otherwise."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import pytest
from jsonschema import Draft202012Validator

from pipeline.core.contracts import ModelCard, Number, TrialRecord
from pipeline.core.schema import Change, Schemas, field_words
from pipeline.core.store import write_json
from pipeline.reporting import report_schema
from tests.reporting.test_page import CASES, AnyInputs, report

VALIDATOR = Draft202012Validator(report_schema())


def wrong(found: Any) -> list[str]:
    return [error.json_path for error in VALIDATOR.iter_errors(found)]


def test_it_is_a_schema_of_its_dialect_and_version() -> None:
    schema = report_schema()
    Draft202012Validator.check_schema(schema)
    assert (schema["$schema"], schema["$id"]) == (
        "https://json-schema.org/draft/2020-12/schema",
        "urn:archline:report:1",
    )
    assert schema == report_schema()


@CASES
def test_reports_keep_it(inputs: AnyInputs, role: str) -> None:
    assert wrong(report(inputs, role)) == []


def _set(*path: Any) -> Callable[[dict[str, Any]], None]:
    *keys, last, value = path

    def change(found: Any) -> None:
        for key in keys:
            found = found[key]
        found[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (_set("evaluate", "metrics", "accuracy", "value", "0.9"), "$.evaluate.metrics.accuracy.value"),
        (_set("evaluate", "metrics", "accuracy", "n", 1.5), "$.evaluate.metrics.accuracy.n"),
        (_set("evaluate", "metrics", "accuracy", "reason", 3), "$.evaluate.metrics.accuracy.reason"),
        (_set("data", "task", "guessing"), "$.data.task"),
        (_set("search", "trials", 0, "curve", [[0.5]]), "$.search.trials[0].curve[0]"),
        (_set("search", "trials", 0, "traceback", "secret"), "$.search.trials[0]"),
        (_set("model", "inputs", {}), "$.model"),
        (_set("model", "epochs", 0, "epoch", "first"), "$.model.epochs[0].epoch"),
        (_set("cost", "stages", 0, "wall", 3.0), "$.cost.stages[0].wall"),
        (_set("headline", "winner", None), "$.headline.winner"),
        (_set("schema_version", 2), "$.schema_version"),
        (_set("interpret", "gallery", "rows", 0, "maps", "occlusion", "scale", "x"),
         "$.interpret.gallery.rows[0].maps.occlusion.scale"),
        (_set("unheard", 1), "$"),
    ],
)  # fmt: skip
def test_another_type_does_not(change: Callable[[dict[str, Any]], None], where: str) -> None:
    found = report()
    change(found)
    assert wrong(found) == [where]


@pytest.mark.parametrize("gone", ["headline", "evaluate", "cost", "license"])
def test_a_part_that_is_gone_does_not(gone: str) -> None:
    found = report()
    del found[gone]
    assert wrong(found) == ["$"]


def test_words_of_fields_come_along() -> None:
    definitions = report_schema()["$defs"]
    assert (
        definitions["Number"]["description"]
        == "A reported number. Undefined is `value: null` with a reason, never 0 or NaN."
    )
    assert definitions["Number"]["properties"]["reason"] == {
        "type": ["string", "null"], "description": "Why the value is undefined.",
    }  # fmt: skip
    assert field_words(TrialRecord)["parameters"] == "Trainable weights of the network."
    assert set(field_words(ModelCard)) < set(ModelCard.__annotations__)


@dataclass(frozen=True)
class Inner:
    """Inside."""

    kind: Literal["a", "b"]
    pair: tuple[int, str]


class Outer(TypedDict):
    """Outside."""

    parts: tuple[Inner, ...]
    named: NotRequired[dict[Literal["x", "y"], float | None]]
    either: Inner | int


def test_types_become_schemas() -> None:
    schemas = Schemas({Inner: Change(without=("kind",), more={"more": bool})})
    assert schemas.of(Outer) == {"$ref": "#/$defs/Outer"}
    pair = {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2}
    assert schemas.definitions["Inner"] == {
        "description": "Inside.", "type": "object", "properties": {"pair": pair, "more": {"type": "boolean"}},
        "required": ["pair", "more"], "additionalProperties": False,
    }  # fmt: skip
    outer = schemas.definitions["Outer"]
    assert outer["required"] == ["parts", "either"]
    assert outer["properties"] == {
        "parts": {"type": "array", "items": {"$ref": "#/$defs/Inner"}},
        "named": {"type": "object", "additionalProperties": {"type": ["number", "null"]},
                  "propertyNames": {"enum": ["x", "y"]}},
        "either": {"anyOf": [{"$ref": "#/$defs/Inner"}, {"type": "integer"}]},
    }  # fmt: skip
    with pytest.raises(TypeError, match="no schema of"):
        schemas.of(bytes)


def test_no_report_is_written_with_what_is_no_number(tmp_path: Path) -> None:
    found = report()
    found["model"]["seconds"] = float("nan")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "report.json", found)
    assert list(tmp_path.iterdir()) == []
    write_json(tmp_path / "number.json", Number(value=None, n=0, reason="undefined"))
    assert json.loads((tmp_path / "number.json").read_text())["value"] is None
