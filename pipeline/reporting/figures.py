"""Figures as inline SVG and PNG. Text is escaped here; colours follow the page's light or dark mode."""

import base64
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from pipeline.reporting.words import clean, short

_W, _H = 640, 300
_FAINT = 6
"""Contributions below this (of 127) are not drawn."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 16, 14, 42


_PIXELS = 256
"""Of a picture on each side; of larger ones every k-th pixel is shown."""
_STRIPS = 180
"""Bars of a strip below a series; longer ones are drawn as means of neighbours."""


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
        x = Scale(min(xs) / 1.2, max(xs) * 1.2, _LEFT, _W - _RIGHT, log=True)
    log = log and max(ys) > 0
    if log:
        y = Scale(min(v for v in ys if v > 0) / 1.2, max(ys) * 1.2, _H - _BOTTOM, _TOP, log=True)
    else:
        pad = 0.04 * ((max(ys) - min(ys)) or 1.0)
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
    return _figure(_W, _H, parts, summary) + _legend(lines)


def forest(
    rows: Sequence[tuple[str, float, float | None, float | None]],
    middle: float | None,
    summary: str,
    *,
    size: tuple[int, int] = (_W, 190),
) -> Markup:
    """Return values with intervals, one row each: (label, value, low, high); a vertical line at `middle`.

    `size` is the width of the figure and of its labels.
    """
    known = [v for _, value, low, high in rows for v in (value, low, high) if v is not None]
    known += [] if middle is None else [middle]
    if not known:
        return Markup("<p>no values</p>")
    (width, left), height = size, 26 * len(rows) + 34
    pad = 0.05 * ((max(known) - min(known)) or 0.1)
    x = Scale(min(known) - pad, max(known) + pad, left, width - _RIGHT)
    parts = []
    for tick in x.ticks(max(2, (width - left) // 90)):
        parts.append(Markup('<line class="grid" x1="{0}" x2="{0}" y1="4" y2="{1}"/>').format(x(tick), height - 26))
        parts.append(Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            x(tick), height - 8, tick_words(tick)))  # fmt: skip
    if middle is not None:
        parts.append(Markup('<line class="middle" x1="{0}" x2="{0}" y1="4" y2="{1}"/>').format(x(middle), height - 26))
    for i, (label, value, low, high) in enumerate(rows):
        y = 20 + 26 * i
        parts.append(Markup('<text class="label" x="{}" y="{}" text-anchor="end">{}</text>').format(
            left - 10, y + 4, clean(short(label, left // 8))))  # fmt: skip
        if low is not None and high is not None:
            parts.append(Markup('<line class="span" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x(low), x(high), y, y))
        shape = (
            '<circle class="dot" cx="{}" cy="{}" r="4.5"/>'
            if low is not None
            else '<circle class="ring" cx="{}" cy="{}" r="4"/>'
        )
        parts.append(Markup(shape).format(x(value), y))
    return _figure(width, height, parts, summary)


def picture(values: Sequence[Sequence[Sequence[int]]], alt: str) -> Markup:
    """Return an image (C, H, W) of bytes as an inline PNG."""
    pixels = np.asarray(values, dtype=np.uint8)
    if len(pixels) != 3:
        pixels = np.repeat(pixels[:1], 3, axis=0)
    return image(small(pixels.transpose(1, 2, 0)), alt)


def marked_word(word: str, value: int) -> Markup:
    """Return a word, shaded by its contribution (-127 to 127) and underlined by its sign."""
    if abs(value) < _FAINT:
        return Markup("{}").format(clean(word))
    side, colour = ("for", "--b-rgb") if value > 0 else ("against", "--a-rgb")
    shade = f"background:rgb(var({colour})/{round(abs(value) / 127 * 45)}%)"
    return Markup('<span class="word {}" style="{}">{}</span>').format(side, shade, clean(word))


def series_figure(
    series: Sequence[Sequence[float | None]], maps: Sequence[Sequence[int]], names: Sequence[str]
) -> Markup:
    """Return up to three channels as lines, each over a strip of its contributions."""
    width, height, strip = 360, 74, 12
    parts = []
    ranked = sorted(range(len(series)), key=lambda c: -sum(abs(v) for v in maps[c]))[:3]
    for place, c in enumerate(sorted(ranked)):
        top = place * (height + strip + 22)
        known = [(t, v) for t, v in enumerate(series[c]) if v is not None]
        if not known:
            continue
        values = [v for _, v in known]
        x = Scale(0, max(1, len(series[c]) - 1), 4, width - 4)
        y = Scale(min(values), max(values), top + height, top + 18)
        parts.append(Markup('<text class="label" x="4" y="{}">{}</text>').format(top + 12, clean(short(names[c], 40))))
        parts.append(Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{} to {}</text>').format(
            width - 4, top + 12, tick_words(min(values)), tick_words(max(values))))  # fmt: skip
        path = " ".join(f"{'L' if i else 'M'}{x(t)} {y(v)}" for i, (t, v) in enumerate(_extremes(known, 2 * width)))
        parts.append(Markup('<path class="line a" d="{}"/>').format(path))
        parts.append(_strip(maps[c], top + height + 4, strip, width))
    total = len(ranked) * (height + strip + 22)
    return _figure(width, total, parts, f"{len(ranked)} of {len(series)} channels with their contributions")


def _extremes(points: Sequence[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """Return a line's points; of many the lowest and highest of each stretch, so that no peak is lost."""
    if len(points) <= most:
        return list(points)
    size = -(-2 * len(points) // most)
    stretches = (points[i : i + size] for i in range(0, len(points), size))
    return [p for part in stretches for p in sorted({min(part, key=_height), max(part, key=_height)})]


def _height(point: tuple[int, float]) -> float:
    return point[1]


def small(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return every k-th pixel of what is too large (H, W, C)."""
    step = -(-max(pixels.shape[:2]) // _PIXELS)
    return pixels[::step, ::step]


def _strip(contributions: Sequence[int], top: float, height: float, width: float) -> Markup:
    size = -(-len(contributions) // _STRIPS)
    values = [
        round(sum(part) / len(part))
        for i in range(0, len(contributions), size)
        if (part := contributions[i : i + size])
    ]
    step = (width - 8) / max(1, len(values))
    bar = Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}" opacity="{}"/>')
    bars = [
        bar.format(
            "for-it" if value > 0 else "against-it",
            round(4 + t * step, 1), top, round(step + 0.1, 1), height, round(abs(value) / 127, 2),
        )
        for t, value in enumerate(values)
        if abs(value) >= _FAINT
    ]  # fmt: skip
    return Markup("").join(bars)


def image(pixels: NDArray[np.uint8], alt: str) -> Markup:
    """Return pixels (H, W, 3) as an inline PNG."""
    height, width, _ = pixels.shape
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    source = base64.b64encode(data).decode()
    return Markup('<img src="data:image/png;base64,{}" alt="{}">').format(source, clean(alt))


def _axes(x: Scale, y: Scale, x_label: str, y_label: str) -> Markup:
    parts = []
    for tick in y.ticks():
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x.start, x.end, y(tick), y(tick))
        )
        parts.append(Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>').format(
            x.start - 8, y(tick) + 4, tick_words(tick)))  # fmt: skip
    parts += [
        Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(x(t), _H - 24, tick_words(t))
        for t in x.ticks(6)
    ]
    middle = (x.start + x.end) / 2
    parts.append(
        Markup('<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>').format(middle, _H - 6, x_label)
    )
    turned = '<text class="axis" x="12" y="{0}" text-anchor="middle" transform="rotate(-90 12 {0})">{1}</text>'
    parts.append(Markup(turned).format((y.start + y.end) / 2, y_label))
    return Markup("").join(parts)


def _figure(width: int, height: int, parts: Sequence[Markup], summary: str) -> Markup:
    drawn = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, clean(summary), Markup("").join(parts)
    )
    return Markup('<div class="scroll">{}</div>').format(drawn) if width >= _W else drawn


def _legend(lines: Sequence[Line]) -> Markup:
    items = [
        Markup('<span class="key {}">{}</span>').format(line.style, escape(clean(line.name)))
        for line in lines
        if line.name
    ]
    return Markup('<p class="legend">{}</p>').format(Markup(" ").join(items)) if items else Markup("")
