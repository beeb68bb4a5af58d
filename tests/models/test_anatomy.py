"""What a network is made of: nothing is left out, and what reads what is what the forward pass does."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from pipeline.core.contracts import (
    CategoricalColumn,
    ForecastInputs,
    ImageInputs,
    Inputs,
    Layer,
    NumericColumn,
    SeriesInputs,
    TableInputs,
    TextInputs,
)
from pipeline.models import FAMILIES, build, parameter_count
from pipeline.models.anatomy import layers_of

IMAGE = ImageInputs(channels=3, height=32, width=32, mean=(0.5,) * 3, std=(0.2,) * 3)
TEXT = TextInputs(length=40, vocabulary=tuple(f"w{i}" for i in range(50_000)))
SERIES = SeriesInputs(channels=("x", "y"), length=60, mean=(0.0, 0.0), std=(1.0, 1.0))
FORECAST = ForecastInputs(channels=("x", "y", "day"), targets=2, known=1, window=48, horizon=6, season=None)
TABLE = TableInputs(
    columns=(
        NumericColumn(name="a", edges=(-1.0, 0.0, 2.0, 5.0), median=0.5, missing=True),
        CategoricalColumn(name="b", categories=("x", "y", "z"), mode=2),
    ),
    rows=500,
)
INPUTS: tuple[Inputs, ...] = (IMAGE, TEXT, SERIES, FORECAST, TABLE)
CASES = [(kind, inputs) for kind, family in FAMILIES.items() for inputs in INPUTS if isinstance(inputs, family.reads)]
NEEDED: Mapping[str, dict[str, Any]] = {"cnn": {"width": 16}, "rnn": {"width": 16}, "transformer": {"width": 16}}


def drawn(kind: str, inputs: Inputs, **settings: Any) -> tuple[Layer, ...]:
    outputs = 12 if isinstance(inputs, ForecastInputs) else 3
    return layers_of({"kind": kind} | NEEDED.get(kind, {}) | settings, inputs, outputs)


@pytest.mark.parametrize(("kind", "inputs"), CASES, ids=[f"{kind}-{inputs.kind}" for kind, inputs in CASES])
def test_every_weight_stands_in_one_part_and_every_part_is_read(kind: str, inputs: Inputs) -> None:
    before = torch.get_rng_state()
    layers = drawn(kind, inputs)
    assert torch.equal(torch.get_rng_state(), before)
    outputs = 12 if isinstance(inputs, ForecastInputs) else 3
    network = build({"kind": kind} | NEEDED.get(kind, {}), inputs, outputs)
    assert sum(layer.parameters for layer in layers) == parameter_count(network)
    names = [layer.name for layer in layers]
    assert len(set(names)) == len(names)
    called = [layer for layer in layers if layer.kind != "weights"]
    assert [called[0].name, called[-1].name] == ["input", "output"]
    assert called[-1].output == (outputs,)
    for at, layer in enumerate(called[1:], start=1):
        assert layer.after, layer.name
        assert set(layer.after) <= set(names[:at]), layer.name
    read = {name for layer in called for name in layer.after}
    assert [layer.name for layer in called[:-1] if layer.name not in read] == []


def test_shapes_and_words_of_convolutions() -> None:
    layers = drawn("speednet", IMAGE, width=16)
    whitening, first, pool = layers[2], layers[3], layers[4]
    assert (whitening.kind, whitening.output, whitening.parameters, whitening.fixed) == (
        "Whitening",
        (24, 31, 31),
        24,
        288,
    )
    assert (first.words, first.output, first.parameters) == ("3 × 3 convolution, 24 → 16", (16, 31, 31), 24 * 16 * 9)
    assert (pool.words, pool.light, pool.output, pool.after) == ("max pooling 2", True, (16, 15, 15), (first.name,))


def test_filters_of_several_lengths_stand_side_by_side() -> None:
    layers = {layer.name: layer for layer in drawn("textcnn", TEXT, width=8, filters=4)}
    convolutions = [layer for layer in layers.values() if layer.kind == "Conv1d"]
    assert [layer.words for layer in convolutions] == [f"convolution over {size} steps, 8 → 4" for size in (3, 4, 5)]
    assert len({layer.after for layer in convolutions}) == 1
    assert convolutions[0].after == ("stem.embedding",)
    assert layers["head.linear"].after == tuple(layer.name for layer in convolutions)
    assert layers["stem.embedding"].parameters == 50_002 * 8
    assert layers["output"].after == ("stem.wide", "head.linear")


def test_a_linear_forecast_goes_past_the_net_beside_it() -> None:
    layers = {layer.name: layer for layer in drawn("patchtst", FORECAST)}
    assert layers["output"].after == ("stem", "trunk.linear", "trunk.trunk.last")  # the last value is added
    assert layers["trunk.linear"].after == ("stem",)
    assert layers["trunk.linear"].fixed == (48 + 6) * 6
    assert layers["trunk.trunk.positions"].words == "positions, 3 × 64"
    block = next(layer for layer in layers.values() if layer.kind == "Block")
    assert block.inside[0] == "linear, 64 → 192"
    assert block.output == (2, 3, 64)


def test_equal_layers_inside_a_part_are_told_once() -> None:
    inside = [layer.inside for layer in drawn("cct", IMAGE, width=32, convolutions=2, depth=1)]
    assert ("3 × 3 convolution, 3 → 16", "3 × 3 convolution, 16 → 32") in inside
