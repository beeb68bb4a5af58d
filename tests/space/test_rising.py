"""Defaults that may rise: what may be written, and which values come next."""

from typing import Any

import pytest

from pipeline.core.errors import SpaceError
from pipeline.space import DefaultChooser, parse, rising, sample, values_above
from pipeline.space.grammar import Choice, IntRange
from pipeline.space.parse import parse_node

LOW = {"default": 1, "passes": 9}


@pytest.mark.parametrize(
    ("tree", "values"),
    [
        ({"choice": [16, 64, 32], "default": 16, "passes": 9}, (32, 64)),
        ({"choice": [0.5, 0.25, 1], "default": 0.25, "passes": 0.5}, (0.5, 1)),
        ({"choice": [16, 32], "default": 32, "passes": 9}, ()),
        ({"int": [1, 10], "step": 3, "default": 4, "passes": 9}, (7, 10)),
        ({"int": [3, 50], "log": True, "default": 5, "passes": 9}, (10, 20, 40, 50)),
    ],
)
def test_the_values_above_the_default_come_lowest_first(tree: dict[str, Any], values: tuple[float, ...]) -> None:
    node = parse_node(tree, "space")
    assert isinstance(node, Choice | IntRange)
    assert node.passes == tree["passes"]
    assert values_above(node) == values


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            {"choice": ["a", "b"], **LOW, "default": "a"},
            "s.passes: only numbers rise, got ['a', 'b']\n  fix: remove it",
        ),
        (
            {"choice": [True, False], **LOW, "default": True},
            "s.passes: only numbers rise, got [True, False]\n  fix: remove it",
        ),
        (
            {"choice": [1, 2], "passes": 9},
            "s.passes: key 'default' is missing\n  fix: say where it starts, default: 1",
        ),
        (
            {"int": [3, 5], "passes": 9},
            "s.passes: key 'default' is missing\n  fix: say where it starts, default: 3",
        ),
        *(
            (
                {"choice": [1, 2], "default": 1, "passes": wrong},
                f"s.passes: expected a number above 0, got {wrong!r}\n  fix: for example passes: 9",
            )
            for wrong in (0, -1, True, "9", float("nan"), None)
        ),
        (
            {"repeat": 2, "of": {"a": {"width": {"int": [1, 2], **LOW}}}},
            "s.of: 'a.width' has passes, and blocks that differ do not rise together\n"
            "  fix: add tie: true beside repeat, or remove passes",
        ),
        (
            {"repeat": [1, 2], "of": {"int": [1, 2], **LOW}},
            "s.of: here are passes, and blocks that differ do not rise together\n"
            "  fix: add tie: true beside repeat, or remove passes",
        ),
        ({"float": [0, 1], **LOW}, "s: unknown key 'passes'\n  fix: known keys: float, log, default, prior, grow"),
        (
            {"passes": 9},
            "s: 'passes' belongs to a node, and here is none\n  fix: nodes: choice, int, float, one_of, repeat",
        ),
    ],
)
def test_passes_where_nothing_can_rise_are_refused(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse_node(tree, "s")
    assert str(caught.value) == message


def test_names_are_those_of_the_answers_in_the_order_of_the_file() -> None:
    width = {"int": [1, 4], **LOW}
    tied = {"repeat": [1, 2], "tie": True, "of": {"width": width}}
    space = parse({"architecture": {"cnn": {"conv": {"one_of": {"a": {"kernel": width}}}, "stages": tied, "w": 3}},
                   "optimizer": {"batch_size": {"choice": [8, 16], "default": 8, "passes": 2}}})  # fmt: skip
    names = [name for name, _ in rising(space.root)]
    assert names == ["architecture.cnn.conv.a.kernel", "architecture.cnn.stages.each.width", "optimizer.batch_size"]
    chooser = DefaultChooser({})
    sample(space, chooser)
    assert set(names) <= set(chooser.answers)
    assert [chooser.answers[name] for name in names] == [1, 1, 8]
