"""One training: what it promises about seeds, interruptions, budgets and failures."""

import io
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.core.contracts import Budget, Candidate, EpochRecord, ImageInputs, ModelCard, Optimizer
from pipeline.core.errors import ArtifactError, DeviceError
from pipeline.core.seeds import stream_seed
from pipeline.core.settings import TrainerSettings
from pipeline.core.store import write_json
from pipeline.models import build
from pipeline.training.augment import mirrored, shifted
from pipeline.training.batches import Batches
from pipeline.training.data import Arrays, Data, Rows
from pipeline.training.device import choose_device
from pipeline.training.fit import Fit, Watch, finished, fit
from pipeline.training.heads import ClassHead
from pipeline.training.pace import learning_rate_factor
from pipeline.training.predict import predict
from pipeline.training.training import Training
from pipeline.training.weights import load_model, save_weights

CPU = TrainerSettings(device="cpu", precision="fp32")
CANDIDATE = Candidate(
    architecture={"kind": "cnn", "width": 8, "dropout": 0.2}, optimizer=Optimizer(lr=1e-2, batch_size=16, shift=1)
)


def stripes(rows: int, seed: int) -> Arrays:
    """Images of horizontal or vertical stripes under noise; a small network learns them in a few epochs."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=rows)
    wave = (np.arange(8) // 2 % 2)[None, :] * np.ones((8, 1))
    clean = np.where(y[:, None, None] == 1, wave, wave.T)
    x = np.clip(160 * clean + rng.normal(0, 40, (rows, 8, 8)) + 40, 0, 255).astype(np.uint8)
    return Arrays(x[:, None], y.astype(np.int64))


DATA = Data(ImageInputs(channels=1, height=8, width=8, mean=(0.4,), std=(0.3,)), 2, stripes(150, 0), stripes(80, 1))


def on_cpu(arrays: Arrays) -> Rows:
    return Rows(arrays.x, arrays.y, DATA.inputs, "cpu")


def train(budget: Budget, seed: int = 3, watch: Watch | None = None, candidate: Candidate = CANDIDATE) -> Fit:
    return fit(candidate, DATA, budget, seed=seed, trainer=CPU, watch=watch)


def weights(done: Fit) -> dict[str, torch.Tensor]:
    return done.network.state_dict()


def same(first: Fit, second: Fit) -> bool:
    return all(torch.equal(value, weights(second)[name]) for name, value in weights(first).items())


def test_it_learns_and_the_seed_decides_everything() -> None:
    first, again, other = train(Budget(epochs=6)), train(Budget(epochs=6)), train(Budget(epochs=6), seed=4)
    assert first.records[-1].val_quality > 0.95
    assert same(first, again)
    assert not same(first, other)
    assert [r.epoch for r in first.records] == [1, 2, 3, 4, 5, 6]
    assert (first.passes, first.device, first.policy.precision, first.stopped) == (6.0, "cpu", "fp32", False)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_an_interrupted_training_ends_bit_equal(tmp_path: Path, kind: str) -> None:
    candidate = Candidate(architecture=CANDIDATE.architecture, optimizer=Optimizer(kind=kind, lr=1e-2, batch_size=16))  # type: ignore[arg-type]

    def until_two(progress: float, record: EpochRecord) -> bool:
        if record.epoch == 3:
            raise KeyboardInterrupt
        return True

    whole = train(Budget(epochs=5), candidate=candidate)
    with pytest.raises(KeyboardInterrupt):
        train(Budget(epochs=5), candidate=candidate, watch=Watch(on_score=until_two, checkpoints=tmp_path))
    seen: list[int] = []
    rest = train(
        Budget(epochs=5),
        candidate=candidate,
        watch=Watch(on_score=lambda _, r: bool(seen.append(r.epoch) or True), checkpoints=tmp_path),
    )
    assert seen == [3, 4, 5]
    assert same(whole, rest)
    assert [r.val_score for r in rest.records] == [r.val_score for r in whole.records]


@pytest.mark.parametrize("stops", [(0.11,), (0.3, 0.31, 0.32, 0.77)])
def test_a_training_that_pauses_between_any_steps_ends_bit_equal(stops: tuple[float, ...]) -> None:
    mixed = replace(CANDIDATE, optimizer=replace(CANDIDATE.optimizer, mixup=0.3, cutout=2))

    def made() -> Training:
        return Training(mixed, DATA, Budget(epochs=4), seed=3, trainer=CPU, rung_average=True)

    whole = made()
    whole.start()
    rungs = []
    for until in (*stops, 1.0):
        whole.advance(until)
        rungs.append(whole.record().val_score)
    training = made()
    training.start()
    again = []
    for until in stops:
        training.advance(until)
        again.append(training.record().val_score)
        content = io.BytesIO()
        torch.save(training.state(), content)
        torch.rand(7)  # what others draw meanwhile changes nothing
        training = made()
        training.resume(torch.load(io.BytesIO(content.getvalue()), weights_only=True))
    assert training.pace.progress == pytest.approx(stops[-1], abs=0.03)
    training.advance()
    again.append(training.record().val_score)
    assert again == rungs
    assert same(finished(whole, stopped=False), finished(training, stopped=False))


def test_the_average_at_a_rung_is_scored_and_not_kept() -> None:
    plain, averaged = (
        Training(CANDIDATE, DATA, Budget(epochs=4), seed=3, trainer=CPU, rung_average=on) for on in (False, True)
    )
    for training in (plain, averaged):
        training.start()
        training.advance(0.25)
    assert plain.record().val_score != averaged.record().val_score
    for training in (plain, averaged):
        training.advance()
        training.record()
    assert plain.records[-1].val_score == averaged.records[-1].val_score
    assert same(finished(plain, stopped=False), finished(averaged, stopped=False))


def test_a_moment_that_came_stops_before_the_next_step() -> None:
    training = Training(CANDIDATE, DATA, Budget(epochs=4), seed=3, trainer=CPU)
    training.start()
    assert training.advance(0.3)
    step = training.pace.step
    assert not training.advance(deadline=time.monotonic() - 1)
    assert training.pace.step == step


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(Budget(epochs=3), watch=Watch(checkpoints=tmp_path))
    last = tmp_path / "last.ckpt"
    last.write_bytes(last.read_bytes()[:100])
    resumed = train(Budget(epochs=3), watch=Watch(checkpoints=tmp_path))
    assert "last.ckpt is damaged" in caplog.text
    assert same(resumed, train(Budget(epochs=3)))


def test_a_finished_checkpoint_is_not_trained_again(tmp_path: Path) -> None:
    first = train(Budget(epochs=2), watch=Watch(checkpoints=tmp_path))
    again = train(Budget(epochs=2), watch=Watch(checkpoints=tmp_path, on_score=lambda *_: pytest.fail("trained")))
    assert same(first, again)


def test_seconds_end_the_schedule_in_order() -> None:
    done = train(Budget(epochs=10_000, seconds=1.0))
    assert not done.stopped
    assert done.passes < 10_000
    assert done.seconds >= 1.0


def test_seconds_that_end_before_the_first_step_leave_one_step_and_a_record() -> None:
    done = train(Budget(epochs=3, seconds=1e-9))
    torch.manual_seed(stream_seed(3, "weights"))
    start = dict(build(CANDIDATE.architecture, DATA.inputs, DATA.outputs).named_parameters())
    assert len(done.records) == 1
    assert 0 < done.passes < 1
    assert not all(torch.equal(value, start[name]) for name, value in done.network.named_parameters())


def test_rungs_are_shares_of_the_budget_and_false_stops() -> None:
    seen: list[float] = []

    def stop_at_second(progress: float, record: EpochRecord) -> bool:
        seen.append(progress)
        return len(seen) < 2

    done = train(Budget(epochs=9), watch=Watch(on_score=stop_at_second, rungs=(1 / 9, 1 / 3, 1.0)))
    assert seen == pytest.approx([1 / 9, 1 / 3], abs=0.02)
    assert done.stopped
    assert done.passes == pytest.approx(3.0, abs=0.2)


def test_a_loss_that_is_not_finite_is_an_error_that_says_when() -> None:
    wild = Candidate(architecture=CANDIDATE.architecture, optimizer=Optimizer(kind="sgd", lr=1e30, batch_size=16))
    with pytest.raises(FloatingPointError, match=r"loss is not finite after \d\.\d\d epochs"):
        train(Budget(epochs=2), candidate=wild)


def test_a_device_that_is_not_here_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceError) as caught:
        choose_device(TrainerSettings(device="cuda"))
    assert str(caught.value) == (
        "conf.trainer.device: cuda, but PyTorch sees no GPU\n  fix: use trainer=auto or trainer=cpu"
    )


def test_every_epoch_sees_every_row_once_in_another_order() -> None:
    batches = Batches(on_cpu(stripes(50, 0)), Optimizer(batch_size=16), 1)
    first = torch.cat([batch.x for batch in batches.of(0)]).flatten(1)
    sizes = [len(batch.y) for batch in batches.of(0)]
    second = torch.cat([batch.x for batch in batches.of(1)]).flatten(1)
    assert sizes == [17, 17, 16]
    assert not torch.equal(first, second)
    order = torch.argsort(first @ torch.rand(64)), torch.argsort(second @ torch.rand(64))
    assert len(order[0]) == len(order[1]) == 50
    assert {tuple(row.tolist()) for row in first} == {tuple(row.tolist()) for row in second}


def test_augmentation_shifts_and_mirrors_whole_images() -> None:
    x = torch.arange(2 * 36).view(2, 1, 6, 6)
    moved = shifted(x.repeat(40, 1, 1, 1), 1, torch.Generator().manual_seed(0))
    allowed = {
        tuple(augmented(x[i], dy, dx).flatten().tolist()) for i in (0, 1) for dy in (-1, 0, 1) for dx in (-1, 0, 1)
    }
    found = {tuple(image.flatten().tolist()) for image in moved}
    assert found <= allowed
    assert len(found) > 9
    even, odd = (mirrored(x.repeat(40, 1, 1, 1), torch.arange(80), epoch) for epoch in (0, 1))
    both = {tuple(i.flatten().tolist()) for i in x} | {tuple(i.flip(-1).flatten().tolist()) for i in x}
    assert {tuple(i.flatten().tolist()) for i in even} == both
    assert torch.equal(odd, even.flip(-1))
    assert not torch.equal(odd, even)


def augmented(image: torch.Tensor, dy: int, dx: int) -> torch.Tensor:
    rows = (torch.arange(6) + dy).clamp(0, 5)
    columns = (torch.arange(6) + dx).clamp(0, 5)
    return image[:, rows][:, :, columns]


def test_the_learning_rate_warms_up_and_ends_at_zero() -> None:
    shares = [0.0, 0.05, 0.525, 0.8, 1.0]
    factors = {
        kind: [learning_rate_factor(share, Optimizer(schedule=kind)) for share in shares]  # type: ignore[arg-type]
        for kind in ("cosine", "linear", "wsd")
    }
    assert factors["cosine"] == pytest.approx([0.02, 1, 0.5, 0.1049, 0], abs=1e-3)
    assert factors["linear"] == pytest.approx([0.02, 1, 0.5, 0.2105, 0], abs=1e-3)
    assert factors["wsd"] == pytest.approx([0.02, 1, 1, 1 - 3**-0.5, 0], abs=1e-3)
    assert learning_rate_factor(0.0, Optimizer(warm_up=0.0)) == 1.0


def test_probabilities_sum_to_one_and_do_not_depend_on_the_batch() -> None:
    network = train(Budget(epochs=1)).network
    rows = on_cpu(DATA.val)
    whole = predict(network, rows, ClassHead())
    assert whole.sum(axis=1) == pytest.approx(np.ones(80))
    assert predict(network, rows, ClassHead(), batch=7) == pytest.approx(whole, abs=1e-6)


def test_weights_that_do_not_match_the_card_are_refused(tmp_path: Path) -> None:
    done = train(Budget(epochs=1))
    digest = save_weights(tmp_path, done.network)
    card = ModelCard(
        candidate=CANDIDATE,
        inputs=DATA.inputs,
        outputs=2,
        parameters=done.parameters,
        seed=3,
        device="cpu",
        precision="fp32",
        epochs=done.records,
        seconds=1.0,
        search_score=0.5,
        val_score=0.5,
        val_quality=0.9,
        weights_sha256=digest,
    )
    write_json(tmp_path / "card.json", card)
    network, read = load_model(tmp_path)
    assert read == card
    rows = on_cpu(DATA.val)
    assert np.array_equal(predict(network, rows, ClassHead()), predict(done.network, rows, ClassHead()))
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    with pytest.raises(ArtifactError) as caught:
        load_model(tmp_path)
    assert str(caught.value) == f"{path}: not the weights that card.json describes\n  fix: run `dvc repro train`"


@pytest.mark.gpu
def test_the_gpu_trains_in_bf16_and_agrees_with_the_cpu() -> None:
    done = fit(CANDIDATE, DATA, Budget(epochs=6), seed=3, trainer=TrainerSettings(precision="bf16"))
    assert done.policy.precision == "bf16"
    assert done.device != "cpu"
    assert done.records[-1].val_quality > 0.95
