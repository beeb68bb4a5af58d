"""The default that goes first gets as large as its seconds pay for: planted speeds, and what is kept of them."""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.contracts import Candidate, Policy, RaisedDefault, SearchRecord
from pipeline.core.settings import Constraints
from pipeline.space import DefaultChooser, parse, sample
from pipeline.training.training import Training
from pipeline.tuning import Problem, Search
from pipeline.tuning.clock import Clock
from pipeline.tuning.constraints import Gauge
from pipeline.tuning.dispatch import Dispatch
from pipeline.tuning.plan import Plan, plan_for
from pipeline.tuning.rising import Measured, Timing, raised_defaults, raised_words, risen
from pipeline.tuning.speed import Speed, speed_of
from tests.training.test_fit import CANDIDATE, CPU, DATA
from tests.tuning.test_search import outcome, problem, study

FP32 = Policy(device="cpu", precision="fp32", memory_format="channels_last", compile=False)
BF16 = replace(FP32, precision="bf16")
WIDTH = {"choice": [4, 6, 8, 16], "default": 4, "passes": 9}
TREE: dict[str, Any] = {
    "architecture": {"default": "cnn", "cnn": {"width": WIDTH, "stages": 1}, "rnn": {"width": {"choice": [8, 16]}}},
    "optimizer": {"lr": {"float": [1e-3, 3e-2], "log": True, "default": 1e-2}, "batch_size": 64},
}
COSTS = {4: 1.0, 6: 2.0, 8: 3.0, 16: 20.0}
"""Seconds of a pass by width."""


def measured(each: float, start: float = 0.0, policy: Policy = FP32) -> Measured:
    return Measured(speed=Speed(start=start, each=each), policy=policy)


def raised(
    tree: Mapping[str, Any], costs: Mapping[tuple[int, ...], Measured | str], seconds: float
) -> tuple[tuple[RaisedDefault, ...], list[tuple[int, ...]]]:
    """Return what is raised, and whom a measurement was asked about; `costs`: by (width, depth)."""
    space, asked = parse({"architecture": {"cnn": tree}}), []

    def measure(candidate: Candidate, _: Policy) -> Measured | str:
        which = (candidate.architecture["width"], candidate.architecture.get("depth", 1))
        asked.append(which)
        return costs[which]

    chooser = DefaultChooser({})
    first = sample(space, chooser).architecture
    at = costs[first["width"], first.get("depth", 1)]
    assert isinstance(at, Measured)
    return raised_defaults(space, chooser.answers, at, seconds, measure)[0], asked


ALONE: dict[tuple[int, ...], Measured | str] = {
    (4, 1): measured(1.0, 1.0), (6, 1): measured(2.0, 1.0), (8, 1): measured(4.0, 1.0, BF16), (16, 1): measured(9.0),
}  # fmt: skip


def test_it_rises_to_the_largest_value_that_leaves_the_passes() -> None:
    (one,), asked = raised({"width": WIDTH}, ALONE, 37.0)
    assert (one.name, one.declared, one.value, one.least_passes) == ("architecture.cnn.width", 4, 8, 9.0)
    assert [(t.value, t.pass_seconds, t.passes) for t in one.tried] == [
        (4, 1.0, 36.0), (6, 2.0, 18.0), (8, 4.0, 9.0), (16, 9.0, 4.1),
    ]  # fmt: skip
    assert (one.seconds, one.policy) == (37.0, BF16)
    assert asked == [(6, 1), (8, 1), (16, 1)]
    assert raised_words(one) == "cnn width 8: 9 passes in 37 s; 16 would have 4.1"


def test_nothing_larger_is_measured_than_the_first_that_does_not_pay() -> None:
    (one,), asked = raised({"width": WIDTH}, ALONE, 18.0)
    assert (one.value, asked) == (4, [(6, 1)])
    assert raised_words(one) == "cnn width 4: 17 passes in 18 s; 6 would have 8.5"


def test_few_rows_want_more_passes() -> None:
    few = {which: measured(1.0 * which[0]) for which in ALONE}
    few = {which: replace(one, speed=replace(one.speed, steps=10)) for which, one in few.items()}
    (one,), asked = raised({"width": WIDTH}, {**few}, 160.0)  # 40 passes with 4, 26.7 with 6, 20 with 8
    assert (one.value, one.least_passes, asked) == (6, 25.0, [(6, 1), (8, 1)])
    assert raised_words(raised({"width": WIDTH}, {**few}, 80.0)[0][0]) == (
        "cnn width 4: 20 passes in 80 s; it rises from 25 on"
    )


def test_it_never_falls() -> None:
    (one,), asked = raised({"width": WIDTH}, ALONE, 5.0)
    assert (one.value, asked) == (4, [])
    assert raised_words(one) == "cnn width 4: 4 passes in 5 s; it rises from 9 on"


def test_the_largest_value_is_the_end() -> None:
    (one,), _ = raised({"width": WIDTH}, ALONE, 500.0)
    assert raised_words(one) == "cnn width 16: 55.6 passes in 500 s, the largest value"


def test_what_is_forbidden_is_passed_over_and_what_is_not_measured_ends_it() -> None:
    costs = ALONE | {(16, 1): "no time"}
    (one,), asked = raised({"width": WIDTH, "forbid": ["width == 6"]}, costs, 500.0)
    assert (one.value, asked) == (8, [(8, 1), (16, 1)])
    assert [(t.value, t.passes, t.reason) for t in one.tried if t.passes is None] == [
        (6, None, "space.architecture.cnn.forbid[0]: forbidden: width == 6"), (16, None, "no time"),
    ]  # fmt: skip
    assert raised_words(one) == "cnn width 8: 124.8 passes in 500 s; 16 was not measured: no time"


def test_a_second_one_rises_beside_what_the_first_one_has_by_then() -> None:
    depth = {"int": [1, 3], "default": 1, "passes": 2}
    costs = {**ALONE, (8, 2): measured(10.0), (8, 3): measured(20.0)}
    (width, deep), asked = raised({"width": WIDTH, "depth": depth}, costs, 37.0)
    assert (width.value, deep.value, deep.declared) == (8, 2, 1)
    assert asked == [(6, 1), (8, 1), (16, 1), (8, 2), (8, 3)]
    assert [t.passes for t in deep.tried] == [9.0, 3.7, 1.9]


def test_only_what_the_default_has_rises() -> None:
    family = {"cell": {"choice": ["a", "b"]}, "width": {**WIDTH, "when": "cell == 'b'"}}
    space = parse({"architecture": {"cnn": family}})
    assert raised_defaults(space, {"architecture.cnn.cell": "a"}, measured(1.0), 100.0, lambda *_: "")[0] == ()


def test_only_the_first_of_all_is_raised() -> None:
    (one,), _ = raised({"width": WIDTH}, ALONE, 37.0)
    first = [("default", {"architecture.cnn.width": 4, "a": 1}), ("default", {"architecture.cnn.width": 4})]
    assert risen(first, [one]) == [("default", {"architecture.cnn.width": 8, "a": 1}), first[1]]  # type: ignore[arg-type]
    assert risen(first, []) == first  # type: ignore[arg-type]


def test_the_speed_is_that_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is made to take 10 ms, the start 50 ms: 150 rows in steps of 16 are 9 steps a pass."""
    learn, start = Training._learn_from, Training.start

    def slow(training: Training, *given: Any) -> None:
        time.sleep(0.01)
        learn(training, *given)

    def late(training: Training) -> None:
        start(training)
        training.pace._spent += 0.05

    monkeypatch.setattr(Training, "_learn_from", slow)
    monkeypatch.setattr(Training, "start", late)
    found = speed_of(problem(), CANDIDATE, FP32, 5.0)
    assert found.start >= 0.05
    assert 0.09 <= found.each <= 0.5
    assert found.passes(found.seconds(7.0)) == pytest.approx(7.0, abs=0.1)


def timing(limit: float = 1e9, **settings: Any) -> Timing:
    given = problem(seconds=500.0, **settings)
    gauge = Gauge(data=DATA, settings=given.settings, trainer=CPU, others=())
    found = Timing(given, lambda _, like: like, gauge)
    found.limit = limit
    return found


def test_what_cannot_be_measured_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(timing()(CANDIDATE, FP32), Measured)
    small = Constraints(parameters=100)
    assert timing(constraints=small)(CANDIDATE, FP32) == (
        "cnn width 8, dropout 0.2, has parameters 4,234 above its bound 100"
    )
    assert timing(max_parameters=9)(CANDIDATE, FP32) == "4,234 weights are more than search.max_parameters 9"
    assert timing(limit=0.0)(CANDIDATE, FP32) == "the 3 % of the seconds that go into measuring were spent"
    monkeypatch.setattr("pipeline.tuning.rising.speed_of", lambda *_: 1 // 0)
    assert timing()(CANDIDATE, FP32) == "ZeroDivisionError: integer division or modulo by zero"


def test_all_measurements_together_have_three_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def takes(*_: Any) -> Speed:
        now[0] += 4.0
        return Speed(start=0.0, each=1.0)

    monkeypatch.setattr("pipeline.tuning.rising.speed_of", takes)
    monkeypatch.setattr("pipeline.tuning.rising.time.monotonic", lambda: now[0])
    given = Timing(problem(seconds=500.0), lambda _, like: like)
    assert (given.limit, given.most) == (15.0, 1.5)
    said = [given(CANDIDATE, FP32) for _ in range(5)]
    assert [isinstance(one, Measured) for one in said] == [True, True, True, False, False]
    assert now[0] == 12.0


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> dict[int, float]:
    """Planted seconds of a pass, by width."""
    planted = dict(COSTS)

    def found(_: Problem, candidate: Candidate, *__: Any) -> Speed:
        return Speed(start=0.0, each=planted[candidate.architecture["width"]])

    monkeypatch.setattr("pipeline.tuning.rising.speed_of", found)
    monkeypatch.setattr("pipeline.tuning.plan.speed_of", found)
    return planted


def searched(folder: Path, **settings: Any) -> SearchRecord:
    folder.mkdir(parents=True, exist_ok=True)
    given: dict[str, Any] = {"n_trials": 4, "seconds": 200.0} | settings
    search = Search(problem(**given), parse(TREE), study(folder), folder / "files")
    search.run()
    return search.export("db")


def widths(record: SearchRecord) -> list[int]:
    return [trial.candidate.architecture["width"] for trial in record.trials]


def test_a_search_begins_with_the_raised_default_and_says_so(
    tmp_path: Path, costs: dict[int, float], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pipeline.search"):
        record = searched(tmp_path)
    assert widths(record)[:2] == [8, 8]  # the second one is the rnn
    assert [trial.origin for trial in record.trials[:2]] == ["default", "default"]
    (one,) = record.raised
    assert (one.value, one.seconds) == (8, 50.0)  # search.trial_share of the seconds
    assert [t.passes for t in one.tried] == [50.0, 25.0, 16.7, 2.5]
    assert caplog.messages.count("cnn width 8: 16.7 passes in 50 s; 16 would have 2.5") == 1


@pytest.mark.parametrize("settings", [{"seconds": None}, {"strategy": "random"}, {"strategy": "grid"}], ids=str)
def test_without_seconds_or_a_default_to_begin_with_nothing_rises(
    tmp_path: Path, costs: dict[int, float], settings: dict[str, Any]
) -> None:
    plain = {"architecture": TREE["architecture"] | {"cnn": {"width": {"choice": [4, 6, 8, 16]}, "stages": 1}}}
    with pytest.MonkeyPatch.context() as patch:
        record = searched(tmp_path / "with", **settings)
        patch.setitem(globals(), "TREE", TREE | plain)
        without = searched(tmp_path / "without", **settings)
    assert [(t.candidate, t.origin) for t in without.trials][:2] == [(t.candidate, t.origin) for t in record.trials][:2]
    if settings == {"seconds": None}:
        assert outcome(without) == outcome(record)
    assert widths(record)[0] == widths(without)[0]
    assert record.raised == ()


def test_the_default_alone_rises_too(tmp_path: Path, costs: dict[int, float]) -> None:
    record = searched(tmp_path, strategy="default_only")
    assert widths(record) == [8]
    assert record.raised[0].value == 8


def test_a_killed_search_proposes_what_it_would_have_whatever_is_measured_then(
    tmp_path: Path, costs: dict[int, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: Any, **__: Any) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Dispatch, "next_job", dies)
        with pytest.raises(KeyboardInterrupt):
            searched(tmp_path / "cut")
    assert searched_rows(tmp_path / "cut") == 0
    costs |= {6: 10.0, 8: 10.0}
    again = searched(tmp_path / "cut")
    assert widths(again)[0] == 8
    assert again.raised[0].value == 8
    assert widths(searched(tmp_path / "new"))[0] == 4
    more = searched(tmp_path / "cut", n_trials=6, seconds=400.0)
    assert outcome(more)[0] == outcome(again)[0]
    assert more.raised == again.raised


def searched_rows(folder: Path) -> int:
    return len(study(folder).trials)


def test_a_study_that_began_without_seconds_keeps_its_default(tmp_path: Path, costs: dict[int, float]) -> None:
    before = searched(tmp_path, seconds=None, n_trials=2)
    after = searched(tmp_path, n_trials=4)
    assert widths(before)[0] == widths(after)[0] == 4
    assert after.raised == ()


def planned(tmp_path: Path, seconds: float, each: float, times: float = 5) -> tuple[Plan, list[float]]:
    """Return the plan, and the seconds of one training that the default was raised for, to `times` its cost."""
    granted = []

    def rise(at: Measured, seconds: float) -> tuple[tuple[RaisedDefault, ...], Measured]:
        granted.append(seconds)
        return (), measured(times * at.speed.each)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.tuning.plan.speed_of", lambda *_: Speed(start=0.0, each=each))
        found = plan_for(
            problem(seconds=seconds), CANDIDATE, study(tmp_path), Clock(study(tmp_path)), lambda _: FP32, 1, rise
        )
    return found, granted


def test_a_default_trained_alone_rises_for_nearly_all_seconds_and_takes_what_it_needs(tmp_path: Path) -> None:
    found, granted = planned(tmp_path, 100.0, 1.0)  # 40 passes: 40 s of 100
    assert found.mode == "seeds"
    assert granted == [pytest.approx(94.0, abs=1.0)]
    assert found.trial_seconds == pytest.approx(97.0, abs=1.0)
    assert found.default_seconds == 40.0


@pytest.mark.parametrize(
    ("each", "granted", "most"),
    [(0.25, 25.0, 25.0), (0.16, 25.0, 25.0), (0.15, 6.0, 12.0), (0.02, 0.8, 1.6)],
    ids=["half", "good part", "little", "less"],
)
def test_in_a_search_it_rises_within_the_share_of_a_trial_where_it_takes_a_good_part_anyway(
    tmp_path: Path, each: float, granted: float, most: float
) -> None:
    """A trial has 25 s of 100. 40 passes of the declared one are 10, 6.4, 6 and 0.8 s; raised, five times as much."""
    found, given = planned(tmp_path, 100.0, each)
    assert (found.mode, given) == ("search", [pytest.approx(granted)])
    assert found.trial_seconds == pytest.approx(most)


@pytest.mark.parametrize(("times", "most"), [(1, 12.5), (2, 20.0), (3, 25.0)])
def test_all_trials_may_take_what_the_raised_one_takes_then(tmp_path: Path, times: float, most: float) -> None:
    """The declared one takes 10 s, and others up to half the share; one that needs more than the share is cut."""
    found, _ = planned(tmp_path, 100.0, 0.25, times)
    assert found.trial_seconds == pytest.approx(most)
