"""A step whose rows are taken in parts, or shared by several processes, is the step that takes them at once."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.core.contracts import Budget, Candidate, Optimizer
from pipeline.core.errors import ConfigError, DeviceError
from pipeline.core.settings import TrainerSettings
from pipeline.core.strict import read
from pipeline.training import team
from pipeline.training.batches import Batch, Batches, parts_of
from pipeline.training.data import Arrays, Data, Rows
from pipeline.training.heads import head_for
from pipeline.training.module import Learner
from pipeline.training.team import Team, gather
from pipeline.training.training import Training
from tests.training.test_fit import CPU, DATA
from tests.training.test_packing import candidates, data, windows

SGD = Optimizer(kind="sgd", lr=0.02, batch_size=32)
MLP: dict[str, Any] = {"kind": "mlp", "width": 12, "depth": 2, "token": 4, "dropout": 0.0}
RNN: dict[str, Any] = {"kind": "rnn", "cell": "gru", "width": 8}


class Flat(torch.nn.Module):
    """A network whose outputs are the first cells of a row."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def members(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, None, : self.outputs].nan_to_num()


def weighed(of: Data) -> Data:
    weight = np.random.default_rng(2).gamma(1.0, size=len(of.train.y)).astype(np.float32)
    return replace(of, train=Arrays(of.train.x, of.train.y, weight / weight.mean()))


def grouped(of: Data) -> Data:
    groups = {"kind": np.array(["a", "b"])[np.arange(len(of.train.y)) % 5 // 3]}
    return replace(of, train=Arrays(of.train.x, of.train.y, groups=groups))


CASES: dict[str, tuple[Data, dict[str, Any], Optimizer]] = {
    "classes": (data(), MLP, SGD),
    "adam": (data(), MLP, Optimizer(lr=3e-3, batch_size=32)),
    "uneven classes": (data(), MLP, replace(SGD, class_weights="balanced", label_smoothing=0.1)),
    "weights": (weighed(data()), MLP, SGD),
    "label sets": (data("multilabel"), MLP, SGD),
    "worst group": (grouped(data()), MLP, replace(SGD, groups="worst")),
    "unknown values": (data("regression"), MLP, SGD),
    "members": (data("regression"), {"kind": "tabm", "members": 3, "dropout": 0.0}, replace(SGD, lr=0.01)),
    "forecasts": (windows(1), {"kind": "linear", "residual": 8, "dropout": 0.0}, replace(SGD, lr=0.005)),
    "blended images": (DATA, RNN, replace(SGD, mixup=0.4, shift=1, clip=1.0, ema=0.1)),
}


def after(case: str, accumulate: int) -> Training:
    of, architecture, optimizer = CASES[case]
    training = Training(
        Candidate(architecture=architecture, optimizer=optimizer),
        of, Budget(epochs=3), seed=5, trainer=replace(CPU, accumulate=accumulate),
    )  # fmt: skip
    training.start()
    training.advance()
    training.record()
    return training


@pytest.mark.parametrize("case", CASES)
def test_parts_of_a_step_teach_what_it_teaches_at_once(case: str) -> None:
    whole, parts = after(case, 1), after(case, 3)
    before = Training(Candidate(architecture=CASES[case][1], optimizer=CASES[case][2]), CASES[case][0],
                      Budget(epochs=3), seed=5, trainer=CPU).network.state_dict()  # fmt: skip
    moved = 0.0
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(parts.network.state_dict()[name], value, atol=1e-6, rtol=1e-5, msg=name)
        if value.is_floating_point() and bool(value.isfinite().all()):
            moved = max(moved, float((value - before[name]).abs().max()))
    assert moved > 1e-3
    assert (parts.pace.step, parts.pace.passes) == (whole.pace.step, whole.pace.passes)
    one, other = whole.records[-1], parts.records[-1]
    assert other.lr == one.lr
    assert other.train_loss == pytest.approx(one.train_loss, rel=1e-5)
    assert other.val_score == pytest.approx(one.val_score, rel=1e-4)


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_the_mean_over_processes_of_their_parts_is_the_loss_of_the_step(ranks: int) -> None:
    of, found = weighed(data("regression")), candidates()[0]
    head = head_for(of.task, of.inputs, of.targets, found.optimizer, of.train.y, of.train.weight)
    rows = Rows(of.train.x, of.train.y, of.inputs, "cpu", of.train.weight)
    batch = next(iter(Batches(rows, found.optimizer, 3).of(0)))
    learner = Learner(Flat(2), found.optimizer, head)  # type: ignore[arg-type]
    every = [parts_of(batch, head, 3, rank, ranks) for rank in range(ranks)]
    sums = [sum(float(learner.training_step(part, k)) for k, part in enumerate(own)) for own in every]
    assert np.mean(sums) == pytest.approx(float(learner.training_step(batch, 0)), rel=1e-5)
    assert torch.equal(torch.cat([part.x for own in every for part in own]).nan_to_num(), batch.x.nan_to_num())
    assert {len(own) for own in every} == {3}


def test_a_part_has_a_row_at_least() -> None:
    x, y = torch.rand(4, 3), torch.tensor([0, 1, 1, 0])
    parts = parts_of(Batch(x, y, y, 1.0), head_for("binary", DATA.inputs, ()), 9)
    assert [(len(part.x), part.part) for part in parts] == [(1, 0.25)] * 4


def test_the_mean_loss_of_an_epoch_counts_steps_and_not_their_parts() -> None:
    of, found = data(), candidates()[0]
    batches = Batches(Rows(of.train.x, of.train.y, of.inputs, "cpu"), found.optimizer, 3)
    head = head_for(of.task, of.inputs, of.targets)
    learner = Learner(Flat(3), found.optimizer, head)  # type: ignore[arg-type]
    for batch in batches.of(0):
        learner.training_step(batch, 0)
    mean = learner.take_loss()
    for batch in batches.of(0):
        for k, part in enumerate(parts_of(batch, head, 4)):
            learner.training_step(part, k)
    assert learner.take_loss() == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize("wrong", ["accumulate", "devices", "nodes"])
def test_no_part_and_no_process_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(TrainerSettings, {wrong: 0}, "conf.trainer")
    assert str(caught.value) == "conf.trainer: accumulate, devices and nodes must be at least 1"


def test_more_processes_than_rows_of_a_step_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Team, "size", 5)
    with pytest.raises(ConfigError) as caught:
        Team().check_rows(4)
    assert str(caught.value) == (
        "conf.trainer.devices: 5 processes share the rows of a step, and some steps have 4\n"
        "  fix: fewer devices or nodes, or trainer=auto"
    )


def test_machines_that_do_not_know_where_to_meet_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MASTER_ADDR", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError) as caught:
        gather(replace(CPU, nodes=2))
    assert str(caught.value) == (
        "conf.trainer.nodes: 2, but MASTER_ADDR does not say where they meet\n"
        "  fix: start the command on each machine with MASTER_ADDR, MASTER_PORT and NODE_RANK, or trainer.nodes=1"
    )


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "choose_device", lambda trainer: ("cuda", "fp32"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(DeviceError) as caught:
        gather(TrainerSettings(device="cuda", devices=4))
    assert str(caught.value) == ("conf.trainer.devices: 4, but PyTorch sees 1 GPU\n  fix: trainer.devices=1")


def test_one_process_is_a_team_of_its_own() -> None:
    alone = gather(CPU)
    assert (alone.size, alone.rank, alone.first, alone.told("x"), alone.mean(2.5)) == (1, 0, True, "x", 2.5)
    module = torch.nn.Linear(2, 2)
    assert alone.shared(module) is module
