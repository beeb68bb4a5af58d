"""Text to tree: one row per shape, and every refusal with its whole message."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.core.errors import SpaceError
from pipeline.core.fragments import KINDS, with_fragments
from pipeline.core.seeds import stream
from pipeline.space import (
    Choice,
    Constant,
    FloatRange,
    Forbidden,
    Group,
    IntRange,
    Node,
    OneOf,
    PriorChooser,
    RandomChooser,
    Repeat,
    answers,
    first_answers,
    parse,
    sample,
)
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
        ({"choice": [1, 2], "prior": "low"}, Choice((1, 2), 1, "low")),
        ({"int": [1, 4], "prior": "high"}, IntRange(1, 4, 1, False, 2, "high")),
        ({"repeat": 3, "of": 7}, Repeat(3, Constant(7))),
        (
            {"repeat": [1, 4], "default": 3, "tie": True, "of": {"width": 8}},
            Repeat(IntRange(1, 4, 1, False, 3), Group({"width": Constant(8)}), tie=True),
        ),
        (
            {"repeat": [0, 2], "of": {"float": [0, 1], "grow": "nonincreasing"}},
            Repeat(IntRange(0, 2, 1, False, 1), FloatRange(0.0, 1.0, False, 0.5, None, "nonincreasing")),
        ),
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
        (
            {"one_of": {"cnn": {"kind": 3}}},
            "space.one_of.cnn.kind: the name of the branch already stands there\n  fix: remove it",
        ),
        (
            {"one_of": {"se-net": {}}},
            "space.one_of.se-net: not a name of a branch\n  fix: letters, digits and _, and no word of the language",
        ),
        ({"chioce": [3, 5]}, "space: there is no node 'chioce'\n  fix: did you mean 'choice'?"),
        (
            {"uniform": [0, 1], "default": 0.5},
            "space: there is no node 'uniform'\n  fix: nodes: choice, int, float, one_of, repeat",
        ),
        (
            {"a": 1, "b": 2, "default": 2},
            "space: 'default' belongs to a node, and here is none\n  fix: nodes: choice, int, float, one_of, repeat",
        ),
        (
            {"choice": [1, 2], "int": [1, 2]},
            "space: choice and int do not go together\n  fix: a node has one kind; remove the rest",
        ),
        ({"one-of": 1}, "space.one-of: not a name of a setting\n  fix: use letters, digits and _"),
        (
            {"float": [0, 1], "prior": "hgih"},
            "space.prior: 'hgih' is not one of low, medium, high\n  fix: did you mean 'high'?",
        ),
        ({"repeat": 3}, "space.repeat: key 'of' is missing\n  fix: repeat: [1, 3], of: {width: 16}"),
        (
            {"repeat": "3", "of": 1},
            "space.repeat: expected a number of blocks, or [low, high], got '3'\n  fix: repeat: [1, 3]",
        ),
        (
            {"repeat": [-1, 3], "of": 1},
            "space.repeat: expected a number of blocks, or [low, high], got [-1, 3]\n  fix: repeat: [1, 3]",
        ),
        (
            {"repeat": [3, 1], "of": 1},
            "space.repeat: low must be below high, got [3, 1]\n  fix: swap them, or write a constant",
        ),
        ({"repeat": 3, "default": 2, "of": 1}, "space.default: the number of blocks is fixed to 3\n  fix: remove it"),
        (
            {"repeat": [1, 3], "default": 5, "of": 1},
            "space.default: 5 is not in [1, 3]\n  fix: move it into the range",
        ),
        (
            {"int": [1, 3], "grow": "nondecreasing"},
            "space.grow: only values of a repeated block grow\n  fix: remove it, or move it into repeat … of",
        ),
        (
            {"repeat": 2, "of": {"a": {"b": {"int": [1, 3], "grow": "nondecreasing"}}}},
            "space.of.a.b.grow: only values of a repeated block grow\n  fix: remove it, or move it into repeat … of",
        ),
        (
            {"repeat": 2, "of": {"choice": ["a", "b"], "grow": "nondecreasing"}},
            "space.of.grow: only numbers grow, got ['a', 'b']\n  fix: remove it",
        ),
        (
            {"repeat": 2, "of": {"int": [1, 3], "grow": "double"}},
            "space.of.grow: 'double' is not one of nondecreasing, nonincreasing\n"
            "  fix: one of: nondecreasing, nonincreasing",
        ),
        (
            {"repeat": 2, "tie": True, "of": {"w": {"int": [1, 3], "grow": "nondecreasing"}}},
            "space.tie: blocks that are all alike cannot grow\n  fix: remove tie, or grow",
        ),
        (
            {"choice": [1, 2], "when": "a"},
            "space.when: only a setting of a group may be left out\n  fix: give the node a name",
        ),
        (
            {"forbid": "a > 1"},
            "space.forbid: expected a list of expressions, got 'a > 1'\n  fix: - \"width % heads != 0\"",
        ),
        ({"include": "small"}, "space.include: fragments were not put in\n  fix: compose the space first"),
    ],
)
def test_a_wrong_node_is_refused(tree: object, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse_node(tree, "space")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, "s: key 'architecture' is missing\n  fix: add architecture: {<family>: {…}}"),
        (
            {"architecture": {"default": "cnn", "one_of": {"cnn": {"width": 3}}}},
            "s.architecture.one_of: families stand directly below architecture\n"
            "  fix: write architecture: {default: cnn, cnn: {…}, rnn: {…}}",
        ),
        (
            {"architecture": ["cnn"]},
            "s.architecture: expected families by name, got ['cnn']\n  fix: for example cnn: {width: 16}",
        ),
        (
            {"architecture": {"default": "cnn"}},
            "s.architecture: there is no family\n  fix: for example cnn: {width: 16}",
        ),
        (
            {"architecture": {"default": "cn", "cnn": {}}},
            "s.architecture.default: there is no branch 'cn'\n  fix: did you mean 'cnn'?",
        ),
        (
            {"architecture": {"cnn": {"width": {"choice": []}}}},
            "s.architecture.cnn.width.choice: expected a list of values, got []\n  fix: for example choice: [3, 5]",
        ),
        (
            {"architecture": {"cnn": {}}, "optimiser": {}},
            "s: unknown key 'optimiser'\n  fix: did you mean 'optimizer'?",
        ),
        (
            {"architecture": {"cnn": {}}, "warm_start": {"a": 1}},
            "s.warm_start: expected a list of mappings from name to value\n  fix: - {architecture.kind: cnn}",
        ),
    ],
)
def test_a_wrong_space_is_refused(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse(tree, "s")
    assert str(caught.value) == message


ROOMY: dict[str, Any] = {
    "cell": {"choice": ["gru", "lstm"]},
    "flip": {"choice": [True, False]},
    "conv": {"one_of": {"plain": {"kernel": 3}, "wide": {"rate": {"int": [1, 4]}}}},
    "stages": {"repeat": [1, 3], "of": {"width": {"choice": [8, 16]}, "deep": {"int": [1, 2]}}},
    "tied": {"repeat": 2, "tie": True, "of": {"width": {"choice": [8, 16]}}},
}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sell == 'lstm'", "nothing is called 'sell'\n  fix: did you mean 'cell'?"),
        ("flip == true", "nothing is called 'true'\n  fix: write True"),
        (
            "xyz",
            "nothing is called 'xyz'\n  fix: names here: cell, flip, conv, stages, tied, it, architecture, optimizer",
        ),
        ("conv.wide.rates > 2", "nothing is called 'conv.wide.rates'\n  fix: did you mean 'rate'?"),
        ("conv.narrow.rate > 2", "nothing is called 'conv.narrow.rate'\n  fix: names here: kind, plain, wide"),
        ("stages[3].width > 8", "nothing is called 'stages.3.width'\n  fix: names here: count, [0], [1], [2]"),
        ("stages.each.width > 8", "nothing is called 'stages.each.width'\n  fix: names here: count, [0], [1], [2]"),
        ("tied[0].width > 8", "nothing is called 'tied.0.width'\n  fix: names here: count, each"),
        ("cell.size > 8", "nothing is called 'cell.size'\n  fix: names here: none"),
        ("optimizer.lrr > 1", "nothing is called 'optimizer.lrr'\n  fix: did you mean 'lr'?"),
        ("architecture.rnn.width > 1", "nothing is called 'architecture.rnn.width'\n  fix: did you mean 'cnn'?"),
        ("conv == 'plain'", "'conv' is not a single value\n  fix: write conv.kind"),
        ("stages == 2", "'stages' is not a single value\n  fix: write stages.count"),
        ("stages[0] == 2", "'stages.0' is not a single value\n  fix: write its settings by name"),
        ("cell == 'lsmt'", "'cell' is never 'lsmt'\n  fix: did you mean 'lstm'?"),
        ("conv.kind in ['plain', 'x']", "'conv.kind' is never 'x'\n  fix: one of: plain, wide"),
        ("cell = 'lstm'", "cannot be read: \"cell = 'lstm'\"\n  fix: write it as in Python: width % heads != 0"),
        ("", "expected an expression, got ''\n  fix: for example \"cell == 'lstm'\""),
    ],
)
def test_a_condition_on_what_is_not_there_is_refused(text: str, message: str) -> None:
    family = ROOMY | {"it": {"int": [1, 2], "when": text}}
    with pytest.raises(SpaceError) as caught:
        parse({"architecture": {"cnn": family}, "optimizer": {"lr": 0.1}}, "s")
    assert str(caught.value) == f"s.architecture.cnn.it.when: {message}"


def test_what_is_forbidden_at_the_top_is_named_with_its_place() -> None:
    tree = {"architecture": {"cnn": {}}, "forbid": ["optimizer.lr > 1", "optimizer.lr > 2"], "optimizer": {"rl": 1}}
    with pytest.raises(SpaceError) as caught:
        parse(tree, "s")
    assert str(caught.value) == "s.forbid[0]: nothing is called 'optimizer.lr'\n  fix: names here: rl"


@pytest.mark.parametrize(
    ("family", "circle"),
    [
        ({"a": {"int": [1, 2], "when": "a > 1"}}, "cnn.a -> architecture.cnn.a"),
        (
            {"a": {"int": [1, 2], "when": "b > 1"}, "b": {"int": [1, 2], "when": "architecture.cnn.a > 1"}},
            "cnn.a -> architecture.cnn.b -> architecture.cnn.a",
        ),
        (
            {"a": {"when": "a.b > 1", "b": {"int": [1, 2]}}},
            "cnn.a -> architecture.cnn.a",
        ),
        (
            {"s": {"repeat": 2, "of": {"a": {"int": [1, 2], "when": "b > 1"}, "b": {"int": [1, 2], "when": "a > 1"}}}},
            "cnn.s.*.a -> architecture.cnn.s.*.b -> architecture.cnn.s.*.a",
        ),
    ],
)
def test_conditions_that_wait_for_each_other_are_refused(family: dict[str, Any], circle: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse({"architecture": {"cnn": family}})
    assert str(caught.value) == (
        f"space: conditions wait for each other: architecture.{circle}\n  fix: let one of them stand without `when`"
    )


@pytest.mark.parametrize("path", sorted(Path("search_spaces").glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_space_parses(path: Path) -> None:
    assert parse(yaml.safe_load(path.read_text()), path.name).architecture.branches


EXAMPLES = [part.partition("```")[0] for part in Path("search_spaces/README.md").read_text().split("```yaml\n")[1:]]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split(":")[0])
def test_the_examples_of_the_readme_parse_and_can_be_drawn_from(example: str) -> None:
    tree = yaml.safe_load(example)
    tree = tree if "architecture" in tree else {"architecture": {"cnn": tree}}
    space = parse(with_fragments(tree, lambda name, where: {"width": {"choice": [16, 32, 64]}}))
    assert len(first_answers(space)) == (3 if "rnn" in space.architecture.branches else 1)
    drawn = 0
    for seed in range(40):
        assert answers(space, PriorChooser(stream(seed)))["architecture.kind"] in space.architecture.branches
        try:
            drawn += bool(sample(space, RandomChooser(stream(seed))))
        except Forbidden:
            assert "forbid" in example
    assert drawn >= 10


def test_the_readme_has_an_example_of_every_node_and_word() -> None:
    words = [
        *KINDS,
        "default",
        "log",
        "of",
        "tie",
        "grow",
        "when",
        "forbid",
        "prior",
        "passes",
        "include",
        "warm_start",
    ]
    assert [word for word in words if not any(f"{word}:" in example for example in EXAMPLES)] == []
