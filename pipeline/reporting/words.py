"""Text for people: numbers with their intervals, and foreign strings made harmless."""

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from pipeline.core.bounds import amount_words
from pipeline.core.settings import LONGEST_TEXT
from pipeline.core.store import dashboard_command

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_LONGEST = 200
LONGEST_WHOLE = 6 * LONGEST_TEXT
"""A control character is shown by six."""


METRICS = {
    "r2": "R²",
    "mae": "mean absolute error",
    "mse": "mean squared error",
    "rmse": "root of the mean squared error",
    "bias": "bias (predicted minus true)",
    "smape": "sMAPE, %",
    "mase": "MASE",
    "skill": "skill over repeating the last value",
    "f1_micro": "F1 over all labels (micro)",
    "f1_macro": "F1, mean over classes or labels (macro)",
    "f1": "F1",
    "auroc": "area under the ROC curve (macro)",
    "auprc": "average precision (macro)",
    "pinball": "quantile (pinball) loss",
    "subset_accuracy": "rows with every label right",
    "label_accuracy": "labels that are right",
    "ece": "calibration error (ECE)",
    "ece_null": "ECE of a calibrated model by chance",
    "brier": "Brier score",
    "parameters": "weights",
    "multiply_adds": "multiply-adds a row",
    "size_mb": "megabytes of weights (fp32)",
    "latency_ms": "milliseconds of a prediction",
    "calibration_error": "calibration error (ECE)",
    "equalized_odds_gap": "equalised odds, largest gap between groups",
    "demographic_parity_gap": "demographic parity, largest gap between groups",
}


def metric_words(name: str) -> str:
    """Return what people call a metric."""
    return METRICS.get(name, name.replace("_", " "))


def counted(number: int, what: str) -> str:
    """Return "1 trial" or "1,200 trials"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def clean(text: object, most: int = _LONGEST) -> str:
    """Return text without control characters and direction overrides (shown as escapes), cut at `most` characters."""
    shown = _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", str(text))
    return short(shown, most)


def whole(text: str) -> Markup:
    """Return what a person wrote for the report: escaped as all else, not cut."""
    return Markup("{}").format(clean(text, LONGEST_WHOLE))


def short(text: str, most: int) -> str:
    """Return at most `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def interval(number: Mapping[str, Any], digits: int = 3) -> str:
    """Return "0.994 [0.980, 0.998]", or why there is no value.

    Large numbers have fewer decimals; what would be shown as zero and is not has up to two more.
    """
    if number["value"] is None:
        why = str(number["reason"]).replace("_", " ")
        return why if number.get("unit") in ("s", "Wh") else f"undefined ({why})"
    known = {k: float(number[k]) for k in ("value", "ci_low", "ci_high") if number.get(k) is not None}
    shown = decimals(known["value"], max(abs(v) for v in known.values()), digits)
    text = fixed(known["value"], shown)
    if "ci_low" in known:
        text += f" [{fixed(known['ci_low'], shown)}, {fixed(known['ci_high'], shown)}]"
    return text


def decimals(value: float, largest: float, digits: int) -> int:
    """Return how many decimals a number has beside which the largest is `largest`, where `digits` are usual."""
    usual = min(digits, 0 if largest >= 1000 else 1 if largest >= 100 else digits)
    enough = (more for more in range(usual, usual + 3) if round(value, more))
    return next(enough, usual) if digits else usual


def fixed(value: float, digits: int) -> str:
    """Return a number with so many decimals; a zero has no sign."""
    text = f"{value:,.{digits}f}"
    return text if any(figure in text for figure in "123456789") else text.removeprefix("-")


def method(number: Mapping[str, Any]) -> str:
    """Return "95 % Wilson, n = 359"."""
    level = number.get("ci_level")
    how = f"{level:.0%} {number['ci_method']}, ".replace("%", " %") if level else ""
    return f"{how}n = {number['n']:,}"


def resolve(report: Mapping[str, Any], pointer: str) -> Any:
    """Return what a JSON pointer (RFC 6901) points at."""
    node: Any = report
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        node = node[int(key)] if isinstance(node, list) else node[key]
    return node


def number_span(report: Mapping[str, Any], pointer: str, digits: int = 3, *, least: bool = False) -> Markup:
    """Return a number of the report as HTML that says how it was made and, for people too, where it stands.

    With `least`, what would be shown as 0.0000 is shown as "< 0.0001".
    """
    found = resolve(report, pointer)
    if not isinstance(found, Mapping):
        if least and isinstance(found, float) and 0 <= found < 10**-digits:
            return Markup('<span class="num" data-json-pointer="{}" title="{}">&lt; {}</span>').format(
                pointer, clean(pointer), 10**-digits
            )
        if isinstance(found, float):
            shown = fixed(found, decimals(found, abs(found), digits))
        else:
            shown = f"{found:,}" if isinstance(found, int) else "–"
        return Markup('<span class="num" data-json-pointer="{}" title="{}">{}</span>').format(
            pointer, clean(pointer), shown
        )
    value, _, bounds = interval(found, digits).partition(" [")
    ci = Markup(' <span class="ci">[{}</span>').format(bounds) if bounds else Markup("")
    kind = "num" if found["value"] is not None else "num words"
    return Markup('<span class="{}" data-json-pointer="{}" title="{}">{}{}</span>').format(
        kind, pointer, f"{method(found)}; {clean(pointer)}", value, ci
    )


def summary_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the outcome of a run for the terminal."""
    head = report["headline"]
    score = resolve(report, head["score"])
    name = f"test {head['metric'].replace('_', ' ')}"
    lines = [f"{name:<16}{interval(score, 4)}   ({method(score)})"]
    if "baseline" in head:
        base, gain = resolve(report, head["baseline"]), resolve(report, head["gain"])
        lines += [
            f"baseline        {interval(base, 4)}   ({head['baseline_name']})",
            f"difference      {interval(gain, 4)}   {head['verdict']}",
        ]
    lines.append(f"winner          {head['winner']}")
    if worth := report["evaluate"].get("worth"):
        lines.append(f"search          {worth['sentences'][0]}")
    for other in report["evaluate"]["front"][1:]:
        simple = [f"{share:.0%} {name.replace('_', ' ')}, not a network" for name, share in other["simple"]]
        names = f" ({'; '.join(simple)})" if simple else ""
        lines.append(f"{other['name']:<16}{interval(other['metrics'][head['metric']], 4)}   {other['verdict']}{names}")
    for check in report["evaluate"]["constraints"]:
        bound, digits = amount_words(check["bound"]), 0 if isinstance(check["test"]["value"], int) else 4
        found = interval(check["test"], digits)
        lines.append(f"{'bound':<16}{check['name']} {found}, at most {bound}: {check['verdict']}")
    lines += [f"warning         {w['text']}" for w in report["warnings"][:3]]
    lines += [
        "report          reports/report.html",
        f"dashboard       {dashboard_command(report['search']['storage'])}",
    ]
    return [clean(line) for line in lines]
