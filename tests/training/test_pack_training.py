"""Trainings that begin as a pack stand where they would alone, and go on as usual."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from pipeline.core.contracts import Budget, Candidate
from pipeline.core.errors import SpaceError
from pipeline.core.settings import TrainerSettings
from pipeline.training.data import Arrays, Data
from pipeline.training.pack_training import PackTraining
from pipeline.training.training import Training
from tests.training.test_fit import CPU
from tests.training.test_packing import candidates, data, dropped, forecasters, windows

BUDGET = Budget(epochs=9)
CASES: dict[str, tuple[Data, list[Candidate]]] = {
    "mlp": (data(), candidates()),
    "tabm": (data("regression"), candidates({"kind": "tabm", "members": 3})),
    "periodic": (data("multilabel"), candidates({"embedding": "periodic"})),
    "linear": (windows(1), forecasters(frozen=False)),
}


def packed(of: Data, found: list[Candidate], until: float = 0.15) -> list[Training]:
    pack = PackTraining(found, of, BUDGET, seed=5, trainer=CPU)
    pack.start()
    assert pack.advance(until)
    trainings = []
    for training, loss, score in pack.scored():
        training.note(loss, score)
        trainings.append(training)
    return trainings


def alone(of: Data, candidate: Candidate, until: float = 0.15) -> Training:
    training = Training(candidate, of, BUDGET, seed=5, trainer=CPU, rung_average=True)
    training.start()
    training.advance(until)
    training.record()
    return training


def tensors(state: Any) -> dict[str, Any]:
    """Spread a state over paths; a learning rate is set anew before every step, and seconds are nobody's promise."""
    if isinstance(state, dict):
        pairs = [(str(key), value) for key, value in state.items() if key not in ("lr", "seconds", "start_seconds")]
    elif isinstance(state, list | tuple):
        pairs = [(str(i), value) for i, value in enumerate(state)]
    else:
        return {"": state}
    return {f"{key}/{path}": leaf for key, value in pairs for path, leaf in tensors(value).items()}


@pytest.mark.parametrize("case", CASES)
def test_each_stands_where_it_would_alone(case: str) -> None:
    of, found = CASES[case]
    for training, candidate in zip(packed(of, found), found, strict=True):
        had, wanted = training.state(), alone(of, candidate).state()
        for state in (had, wanted):
            state["records"] = [record[:4] for record in state["records"]]
        had, wanted = tensors(had), tensors(wanted)
        assert list(had) == list(wanted)
        for path, value in wanted.items():
            if isinstance(value, torch.Tensor):
                assert had[path].dtype == value.dtype
                torch.testing.assert_close(had[path], value, rtol=1e-4, atol=1e-5, equal_nan=True, msg=path)
            else:
                assert had[path] == pytest.approx(value, abs=1e-5), path


@pytest.mark.parametrize("case", CASES)
def test_each_goes_on_as_it_would_have_alone(case: str) -> None:
    of, found = CASES[case]
    for training, candidate in zip(packed(of, found), found, strict=True):
        other = alone(of, candidate)
        for one in (training, other):
            one.advance(0.5)
            one.record()
            one.advance(1.0)
            one.record()
        assert training.pace.step == other.pace.step
        assert [r.val_score for r in training.records] == pytest.approx([r.val_score for r in other.records], abs=1e-4)


def test_with_dropout_each_learns_and_has_its_own() -> None:
    of, found = data(), dropped(candidates(), 0.5, 0.25, 0.0)
    trainings = packed(of, found)
    shares = [{m.p for m in t.network.modules() if isinstance(m, torch.nn.Dropout)} for t in trainings]
    assert shares == [{0.5}, {0.25}, {0.0}]
    assert len({t.records[0].val_score for t in trainings}) == 3
    assert trainings[2].records[0].val_score == pytest.approx(alone(of, found[2]).records[0].val_score, abs=1e-4)


def test_a_training_that_was_never_packed_is_scored_by_its_average_too() -> None:
    """The score of a rung is that of averaged weights, which are not those a pack has at its last step."""
    of, found = data(), candidates()
    pack = PackTraining(found, of, BUDGET, seed=5, trainer=CPU)
    pack.start()
    pack.advance(0.15)
    as_they_are = pack.pack.scores(of.placed("val", "cpu"))
    scored = [score for _, _, score in pack.scored()]
    assert all(a.score != b.score for a, b in zip(as_they_are, scored, strict=True))
    assert pack.pack.scores(of.placed("val", "cpu")) == as_they_are


def test_seconds_are_shared_and_a_deadline_ends_it() -> None:
    of, found = data(), candidates()
    pack = PackTraining(found, of, BUDGET, seed=5, trainer=CPU)
    pack.start()
    assert not pack.advance(0.15, deadline=0.0)
    trainings = [training for training, _, _ in pack.scored()]
    assert [t.pace.seconds for t in trainings] == [pack.pace.seconds / 3] * 3
    assert {t.pace.step for t in trainings} == {0}


def test_what_a_pack_cannot_do_is_refused() -> None:
    of = data()
    weighed = Data(of.inputs, of.outputs, Arrays(of.train.x, of.train.y, of.train.y * 0 + 1.0), of.val)
    with pytest.raises(SpaceError) as caught:
        PackTraining(candidates(), weighed, BUDGET, seed=5, trainer=CPU)
    assert str(caught.value) == (
        "data.weight: a pack counts all rows the same\n  fix: train such candidates one after the other"
    )
    with pytest.raises(SpaceError) as caught:
        PackTraining(candidates(), of, BUDGET, seed=5, trainer=TrainerSettings(device="cpu", precision="bf16"))
    assert str(caught.value) == "conf.trainer.precision: a pack computes in fp32\n  fix: trainer.precision=fp32"
    with pytest.raises(SpaceError) as caught:
        PackTraining(candidates(), of, BUDGET, seed=5, trainer=replace(CPU, accumulate=2))
    assert str(caught.value) == (
        "conf.trainer.accumulate: a pack takes the rows of a step at once\n  fix: trainer.accumulate=1"
    )
