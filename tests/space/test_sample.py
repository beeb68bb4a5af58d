"""Tree to candidate: names, defaults, and that every draw of a shipped space can be built."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
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
    Chooser,
    DefaultChooser,
    FloatRange,
    Forbidden,
    IntRange,
    PriorChooser,
    RandomChooser,
    Scalar,
    Space,
    answers,
    first_answers,
    parse,
    sample,
)

TREE: dict[str, Any] = {
    "architecture": {
        "default": "rnn",
        "cnn": {"width": {"int": [8, 16], "step": 8}, "kernel": {"choice": [3, 5], "default": 5}},
        "rnn": {"width": 8},
    },
    "optimizer": {"lr": {"float": [1e-3, 1e-1], "log": True, "default": 0.02}},
}

IMAGE = ImageInputs(channels=1, height=8, width=8, mean=(0.3,), std=(0.4,))
TABLE = TableInputs(columns=(NumericColumn(name="x", edges=(0.0, 1.0, 2.0), median=1.0, missing=False),) * 3)
SHIPPED: list[tuple[str, Inputs]] = [("image", IMAGE), ("table", TABLE), ("tiny", IMAGE), ("tiny", TABLE)]


def shipped(name: str) -> Space:
    return parse(yaml.safe_load(Path(f"search_spaces/{name}.yaml").read_text()))


def test_names_are_paths_in_the_tree() -> None:
    chooser = DefaultChooser({"architecture.kind": "cnn"})
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
            {"architecture.kind": "rnn", "architecture.cnn.width": 16},
            "space.warm_start: nothing is called 'architecture.cnn.width' in this candidate\n"
            "  fix: did you mean 'architecture.kind'?",
        ),
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


def test_a_warm_start_names_no_setting_its_conditions_leave_out_and_no_block_that_would_shrink() -> None:
    family = {
        "cell": {"choice": ["gru", "lstm"]},
        "bias": {"choice": [0, 1], "when": "cell == 'lstm'"},
        "s": {"repeat": [1, 2], "of": {"w": {"choice": [8, 16], "grow": "nondecreasing"}}},
    }
    at = "architecture.it"
    for entry, message in [
        ({f"{at}.bias": 1}, f"nothing is called '{at}.bias' in this candidate\n  fix: did you mean '{at}.s.0.w'?"),
        ({f"{at}.s.1.w": 8}, f"nothing is called '{at}.s.1.w' in this candidate\n  fix: did you mean '{at}.s.0.w'?"),
        (
            {f"{at}.s.count": 2, f"{at}.s.0.w": 16, f"{at}.s.1.w": 8},
            f"{at}.s.1.w: 8 would not grow, the block before has 16\n  fix: give 16 or what grows",
        ),
    ]:
        with pytest.raises(SpaceError) as caught:
            first_answers(parse({"architecture": {"it": family}, "warm_start": [entry]}))
        assert str(caught.value) == f"space.warm_start: {message}"


def test_an_unknown_training_setting_is_refused() -> None:
    with pytest.raises(SpaceError) as caught:
        first_answers(parse(TREE | {"optimizer": {"learning_rate": 0.1}}))
    known = ", ".join(field.name for field in dataclasses.fields(Optimizer))
    assert str(caught.value) == f"space.optimizer: unknown key 'learning_rate'\n  fix: known keys: {known}"


def in_range(name: str, node: Choice | IntRange | FloatRange, value: Scalar) -> None:
    if isinstance(node, Choice):
        assert value in node.options, name
        return
    assert not isinstance(value, str)
    assert node.low <= value <= node.high, name
    if isinstance(node, IntRange):
        assert type(value) is int
        assert (value - node.low) % node.step == 0


class Watcher:
    """Passes questions on, keeps every node asked for by name, and refuses answers outside of it."""

    def __init__(self, chooser: Chooser, nodes: dict[str, Choice | IntRange | FloatRange]) -> None:
        self.chooser, self.nodes = chooser, nodes

    def choice(self, name: str, node: Choice) -> Scalar:
        return self._seen(name, node, self.chooser.choice(name, node))

    def integer(self, name: str, node: IntRange) -> int:
        return int(self._seen(name, node, self.chooser.integer(name, node)))

    def number(self, name: str, node: FloatRange) -> float:
        return float(self._seen(name, node, self.chooser.number(name, node)))

    def _seen(self, name: str, node: Choice | IntRange | FloatRange, value: Scalar) -> Scalar:
        assert self.nodes.setdefault(name, node) == node
        in_range(name, node, value)
        return value


PRIORS = st.sampled_from([None, "low", "medium", "high"])
CHOOSERS = st.sampled_from([RandomChooser, PriorChooser])


@given(
    low=st.integers(1, 50), steps=st.integers(1, 20), step=st.integers(1, 7), at=st.integers(0, 20), log=st.booleans(),
    prior=PRIORS, kind=CHOOSERS, seed=st.integers(0, 99),
)  # fmt: skip
def test_integers_stay_on_their_grid(
    low: int, steps: int, step: int, at: int, log: bool, prior: Any, kind: type[RandomChooser], seed: int
) -> None:
    step = 1 if log else step
    node = IntRange(low, low + steps * step, step, log, low + min(at, steps) * step, prior)
    in_range("x", node, kind(stream(seed)).integer("x", node))


@given(
    low=st.floats(1e-6, 1), factor=st.floats(1.01, 1e4), at=st.floats(0, 1), log=st.booleans(), prior=PRIORS,
    kind=CHOOSERS, seed=st.integers(0, 99),
)  # fmt: skip
def test_numbers_stay_in_their_range(
    low: float, factor: float, at: float, log: bool, prior: Any, kind: type[RandomChooser], seed: int
) -> None:
    high = low * factor
    node = FloatRange(low, high, log, min(high, low + at * (high - low)), prior)
    in_range("x", node, kind(stream(seed)).number("x", node))


NESTED: dict[str, Any] = {
    "architecture": {
        "default": "cnn",
        "prior": "medium",
        "cnn": {
            "cell": {"choice": ["gru", "lstm"], "prior": "low"},
            "bias": {"float": [0, 2], "when": "cell == 'lstm' and optimizer.lr < 0.1"},
            "stages": {
                "repeat": [1, 4],
                "default": 2,
                "of": {
                    "width": {"choice": [16, 32, 64], "grow": "nondecreasing", "default": 32, "prior": "high"},
                    "rate": {"float": [0.1, 0.9], "grow": "nonincreasing", "when": "width > 16"},
                    "conv": {"one_of": {"plain": {"kernel": {"choice": [3, 5]}}, "wide": {"rates": {
                        "repeat": [0, 2], "of": {"int": [1, 9], "log": True, "prior": "medium", "default": 3}}}}},
                },
            },
            "same": {"repeat": [2, 3], "tie": True, "of": {"heads": {"choice": [2, 4]}, "drop": {"float": [0, 1]}}},
            "forbid": ["stages.count == 4 and stages[3].width == 16"],
        },
        "rnn": {"width": {"int": [8, 64], "step": 8}},
    },
    "optimizer": {
        "lr": {"float": [1e-4, 1.0], "log": True, "default": 1e-3, "prior": "medium"},
        "kind": {"choice": ["adamw", "sgd"]},
        "momentum": {"float": [0.8, 0.99], "when": "kind == 'sgd'"},
        "mixup": {"choice": [0.1, 0.2], "when": "architecture.cnn.stages.count > 2"},
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", [RandomChooser, PriorChooser])
def test_a_name_has_one_distribution_over_all_draws_and_every_answer_is_in_it(kind: type[RandomChooser]) -> None:
    space, nodes = parse(NESTED), dict[str, Choice | IntRange | FloatRange]()
    for seed in range(300):
        answers(space, Watcher(kind(stream(seed)), nodes))
    answers(space, Watcher(DefaultChooser({}), nodes))
    cnn = "architecture.cnn"
    assert {f"{cnn}.stages.{i}.width" for i in range(4)} <= nodes.keys()
    assert {f"{cnn}.stages.0.conv.wide.rates.count", f"{cnn}.same.each.heads", f"{cnn}.same.count"} <= nodes.keys()
    assert {f"{cnn}.stages.3.conv.wide.rates.1", f"{cnn}.bias", "optimizer.mixup", "optimizer.kind"} <= nodes.keys()
    assert len(nodes) == 4 * 7 + 8 + 4


@settings(max_examples=150)
@given(seed=st.integers(0, 10**6), kind=CHOOSERS)
def test_what_a_candidate_holds_follows_from_its_conditions(seed: int, kind: type[RandomChooser]) -> None:
    space = parse(NESTED)
    try:
        candidate = sample(space, kind(stream(seed)))
    except Forbidden:
        drawn = answers(space, kind(stream(seed)))
        assert {drawn[f"architecture.cnn.stages.{i}.width"] for i in range(4)} == {16}
        return
    a, o = candidate.architecture, candidate.optimizer
    assert (o.momentum != Optimizer().momentum) == (o.kind == "sgd")
    stages = a.get("stages", ())
    assert (o.mixup > 0) == (len(stages) > 2)
    if a["kind"] == "rnn":
        assert set(a) == {"kind", "width"}
        return
    assert ("bias" in a) == (a["cell"] == "lstm" and o.lr < 0.1)
    assert [s["width"] for s in stages] == sorted(s["width"] for s in stages)
    assert not (len(stages) == 4 and stages[3]["width"] == 16)
    rates = [s["rate"] for s in stages if "rate" in s]
    assert rates == sorted(rates, reverse=True)
    assert [("rate" in s) for s in stages] == [s["width"] > 16 for s in stages]
    assert a["same"] == (a["same"][0],) * len(a["same"])
    assert isinstance(a["same"], tuple)


def named(given: Mapping[str, Scalar], family: Mapping[str, Any]) -> Mapping[str, Any]:
    return sample(parse({"architecture": {"it": family}}), DefaultChooser(given)).architecture


def test_blocks_have_their_own_names_and_the_widest_so_far_is_used() -> None:
    family = {"stages": {"repeat": [1, 3], "of": {"width": {"choice": [16, 32, 64], "grow": "nondecreasing"}}}}
    at = "architecture.it.stages"
    given = {f"{at}.count": 3, f"{at}.0.width": 32, f"{at}.1.width": 16, f"{at}.2.width": 64}
    chooser = DefaultChooser(given)
    drawn = sample(parse({"architecture": {"it": family}}), chooser).architecture
    assert drawn["stages"] == ({"width": 32}, {"width": 32}, {"width": 64})
    assert chooser.answers == {"architecture.kind": "it", **given}


def test_tied_blocks_share_one_draw_and_scalars_may_be_blocks() -> None:
    family = {
        "heads": {"repeat": 3, "tie": True, "of": {"choice": [2, 4]}},
        "widths": {"repeat": 2, "of": {"int": [1, 9], "grow": "nonincreasing"}},
    }
    given = {"architecture.it.heads.each": 4, "architecture.it.widths.0": 3, "architecture.it.widths.1": 7}
    assert named(given, family) == {"kind": "it", "heads": (4, 4, 4), "widths": (3, 3)}


def test_a_block_without_the_value_is_stepped_over_when_it_grows() -> None:
    block = {"on": {"choice": [True, False]}, "width": {"int": [1, 9], "grow": "nondecreasing", "when": "on"}}
    at = "architecture.it.s"
    given = {f"{at}.0.width": 7, f"{at}.1.on": False, f"{at}.2.width": 2}
    drawn = named(given, {"s": {"repeat": 3, "of": block}})["s"]
    assert drawn == ({"on": True, "width": 7}, {"on": False}, {"on": True, "width": 7})


def test_a_condition_may_look_ahead_and_along_a_chain() -> None:
    family = {
        "a": {"choice": [1, 2], "when": "b == 2"},
        "b": {"choice": [1, 2], "when": "c == 2"},
        "c": {"choice": [1, 2]},
    }
    at = "architecture.it"
    assert named({}, family) == {"kind": "it", "c": 1}
    assert named({f"{at}.c": 2}, family) == {"kind": "it", "b": 1, "c": 2}
    assert named({f"{at}.c": 2, f"{at}.b": 2}, family) == {"kind": "it", "a": 1, "b": 2, "c": 2}


def test_a_path_into_a_branch_not_chosen_makes_an_expression_false() -> None:
    tree = TREE | {"forbid": ["architecture.cnn.width == 8", "not (architecture.cnn.width == 16)"]}
    space = parse(tree)
    assert sample(space, DefaultChooser({})).architecture["kind"] == "rnn"
    with pytest.raises(Forbidden) as caught:
        sample(space, DefaultChooser({"architecture.kind": "cnn"}))
    assert str(caught.value) == "space.forbid[0]: forbidden: architecture.cnn.width == 8"


def test_a_default_or_a_warm_start_that_is_forbidden_is_refused() -> None:
    with pytest.raises(SpaceError) as caught:
        first_answers(parse(TREE | {"forbid": ["architecture.cnn.width == 8"]}, "s"))
    assert str(caught.value) == (
        "s.forbid[0]: forbidden: architecture.cnn.width == 8: this is the default of family 'cnn'\n"
        "  fix: change it, or what is forbidden"
    )
    warm = {"warm_start": [{"optimizer.lr": 0.01}, {"optimizer.lr": 0.1}], "forbid": ["optimizer.lr > 0.05"]}
    with pytest.raises(SpaceError) as caught:
        first_answers(parse(TREE | warm))
    assert str(caught.value) == (
        "space.forbid[0]: forbidden: optimizer.lr > 0.05: this is warm_start[1]\n  fix: change it, or what is forbidden"
    )


def test_an_expression_that_cannot_be_computed_is_refused() -> None:
    for text, why in [
        ("optimizer.lr > 'x'", "'>' not supported between instances of 'float' and 'str'"),
        ("1 / (architecture.rnn.width - 8) > 1", "division by zero"),
        ("architecture.kind * 3 == 9", "'rnn' is not a number"),
        ("architecture.kind in 'rnn'", "'rnn' is not a list"),
    ]:
        with pytest.raises(SpaceError) as caught:
            first_answers(parse(TREE | {"forbid": [text]}))
        assert str(caught.value) == (
            f"space.forbid[0]: {text!r} cannot be computed: {why}\n"
            "  fix: compare numbers with numbers and texts with texts"
        )


def test_a_prior_draws_around_the_default() -> None:
    wide, sure = FloatRange(0.0, 1.0, False, 0.3), FloatRange(0.0, 1.0, False, 0.3, "high")
    chooser = PriorChooser(stream(3))
    spread = [np.std([chooser.number("x", node) for _ in range(2000)]) for node in (wide, sure)]
    assert spread[0] == pytest.approx(12**-0.5, abs=0.02)
    assert spread[1] == pytest.approx(0.125, abs=0.01)
    logs = FloatRange(1e-4, 1.0, True, 1e-3, "high")
    drawn = np.log10([chooser.number("x", logs) for _ in range(2000)])
    assert (drawn.mean(), drawn.std()) == (pytest.approx(-3.0, abs=0.05), pytest.approx(0.5, abs=0.05))
    for prior, share in (("low", 1 / 2), ("medium", 3 / 4), ("high", 7 / 8)):
        node = Choice((1, 2, 3), 2, prior)  # type: ignore[arg-type]
        counts = np.bincount([int(chooser.choice("x", node)) for _ in range(4000)], minlength=4) / 4000
        assert counts[1:] == pytest.approx([(1 - share) / 2, share, (1 - share) / 2], abs=0.03)
    ends = [chooser.integer("x", IntRange(0, 4, 2, False, 2, "low")) for _ in range(6000)]
    assert np.bincount(ends, minlength=5)[[0, 4]] / 6000 == pytest.approx([0.3, 0.3], abs=0.03)


def test_random_choices_reach_every_option() -> None:
    chooser, node = RandomChooser(stream(1)), Choice((1, 2, 3), 1)
    assert {chooser.choice("x", node) for _ in range(60)} == {1, 2, 3}


@pytest.mark.parametrize(("name", "inputs"), SHIPPED)
def test_shipped_defaults_can_be_built(name: str, inputs: Inputs) -> None:
    space = shipped(name)
    kinds = [sample(space, DefaultChooser(known)).architecture["kind"] for _, known in first_answers(space)]
    assert sorted(kinds) == sorted(space.architecture.branches)
    for _, known in first_answers(space):
        build(sample(space, DefaultChooser(known)).architecture, inputs, 3)


@pytest.mark.parametrize(("name", "inputs"), SHIPPED)
@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_every_draw_of_a_shipped_space_can_be_built(name: str, inputs: Inputs, seed: int) -> None:
    candidate = sample(shipped(name), RandomChooser(stream(seed)))
    build(candidate.architecture, inputs, 3)
