"""Figures of how far predictions can be relied on: calibration before and after, and what thresholds would give."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from pipeline.reporting.figures import Line, line_chart


def reliability_figure(bins: list[Mapping[str, Any]], tempering: Mapping[str, Any] | None) -> Markup:
    """Accuracy against stated confidence, after and before logits were divided by the temperature."""
    after, before = _points(bins), _points(tempering["reliability"] if tempering else [])
    low = min(min(p) for p in after + before)
    lines = [
        Line("what a calibrated model shows", [(low, low), (1.0, 1.0)], "c"),
        Line("before the temperature", before, "b"),
        Line("this model", after, "a"),
        Line("", after, "dots"),
    ]
    summary = f"accuracy against confidence in {len(after)} bins; mean distance from the line {_distance(bins):.3f}"
    if tempering and before:
        summary += f", before the temperature {_distance(tempering['reliability']):.3f}"
    return line_chart([line for line in lines if line.points], ("mean confidence of a bin", "accuracy"), summary)


def _points(bins: list[Mapping[str, Any]]) -> list[tuple[float, float]]:
    return [(b["confidence"], b["accuracy"]["value"]) for b in bins]


def _distance(bins: list[Mapping[str, Any]]) -> float:
    rows = sum(b["accuracy"]["n"] for b in bins)
    return float(sum(b["accuracy"]["n"] * abs(b["confidence"] - b["accuracy"]["value"]) for b in bins) / rows)


def roc_figure(threshold: Mapping[str, Any], area: Mapping[str, Any]) -> Markup:
    """True against false positive rate over all thresholds, and where decisions are made."""
    lines = [
        Line("guessing", [(0.0, 0.0), (1.0, 1.0)], "c"),
        Line("all thresholds", _pairs(threshold["roc"]), "a"),
        *_decisions(threshold, "false_positive_rate", "recall"),
    ]
    summary = f"true against false positive rate of {threshold['positive']}, area {_value(area)}"
    return line_chart(lines, ("false positive rate", "true positive rate (recall)"), summary, zero=True)


def precision_recall_figure(threshold: Mapping[str, Any], area: Mapping[str, Any]) -> Markup:
    """Precision against recall over all thresholds, and where decisions are made."""
    lines = [
        Line("all thresholds", _pairs(threshold["precision_recall"]), "a"),
        *_decisions(threshold, "recall", "precision"),
    ]
    summary = f"precision against recall of {threshold['positive']}, average precision {_value(area)}"
    return line_chart(lines, ("recall", "precision"), summary, zero=True)


def _decisions(threshold: Mapping[str, Any], x: str, y: str) -> list[Line]:
    """Return the points of the decision at one half and of the chosen one, where both rates are defined."""
    places = {"at 0.5": ("argmax", "start")}
    if threshold["value"] != 0.5:
        places[f"at {threshold['value']:.3g}"] = ("metrics", "chosen")
    lines = []
    for name, (which, style) in places.items():
        at = threshold[which][x]["value"], threshold[which][y]["value"]
        if None not in at:
            lines.append(Line(name, [at], style))
    return lines


def _pairs(points: list[list[float]]) -> list[tuple[float, float]]:
    return [(a, b) for a, b in points]


def _value(number: Mapping[str, Any]) -> str:
    return "undefined" if number["value"] is None else f"{number['value']:.3f}"
