"""Tree to candidate: names, defaults, and that every draw of a shipped space can be built."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.contracts import ImageInputs, Inputs, NumericColumn, Optimizer, TableInputs
from pipeline.core.errors import SpaceError
from pipeline.core.seeds import stream
from pipeline.models import build
from pipeline.space import (
    Choice,
    DefaultChooser,
    FloatRange,
    IntRange,
    RandomChooser,
    Scalar,
    Space,
    first_answers,
    parse,
    sample,
)

TREE: dict[str, Any] = {
    "architecture": {
        "default": "rnn",
        "one_of": {
            "cnn": {"width": {"int": [8, 16], "step": 8}, "kernel": {"choice": [3, 5], "default": 5}},
            "rnn": {"width": 8},
        },
    },
    "optimizer": {"lr": {"float": [1e-3, 1e-1], "log": True, "default": 0.02}},
}

IMAGE = ImageInputs(channels=1, height=8, width=8, mean=(0.3,), std=(0.4,))
TABLE = TableInputs(columns=(NumericColumn(name="x", edges=(0.0, 1.0, 2.0), median=1.0, missing=False),) * 3)
SHIPPED: list[tuple[str, Inputs]] = [("image", IMAGE), ("table", TABLE), ("tiny", IMAGE), ("tiny", TABLE)]


def shipped(name: str) -> Space:
    return parse(yaml.safe_load(Path(f"search_spaces/{name}.yaml").read_text()))


class Recorder(DefaultChooser):
    """Defaults, and the names in the order they were asked."""

    def choice(self, name: str, options: Sequence[Scalar], default: Scalar) -> Scalar:
        return super().choice(name, options, default)


def test_names_are_paths_in_the_tree() -> None:
    chooser = Recorder({"architecture.kind": "cnn"})
    candidate = sample(parse(TREE), chooser)
    assert chooser.answers == {
        "architecture.kind": "cnn",
        "architecture.cnn.width": 8,
        "architecture.cnn.kernel": 5,
        "optimizer.lr": 0.02,
    }
    assert candidate.architecture == {"kind": "cnn", "width": 8, "kernel": 5}
    assert candidate.optimizer.lr == 0.02


def test_the_default_family_goes_first_then_warm_starts() -> None:
    warm = TREE | {"warm_start": [{"architecture.kind": "cnn", "architecture.cnn.width": 16}]}
    first = first_answers(parse(warm))
    assert [(origin, answers["architecture.kind"]) for origin, answers in first] == [
        ("default", "rnn"),
        ("default", "cnn"),
        ("warm_start", "cnn"),
    ]
    assert first[2][1]["architecture.cnn.width"] == 16


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"architecture.kind": "cnn", "architecture.cnn.widht": 16},
            "space.warm_start: nothing is called 'architecture.cnn.widht' in this candidate\n"
            "  fix: did you mean 'architecture.cnn.width'?",
        ),
        (
            {"architecture.kind": "vit"},
            "space.warm_start: architecture.kind: 'vit' is not an option\n  fix: one of: cnn, rnn",
        ),
        ({"optimizer.lr": 5.0}, "space.warm_start: optimizer.lr: 5.0 is not in [0.001, 0.1]"),
        (
            {"architecture.kind": "cnn", "architecture.cnn.width": 12},
            "space.warm_start: architecture.cnn.width: 12 is not a value of the range",
        ),
    ],
)
def test_a_wrong_warm_start_is_refused(entry: dict[str, Scalar], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        first_answers(parse(TREE | {"warm_start": [entry]}))
    assert str(caught.value) == message


def test_an_unknown_training_setting_is_refused() -> None:
    with pytest.raises(SpaceError) as caught:
        first_answers(parse(TREE | {"optimizer": {"learning_rate": 0.1}}))
    known = ", ".join(field.name for field in dataclasses.fields(Optimizer))
    assert str(caught.value) == f"space.optimizer: unknown key 'learning_rate'\n  fix: known keys: {known}"


@given(low=st.integers(-50, 50), steps=st.integers(1, 20), step=st.integers(1, 7), seed=st.integers(0, 99))
def test_integers_stay_on_their_grid(low: int, steps: int, step: int, seed: int) -> None:
    node = IntRange(low, low + steps * step, step, False, low)
    value = RandomChooser(stream(seed)).integer("x", node)
    assert low <= value <= node.high
    assert (value - low) % step == 0


@given(low=st.floats(1e-6, 1), factor=st.floats(1.01, 1e4), log=st.booleans(), seed=st.integers(0, 99))
def test_numbers_stay_in_their_range(low: float, factor: float, log: bool, seed: int) -> None:
    value = RandomChooser(stream(seed)).number("x", FloatRange(low, low * factor, log, low))
    assert low * 0.999999 <= value <= low * factor * 1.000001


def test_random_choices_reach_every_option() -> None:
    chooser, node = RandomChooser(stream(1)), Choice((1, 2, 3), 1)
    assert {chooser.choice("x", node.options, 1) for _ in range(60)} == {1, 2, 3}


@pytest.mark.parametrize(("name", "inputs"), SHIPPED)
def test_shipped_defaults_can_be_built(name: str, inputs: Inputs) -> None:
    space = shipped(name)
    kinds = [sample(space, DefaultChooser(answers)).architecture["kind"] for _, answers in first_answers(space)]
    assert sorted(kinds) == sorted(space.architecture.branches)
    for _, answers in first_answers(space):
        build(sample(space, DefaultChooser(answers)).architecture, inputs, 3)


@pytest.mark.parametrize(("name", "inputs"), SHIPPED)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_draw_of_a_shipped_space_can_be_built(name: str, inputs: Inputs, seed: int) -> None:
    candidate = sample(shipped(name), RandomChooser(stream(seed)))
    build(candidate.architecture, inputs, 3)
