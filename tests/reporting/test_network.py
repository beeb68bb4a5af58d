"""The drawing of a network: boxes fold, lines pass by, and all of it comes from the JSON."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.core.contracts import Layer
from pipeline.core.strict import plain
from pipeline.reporting.blocks import blocks_of, ranks_of
from pipeline.reporting.network import network_figure

FIRST = Layer(name="input", kind="input", words="image", output=(3, 8, 8))


def layer(name: str, after: str, *, words: str = "linear, 4 → 4", weights: int = 20, light: bool = False) -> Layer:
    return Layer(name=name, kind="Linear", words=words, output=(4,), parameters=weights, after=tuple(after.split()),
                 light=light)  # fmt: skip


def last(after: str) -> Layer:
    return Layer(name="output", kind="output", words="output", output=(2,), after=tuple(after.split()))


def model(*layers: Layer) -> Mapping[str, Any]:
    return {"candidate": {"architecture": {"kind": "odd"}}, "layers": plain([FIRST, *layers])}


def boxes(*layers: Layer) -> list[tuple[str, int, int, tuple[str, ...]]]:
    return [(b.name, b.times, b.parameters, b.after) for b in blocks_of(model(*layers)["layers"])]


def test_norms_and_activations_join_what_they_follow() -> None:
    norm = layer("b", "a", words="batch norm", weights=8, light=True)
    found = blocks_of(model(layer("a", "input"), norm, layer("c", "b", weights=5), last("c"))["layers"])
    assert [b.name for b in found] == ["input", "a", "c", "output"]
    assert (found[1].then, found[1].parameters, found[2].after) == (("batch norm",), 28, ("a",))


def test_a_norm_that_reads_what_others_read_too_stands_alone() -> None:
    norm = layer("n", "a", words="layer norm", weights=8, light=True)
    beside = layer("m", "a", words="max pooling 2", weights=0, light=True)
    assert boxes(layer("a", "input"), norm, beside, layer("c", "n m"), last("c"))[1:4] == [
        ("a", 1, 28, ("input",)), ("m", 1, 0, ("a",)), ("c", 1, 20, ("a", "m")),
    ]  # fmt: skip


def test_equal_boxes_in_line_are_one() -> None:
    found = boxes(layer("a", "input"), layer("b", "a"), layer("c", "b"), layer("d", "c", weights=7), last("d"))
    assert found == [
        ("input", 1, 0, ()), ("a", 3, 60, ("input",)), ("d", 1, 7, ("a",)), ("output", 1, 0, ("d",)),
    ]  # fmt: skip


def test_a_box_that_something_else_reads_is_not_folded_away() -> None:
    assert [name for name, *_ in boxes(layer("a", "input"), layer("b", "a"), layer("c", "b"), last("c b"))] == [
        "input", "a", "c", "output",
    ]  # fmt: skip


def test_equal_boxes_side_by_side_are_one() -> None:
    found = blocks_of(model(*(layer(name, "input") for name in "abc"), last("a b c"))["layers"])
    assert [(b.name, b.times, b.beside) for b in found[1:-1]] == [("a", 3, True)]
    assert found[-1].after == ("a",)


def test_rows_stand_below_all_they_read() -> None:
    found = blocks_of(model(layer("a", "input"), layer("b", "a", weights=3), layer("c", "input", weights=2),
                            last("b c"))["layers"])  # fmt: skip
    assert [[b.name for b in row] for row in ranks_of(found)] == [["input"], ["a", "c"], ["b"], ["output"]]


def test_no_box_and_no_letter_leaves_the_picture() -> None:
    wide = [layer(name, "input", words=f"{name} {'a long story ' * 9}", weights=i) for i, name in enumerate("abcdefg")]
    drawn = str(network_figure(model(*wide, layer("z", "a b c d e f g"), last("z a"))))
    width, height = map(float, re.search(r'viewBox="0 0 (\d+) (\d+)"', drawn).groups())  # type: ignore[union-attr]
    for x, y, across, down in re.findall(
        r'<rect class="box[^"]*" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', drawn
    ):
        assert 0 <= float(x) <= float(x) + float(across) <= width
        assert 0 <= float(y) <= float(y) + float(down) <= height
    for x in re.findall(r'class="flow" d="[^"]*?L([\d.]+)', drawn):
        assert 0 <= float(x) <= width
    assert max(len(text) for text in re.findall(r"<text[^>]*>([^<]*)", drawn)) * 7.2 < width


def test_the_picture_says_in_words_what_it_shows() -> None:
    drawn = str(
        network_figure(model(layer("a", "input", weights=75), layer("b", "a", words="<b>", weights=25), last("b")))
    )
    assert 'aria-label="odd: 2 blocks, 100 weights, most of them in linear, 4 → 4 (75%)"' in drawn
    assert "&lt;b&gt;" in drawn
    assert "<b>" not in drawn


@pytest.mark.parametrize("count", [2, 5])
def test_lines_that_pass_by_have_lanes_of_their_own(count: int) -> None:
    chain = [layer(f"c{i}", f"c{i - 1}" if i else "input", weights=i + 1) for i in range(6)]
    passed = " ".join(["c5", *(f"c{i}" for i in range(count))])
    drawn = str(network_figure(model(*chain, last(passed))))
    lanes = {
        max(float(x) for x in re.findall(r"[LQM]([\d.]+) ", path))
        for path in re.findall(r'class="flow" d="([^"]*)"', drawn)
    }
    assert len(lanes) == count + 1
