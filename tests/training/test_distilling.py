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
from pipeline.training.distilling import Teacher, taught, teacher_of, teacher_words
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


def test_it_learns_from_the_ensemble_or_else_from_the_seeds() -> None:
    assert teacher_words(ensemble(4), 1) == "the search's ensemble of 4 networks"
    assert teacher_words(ensemble(1), 3) == "the 3 seeds"
    with pytest.raises(ConfigError) as caught:
        teacher_words(ensemble(1), 1)
    assert str(caught.value) == NOBODY


def test_it_is_the_last_training_and_has_the_first_seed() -> None:
    first, default, last = wanted_trainings(best_of(FOUND), 7, 1, FOUND.trials[0], "the 3 seeds")
    assert (default.name, default.teacher) == ("default", "")
    assert (last.name, last.file, last.teacher) == ("distilled", "distilled.safetensors", "the 3 seeds")
    assert (last.seed, last.candidate, last.policy) == (first.seed, first.candidate, first.policy)


def test_seeds_teach_as_they_were_before_a_refit_and_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distilling, "load_ensemble", lambda *_: (ensemble(1), (object(),)))
    one, two = train(Budget(epochs=1)), train(Budget(epochs=1), seed=4)
    found = teacher_of(Path(), DATA, 2, [replace(one, unseen=two.network), two])
    assert (list(found.networks), list(found.shares)) == ([two.network, two.network], [0.5, 0.5])
    with pytest.raises(FloatingPointError, match="1 of the 2 seeds failed that it would learn from"):
        teacher_of(Path(), DATA, 2, [one])


def test_what_is_learned_is_the_mean_of_what_the_networks_say(tmp_path: Path) -> None:
    one, two = train(Budget(epochs=1)).network, train(Budget(epochs=3), seed=4).network
    found = taught(course(DATA, tmp_path, refit=True), Teacher((one, two), (0.25, 0.75)))
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
    assert quality(taught(course(noisy, tmp_path), Teacher((teacher,), (1.0,))).data) > 0.9


@pytest.mark.parametrize(
    "of", [data("regression"), data("multilabel"), windows(0)], ids=["values", "labels", "windows"]
)
def test_values_and_labels_are_learned_from_others_too(of: Data, tmp_path: Path) -> None:
    kind = {"kind": "linear", "residual": 8} if of.task == "forecast" else {"kind": "mlp", "width": 16, "depth": 2}
    candidate = Candidate(architecture=kind | {"dropout": 0.0}, optimizer=Optimizer(lr=1e-2, batch_size=16))

    def made(from_rows: Data) -> Fit:
        return fit(candidate, from_rows, Budget(epochs=15), seed=3, trainer=CPU)

    teacher = made(of)
    student = made(taught(course(of, tmp_path), Teacher((teacher.network,), (1.0,))).data)
    head, rows = head_for(of.task, of.inputs, of.targets), of.placed("val", "cpu")
    said, learned = (predict(done.network, rows, head) for done in (teacher, student))
    assert np.abs(learned - said).mean() < 0.3 * np.abs(said - said.mean(0)).mean()
    assert student.records[-1].val_score < 1.2 * teacher.records[-1].val_score
