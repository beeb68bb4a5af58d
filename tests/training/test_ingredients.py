"""Optimisers, averages, losses and changes of rows: each does what its source says."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.core.contracts import Budget, Candidate, ForecastInputs, ImageInputs, Optimizer, SeriesInputs, TextInputs
from pipeline.core.errors import SpaceError
from pipeline.models.network import Network
from pipeline.training.augment import changed, cut_out
from pipeline.training.averaging import Average
from pipeline.training.batches import Batch, Batches, blended
from pipeline.training.data import Rows
from pipeline.training.fit import Watch, fit
from pipeline.training.heads import ClassHead, LabelSetHead, ValueHead, balanced_weights, head_for, loss_of
from pipeline.training.optimizers import Muon, Together, hidden_matrices, make_optimizer, orthogonal
from tests.training.test_fit import CANDIDATE, CPU, DATA, same, train

TEXT = TextInputs(length=6, vocabulary=("a", "b", "c"))
IMAGE = ImageInputs(channels=1, height=6, width=6, mean=(0.5,), std=(0.2,))


def candidate(**settings: Any) -> Candidate:
    settings = {"lr": 1e-2, "batch_size": 16} | settings
    return Candidate(architecture=CANDIDATE.architecture, optimizer=Optimizer(**settings))


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "muon", "muon_lr": 0.05},
        {"kind": "sgd", "momentum": 0.8, "clip": 0.0},
        {"schedule": "wsd", "ema": 0.05},
        {"schedule": "linear", "warm_up": 0.1, "class_weights": "balanced"},
        {"mixup": 0.2, "cutout": 2, "flip": True, "shift": 1},
    ],
    ids=", ".join,
)
def test_every_ingredient_learns_and_survives_an_interruption(tmp_path: Path, settings: dict[str, Any]) -> None:
    def until_two(progress: float, record: Any) -> bool:
        if record.epoch == 3:
            raise KeyboardInterrupt
        return True

    whole = train(Budget(epochs=6), candidate=candidate(**settings))
    assert whole.records[-1].val_quality > 0.9
    with pytest.raises(KeyboardInterrupt):
        train(Budget(epochs=6), candidate=candidate(**settings), watch=Watch(on_score=until_two, checkpoints=tmp_path))
    rest = train(Budget(epochs=6), candidate=candidate(**settings), watch=Watch(checkpoints=tmp_path))
    assert same(whole, rest)


@pytest.mark.parametrize("shape", [(4, 4), (3, 40), (40, 3), (64, 27)])
def test_a_step_of_muon_is_nearly_orthogonal_and_keeps_directions(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    near = orthogonal(matrix)
    assert near.shape == matrix.shape
    left, found, right = torch.linalg.svd(near, full_matrices=False)
    assert (found > 0.5).all()
    assert (found < 1.3).all()
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    torch.testing.assert_close(left @ right, u @ v, atol=5e-3, rtol=0)


def test_muon_moves_a_weight_by_its_learning_rate_whatever_the_gradient() -> None:
    for size in (1e-6, 1e3):
        weight = nn.Parameter(torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(1)))
        before = weight.detach().clone()
        weight.grad = size * torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(2))
        Muon([weight], 0.1, 0.9, 0.0).step()
        assert float((weight.detach() - before).norm() / before.norm()) == pytest.approx(0.1, rel=0.2)


def test_muon_gets_hidden_matrices_and_lazy_adam_sparse_ones() -> None:
    trunk = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), nn.Linear(8, 4),
        nn.Embedding(5, 4), nn.Embedding(5, 4, sparse=True),
    )  # fmt: skip
    network = Network(nn.Linear(3, 3), trunk, 4, 2, 0.0)
    assert [tuple(w.shape) for w in hidden_matrices(network)] == [(8, 3, 3, 3), (4, 8)]
    made = make_optimizer(network, Optimizer(kind="muon", lr=0.01, muon_lr=0.1))
    assert isinstance(made, Together)
    assert [type(part).__name__ for part in made.parts] == ["AdamW", "Muon", "SparseAdam"]
    sizes = [sum(p.numel() for g in part.param_groups for p in g["params"]) for part in made.parts]
    assert sizes[1:] == [8 * 27 + 32, 20]
    assert sum(sizes) == sum(p.numel() for p in network.parameters())
    assert [g["lr"] for g in made.param_groups] == [0.01, 0.01, 0.1, 0.01]
    made.param_groups[2]["lr"] = 0.5
    assert made.parts[1].param_groups[0]["lr"] == 0.5


def test_together_goes_on_where_it_was_saved() -> None:
    def made() -> tuple[nn.Embedding, nn.Linear, Together]:
        torch.manual_seed(0)
        words, layer = nn.Embedding(4, 3, sparse=True), nn.Linear(3, 1)
        parts = [torch.optim.AdamW(layer.parameters(), lr=0.1), torch.optim.SparseAdam(words.parameters(), lr=0.1)]
        return words, layer, Together(parts)

    def step(words: nn.Embedding, layer: nn.Linear, optimizer: Together) -> None:
        optimizer.zero_grad()
        layer(words(torch.tensor([1, 2]))).sum().backward()
        optimizer.step()

    words, layer, optimizer = made()
    step(words, layer, optimizer)
    state, middle = (
        copy.deepcopy(optimizer.state_dict()),
        (words.weight.detach().clone(), layer.weight.detach().clone()),
    )
    step(words, layer, optimizer)
    other_words, other_layer, again = made()
    with torch.no_grad():
        other_words.weight.copy_(middle[0])
        other_layer.weight.copy_(middle[1])
        other_layer.bias.copy_(layer.bias)
    again.load_state_dict(state)
    step(other_words, other_layer, again)
    assert torch.equal(words.weight, other_words.weight)
    assert torch.equal(layer.weight, other_layer.weight)
    assert again.param_groups[0] is again.parts[0].param_groups[0]


def test_the_average_forgets_half_in_a_half_life() -> None:
    layer = nn.Linear(1, 1)
    nn.init.constant_(layer.weight, 1.0)
    average = Average(layer, 0.1)
    average.update(0.5)
    nn.init.constant_(layer.weight, 2.0)
    average.update(0.6)
    assert float(average.values["weight"]) == pytest.approx(1.5)
    with average.shown(layer):
        assert layer.weight.item() == pytest.approx(1.5)
    assert layer.weight.item() == 2.0


def test_constants_that_are_infinite_stay_as_they_are() -> None:
    layer = nn.Linear(1, 1)
    layer.register_buffer("edges", torch.tensor([0.0, torch.inf]))
    average = Average(layer, 0.1)
    average.update(0.5)
    with average.shown(layer):
        assert layer.get_buffer("edges").tolist() == [0.0, torch.inf]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("auto", [4.0, 0.25]), ("squared", [4.0, 0.25]), ("absolute", [2.0, 0.5]), ("huber", [1.5, 0.125]),
        ("quantile", [0.4, 0.4]),
    ],
)  # fmt: skip
def test_losses_of_numbers(kind: str, expected: list[float]) -> None:
    missed = torch.tensor([2.0, -0.5])
    assert loss_of(missed, kind, 0.2).tolist() == pytest.approx(expected)


def test_the_quantile_loss_is_lowest_at_the_quantile() -> None:
    y = torch.arange(101.0)[:, None]
    head = ValueHead(torch.zeros(1), torch.ones(1), "quantile", 0.8)
    losses = [float(head.loss(torch.full_like(y, value), y, 0.0)) for value in range(101)]
    assert int(np.argmin(losses)) == 80


def test_balanced_weights_count_rare_classes_as_much() -> None:
    y = np.array([0] * 8 + [1] * 2)
    weights = balanced_weights(y)
    assert weights.tolist() == pytest.approx([10 / 16, 10 / 4])
    out, at = torch.zeros(10, 2), torch.tensor(y)
    out[:, 0] = 3.0
    plain, fair = ClassHead().loss(out, at, 0.0), ClassHead(weights).loss(out, at, 0.0)
    assert float(fair) > 2 * float(plain)
    labels = np.array([[1, 0], [0, 0], [0, 0], [0, 1]])
    both = balanced_weights(labels)
    assert both.flatten().tolist() == pytest.approx([2 / 3, 2 / 3, 2.0, 2.0])
    wrong = torch.full((4, 2), -4.0)
    target = torch.tensor(labels)
    assert LabelSetHead(both).loss(wrong, target, 0.0) > LabelSetHead().loss(wrong, target, 0.0)


def test_blended_rows_and_their_share() -> None:
    x, y = torch.randn(8, 1, 4, 4), torch.arange(8)
    batch = blended(Batch(x, y, y, 1.0), 0.4, torch.Generator().manual_seed(3))
    assert 0 < batch.share < 1
    torch.testing.assert_close(batch.x, batch.share * x + (1 - batch.share) * x[batch.other])


def test_hidden_words_become_unknown_and_padding_stays() -> None:
    x = torch.full((200, 6), 3)
    x[:, 4:] = 0
    hidden = changed(x, torch.arange(200), 0, Optimizer(word_dropout=0.25), TEXT, torch.Generator().manual_seed(0))
    assert (hidden[:, 4:] == 0).all()
    assert set(hidden[:, :4].unique().tolist()) == {1, 3}
    assert float((hidden[:, :4] == 1).float().mean()) == pytest.approx(0.25, abs=0.05)


def test_noise_is_in_training_deviations_and_gaps_stay() -> None:
    inputs = SeriesInputs(channels=("a", "b"), length=500, mean=(0.0, 0.0), std=(1.0, 10.0))
    x = torch.zeros(4, 2, 500)
    x[0, 0, :9] = torch.nan
    noisy = changed(x, torch.arange(4), 0, Optimizer(jitter=0.1), inputs, torch.Generator().manual_seed(0))
    assert noisy[0, 0, :9].isnan().all()
    assert noisy[1].std(dim=1).tolist() == pytest.approx([0.1, 1.0], rel=0.1)


def test_a_square_of_the_mean_is_cut_out() -> None:
    x = torch.full((50, 1, 6, 6), 7, dtype=torch.uint8)
    cut = cut_out(x, 3, IMAGE, torch.Generator().manual_seed(0))
    assert cut.dtype == torch.uint8
    assert set(cut.unique().tolist()) == {7, 128}
    assert int((cut == 128).flatten(1).sum(1).max()) == 9


@pytest.mark.parametrize(
    ("settings", "inputs", "message"),
    [
        ({"flip": True}, TEXT, "flip: means nothing for data of kind text\n  fix: space.optimizer.flip=0"),
        ({"mixup": 0.2}, TEXT, "mixup: means nothing for data of kind text\n  fix: space.optimizer.mixup=0"),
        ({"jitter": 0.1}, IMAGE, "jitter: means nothing for data of kind image\n  fix: space.optimizer.jitter=0"),
    ],
)
def test_changes_that_mean_nothing_are_refused(settings: dict[str, Any], inputs: Any, message: str) -> None:
    x = np.zeros((4, 6), np.int32)
    with pytest.raises(SpaceError) as caught:
        Batches(Rows(x, np.zeros(4, np.int64), inputs, "cpu"), Optimizer(**settings), 0)
    assert str(caught.value) == f"space.optimizer.{message}"


def test_losses_that_mean_nothing_are_refused() -> None:
    with pytest.raises(SpaceError) as caught:
        fit(candidate(loss="huber"), DATA, Budget(epochs=1), seed=0, trainer=CPU)
    message = "space.optimizer.loss: 'huber' is a loss of numbers, not of classes\n  fix: space.optimizer.loss=auto"
    assert str(caught.value) == message
    forecast = ForecastInputs(channels=("x",), targets=1, known=0, window=4, horizon=1, season=None)
    with pytest.raises(SpaceError) as caught:
        head_for("forecast", forecast, (), Optimizer(class_weights="balanced"))
    fix = "space.optimizer.class_weights=none"
    assert str(caught.value) == f"space.optimizer.class_weights: numbers have no classes\n  fix: {fix}"
