"""Pictures of explanations say what the numbers say."""

import base64
import re
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.contracts import CategoricalColumn, MethodCheck, Number, NumericColumn, TableInputs
from pipeline.core.settings import ReportSettings
from pipeline.reporting import document, render
from pipeline.reporting.document import raw_values
from pipeline.reporting.explaining import effect_figure, overlay, scored_word
from tests.reporting.records import HOSTILE, IMAGE, TEXT, records


def pixels_of(html: str) -> np.ndarray:
    source = re.search(r"base64,([^\"]+)", html)
    assert source
    data = base64.b64decode(source.group(1))
    width, height = struct.unpack(">II", data[16:24])
    at = data.index(b"IDAT")
    size = struct.unpack(">I", data[at - 4 : at])[0]
    raw = np.frombuffer(zlib.decompress(data[at + 4 : at + 4 + size]), np.uint8).reshape(height, 3 * width + 1)
    return raw[:, 1:].reshape(height, width, 3).astype(int)


def test_a_map_lies_over_its_picture_orange_and_blue_with_an_outline() -> None:
    values = np.zeros((4, 4), int)
    values[0, 0], values[3, 3] = 127, -127
    shown = pixels_of(overlay(values.tolist(), np.full((1, 4, 4), 255).tolist(), "map"))
    assert shown.shape == (128, 128, 3)
    red, green, blue = shown[16, 16]
    assert red > green > blue
    red, green, blue = shown[112, 112]
    assert blue > green > red
    assert shown[48, 48].tolist() == [255] * 3  # nothing is said of a white place
    assert shown[16, 31].tolist() == [255] * 3  # the outline is white inside
    assert shown[16, 32].tolist() == [0] * 3  # and black outside
    dark = pixels_of(overlay(np.zeros((4, 4), int).tolist(), np.zeros((3, 4, 4), int).tolist(), "map"))
    assert np.unique(dark).tolist() == [128]


def test_a_word_has_its_score_below_and_is_escaped() -> None:
    assert "<rt>+0.25</rt>" in scored_word("good", 127, 0.25)
    assert "<rt>-0.50</rt>" in scored_word("bad", -127, 0.5)
    assert scored_word("of", 1, 0.5) == "of"
    assert "<script" not in scored_word(HOSTILE, 127, 1.0)


def test_few_rows_are_marked_in_an_effect() -> None:
    points = [{"at": a, "value": a, "low": a - 1, "high": a + 1, "rows": n} for a, n in ((0, 0), (1, 50), (2, 5))]
    shown = effect_figure({"name": HOSTILE, "points": points}, "prediction of y")
    assert shown.count('class="faint"') == 1
    assert "the prediction of y moves from 0 to 2 around its mean" in shown
    assert "<script" not in shown
    assert "fewer than" not in effect_figure({"name": "a", "points": points[:2]}, "y")


def test_raw_values_of_a_row_are_told_in_words() -> None:
    table = TableInputs(
        columns=(
            NumericColumn(name="a", edges=(0.0, 1.0), median=0.5, missing=True),
            CategoricalColumn(name="b", categories=("x", "y"), mode=1),
            NumericColumn(name="c", edges=(0.0, 1.0), median=0.5, missing=True),
        )
    )
    assert raw_values(table, np.array([0.25, 2.0, 0.5, 0.0, 1.0])) == ["0.25", "y", "(missing)"]
    assert raw_values(table, np.array([12345.678, 0.0, 3.0, 0.0, 0.0])) == ["12,346", "(unknown or rare)", "3"]


def with_methods(verdicts: list[str], inputs: object = IMAGE) -> str:
    """Return the page where each of so many methods has its verdict; all have the maps of the first."""
    found = records(inputs)  # type: ignore[arg-type]
    (first,) = found.explanations.methods
    methods: list[MethodCheck] = [
        replace(first, method=f"way{i}", verdict=v, randomised=Number(value=None, n=0, reason="no time left"))  # type: ignore[arg-type]
        for i, v in enumerate(verdicts)
    ]
    maps = {m.method: found.attributions[first.method] for m in methods} | {"inputs": found.attributions["inputs"]}
    told = replace(found.explanations, methods=tuple(methods), importance={m.method: () for m in methods})
    made = document(
        ReportSettings(title="t", include_raw=True), replace(found, explanations=told, attributions=maps), ()
    )
    return render(made)


@pytest.mark.parametrize("inputs", [IMAGE, TEXT])
def test_a_method_that_fails_is_shown_in_the_appendix_only(inputs: object) -> None:
    page = with_methods(["fail", "warn"], inputs)
    page = page[: page.index('id="fairness"')]
    kept, _, appendix = page.partition("Appendix: pictures of methods that failed the scorecard")
    gallery = kept[kept.index("Single predictions") :]
    assert "way1" in gallery
    assert "way0" not in gallery
    assert "failed the scorecard" not in gallery
    assert "failed the scorecard" in appendix
    assert "way0" in appendix
    assert "way1" not in appendix
    assert "no time left" in page


def test_without_a_method_to_believe_there_is_no_gallery() -> None:
    page = with_methods(["fail", "fail"])
    assert "No method passes the scorecard: there is no picture to believe." in page
    assert "Appendix" not in with_methods(["pass", "warn"])


def test_a_date_is_shown_as_a_date_not_as_days() -> None:
    when = NumericColumn(name="when", edges=(0.0, 99.0), median=5.0, missing=True, since="2013-01-02")
    inputs = TableInputs(columns=(when, NumericColumn(name="n", edges=(0.0, 1.0), median=0.5, missing=False)))
    assert raw_values(inputs, np.array([30.5, 0.25, 0.0])) == ["2013-02-01", "0.25"]
    assert raw_values(inputs, np.array([5.0, 0.25, 1.0])) == ["(missing)", "0.25"]
