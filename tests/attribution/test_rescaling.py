"""Temporal saliency rescaling: a planted step and channel is found where gradients of a recurrent network smear."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.attribution import Task, baseline_for
from pipeline.attribution.methods import METHODS
from pipeline.attribution.rescaling import gradients, group_of, rescalings, temporal_saliency_rescaling
from pipeline.core.contracts import SeriesInputs

LENGTH, STEP, CHANNEL = 24, 9, 2
SERIES = SeriesInputs(channels=("a", "b", "c", "d"), length=LENGTH, mean=(0.0,) * 4, std=(1.0,) * 4)


def rows(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return noise (N, C, T) in which the sign of a jump in one channel, at one step, decides the class."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 0.5, (count, 4, LENGTH)), rng.integers(2, size=count)
    x[:, CHANNEL, STEP] = 3.0 * (2 * y - 1)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


class Recurrent(nn.Module):
    """A gated unit over the steps, its last state to two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.GRU(4, 16, batch_first=True)
        self.head = nn.Linear(16, 2)
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        out: Tensor = self.head(self.body(x.nan_to_num().transpose(1, 2))[0][:, -1])
        return out


@pytest.fixture(scope="module")
def network() -> Recurrent:
    torch.manual_seed(0)
    found, (x, y) = Recurrent(), rows(400, 0)
    adam = torch.optim.Adam(found.parameters(), lr=0.01)
    for _ in range(80):
        adam.zero_grad()
        nn.functional.cross_entropy(found(x), y).backward()
        adam.step()
    assert (found(rows(200, 1)[0]).argmax(1) == rows(200, 1)[1]).double().mean() > 0.97
    return found.eval()


def asked(network: nn.Module, x: Tensor) -> Task:
    with torch.no_grad():
        target = network(x).argmax(1)
    return Task(network, SERIES, x, target, baseline_for(SERIES, x)[0])


def share(values: np.ndarray) -> float:
    """Return the mean share of sizes in the planted place."""
    size = np.abs(values)
    return float((size[:, CHANNEL, STEP] / size.sum((1, 2))).mean())


def hanging(network: nn.Module) -> Tensor:
    """Return rows whose class another one replaces when the jump is gone: of the others it decides nothing."""
    x = rows(60, 2)[0]
    without = x.clone()
    without[:, CHANNEL, STEP] = 0
    with torch.no_grad():
        return x[network(x).argmax(1) != network(without).argmax(1)]


def found_in(values: np.ndarray) -> float:
    """Return the share of rows whose largest place is the planted one."""
    return float((np.abs(values).reshape(len(values), -1).argmax(1) == CHANNEL * LENGTH + STEP).mean())


def test_a_planted_step_and_channel_is_found_wheregradients_smear(network: Recurrent) -> None:
    task = asked(network, hanging(network))
    assert len(task.x) > 20
    found, plain = temporal_saliency_rescaling(task).values, gradients(task, task.x)
    assert found_in(found) > 0.9
    assert found_in(plain) < 0.7
    assert share(found) > 1.5 * share(plain)


def test_signs_are_those_of_masking_and_sizes_sum_to_the_change(network: Recurrent) -> None:
    task = asked(network, rows(6, 3)[0])
    found = temporal_saliency_rescaling(task).values
    with torch.no_grad():
        change = (task.outputs(task.x) - task.outputs(task.baseline)).double().numpy()
        masked = task.x.clone()
        masked[:, CHANNEL, STEP] = task.baseline[:, CHANNEL, STEP]
        rises = (task.outputs(task.x) - task.outputs(masked)).numpy()
    assert np.abs(found).sum((1, 2)) == pytest.approx(np.abs(change))
    assert (np.sign(found[:, CHANNEL, STEP]) == np.sign(rises)).all()


def test_of_a_linear_network_it_finds_what_counts() -> None:
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(4 * LENGTH, 2))
    with torch.no_grad():
        linear[1].weight.zero_()
        linear[1].weight[:, CHANNEL * LENGTH + STEP] = torch.tensor([-1.0, 1.0])
    task = asked(linear, rows(8, 7)[0])
    found = temporal_saliency_rescaling(task).values
    change = (task.outputs(task.x) - task.outputs(task.baseline)).detach().double().numpy()
    assert found[:, CHANNEL, STEP] == pytest.approx(change)
    assert share(found) == pytest.approx(1)


def test_predictions_are_counted(network: Recurrent) -> None:
    task = asked(network, rows(10, 4)[0])
    network.seen = 0
    temporal_saliency_rescaling(task)
    method = METHODS["series"][1]
    assert method.name == "temporal_saliency_rescaling"
    assert method.forwards(SERIES) == rescalings(SERIES)
    there = network.seen / 10  # a gradient is counted as three predictions, and one forward pass of them is seen
    assert (1 + there) / 2 * 4 == pytest.approx(rescalings(SERIES), rel=0.1)


def test_what_is_missing_and_what_nothing_reads_have_no_part(network: Recurrent) -> None:
    x = rows(5, 5)[0]
    x[:, 1, 3:] = torch.nan
    found = temporal_saliency_rescaling(asked(network, x)).values
    assert np.isfinite(found).all()
    silent = nn.Sequential(nn.Flatten(), nn.Linear(4 * LENGTH, 2))
    nn.init.zeros_(silent[1].weight)
    assert (temporal_saliency_rescaling(asked(silent, rows(3, 6)[0])).values == 0).all()


def test_long_series_are_masked_by_groups_and_one_channel_by_times_alone() -> None:
    long = SeriesInputs(channels=("a",), length=100, mean=(0.0,), std=(1.0,))
    wide = SeriesInputs(channels=tuple(f"c{i}" for i in range(60)), length=100, mean=(0.0,) * 60, std=(1.0,) * 60)
    assert np.bincount(group_of(long)).tolist().count(3) + np.bincount(group_of(long)).tolist().count(4) == 32
    assert group_of(wide).max() + 1 == 8
    assert group_of(SERIES).tolist() == list(range(24))
    linear = nn.Sequential(nn.Flatten(), nn.Linear(100, 2), nn.Tanh())
    torch.manual_seed(0)
    x = torch.randn(3, 1, 100)
    found = temporal_saliency_rescaling(Task(linear, long, x, torch.zeros(3, dtype=torch.int64), 0 * x)).values
    own = found[0, 0, group_of(long) == 5]
    assert np.ptp(own) == pytest.approx(0)
    assert rescalings(long) == 33 * 4 + 1
