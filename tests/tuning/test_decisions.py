"""What to train next, on made-up tables: every rule by hand."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.core.contracts import Candidate, Optimizer
from pipeline.tuning.decisions import engine, finishing, promotion, to_beat
from pipeline.tuning.jobs import Outcome
from pipeline.tuning.row import Row
from pipeline.tuning.samplers import told
from pipeline.tuning.strategies import one_rung_then_best
from pipeline.tuning.view import Continue, Repeat, Start, View, confirm_until

RUNGS = (1 / 9, 1 / 3, 1.0)
CANDIDATE = Candidate(architecture={"kind": "cnn"}, optimizer=Optimizer())


def row(place: int, *scores: float, state: str = "", seconds: float | None = None, **more: object) -> Row:
    ends = state or ("complete" if len(scores) == 3 else "paused")
    spent = RUNGS[len(scores) - 1] * 9 if seconds is None and scores else seconds or 0.0
    outcome = Outcome(
        place=place,
        state=ends,  # type: ignore[arg-type]
        curve=tuple(zip(RUNGS, scores, strict=False)),
        seconds=spent,
    )
    blank = Row(place=place, origin="random", candidate=CANDIDATE, answers={}, distributions={})
    return replace(blank, outcome=outcome if scores or state else None, over=ends != "paused", **more)  # type: ignore[arg-type]


def view(*rows: Row, **more: object) -> View:
    settings: dict[str, object] = {"n_trials": 100, "eta": 3, "seed": 1, "repeats": 0, "rungs": RUNGS}
    return View(rows=rows, **(settings | more))  # type: ignore[arg-type]


def test_the_default_goes_to_its_end_and_the_next_to_the_first_rung() -> None:
    assert engine(view()) == Start(2)
    assert engine(view(row(0, 0.9, 0.6, 0.5))) == Start(0)


def test_one_in_eta_of_a_rung_goes_on_at_once() -> None:
    default = row(0, 0.9, 0.6, 0.5)
    assert engine(view(default, row(1, 0.8), row(2, 0.85))) == Continue(1, 1)
    assert engine(view(default, row(1, 0.95), row(2, 0.96))) == Start(0)  # the default leads, and is over
    assert engine(view(default, row(1, 0.8, 0.7), row(2, 0.85))) == Start(0)
    assert engine(view(default, row(1, 0.8, 0.7), row(2, 0.85), row(3, 0.81), row(4, 0.99), row(5, 0.99))) == Continue(
        3, 1
    )


def test_the_highest_rung_comes_first() -> None:
    rows = [row(0, 0.9, 0.6, 0.5), row(1, 0.8, 0.55), row(2, 0.85, 0.7), row(3, 0.7)]
    assert promotion(view(*rows)) == Continue(1, 2)


def test_busy_and_failed_rows_are_no_promotions() -> None:
    rows = [row(0, 0.9, 0.6, 0.5), row(1, 0.8, busy=True), row(2, 0.85), row(3, 0.7, state="failed")]
    assert promotion(view(*rows)) is None


def test_now_and_then_one_goes_on_that_does_not_lead() -> None:
    rows = [row(0, 0.9, 0.6, 0.5)]
    rows += [row(place, place / 100, 0.9) for place in range(1, 8)]  # seven were promoted
    rows += [row(place, 1.0) for place in range(8, 40)]
    chosen = promotion(view(*rows))
    assert chosen is not None
    assert chosen.place >= 8 or chosen.rung == 2
    again = promotion(view(*rows[:-1], row(39, 1.0)))
    assert chosen == again


def test_what_goes_on_without_a_pause_is_what_would_have_been_promoted() -> None:
    rng = np.random.default_rng(3)
    for count in range(1, 25):
        rows = [row(0, *rng.random(3))]
        rows += [row(place, *rng.random(rng.integers(1, 4))) for place in range(1, count)]
        bounds = to_beat(view(*rows, seconds=100.0), count)
        assert bounds is not None
        for rung in (0, 1):
            above = rng.random(rung)
            for score in (*rng.random(3), np.nextafter(bounds[rung], -1), bounds[rung]):
                if not 0 <= score <= 1:
                    continue
                new = row(count, *above, score)
                rivals = sorted(scores[rung] for r in (*rows, new) if len(scores := r.scores(RUNGS)) > rung)
                leads = score in rivals[: len(rivals) // 3] and rivals.index(score) < len(rivals) // 3
                tie = any(r.scores(RUNGS)[rung : rung + 1] == (score,) for r in rows)
                assert (score < bounds[rung]) == (leads and not (tie and rivals[len(rivals) // 3 - 1] == score))


def test_of_one_row_nobody_goes_on() -> None:
    assert to_beat(view(row(0, 0.9, 0.6, 0.5), seconds=100.0), 1) == (-math.inf, -math.inf)


def test_a_row_that_broke_a_bound_is_passed_by_any_score() -> None:
    broken = [replace(row(place, 0.1), gauged={"parameters": (2.0, 1.0)}) for place in (1, 2)]
    assert to_beat(view(row(0, 0.9, 0.6, 0.5), *broken, seconds=100.0, eta=2), 3) == (math.inf, 0.6)


@pytest.mark.parametrize(
    "more",
    [
        {},  # trials alone count: nothing is won by it
        {"seconds": 100.0, "used": 72.0},  # others decide who goes on
        {"seconds": 100.0, "mode": "seeds"},
        {"seconds": 100.0, "objectives": ("score", "parameters")},
    ],
)
def test_elsewhere_every_trial_pauses(more: dict[str, Any]) -> None:
    assert to_beat(view(row(0, 0.9, 0.6, 0.5), row(1, 0.8), row(2, 0.7), **more), 3) is None


def test_of_very_many_rows_the_best_and_the_latest_are_told() -> None:
    rng = np.random.default_rng(1)
    rows = [row(place, *rng.random(2)) for place in range(400)]
    assert told(rows[:250], 1, RUNGS) == rows[:250]
    chosen = told(rows, 1, RUNGS)
    assert [r.place for r in chosen] == sorted({r.place for r in chosen})
    assert 200 <= len(chosen) <= 250
    assert set(range(200, 400)) <= {r.place for r in chosen}
    best = sorted(range(400), key=lambda place: rows[place].scores(RUNGS)[1])[:50]
    assert set(best) <= {r.place for r in chosen}
    broken = replace(rows[best[0]], gauged={"parameters": (2.0, 1.0)})
    again = [broken if r.place == broken.place else r for r in rows[:200]] + rows[200:]
    assert (broken in told(again, 1, RUNGS)) == (broken.place >= 200)


def test_when_all_were_started_the_best_of_each_rung_goes_on() -> None:
    rows = [row(0, 0.9, 0.6, 0.5), row(1, 0.8), row(2, 0.85)]
    assert engine(view(*rows[:2], n_trials=2)) == Continue(1, 1)
    assert engine(view(rows[0], row(1, 0.8, 0.5), row(2, 0.85), n_trials=3)) == Continue(1, 2)
    assert engine(view(rows[0], row(1, 0.8, 0.5, 0.4), row(2, 0.85), n_trials=3)) is None


def test_fresh_seeds_for_the_best_three_and_the_default() -> None:
    rows = [row(0, 0.9, 0.6, 0.9), *(row(place, 0.5, 0.5, place / 10) for place in range(1, 5))]
    chosen = view(*rows, n_trials=5, repeats=2)
    asked = []
    for _ in range(8):
        decision = engine(chosen)
        assert isinstance(decision, Repeat)
        asked.append((decision.place, decision.repeat))
        had = chosen.rows[decision.place]
        assert had.outcome is not None
        again = replace(had, repeats=(*had.repeats, replace(had.outcome, repeat=decision.repeat)))
        chosen = replace(chosen, rows=[*chosen.rows[: had.place], again, *chosen.rows[had.place + 1 :]])
    assert asked == [(1, 1), (2, 1), (3, 1), (0, 1), (1, 2), (2, 2), (3, 2), (0, 2)]
    assert engine(chosen) is None


def test_phases_of_a_budget_of_seconds() -> None:
    rows = [row(0, 0.9, 0.6, 0.5, seconds=10.0), row(1, 0.8), row(2, 0.85)]
    assert engine(view(*rows, seconds=100.0, used=50.0)) == Continue(1, 1)
    tied = [row(0, 0.9, 0.6, 0.5, seconds=10.0), row(1, 0.95), row(2, 0.96)]
    assert engine(view(*tied, seconds=100.0, used=50.0)) == Start(0)
    assert engine(view(*tied, seconds=100.0, used=73.0)) == Continue(1, 1)
    assert engine(view(*tied, seconds=100.0, used=85.0)) == Continue(1, 1)  # too late to finish, but nothing else fits
    assert engine(view(*tied, seconds=100.0, used=96.0)) is None
    assert engine(view(*tied, seconds=100.0, used=85.0, repeats=1)) == Repeat(0, 1)
    assert engine(view(*tied, seconds=100.0, used=88.0, repeats=1)) == Continue(
        1, 1
    )  # ten seconds do not fit before 97


def test_the_end_is_kept_for_what_it_takes_to_write() -> None:
    assert confirm_until(None) == confirm_until(30.0) == confirm_until(120.0) == 0.97
    assert confirm_until(300.0) == pytest.approx(296 / 300)
    assert confirm_until(400.0) == confirm_until(7200.0) == 0.99
    rows = [row(0, 0.9, 0.6, 0.5, seconds=10.0)]
    assert engine(view(*rows, seconds=1000.0, used=979.0, repeats=1)) == Repeat(0, 1)
    assert engine(view(*rows, seconds=1000.0, used=981.0, repeats=1)) is None


def test_the_row_furthest_ahead_of_the_default_is_finished_first() -> None:
    rows = [row(0, 0.9, 0.6, 0.5), row(1, 0.7), row(2, 0.8, 0.35)]
    assert finishing(view(*rows, seconds=100.0, used=73.0)) == Continue(2, 2)  # 0.25 ahead there, the other 0.2


def test_without_time_to_search_the_default_is_repeated() -> None:
    assert engine(view(mode="seeds", seconds=10.0)) == Start(2)
    rows = [row(0, 0.9, 0.6, 0.5, seconds=4.0)]
    assert engine(view(*rows, mode="seeds", seconds=10.0, used=4.5, repeats=2)) == Repeat(0, 1)
    assert engine(view(*rows, mode="seeds", seconds=10.0, used=6.5, repeats=2)) is None


def test_time_that_the_default_and_its_seeds_leave_goes_to_others() -> None:
    again = tuple(Outcome(place=0, repeat=k, state="complete", curve=((1.0, 0.5),)) for k in (1, 2))
    default = row(0, 0.9, 0.6, 0.5, seconds=2.0)
    given = {"mode": "seeds", "seconds": 100.0, "repeats": 2}
    assert engine(view(replace(default, repeats=again), used=6.0, **given)) == Start(2)
    assert engine(view(replace(default, repeats=again[:1], repeating=frozenset({2})), used=6.0, **given)) == Start(2)
    assert engine(view(replace(default, repeating=frozenset({1})), used=6.0, **given)) is None
    assert engine(view(replace(default, repeats=again), used=96.0, **given)) is None
    assert engine(view(replace(default, repeats=again), used=6.0, n_trials=1, **given)) is None


def test_where_the_default_fails_another_candidate_has_its_time() -> None:
    failed, given = row(0, state="failed"), {"mode": "seeds", "seconds": 10.0, "repeats": 2, "trial_seconds": 5.0}
    assert engine(view(failed, used=1.0, **given)) == Start(2)
    assert engine(view(failed, used=8.0, **given)) is None  # less than half of what one takes
    assert engine(view(failed, row(1, 0.9, 0.6, 0.5, seconds=2.0), used=4.0, **given)) == Repeat(1, 1)


def test_workers_without_work_train_the_default_with_other_seeds_beside_it() -> None:
    begun = replace(row(0), outcome=None, busy=True)
    given = {"mode": "seeds", "seconds": 10.0, "used": 1.0, "repeats": 2}
    assert engine(view(begun, **given)) == Repeat(0, 1)  # type: ignore[arg-type]
    one = replace(begun, repeating=frozenset({1}))
    assert engine(view(one, **given)) == Repeat(0, 2)  # type: ignore[arg-type]
    assert (begun.running, one.running) == (1, 2)
    both = replace(begun, repeating=frozenset({1, 2}))
    assert engine(view(both, trial_seconds=9.0, **given)) == Start(2)  # type: ignore[arg-type]  # at least half of it
    late = {**given, "used": 5.5}
    assert engine(view(both, trial_seconds=9.0, **late)) is None  # type: ignore[arg-type]
    other = replace(row(1), outcome=None)
    assert engine(view(both, other, trial_seconds=9.0, **late)) == Continue(1, 2)  # type: ignore[arg-type]  # as it was
    early = replace(begun, repeats=(Outcome(place=0, repeat=1, state="complete", curve=((1.0, 0.5),)),))
    assert engine(view(early, **given)) is None  # type: ignore[arg-type]  # what came of it early leaves no time
    done = replace(row(0, 0.9, 0.6, 0.5, seconds=4.0), repeating=frozenset({1}))
    assert engine(view(done, **given)) is None  # type: ignore[arg-type]


def test_a_row_without_an_outcome_is_what_a_killed_process_left() -> None:
    rows = [row(0, 0.9, 0.6, 0.5), row(1)]
    assert engine(view(*rows)) == Continue(1, 0)
    assert engine(view(row(0))) == Continue(0, 2)


def test_one_rung_for_all_and_then_the_best() -> None:
    rows = [row(0, 0.9), row(1, 0.7), row(2, 0.8)]
    assert one_rung_then_best(view(*rows, seconds=100.0, used=49.0)) == Start(0)
    assert one_rung_then_best(view(*rows, seconds=100.0, used=51.0)) == Continue(1, 2)
    assert one_rung_then_best(view(*rows, n_trials=3)) == Continue(1, 2)
    assert one_rung_then_best(view(rows[0], row(1, 0.7, 0.5, 0.4), rows[2], n_trials=3)) is None


@pytest.mark.parametrize(("curve", "scores"), [([0.12, 0.4], [5, 6]), ([0.5], [5, 5]), ([1.0], [5, 5, 5]), ([], [])])
def test_a_rung_that_was_leapt_over_has_the_next_score(curve: list[float], scores: list[float]) -> None:
    points = tuple((share, float(5 + i)) for i, share in enumerate(curve))
    assert replace(row(0), outcome=Outcome(place=0, state="paused", curve=points)).scores(RUNGS) == tuple(scores)
