"""Influence of training rows against its closed form, and wrong labels that were planted."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.attribution import Clock, influence, last_layer
from pipeline.core.contracts import DatasetCard, NumericColumn, TableInputs
from pipeline.core.seeds import stream
from pipeline.models import FAMILIES, build
from pipeline.scorecard import influences

TABLE = TableInputs(
    columns=tuple(NumericColumn(name=n, edges=(-2.0, 0.0, 2.0), median=0.0, missing=False) for n in "abcd")
)
CARD = DatasetCard(name="t", task="binary", classes=("no", "yes"), inputs=TABLE, rows={}, class_rows={}, audit=(),
                   source_digest="", notes=())  # fmt: skip


class Plain(nn.Module):
    """A linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Identity(), nn.Linear(4, 2))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(x)
        return out


def fitted(rows: int = 300, wrong: int = 6) -> tuple[Plain, Tensor, Tensor, np.ndarray]:
    """Return a fitted network, its rows and labels, and which of these were turned around."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4))
    x[:, 0] += np.sign(x[:, 0])
    y = (x[:, 0] > 0).astype(int)
    turned = rng.permutation(rows)[:wrong]
    y[turned] = 1 - y[turned]
    torch.manual_seed(0)
    network, steps = Plain(), 200
    data = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    adam = torch.optim.Adam(network.parameters(), lr=0.05)
    for _ in range(steps):
        adam.zero_grad()
        nn.functional.cross_entropy(network(data[0]), data[1]).backward()
        adam.step()
    adam.zero_grad()
    return network.eval(), *data, turned


def test_influence_of_a_linear_map_is_the_product_of_errors_and_rows() -> None:
    network, x, y, _ = fitted()
    asked = x[:5] + 0.1, y[:5]
    found = influence(network, (x, y), asked, Clock(1e9), stream(0))
    with torch.no_grad():
        wrong = [network(part).softmax(1) - nn.functional.one_hot(of, 2) for part, of in ((x, y), asked)]
    expected = (wrong[1] @ wrong[0].T) * (asked[0] @ x.T)
    assert found.scores == pytest.approx(expected.double().numpy(), abs=1e-5)
    own = (wrong[0] ** 2).sum(1) * (x**2).sum(1)
    assert found.own == pytest.approx(own.double().numpy(), abs=1e-5)


def test_wrong_labels_stand_alone_and_helping_rows_help() -> None:
    network, x, y, turned = fitted()
    found = influence(network, (x, y), (x[:30] * 0.9, y[:30]), Clock(1e9), stream(0))
    said = network(x).argmax(1).numpy()
    told = influences(CARD, [f"row {i}" for i in range(300)], (y.numpy(), said), (range(30), found.scores),
                      (found.own, found.gains))  # fmt: skip
    names = {suspect.row_id for suspect in told.suspects}
    assert sum(f"row {i}" in names for i in turned) >= 5
    assert all(s.label != s.said for s in told.suspects[:5])
    assert told.gain.value is not None
    assert told.gain.value > 0
    assert told.verdict == "pass"
    assert told.how == "300 training rows, last layer, final weights (TracIn)"
    best = np.argsort(-found.scores[3])[:5]
    assert told.rows[3].helps == tuple(f"row {i}" for i in best)
    assert not set(told.rows[3].helps) & set(told.rows[3].hurts)


def test_rows_that_are_drawn_do_not_pass() -> None:
    told = influences(CARD, ["a", "b"], (np.zeros(2), np.zeros(2, int)), (range(8), np.zeros((8, 2))),
                      (np.zeros(2), np.array([1.0, -1, 1, -1, 1, -1, 1, -1])))  # fmt: skip
    assert (told.verdict, told.reason) == (
        "warn", "rows that are said to help are not shown to matter more than others of their class"
    )  # fmt: skip


def test_weights_stay_and_every_family_of_tables_has_a_last_layer_or_none() -> None:
    network, x, y, _ = fitted()
    before = [weight.clone() for weight in network.parameters()]
    influence(network, (x, y), (x[:3], y[:3]), Clock(1e9), stream(0))
    assert all(torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))
    assert all(weight.grad is None for weight in network.parameters())
    has = {}
    for kind, family in FAMILIES.items():
        if TableInputs in family.reads:
            built = build({"kind": kind, "width": 8}, TABLE, 2).eval()
            has[kind] = last_layer(built, x) is not None
            if has[kind]:
                found = influence(built, (x[:20], y[:20]), (x[:3], y[:3]), Clock(1e9), stream(0))
                assert np.isfinite(found.scores).all()
    assert has["mlp"]
    assert has["transformer"]
    assert not has["tabm"]
