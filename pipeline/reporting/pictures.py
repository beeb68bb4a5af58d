"""Pictures as inline PNG, words and series with their contributions. Text is escaped here."""

import base64
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pipeline.reporting.figures import Scale, drawing, tick_words
from pipeline.reporting.words import clean, short

_FAINT = 6
"""Contributions below this (of 127) are not drawn."""
_PIXELS = 256
"""Of a picture on each side; of larger ones every k-th pixel is shown."""
_STRIPS = 180
"""Bars of a strip below a series; longer ones are drawn as means of neighbours."""


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
    return drawing(width, total, parts, f"{len(ranked)} of {len(series)} channels with their contributions")


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
