"""A distilled network learns what its teacher says of the training rows, whatever their targets are."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.contracts import Budget, Candidate, EnsembleRecord, Member, Optimizer
from pipeline.core.errors import ConfigError
from pipeline.core.settings import TrainSettings
from pipeline.training import distilling
from pipeline.training.data import Arrays, Data
from pipeline.training.distilling import Teacher, refuse_without_teacher, taught, teacher_of
from pipeline.training.fit import Fit, fit
from pipeline.training.full import Course, course_for, wanted_trainings
from pipeline.training.heads import head_for
from pipeline.training.predict import predict
from tests.training.test_fit import CANDIDATE, CPU, DATA, train
from tests.training.test_full import FOUND, best_of
from tests.training.test_packing import data, windows

NOBODY = (
    "conf.train.distill: true, but the search's ensemble is one network, and so are the seeds\n"
    "  fix: train.seeds=3, or train.distill=false"
)


def ensemble(count: int) -> EnsembleRecord:
    members = tuple(
        Member(number=k, share=1 / count, score=0.5, candidate=CANDIDATE, temperature=1.0, parameters=9,
               multiply_adds=9, weights_sha256="")
        for k in range(count)
    )  # fmt: skip
    return EnsembleRecord(metric="log_loss", split="val", rows=80, members=members, score=0.4, single=0,
                          single_score=0.5, considered=tuple(range(count)))  # fmt: skip


def course(of: Data, folder: Path, **settings: Any) -> Course:
    return course_for(of, TrainSettings(epochs=6, **settings), CPU, 1, folder)


def test_two_networks_at_least_are_asked_for() -> None:
    refuse_without_teacher(ensemble(2), 1)
    refuse_without_teacher(ensemble(1), 2)
    with pytest.raises(ConfigError) as caught:
        refuse_without_teacher(ensemble(1), 1)
    assert str(caught.value) == NOBODY


def test_it_is_the_last_training_and_has_the_first_seed() -> None:
    first, default, last = wanted_trainings(best_of(FOUND), 7, 1, FOUND.trials[0], distill=True)
    assert default.name == "default"
    assert (last.name, last.file) == ("distilled", "distilled.safetensors")
    assert (last.seed, last.candidate, last.policy) == (first.seed, first.candidate, first.policy)


def test_the_better_one_on_validation_rows_teaches_as_it_was_before_a_refit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bad, good = (train(Budget(epochs=epochs)) for epochs in (1, 6))
    blind = train(Budget(epochs=1), candidate=replace(CANDIDATE, optimizer=Optimizer(lr=1e-9, batch_size=16)))
    here = course(DATA, tmp_path)

    def chosen(members: list[Fit], seeds: list[Fit]) -> Teacher:
        networks = tuple(done.network for done in members)
        monkeypatch.setattr(distilling, "load_ensemble", lambda *_: (ensemble(len(networks)), networks))
        return teacher_of(Path(), here, seeds)

    assert chosen([good, good], [blind, bad]).words == "the search's ensemble of 2 networks"
    seeds = chosen([blind, bad, blind], [replace(blind, unseen=good.network), good])
    assert (seeds.words, list(seeds.networks), list(seeds.shares)) == (
        "the 2 seeds", [good.network, good.network], [0.5, 0.5],
    )  # fmt: skip
    assert chosen([good], [blind, bad]).words == "the 2 seeds"
    with pytest.raises(FloatingPointError, match="one network is left that it could learn from"):
        chosen([good], [bad])


def test_what_is_learned_is_the_mean_of_what_the_networks_say(tmp_path: Path) -> None:
    one, two = train(Budget(epochs=1)).network, train(Budget(epochs=3), seed=4).network
    found = taught(course(DATA, tmp_path, refit=True), Teacher("both", (one, two), (0.25, 0.75)))
    assert found.whole is not None
    for of in (found.data, found.whole):
        head = head_for(of.task, of.inputs, of.targets)
        rows = replace(of).placed("train", "cpu")
        said = 0.25 * predict(one, rows, head) + 0.75 * predict(two, rows, head)
        assert of.train.said == pytest.approx(said, abs=1e-6)
    assert len(found.whole.train.y) == len(DATA.train.y) + len(DATA.val.y)
    assert np.array_equal(found.data.train.y, DATA.train.y)


def test_the_teacher_is_believed_where_the_targets_are_noise(tmp_path: Path) -> None:
    teacher = train(Budget(epochs=6)).network
    drawn = np.random.default_rng(5).permutation(DATA.train.y)
    noisy = Data(DATA.inputs, 2, Arrays(DATA.train.x, drawn), DATA.val)

    def quality(of: Data) -> float:
        return fit(CANDIDATE, of, Budget(epochs=6), seed=3, trainer=CPU).records[-1].val_quality

    assert quality(noisy) < 0.8
    assert quality(taught(course(noisy, tmp_path), Teacher("one", (teacher,), (1.0,))).data) > 0.9


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_values_and_labels_are_learned_from_others_too(task: Any, tmp_path: Path) -> None:
    of = data(task)
    drawn = np.random.default_rng(5).permutation(of.train.y)
    noisy = replace(of, train=Arrays(of.train.x, drawn))
    candidate = Candidate(architecture={"kind": "mlp", "width": 16, "depth": 2, "dropout": 0.0},
                          optimizer=Optimizer(lr=1e-2, batch_size=16))  # fmt: skip

    def made(rows: Data) -> Fit:
        return fit(candidate, rows, Budget(epochs=15), seed=3, trainer=CPU)

    teacher = made(of)
    student = made(taught(course(noisy, tmp_path), Teacher("one", (teacher.network,), (1.0,))).data)
    known, learned, lost = (done.records[-1].val_score for done in (teacher, student, made(noisy)))
    assert learned < lost - (lost - known) / 4  # of soft targets no more in so few steps


def test_what_others_forecast_is_learned_window_by_window(tmp_path: Path) -> None:
    of = windows(0)
    candidate = Candidate(architecture={"kind": "linear", "residual": 8, "dropout": 0.0},
                          optimizer=Optimizer(lr=1e-2, batch_size=16))  # fmt: skip
    teacher = fit(candidate, of, Budget(epochs=15), seed=3, trainer=CPU)
    upside_down = Teacher("one", (teacher.network,), (-1.0,))
    student = fit(candidate, taught(course(of, tmp_path), upside_down).data, Budget(epochs=15), seed=3, trainer=CPU)
    head, rows = head_for(of.task, of.inputs, of.targets), of.placed("val", "cpu")
    said, learned = (predict(done.network, rows, head) for done in (teacher, student))
    assert np.corrcoef(said.ravel(), learned.ravel())[0, 1] < -0.4  # it starts from a forecast the right way up
