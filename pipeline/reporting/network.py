"""The winner drawn: what it is made of from the input down, with shapes, weights and what reads what."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from pipeline.reporting.blocks import Block, blocks_of, ranks_of
from pipeline.reporting.figures import tick_words
from pipeline.reporting.words import clean, short

_WIDTH, _LANE, _APART = 460, 16, 12
"""Of the picture, of a line that passes boxes by, and between boxes side by side."""
_GAP, _LINE, _PAD = 30, 17, 10
_LETTER = 7.2
"""Pixels of a bold letter of 12.5 pixels, on average of the wider fonts."""
_MOST_BESIDE, _MOST_LINES = 3, 4
_END = 240.0
"""Width of what goes in and what comes out."""
_SHADOW = 4


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text in a box: on the left, and on the right."""

    left: str
    right: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """A block with its place."""

    block: Block
    lines: tuple[Line, ...]
    x: float
    y: float
    width: float
    height: float
    row: int

    @property
    def middle(self) -> float:
        """Where its centre is, from the left."""
        return self.x + self.width / 2


def network_figure(model: Mapping[str, Any]) -> Markup:
    """The network from input to output; bars show the share of each block in the weights."""
    blocks = blocks_of(model["layers"])
    whole = max(1, sum(layer["parameters"] for layer in model["layers"]))
    rows = [row[i : i + _MOST_BESIDE] for row in ranks_of(blocks) for i in range(0, len(row), _MOST_BESIDE)]
    at = {block.name: i for i, row in enumerate(rows) for block in row}
    passing = [(name, b.name) for b in blocks for name in b.after if at[b.name] - at[name] > 1]
    lanes = _lanes(passing, at)
    wide = _WIDTH - (max(lanes.values()) + 2) * _LANE if lanes else _WIDTH
    boxes = {box.block.name: box for box in _placed(rows, wide)}
    height = max(box.y + box.height for box in boxes.values()) + 4
    parts = [_flow(boxes[name], box, lanes.get((name, box.block.name)), wide)
             for box in boxes.values() for name in box.block.after]  # fmt: skip
    parts += [_drawn(box, whole) for box in boxes.values()]
    return Markup('<svg class="net" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _WIDTH, round(height), clean(network_summary(model, blocks)), Markup("").join(parts)
    )


def network_summary(model: Mapping[str, Any], blocks: Sequence[Block]) -> str:
    """Return the picture in words."""
    inner = [block for block in blocks if not block.end]
    count = sum(block.times for block in inner)
    total = sum(layer["parameters"] for layer in model["layers"])
    words = f"{model['candidate']['architecture']['kind']}: {count} block{'s' * (count != 1)}, {total:,} weights"
    largest = max(inner, key=lambda block: block.parameters, default=None)
    if largest is not None and largest.parameters:
        words += f", most of them in {largest.words} ({largest.parameters / total:.0%})"
    return words


def _lanes(passing: Sequence[tuple[str, str]], at: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """Return a lane for each line that passes rows by, so that lines beside each other do not meet."""
    lanes: dict[tuple[str, str], int] = {}
    for one in sorted(passing, key=lambda edge: (at[edge[1]] - at[edge[0]], at[edge[0]])):
        met = {lane for other, lane in lanes.items() if at[other[0]] < at[one[1]] and at[one[0]] < at[other[1]]}
        lanes[one] = next(i for i in range(len(met) + 1) if i not in met)
    return lanes


def _placed(rows: Sequence[Sequence[Block]], wide: float) -> Iterator[Box]:
    """Yield the boxes row by row; those of a row are equally large."""
    y = 2.0
    for i, row in enumerate(rows):
        width = (wide - 2 - 2 * _SHADOW - _APART * (len(row) - 1)) / len(row)
        width = min(width, _END) if all(block.end for block in row) else width
        told = [_lines(block, width - 2 * _PAD) for block in row]
        height = _LINE * max(len(lines) for lines in told) + 2 * _PAD - 2
        across = width * len(row) + _APART * (len(row) - 1)
        for place, (block, lines) in enumerate(zip(row, told, strict=True)):
            x = (wide - 2 * _SHADOW - across) / 2 + place * (width + _APART)
            yield Box(block, lines, round(x, 1), y, round(width, 1), height, i)
        y += height + _GAP


def _lines(block: Block, width: float) -> tuple[Line, ...]:
    """Return what a box says: what it does, what is inside, what follows; weights and shape."""
    shape = "" if block.output is None else " × ".join(f"{side:,}" for side in block.output)
    if block.end:
        what = f"input ({block.words})" if block.name == "input" else "output"
        return (Line(what, shape, "strong"),)
    many = "" if block.times == 1 else f"{block.times} side by side" if block.beside else f"× {block.times}"
    letters = int(width / _LETTER)
    first, *more = _wrapped(block.words, letters - (len(many) + 2 if many else 0))
    lines = [Line(first, many, "strong"), *(Line(line, style="strong") for line in more)]
    for words in (" · ".join(block.inside), " → ".join(block.then)):
        lines += [Line(line) for line in _wrapped(words, letters)]
    weights = f"{tick_words(block.parameters)} weights" if block.parameters else "no weights"
    if block.fixed > block.parameters:
        weights = (
            f"{weights}, {tick_words(block.fixed)} fixed" if block.parameters else f"{tick_words(block.fixed)} fixed"
        )
    if len(weights) + len(shape) + 2 > letters and shape:
        return (*lines, *(Line(line) for line in _wrapped(weights, letters)), Line("", shape))
    return (*lines, Line(weights, shape))


def _wrapped(words: str, letters: int) -> list[str]:
    found = textwrap.wrap(clean(words), max(8, letters))
    if len(found) > _MOST_LINES:
        found[_MOST_LINES - 1 :] = [short(f"{found[_MOST_LINES - 1]} …", letters)]
    return found


def _drawn(box: Box, whole: int) -> Markup:
    block = box.block
    frame = Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="{}"/>')
    parts = []
    if block.times > 1:
        for step in (2, 1):
            shift = step * _SHADOW / 2 + 1
            parts.append(frame.format("box", box.x + shift, box.y + shift, box.width, box.height, 8))
    round_ = box.height / 2 if block.end else 8
    parts.append(frame.format("box end" if block.end else "box", box.x, box.y, box.width, box.height, round_))
    text = Markup('<text class="{}" x="{}" y="{}"{}>{}</text>')
    right = Markup(' text-anchor="end"')
    inset = 14 if block.end else _PAD
    for i, line in enumerate(box.lines):
        y = box.y + _PAD + 11 + i * _LINE
        parts.append(text.format(line.style, box.x + inset, y, "", line.left))
        if line.right:
            style = "times" if i == 0 and not block.end else "shape"
            parts.append(text.format(style, round(box.x + box.width - inset, 1), y, right, line.right))
    if block.parameters:
        share = max(2.0, (box.width - 2 * _PAD) * block.parameters / whole)
        bar = Markup('<rect class="share" x="{}" y="{}" width="{}" height="3" rx="1.5"/>')
        parts.append(bar.format(box.x + _PAD, box.y + box.height - 5, round(share, 1)))
    return Markup("").join(parts)


def _flow(start: Box, end: Box, lane: int | None, wide: float) -> Markup:
    """Draw a line from one box to another, beside all rows between where there are any."""
    x1, y1, x2, y2 = start.middle, start.y + start.height, end.middle, end.y - 1
    if lane is None:
        turn = y1 + _GAP / 2
        points = [(x1, y1), (x1, turn), (x2, turn), (x2, y2)] if abs(x1 - x2) > 1 else [(x1, y1), (x2, y2)]
    else:
        x2 += 12
        side, low, high = wide + (lane + 0.5) * _LANE, y1 + _GAP / 3, y2 - _GAP / 2
        points = [(x1 + 12, y1), (x1 + 12, low), (side, low), (side, high), (x2, high), (x2, y2)]
    path = " ".join(_rounded(points))
    tip = Markup('<path class="tip" d="M{0} {1} l-4 -7 h8 z"/>').format(round(x2, 1), round(y2, 1))
    return Markup('<path class="flow" d="{}"/>').format(path) + tip


def _rounded(points: Sequence[tuple[float, float]], radius: float = 5) -> Iterator[str]:
    """Yield a path through points with its corners rounded."""
    yield f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (before, at), (_, after) in pairwise(pairwise(points)):
        into, out = _towards(at, before, radius), _towards(at, after, radius)
        yield f"L{into[0]:.1f} {into[1]:.1f} Q{at[0]:.1f} {at[1]:.1f} {out[0]:.1f} {out[1]:.1f}"
    yield f"L{points[-1][0]:.1f} {points[-1][1]:.1f}"


def _towards(start: tuple[float, float], end: tuple[float, float], most: float) -> tuple[float, float]:
    """Return the point up to `most` pixels, and half the way, from one point towards another."""
    away = max(abs(end[0] - start[0]), abs(end[1] - start[1])) or 1.0
    share = min(most, away / 2) / away
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])
