"""Pictures of explanations: maps over images, words with their scores, curves, effects of single numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pipeline.reporting.figures import Line, forest, line_chart
from pipeline.reporting.pictures import image, marked_word, small
from pipeline.reporting.words import clean, metric_words

_SIDE = 128
"""Pixels that an overlay has at least."""
_TOP = 0.15
"""Share of an image within the outline."""
_FEW = 20
"""Rows between two places of an effect, below which the line is drawn as a doubtful one."""
FOR_IT, AGAINST = np.array([213.0, 94, 0]), np.array([0.0, 114, 178])


def deletion_figure(check: Mapping[str, Any]) -> Markup:
    """Probability while input is removed, and while it is shown alone, most important first, against random order."""
    steps = len(check["deletion_curve"]) - 1
    share = [100 * i / steps for i in range(steps + 1)]
    lines = [Line("removed, most important first", list(zip(share, check["deletion_curve"], strict=True)), "a")]
    if check["insertion_curve"]:
        lines.append(Line("shown, most important first", list(zip(share, check["insertion_curve"], strict=True)), "b"))
    lines.append(Line("removed in random order", list(zip(share, check["random_curve"], strict=True)), "c"))
    summary = f"{metric_words(check['method'])}: area gained over random order {check['deletion_gain']['value']:.3f}"
    falls = check["deletion_curve"][0] > 0  # probabilities start above 0, distances from the prediction at 0
    what = "probability" if falls else "minus the change"
    return line_chart(lines, ("% of the input removed or shown", what), summary, zero=falls)


def importance_figure(items: list[Mapping[str, Any]], key: str = "value") -> Markup:
    """Mean contribution, or what permuting costs, largest first."""
    largest = sorted(items, key=lambda item: -(item[key]["value"] or 0))[:12]
    rows = [(item["name"], item[key]["value"], item[key]["ci_low"], item[key]["ci_high"]) for item in largest]
    what = "largest mean contribution" if key == "value" else "costs most when permuted"
    return forest(rows, None if key == "value" else 0.0, f"{what}: {largest[0]['name']}")


def effect_figure(effect: Mapping[str, Any], of: str) -> Markup:
    """How the output moves with one number, with limits; thin where few rows tell."""
    points = effect["points"]
    known = [(p["at"], p["value"]) for p in points]
    lines = [Line("mean effect", known, "a"), Line("95 % limits", [(p["at"], p["low"]) for p in points], "c"),
             Line("", [(p["at"], p["high"]) for p in points], "c")]  # fmt: skip
    few = [(p["at"], p["value"]) for p in points[1:] if p["rows"] < _FEW]
    if few:
        lines.append(Line(f"fewer than {_FEW} rows up to here", few, "faint"))
    values = [value for _, value in known]
    summary = f"{effect['name']}: the {of} moves from {min(values):.3g} to {max(values):.3g} around its mean"
    unit = f", {effect['unit']}" if effect.get("unit") else ""
    return line_chart(lines, (clean(effect["name"]) + unit, "change of the prediction"), summary)


def overlay(values: Sequence[Sequence[int]], pixels: Sequence[Sequence[Sequence[int]]], alt: str) -> Markup:
    """Return a map (H, W) of -127 to 127 over its image (C, H, W) in grey, the largest 15 % outlined."""
    share = small(np.asarray(values, dtype=float)) / 127
    grey = small(np.asarray(pixels, dtype=float).mean(axis=0))
    times = max(1, -(-_SIDE // max(grey.shape)))
    pale = 128 + grey / 2
    colour = np.where(share[..., None] >= 0, FOR_IT, AGAINST)
    mixed = pale[..., None] + 0.8 * np.abs(share)[..., None] * (colour - pale[..., None])
    large = np.abs(share) >= max(np.quantile(np.abs(share), 1 - _TOP), 1 / 127)
    mixed, large = (np.repeat(np.repeat(part, times, axis=0), times, axis=1) for part in (mixed, large))
    near = _grown(large)
    mixed[near & ~large] = 0
    mixed[large & _grown(~large)] = 255
    return image(mixed.astype(np.uint8), alt)


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what is in the mask or beside it, up, down, left or right."""
    wide = np.pad(mask, 1)
    return np.asarray(wide[1:-1, 1:-1] | wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:])


def scored_word(word: str, value: int, scale: float) -> Markup:
    """Return a word, shaded and underlined by its contribution (-127 to 127 of the scale), with the number below."""
    shown = marked_word(word, value)
    if shown == Markup("{}").format(clean(word)):
        return shown
    return Markup("<ruby>{}<rt>{:+.2f}</rt></ruby>").format(shown, value / 127 * scale)
