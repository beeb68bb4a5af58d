"""report.json to one self-contained page: no scripts, no network, everything foreign escaped."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pipeline.reporting.figures import Line, forest, line_chart, marked_word, picture, series_figure, signed_map
from pipeline.reporting.words import clean, number_span

_TEMPLATES = Path(__file__).parent / "templates"


def render(report: Mapping[str, Any]) -> str:
    """Return the page; it reads nothing but `report`."""
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
        "number": partial(number_span, report),
        "search_figure": search_figure,
        "learning_figure": learning_figure,
        "reliability_figure": reliability_figure,
        "deletion_figure": deletion_figure,
        "importance_figure": importance_figure,
        "group_figure": group_figure,
        "row_figure": row_figure,
        "series_figure": series_figure,
        "marked_word": marked_word,
        "picture": picture,
        "signed_map": signed_map,
        "css": Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8")),
    }
    environment.filters["words"] = lambda text: str(text).replace("_", " ")
    return environment.get_template("report.html.j2").render(report=report)


def search_figure(search: Mapping[str, Any]) -> Markup:
    """Score of each trial and the best so far, against training seconds."""
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
    summary = f"{len(dots)} trials in {seconds:.0f} seconds; best validation log loss {best[-1][1]:.4f}"
    lines = [Line("a trial where it ended", dots, "dots"), Line("best complete trial so far", steps, "a")]
    return line_chart(lines, ("training seconds", "validation log loss"), summary, log=True)


def learning_figure(model: Mapping[str, Any]) -> Markup:
    """Validation log loss and accuracy over the epochs of the winner."""
    losses = [(e["epoch"], e["val_log_loss"]) for e in model["epochs"]]
    wrong = [(e["epoch"], 1 - e["val_accuracy"]) for e in model["epochs"]]
    summary = f"validation log loss ends at {losses[-1][1]:.4f}, share of errors at {wrong[-1][1]:.4f}"
    lines = [Line("log loss", losses, "a"), Line("share of errors", wrong, "b")]
    return line_chart(lines, ("epoch", "on validation rows"), summary, log=True)


def reliability_figure(bins: list[Mapping[str, Any]]) -> Markup:
    """Accuracy against stated confidence."""
    points = [(b["confidence"], b["accuracy"]["value"]) for b in bins]
    low = min(min(p) for p in points)
    lines = [
        Line("what a calibrated model shows", [(low, low), (1.0, 1.0)], "c"),
        Line("this model", points, "a"),
        Line("", points, "dots"),
    ]
    summary = f"accuracy against confidence in {len(points)} bins"
    return line_chart(lines, ("mean confidence of a bin", "accuracy"), summary)


def deletion_figure(check: Mapping[str, Any]) -> Markup:
    """Probability while input is removed, most important first, against random order."""
    steps = len(check["deletion_curve"]) - 1
    ours = [(100 * i / steps, v) for i, v in enumerate(check["deletion_curve"])]
    random = [(100 * i / steps, v) for i, v in enumerate(check["random_curve"])]
    lines = [Line("most important first", ours, "a"), Line("random order", random, "c")]
    summary = f"{check['method']}: area gained over random order {check['deletion_gain']['value']:.3f}"
    return line_chart(lines, ("% of the input removed", "probability of the class"), summary, zero=True)


def importance_figure(items: list[Mapping[str, Any]]) -> Markup:
    """Mean absolute contribution, largest first."""
    largest = sorted(items, key=lambda item: -(item["value"]["value"] or 0))[:12]
    rows = [_row(item["name"], item["value"]) for item in largest]
    return forest(rows, None, f"largest mean contribution: {largest[0]['name']}")


def group_figure(item: Mapping[str, Any]) -> Markup:
    """Rate of each group with its interval; the line is the rate of all rows."""
    rows = [_row(g["group"], g["rate"]) for g in item["groups"] if g["rate"]["value"] is not None]
    return forest(rows, item["overall"]["value"], f"{item['metric']} by {item['feature']}: {item['verdict']}")


def row_figure(columns: list[str], values: list[int], scale: float) -> Markup:
    """Contributions of the columns to one prediction, largest first."""
    pairs = sorted(zip(columns, values, strict=True), key=lambda pair: -abs(pair[1]))[:8]
    rows = [(name, value / 127 * scale, 0.0, value / 127 * scale) for name, value in pairs]
    drawn = [(n, v, min(a, b), max(a, b)) for n, v, a, b in rows]
    return forest(drawn, 0.0, f"largest contribution: {pairs[0][0]}", size=(300, 112))


def _row(label: str, number: Mapping[str, Any]) -> tuple[str, float, float | None, float | None]:
    return label, number["value"], number["ci_low"], number["ci_high"]
