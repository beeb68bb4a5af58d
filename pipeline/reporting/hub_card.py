"""report.json to a model card in the form of the Hugging Face hub: a header that machines read, and words for people.

Header: "Model Cards", huggingface.co/docs/hub/model-cards; results as its `model-index` has them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from pipeline.reporting.markdown import bullets, code, inert, table
from pipeline.reporting.scope import SCOPE
from pipeline.reporting.words import LONGEST_WHOLE, clean, interval, method, metric_words

Report = Mapping[str, Any]
_KINDS = {"image": "image", "text": "text", "table": "tabular", "series": "time-series", "forecast": "time-series"}
_HUB_TASKS = ("image-classification", "text-classification", "tabular-classification", "tabular-regression",
              "time-series-forecasting")  # fmt: skip
_HUB_METRICS = {"f1_macro": "f1", "f1_micro": "f1", "auroc": "roc_auc", "auprc": "average_precision",
                "brier": "brier_score", "r2": "r_squared"}  # fmt: skip
"""Names of the hub, where they are others than ours."""
_MOST_WARNINGS, _MOST_NAMES = 12, 30


def hub_card(report: Report) -> str:
    """Return the card; it reads nothing but `report`."""
    header = yaml.safe_dump(_header(report), sort_keys=False, allow_unicode=True, width=1000)
    return "\n".join(["---", header + "---", "", *_body(report), ""])


def _header(report: Report) -> dict[str, Any]:
    data, metrics = report["data"], _measured(report)
    task, name, dataset = _task(data), clean(report["title"]), _dataset(report)
    tags = ["archline", "neural-architecture-search", str(report["model"]["candidate"]["architecture"]["kind"]), task]
    return {
        "license": report["license"] or "unknown",
        "library_name": "archline",
        **({"pipeline_tag": task} if task in _HUB_TASKS else {}),
        "tags": [clean(tag) for tag in tags],
        "datasets": [dataset],
        "metrics": list(dict.fromkeys(_HUB_METRICS.get(metric, metric) for metric in metrics)),
        "model-index": [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": task, "name": task.replace("-", " ").capitalize()},
                        "dataset": {"type": dataset, "name": clean(data["name"]), "split": "test"},
                        "metrics": [_result(metric, number) for metric, number in metrics.items()],
                    }
                ],
            }
        ],
    }


def _result(metric: str, number: Mapping[str, Any]) -> dict[str, Any]:
    name = f"Test {metric_words(metric)}"
    if number["ci_low"] is not None:
        name += f", {number['ci_low']:.4g} to {number['ci_high']:.4g} ({method(number)})"
    return {"type": _HUB_METRICS.get(metric, metric), "value": number["value"], "name": name}


def _measured(report: Report) -> dict[str, Mapping[str, Any]]:
    """Return the metrics that have a value, that of the first screen first."""
    metrics, head = report["evaluate"]["metrics"], report["headline"]["metric"]
    named = [name for name in dict.fromkeys((head, *metrics)) if name != "ece_null"]  # a yardstick, of no model
    return {name: metrics[name] for name in named if metrics[name]["value"] is not None}


def _task(data: Mapping[str, Any]) -> str:
    what = {"regression": "regression", "forecast": "forecasting"}.get(data["task"], "classification")
    return f"{_KINDS[data['inputs']['kind']]}-{what}"


def _dataset(report: Report) -> str:
    """Return the name of the data set on the hub where it is from there, else its own as an identifier."""
    there = _behind(report, "prepare").get("params", {}).get("data", {}).get("hf_name")
    return (
        str(there) if there else re.sub(r"[^\w.]+", "-", clean(report["data"]["name"]), flags=re.A).strip("-.") or "own"
    )


def _behind(report: Report, stage: str) -> Mapping[str, Any]:
    found = [part for part in report["provenance"] if part["stage"] == stage]
    return found[0] if found else {}


def _body(report: Report) -> Iterator[str]:
    head, model, search, data = (report[part] for part in ("headline", "model", "search", "data"))
    shown = interval(report["evaluate"]["metrics"][head["metric"]], 4)
    yield from (f"# {inert(report['title'])}", "")
    yield from (inert(report["purpose"]) or "What the model is for: to be written by a person (`report.purpose`).", "")
    yield from (f"Test {inert(metric_words(head['metric']))}: **{inert(shown)}**, {inert(head['verdict'])}.", "")
    yield from ("## Model", "")
    yield from (f"{inert(head['winner'])}.", "")
    trials = len(search["trials"])
    yield (
        f"Found by a neural architecture search in {trials} trial{'s' * (trials != 1)}, trained on "
        f"{inert(model['device'])} in {inert(model['precision'])} for {model['seconds']:,.0f} seconds."
    )
    yield from ("", *_uses(data), "")
    for name, words in SCOPE.items():
        said = report["scope"][name]
        text = inert(said, LONGEST_WHOLE) if said else f"to be written by a person (`report.scope.{name}`)."
        yield from (f"- {words.capitalize()}: {text}",)
    yield from ("", "## Data", "")
    yield f"{code(data['name'])}: {_task(data).replace('-', ' ')}, {_inputs(data['inputs'])}. Rows:"
    yield from ("", *table(("split", "rows"), ((inert(k), f"{n:,}") for k, n in data["rows"].items())), "")
    yield from bullets(data["notes"])
    yield from ("", "## Results on the sealed test rows", "", *_results(report), "")
    yield from _groups(report)
    yield from ("## Limits", "", "What to know before believing the numbers:", "")
    warnings = [warning["text"] for warning in report["warnings"]]
    yield from bullets(warnings[:_MOST_WARNINGS] or ["no warning was raised"])
    if len(warnings) > _MOST_WARNINGS:
        yield f"- {len(warnings) - _MOST_WARNINGS} more in report.json"
    yield from ("", "Not assessed:", "", *bullets(report["not_assessed"]), "")
    yield from ("## How it came about", "", *_made(report))


def _uses(data: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## Use", "", "```console", "$ python -m pipeline.predict input=FILE output=FILE", "```", "")
    names = data["classes"] or [target["name"] for target in data["targets"]]
    what = "labels" if data["task"] == "multilabel" else "classes" if data["classes"] else "numbers"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    yield f"It answers with {what}: {', '.join(code(name) for name in names[:_MOST_NAMES])}{more}."


def _inputs(inputs: Mapping[str, Any]) -> str:
    match inputs["kind"]:
        case "image":
            return f"images of {inputs['channels']} × {inputs['height']} × {inputs['width']}"
        case "table":
            return f"{len(inputs['columns'])} columns"
        case "text":
            return f"texts of at most {inputs['length']} words, {inputs['vocabulary']:,} different ones"
        case "forecast":
            return f"windows of {inputs['window']} steps, {inputs['horizon']} steps ahead"
        case _:
            return f"series of {len(inputs['channels'])} channels and at most {inputs['length']} steps"


def _results(report: Report) -> list[str]:
    evaluate = report["evaluate"]
    others = [("default candidate", evaluate["default"])] if evaluate["default"] else []
    others += [(other["name"].replace("_", " "), other) for other in evaluate["baselines"]]
    rows = [
        [
            inert(metric_words(name)),
            *(inert(interval(one["metrics"][name])) for _, one in [("", evaluate), *others]),
            inert(method(number)),
        ]
        for name, number in evaluate["metrics"].items()
    ]
    return table(("metric", "this model", *(inert(name) for name, _ in others), "interval of this model"), rows)


def _groups(report: Report) -> Iterator[str]:
    audits = report["fairness"]["audits"]
    if not audits:
        return
    rows = [
        (
            f"{inert(metric_words(item['metric']))} by {inert(item['feature'])}",
            inert(item["role"]),
            inert(interval(item["spread"])),
            inert(item["verdict"].replace("_", " ")),
        )
        for item in audits
    ]
    yield from ("## Groups and slices", "")
    yield from (*table(("what", "role", "highest minus lowest", "verdict"), rows), "")


def _made(report: Report) -> Iterator[str]:
    model, cost = report["model"], report["cost"]
    took = [
        (line["stage"], *(interval(line[part], 1) for part in ("wall", "processor")), interval(line["energy"], 3))
        for line in cost["stages"]
    ]
    yield from table(("stage", "wall seconds", "processor seconds", "energy, Wh"),
                     ([inert(cell) for cell in cells] for cells in took))  # fmt: skip
    yield ""
    yield f"- Weights: SHA-256 {code(model['weights_sha256'])}, seed {model['seed']}"
    yield f"- Raw data: SHA-256 {code(report['data']['source_digest'])}"
    yield from (f"- {inert(part['stage'])}: {code(part['command'])}" for part in report["provenance"])
    known = _behind(report, "train").get("versions", {})
    if known:
        yield f"- Versions: {', '.join(f'{inert(name)} {inert(version)}' for name, version in known.items())}"
    yield from ("", "Every number of this card stands in `report.json`; `report.html` shows all of them.")
