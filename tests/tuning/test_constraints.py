"""The bounds of a search: what they measure, what they refuse, and what a search does with them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.core.bounds import Constraints, excess, violation_words
from pipeline.core.contracts import Budget, Candidate, Latency, Optimizer, SearchRecord
from pipeline.core.errors import ConfigError, SpaceError
from pipeline.core.settings import SearchSettings, SearchSlice
from pipeline.core.strict import read
from pipeline.metrics.calibration import calibration_error
from pipeline.metrics.gaps import largest_gap
from pipeline.models.cost import cost_of
from pipeline.search import trials_table
from pipeline.space import parse
from pipeline.stage import compose, slice_for
from pipeline.training.data import Data
from pipeline.training.predict import model_input
from pipeline.training.training import Training
from pipeline.tuning import constraints
from pipeline.tuning.choice import best_of, chosen_of
from pipeline.tuning.chooser import TrialChooser
from pipeline.tuning.constraints import Gauge, OutOfBounds, amounts_of, refuse_unmeasurable
from pipeline.tuning.decisions import confirming, promotion
from pipeline.tuning.jobs import Problem
from pipeline.tuning.proposals import Exhausted, proposal
from pipeline.tuning.samplers import STARTUP, best_rows, stock_study, tpe
from pipeline.tuning.view import Continue
from tests.training.test_fit import CPU, DATA, stripes, train
from tests.tuning.test_decisions import RUNGS, row, view
from tests.tuning.test_search import STRICT, outcome, run, search_in, study

SMALL = Candidate(architecture={"kind": "cnn", "width": 8, "stages": 1, "depth": 1}, optimizer=Optimizer())
VAL = stripes(200, 1)
GROUPS = {"side": np.where(np.arange(200) % 3 == 0, "left", "right").astype(object)}
PEOPLE = replace(DATA, task="binary", val=VAL, sensitive=GROUPS)


def gauge(bounds: Mapping[str, float], **settings: Any) -> Gauge:
    chosen = SearchSettings(n_trials=1, constraints=Constraints(**bounds), **settings)
    return Gauge(data=DATA, settings=chosen, trainer=CPU)


def test_weights_and_work_are_counted_without_training() -> None:
    # width 8: filters 8·1·3·3, norm 2·8, head 8·2 + 2
    assert gauge({"parameters": 106}).kept(SMALL) == {"parameters": (106.0, 106)}
    assert gauge({"size_mb": 1}).kept(SMALL) == {"size_mb": (4 * 106 / 1e6, 1)}
    work = cost_of(SMALL.architecture, DATA.inputs, 2).multiply_adds
    assert gauge({"multiply_adds": 10**6}).kept(SMALL) == {"multiply_adds": (float(work), 10**6)}
    assert gauge({}).kept(SMALL) == {}
    with pytest.raises(OutOfBounds) as caught:
        gauge({"parameters": 105, "multiply_adds": 1}).kept(SMALL)
    assert caught.value.message == "search.constraints: parameters 106 above its bound 105"  # the cheapest comes first
    assert caught.value.words == "cnn width 8, stages 1, depth 1, has parameters 106 above its bound 105"


def test_a_bound_that_cannot_be_measured_is_never_left_out_unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Latency:
        raise RuntimeError("no clock")

    monkeypatch.setattr(constraints, "measured_latency", broken)
    with pytest.raises(RuntimeError, match="no clock"):
        gauge({"latency_ms": 5.0}).kept(SMALL)
    unbuildable = replace(SMALL, architecture={"kind": "cnn", "width": 8, "no_such_field": 1})
    assert gauge({"latency_ms": 5.0}).kept(unbuildable) == {}  # fails as a trial, where its traceback is kept


def test_latency_is_measured_as_asked_and_never_of_what_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def stand_in(network: Any, inputs: Any, **how: Any) -> Latency:
        asked.append(how)
        return Latency(batch=how["batch"], device=how["device"], threads=1, milliseconds=2.5, spread=0.1)

    monkeypatch.setattr(constraints, "measured_latency", stand_in)
    before = torch.get_rng_state()
    assert gauge({"latency_ms": 2.5}, latency_batch=7).kept(SMALL) == {"latency_ms": (2.5, 2.5)}
    assert torch.equal(before, torch.get_rng_state())
    assert asked == [{"batch": 7, "device": "cpu", "threads": 1}]
    with pytest.raises(OutOfBounds):
        gauge({"latency_ms": 2.4}).kept(SMALL)
    assert gauge({"latency_ms": 2.4}, max_parameters=105).kept(SMALL) == {}
    assert len(asked) == 2


def test_what_cannot_be_built_is_left_to_fail_as_a_trial() -> None:
    unknown = replace(SMALL, architecture={"kind": "cnn", "width": 8, "wings": 2})
    assert gauge({"parameters": 1}).kept(unknown) == {}


def test_a_trained_network_is_measured_on_validation_rows() -> None:
    fit = train(Budget(epochs=1))
    with torch.no_grad():
        p = fit.network(model_input(torch.tensor(VAL.x))).double().softmax(1).numpy()
    bounds = Constraints(parameters=1, calibration_error=0.5, equalized_odds_gap=0.1, demographic_parity_gap=0.2)
    found = amounts_of(fit.network, PEOPLE, bounds, "cpu")
    assert found == {
        "calibration_error": (pytest.approx(calibration_error(VAL.y, p)), 0.5),
        "equalized_odds_gap": (largest_gap("equalized_odds_gap", VAL.y, p.argmax(1), GROUPS).value, 0.1),
        "demographic_parity_gap": (largest_gap("demographic_parity_gap", VAL.y, p.argmax(1), GROUPS).value, 0.2),
    }
    assert amounts_of(fit.network, PEOPLE, Constraints(parameters=1), "cpu") == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"parameter": 5}, "conf.search.constraints: unknown key 'parameter'\n  fix: did you mean 'parameters'?"),
        ({"parameters": 0}, "conf.search.constraints: parameters must be positive, got 0"),
        ({"latency_ms": -1.5}, "conf.search.constraints: latency_ms must be positive, got -1.5"),
        ({"size_mb": "big"}, "conf.search.constraints.size_mb: expected a number, got a string 'big'"),
    ],
)
def test_a_wrong_bound_is_refused(given: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(SearchSettings, {"n_trials": 1, "constraints": given}, "conf.search")
    assert str(caught.value) == message


@pytest.mark.parametrize("sign", ["", "+"])
def test_bounds_are_set_on_the_command_line(sign: str) -> None:
    chosen = slice_for("search", SearchSlice, compose([f"{sign}search.constraints.parameters=200000"]))
    assert chosen.search.constraints.given() == {"parameters": 200_000.0}


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (replace(DATA, task="regression"), "calibration_error",
         "needs classes that exclude each other, these data are for regression\n  fix: leave this bound out"),
        (replace(PEOPLE, task="multiclass", outputs=3), "equalized_odds_gap",
         "needs two classes, these data have 3\n  fix: leave this bound out"),
        (replace(PEOPLE, sensitive={}), "demographic_parity_gap",
         "the data declare no sensitive feature\n  fix: declare one under data.sensitive"),
        (replace(PEOPLE, sensitive={"side": np.where(np.arange(200) < 29, "a", "b").astype(object)}),
         "demographic_parity_gap",
         "side without two groups of 30 validation rows to compare\n  fix: leave this bound out"),
    ],
)  # fmt: skip
def test_a_bound_that_means_nothing_here_is_refused_before_any_trial(data: Data, name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        refuse_unmeasurable(data, Constraints(**{name: 0.1}))
    assert str(caught.value) == f"conf.search.constraints.{name}: {message}"
    refuse_unmeasurable(PEOPLE, Constraints(**{name: 0.1}))


def test_a_default_that_is_too_large_is_passed_over_and_so_are_draws(tmp_path: Path) -> None:
    # the default cnn has 106 weights, the smallest rnn 2,186, the smallest transformer 1,426
    record = run(tmp_path, n_trials=6, epochs=2, constraints=Constraints(parameters=100))
    assert [t.number for t in record.trials] == list(range(6))
    assert all(t.parameters is not None and t.parameters <= 100 for t in record.trials)
    assert all(t.amounts == {"parameters": (t.parameters, 100)} and not t.violations for t in record.trials)
    assert "default" not in {t.origin for t in record.trials}
    assert record.trials[0].state == "complete"
    assert record.feasible is True
    assert record.notes[0] == (
        "a default is passed over: cnn width 8, stages 1, depth 1, has parameters 106 above its bound 100"
    )
    assert [note.partition(":")[0] for note in record.notes[:3]] == ["a default is passed over"] * 3
    drawn = record.notes[3]
    assert drawn.partition(" draws broke a bound before training and did not count; the last had parameters ")[2]
    table = trials_table(record)
    assert list(table["amounts.parameters"]) == [t.parameters for t in record.trials]


def test_a_bound_that_nobody_meets_ends_before_a_trial_and_names_the_closest(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(SpaceError) as caught:
            run(tmp_path, constraints=Constraints(parameters=10))
        assert str(caught.value) == (
            "search: no candidate keeps all bounds (100 draws in a row); the closest, cnn width 4, stages 1, depth 1, "
            "has parameters 54 above its bound 10\n"
            "  fix: raise the bound under search.constraints, or let the space hold such candidates"
        )
    assert study(tmp_path).trials == []


def test_the_default_alone_has_to_keep_the_bounds(tmp_path: Path) -> None:
    with pytest.raises(SpaceError) as caught:
        run(tmp_path, strategy="default_only", constraints=Constraints(parameters=10))
    assert str(caught.value) == (
        "search: a default is passed over: cnn width 8, stages 1, depth 1, has parameters 106 above its bound 10\n"
        "  fix: raise the bound, or search with search.strategy=engine"
    )


def test_trials_are_kept_where_no_more_candidates_are_found(tmp_path: Path) -> None:
    first = run(tmp_path, n_trials=2, epochs=1)
    more = run(tmp_path, n_trials=4, epochs=1, constraints=Constraints(parameters=10))
    assert [t.candidate for t in more.trials] == [t.candidate for t in first.trials]
    assert more.notes[0] == (
        "no more candidates: of the last 100 draws 100 broke a bound, one with parameters 2,186 above its bound 10"
    )
    rows = [row(0, 0.5)]
    with pytest.raises(Exhausted) as caught:
        proposal(parse(STRICT | {"forbid": []}), rows, RUNGS, (), gauge({"parameters": 1}), 7)
    assert len(caught.value.skipped) == 100


def measured(folder: Path, bound: float, **settings: Any) -> SearchRecord:
    limits = Constraints(parameters=1000, calibration_error=bound)
    return run(folder, n_trials=6, constraints=limits, **settings)


def test_no_feasible_model_is_an_outcome_that_names_the_closest(tmp_path: Path) -> None:
    record = measured(tmp_path, 1e-9, epochs=3, strategy="random")
    errors = {t.number: t.amounts["calibration_error"][0] for t in record.trials}
    assert {t.state for t in record.trials} == {"complete"}
    assert record.best == min(errors, key=lambda number: errors[number])
    assert record.feasible is False
    words = violation_words(record.trials[record.best].amounts)
    assert record.notes[0] == f"no feasible model: the closest, trial {record.best}, has {words}"
    assert not any("failed" in note for note in record.notes)
    kept = study(tmp_path).trials
    assert all(trial.constraints["parameters"] <= 0 < trial.constraints["calibration_error"] for trial in kept)


def test_a_trial_that_keeps_the_bounds_goes_before_a_better_one_that_does_not(tmp_path: Path) -> None:
    free = measured(tmp_path / "free", 1.0, epochs=3, strategy="random")
    errors = sorted(t.amounts["calibration_error"][0] for t in free.trials)
    rest = [t for t in free.trials if t.number != free.best]
    # what is handed on without a bound breaks this one, or is the only one to keep it
    least = free.trials[free.best].amounts["calibration_error"][0]
    tight = replace(free.trials[free.best], amounts={"calibration_error": (least, least / 2)})
    assert chosen_of([tight, *rest]) == chosen_of(rest)
    assert best_of([tight, *rest]) == best_of(rest)
    bound = errors[2]
    bounded = measured(tmp_path / "bounded", bound, epochs=3, strategy="random")
    assert outcome(bounded) == outcome(free)
    assert bounded.feasible is True
    assert sum(bool(t.violations) for t in bounded.trials) == 3
    assert bounded.notes[0].startswith("3 trials broke a bound at their end and come after the others; the last has ")
    keep = [t for t in bounded.trials if not t.violations]
    assert bounded.trials[bounded.best].score == min(t.score for t in keep if t.score is not None)


def test_an_interrupted_search_with_bounds_ends_as_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = measured(tmp_path / "whole", 0.1, epochs=40)
    real, calls = Training.advance, []

    def dies(*args: Any, **options: Any) -> bool:
        calls.append(1)
        if len(calls) in (2, 6, 9):
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(Training, "advance", dies)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            measured(tmp_path / "cut", 0.1, epochs=40)
    cut = measured(tmp_path / "cut", 0.1, epochs=40)
    assert outcome(cut) == outcome(whole)
    assert [t.amounts for t in cut.trials] == [t.amounts for t in whole.trials]
    assert (cut.best, cut.notes, cut.feasible) == (whole.best, whole.notes, whole.feasible)
    assert measured(tmp_path / "cut", 0.1, epochs=40) == cut


BROKEN = {"calibration_error": (0.3, 0.2)}


def test_a_row_that_broke_a_bound_leaves_its_promotion_to_others() -> None:
    rows = [row(0, 0.9, 0.6, 0.5), row(1, 0.95), row(2, 0.96)]
    assert promotion(view(*rows)) is None  # the first leads, and is over
    assert promotion(view(replace(rows[0], gauged=BROKEN), *rows[1:])) == Continue(1, 1)


def test_a_row_that_broke_a_bound_is_no_leader_and_the_last_parent() -> None:
    rows = [row(place, 0.9, 0.6, 0.5 + place / 10, gauged={}) for place in range(4)]
    rows[0] = replace(rows[0], gauged=BROKEN)
    assert [r.place for r in best_rows(rows, RUNGS)] == [1, 2, 3]
    again = confirming(view(*rows, repeats=1))
    assert again is not None
    assert again.place == 1
    assert confirming(view(rows[0], repeats=1)) is None


def test_excess_is_the_largest_share_of_a_bound() -> None:
    amounts = {"parameters": (150.0, 100.0), "size_mb": (0.9, 1.0), "calibration_error": (0.12, 0.1)}
    assert excess(amounts) == pytest.approx(0.5)
    assert excess({"size_mb": (1.0, 1.0)}) == 0
    assert violation_words(amounts) == "parameters 150 above its bound 100, calibration_error 0.12 above its bound 0.1"


def test_tpe_and_the_stock_search_know_who_broke_a_bound() -> None:
    rows = [row(place, 0.9, 0.6, 0.5) for place in range(STARTUP)]
    rows[2] = replace(rows[2], gauged=BROKEN)
    asked = tpe(rows, RUNGS, 7)
    assert isinstance(asked, TrialChooser)
    stock, _ = stock_study(rows, RUNGS, 3, 7)
    for told in (asked._trial.study, stock):
        known = [trial.constraints for trial in told.trials[:STARTUP]]
        assert known[2] == {"calibration_error": pytest.approx(0.5)}
        assert known[:2] == [{}, {}]


def test_every_complete_trial_has_its_gaps_and_those_of_the_front_are_named(tmp_path: Path) -> None:
    settings = SearchSettings(n_trials=4, epochs=2, repeats=0, workers=0)
    record = search_in(tmp_path, chosen=Problem(PEOPLE, settings, CPU, 3)).export("db")
    done = {t.number: t for t in record.trials if t.state == "complete"}
    assert done
    assert set(record.gap_fronts) == {"equalized_odds_gap", "demographic_parity_gap"}
    for name, numbers in record.gap_fronts.items():
        points = {number: (t.score or 0.0, t.gaps[name].value or 0.0) for number, t in done.items()}
        assert all(t.gaps[name].ci_high is not None for t in done.values())
        assert numbers[0] == min(points, key=lambda n: (points[n], n))
        others = points.values()
        bettered = {n for n, one in points.items()
                    if any(other != one and other[0] <= one[0] and other[1] <= one[1] for other in others)}  # fmt: skip
        assert set(numbers) == set(points) - bettered
    assert all(not t.gaps for t in record.trials if t.state != "complete")
