"""Several objectives: what they refuse, who goes on, what is proposed, what is handed on."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.configure import check
from pipeline.core.bounds import Constraints
from pipeline.core.contracts import SearchRecord, TrialRecord
from pipeline.core.errors import ConfigError
from pipeline.core.objectives import ObjectiveSettings
from pipeline.metrics.calibration import calibration_error
from pipeline.models.cost import cost_of
from pipeline.search import trials_table
from pipeline.space import MutationChooser, parse
from pipeline.stage import compose
from pipeline.training.data import Data
from pipeline.training.training import Training
from pipeline.tuning import Search, chosen_of, front_of, front_words, open_study
from pipeline.tuning.choice import choice_note
from pipeline.tuning.chooser import TrialChooser
from pipeline.tuning.constraints import measured
from pipeline.tuning.decisions import confirming, finishing, promotion
from pipeline.tuning.proposals import _mixture
from pipeline.tuning.row import Row
from pipeline.tuning.samplers import STARTUP, best_rows, tpe
from pipeline.tuning.view import Continue, Repeat
from tests.training.test_fit import DATA
from tests.tuning.test_constraints import PEOPLE
from tests.tuning.test_decisions import RUNGS, row, view
from tests.tuning.test_search import TINY, outcome, problem, run

SMALL = ("score", "parameters")
BOTH = ("score", "parameters", "calibration_error")


def search_for(folder: Path, names: tuple[Any, ...] = SMALL, data: Data = DATA, **settings: Any) -> Search:
    folder.mkdir(parents=True, exist_ok=True)
    aimed = replace(problem(**settings), objective=ObjectiveSettings(kind="pareto", minimise=names), data=data)
    study = open_study("test", f"sqlite:///{folder / 'study.db'}", len(names))
    search = Search(aimed, parse(TINY), study, folder / "files")
    search.run()
    return search


# what is refused


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["objective.minimise=[score,paramaters]"],
         "conf.objective.minimise[1]: 'paramaters' is not one of score, parameters, multiply_adds, size_mb, "
         "latency_ms, calibration_error, equalized_odds_gap, demographic_parity_gap\n"
         "  fix: did you mean 'parameters'?"),
        (["objective.minimise=[score,size_mb,size_mb]"], "conf.objective: minimise names size_mb twice"),
        (["objective.minimise=[score]"], "conf.objective: pareto minimises two or three objectives, got score"),
        (["objective.minimise=[]"], "conf.objective: minimise starts with the score, got none"),
        (["objective.minimise=[parameters,score]"],
         "conf.objective: minimise starts with the score, got parameters, score"),
        (["objective.minimise=[score,parameters,size_mb,latency_ms]"],
         "conf.objective: pareto minimises two or three objectives, got score, parameters, size_mb, latency_ms"),
        (["objective.kind=score"],
         "conf.objective: kind score minimises the score alone, got score, parameters; objective=pareto takes more"),
        (["search=tpe_hyperband"],
         "conf: search.strategy tpe_hyperband compares scores alone; objective=pareto takes engine, random, grid or "
         "default_only"),
    ],
)  # fmt: skip
def test_objectives_that_mean_nothing_are_refused_before_anything_runs(overrides: list[str], message: str) -> None:
    check(compose(["objective=pareto"]))
    with pytest.raises(ConfigError) as caught:
        check(compose(["objective=pareto", *overrides]))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (replace(PEOPLE, sensitive={}), "equalized_odds_gap",
         "the data declare no sensitive feature\n  fix: declare one under data.sensitive"),
        (replace(PEOPLE, task="multiclass", outputs=3), "demographic_parity_gap",
         "needs two classes, these data have 3\n  fix: leave this objective out"),
        (replace(PEOPLE, task="regression"), "calibration_error",
         "needs classes that exclude each other, these data are for regression\n  fix: leave this objective out"),
    ],
)  # fmt: skip
def test_an_objective_these_data_do_not_have_is_refused(tmp_path: Path, data: Data, name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        search_for(tmp_path, ("score", name), data)
    assert str(caught.value) == f"conf.objective.minimise: {name}: {message}"


def test_objectives_are_what_bounds_are_there_for() -> None:
    for name in Constraints.__slots__:
        assert ObjectiveSettings(kind="pareto", minimise=("score", name)).others == (name,)  # type: ignore[arg-type]


# who goes on, on made-up tables


def sized(place: int, parameters: float, *scores: float, **more: object) -> Row:
    return row(place, *scores, aimed={"parameters": parameters}, **more)


def test_what_is_small_goes_on_beside_what_is_good() -> None:
    rows = [sized(0, 1000, 0.9, 0.6, 0.5), sized(1, 1000, 0.8), sized(2, 10, 0.95), sized(3, 900, 0.85),
            sized(4, 2000, 0.82), sized(5, 2000, 0.97)]  # fmt: skip
    assert promotion(view(*rows)) == Continue(1, 1)
    assert promotion(view(*rows, objectives=SMALL)) == Continue(1, 1)
    rows[1] = sized(1, 1000, 0.8, 0.7)
    rows[4] = sized(4, 2000, 0.82, 0.65)
    assert promotion(view(*rows)) is None  # the two lowest scores went on
    assert promotion(view(*rows, objectives=SMALL)) == Continue(2, 1)  # the other end of the front
    broken = replace(rows[2], gauged={"size_mb": (2.0, 1.0)})
    assert promotion(view(*rows[:2], broken, *rows[3:], objectives=SMALL)) == Continue(3, 1)


def test_unmeasured_objectives_wait_for_the_end_of_a_trial() -> None:
    names = ("score", "calibration_error")
    rows = [row(0, 0.9, 0.6, 0.5), row(1, 0.8), row(2, 0.95)]
    assert promotion(view(*rows, objectives=names)) == promotion(view(*rows)) == Continue(1, 1)
    assert promotion(view(objectives=names)) is None


def test_the_front_is_finished_before_the_rest() -> None:
    rows = [sized(0, 1000, 0.9, 0.6, 0.5), sized(1, 1000, 0.7), sized(2, 2000, 0.75), sized(3, 10, 0.95)]
    late: dict[str, object] = {"seconds": 1000.0, "used": 730.0, "objectives": SMALL}
    assert finishing(view(*rows, **late)) == Continue(1, 1)
    under_way = [rows[0], replace(rows[1], busy=True), *rows[2:]]
    assert finishing(view(*under_way, **late)) == Continue(3, 1)
    assert finishing(view(*under_way, **(late | {"objectives": ("score",)}))) == Continue(2, 1)
    assert finishing(view(*under_way[:3], **late)) == Continue(2, 1)
    assert finishing(view(*rows, **(late | {"used": 860.0}))) is None


def test_fresh_seeds_go_to_the_front() -> None:
    rows = [sized(0, 50, 0.9, 0.6, 0.5), sized(1, 100, 0.9, 0.6, 0.1), sized(2, 100, 0.9, 0.6, 0.2),
            sized(3, 60, 0.9, 0.6, 0.3), sized(4, 200, 0.9, 0.6, 0.15)]  # fmt: skip
    asked = []
    for _ in range(3):
        decision = confirming(view(*rows, repeats=1, objectives=SMALL))
        assert isinstance(decision, Repeat)
        asked.append(decision.place)
        had = rows[decision.place].outcome
        assert had is not None
        rows[decision.place] = replace(rows[decision.place], repeats=(replace(had, repeat=1),))
    assert asked == [1, 3, 0]
    assert confirming(view(*rows, repeats=1, objectives=SMALL)) is None


# what is proposed


def test_changes_start_from_any_member_of_the_front() -> None:
    pairs = [(10, 0.9), (20, 0.5), (30, 0.6), (40, 0.4), (50, 0.7)]
    rows = [sized(place, size, 0.9, 0.6, score, answers={"place": place}) for place, (size, score) in enumerate(pairs)]
    assert [r.place for r in best_rows(rows, RUNGS, SMALL)] == [0, 1, 3]
    assert [r.place for r in best_rows(rows, RUNGS)] == [3, 1, 2]
    parents = set()
    for attempt in range(200):
        origin, chooser = _mixture(rows, RUNGS, 7, attempt, SMALL)
        if origin == "mutation":
            assert isinstance(chooser, MutationChooser)
            parents.add(chooser._parent["place"])
    assert parents == {0, 1, 3}


@pytest.mark.parametrize(("complete", "values"), [(True, [0.5, 2.0, 0.25]), (False, [0.9, 2.0])])
def test_tpe_knows_all_objectives_that_a_rung_has(complete: bool, values: list[float]) -> None:
    scores = (0.9, 0.6, 0.5) if complete else (0.9,)
    rows = [sized(place, np.exp(2.0), *scores) for place in range(2 * STARTUP)]
    if complete:
        done = [r.outcome for r in rows]
        rows = [replace(r, outcome=replace(o, objectives={"calibration_error": 0.25}))
                for r, o in zip(rows, done, strict=True) if o is not None]  # fmt: skip
    asked = tpe(rows, RUNGS, 7, BOTH)
    assert isinstance(asked, TrialChooser)
    told = asked._trial.study
    assert len(told.directions) == len(values)
    assert all(trial.values == pytest.approx(values) for trial in told.trials[: len(rows)])


# a whole search


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Search:
    return search_for(tmp_path_factory.mktemp("search"), BOTH, n_trials=14, epochs=20)


def test_every_objective_of_a_trial_is_measured(searched: Search) -> None:
    record = searched.export("db")
    assert record.objectives == BOTH
    assert all(t.objectives["parameters"] == t.parameters for t in record.trials)
    complete = [t for t in record.trials if t.state == "complete"]
    assert [t.number for t in record.trials if "calibration_error" in t.objectives] == [t.number for t in complete]
    table = trials_table(record)
    assert list(table["objectives.parameters"]) == [t.parameters for t in record.trials]
    assert not any(name == "objectives" for name in table.columns)


def test_the_front_is_also_the_one_that_the_dashboard_shows(searched: Search) -> None:
    record = searched.export("db")
    found = front_of(record)
    assert found.declared
    assert searched.study.metric_names == ["log loss on validation", "parameters", "calibration error"]
    assert {t.number for t in searched.study.best_trials} == {m.number for m in found.members}
    for member in found.members:
        trial = record.trials[member.number]
        assert (member.score, member.standard_error, member.candidate) == (
            trial.score, trial.standard_error, trial.candidate)  # fmt: skip
        assert member.objectives == dict(trial.objectives)
    assert record.best in {m.number for m in found.members}
    assert 0 < found.hypervolume_share <= 1
    assert front_words(found).startswith(
        f"front of score, parameters, calibration error: {len(found.members)} of {found.compared} complete trials, "
    )


def test_an_interrupted_search_ends_as_an_uninterrupted_one(
    tmp_path: Path, searched: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = searched.export("db")
    real, calls = Training.advance, []

    def dies(*args: Any, **options: Any) -> bool:
        calls.append(1)
        if len(calls) in (2, 7, 12, 17):
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(Training, "advance", dies)
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            search_for(tmp_path, BOTH, n_trials=14, epochs=20)
    cut = search_for(tmp_path, BOTH, n_trials=14, epochs=20).export("db")
    assert outcome(cut) == outcome(whole)
    assert [t.objectives for t in cut.trials] == [t.objectives for t in whole.trials]
    assert front_of(cut) == front_of(whole)


def test_the_score_alone_gives_a_front_against_multiply_adds(tmp_path: Path) -> None:
    record = run(tmp_path, n_trials=8, epochs=10)
    found = front_of(record)
    assert (found.objectives, found.declared) == (("score", "multiply_adds"), False)
    complete = [t for t in record.trials if t.state == "complete"]
    assert found.compared == len(complete) >= 2
    for t in complete:
        beaten = [m for m in found.members if t.score is not None and t.multiply_adds is not None
                  and m.score <= t.score and m.objectives["multiply_adds"] <= t.multiply_adds]  # fmt: skip
        assert beaten
        assert t.multiply_adds == cost_of(t.candidate.architecture, DATA.inputs, 2).multiply_adds
    assert all(not t.objectives for t in record.trials)


def test_calibration_and_gaps_are_those_that_bounds_are_on() -> None:
    found: dict[str, float] = {}

    class Flat:
        def to(self, _: str) -> "Flat":
            return self

        def cpu(self) -> None:
            found["back"] = 1

    p_NK = np.full((len(PEOPLE.val.y), 2), 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.tuning.constraints.predict", lambda *_: p_NK)
        names: Mapping[str, float] = measured(Flat(), PEOPLE, ("parameters", "calibration_error"), "cpu")  # type: ignore[arg-type]
    assert names == {"calibration_error": calibration_error(PEOPLE.val.y, p_NK)}


# what is handed on


def trial(number: int, score: float, parameters: float, error: float = 0.02, **more: Any) -> TrialRecord:
    given = row(0).candidate
    return TrialRecord(number=number, state="complete", score=score, standard_error=error, quality=0.9, origin="random",
                       candidate=given, parameters=int(parameters), epochs=1.0, seconds=1.0, curve=((1.0, score),),
                       objectives={"parameters": parameters}, **more)  # fmt: skip


def exported(*trials: TrialRecord) -> SearchRecord:
    return SearchRecord(study="s", storage="db", metric="log_loss", objectives=SMALL, trials=trials, best=0, seconds=1)


def test_of_scores_within_a_standard_error_the_smallest_is_handed_on() -> None:
    pairs = [(0.40, 5000), (0.41, 1200), (0.419, 900), (0.43, 10), (0.42, 1000)]
    trials = [trial(number, *pair) for number, pair in enumerate(pairs)]
    chosen = chosen_of(trials, SMALL)
    assert chosen is trials[2]
    assert chosen_of(trials) is trials[0]
    assert choice_note(trials[0], chosen, SMALL) == (
        "trial 0 scored 0.4000, trial 2 0.4190: of the front within a standard error of the best score, the trial with "
        "the least parameters is handed on, 900 against 5,000"
    )
    sure = [replace(t, standard_error=0.001) for t in trials]
    assert chosen_of(sure, SMALL) is sure[0]


def test_the_reserve_decides_what_is_best_and_what_is_within_its_error() -> None:
    lucky, steady = trial(0, 0.40, 100, reserve_score=0.60), trial(1, 0.39, 200, reserve_score=0.42)
    assert chosen_of([lucky, steady], SMALL) is steady
    lucky, steady = trial(0, 0.39, 200, reserve_score=0.60), trial(1, 0.40, 300, reserve_score=0.42)
    other = trial(2, 0.45, 100, reserve_score=0.43)
    assert chosen_of([lucky, steady, other], SMALL) is other  # trial 1 is not on the front


def test_one_that_breaks_a_bound_is_no_member_and_without_another_the_closest_is_handed_on() -> None:
    out = trial(0, 0.1, 10, amounts={"size_mb": (2.0, 1.0)})
    kept = trial(1, 0.4, 20)
    assert chosen_of([out, kept], SMALL) is kept
    assert chosen_of([out], SMALL) is out
    found = front_of(exported(out))
    assert (found.members, found.compared, found.hypervolume, found.reference) == ((), 0, 0.0, ())


def test_the_reference_lies_a_tenth_beyond_the_worst() -> None:
    trials = (trial(0, 0.4, 1000), trial(1, 0.6, 500), trial(2, 0.9, 1500))
    found = front_of(exported(*trials))
    assert [m.number for m in found.members] == [0, 1]
    assert found.ideal == (0.4, 500)
    assert found.reference == pytest.approx((0.95, 1600))
    area = 0.55 * 600 + 0.35 * 500
    assert found.hypervolume == pytest.approx(area)
    assert found.hypervolume_share == pytest.approx(area / (0.55 * 1100))
    alone = front_of(exported(trials[0]))
    assert alone.reference == pytest.approx((0.44, 1100))
    assert alone.hypervolume_share == pytest.approx(1)
