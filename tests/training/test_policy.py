"""How numbers are computed: what wins, what a probe may take, and what a training keeps."""

import io
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pipeline.training.policy as policy_module
import pipeline.training.probe as probe_module
from pipeline.core.contracts import Budget, Candidate, ImageInputs, Optimizer, Policy
from pipeline.core.errors import DeviceError
from pipeline.core.settings import TrainerSettings
from pipeline.core.strict import plain, read
from pipeline.models import build
from pipeline.models.network import ImageStem
from pipeline.training.batches import Batch
from pipeline.training.fit import Watch, finished, fit
from pipeline.training.machine import keep_memory, processor, stepping
from pipeline.training.policy import laid_out, policy_for, variants
from pipeline.training.probe import Parity, Probed, parity_of, parity_of_kin, probe, speed_up
from pipeline.training.training import Training
from tests.training.test_fit import CANDIDATE, CPU, DATA, same

FREE = TrainerSettings(device="cpu")
USUAL = Policy(device="cpu", precision="fp32", memory_format="channels_last", compile=False)
CONTIGUOUS = replace(USUAL, memory_format="contiguous")
BF16 = replace(USUAL, precision="bf16")
SMALL = Candidate(architecture={"kind": "cnn", "width": 8, "dropout": 0.2}, optimizer=Optimizer(batch_size=32))


@pytest.fixture
def native_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_module, "has_bf16", lambda device: True)


@pytest.fixture
def no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_module, "has_bf16", lambda device: False)


def takes(monkeypatch: pytest.MonkeyPatch, seconds: Callable[[Policy], float]) -> list[Policy]:
    """Let steps of a policy take so long; return the list of those that were timed."""
    timed: list[Policy] = []

    def turn(sides: Sequence[Training]) -> list[float]:
        timed.extend(side.policy for side in sides)
        return [seconds(side.policy) for side in sides]

    monkeypatch.setattr(probe_module, "_turn", turn)
    return timed


def test_what_is_declared_goes_before_what_is_recorded_before_what_is_usual() -> None:
    assert policy_for(FREE, DATA.inputs) == USUAL
    recorded = Policy(device="cpu", precision="bf16", memory_format="contiguous", compile=False)
    assert policy_for(FREE, DATA.inputs, recorded) == recorded
    declared = replace(FREE, precision="fp32", memory_format="channels_last")
    assert policy_for(declared, DATA.inputs, recorded) == USUAL
    assert policy_for(FREE, DATA.inputs, replace(recorded, device="cuda")) == USUAL
    assert read(Policy, plain(recorded), "record") == recorded


def test_compilation_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(DeviceError) as caught:
        policy_for(replace(FREE, compile=True), DATA.inputs)
    assert str(caught.value) == "conf.trainer.compile: there is no C++ compiler here\n  fix: trainer.compile=false"


def test_only_what_the_device_and_the_network_have_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(SMALL.architecture, DATA.inputs, 2)
    monkeypatch.setattr(policy_module, "has_bf16", lambda device: False)
    assert variants(FREE, network, USUAL, compiled=False) == (USUAL, CONTIGUOUS)
    assert variants(FREE, nn.Linear(2, 2), USUAL, compiled=False) == (USUAL,)
    assert variants(CPU, network, USUAL, compiled=True)[1] == replace(USUAL, compile=True)
    monkeypatch.setattr(policy_module, "has_bf16", lambda device: True)
    found = variants(FREE, network, USUAL, compiled=False)
    assert found == (USUAL, CONTIGUOUS, BF16, replace(BF16, memory_format="contiguous"))
    declared = replace(FREE, precision="bf16", memory_format="contiguous", compile=False)
    own = policy_for(declared, DATA.inputs)
    assert variants(declared, network, own, compiled=True) == (own,)


@pytest.mark.usefixtures("no_bf16")
def test_a_policy_that_is_hardly_faster_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    takes(monkeypatch, lambda policy: 1.0 if policy == USUAL else 0.96)
    found = probe(SMALL, DATA, FREE, seconds=30)
    assert found.policy == USUAL
    assert [(one.policy, round(one.speed_up, 2)) for one in found.tried] == [(CONTIGUOUS, 1.04)]
    takes(monkeypatch, lambda policy: 1.0 if policy == USUAL else 0.9)
    assert probe(SMALL, DATA, FREE, seconds=30).policy == CONTIGUOUS


@pytest.mark.usefixtures("no_bf16")
def test_steps_that_take_too_long_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = takes(monkeypatch, lambda policy: 100.0 if policy == USUAL else 1.0)
    assert probe(SMALL, DATA, FREE, seconds=30) == Probed(policy=USUAL, turns=0)
    assert len(timed) == 4  # a turn to warm up, and one that says how long they take


@pytest.mark.usefixtures("no_bf16")
def test_real_steps_are_timed_and_nobody_else_notices() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    found = probe(SMALL, DATA, FREE, seconds=1.0)
    assert found.turns >= 3
    assert [one.policy for one in found.tried] == [CONTIGUOUS]
    assert found.tried[0].speed_up > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert read(Probed, plain(found), "record") == found


def test_compilation_has_to_be_repaid_by_the_training() -> None:
    turns = [[1.0, 0.5]] * 3
    assert speed_up(turns, 1, first=0.0, steps=100) == 2.0
    assert speed_up(turns, 1, first=50.0, steps=100) == 1.0


@pytest.mark.usefixtures("native_bf16")
def test_bf16_is_taken_where_it_is_faster_and_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    takes(monkeypatch, lambda policy: 0.5 if policy == BF16 else 1.0)
    found = probe(SMALL, DATA, FREE, seconds=30)
    assert found.policy == BF16
    parity = found.tried[0].parity
    assert parity is not None
    assert parity.holds
    assert parity.gradient > 0


def test_a_larger_one_of_a_family_is_compared_and_nobody_else_notices() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    found = parity_of_kin(SMALL, DATA, FREE, USUAL, BF16)
    assert found.holds
    assert 0 < found.gradient < 0.2
    assert parity_of_kin(SMALL, DATA, FREE, USUAL, USUAL) == Parity(gradient=0.0, loss=0.0)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.usefixtures("native_bf16")
def test_bf16_whose_gradients_differ_is_refused_and_the_next_one_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Training.loss

    def wrong(self: Training, batch: Batch, part: int = 0) -> Tensor:
        loss = real(self, batch, part)
        return loss if self.policy.precision == "fp32" else loss + 0.5 * (loss - loss.detach())  # half as much again

    monkeypatch.setattr(Training, "loss", wrong)
    speeds = {USUAL: 1.0, CONTIGUOUS: 0.8, BF16: 0.5, replace(BF16, memory_format="contiguous"): 0.6}
    takes(monkeypatch, lambda policy: speeds[policy])
    found = probe(SMALL, DATA, FREE, seconds=30)
    assert found.policy == CONTIGUOUS
    first, second, third = found.tried
    assert (first.policy, third.parity) == (BF16, None)
    assert second.parity is not None
    assert first.parity is not None
    assert first.parity.gradient == pytest.approx(0.5, abs=0.1)
    assert not first.parity.holds


def test_a_layout_gives_nearly_the_same_numbers() -> None:
    parity = parity_of(SMALL, DATA, FREE, USUAL, CONTIGUOUS)
    assert parity.gradient < 1e-4
    assert parity.loss < 1e-4


def test_numbers_that_are_none_never_agree() -> None:
    assert not Parity(gradient=float("nan"), loss=0.0).holds
    assert not Parity(gradient=0.0, loss=float("nan")).holds


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("memory_format", ["channels_last", "contiguous"])
def test_a_layout_is_handed_on_inside_and_forgotten_outside(channels: int, memory_format: str) -> None:
    many = (0.5,) * channels
    inputs = ImageInputs(channels=channels, height=8, width=8, mean=many, std=many)
    network = build({"kind": "speednet", "width": 8}, inputs, 2)
    seen: list[bool] = []
    for layer in network.trunk.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _, __, out: seen.append(out.stride(1) == 1))
    stems = [part for part in network.modules() if isinstance(part, ImageStem)]
    with laid_out(stems, memory_format):
        network(torch.rand(4, channels, 8, 8))
    assert set(seen) == {memory_format == "channels_last"}
    seen.clear()
    network(torch.rand(4, channels, 8, 8))
    assert set(seen) == {True}


@pytest.mark.parametrize("policy", [CONTIGUOUS, BF16], ids=lambda policy: str(policy.words))
def test_a_training_with_a_measured_policy_pauses_and_ends_bit_equal(policy: Policy) -> None:
    def made(chosen: Policy) -> Training:
        return Training(CANDIDATE, DATA, Budget(epochs=3), seed=3, trainer=FREE, policy=chosen)

    whole = made(policy)
    whole.start()
    whole.advance()
    whole.record()
    training = made(policy)
    training.start()
    training.advance(0.4)
    content = io.BytesIO()
    torch.save(training.state(), content)
    saved = torch.load(io.BytesIO(content.getvalue()), weights_only=True)
    training = made(read(Policy, saved["policy"], "checkpoint"))
    training.resume(saved)
    training.advance()
    training.record()
    assert training.policy == policy
    assert same(finished(whole, stopped=False), finished(training, stopped=False))


def test_the_policy_of_a_checkpoint_goes_before_any_other(tmp_path: Path) -> None:
    def dies(progress: float, _: Any) -> bool:
        if progress > 0.5:
            raise KeyboardInterrupt
        return True

    budget, watch = Budget(epochs=4), Watch(on_score=dies, checkpoints=tmp_path)
    whole = fit(CANDIDATE, DATA, budget, seed=3, trainer=FREE, policy=CONTIGUOUS)
    with pytest.raises(KeyboardInterrupt):
        fit(CANDIDATE, DATA, budget, seed=3, trainer=FREE, watch=watch, policy=CONTIGUOUS)
    rest = fit(CANDIDATE, DATA, budget, seed=3, trainer=FREE, watch=Watch(checkpoints=tmp_path), policy=USUAL)
    assert rest.policy == CONTIGUOUS
    assert same(whole, rest)


def test_a_compiled_training_takes_every_step_through_the_compiled_network(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counting(members: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def counted(x: Tensor) -> Tensor:
            calls.append(len(x))
            return members(x)

        return counted

    monkeypatch.setattr(torch, "compile", counting)
    monkeypatch.setenv("CXX", "true")  # any program: nothing is compiled here
    plain_done = fit(CANDIDATE, DATA, Budget(epochs=2), seed=3, trainer=FREE)
    assert calls == []
    done = fit(CANDIDATE, DATA, Budget(epochs=2), seed=3, trainer=FREE, policy=replace(USUAL, compile=True))
    assert sum(calls) == 2 * len(DATA.train.y)
    assert done.policy.words == "fp32, channels last, compiled"
    assert same(plain_done, done)


def test_numbers_too_small_count_as_zero_while_steps_are_taken_and_nowhere_else() -> None:
    tiny = torch.full((4,), 1e-39)
    assert (tiny * 0.5 > 0).all()
    with stepping("cpu"):
        assert (tiny * 0.5 == 0).all()
    assert (tiny * 0.5 > 0).all()


def test_a_processor_has_a_name_and_memory_is_kept_where_glibc_is() -> None:
    name, flags = processor()
    assert name
    assert isinstance(flags, frozenset)
    assert keep_memory() == (platform.libc_ver()[0] == "glibc")


@pytest.mark.gpu
def test_a_gpu_is_probed_and_what_is_chosen_trains() -> None:
    found = probe(SMALL, DATA, TrainerSettings(device="cuda"), seconds=10)
    assert found.turns >= 3
    assert found.policy.device == "cuda"
    assert {one.policy.precision for one in found.tried} == {"fp32", "bf16"}
    done = fit(SMALL, DATA, Budget(epochs=6), seed=3, trainer=TrainerSettings(), policy=found.policy)
    assert done.policy == found.policy
