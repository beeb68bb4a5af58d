"""Small charts side by side on one scale: how the headline metric falls with each corruption."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from pipeline.reporting.figures import Scale, finding, tick_words
from pipeline.reporting.words import clean, metric_words, short

_WIDTH, _HEIGHT = 216, 156
_LEFT, _RIGHT, _TOP, _FOOT = 44, 6, 24, 26
"""Pixels of one chart."""


@dataclass(frozen=True)
class Panel:
    """One chart: values with their intervals at whole numbers from 0 on, None where undefined."""

    title: str
    values: Sequence[tuple[float, float | None, float | None] | None]


def panels_figure(panels: Sequence[Panel], x_label: str, summary: str) -> Markup:
    """Return the charts, as many in a row as there is room for, all on the scale of all.

    The dashed line is where the first value of a chart lies.
    """
    known = [v for panel in panels for triple in panel.values if triple for v in triple if v is not None]
    if not known:
        return Markup("<p>no points</p>")
    low, high = min(known), max(known)
    pad = 0.06 * ((high - low) or 0.1)
    y = Scale(low - pad, high + pad, _HEIGHT - _FOOT, _TOP)
    drawn = Markup("").join(_panel(panel, Scale(-0.3, len(panel.values) - 0.7, _LEFT, _WIDTH - _RIGHT), y)
                            for panel in panels)  # fmt: skip
    whole = '{}<div class="panels" role="group" aria-label="{}">{}</div><p class="legend">{}</p>'
    return Markup(whole).format(finding(summary), clean(summary), drawn, clean(x_label))


def _panel(panel: Panel, x: Scale, y: Scale) -> Markup:
    parts = [Markup('<text class="label" x="{}" y="13">{}</text>').format(_LEFT - 20, clean(short(panel.title, 24)))]
    for tick in y.ticks(5):
        grid = Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>')
        parts.append(grid.format(round(x.start, 1), round(x.end, 1), y(tick), y(tick)))
        parts.append(Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>').format(
            round(x.start - 6, 1), y(tick) + 4, tick_words(tick)))  # fmt: skip
    parts += [
        Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(x(k), y.start + 15, k)
        for k in range(len(panel.values))
    ]
    shown = [(x(k), triple) for k, triple in enumerate(panel.values) if triple]
    if panel.values[0] is not None:
        level = y(panel.values[0][0])
        parts.append(Markup('<line class="middle" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            round(x.start, 1), round(x.end, 1), level, level))  # fmt: skip
    for at, (_, low, high) in shown:
        if low is not None and high is not None:
            parts.append(Markup('<line class="span" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(at, at, y(low), y(high)))
    path = " ".join(f"{'L' if i else 'M'}{at} {y(value)}" for i, (at, (value, _, _)) in enumerate(shown))
    parts.append(Markup('<path class="line a" d="{}"/>').format(path))
    dot = Markup('<circle class="dot" cx="{}" cy="{}" r="2.2"/>')
    parts += [dot.format(at, y(value)) for at, (value, _, _) in shown]
    ends = f": {shown[0][1][0]:.3f} to {shown[-1][1][0]:.3f}" if shown else ""
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _WIDTH, _HEIGHT, clean(panel.title + ends), Markup("").join(parts)
    )


def robustness_figure(robustness: Mapping[str, Any]) -> Markup:
    """The headline metric of the same rows at severities 0 (unchanged) to 5, one chart per corruption."""
    found = robustness["degradations"]
    panels = [Panel(d["corruption"].replace("_", " "), [_triple(n) for n in (robustness["clean"], *d["quality"])])
              for d in found]  # fmt: skip
    ends = sorted((d["quality"][-1]["value"], d["corruption"].replace("_", " ")) for d in found
                  if d["quality"][-1]["value"] is not None)  # fmt: skip
    clean_value, metric = robustness["clean"]["value"], metric_words(robustness["metric"])
    summary = f"{metric} against severity under {len(found)} corruptions"
    if ends and clean_value is not None:
        (low, worst), (high, best) = ends[0], ends[-1]
        summary += f": from {clean_value:.3f} unchanged to {low:.3f} ({worst}) and {high:.3f} ({best}) at severity 5"
    return panels_figure(panels, f"severity (0: unchanged), {metric} upwards", summary)


def _triple(number: Mapping[str, Any]) -> tuple[float, float | None, float | None] | None:
    return None if number["value"] is None else (number["value"], number["ci_low"], number["ci_high"])
