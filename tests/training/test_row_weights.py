"""Rows that count differently: weight 2 is two rows, weight 0 is none, one weight for all changes nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.core.contracts import (
    Budget,
    Candidate,
    DatasetCard,
    NumericColumn,
    Optimizer,
    SeriesInputs,
    TableInputs,
    Target,
    Task,
)
from pipeline.core.errors import ArtifactError
from pipeline.datasets import Split, write_split
from pipeline.models import build
from pipeline.training.batches import Batch, Batches, blended
from pipeline.training.data import Arrays, Data, Rows, load_data
from pipeline.training.fit import Fit, fit
from pipeline.training.heads import ClassHead, balanced_weights, head_for
from pipeline.training.module import Learner
from tests.training.test_fit import CPU, DATA, same

TABLE = TableInputs(columns=(NumericColumn(name="a", edges=(0.0, 1.0), median=0.5, missing=False),))
TIMES = np.array([1, 3, 2, 1, 1, 4, 2, 1])
"""How often each of eight rows stands there."""
WEIGHT = (TIMES / TIMES.mean()).astype(np.float32)
CLASSES = np.array([0, 1, 1, 0, 2, 2, 0, 1])
TARGETS = (Target(name="u", mean=1.0, std=2.0), Target(name="v", mean=0.0, std=0.5))
LOGITS = torch.randn(8, 3, generator=torch.Generator().manual_seed(0), dtype=torch.double)


def problem(task: Task) -> tuple[np.ndarray, torch.Tensor]:
    """Return targets and outputs of eight rows."""
    if task == "multiclass":
        return CLASSES, LOGITS
    if task == "multilabel":
        return np.eye(3, dtype=np.int64)[CLASSES] | np.eye(3, dtype=np.int64)[CLASSES[::-1]], LOGITS
    return np.stack([CLASSES + 0.5, TIMES / 4], axis=1), LOGITS[:, :2]


HEADS: list[tuple[Task, dict[str, Any]]] = [
    ("multiclass", {}),
    ("multiclass", {"label_smoothing": 0.1}),
    ("multiclass", {"class_weights": "balanced"}),
    ("multiclass", {"class_weights": "balanced", "label_smoothing": 0.1}),
    ("multilabel", {}),
    ("multilabel", {"class_weights": "balanced", "label_smoothing": 0.1}),
    ("regression", {}),
    ("regression", {"loss": "huber"}),
    ("regression", {"loss": "quantile", "quantile": 0.9}),
]


def loss(task: Task, chosen: Optimizer, y: np.ndarray, out: torch.Tensor, weight: np.ndarray | None = None) -> float:
    """Return the loss over rows that are at once the training split and one batch."""
    head = head_for(task, TABLE, TARGETS, chosen, y, weight)
    w = None if weight is None else torch.as_tensor(weight)
    return float(head.loss(out, torch.as_tensor(y), chosen.label_smoothing, w))


@pytest.mark.parametrize(("task", "settings"), HEADS)
def test_a_row_of_weight_two_is_two_rows(task: Task, settings: dict[str, Any]) -> None:
    (y, out), chosen = problem(task), Optimizer(**settings)
    weighed = loss(task, chosen, y, out, WEIGHT)
    assert weighed == pytest.approx(loss(task, chosen, np.repeat(y, TIMES, 0), out.repeat_interleave(
        torch.as_tensor(TIMES), 0)), rel=1e-6)  # fmt: skip
    assert weighed != pytest.approx(loss(task, chosen, y, out), rel=1e-3)


@pytest.mark.parametrize(("task", "settings"), HEADS)
def test_one_weight_for_all_changes_nothing(task: Task, settings: dict[str, Any]) -> None:
    (y, out), chosen = problem(task), Optimizer(**settings)
    head = head_for(task, TABLE, TARGETS, chosen, y, np.ones(8))
    for some in (slice(None), slice(0, 3)) if chosen.class_weights == "none" else (slice(None),):
        rows = out[some], torch.as_tensor(y[some]), chosen.label_smoothing
        assert float(head.loss(*rows, torch.ones(len(rows[0])))) == pytest.approx(float(head.loss(*rows)), rel=1e-6)


@pytest.mark.parametrize(("task", "settings"), [HEADS[0], HEADS[4], HEADS[6]])
def test_the_mean_over_batches_is_the_loss_of_the_split(task: Task, settings: dict[str, Any]) -> None:
    """However rows meet: dividing by the weights of a batch would favour rows among light ones."""
    (y, out), chosen = problem(task), Optimizer(**settings)
    head = head_for(task, TABLE, TARGETS, chosen, y, WEIGHT)
    w, y_B = torch.as_tensor(WEIGHT), torch.as_tensor(y)
    parts = [float(head.loss(out[i : i + 2], y_B[i : i + 2], 0.0, w[i : i + 2])) for i in range(0, 8, 2)]
    assert np.mean(parts) == pytest.approx(loss(task, chosen, y, out, WEIGHT))


def test_class_weights_count_rows_by_weight() -> None:
    assert torch.equal(balanced_weights(CLASSES, TIMES), balanced_weights(np.repeat(CLASSES, TIMES)))
    labels = problem("multilabel")[0]
    torch.testing.assert_close(balanced_weights(labels, TIMES), balanced_weights(np.repeat(labels, TIMES, 0)))


class Fixed(torch.nn.Module):
    """Outputs (B, M, K) whatever the input."""

    def __init__(self, out: torch.Tensor) -> None:
        super().__init__()
        self.out = out

    def members(self, x: torch.Tensor) -> torch.Tensor:
        return self.out


def test_every_member_learns_from_weighed_rows() -> None:
    out = torch.stack([LOGITS, 2 * LOGITS.flip(1)], dim=1)
    y, w = torch.as_tensor(CLASSES), torch.as_tensor(WEIGHT)
    learner = Learner(Fixed(out), Optimizer(), ClassHead())  # type: ignore[arg-type]
    each = [float(ClassHead().loss(out[:, m], y, 0.0, w)) for m in (0, 1)]
    assert float(learner.training_step(Batch(y, y, y, 1.0, w, w), 0)) == pytest.approx(np.mean(each))


def test_blended_rows_count_by_both_weights() -> None:
    x, y, w = torch.randn(8, 4), torch.as_tensor(CLASSES), torch.as_tensor(WEIGHT)
    batch = blended(Batch(x, y, y, 1.0, w, w), 0.4, torch.Generator().manual_seed(3))
    assert batch.other_weight is not None
    assert sorted(zip(batch.other.tolist(), batch.other_weight.tolist(), strict=True)) == sorted(
        zip(y.tolist(), w.tolist(), strict=True)
    )
    assert batch.other.tolist() != y.tolist()
    learner = Learner(Fixed(LOGITS[:, None]), Optimizer(), ClassHead())  # type: ignore[arg-type]
    rows = torch.nn.functional.cross_entropy(LOGITS, y, reduction="none")
    others = torch.nn.functional.cross_entropy(LOGITS, batch.other, reduction="none")
    blend = batch.share * w * rows + (1 - batch.share) * batch.other_weight * others
    assert float(learner.training_step(batch, 0)) == pytest.approx(float(blend.mean()))


def test_a_batch_has_the_weights_of_its_rows() -> None:
    x = np.arange(8, dtype=np.float32)[:, None]
    rows = Rows(x, CLASSES, TABLE, "cpu", WEIGHT)
    for batch in Batches(rows, Optimizer(batch_size=3), 0).of(0):
        assert batch.weight is not None
        assert batch.weight.tolist() == [WEIGHT[int(i)] for i in batch.x[:, 0]]
    assert all(b.weight is None for b in Batches(Rows(x, CLASSES, TABLE, "cpu"), Optimizer(batch_size=3), 0).of(0))


def trained(weight: np.ndarray | None, train: Arrays = DATA.train, **settings: Any) -> Fit:
    candidate = Candidate(
        architecture={"kind": "mlp", "width": 16, "depth": 1}, optimizer=Optimizer(lr=2e-2, batch_size=16, **settings)
    )
    data = table_data(train, weight)
    return fit(candidate, data, Budget(epochs=12), seed=3, trainer=CPU)


def table_data(train: Arrays, weight: np.ndarray | None) -> Data:
    names = [NumericColumn(name=n, edges=(-2.0, 0.0, 2.0), median=0.0, missing=False) for n in "abcd"]
    return Data(TableInputs(columns=tuple(names), rows=len(train.y)), 2, replace(train, weight=weight), rows(90, 1))


def rows(n: int, seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    return Arrays(x, (x[:, 0] + 0.5 * x[:, 1] > 0).astype(np.int64))


@pytest.mark.parametrize("settings", [{}, {"class_weights": "balanced"}], ids=str)
def test_training_ignores_what_rows_of_weight_zero_say(settings: dict[str, Any]) -> None:
    """Half of the rows have wrong labels: with weight 0 they may have any, and the network is the same bit for bit."""
    good = rows(200, 0)
    weight = np.where(np.arange(200) % 2, 2, 0).astype(np.float32)
    wrong = replace(good, y=np.where(weight > 0, good.y, 1 - good.y))
    assert same(trained(weight, good, **settings), trained(weight, wrong, **settings))
    ignored, believed = trained(weight, wrong, **settings), trained(None, wrong, **settings)
    assert ignored.records[-1].val_quality > 0.85 > believed.records[-1].val_quality


def test_one_weight_for_all_trains_the_same_network() -> None:
    good = rows(200, 0)
    plain, even = trained(None, good), trained(np.ones(200, np.float32), good)
    for name, value in plain.network.state_dict().items():
        torch.testing.assert_close(even.network.state_dict()[name], value, rtol=1e-4, atol=1e-5)


SERIES = SeriesInputs(channels=("a",), length=24, mean=(0.0,), std=(1.0,))


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])
def test_closed_form_starts_ignore_rows_of_weight_zero(task: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 1, 24)).astype(np.float32)
    y: Any = (x[:, 0, :12].std(1) > x[:, 0, 12:].std(1)).astype(np.int64)
    y = {"multiclass": y, "multilabel": np.stack([y, 1 - y], 1), "regression": x[:, 0, :2].astype(float)}[task]
    weight = np.where(np.arange(40) % 4, rng.uniform(0.5, 2, 40), 0).astype(np.float32)
    counted = weight > 0

    def solved(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> torch.nn.Module:
        torch.manual_seed(1)
        network = build({"kind": "kernels", "groups": 4, "kernels": 4}, SERIES, 2)
        network.start_from(Rows(x, y, SERIES, "cpu", weight), 5)
        return network.eval()

    whole, part = solved(x, y, weight), solved(x[counted], y[counted], weight[counted])
    other = solved(x, y, np.ones(40, np.float32))
    with torch.no_grad():
        told = whole(torch.as_tensor(x))
        torch.testing.assert_close(told, part(torch.as_tensor(x)), rtol=1e-3, atol=1e-4)
        assert float((told - other(torch.as_tensor(x))).abs().max()) > 0.01


def test_weights_that_prepare_wrote_are_loaded_or_missed(tmp_path: Any) -> None:
    good = rows(8, 0)
    card = DatasetCard(name="t", task="binary", classes=("a", "b"), weight="w", inputs=TABLE, rows={}, class_rows={},
                       audit=(), source_digest="", notes=())  # fmt: skip
    frame = pd.DataFrame({"row_id": [str(i) for i in range(8)]})
    for name in ("train", "val"):
        write_split(tmp_path, name, Split(good.x, good.y, frame, WEIGHT))  # type: ignore[arg-type]
    loaded = load_data(card, tmp_path)
    assert loaded.train.weight is not None
    assert loaded.train.weight.tolist() == WEIGHT.tolist()
    assert loaded.exchangeable
    assert not load_data(replace(card, time="day"), tmp_path).exchangeable
    assert not load_data(replace(card, unit="patient"), tmp_path).exchangeable
    (tmp_path / "train_weight.npy").unlink()
    with pytest.raises(ArtifactError) as caught:
        load_data(card, tmp_path)
    assert str(caught.value) == f"{tmp_path}/train_weight.npy: not found\n  fix: run the stage that writes it"
