"""Costs against numbers computed by hand, and against what torch really keeps."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from pipeline.core.contracts import ForecastInputs, ImageInputs, Inputs, SeriesInputs, TextInputs
from pipeline.models import build
from pipeline.models.cost import Cost, cost_of, example_rows, measured_latency, work_of

IMAGE = ImageInputs(channels=3, height=16, width=16, mean=(0.5,) * 3, std=(0.2,) * 3)
TEXT = TextInputs(length=12, vocabulary=("a", "b", "c"))
SERIES = SeriesInputs(channels=("x",), length=40, mean=(0.0,), std=(1.0,))
FORECAST = ForecastInputs(channels=("x", "day"), targets=1, known=1, window=40, horizon=8, season=None)


class Attention(nn.Module):
    def forward(self, q: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(q, q, q)


class Packed(nn.Module):
    """A recurrence over sequences of 3, 2 and 1 steps."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Any:
        return self.cell(pack_padded_sequence(x, torch.tensor([3, 2, 1]), batch_first=True))


B, T, D, H = 3, 7, 5, 6


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(
    ("network", "x", "expected"),
    [
        (nn.Linear(8, 5), torch.zeros(B, 8), B * 8 * 5),
        (nn.Conv2d(2, 4, 3, padding=1), torch.zeros(B, 2, 7, 9), B * 4 * 2 * 3 * 3 * 7 * 9),
        (nn.Conv2d(4, 4, 3, groups=4, stride=2), torch.zeros(B, 4, 7, 9), B * 4 * 3 * 3 * 3 * 4),
        (nn.Conv1d(2, 4, 5, padding=2), torch.zeros(B, 2, 11), B * 4 * 2 * 5 * 11),
        (nn.GRU(D, H, batch_first=True), torch.zeros(B, T, D), B * T * 3 * H * (D + H)),
        (nn.LSTM(D, H, batch_first=True), torch.zeros(B, T, D), B * T * 4 * H * (D + H)),
        (
            nn.GRU(D, H, 2, batch_first=True, bidirectional=True),
            torch.zeros(B, T, D),
            B * T * 2 * 3 * H * (D + H + 2 * H + H),
        ),
        (Packed(nn.LSTM(D, H, batch_first=True)), torch.zeros(3, 3, D), (3 + 2 + 1) * 4 * H * (D + H)),
        (Attention(), torch.zeros(B, 2, T, D), B * 2 * 2 * T * T * D),
        (nn.EmbeddingBag(10, D, mode="sum"), torch.zeros(B, T, dtype=torch.long), B * T * D),
        (nn.Embedding(10, D), torch.zeros(B, T, dtype=torch.long), 0),
    ],
    ids=["linear", "conv", "depthwise", "conv1d", "gru", "lstm", "deep gru", "packed", "attention", "bag", "embedding"],
)
def test_multiply_adds_are_those_of_the_formula(network: nn.Module, x: Tensor, expected: int, device: str) -> None:
    if device == "meta" and isinstance(network, Packed):
        pytest.skip("packing needs the lengths")
    assert work_of(deepcopy(network).to(device), x.to(device)).multiply_adds == expected


def test_what_a_step_keeps_is_its_input_and_what_its_gradient_needs() -> None:
    network = nn.Sequential(nn.Linear(8, 6), nn.Sigmoid(), nn.Linear(6, 2))
    assert work_of(network, torch.zeros(5, 8)).saved_bytes == 4 * 5 * (8 + 6)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
@pytest.mark.parametrize("depth", [1, 2])
def test_recurrences_keep_about_what_the_formula_says(kind: type[nn.Module], depth: int) -> None:
    cell = kind(8, 32, depth, batch_first=True)
    x, own, kept = torch.zeros(4, 50, 8), {p.untyped_storage()._cdata for p in cell.parameters()}, {}

    def keep(saved: Tensor) -> Tensor:
        if saved.untyped_storage()._cdata not in own:
            kept[saved.untyped_storage()._cdata] = saved.untyped_storage()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        cell(x)
    assert work_of(cell, x).saved_bytes == pytest.approx(sum(s.nbytes() for s in kept.values()), rel=0.15)


def test_a_recurrence_computes_again_what_it_did_once_its_work_is_counted() -> None:
    cell, x = nn.GRU(D, H, batch_first=True), torch.randn(2, T, D)
    before = cell(x)[0]
    work_of(cell, x)
    assert torch.equal(cell(x)[0], before)


def test_the_cost_of_a_network_is_that_of_its_layers_for_one_row() -> None:
    cost = cost_of({"kind": "cnn", "width": 4, "stages": 1, "depth": 1}, IMAGE, 10)
    assert cost.parameters == 4 * 3 * 9 + 2 * 4 + 4 * 10 + 10
    assert cost.multiply_adds == 4 * 3 * 9 * 16 * 16 + 4 * 10
    assert Cost(parameters=10, multiply_adds=1, activation_bytes=3).training_bytes(8) == 8 * 3 + 16 * 10


@pytest.mark.parametrize("kind", ["cnn", "rnn", "transformer"])
@pytest.mark.parametrize("inputs", [IMAGE, TEXT, SERIES, FORECAST], ids=["image", "text", "series", "forecast"])
def test_without_weights_the_same_work_is_found(kind: str, inputs: Inputs) -> None:
    """The cost does not depend on which device the shapes were followed on."""
    architecture = {"kind": kind, "width": 16}
    cost, network = cost_of(architecture, inputs, 8), build(architecture, inputs, 8)
    two, four = (work_of(network, example_rows(inputs, n, gaps=False)) for n in (2, 4))
    assert cost.multiply_adds == (four.multiply_adds - two.multiply_adds) // 2
    assert cost.activation_bytes == pytest.approx((four.saved_bytes - two.saved_bytes) // 2, rel=0.05)


def test_asking_for_the_cost_draws_nothing() -> None:
    before = torch.get_rng_state()
    cost_of({"kind": "rnn", "width": 8}, TEXT, 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_latency_is_measured_where_it_is_said_to_be() -> None:
    network = build({"kind": "cnn", "width": 8}, IMAGE, 3).train()
    threads = torch.get_num_threads()
    found = measured_latency(network, IMAGE, batch=2, device="cpu", threads=1)
    assert (found.batch, found.device, found.threads) == (2, "cpu", 1)
    assert found.milliseconds > 0
    assert found.spread >= 0
    assert network.training
    assert torch.get_num_threads() == threads


def test_rows_without_gaps_are_of_full_length() -> None:
    assert (example_rows(TEXT, 50, gaps=False) > 0).all()
    assert (example_rows(TEXT, 50) == 0).any()
    assert example_rows(SERIES, 50).isnan().any()
    assert not example_rows(SERIES, 50, gaps=False).isnan().any()
    window = example_rows(FORECAST, 50, gaps=False)
    assert window[:, 0, :40].isfinite().all()
    assert window[:, 0, 40:].isnan().all()
    assert window[:, 1].isfinite().all()
