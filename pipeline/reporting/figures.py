"""Figures as inline SVG. Text is escaped here; colours follow the page's light or dark mode."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from pipeline.reporting.words import clean, short

_W, _H = 480, 250
"""So narrow that letters can still be read where a telephone or a column scales a figure down."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 68, 16, 14, 46
_LETTER, _BESIDE, _MOST_LEFT = 8, 22, 264
"""Pixels of a letter of a label on a telephone, of what is left free beside it, and of both at the most."""
_ROOM = 0.06
"""Share of the range of the points that is left free above and below them."""


_APART = {"dots": ("dot", 3), "faint": ("faint", 3), "start": ("start", 7), "chosen": ("chosen", 7)}
"""Styles whose points are not joined: the class of a point, and its radius."""


@dataclass(frozen=True)
class Line:
    """A line of points; `style` is a class of the page: a, b, c, or one of those whose points are not joined."""

    name: str
    points: Sequence[tuple[float, float]]
    style: str


@dataclass(frozen=True)
class Scale:
    """Numbers of [low, high] to pixels of [start, end], evenly or by their logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = (value - low) / ((high - low) or 1.0)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, count: int = 5) -> list[float]:
        """Return about `count` round numbers in the range; for logarithms 1, 2, 5 of each decade where enough."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            round_ones = [m * 10.0**d for d in decades for m in (1, 2, 5) if self.low <= m * 10.0**d <= self.high]
            if len(round_ones) >= 3:
                return round_ones
        span = (self.high - self.low) or 1.0
        raw = span / count
        power = 10.0 ** np.floor(np.log10(raw))
        step = float(next(m * power for m in (1, 2, 5, 10) if m * power >= raw))
        first = np.ceil(self.low / step - 1e-9) * step
        return [float(v) + 0.0 for v in np.arange(first, self.high + step * 1e-6, step)]


def tick_words(value: float) -> str:
    """Return a number beside an axis: three digits, thousands and millions as k, M and G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * size or (letter != "k" and abs(value) >= size):
            return f"{value / size:.3g} {letter}"
    return f"{value:.4g}" if abs(value) >= 1000 else f"{value:.3g}"


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """Return ticks in words, with more digits where neighbours would look the same."""
    texts = [tick_words(tick) for tick in ticks]
    return texts if len(set(texts)) == len(texts) else [f"{tick:.6g}" for tick in ticks]


def line_chart(
    lines: Sequence[Line],
    labels: tuple[str, str],
    summary: str,
    *,
    zero: bool = False,
    log: bool = False,
    log_x: bool = False,
) -> Markup:
    """Return a chart of several lines; `labels` are those of x and y, `summary` is its text alternative.

    On a logarithmic scale, values of 0 stand at the foot; x is logarithmic only where all are above 0.
    """
    points = [p for line in lines for p in line.points if np.isfinite(p[1])]
    if not points:
        return Markup("<p>no points</p>")
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    x = Scale(min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1, _LEFT, _W - _RIGHT)
    if log_x and min(xs) > 0:
        x = Scale(*_around(xs), _LEFT, _W - _RIGHT, log=True)
    log = log and max(ys) > 0
    if log:
        y = Scale(*_around([v for v in ys if v > 0]), _H - _BOTTOM, _TOP, log=True)
    else:
        pad = _ROOM * ((max(ys) - min(ys)) or 1.0)
        y = Scale(0.0 if zero else min(ys) - pad, max(ys) + pad, _H - _BOTTOM, _TOP)
    parts = [_axes(x, y, *labels)]
    for line in lines:
        at = [(x(a), y(max(b, y.low) if log else b)) for a, b in line.points if np.isfinite(b)]
        mark, radius = _APART.get(line.style, ("dot", 3))
        if line.style not in _APART:
            path = " ".join(f"{'L' if i else 'M'}{a} {b}" for i, (a, b) in enumerate(at))
            parts.append(Markup('<path class="line {}" d="{}"/>').format(line.style, path))
        if line.style in _APART or len(at) < 3:
            parts += [Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>').format(mark, a, b, radius) for a, b in at]
    return drawing(_W, _H, parts, summary, titled=True) + _legend(lines)


def forest(
    rows: Sequence[tuple[str, float, float | None, float | None]],
    middle: float | None,
    summary: str,
    *,
    width: int = _W,
    titled: bool = True,
) -> Markup:
    """Return values with intervals, one row each: (label, value, low, high); a vertical line at `middle`.

    `titled`: whether `summary` is to be read above the figure too.
    """
    known = [v for _, value, low, high in rows for v in (value, low, high) if v is not None]
    known += [] if middle is None else [middle]
    if not known:
        return Markup("<p>no values</p>")
    longest = _LETTER * max(len(label) for label, *_ in rows) + _BESIDE
    left, height = min(longest, _MOST_LEFT * width // _W), 26 * len(rows) + 34
    pad = 0.05 * ((max(known) - min(known)) or 0.1)
    x = Scale(min(known) - pad, max(known) + pad, left, width - _RIGHT)
    parts = []
    for tick in x.ticks(width // 120):
        parts.append(Markup('<line class="grid" x1="{0}" x2="{0}" y1="4" y2="{1}"/>').format(x(tick), height - 26))
        parts.append(Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            x(tick), height - 8, tick_words(tick)))  # fmt: skip
    if middle is not None:
        parts.append(Markup('<line class="middle" x1="{0}" x2="{0}" y1="4" y2="{1}"/>').format(x(middle), height - 26))
    for i, (label, value, low, high) in enumerate(rows):
        y = 20 + 26 * i
        parts.append(Markup('<text class="label" x="{}" y="{}" text-anchor="end">{}</text>').format(
            left - 10, y + 4, clean(short(label, (left - _BESIDE) // _LETTER))))  # fmt: skip
        if low is not None and high is not None:
            parts.append(Markup('<line class="span" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x(low), x(high), y, y))
        shape = (
            '<circle class="dot" cx="{}" cy="{}" r="4.5"/>'
            if low is not None
            else '<circle class="ring" cx="{}" cy="{}" r="4"/>'
        )
        parts.append(Markup(shape).format(x(value), y))
    return drawing(width, height, parts, summary, titled=titled)


def _axes(x: Scale, y: Scale, x_label: str, y_label: str) -> Markup:
    parts = []
    for tick, words in zip(y.ticks(), tick_texts(y.ticks()), strict=True):
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x.start, x.end, y(tick), y(tick))
        )
        parts.append(Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>').format(
            x.start - 8, y(tick) + 4, words))  # fmt: skip
    parts += [
        Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(x(tick), _H - 24, words)
        for tick, words in zip(x.ticks(6), tick_texts(x.ticks(6)), strict=True)
    ]
    middle = (x.start + x.end) / 2
    parts.append(
        Markup('<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>').format(middle, _H - 6, x_label)
    )
    turned = '<text class="axis" x="12" y="{0}" text-anchor="middle" transform="rotate(-90 12 {0})">{1}</text>'
    parts.append(Markup(turned).format((y.start + y.end) / 2, y_label))
    return Markup("").join(parts)


def _around(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of a logarithmic scale that holds values above 0, with some room."""
    room = max(1.02, (max(values) / min(values)) ** _ROOM)
    return min(values) / room, max(values) * room


def drawing(width: int, height: int, parts: Sequence[Markup], summary: str, *, titled: bool = False) -> Markup:
    """Return parts as one SVG with its text alternative; `titled`: which stands above it too."""
    drawn = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, clean(summary), Markup("").join(parts)
    )
    return finding(summary) + drawn if titled else drawn


def finding(words: str) -> Markup:
    """Return what a figure shows, to stand above it; a reader that is read to has it from the figure."""
    return Markup('<p class="finding" aria-hidden="true">{}</p>').format(clean(capital(words)))


def capital(words: str) -> str:
    """Return words with a large first letter, but for the name of a column or setting."""
    return words if "_" in words.partition(" ")[0] else words[:1].upper() + words[1:]


def _legend(lines: Sequence[Line]) -> Markup:
    items = [
        Markup('<span class="key {}">{}</span>').format(line.style, escape(clean(line.name)))
        for line in lines
        if line.name
    ]
    return Markup('<p class="legend">{}</p>').format(Markup(" ").join(items)) if items else Markup("")
