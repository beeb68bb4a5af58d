"""Arm refine: what it settles, what a Gaussian process makes of one rung's scores, and when it has its turn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from pipeline.core.contracts import Candidate, Optimizer, Policy
from pipeline.core.settings import SearchSettings
from pipeline.space import FloatRange, Scalar, parse
from pipeline.tuning.clock import Clock
from pipeline.tuning.constraints import Gauge
from pipeline.tuning.decisions import engine
from pipeline.tuning.jobs import Outcome
from pipeline.tuning.plan import Plan, plan_for, plan_words
from pipeline.tuning.proposals import Exhausted, Proposal, proposal
from pipeline.tuning.refining import alike, process, refined, settled_by
from pipeline.tuning.row import Row
from pipeline.tuning.table import Table
from pipeline.tuning.view import Continue, Refine, Start
from tests.training.test_fit import CPU, DATA
from tests.tuning.test_decisions import row, view
from tests.tuning.test_search import problem, search_in, study

RUNGS = (1 / 9, 1 / 3, 1.0)
TREE: Mapping[str, Any] = {
    "architecture": {
        "cnn": {"width": {"choice": [4, 8]}, "stages": 1, "depth": 1, "dropout": {"float": [0.0, 0.5], "default": 0.1}}
    },
    "optimizer": {"lr": {"float": [1e-4, 1e-1], "log": True, "default": 1e-3}, "batch_size": {"choice": [32, 64]}},
}
SPACE = parse(TREE)
RANGES = {"lr": FloatDistribution(1e-4, 1e-1, log=True), "dropout": FloatDistribution(0.0, 0.5)}


def proposed(rows: Sequence[Row], seed: int = 7) -> Proposal:
    settings = SearchSettings(n_trials=100)
    gauge = Gauge(data=DATA, settings=settings, trainer=CPU)
    return proposal(SPACE, rows, RUNGS, (), gauge, seed, Refine(1))


def asked(found: Proposal) -> Row:
    return Row(place=found.place, origin=found.origin, candidate=found.candidate, answers=found.answers,
               distributions=found.distributions)  # fmt: skip


def scored(of: Row, *scores: float) -> Row:
    state: Any = "complete" if len(scores) == 3 else "paused"
    curve = tuple(zip(RUNGS, scores, strict=False))
    return replace(of, outcome=Outcome(place=of.place, state=state, curve=curve), over=state == "complete", busy=False)


def rows_before() -> list[Row]:
    """A first row of width 4 that is complete, and a worse one of width 8."""
    names = {
        "architecture.cnn.width": CategoricalDistribution([4, 8]),
        "optimizer.batch_size": CategoricalDistribution([32, 64]),
        "optimizer.lr": RANGES["lr"],
        "architecture.cnn.dropout": RANGES["dropout"],
    }
    answers: dict[str, Scalar] = {"architecture.cnn.width": 4, "optimizer.batch_size": 32, "optimizer.lr": 1e-3,
                                  "architecture.cnn.dropout": 0.1}  # fmt: skip
    blank = Row(place=0, origin="default", candidate=Candidate(architecture={"kind": "cnn"}, optimizer=Optimizer()),
                answers=answers, distributions=names)  # fmt: skip
    other = replace(blank, place=1, origin="random", answers=answers | {"architecture.cnn.width": 8})
    return [scored(blank, 0.9, 0.8, 0.5), scored(other, 0.7, 0.6, 0.55)]


def loss(answers: Mapping[str, Scalar]) -> float:
    """Lowest at a learning rate of 0.02 without dropout."""
    lr, dropout = float(answers["optimizer.lr"]), float(answers["architecture.cnn.dropout"])
    return (math.log10(lr) - math.log10(0.02)) ** 2 + dropout


def refined_rows(count: int) -> list[Row]:
    rows = rows_before()
    for _ in range(count):
        row = asked(proposed(rows))
        rows.append(scored(row, 0.9, loss(row.answers)))
    return rows


def test_all_but_numbers_is_that_of_the_best_and_numbers_get_better() -> None:
    rows = rows_before()
    rows[0] = scored(rows[0], 0.9, loss(rows[0].answers), 0.5)
    for _ in range(14):
        new = asked(proposed(rows))
        rows.append(scored(new, 0.9, loss(new.answers)))
    tried = rows[2:]
    assert {row.origin for row in tried} == {"refine"}
    assert {(row.answers["architecture.cnn.width"], row.answers["optimizer.batch_size"]) for row in tried} == {(4, 32)}
    assert {row.candidate.architecture["width"] for row in tried} == {4}
    assert len({row.answers["optimizer.lr"] for row in tried}) == len(tried)
    assert loss(rows[0].answers) > 1.7
    assert min(loss(row.answers) for row in tried) < 0.1


def test_the_same_seed_and_rows_give_the_same_proposals_and_another_seed_others() -> None:
    early, late = rows_before(), refined_rows(6)
    for rows in (early, late):
        assert proposed(rows).answers == proposed(rows).answers
        assert proposed(rows).answers != proposed(rows, seed=8).answers


def test_scores_of_another_rung_or_of_other_shapes_are_not_heard() -> None:
    rows = refined_rows(6)
    other = scored(rows[1], 0.1, 0.01, 0.01)
    louder = [scored(row, 0.1 * row.place, row.scores(RUNGS)[1]) if row.place > 1 else row for row in rows]
    assert proposed([rows[0], other, *louder[2:]]).answers == proposed(rows).answers
    better = [scored(row, 0.9, 3.0 - loss(row.answers)) if row.place > 1 else row for row in rows]
    assert proposed(better).answers != proposed(rows).answers


def test_the_arm_keeps_to_its_architecture_while_it_is_at_work_and_chooses_anew_in_a_later_turn() -> None:
    rows = refined_rows(1)
    better = [rows[0], scored(rows[1], 0.2, 0.2, 0.2), *rows[2:]]
    kept = settled_by(better)
    assert kept is not None
    assert kept.answers["architecture.cnn.width"] == 4
    assert [found.place for found in alike(better, kept)] == [0, 2]
    later = settled_by([*better, replace(rows[1], place=3)])
    assert later is not None
    assert later.answers["architecture.cnn.width"] == 8


def test_two_workers_are_not_given_the_same() -> None:
    known = [({"lr": 10 ** -(1 + k / 2), "dropout": 0.1 * k}, (k - 2.5) ** 2) for k in range(6)]
    first = drawn(known, [])
    assert drawn(known, []) == first
    second = drawn(known, [{"lr": first[0], "dropout": first[1]}])
    assert abs(math.log10(second[0] / first[0])) + abs(second[1] - first[1]) > 1e-3


def drawn(known: list[tuple[Mapping[str, Scalar], float]], waiting: list[Mapping[str, Scalar]]) -> tuple[float, float]:
    chooser = process(known, waiting, RANGES, 3)
    lr = FloatRange(low=1e-4, high=1e-1, log=True, default=1e-3)
    dropout = FloatRange(low=0.0, high=0.5, log=False, default=0.1)
    return chooser.number("lr", lr), chooser.number("dropout", dropout)


def test_without_numbers_there_is_nothing_to_refine() -> None:
    rows = [replace(row, distributions={"d": IntDistribution(1, 2)}, answers={"d": 1}) for row in rows_before()]
    assert refined(rows, RUNGS, 1, 7, 0) is None
    with pytest.raises(Exhausted):
        proposed(rows)


def test_the_arm_has_the_last_tenth_of_the_search_and_no_more_than_its_count() -> None:
    rows = [row(0, 0.9, 0.6, 0.5, seconds=10.0), row(1, 0.95), row(2, 0.96)]
    settings: dict[str, Any] = {"seconds": 100.0, "refine": 1, "most_refined": 2}
    assert engine(view(*rows, used=61.0, **settings)) == Start(0)
    assert engine(view(*rows, used=63.0, **settings)) == Refine(1)
    assert engine(view(*rows, used=63.0, **(settings | {"refine": None}))) == Start(0)
    assert engine(view(*rows, used=71.9, **settings)) == Refine(1)
    assert engine(view(*rows, used=73.0, **settings)) == Continue(1, 1)
    more = [replace(row(place, 0.97, 0.7), origin="refine") for place in (3, 4)]
    assert engine(view(*rows, more[0], used=63.0, **settings)) == Refine(1)
    assert engine(view(*rows, *more, used=63.0, **settings)) == Continue(1, 1)
    left = replace(row(3), origin="refine")
    assert engine(view(*rows, left, used=65.0, **settings)) == Continue(3, 1)  # a process died in its first job


@pytest.mark.parametrize(
    ("seconds", "workers", "refine"),
    [(600.0, 1, 1), (100.0, 2, 0), (100.0, 1, None), (40.0, 1, None), (40.0, 2, None), (30.0, 2, None)],
)
def test_numbers_are_refined_where_trials_are_long_and_enough_of_them_fit(
    tmp_path: Path, seconds: float, workers: int, refine: int | None
) -> None:
    chosen = problem(seconds=seconds, n_trials=1000)
    takes = min(20.0, 0.3 * seconds)
    kept = {"mode": "seeds", "trial_seconds": 1.0, "default_seconds": takes}  # of a smaller budget
    study(tmp_path).set_user_attr("plan", {"budget": {}, "plan": kept})
    policy = Policy(device="cpu", precision="fp32", memory_format=None, compile=False)
    found = plan_for(chosen, candidate(), study(tmp_path), Clock(study(tmp_path)), lambda _: policy, workers)
    slower = max(takes, min(2 * takes, 0.125 * seconds))  # families that need it, as far as half the share pays for it
    assert found.trial_seconds == pytest.approx(min(0.25 * seconds, slower))
    assert found.refine == refine
    words = plan_words(found, seconds, "engine")
    assert ("numbers of the best one until" in words) == (refine is not None)
    assert (f"search until {0.62 * seconds:.0f} s" in words) == (refine is not None)


def candidate() -> Candidate:
    return Candidate(architecture={"kind": "cnn"}, optimizer=Optimizer())


def test_a_search_has_the_arm_in_its_record_and_its_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds by a clock that the work turns: what is noted takes 0.4 s, so that every phase comes."""
    noted, note = [0], Table.note

    def counted(table: Table, *given: Any) -> Row:
        noted[0] += 1
        return note(table, *given)

    monkeypatch.setattr(Table, "note", counted)
    monkeypatch.setattr(Clock, "used", property(lambda _: 0.4 * noted[0]))
    monkeypatch.setattr(Clock, "moment", lambda *_: math.inf)
    long = Plan(mode="search", trial_seconds=None, refine=1)
    monkeypatch.setattr("pipeline.tuning.loop.plan_for", lambda *_: long)
    monkeypatch.setattr("pipeline.tuning.loop.plan_words", lambda *_: "")
    search = search_in(tmp_path, tree=TREE, n_trials=100, seconds=20.0, refine=3)
    record = search.export("db")
    refined_trials = [t for t in record.trials if t.origin == "refine"]
    assert len(refined_trials) == 3
    assert all(len(t.curve) >= 2 for t in refined_trials)
    assert any(line.startswith("  refine  ") for line in search.summary(record))
    assert "refine" in dict(record.phases)
