"""What is special to tables: how numbers become tokens, sizes by themselves, members of one network."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.core.contracts import CategoricalColumn, NumericColumn, TableInputs
from pipeline.core.errors import SpaceError
from pipeline.models import Network, build, parameter_count, settled_architecture
from pipeline.models.dropout import ByteDropout
from pipeline.models.table_resnet import BatchNorm
from pipeline.models.table_stem import Bins, TableStem
from pipeline.models.tabm import MemberHeads, Members
from pipeline.models.transformer import Block, SummaryBlock, TransformerArchitecture

EDGES = [(-1.0, 0.0, 2.0, 5.0), (0.0, 1.0), (3.0,), (0.0, 0.5, 1.0, 1.5, 4.0)]
NUMBERS = TableInputs(
    columns=tuple(NumericColumn(name=str(e), edges=e, median=0.5, missing=False) for e in EDGES), rows=5_000
)
SPIKES = TableInputs(
    columns=(
        NumericColumn(name="hours", edges=(0.0, 40.0, 99.0), median=40.0, missing=True, atoms=(20.0, 40.0)),
        CategoricalColumn(name="job", categories=("x", "y"), mode=1),
        NumericColumn(name="age", edges=(0.0, 99.0), median=30.0, missing=False),
        NumericColumn(name="gain", edges=(0.0, 10.0, 99.0), median=0.0, missing=True, atoms=(0.0,)),
    )
)


def encoded(x: float, edges: tuple[float, ...]) -> list[float]:
    """Gorishniy et al. 2022, equation 1, with both ends clipped, bin by bin."""
    return [min(1.0, max(0.0, (x - a) / (b - a))) for a, b in pairwise(edges)]


@pytest.mark.parametrize("x", [-7.0, -1.0, -0.25, 0.0, 0.5, 0.75, 1.0, 2.0, 3.0, 4.5, 5.0, 1e9])
def test_numbers_are_encoded_piecewise_linearly(x: float) -> None:
    torch.manual_seed(0)
    stem = TableStem(NUMBERS, 3)
    tokens_TD = stem(torch.full((1, 4), x))[0]
    weight, bias = stem.encoding.weight, stem.encoding.bias
    first = 0
    for row, edges in enumerate(EDGES):
        shares = encoded(x, edges)
        expected = bias[row] + sum((s * weight[first + q] for q, s in enumerate(shares)), torch.zeros(3))
        torch.testing.assert_close(tokens_TD[row], expected)
        first += max(1, len(shares))


def test_gradients_of_bins_are_those_of_the_formula() -> None:
    torch.manual_seed(0)
    stem = TableStem(TableInputs(columns=NUMBERS.columns[:1]), 2)
    x, pull = torch.tensor([[-0.5], [1.0], [3.5], [9.0]]), torch.randn(4, 1, 2)
    (stem(x) * pull).sum().backward()
    shares_BQ = torch.tensor([encoded(float(v), EDGES[0]) for v in x[:, 0]])
    torch.testing.assert_close(stem.encoding.weight.grad, shares_BQ.T @ pull[:, 0])


def test_an_atom_has_a_vector_of_its_own_and_its_neighbours_have_not() -> None:
    stem = TableStem(SPIKES, 4)
    rows = [[40.0, 1.0, 7.0, 0.0, 0.0, 0.0], [39.999, 1.0, 7.0, 0.001, 0.0, 0.0], [20.0, 1.0, 7.0, 99.0, 0.0, 0.0]]
    before = stem(torch.tensor(rows))
    assert stem.atoms is not None
    with torch.no_grad():
        stem.atoms.embedding.weight[1:] += torch.tensor([[1.0], [2.0], [4.0]])
    moved = stem(torch.tensor(rows)) - before
    expected = torch.tensor([[2.0, 0.0, 0.0, 4.0], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(moved, expected[:, :, None].expand(3, 4, 4))


def test_a_missing_mark_moves_the_token_of_its_column_alone() -> None:
    stem = TableStem(SPIKES, 4)
    known, gone = torch.tensor([[[40.0, 1, 7, 5, 0, 0]], [[40.0, 1, 7, 5, 0, 1]]])
    moved = (stem(gone) - stem(known))[0]
    torch.testing.assert_close(moved[3], stem.missing[1])
    assert torch.equal(moved[:3], torch.zeros(3, 4))


def test_periodic_numbers_are_ranked_first_so_that_outliers_are_bounded() -> None:
    stem = TableStem(NUMBERS, 4, embedding="periodic", sigma=2.0)
    far, end = stem(torch.tensor([[1e9] * 4])), stem(torch.tensor([[5.0] * 4]))
    assert torch.equal(far, end)
    assert stem(torch.tensor([[0.4] * 4])).sub(end).abs().amax(2).gt(0).tolist() == [[True, True, False, True]]


def test_the_middle_bin_edge_is_the_median_of_the_normal_distribution() -> None:
    bins = Bins([NumericColumn(name="a", edges=(0.0, 1.0, 10.0), median=1.0, missing=False)])
    at, share = bins(torch.tensor([[1.0], [5.5], [-3.0]]))
    assert (at + share).flatten().tolist() == [1.0, 1.5, 0.0]


def made(architecture: dict[str, Any], inputs: TableInputs = SPIKES, outputs: int = 3) -> Network:
    torch.manual_seed(1)
    return build(architecture, inputs, outputs)


@pytest.mark.parametrize(
    ("rows", "outputs", "widths", "dropout"),
    [
        (0, 2, [192, 192, 192], 0.2),
        (1_999, 2, [64, 64], 0.4),
        (1_999, 1, [64, 64], 0.4),
        (2_000, 2, [192, 192, 192], 0.2),
        (2_000, 1, [256, 256, 256], 0.1),
    ],
)
@pytest.mark.parametrize("kind", ["mlp", "tabm"])
def test_auto_follows_the_rows(kind: str, rows: int, outputs: int, widths: list[int], dropout: float) -> None:
    network = made({"kind": kind}, replace(NUMBERS, rows=rows), outputs)
    assert [m.out_features for m in network.trunk.modules() if isinstance(m, nn.Linear)] == widths
    assert {m.p for m in network.modules() if isinstance(m, nn.Dropout)} == {dropout}


def test_given_sizes_win_over_auto() -> None:
    network = made({"kind": "mlp", "depth": 1, "dropout": 0.0}, replace(NUMBERS, rows=100), 2)
    bins, columns = 3 + 1 + 1 + 4, 4
    assert parameter_count(network) == 16 * (bins + columns) + (16 * columns + 1) * 64 + (64 + 1) * 2


def batch(inputs: TableInputs, n: int) -> Tensor:
    torch.manual_seed(5)
    return torch.rand(n, inputs.places).round(decimals=1)


def test_a_member_is_a_perceptron_on_scaled_tokens_and_the_network_is_their_mean() -> None:
    network = made({"kind": "tabm", "members": 3, "width": 8, "depth": 2}).eval()
    x = batch(SPIKES, 5)
    each_BMK = network.members(x)
    assert each_BMK.shape == (5, 3, 3)
    torch.testing.assert_close(network(x), each_BMK.mean(1))
    scaling, first, _, _, second, _ = network.trunk
    heads = network.head[1]
    assert isinstance(scaling, Members)
    assert isinstance(heads, MemberHeads)
    tokens_BTD = network.stem(x)
    for m in range(3):
        hidden = second(first((tokens_BTD * scaling.scale[m]).flatten(1)).relu()).relu()
        torch.testing.assert_close(each_BMK[:, m], hidden @ heads.weight[m] + heads.bias[m])
    assert (each_BMK[:, 0] - each_BMK[:, 1]).abs().max() > 1e-3


def test_a_network_that_is_only_one_is_its_own_member() -> None:
    network = made({"kind": "mlp"}).eval()
    x = batch(SPIKES, 5)
    assert torch.equal(network.members(x)[:, 0], network(x))


def test_a_batch_of_one_is_normalised_by_what_was_seen_before() -> None:
    norm, whole = BatchNorm(3), nn.BatchNorm1d(3)
    x = batch(SPIKES, 50)[:, :3] + 4
    torch.testing.assert_close(norm(x), whole(x))
    torch.testing.assert_close(norm(x[:1]), whole.eval()(x[:1]))


def test_the_last_block_of_a_table_is_a_block_whose_other_tokens_nobody_reads() -> None:
    torch.manual_seed(2)
    summary = SummaryBlock(TransformerArchitecture(width=8, heads=2)).eval()
    whole = Block(TransformerArchitecture(width=8, heads=2)).eval()
    whole.load_state_dict({k: v for k, v in summary.state_dict().items() if not k.startswith("norm.")})
    x_BTD = torch.randn(4, 5, 8)
    torch.testing.assert_close(summary(x_BTD), summary.norm(whole(x_BTD)[:, 0]).relu())


def test_byte_dropout_drops_and_scales_like_any_other() -> None:
    torch.manual_seed(3)
    dropout, x = ByteDropout(0.3), torch.ones(200, 333, requires_grad=True)
    out = dropout(x)
    kept = 1 - 77 / 256
    assert out.unique().tolist() == pytest.approx([0.0, 1 / kept])
    assert (out > 0).float().mean() == pytest.approx(kept, abs=4 * (kept * (1 - kept) / x.numel()) ** 0.5)
    neighbours = torch.stack([out[:, :-1].flatten(), out[:, 1:].flatten()]).detach()
    assert abs(float(torch.corrcoef(neighbours)[0, 1])) < 0.02
    out.sum().backward()
    assert torch.equal(x.grad, out)
    torch.manual_seed(3)
    assert torch.equal(dropout(x), out)
    assert torch.equal(dropout.eval()(x), x)
    assert torch.equal(ByteDropout(0.0)(x), x)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"kind": "mlp", "width": 0}, "space.architecture.mlp: width, depth and token must be at least 1"),
        ({"kind": "mlp", "dropout": 1.0}, "space.architecture.mlp: dropout must be in [0, 1)"),
        ({"kind": "mlp", "sigma": 0.0}, "space.architecture.mlp: sigma 0.0 is not positive"),
        ({"kind": "tabm", "members": 0}, "space.architecture.tabm: members must be at least 1 and sigma positive"),
        (
            {"kind": "table_resnet", "depth": 0},
            "space.architecture.table_resnet: width, depth, hidden and token must be at least 1, dropout in [0, 1)",
        ),
    ],
)
def test_a_wrong_architecture_is_refused(architecture: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        made(architecture)
    assert str(caught.value) == message


@pytest.mark.parametrize("edges", [(0.0, 2.0), (1.0,)])
def test_a_column_of_one_bin_or_none_is_a_line(edges: tuple[float, ...]) -> None:
    inputs = TableInputs(columns=(NumericColumn(name="a", edges=edges, median=1.0, missing=False),))
    low, middle, high, beyond = TableStem(inputs, 4)(torch.tensor([[0.0], [1.0], [2.0], [9.0]]))
    torch.testing.assert_close(middle - low, high - middle)
    assert torch.equal(high, beyond)
    assert torch.equal(low, high) == (len(edges) == 1)


@pytest.mark.parametrize("kind", ["mlp", "tabm"])
def test_what_is_built_says_the_numbers_of_auto(kind: str) -> None:
    """The settled description builds the same network, whatever the rows it is read beside; nothing else changes."""
    said = {"kind": kind, "width": "auto", "token": 4, "embedding": "ple"}
    settled = settled_architecture(said, NUMBERS, 2)
    assert settled == {**said, "width": 192, "depth": 3, "dropout": 0.2}
    few = replace(NUMBERS, rows=500)
    assert settled_architecture({**said, "depth": 5}, few, 2) == {**said, "width": 64, "depth": 5, "dropout": 0.4}
    assert parameter_count(build(settled, few, 2)) == parameter_count(build(said, NUMBERS, 2))
    assert settled_architecture({"kind": "rnn", "width": 8}, NUMBERS, 2) == {"kind": "rnn", "width": 8}
