"""The numbers of a figure as a table below it, for whoever cannot see it or wants to read them off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pipeline.reporting.caps import POINTS, evenly, showing
from pipeline.reporting.figures import tick_words
from pipeline.reporting.words import clean, metric_words, number_span

_BLOCKS = 8
"""Blocks of a map on each side."""
_STEPS = 40
"""Of a series."""


@dataclass(frozen=True, slots=True)
class At:
    """A cell with the number that a JSON pointer names."""

    pointer: str
    digits: int = 4


Cell = At | str | int | float
"""Floats are what is drawn and not a number of the report by itself, such as means of pixels."""


def table(report: Mapping[str, Any], heads: Sequence[str], rows: Sequence[Sequence[Cell]], said: str = "") -> Markup:
    """Return a folded table; the first cell of a row is its head, `said` its caption."""
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(clean(name)) for name in heads)
    lines = [
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            _shown(report, first),
            Markup("").join(Markup('<td class="r">{}</td>').format(_shown(report, c)) for c in rest),
        )
        for first, *rest in rows
    ]
    caption = Markup("<caption>{}</caption>").format(clean(said)) if said else Markup("")
    return Markup(
        '<details class="numbers"><summary>Numbers</summary><div class="scroll"><table>{}<thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div></details>"
    ).format(caption, head, Markup("\n").join(lines))


def learning_numbers(report: Mapping[str, Any]) -> Markup:
    """Return what learning_figure draws."""
    model = report["model"]
    rows = [(tick_words(at), At(f"/model/epochs/{i}/val_score"), At(f"/model/epochs/{i}/val_quality"))
            for i, at in enumerate(passes_of(model))]  # fmt: skip
    return table(report, ("epoch", metric_words(model["score"]), metric_words(model["quality"])), rows)


def passes_of(model: Mapping[str, Any]) -> list[float]:
    """Return the passes at which the winner's training was looked at; seconds may have ended it within one."""
    found = [float(e["epoch"]) for e in model["epochs"]]
    if model["seeds"] and len(found) > 1 and found[-1] == found[-2]:
        found[-1] = max(found[-1], model["seeds"][0]["passes"])
    return found


def reliability_numbers(report: Mapping[str, Any]) -> Markup:
    """Return what reliability_figure draws."""
    places = [("this model", "/evaluate/reliability", report["evaluate"]["reliability"])]
    if tempering := report["evaluate"]["tempering"]:
        places.append(("before the temperature", "/evaluate/tempering/reliability", tempering["reliability"]))
    rows = [
        (name, At(f"{at}/{i}/confidence", 3), At(f"{at}/{i}/accuracy", 3), At(f"{at}/{i}/accuracy/n"))
        for name, at, bins in places
        for i in range(len(bins))
    ]
    return table(report, ("line", "mean confidence of a bin", "accuracy", "rows"), rows)


def curve_numbers(report: Mapping[str, Any], name: str, heads: Sequence[str]) -> Markup:
    """Return what roc_figure ("roc") and precision_recall_figure ("precision_recall") draw of all thresholds."""
    points = evenly(report["evaluate"]["threshold"][name], POINTS)
    at = f"/evaluate/threshold/{name}"
    rows = [(At(f"{at}/{i}/0", 3), At(f"{at}/{i}/1", 3)) for i, _ in points]
    return table(report, heads, rows, showing(len(points), len(report["evaluate"]["threshold"][name]), "points"))


def points_numbers(report: Mapping[str, Any]) -> Markup:
    """Return what points_figure draws."""
    every = report["evaluate"]["points"]
    points = evenly(every, POINTS)
    rows = [(At(f"/evaluate/points/{i}/0", 3), At(f"/evaluate/points/{i}/1", 3)) for i, _ in points]
    return table(report, ("true", "predicted"), rows, showing(len(points), len(every), "points"))


def deletion_numbers(report: Mapping[str, Any], which: int) -> Markup:
    """Return what deletion_figure draws of a method."""
    at, method = f"/interpret/methods/{which}", report["interpret"]["methods"][which]
    steps = max(1, len(method["deletion_curve"]) - 1)
    drawn = {"deletion_curve": "removed, most important first", "insertion_curve": "shown, most important first",
             "random_curve": "removed in random order"}  # fmt: skip
    drawn = {curve: words for curve, words in drawn.items() if method[curve]}
    rows: list[list[Cell]] = [[f"{100 * i / steps:.0f}", *[At(f"{at}/{curve}/{i}", 3) for curve in drawn]]
            for i in range(len(method["deletion_curve"]))]  # fmt: skip
    return table(report, ("% of the input removed or shown", *drawn.values()), rows)


def importance_numbers(report: Mapping[str, Any], method: str, most: int = 12) -> Markup:
    """Return what importance_figure draws of a method."""
    items = report["interpret"]["importance"][method]
    ranked = sorted(enumerate(items), key=lambda one: -(one[1]["value"]["value"] or 0))[:most]
    at = f"/interpret/importance/{method}"
    rows = [(item["name"], At(f"{at}/{i}/value"), At(f"{at}/{i}/value/n")) for i, item in ranked]
    said = showing(len(rows), len(items), "inputs, the largest")
    return table(report, ("input", "mean absolute contribution", "rows"), rows, said)


def effect_numbers(report: Mapping[str, Any], which: int) -> Markup:
    """Return what effect_figure draws of a column."""
    at, points = f"/interpret/effects/{which}/points", report["interpret"]["effects"][which]["points"]
    rows = [tuple(At(f"{at}/{i}/{key}", 3) for key in ("at", "value", "low", "high", "rows"))
            for i in range(len(points))]  # fmt: skip
    return table(report, ("at", "mean effect", "lower limit", "upper limit", "rows up to here"), rows)


def gallery_numbers(report: Mapping[str, Any], which: int, methods: Sequence[str]) -> Markup:
    """Return the contributions of `methods` to one explained prediction, in the units of the network's output.

    Images: means of blocks of pixels; series: some of the steps; rows of tables: the columns that are drawn. Words of
    texts stand on the page themselves.
    """
    gallery = report["interpret"]["gallery"]
    row = gallery["rows"][which]
    shown = {name: row["maps"][name] for name in methods}
    maps = {name: np.asarray(m["values"], dtype=float) / 127 * m["scale"] for name, m in shown.items()}
    if gallery["kind"] == "table":
        return _column_numbers(report, gallery["columns"], next(iter(maps.items())))
    if gallery["kind"] == "text" or "input" not in row:
        return Markup("")
    if gallery["kind"] == "image":
        return _block_numbers(report, np.asarray(row["input"], dtype=float).mean(axis=0), maps)
    series = np.array([[np.nan if v is None else v for v in channel] for channel in row["input"]])
    return _step_numbers(report, series, next(iter(maps.items())))


def _column_numbers(report: Mapping[str, Any], names: Sequence[str], of: tuple[str, NDArray[Any]]) -> Markup:
    ranked = sorted(zip(names, of[1].tolist(), strict=True), key=lambda pair: -abs(pair[1]))[:8]
    return table(
        report, ("column", of[0].replace("_", " ")), ranked, showing(len(ranked), len(names), "columns, the largest")
    )


def _block_numbers(report: Mapping[str, Any], shown: NDArray[Any], maps: Mapping[str, NDArray[Any]]) -> Markup:
    height, width = shown.shape
    down, across = -(-height // _BLOCKS), -(-width // _BLOCKS)
    rows: list[list[Cell]] = []
    for top in range(0, height, down):
        for left in range(0, width, across):
            block = (slice(top, top + down), slice(left, left + across))
            place = f"{_span(top, down, height)}, {_span(left, across, width)}"
            rows.append([place, *(float(values[block].mean()) for values in (shown, *maps.values()))])
    said = "" if down == across == 1 else f"means of blocks of {down} × {across} pixels"
    heads = ("pixel: row, column", "brightness", *(name.replace("_", " ") for name in maps))
    return table(report, heads, rows, said)


def _step_numbers(report: Mapping[str, Any], shown: NDArray[Any], of: tuple[str, NDArray[Any]]) -> Markup:
    name, values = of
    channels = sorted(sorted(range(len(shown)), key=lambda c: -float(np.abs(values[c]).sum()))[:3])
    steps = [t for t, _ in evenly(range(shown.shape[1]), _STEPS)]
    names = report["data"]["inputs"]["channels"]
    heads = ("step", *(f"{names[c]}{end}" for c in channels for end in ("", f": {name.replace('_', ' ')}")))
    rows: list[list[Cell]] = [
        [str(t + 1), *(float(v) for c in channels for v in (shown[c, t], values[c, t]))] for t in steps
    ]
    return table(report, heads, rows, showing(len(steps), shown.shape[1], "steps"))


def _span(start: int, size: int, end: int) -> str:
    last = min(start + size, end)
    return f"{start + 1}" if last == start + 1 else f"{start + 1}–{last}"


def _shown(report: Mapping[str, Any], cell: Cell) -> Markup | str:
    if isinstance(cell, At):
        return number_span(report, cell.pointer, cell.digits)
    if isinstance(cell, float):
        return "–" if np.isnan(cell) else f"{cell:.3g}"
    return clean(cell)
