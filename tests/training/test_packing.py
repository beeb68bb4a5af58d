"""A pack: every candidate in it is trained as it would be alone."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch

from pipeline.core.contracts import (
    Budget,
    Candidate,
    CategoricalColumn,
    ForecastInputs,
    NumericColumn,
    Optimizer,
    TableInputs,
    Target,
    Task,
)
from pipeline.core.errors import SpaceError
from pipeline.core.settings import TrainerSettings
from pipeline.models import build
from pipeline.training.batches import Batches
from pipeline.training.data import Arrays, Data, Rows
from pipeline.training.fit import fit
from pipeline.training.packing import Alone, Pack, bucket, check_shared, gain_of, train
from pipeline.training.predict import score

INPUTS = TableInputs(
    columns=(
        NumericColumn(name="a", edges=(-1.0, 0.0, 1.0, 2.0), median=0.5, missing=True, atoms=(0.0, 1.0)),
        CategoricalColumn(name="b", categories=("x", "y", "z"), mode=2),
        NumericColumn(name="c", edges=(-2.0, 2.0), median=0.5, missing=False),
        NumericColumn(name="d", edges=(-1.0, 0.5, 1.0), median=0.5, missing=True, atoms=(-1.0,)),
        CategoricalColumn(name="e", categories=("p",), mode=1),
    )
)
ONE_NUMBER = TableInputs(columns=(NumericColumn(name="a", edges=(-1.0, 0.0), median=0.5, missing=False),))
ONE_CATEGORY = TableInputs(columns=(CategoricalColumn(name="b", categories=("x", "y", "z"), mode=2),))
OUTPUTS: dict[Task, int] = {"binary": 2, "multiclass": 3, "multilabel": 3, "regression": 2, "forecast": 2}


def arrays(inputs: TableInputs, task: Task, n: int, seed: int) -> Arrays:
    """Rows of all kinds of cells; the target follows the first column."""
    rng = np.random.default_rng(seed)
    columns: list[Any] = [
        rng.integers(len(c.categories) + 1, size=n)
        if c.kind == "categorical"
        else rng.normal(size=n) * rng.integers(2, size=n)
        for c in inputs.columns
    ]
    columns += [rng.integers(2, size=n) for _ in range(inputs.places - len(columns))]
    x = np.stack(columns, 1).astype(np.float32)
    if task in ("binary", "multiclass"):
        return Arrays(x, (np.digitize(x[:, 0], [-0.5, 0.5]) % OUTPUTS[task]).astype(np.int64))
    if task == "multilabel":
        return Arrays(x, np.stack([x[:, 0] > 0, x[:, 0] > 1, x[:, 0] < 0], 1).astype(np.int64))
    y = np.stack([3 * x[:, 0] + 1, rng.normal(size=n)], 1).astype(np.float32)
    y[rng.random(y.shape) < 0.2] = np.nan
    return Arrays(x, y)


def data(task: Task = "multiclass", inputs: TableInputs = INPUTS) -> Data:
    targets = tuple(Target(name=name, mean=1.0, std=3.0) for name in "uv") if task == "regression" else ()
    train_rows, val = arrays(inputs, task, 90, 0), arrays(inputs, task, 40, 1)
    return Data(inputs, OUTPUTS[task], train_rows, val, task=task, targets=targets)


def windows(known: int) -> Data:
    """Two noisy waves to forecast, and perhaps one channel that is known beforehand."""
    inputs = ForecastInputs(
        channels=("x", "y", "z")[: 2 + known], targets=2, known=known, window=12, horizon=4, season=None
    )
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(200)[None] / np.array([[3.0], [5.0], [7.0]]))[: 2 + known]
    x = (wave + rng.normal(0, 0.2, wave.shape)).astype(np.float32)
    steps = np.arange(12, 190)
    return Data(inputs, 8, Arrays(x, steps[:120]), Arrays(x, steps[140:]), task="forecast")


def candidates(architecture: dict[str, Any] | None = None, **shared: Any) -> list[Candidate]:
    """Three that differ in all a pack allows."""
    own: list[dict[str, Any]] = [
        {"lr": 1e-3, "weight_decay": 0.0, "clip": 0.1, "warm_up": 0.2},
        {"lr": 3e-3, "weight_decay": 0.3, "clip": 0.0, "label_smoothing": 0.2, "schedule": "wsd"},
        {"lr": 1e-2, "weight_decay": 0.05, "clip": 1.0, "label_smoothing": 0.1, "schedule": "linear"},
    ]
    shape = {"kind": "mlp", "width": 12, "depth": 2, "token": 4, "dropout": 0.0} | (architecture or {})
    return [Candidate(architecture=shape, optimizer=Optimizer(batch_size=16, **shared, **one)) for one in own]


def forecasters(**fields: Any) -> list[Candidate]:
    own = [replace(c.optimizer, label_smoothing=0.0) for c in candidates()]
    return [
        Candidate(architecture={"kind": "linear", "residual": 8, "dropout": 0.0} | fields, optimizer=o) for o in own
    ]


def dropped(found: list[Candidate], *shares: float) -> list[Candidate]:
    both = zip(found, shares, strict=True)
    return [replace(c, architecture=dict(c.architecture) | {"dropout": share}) for c, share in both]


def on_cpu(found: Data) -> tuple[Rows, Rows]:
    return tuple(Rows(part.x, part.y, found.inputs, "cpu") for part in (found.train, found.val))  # type: ignore[return-value]


def pack_of(found: list[Candidate], of: Data, seeds: tuple[int, ...] = (5, 5, 6)) -> tuple[Pack, Batches]:
    rows = on_cpu(of)[0]
    return Pack(found, of, rows, seeds), Batches(rows, found[0].optimizer, 5)


def finish(pack: Pack, batches: Batches, epochs: int = 3) -> None:
    for _ in train(pack, batches, epochs):
        pass


def difference(pack: Pack, k: int, other: dict[str, torch.Tensor]) -> float:
    own = pack.state_dict(k)
    assert list(own) == list(other)
    return max(float((own[name].double() - other[name]).nan_to_num().abs().max()) for name in own if own[name].numel())


@pytest.mark.parametrize("kind", ["mlp", "tabm"])
@pytest.mark.parametrize("embedding", ["ple", "periodic"])
@pytest.mark.parametrize("task", [task for task in get_args(Task) if task != "forecast"])
def test_each_trains_as_alone(kind: str, embedding: str, task: Task) -> None:
    of, members = data(task), {"members": 3} if kind == "tabm" else {}
    weights: dict[str, Any] = {} if task == "regression" else {"class_weights": "balanced"}
    found = candidates({"kind": kind, "embedding": embedding} | members, **weights)
    pack, batches = pack_of(found, of)
    alone = [Alone(c, of, batches.rows, seed) for c, seed in zip(found, (5, 5, 6), strict=True)]
    begun = [pack.state_dict(k) for k in range(3)]
    for k, one in enumerate(alone):
        assert difference(pack, k, one.network.state_dict()) == 0
    for i, batch in enumerate([*batches.of(0), *batches.of(0)]):
        pack.step(batch, i / 12)
        for one in alone:
            one.step(batch, i / 12)
    for k, one in enumerate(alone):
        assert difference(pack, k, one.network.state_dict()) < 2e-5
        assert difference(pack, k, begun[k]) > 1e-3


@pytest.mark.parametrize("inputs", [ONE_NUMBER, ONE_CATEGORY], ids=["number", "category"])
def test_a_single_column_is_packed_too(inputs: TableInputs) -> None:
    of, found = data("binary", inputs), candidates()
    pack, batches = pack_of(found, of)
    one = Alone(found[2], of, batches.rows, 6)
    for batch in batches.of(0):
        pack.step(batch, 0.5)
        one.step(batch, 0.5)
    assert difference(pack, 2, one.network.state_dict()) < 2e-5


@pytest.mark.parametrize("known", [0, 1])
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("residual", [0, 8])
def test_each_forecast_trains_as_alone(known: int, frozen: bool, residual: int) -> None:
    of, found = windows(known), forecasters(frozen=frozen, residual=residual)
    pack, batches = pack_of(found, of)
    alone = [Alone(c, of, batches.rows, seed) for c, seed in zip(found, (5, 5, 6), strict=True)]
    begun = [pack.state_dict(k) for k in range(3)]
    for i, batch in enumerate(batches.of(0)):
        pack.step(batch, i / 8)
        for one in alone:
            one.step(batch, i / 8)
    for k, one in enumerate(alone):
        assert difference(pack, k, one.network.state_dict()) < 2e-5
        assert difference(pack, k, begun[k]) > 1e-3
        expected = score(one.network, on_cpu(of)[1], pack.head).score
        assert pack.scores(on_cpu(of)[1])[k].score == pytest.approx(expected, abs=1e-5)


def test_forecasts_of_a_pack_drop_what_each_says() -> None:
    pack, batches = pack_of(dropped(forecasters(), 0.5, 0.0, 0.0), windows(0))
    x = next(batches.of(0)).x
    with torch.no_grad():
        first, again, plain = pack.training(x), pack.training(x), pack.evaluation(x)
    assert not torch.equal(first[0], again[0])
    assert torch.equal(first[1:], plain[1:])


def test_what_is_not_trained_must_be_the_same() -> None:
    first, second = (build({"kind": "linear", "residual": 4}, windows(0).inputs, 8) for _ in range(2))
    check_shared([first, second])
    second.get_parameter("trunk.linear.weight").data[0] = 1.0
    with pytest.raises(SpaceError) as caught:
        check_shared([first, second])
    assert str(caught.value) == (
        "space: candidates of a pack differ in trunk.linear.weight, which is not trained\n"
        "  fix: give them the same seed"
    )


def test_a_pack_ends_where_fit_does() -> None:
    of, found = data(), candidates()
    pack, batches = pack_of(found, of, (5, 5, 5))
    val = on_cpu(of)[1]
    scores = [[s.score for s in pack.scores(val)] for _ in train(pack, batches, 3)]
    for k, candidate in enumerate(found):
        done = fit(candidate, of, Budget(epochs=3), seed=5, trainer=TrainerSettings(device="cpu", precision="fp32"))
        assert [r.val_score for r in done.records] == pytest.approx([row[k] for row in scores], abs=1e-4)


def test_scores_are_those_of_the_plain_network() -> None:
    of = data()
    pack, batches = pack_of(dropped(candidates({"kind": "tabm", "members": 2}), 0.5, 0.0, 0.1), of)
    finish(pack, batches)
    val = on_cpu(of)[1]
    for k, found in enumerate(pack.scores(val)):
        plain = build(pack.candidates[k].architecture, of.inputs, of.outputs)
        plain.load_state_dict(pack.state_dict(k))
        assert score(plain, val, pack.head).score == pytest.approx(found.score, abs=1e-5)
    assert len({found.score for found in pack.scores(val)}) == 3


def test_a_network_of_a_pack_has_its_own_dropout() -> None:
    pack, _ = pack_of(dropped(candidates(), 0.5, 0.0, 0.25), data())
    shares = [{m.p for m in pack.network(k).modules() if isinstance(m, torch.nn.Dropout)} for k in range(3)]
    assert shares == [{0.5}, {0.0}, {0.25}]


def test_those_kept_go_on_as_if_nothing_happened() -> None:
    of, found = data(), candidates()
    whole, batches = pack_of(found, of)
    finish(whole, batches)
    part, batches = pack_of(found, of)
    for progress in train(part, batches, 3):
        if progress < 0.5:
            part.keep([2, 0])
    assert [c.optimizer.lr for c in part.candidates] == [1e-2, 1e-3]
    assert difference(part, 0, whole.state_dict(2)) < 2e-5
    assert difference(part, 1, whole.state_dict(0)) < 2e-5


def test_a_candidate_that_diverges_spoils_no_other() -> None:
    of, found = data(), candidates()
    wild = replace(found[1], optimizer=replace(found[1].optimizer, lr=1e30))
    calm, batches = pack_of(found, of)
    finish(calm, batches)
    pack, batches = pack_of([found[0], wild, found[2]], of)
    finish(pack, batches)
    assert not pack.state_dict(1)["head.1.weight"].isfinite().all()
    assert difference(pack, 0, calm.state_dict(0)) < 2e-5
    assert difference(pack, 2, calm.state_dict(2)) < 2e-5


def test_dropout_is_of_each_candidates_share() -> None:
    """A network of ones shows what is dropped: the mean stays, the share of zeros is the candidate's."""
    pack, _ = pack_of(dropped(candidates({"width": 64}), 0.5, 0.0, 0.25), data())
    drop = next(layer for layer in pack.training.rest if type(layer).__name__ == "PackedDropout")
    torch.manual_seed(0)
    out = drop(torch.ones(3, 200, 64))
    assert (out == 0).float().mean((1, 2)).tolist() == pytest.approx([0.5, 0.0, 0.25], abs=0.02)
    assert out.mean((1, 2)).tolist() == pytest.approx([1.0, 1.0, 1.0], abs=0.04)


def test_dropout_acts_in_training_alone() -> None:
    of, found = data(), dropped(candidates(), 0.5, 0.5, 0.0)
    pack, batches = pack_of(found, of)
    x = next(batches.of(0)).x
    with torch.no_grad():
        first, again = pack.training(x), pack.training(x)
        assert torch.equal(pack.evaluation(x), pack.evaluation(x))
    assert not torch.equal(first[0], again[0])
    assert torch.equal(first[2], again[2])


def test_the_gain_is_measured_and_leaves_the_generator_alone() -> None:
    of = data()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    gain = gain_of(candidates(), of, on_cpu(of)[0], seconds=0.05)
    assert min(gain.alone, gain.packed, gain.speed_up) > 0
    assert gain.pays == (gain.speed_up > 1.2)
    assert torch.equal(before, torch.get_rng_state())


def test_a_bucket_knows_shapes_from_values() -> None:
    first, second, third = candidates()
    assert bucket(first) == bucket(second) == bucket(dropped([third], 0.3)[0])
    wider = replace(first, architecture=dict(first.architecture) | {"width": 13})
    assert bucket(wider) != bucket(first)
    assert bucket(replace(first, optimizer=replace(first.optimizer, batch_size=17))) != bucket(first)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            [*candidates()[:2], candidates({"width": 13})[2]],
            "space: a pack holds candidates of different shapes\n  fix: they may differ in dropout, lr, weight_decay, "
            "clip, label_smoothing, schedule, warm_up, cool_down",
        ),
        (
            candidates(kind="sgd"),
            "space.optimizer: a pack has neither sgd, muon nor an average of weights\n"
            "  fix: space.optimizer.kind=adamw and space.optimizer.ema=0",
        ),
        (
            candidates(ema=0.1),
            "space.optimizer: a pack has neither sgd, muon nor an average of weights\n"
            "  fix: space.optimizer.kind=adamw and space.optimizer.ema=0",
        ),
        (
            [replace(c, architecture={"kind": "table_resnet", "width": 8}) for c in candidates()],
            "space.architecture: 'table_resnet' cannot be packed, its BatchNorm, Residual has no packed form\n"
            "  fix: train such candidates one after the other",
        ),
    ],
)
def test_what_cannot_be_packed_is_refused(found: list[Candidate], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        pack_of(found, data())
    assert str(caught.value) == message
