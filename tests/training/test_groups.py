"""Groups in training: weights that do what they say, an adversary that follows the worst group, refusals by name."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipeline.core.contracts import Budget, Candidate, NumericColumn, Optimizer, TableInputs
from pipeline.core.errors import ConfigError, SpaceError
from pipeline.models import build
from pipeline.space import parse
from pipeline.training.data import Arrays, Data
from pipeline.training.fit import Fit, fit
from pipeline.training.groups import LEAST_ROWS, Adversary, counted, raked, worst_cells
from pipeline.training.heads import ClassHead
from pipeline.training.packing import check_packable
from pipeline.training.predict import predict
from pipeline.training.training import Training
from pipeline.tuning.constraints import refuse_uncounted
from tests.training.test_fit import CPU, same

COLUMNS = tuple(NumericColumn(name=n, edges=(-2.0, 0.0, 2.0), median=0.0, missing=False) for n in "ab")
MLP = {"kind": "mlp", "width": 16, "depth": 1, "dropout": 0.0, "token": 8}


def people(n: int = 600, seed: int = 0) -> Arrays:
    """For a tenth of the rows the first column must be larger to count as positive, and no column tells which."""
    rng = np.random.default_rng(seed)
    few = np.arange(n) % 10 == 0
    x = rng.normal(size=(n, 2)).astype(np.float32)
    y = (x[:, 0] > np.where(few, 1.0, 0.0)).astype(np.int64)
    town = np.where(rng.random(n) < 0.5, "north", "south").astype(object)
    return Arrays(x, y, groups={"kind": np.where(few, "few", "many").astype(object), "town": town})


def data_of(train: Arrays, task: Any = "binary") -> Data:
    return Data(TableInputs(columns=COLUMNS, rows=len(train.y)), 2, train, people(1500, 1), task=task)


DATA = data_of(people())


def weights(kind: Any, data: Data = DATA) -> NDArray[np.float64]:
    found, adversary = counted(Optimizer(groups=kind), data, "cpu")
    assert found is not None
    assert adversary is None
    return found


def share(weight: NDArray[np.float64], rows: NDArray[np.bool_]) -> float:
    return float(weight[rows].sum() / weight.sum())


def test_of_one_feature_reweighed_rows_have_the_weights_of_kamiran_and_calders() -> None:
    y, group = DATA.train.y, DATA.train.groups["kind"]
    one = replace(DATA, train=replace(DATA.train, groups={"kind": group}))
    expected = [(y == k).mean() * (group == g).mean() / ((y == k) & (group == g)).mean()
                for k, g in zip(y, group, strict=True)]  # fmt: skip
    np.testing.assert_allclose(weights("reweighed", one), expected, rtol=1e-9)


def test_reweighed_rows_make_every_feature_independent_of_the_class() -> None:
    weight, y = weights("reweighed"), DATA.train.y
    assert weight.mean() == pytest.approx(1)
    for group in DATA.train.groups.values():
        for name in np.unique(group.astype(str)):
            at = group == name
            assert share(weight, at & (y == 1)) == pytest.approx(at.mean() * y.mean(), abs=1e-6)


def test_balanced_rows_let_every_group_count_alike() -> None:
    weight = weights("balanced")
    for group in DATA.train.groups.values():
        names = np.unique(group.astype(str))
        assert [share(weight, group == name) for name in names] == pytest.approx([1 / len(names)] * len(names))
    doubled = weights("balanced", replace(DATA, train=replace(DATA.train, weight=1.0 + (DATA.train.y == 1))))
    y = DATA.train.y == 1
    assert share(doubled, y) > share(weight, y) + 0.05  # what the data declare counts beside it


def test_what_is_wanted_of_a_cell_without_rows_goes_to_the_others() -> None:
    found = raked([np.array([0, 0, 0, 2])], [np.array([0.4, 0.2, 0.4])], np.ones(4))
    np.testing.assert_allclose(found, [2 / 3, 2 / 3, 2 / 3, 2])


def test_the_adversarys_gradient_is_the_loss_of_each_group() -> None:
    cells = worst_cells([np.repeat([0, 1], [120, 80])], np.tile([0, 1], 100))
    adversary = Adversary(cells, None, "cpu")
    out, y = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)), torch.tensor(np.tile([0, 1], 100))
    weight = adversary.weight(torch.arange(200))
    assert float(weight.detach().mean()) == pytest.approx(1, rel=1e-6)
    ClassHead().loss(out, y, 0.0, weight).backward()
    each = torch.nn.functional.cross_entropy(out, y, reduction="none").numpy()
    expected = [each[cells[:, 0] == g].mean() for g in range(4)]
    assert adversary.q_G.grad is not None
    np.testing.assert_allclose(adversary.q_G.grad.numpy(), expected, rtol=1e-5)
    adversary.step()
    q = adversary.q_G.detach().numpy()
    assert q.sum() == pytest.approx(1)
    assert q.argmax() == np.argmax(expected)
    assert float(adversary.weight(torch.arange(200)).detach().mean()) == pytest.approx(1, rel=1e-6)


def test_groups_of_few_rows_are_one_for_the_adversary() -> None:
    code = np.repeat([0, 1, 2, 3], [100, LEAST_ROWS, LEAST_ROWS - 1, 5])
    cells = worst_cells([code, np.zeros(len(code), int)], None)
    assert [sorted(set(cells[code == k, 0])) for k in range(4)] == [[0], [1], [2], [2]]
    assert set(cells[:, 1]) == {3}


def trained(kind: Any, train: Arrays = DATA.train, **settings: Any) -> Fit:
    chosen = Optimizer(groups=kind, lr=1e-2, batch_size=32, **settings)
    candidate = Candidate(architecture=MLP, optimizer=chosen)
    return fit(candidate, data_of(train), Budget(epochs=12), seed=3, trainer=CPU)


def right(done: Fit) -> dict[str, float]:
    val = DATA.val
    p = predict(done.network, DATA.placed("val", "cpu"), ClassHead())
    return {g: float((p.argmax(1) == val.y)[val.groups["kind"] == g].mean()) for g in ("few", "many")}


@pytest.mark.parametrize("kind", ["balanced", "worst"])
def test_the_group_that_fares_worst_fares_better(kind: str) -> None:
    alone = replace(DATA.train, groups={"kind": DATA.train.groups["kind"]})
    usual, found = right(trained("none", alone)), right(trained(kind, alone))
    assert found["few"] > usual["few"] + 0.05
    assert found["many"] < usual["many"]  # no column tells who is who, so it has a price


def test_names_and_order_of_groups_change_no_weight() -> None:
    names = {"few": "zz", "many": "aa"}
    train = DATA.train
    renamed = np.array([names[g] for g in train.groups["kind"]], object)
    other = replace(train, groups={"town": train.groups["town"], "kind": renamed})
    np.testing.assert_allclose(weights("reweighed", data_of(other)), weights("reweighed"), rtol=1e-6)
    first, second = trained("worst").network.state_dict(), trained("worst", other).network.state_dict()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-3, atol=1e-4)


def test_without_groups_nothing_changes() -> None:
    assert same(trained("none"), trained("none", replace(DATA.train, groups={})))


def test_a_training_with_an_adversary_that_pauses_ends_bit_equal() -> None:
    candidate = Candidate(architecture=MLP, optimizer=Optimizer(groups="worst", batch_size=32))

    def made() -> Training:
        return Training(candidate, DATA, Budget(epochs=3), seed=3, trainer=CPU)

    whole, paused = made(), made()
    whole.start()
    whole.advance()
    paused.start()
    paused.advance(0.4)
    rest = made()
    rest.resume(paused.state())
    rest.advance()
    assert rest.adversary is not None
    assert whole.adversary is not None
    assert torch.equal(rest.adversary.q_G, whole.adversary.q_G)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(rest.network.state_dict()[name], value)


NOBODY = data_of(replace(DATA.train, groups={}))
NUMBERS = replace(DATA, task="regression")


@pytest.mark.parametrize(
    ("data", "kind", "error", "message"),
    [
        (NOBODY, "worst", ConfigError, "space.optimizer.groups: 'worst' needs groups of people, and the data declare "
         "none\n  fix: declare a column under data.sensitive, or space.optimizer.groups=none"),
        (NUMBERS, "reweighed", SpaceError, "space.optimizer.groups: 'reweighed' needs classes that exclude each other, "
         "these data are for regression\n  fix: space.optimizer.groups=balanced or worst"),
    ],
)  # fmt: skip
def test_groups_that_mean_nothing_here_are_refused_before_any_trial(
    data: Data, kind: str, error: type[Exception], message: str
) -> None:
    space = {"architecture": {"mlp": {"width": 16}}, "optimizer": {"groups": {"choice": ["none", kind]}}}
    for refused in (lambda: counted(Optimizer(groups=kind), data, "cpu"),  # type: ignore[arg-type]
                    lambda: refuse_uncounted(data, parse(space))):  # fmt: skip
        with pytest.raises(error) as caught:
            refused()
        assert str(caught.value) == message
    refuse_uncounted(DATA, parse(space))
    refuse_uncounted(NOBODY, parse(space | {"optimizer": {"groups": "none"}}))


def test_a_pack_refuses_groups() -> None:
    candidate = Candidate(architecture=MLP, optimizer=Optimizer(groups="balanced"))
    with pytest.raises(SpaceError, match=r"space\.optimizer\.groups: a pack counts all rows the same"):
        check_packable([candidate], build(MLP, DATA.inputs, 2))


def test_rows_that_join_bring_their_groups() -> None:
    whole = DATA.with_validation_rows()
    assert {name: len(group) for name, group in whole.train.groups.items()} == {"kind": 2100, "town": 2100}
