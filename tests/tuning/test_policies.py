"""The policy of each candidate: measured once for its like, kept for the machine, recorded with the trial."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pipeline.tuning.policies as policies_module
from pipeline.core.contracts import Candidate, Optimizer, Policy
from pipeline.core.settings import SearchSettings, TrainerSettings
from pipeline.space import parse
from pipeline.training.probe import Parity, Probed, Tried
from pipeline.training.training import Training
from pipeline.tuning import Problem, Search
from pipeline.tuning.jobs import Job, run_job
from pipeline.tuning.policies import POLICIES, Policies
from pipeline.tuning.table import Table
from tests.training.test_fit import DATA
from tests.tuning.test_search import TINY, study

FREE = TrainerSettings(device="cpu")
USUAL = Policy(device="cpu", precision="fp32", memory_format="channels_last", compile=False)
CONTIGUOUS = replace(USUAL, memory_format="contiguous")


def problem(trainer: TrainerSettings = FREE, **settings: Any) -> Problem:
    given: dict[str, Any] = {
        "n_trials": 3, "epochs": 6, "first_steps": 20, "repeats": 0, "workers": 0, "seconds": 500.0,
    }  # fmt: skip
    return Problem(DATA, SearchSettings(**(given | settings)), trainer, 7)


def candidate(width: int = 8, kind: str = "cnn") -> Candidate:
    return Candidate(architecture={"kind": kind, "width": width}, optimizer=Optimizer(batch_size=32))


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[Candidate]:
    """Whom a probe was asked about; it finds that images should be contiguous."""
    asked: list[Candidate] = []

    def found(of: Candidate, *_: Any, **__: Any) -> Probed:
        asked.append(of)
        return Probed(policy=CONTIGUOUS, turns=9, tried=(Tried(policy=CONTIGUOUS, speed_up=1.5),))

    monkeypatch.setattr(policies_module, "probe", found)
    return asked


def test_what_was_measured_is_used_again_without_timing(tmp_path: Path, probed: list[Candidate]) -> None:
    first = Policies(problem(), tmp_path / POLICIES)
    assert [first.of(candidate()) for _ in range(3)] == [CONTIGUOUS] * 3
    assert first.of(replace(candidate(), optimizer=Optimizer(batch_size=32, lr=0.1))) == CONTIGUOUS
    assert len(probed) == 1
    assert Policies(problem(), tmp_path / POLICIES).of(candidate()) == CONTIGUOUS
    assert len(probed) == 1


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Candidate, Policy]]:
    """Whose policies were compared; networks above width 100 are too far away, and some cannot be trained."""
    asked: list[tuple[Candidate, Policy]] = []

    def near(of: Candidate, _: object, __: object, ___: object, other: Policy) -> Parity:
        asked.append((of, other))
        if of.architecture["width"] == 999:
            raise RuntimeError("no memory")
        return Parity(gradient=0.1 if of.architecture["width"] < 100 else 0.3, loss=0.0)

    monkeypatch.setattr(policies_module, "parity_of_kin", near)
    return asked


def test_a_larger_network_is_computed_as_a_smaller_one_of_its_family_where_that_agrees(
    tmp_path: Path, probed: list[Candidate], compared: list[tuple[Candidate, Policy]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "pipeline.search")
    policies, sixteen_bits = Policies(problem(), tmp_path / POLICIES), replace(CONTIGUOUS, precision="bf16")
    compiled = replace(sixteen_bits, compile=True)
    assert policies.of(candidate(64), compiled) == sixteen_bits  # compilation is not compared
    assert policies.of(candidate(64)) == sixteen_bits
    assert policies.of(candidate(256), sixteen_bits) == CONTIGUOUS
    assert policies.of(candidate(999), sixteen_bits) == CONTIGUOUS
    assert compared == [(candidate(width), sixteen_bits) for width in (64, 256, 999)]
    assert caplog.messages == [
        "a larger cnn is not computed in bf16: 0.30 of a gradient and 0.00 of the loss away",
        "a larger cnn could not be compared (RuntimeError: no memory)",
    ]
    assert not probed
    assert not (tmp_path / POLICIES).exists()


def test_how_images_lie_needs_no_comparison(
    tmp_path: Path, probed: list[Candidate], compared: list[tuple[Candidate, Policy]]
) -> None:
    assert Policies(problem(), tmp_path / POLICIES).of(candidate(64), CONTIGUOUS) == CONTIGUOUS
    assert not probed
    assert not compared


def test_what_was_measured_goes_before_a_smaller_one(tmp_path: Path, probed: list[Candidate]) -> None:
    Policies(problem(), tmp_path / POLICIES).of(candidate(64))
    assert Policies(problem(), tmp_path / POLICIES).of(candidate(64), USUAL) == CONTIGUOUS


@pytest.mark.parametrize("other", [candidate(64), replace(candidate(), optimizer=Optimizer(batch_size=64))])
def test_another_size_or_batch_is_measured_anew(tmp_path: Path, probed: list[Candidate], other: Candidate) -> None:
    policies = Policies(problem(), tmp_path / POLICIES)
    policies.of(candidate())
    policies.of(other)
    assert probed == [candidate(), other]
    assert len(next(iter(json.loads((tmp_path / POLICIES).read_text()).values()))) == 2


def test_another_machine_is_measured_anew_and_the_first_one_kept(
    tmp_path: Path, probed: list[Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    Policies(problem(), tmp_path / POLICIES).of(candidate())
    monkeypatch.setattr(policies_module, "machine_words", lambda device: "another machine")
    Policies(problem(), tmp_path / POLICIES).of(candidate())
    assert len(probed) == 2
    assert len(json.loads((tmp_path / POLICIES).read_text())) == 2


@pytest.mark.parametrize("content", ['{"cut', "[]", None], ids=str)
def test_a_damaged_file_is_measured_again_and_said(
    tmp_path: Path, probed: list[Candidate], caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    policies = Policies(problem(), tmp_path / POLICIES)
    if content is None:
        policies.of(candidate())
        whole = json.loads((tmp_path / POLICIES).read_text())
        content = json.dumps({machine: {key: {} for key in found} for machine, found in whole.items()})
    (tmp_path / POLICIES).write_text(content)
    probed.clear()
    assert Policies(problem(), tmp_path / POLICIES).of(candidate()) == CONTIGUOUS
    assert len(probed) == 1
    assert "it is measured again" in caplog.text
    assert Policies(problem(), tmp_path / POLICIES).of(candidate()) == CONTIGUOUS
    assert len(probed) == 1


def test_a_search_that_repeats_measures_nothing(tmp_path: Path, probed: list[Candidate]) -> None:
    assert Policies(problem(seconds=None), tmp_path / POLICIES).of(candidate()) == USUAL
    assert probed == []
    assert not (tmp_path / POLICIES).exists()


def test_all_probes_together_have_a_share_of_the_seconds(
    tmp_path: Path, probed: list[Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 6))  # each probe takes 6 of the 10 seconds that are 2 % of 500
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    policies = Policies(problem(), tmp_path / POLICIES)
    sizes = [candidate(width) for width in (8, 16, 32, 64)]
    assert [policies.of(size) for size in sizes] == [CONTIGUOUS, CONTIGUOUS, USUAL, USUAL]
    assert probed == sizes[:2]
    assert Policies(problem(seconds=10.0), tmp_path / "short").of(candidate()) == USUAL


def test_what_is_declared_is_done_whatever_was_measured(tmp_path: Path, probed: list[Candidate]) -> None:
    declared = replace(FREE, memory_format="channels_last", precision="fp32", compile=False)
    assert Policies(problem(declared), tmp_path / POLICIES).of(candidate()) == USUAL
    assert Policies(problem(replace(FREE, precision="bf16")), tmp_path / POLICIES).of(candidate()) == replace(
        CONTIGUOUS, precision="bf16"
    )


def test_a_candidate_that_cannot_be_made_or_trained_is_left_to_its_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = Policies(problem(), tmp_path / POLICIES)
    assert policies.of(candidate(kind="nothing")) == USUAL

    def fails(*_: Any, **__: Any) -> Probed:
        raise FloatingPointError

    monkeypatch.setattr(policies_module, "probe", fails)
    assert policies.of(candidate()) == USUAL
    assert not (tmp_path / POLICIES).exists()


def searched(folder: Path) -> Search:
    search = Search(problem(n_trials=4, epochs=20), parse(TINY), study(folder), folder / "files")
    search.run()
    return search


def test_every_trial_says_how_it_was_computed_and_keeps_it_over_a_kill(
    tmp_path: Path, probed: list[Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Training.advance, []

    def dies(*args: Any, **options: Any) -> bool:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(Training, "advance", dies)
    monkeypatch.setattr("pipeline.tuning.loop.STORE_EVERY", 0.0)
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path)
    before = [row.policy for row in Table(study(tmp_path), DATA.task).rows]
    assert before
    assert set(before) == {CONTIGUOUS}
    (tmp_path / POLICIES).unlink()  # the machine would now be found to be another
    monkeypatch.setattr(policies_module, "probe", lambda *_, **__: Probed(policy=USUAL, turns=9))
    search = searched(tmp_path)
    record = search.export("db")
    assert [trial.policy for trial in record.trials[: len(before)]] == before
    assert any("computed in fp32, contiguous" in line for line in search.summary(record))


def test_a_trial_is_computed_as_its_job_says_and_goes_on_as_its_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, Policy]] = []

    def noting(name: str) -> None:
        real = getattr(Training, name)

        def noted(self: Training, *args: Any) -> None:
            seen.append((name, self.policy))
            real(self, *args)

        monkeypatch.setattr(Training, name, noted)

    noting("start")
    noting("resume")
    given = problem(seconds=None, epochs=40)
    first = Job(place=0, candidate=candidate(), rung=0, policy=CONTIGUOUS, folder=tmp_path)
    assert run_job(given, first).state == "paused"
    assert run_job(given, replace(first, rung=1, policy=USUAL)).state == "paused"
    assert seen == [("start", CONTIGUOUS), ("resume", CONTIGUOUS)]
