"""Every family, on images and tables, keeps the same promises. A new family is swept in by its line in FAMILIES."""

from typing import Any

import pytest
import torch

from pipeline.core.contracts import (
    CategoricalColumn,
    ForecastInputs,
    ImageInputs,
    Inputs,
    NumericColumn,
    Optimizer,
    SeriesInputs,
    TableInputs,
    TextInputs,
)
from pipeline.core.errors import SpaceError
from pipeline.models import FAMILIES, Network, build, parameter_count
from pipeline.models.cost import cost_of
from pipeline.models.cost import example_rows as rows
from pipeline.training.data import Rows
from pipeline.training.optimizers import make_optimizer

IMAGE = ImageInputs(channels=2, height=9, width=12, mean=(0.3, 0.5), std=(0.4, 0.2))
TABLE = TableInputs(
    columns=(
        NumericColumn(name="a", edges=(-1.0, 0.0, 2.0, 5.0), median=0.5, missing=True, atoms=(0.0, 2.0)),
        CategoricalColumn(name="b", categories=("x", "y", "z"), mode=2),
        NumericColumn(name="c", edges=(0.0, 1.0), median=0.5, missing=False),
        NumericColumn(name="d", edges=(0.0, 1.0, 3.0), median=1.5, missing=True, atoms=(1.0,)),
        CategoricalColumn(name="e", categories=("p",), mode=1),
    )
)
ONE_COLUMN = TableInputs(columns=(CategoricalColumn(name="b", categories=("x", "y", "z"), mode=2),))
ATOMS = TableInputs(
    columns=(
        *(NumericColumn(name=n, edges=(-1.0, 0.0, 2.0), median=0.5, missing=False, atoms=(0.0, 2.0)) for n in "abcd"),
        *(CategoricalColumn(name=n, categories=("x", "y"), mode=1) for n in "efghij"),
    )
)
NUMBERS = TableInputs(columns=(NumericColumn(name="a", edges=(-1.0, 0.0, 2.0), median=0.5, missing=False),) * 2)
TEXT = TextInputs(length=11, vocabulary=("the", "cat", "sat", "on", "mat"))
SERIES = SeriesInputs(channels=("x", "y"), length=21, mean=(0.1, -0.2), std=(1.0, 2.0))
LONG = SeriesInputs(channels=("x",), length=300, mean=(0.0,), std=(1.0,))
FORECAST = ForecastInputs(channels=("x", "y"), targets=1, known=0, window=100, horizon=3, season=None)
KNOWN = ForecastInputs(channels=("x", "past", "known"), targets=1, known=1, window=10, horizon=3, season=None)
PAIRS = TextInputs(length=11, vocabulary=TEXT.vocabulary, pairs=5)
INPUTS: dict[str, Inputs] = {
    "text with pairs": PAIRS,
    "forecast": FORECAST,
    "forecast with known": KNOWN,
    "text": TEXT,
    "series": SERIES,
    "long series": LONG,
    "image": IMAGE,
    "table": TABLE,
    "one column": ONE_COLUMN,
    "numbers": NUMBERS,
    "frequent numbers": ATOMS,
}
SMALL: dict[str, list[dict[str, Any]]] = {
    "mlp": [{}, {"width": 8, "depth": 1, "dropout": 0.2, "token": 4, "embedding": "periodic", "sigma": 0.3}],
    "tabm": [{"members": 3, "width": 16}, {"members": 1, "width": 8, "depth": 1, "token": 4, "embedding": "periodic"}],
    "table_resnet": [{"width": 8}, {"width": 16, "depth": 3, "hidden": 1, "dropout": 0.0, "embedding": "periodic"}],
    "cnn": [{"width": 8}, {"width": 4, "stages": 4, "depth": 3, "kernel": 5, "dropout": 0.2}],
    "rnn": [{"width": 8}, {"width": 8, "cell": "lstm", "depth": 2, "dropout": 0.2}],
    "transformer": [{"width": 8}, {"width": 16, "depth": 3, "heads": 2, "mlp_ratio": 1, "dropout": 0.2}],
    "speednet": [{"width": 8}, {"width": 4, "growth": 3, "stages": 4, "depth": 4, "dropout": 0.2}],
    "resnet": [{"width": 8}, {"width": 4, "stages": 5, "blocks": 2, "kernel": 5, "squeeze_excite": True,
                              "drop_path": 0.2, "dropout": 0.2}],
    "convnext": [{"width": 8}, {"width": 4, "stages": 3, "blocks": 3, "kernel": 7, "patch": 4, "drop_path": 0.2,
                                "dropout": 0.2}],
    "mbconv": [{"width": 8}, {"width": 4, "stages": 5, "blocks": 3, "expand": 1, "kernel": 5, "squeeze_excite": False,
                              "drop_path": 0.2, "dropout": 0.2}],
    "cct": [{"width": 8}, {"width": 16, "convolutions": 2, "depth": 3, "heads": 2, "mlp_ratio": 1, "drop_path": 0.2,
                           "dropout": 0.2}],
    "bag": [{"width": 8}, {"width": 4, "vectors": False, "wide": False, "dropout": 0.2}],
    "textcnn": [{"width": 8}, {"width": 4, "filters": 6, "shortest": 1, "lengths": 4, "wide": False, "dropout": 0.2}],
    "kernels": [{"groups": 8}, {"groups": 4, "kernels": 3, "thresholds": 0, "frozen": False}],
    "inception": [{"width": 8}, {"width": 4, "depth": 2, "kernel": 9, "lite": True, "dropout": 0.2}],
    "series_resnet": [{"width": 8}, {"width": 4, "blocks": 1, "dropout": 0.2}],
    "linear": [{"residual": 8}, {"residual": 4, "frozen": False}],
    "tsmixer": [{"width": 8, "dropout": 0.0}, {"width": 4, "depth": 1}],
    "patchtst": [{"width": 8}, {"width": 16, "depth": 1, "heads": 2, "patch": 7}],
}  # fmt: skip
LEARNS: dict[str, dict[str, Any]] = {
    "kernels": {"frozen": False},
    "linear": {"residual": 64, "dropout": 0.0},
    "tsmixer": {"width": 32, "dropout": 0.0},
}
"""Fields with which a family overfits, where they are not `width: 32`."""
CASES = [
    pytest.param({"kind": family} | fields, inputs, id=f"{family} {i}, {name}")
    for family, variants in SMALL.items()
    for i, fields in enumerate(variants)
    for name, inputs in INPUTS.items()
    if isinstance(inputs, FAMILIES[family].reads)
]


def readers(*names: str) -> list[Any]:
    """Return a case for each family and each of the named inputs that it reads."""
    return [
        pytest.param(family, INPUTS[name], id=f"{family}, {name}")
        for family in FAMILIES
        for name in names
        if isinstance(INPUTS[name], FAMILIES[family].reads)
    ]


def made(architecture: dict[str, Any], inputs: Inputs, seed: int = 1) -> Network:
    torch.manual_seed(seed)
    return build(architecture, inputs, 3)


def test_every_family_is_covered_here() -> None:
    assert set(SMALL) == set(FAMILIES)


@pytest.mark.parametrize(("architecture", "inputs"), CASES)
def test_shapes_and_batch_of_one(architecture: dict[str, Any], inputs: Inputs) -> None:
    network = made(architecture, inputs)
    assert network(rows(inputs, 7)).shape == (7, 3)
    assert network.train()(rows(inputs, 1)).shape == (1, 3)
    assert network.eval()(rows(inputs, 1)).shape == (1, 3)


@pytest.mark.parametrize(("architecture", "inputs"), CASES)
def test_loss_is_finite_and_every_weight_gets_a_gradient(architecture: dict[str, Any], inputs: Inputs) -> None:
    network = made(architecture, inputs)
    loss = torch.nn.functional.cross_entropy(network(rows(inputs, 64)), torch.arange(64) % 3)
    assert torch.isfinite(loss)
    loss.backward()
    trained = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    silent = [name for name, p in trained if p.grad is None or not p.grad.abs().sum() > 0]
    if inputs is ONE_COLUMN:  # a sequence of one step has no past
        silent = [name for name in silent if "weight_hh" not in name]
    assert silent == []


@pytest.mark.parametrize(("architecture", "inputs"), CASES)
def test_the_size_is_known_without_making_the_weights(architecture: dict[str, Any], inputs: Inputs) -> None:
    with torch.device("meta"):
        drawn = build(architecture, inputs, 3)
    assert parameter_count(drawn) == parameter_count(made(architecture, inputs))


@pytest.mark.parametrize(("architecture", "inputs"), CASES)
def test_the_cost_is_known_and_grows_with_the_width(architecture: dict[str, Any], inputs: Inputs) -> None:
    assert cost_of(architecture, inputs, 3).parameters == parameter_count(made(architecture, inputs))
    field = next((name for name in ("width", "groups", "residual") if name in architecture), "width")
    size = architecture.get(field, 64)
    cost, wider = (cost_of(architecture | {field: w * size}, inputs, 3) for w in (1, 2))
    assert 0 < cost.multiply_adds < wider.multiply_adds
    assert 0 < cost.activation_bytes <= wider.activation_bytes  # what is frozen keeps nothing


@pytest.mark.parametrize(("architecture", "inputs"), CASES)
def test_same_seed_same_weights(architecture: dict[str, Any], inputs: Inputs) -> None:
    first, again, other = (made(architecture, inputs, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(("architecture", "inputs"), CASES)
def test_a_row_does_not_depend_on_its_neighbours(architecture: dict[str, Any], inputs: Inputs) -> None:
    network = made(architecture, inputs).eval()
    x = rows(inputs, 6)
    with torch.no_grad():
        torch.testing.assert_close(network(x)[:2], network(x[:2]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("architecture", "inputs"), CASES)
def test_logits_are_the_same_with_and_without_gradients(architecture: dict[str, Any], inputs: Inputs) -> None:
    """A fast path that computes something else would make attributions explain another function."""
    network = made(architecture, inputs).eval()
    x = rows(inputs, 4)
    with torch.no_grad():
        without = network(x)
    x = x.clone().requires_grad_() if x.is_floating_point() else x
    torch.testing.assert_close(network(x).detach(), without, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("kind", "inputs"), readers("image", "table", "text", "series", "forecast"))
def test_overfits_32_rows(kind: str, inputs: Inputs) -> None:
    network = made({"kind": kind} | LEARNS.get(kind, {"width": 32}), inputs)
    x, y = rows(inputs, 32), torch.arange(32) % 3
    if isinstance(inputs, TextInputs):
        network.start_from(Rows(x.numpy(), y.numpy(), inputs, "cpu"), 1)
    optimizer = make_optimizer(network, Optimizer(lr=1e-2))
    for _ in range(150):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x), y).backward()
        learned = [p for p in network.parameters() if p.grad is not None]
        torch.nn.utils.clip_grad_norm_([p for p in learned if not p.grad.is_sparse], 1.0)
        optimizer.step()
    assert (network.eval()(x).argmax(1) == y).float().mean() >= 0.95


def test_parameter_count_counts_trainable_weights() -> None:
    network = made({"kind": "cnn", "width": 4, "stages": 1, "depth": 1}, IMAGE)
    assert parameter_count(network) == 4 * 2 * 9 + 2 * 4 + 4 * 3 + 3
    network.head.requires_grad_(False)
    assert parameter_count(network) == 4 * 2 * 9 + 2 * 4


def test_numbers_beyond_the_bins_change_nothing() -> None:
    """Piecewise-linear encoding ends at the training range, so that an outlier cannot throw a prediction anywhere."""
    network = made({"kind": "cnn", "width": 8}, NUMBERS).eval()
    with torch.no_grad():
        inside, outside = network(torch.tensor([[2.0, 2.0]])), network(torch.tensor([[1e9, 2.0]]))
    assert torch.equal(inside, outside)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (
            {"kind": "transfomer", "width": 8},
            "space.architecture: there is no family 'transfomer'\n  fix: did you mean 'transformer'?",
        ),
        (
            {"kind": "transformer", "width": 10, "heads": 4},
            "space.architecture.transformer: width 10 is not divisible by heads 4",
        ),
        ({"kind": "cnn", "width": 8, "kernel": 4}, "space.architecture.cnn: kernel 4 is not odd"),
        (
            {"kind": "rnn", "width": 8, "cell": "grru"},
            "space.architecture.rnn.cell: 'grru' is not one of gru, lstm\n  fix: did you mean 'gru'?",
        ),
        (
            {"kind": "rnn", "widht": 8},
            "space.architecture.rnn: unknown key 'widht'\n  fix: did you mean 'width'?",
        ),
    ],
)
def test_a_wrong_architecture_is_refused(architecture: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        build(architecture, IMAGE, 3)
    assert str(caught.value) == message


@pytest.mark.parametrize(("kind", "inputs"), readers("text", "text with pairs"))
def test_padding_changes_nothing(kind: str, inputs: TextInputs) -> None:
    """A text scores the same alone, where training would cut its padding, and among longer ones."""
    network = made({"kind": kind} | SMALL[kind][0], inputs).eval()
    x = torch.zeros(2, 11, dtype=torch.long)
    x[0, :4] = torch.tensor([2, 3, 4, 5])
    x[1] = 3
    with torch.no_grad():
        among = network(x)[:1]
        network.stem.train()
        alone = network(x[:1])
    torch.testing.assert_close(among, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("kind", "inputs"), readers("forecast", "forecast with known"))
def test_a_forecast_moves_with_its_targets_and_starts_near_the_last_value(kind: str, inputs: ForecastInputs) -> None:
    network = made({"kind": kind} | SMALL[kind][0], inputs).eval()
    x = rows(inputs, 5)
    x[:, 0, inputs.window - 1] = 7.0
    moved = x.clone()
    moved[:, 0, : inputs.window] += 100.0
    with torch.no_grad():
        torch.testing.assert_close(network(moved), network(x) + 100.0, atol=1e-3, rtol=1e-4)
        assert (network(x) - 7.0).abs().max() < 1.0


@pytest.mark.parametrize(("kind", "inputs"), readers("text", "series"))
def test_an_empty_sequence_has_a_finite_prediction(kind: str, inputs: Inputs) -> None:
    x = torch.zeros(2, 11, dtype=torch.long) if inputs is TEXT else torch.full((2, 2, 21), torch.nan)
    assert made({"kind": kind} | SMALL[kind][0], inputs).eval()(x).isfinite().all()
