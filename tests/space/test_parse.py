"""Text to tree: one row per shape, and every refusal with its whole message."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.core.errors import SpaceError
from pipeline.space import Choice, Constant, FloatRange, Group, IntRange, Node, OneOf, first_answers, parse
from pipeline.space.parse import parse_node


@pytest.mark.parametrize(
    ("tree", "node"),
    [
        (3, Constant(3)),
        (None, Constant(None)),
        ([3, 3], Constant((3, 3))),
        ({"choice": [3, 5, 7]}, Choice((3, 5, 7), 3)),
        ({"choice": ["gru", "lstm"], "default": "lstm"}, Choice(("gru", "lstm"), "lstm")),
        ({"int": [1, 4]}, IntRange(1, 4, 1, False, 2)),
        ({"int": [16, 64], "step": 16, "default": 48}, IntRange(16, 64, 16, False, 48)),
        ({"int": [1, 100], "log": True}, IntRange(1, 100, 1, True, 10)),
        ({"float": [0, 0.5]}, FloatRange(0.0, 0.5, False, 0.25)),
        ({"float": [1e-4, 1e-2], "log": True}, FloatRange(1e-4, 1e-2, True, pytest.approx(1e-3))),
        ({"one_of": {"a": {"x": 1}, "b": None}}, OneOf({"a": Group({"x": Constant(1)}), "b": Group({})}, "a")),
        ({"width": 8, "depth": {"int": [1, 2]}}, Group({"width": Constant(8), "depth": IntRange(1, 2, 1, False, 1)})),
    ],
)
def test_a_node_is_what_it_says(tree: object, node: Node) -> None:
    assert parse_node(tree, "space") == node


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"choice": []}, "space.choice: expected a list of values, got []\n  fix: for example choice: [3, 5]"),
        ({"choice": [1, 1]}, "space.choice: a value stands there twice: [1, 1]\n  fix: remove the repetition"),
        (
            {"choice": [1, 2], "default": 3},
            "space.default: 3 is not among [1, 2]\n  fix: name one of the options",
        ),
        ({"choice": [1], "defualt": 1}, "space: unknown key 'defualt'\n  fix: did you mean 'default'?"),
        ({"int": [4, 1]}, "space.int: low must be below high, got [4, 1]\n  fix: swap them, or write a constant"),
        ({"int": [1]}, "space.int: expected [low, high], got [1]\n  fix: give two finite numbers"),
        (
            {"int": [1, 2.5]},
            "space.int: bounds are not integers: [1, 2.5]\n  fix: use float, or whole numbers",
        ),
        (
            {"int": [16, 60], "step": 16},
            "space.step: 16 does not lead from 16 to 60\n  fix: change the upper bound or step",
        ),
        (
            {"float": [0, 1], "log": True},
            "space: a logarithmic range must start above 0, got 0\n  fix: raise the lower bound",
        ),
        ({"float": [0, 1], "default": 2}, "space.default: 2 is not in [0, 1]\n  fix: move it into the range"),
        (
            {"float": [0, float("inf")]},
            "space.float: expected [low, high], got [0, inf]\n  fix: give two finite numbers",
        ),
        ({"float": [0, 1], "log": "yes"}, "space.log: expected true or false, got 'yes'"),
        ({"one_of": ["a"]}, "space.one_of: expected named subspaces, got ['a']\n  fix: one_of: {cnn: {…}}"),
        (
            {"one_of": {"cnn": {}}, "default": "cn"},
            "space.default: there is no branch 'cn'\n  fix: did you mean 'cnn'?",
        ),
        (
            {"one_of": {"cnn": {"choice": [1]}}},
            "space.one_of.cnn: not a mapping of settings\n  fix: give its settings by name",
        ),
    ],
)
def test_a_wrong_node_is_refused(tree: object, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse_node(tree, "space")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, "s: key 'architecture' is missing\n  fix: add architecture: {one_of: {<family>: {…}}}"),
        (
            {"architecture": {"width": 3}},
            "s.architecture: not a one_of\n  fix: write one_of: {<family>: {…}}, also for one family",
        ),
        (
            {"architecture": {"one_of": {"cnn": {}}}, "optimiser": {}},
            "s: unknown key 'optimiser'\n  fix: did you mean 'optimizer'?",
        ),
        (
            {"architecture": {"one_of": {"cnn": {}}}, "warm_start": {"a": 1}},
            "s.warm_start: expected a list of mappings from name to value\n  fix: - {architecture.kind: cnn}",
        ),
    ],
)
def test_a_wrong_space_is_refused(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse(tree, "s")
    assert str(caught.value) == message


@pytest.mark.parametrize("path", sorted(Path("search_spaces").glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_space_parses(path: Path) -> None:
    assert parse(yaml.safe_load(path.read_text()), path.name).architecture.branches


def test_the_example_of_the_readme_parses() -> None:
    text = Path("search_spaces/README.md").read_text()
    example = text.partition("```yaml\n")[2].partition("```")[0]
    space = parse(yaml.safe_load(example))
    assert list(space.architecture.branches) == ["cnn", "rnn"]
    assert len(first_answers(space)) == 3
