"""Trainings on the full budget: who is trained, what each may spend, what is kept; choices turned back one by one."""

import csv
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pipeline.core.contracts import Best, Budget, Candidate, EpochRecord, Optimizer, SearchRecord, Target, TrialRecord
from pipeline.core.errors import ConfigError
from pipeline.core.seeds import stream_seed
from pipeline.core.settings import TrainSettings
from pipeline.core.strict import read
from pipeline.training import curves
from pipeline.training.ablation import ablate, choices_of, paired, row_losses
from pipeline.training.curves import refuse_without_tensorboard
from pipeline.training.data import Arrays, Data
from pipeline.training.fit import fit
from pipeline.training.full import Course, course_for, default_of, seed_of, wanted_trainings, write_log
from tests.training.test_fit import CANDIDATE, CPU, DATA

SMALL = replace(CANDIDATE, architecture={"kind": "cnn", "width": 4})
RNN = Candidate(architecture={"kind": "rnn", "cell": "gru", "width": 8}, optimizer=Optimizer(lr=3e-3))


def trial(number: int, candidate: Candidate, origin: Any = "default", state: Any = "complete") -> TrialRecord:
    return TrialRecord(number=number, state=state, score=0.5, quality=0.8, origin=origin, candidate=candidate,
                       parameters=9, epochs=1.0, seconds=1.0, curve=(), error="OutOfMemoryError")  # fmt: skip


def search(*trials: TrialRecord, best: int = 0) -> SearchRecord:
    return SearchRecord(study="s", storage="", metric="log_loss", trials=trials, best=best, seconds=1.0)


def best_of(record: SearchRecord) -> Best:
    return Best(number=record.best, score=0.5, candidate=record.trials[record.best].candidate)


FOUND = search(trial(0, RNN), trial(1, SMALL), trial(2, CANDIDATE, "tpe"), best=2)


def test_the_first_seed_is_that_of_the_run_and_the_default_has_it_too() -> None:
    first, second, default = wanted_trainings(best_of(FOUND), 7, 2, FOUND.trials[0])
    assert (first.name, first.file, first.seed, first.candidate) == ("seed 1", "model.safetensors", 7, CANDIDATE)
    assert (second.name, second.file, second.candidate) == ("seed 2", "seed_2.safetensors", CANDIDATE)
    assert second.seed == seed_of(7, 2) == stream_seed(7, "train", 2) != seed_of(7, 3)
    assert (default.name, default.file, default.seed, default.candidate) == ("default", "default.safetensors", 7, RNN)


def test_it_is_said_where_a_training_has_less_time_than_the_trial_had(tmp_path: Path) -> None:
    took = replace(FOUND.trials[2], seconds=40.0)
    course = course_for(DATA, TrainSettings(seconds=90, seeds=3), CPU, 3, tmp_path)
    assert course.short_words(took, 3) == (
        "each training may take 30 s and the winner's trial took 40 s, so it may end worse than in the search: raise "
        "train.seconds above 120, or lower train.seeds"
    )
    assert course.short_words(replace(took, seconds=30.0), 3) is None
    refit = course_for(DATA, TrainSettings(seconds=90, seeds=3, refit=True), CPU, 3, tmp_path)
    assert "each training may take 15 s" in str(refit.short_words(took, 3))
    assert "above 240, or" in str(refit.short_words(took, 3))
    assert course_for(DATA, TrainSettings(seconds=None), CPU, 3, tmp_path).short_words(took, 3) is None


@pytest.mark.parametrize(
    ("record", "asked", "why"),
    [
        (FOUND, True, ""),
        (FOUND, False, "train.default is false"),
        (replace(FOUND, best=0), True, "the winner is the default"),
        (replace(FOUND, best=0), False, "the winner is the default"),
        (search(trial(0, RNN, "random")), True, "the search tried no default"),
        (search(trial(0, RNN, state="failed"), trial(1, SMALL), best=1), True,
         "the default failed in the search (OutOfMemoryError)"),
    ],
)  # fmt: skip
def test_the_default_is_the_first_one_that_was_tried_or_it_is_told_why_there_is_none(
    record: SearchRecord, asked: bool, why: str
) -> None:
    default, said = default_of(record, best_of(record), asked)
    assert said == why
    assert (default is None) == bool(why)
    assert default is None or default.number == 0


@pytest.mark.parametrize(("refit", "seconds", "each"), [(False, 60.0, 15.0), (True, 60.0, 7.5), (False, None, None)])
def test_all_trainings_have_equal_shares_of_the_seconds(
    tmp_path: Path, refit: bool, seconds: float | None, each: float | None
) -> None:
    course = course_for(DATA, TrainSettings(epochs=3, seconds=seconds, refit=refit), CPU, 4, tmp_path)
    assert course.budget == Budget(epochs=3, seconds=each)
    assert (course.whole is not None) == refit


def test_a_training_goes_on_with_its_own_checkpoints(tmp_path: Path) -> None:
    def course(epochs: int, folder: str) -> Course:
        (tmp_path / folder).mkdir(exist_ok=True)
        return course_for(DATA, TrainSettings(epochs=epochs), CPU, 2, tmp_path / folder)

    one, two = wanted_trainings(best_of(FOUND), 7, 2, None)
    apart, whole = course(2, "a"), course(2, "b")
    assert not np.array_equal(row_losses(apart.train(one), DATA), row_losses(apart.train(two), DATA))
    stopped = 0

    def stop(progress: float, record: EpochRecord) -> bool:
        nonlocal stopped
        stopped += 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        whole.train(two, lambda progress, record: record.epoch < 2 or stop(progress, record))
    assert stopped == 1
    epochs: list[int] = []
    done = whole.train(two, lambda progress, record: epochs.append(record.epoch) is None)
    assert epochs == [2]
    assert np.array_equal(row_losses(done, DATA), row_losses(apart.train(two), DATA))
    assert [record.lr for record in done.records][-1] == 0


def test_the_log_has_a_line_for_each_epoch_of_each_training(tmp_path: Path) -> None:
    records = [EpochRecord(epoch=e, train_loss=0.5, val_score=0.25, val_quality=0.75, seconds=1.25, lr=lr)
               for e, lr in ((1, 0.01), (2, None))]  # fmt: skip
    write_log(tmp_path / "log.csv", [("seed 1", records), ("default", records[:1])])
    lines = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [(line["training"], line["epoch"]) for line in lines] == [("seed 1", "1"), ("seed 1", "2"), ("default", "1")]
    assert lines[1] == {"training": "seed 1", "epoch": "2", "train_loss": "0.5", "val_score": "0.25",
                        "val_quality": "0.75", "lr": "", "seconds": "1.25"}  # fmt: skip


def test_each_choice_goes_back_alone() -> None:
    found = {name: what for name, *what in choices_of(FOUND, best_of(FOUND))}
    assert set(found) == {"architecture", "architecture.width"}  # the first default is of another family
    assert found["architecture"] == ["cnn", "rnn", replace(CANDIDATE, architecture=RNN.architecture)]
    width = found["architecture.width"]
    assert width[:2] == [8, 4]
    assert width[2].architecture == {"kind": "cnn", "width": 4, "dropout": 0.2}
    assert width[2].optimizer == CANDIDATE.optimizer
    other = replace(CANDIDATE, optimizer=replace(CANDIDATE.optimizer, lr=0.5, shift=0))
    tried = search(trial(0, other), trial(1, CANDIDATE, "tpe"), best=1)
    assert [name for name, *_ in choices_of(tried, best_of(tried))] == ["optimizer.lr", "optimizer.shift"]
    assert choices_of(search(trial(0, RNN, "random")), best_of(search(trial(0, RNN, "random")))) == ()


def test_what_cannot_be_trained_alone_says_so_and_a_bad_choice_is_seen(tmp_path: Path) -> None:
    slow = replace(CANDIDATE, optimizer=replace(CANDIDATE.optimizer, lr=1e-6))
    broken = replace(CANDIDATE, architecture={"kind": "cnn", "width": -1})
    course = course_for(DATA, TrainSettings(epochs=3), CPU, 1, tmp_path)
    choices = (("optimizer.lr", 1e-2, 1e-6, slow), ("architecture.width", 8, -1, broken))
    lost, gone = ablate(choices, best_of(FOUND), course, 600.0, 7)
    assert lost.difference.value is not None
    assert lost.difference.ci_low is not None
    assert lost.difference.ci_low > 0
    assert lost.difference.n == len(DATA.val.y)
    assert (gone.difference.value, gone.standard_error) == (None, None)
    assert str(gone.difference.reason).startswith("cannot be trained alone: ")


def test_a_difference_is_paired_by_row() -> None:
    number, error = paired(np.array([3.0, 5.0, 7.0, 9.0]), np.array([1.0, 2.0, 5.0, 6.0]))
    assert (number.value, number.n) == (2.5, 4)
    assert error == pytest.approx(np.std([2, 3, 2, 3], ddof=1) / 2)
    assert number.ci_high == pytest.approx(2.5 + 1.96 * error, abs=1e-4)


def test_losses_of_rows_have_the_score_as_their_mean() -> None:
    done = fit(CANDIDATE, DATA, Budget(epochs=2), seed=3, trainer=CPU)
    assert row_losses(done, DATA).mean() == pytest.approx(done.records[-1].val_score, rel=1e-5)
    rng = np.random.default_rng(0)
    values = [Arrays(a.x, np.stack([10 * a.y + 3.0, rng.normal(size=len(a.y))], 1)) for a in (DATA.train, DATA.val)]
    values[1].y[:5, 0] = np.nan
    targets = (Target(name="u", mean=8.0, std=5.0), Target(name="v", mean=0.0, std=1.0))
    numbers = Data(DATA.inputs, 2, *values, task="regression", targets=targets)
    done = fit(CANDIDATE, numbers, Budget(epochs=2), seed=3, trainer=CPU)
    assert row_losses(done, numbers).mean() == pytest.approx(done.records[-1].val_score, rel=1e-5)
    sets = [Arrays(a.x, np.stack([a.y, 1 - a.y, a.y], 1)) for a in (DATA.train, DATA.val)]
    labels = Data(DATA.inputs, 3, *sets, task="multilabel")
    done = fit(CANDIDATE, labels, Budget(epochs=2), seed=3, trainer=CPU)
    assert row_losses(done, labels).mean() == pytest.approx(done.records[-1].val_score, rel=1e-5)


def test_without_tensorboard_its_curves_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as wrong:
        refuse_without_tensorboard()
    assert str(wrong.value) == (
        "conf.train.tensorboard: tensorboard is not installed\n"
        "  fix: pip install 'archline[tensorboard]', or train.tensorboard=false"
    )


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"ablate_seconds": -1.0}])
def test_settings_no_training_can_have_are_refused(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        read(TrainSettings, wrong, "conf.train")
    assert str(caught.value) == "conf.train: latency_batch and seeds must be at least 1, ablate_seconds not negative"


def test_curves_are_written_point_by_point(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    points: list[tuple[str, float, int]] = []

    class Writer:
        """What TensorBoard's has, as far as it is called."""

        def __init__(self, folder: Path) -> None:
            assert folder == tmp_path

        def __enter__(self) -> "Writer":
            return self

        def __exit__(self, *_: object) -> None:
            points.append(("closed", 0.0, 0))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            points.append((name, value, step))

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    record = EpochRecord(epoch=2, train_loss=0.5, val_score=0.25, val_quality=0.75, seconds=1.0, lr=0.125)
    with curves.curves_in(tmp_path) as on_score:
        assert on_score(0.5, record)
        assert on_score(1.0, replace(record, lr=None))
    found = [("train_loss", 0.5, 2), ("val_score", 0.25, 2), ("val_quality", 0.75, 2)]
    assert points == [*found, ("lr", 0.125, 2), *found, ("closed", 0.0, 0)]


def test_tensorboard_reads_what_was_written_for_it(tmp_path: Path) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="an extra")
    record = EpochRecord(epoch=1, train_loss=0.5, val_score=0.25, val_quality=0.75, seconds=1.0, lr=0.125)
    for epochs in ((1, 2), (3,)):  # the second time after a kill
        with curves.curves_in(tmp_path) as on_score:
            assert all(on_score(epoch / 3, replace(record, epoch=epoch, val_score=epoch / 4)) for epoch in epochs)
    found = reading.EventAccumulator(str(tmp_path))
    found.Reload()
    assert set(found.Tags()["scalars"]) == {"train_loss", "val_score", "val_quality", "lr"}
    assert [(event.step, event.value) for event in found.Scalars("val_score")] == [(1, 0.25), (2, 0.5), (3, 0.75)]
