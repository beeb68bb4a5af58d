"""report.json to one self-contained page: no scripts, no network, everything foreign escaped."""

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pipeline.core.bounds import amount_words
from pipeline.core.store import dashboard_command
from pipeline.reporting.caps import (
    DOTS,
    MATRIX,
    confused_pairs,
    evenly,
    least,
    showing,
    trials_shown,
)
from pipeline.reporting.explaining import deletion_figure, effect_figure, importance_figure, overlay, scored_word
from pipeline.reporting.figures import Line, forest, line_chart
from pipeline.reporting.glossary import Glossary
from pipeline.reporting.network import network_figure
from pipeline.reporting.numbers import (
    curve_numbers,
    deletion_numbers,
    effect_numbers,
    gallery_numbers,
    importance_numbers,
    learning_numbers,
    passes_of,
    points_numbers,
    reliability_numbers,
)
from pipeline.reporting.panels import robustness_figure
from pipeline.reporting.pictures import picture, series_figure
from pipeline.reporting.printed import for_print
from pipeline.reporting.reliance import precision_recall_figure, reliability_figure, roc_figure
from pipeline.reporting.scope import SCOPE
from pipeline.reporting.words import clean, counted, metric_words, number_span, whole

_TEMPLATES = Path(__file__).parent / "templates"
_SCROLLS = '<div class="scroll">'
_REACHED = '<div class="scroll" tabindex="0" role="group" aria-label="Scrolls sideways on a narrow page">'
"""What scrolls sideways has to be reached by keyboard too (WCAG 2.1.1)."""
_OF_REPORT = (
    curve_numbers,
    deletion_numbers,
    effect_numbers,
    gallery_numbers,
    importance_numbers,
    learning_numbers,
    points_numbers,
    reliability_numbers,
)


def render(report: Mapping[str, Any]) -> str:
    """Return the page; it reads nothing but `report`."""
    glossary = Glossary()
    own: dict[str, Any] = {function.__name__: partial(function, report) for function in _OF_REPORT}
    return page_of(
        "report.html.j2", report, own | {"scope_words": SCOPE, "term": glossary.term, "glossary": glossary.entries}
    )


def page_of(template: str, report: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Return what a template makes of a document; `own` is what it can call beside the figures of all."""
    page = _environment().get_template(template).render(report=report, number=partial(number_span, report), **own)
    name = template.partition(".")[0] if "partial" not in report else "partial"
    return for_print(page.replace(_SCROLLS, _REACHED), f"reports/{name}.json")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            value if isinstance(value, Markup) else clean(value) if isinstance(value, str) else value
        ),
    )
    environment.globals |= {
        "search_figure": search_figure,
        "front_figure": front_figure,
        "network_figure": network_figure,
        "learning_figure": learning_figure,
        "curse_figure": curse_figure,
        "reliability_figure": reliability_figure,
        "roc_figure": roc_figure,
        "precision_recall_figure": precision_recall_figure,
        "deletion_figure": deletion_figure,
        "points_figure": points_figure,
        "steps_figure": steps_figure,
        "importance_figure": importance_figure,
        "group_figure": group_figure,
        "group_roc_figure": group_roc_figure,
        "row_figure": row_figure,
        "robustness_figure": robustness_figure,
        "series_figure": series_figure,
        "scored_word": scored_word,
        "overlay": overlay,
        "effect_figure": effect_figure,
        "picture": picture,
        "css": Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8")),
    }
    environment.globals |= {
        "trials_shown": trials_shown,
        "least": least,
        "confused_pairs": confused_pairs,
        "showing": showing,
        "most_classes": MATRIX,
        "dashboard_command": dashboard_command,
    }
    environment.filters["metric"] = metric_words
    environment.filters["whole"] = whole
    environment.filters["words"] = lambda text: str(text).replace("_", " ")
    return environment


def search_figure(search: Mapping[str, Any]) -> Markup:
    """Score of each trial and the best so far, against training seconds."""
    metric = metric_words(search["metric"])
    seconds = 0.0
    dots: list[tuple[float, float]] = []
    best: list[tuple[float, float]] = []
    for trial in search["trials"]:
        seconds += trial["seconds"]
        if trial["score"] is not None:
            dots.append((seconds, trial["score"]))
        if trial["state"] == "complete":
            best.append((seconds, min(trial["score"], best[-1][1] if best else float("inf"))))
    steps = [point for i, b in enumerate(best) for point in ([(b[0], best[i - 1][1])] if i else []) + [b]]
    if steps and seconds > steps[-1][0]:
        steps.append((seconds, steps[-1][1]))
    summary = f"{counted(len(dots), 'trial')} in {counted(round(seconds), 'training second')}"
    if best:
        summary += f"; best validation {metric} {best[-1][1]:.4f}"
    drawn = [dot for _, dot in evenly(dots, DOTS)]
    said = showing(len(drawn), len(dots), "trials")
    lines = [Line("a trial where it ended" + (f" ({said})" if said else ""), drawn, "dots")]
    lines.append(Line("best complete trial so far", steps, "a"))
    return line_chart(lines, ("training seconds", f"validation {metric}"), summary, log=True)


def front_figure(search: Mapping[str, Any], axis: int) -> Markup:
    """Score of the finished trials against another objective, the front, and the trial that is handed on."""
    front, name = search["front"], search["front"]["objectives"][axis]
    points = {t["number"]: (_amount(t, name), t["score"]) for t in search["trials"] if t["state"] == "complete"}
    points = {number: at for number, at in points.items() if None not in at}
    ahead = sorted(points[member["number"]] for member in front["members"])
    steps = [point for i, p in enumerate(ahead) for point in ([(p[0], ahead[i - 1][1])] if i else []) + [p]]
    joined = [Line("front", steps, "a")] if len(front["objectives"]) == 2 else []  # of three, a line would tell nothing
    named = {"handed on": (front["best"], "chosen"), "first default": (front["default"], "start")}
    words, metric = metric_words(name), metric_words(front["metric"])
    summary = (
        f"{counted(len(points), 'finished trial')}, {len(ahead)} of them on the front: "
        f"from {amount_words(ahead[0][0])} {words} with {metric} {ahead[0][1]:.4f} "
        f"to {amount_words(ahead[-1][0])} with {ahead[-1][1]:.4f}"
    )
    if front["best"] in points:
        summary += f"; handed on: {amount_words(points[front['best']][0])} with {points[front['best']][1]:.4f}"
    lines = [
        Line("a finished trial", list(points.values()), "faint"),
        *joined,
        Line("" if joined else "of the front", ahead, "dots"),
        *(Line(label, [points[n]], style) for label, (n, style) in named.items() if n in points),
    ]
    return line_chart(lines, (words, f"validation {metric}"), summary, log=True, log_x=True)


def _amount(trial: Mapping[str, Any], name: str) -> Any:
    return trial["objectives"].get(name, trial.get(name))


def learning_figure(model: Mapping[str, Any]) -> Markup:
    """What the search minimises, and one minus the quality beside it, over the epochs of the winner."""
    score, quality = metric_words(model["score"]), metric_words(model["quality"])
    passes = passes_of(model)
    losses = [(at, e["val_score"]) for at, e in zip(passes, model["epochs"], strict=True)]
    wrong = [(at, 1 - e["val_quality"]) for at, e in zip(passes, model["epochs"], strict=True)]
    summary = f"validation {score} ends at {losses[-1][1]:.4f}, {quality} at {1 - wrong[-1][1]:.4f}"
    lines = [Line(score, losses, "a")]
    if quality != "R²":
        lines.append(Line(f"1 - {quality}", wrong, "b"))
    return line_chart(lines, ("epoch", "on validation rows"), summary, log=True)


def curse_figure(curse: Mapping[str, Any], of: str) -> Markup:
    """The winner's score or quality as each set of rows shows it; the line is what the search saw."""
    rows = [
        _row(point["label"], point[of]) for point in curse["points"] if point[of] and point[of]["value"] is not None
    ]
    name = metric_words(curse["metric" if of == "score" else "quality"])
    seen = [row for row in rows if row[0] == curse["points"][0]["label"]]
    test = [row for row in rows if row[0] == curse["points"][-1]["label"]]
    ends = "".join(f"; {words} {row[1]:.4f}" for words, found in (("search", seen), ("test", test)) for row in found)
    return forest(rows, seen[0][1] if seen else None, f"{name} of the winner on {len(rows)} sets of rows{ends}")


def points_figure(points: list[list[float]], name: str) -> Markup:
    """True against predicted numbers, and where they would be equal."""
    low, high = min(min(p) for p in points), max(max(p) for p in points)
    lines = [Line("equal", [(low, low), (high, high)], "c"), Line("a test row", [(t, p) for t, p in points], "dots")]
    return line_chart(lines, (f"true {name}", "predicted"), f"{len(points)} test rows, predicted against true")


def steps_figure(steps: list[Mapping[str, Any]]) -> Markup:
    """Error by step ahead, beside repeating the last value."""
    ours = [(s["step"], s["metrics"]["mae"]["value"]) for s in steps]
    last = [(s["step"], s["last_value_mae"]) for s in steps]
    lines = [Line("this model", ours, "a"), Line("last value", last, "c")]
    summary = f"mean absolute error from {ours[0][1]:.3f} one step ahead to {ours[-1][1]:.3f} at the end"
    return line_chart(lines, ("steps ahead", "mean absolute error"), summary, zero=True)


def group_figure(item: Mapping[str, Any]) -> Markup:
    """Rate of each group with its interval; the line is the rate of all rows."""
    rows = [_row(g["group"], g["rate"]) for g in item["groups"] if g["rate"]["value"] is not None]
    return forest(
        rows,
        item["overall"]["value"],
        f"{metric_words(item['metric'])} by {item['feature']}: {metric_words(item['verdict'])}",
        titled=False,
    )


def group_roc_figure(groups: list[Mapping[str, Any]]) -> Markup:
    """ROC curves of the groups, of the three largest where there are more."""
    shown = sorted(groups, key=lambda s: -s["brier"]["n"])[:3]
    lines = [Line(s["group"], s["roc"], style) for s, style in zip(shown, "abc", strict=False)]
    areas = [s["auroc"]["value"] for s in shown if s["auroc"]["value"] is not None]
    said = f", areas from {min(areas):.3f} to {max(areas):.3f}" if areas else ""
    return line_chart(lines, ("false positive rate", "true positive rate"), f"ROC curves of {len(shown)} groups{said}")


def row_figure(columns: list[str], values: list[int], scale: float, raw: list[str] | None = None) -> Markup:
    """Contributions of the columns to one prediction, largest first; with `raw`, what the row has there."""
    named = columns if raw is None else [f"{name} = {value}" for name, value in zip(columns, raw, strict=True)]
    pairs = sorted(zip(named, values, strict=True), key=lambda pair: -abs(pair[1]))[:8]
    rows = [(name, value / 127 * scale, 0.0, value / 127 * scale) for name, value in pairs]
    drawn = [(n, v, min(a, b), max(a, b)) for n, v, a, b in rows]
    return forest(drawn, 0.0, f"largest contribution: {pairs[0][0]}", width=300, titled=False)


def _row(label: str, number: Mapping[str, Any]) -> tuple[str, float, float | None, float | None]:
    return label, number["value"], number["ci_low"], number["ci_high"]
