"""What a search says of itself: the line in a terminal, what is told of trials, phases, the summary, notes."""

import logging
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna_dashboard import get_note
from sqlalchemy import event

from pipeline.core.arms import arms_of
from pipeline.core.contracts import Candidate, Optimizer, SearchRecord, TrialRecord
from pipeline.space import parse
from pipeline.tuning import Search
from pipeline.tuning.clock import Clock, kept_phases
from pipeline.tuning.jobs import Outcome
from pipeline.tuning.live import Live, ended_words, phase_of
from pipeline.tuning.notes import name_objectives, save_note, study_note, trial_note
from pipeline.tuning.row import Row
from pipeline.tuning.standing import Standing, line_of, standing_of
from pipeline.tuning.study import together
from pipeline.tuning.summary import Spent, summary, training_seconds
from pipeline.tuning.table import Table
from pipeline.tuning.view import Continue, Repeat, Start, View
from tests.tuning.test_search import TINY, problem, run, search_in, study

CANDIDATE = Candidate(
    architecture={"kind": "cnn", "width": 16, "blocks": ({"kernel": 3, "dropout": 0.125},)},
    optimizer=Optimizer(kind="sgd", lr=0.03, flip=True),
)
DONE = Outcome(
    place=0, state="complete", curve=((0.3, 0.9), (1.0, 0.25)), quality=0.875, parameters=12_345, multiply_adds=67_890,
    passes=8.0, seconds=4.0,
)  # fmt: skip
FAILED = Outcome(place=0, state="failed", seconds=1.0, error="FloatingPointError: loss is not finite",
                 traceback="\n".join(f"line {i}" for i in range(40)))  # fmt: skip
STANDING = Standing(
    phase="search", candidates=412, used=257.0, left=643.0, score=0.0412, quality=0.98611, quality_name="accuracy",
    failures={"FloatingPointError": 2}, busy=2, workers=2,
)  # fmt: skip


def row(place: int, outcome: Outcome | None = DONE, **changes: Any) -> Row:
    found = replace(outcome, place=place) if outcome is not None else None
    over = found is not None and found.state != "paused"
    values: dict[str, Any] = {"origin": "mutation", "candidate": CANDIDATE, "answers": {}, "distributions": {}}
    return Row(place=place, outcome=found, **({"over": over} | values | changes))


def scored(score: float) -> Outcome:
    return replace(DONE, curve=((1.0, score),))


def test_a_wide_line_says_all_there_is() -> None:
    assert line_of(STANDING) == (
        "search · 412 candidates, 96/min · best 0.0412, accuracy 0.9861 on validation · "
        "2 failed: FloatingPointError · 2 of 2 workers busy · 10:43 left"
    )
    alone = replace(STANDING, candidates=1, used=30.4, left=None, most=9, score=None, failures={}, busy=1, workers=1)
    assert line_of(alone) == "search · 1 of 9 candidates, 2.0/min · 1 of 1 worker busy · 0:30 gone"


def test_a_line_fits_and_keeps_phase_and_best_and_time_where_they_fit() -> None:
    for width in range(20, 200):
        text = line_of(STANDING, width)
        assert len(text) <= width
        assert text.startswith("search · 412")
        if width > 61:
            assert "0.0412, accuracy 0.986" in text
            assert text.endswith("10:43 left")


def test_eighty_columns_hold_every_number() -> None:
    text = line_of(STANDING, 79)
    assert text == "search · 412 tried, 96/min · val 0.0412, accuracy 0.986 · 2 failed · 10:43 left"


def test_classes_of_failure_are_counted() -> None:
    failures = {"WorkerDied": 1, "FloatingPointError": 3}
    assert "4 failed: 3 FloatingPointError, 1 WorkerDied" in line_of(replace(STANDING, failures=failures))


def test_where_a_search_stands_is_read_off_its_rows(tmp_path: Path) -> None:
    rows = [row(0), row(1, scored(0.1)), row(2, FAILED), row(3, None, busy=True), row(4, replace(DONE, state="paused"))]
    found = standing_of(rows, Clock(study(tmp_path)), 3, problem(seconds=100.0))
    assert (found.candidates, found.busy, found.workers, found.failures) == (5, 1, 3, {"FloatingPointError": 1})
    assert (found.score, found.quality, found.quality_name, found.most) == (0.1, 0.875, "accuracy", None)
    assert found.left == pytest.approx(100.0, abs=5.0)
    without = standing_of([], Clock(study(tmp_path)), 0, problem(n_trials=7))
    assert (without.score, without.left, without.most, without.workers) == (None, None, 7, 1)


@pytest.mark.parametrize(
    ("rows", "used", "decision", "phase"),
    [
        ([], 0.0, Start(2), "default"),
        ([row(0, None, busy=True)], 1.0, Start(0), "default"),
        ([row(0)], 10.0, Start(0), "search"),
        ([row(0), row(1)], 10.0, Continue(1, 1), "search"),
        ([row(0), row(1)], 80.0, Continue(1, 1), "finish"),
        ([row(0, replace(DONE, state="paused"))], 80.0, Continue(0, 1), "default"),
        ([row(0), row(1)], 80.0, Repeat(0, 1), "confirm"),
        ([row(place) for place in range(9)], 10.0, Continue(1, 1), "finish"),
    ],
)
def test_phases_follow_decisions(rows: list[Row], used: float, decision: Any, phase: str) -> None:
    view = View(rows=rows, rungs=(0.1, 0.3, 1.0), n_trials=9, eta=3, seed=0, repeats=1, seconds=100.0, used=used)
    assert phase_of(view, decision) == phase


def test_seconds_of_phases_add_up_over_restarts(tmp_path: Path) -> None:
    first = Clock(study(tmp_path))
    first.enter("default")
    first.enter("search")
    first.keep()
    kept = dict(kept_phases(study(tmp_path)))
    assert list(kept) == ["start", "default", "search"]
    second = Clock(study(tmp_path))
    second.enter("finish")
    assert [name for name, _ in second.phases] == ["start", "default", "search", "finish"]
    assert second.used >= sum(kept.values())
    assert sum(seconds for _, seconds in second.phases) == pytest.approx(second.used, abs=0.1)
    assert second.moment(second.used + 5.0) > second.moment(second.used)


@pytest.mark.parametrize(
    ("place", "outcome", "words"),
    [
        (1, scored(0.1), "trial 1 (cnn, mutation): 0.1000, accuracy 0.8750 on validation · best so far"),
        (1, scored(0.3), "trial 1 (cnn, mutation): 0.3000, accuracy 0.8750 on validation · best 0.2500 (trial 0)"),
        (0, replace(DONE, repeat=2),
         "trial 0 (cnn, mutation) again with seed 2: 0.2500, accuracy 0.8750 on validation · best 0.2500 (trial 0)"),
        (1, FAILED, "trial 1 (cnn, mutation) failed: FloatingPointError: loss is not finite"),
        (1, replace(DONE, state="paused"), None),
        (1, replace(DONE, state="stopped", curve=()), "trial 1 (cnn, mutation) had no time left"),
        (1, replace(DONE, state="stopped", curve=((0.43, 0.5),)),
         "trial 1 (cnn, mutation): 0.5000, accuracy 0.8750 on validation, out of time at 43 % of its budget"
         " · best 0.2500 (trial 0)"),
    ],
)  # fmt: skip
def test_what_came_of_a_job_is_told_in_words(place: int, outcome: Outcome, words: str | None) -> None:
    rows = [row(0), row(1, None)]
    if not outcome.repeat:
        rows[place] = row(place, outcome)
    assert ended_words(rows[place], replace(outcome, place=place), rows, "accuracy") == words


def test_a_trial_above_a_bound_is_best_only_where_none_keeps_it(tmp_path: Path) -> None:
    heavy = row(0, scored(0.1), gauged={"parameters": (3000.0, 2000.0)})
    clock = Clock(study(tmp_path))
    alone = standing_of([heavy], clock, 1, problem())
    assert "best 0.1000, accuracy 0.8750 on validation, above a bound" in line_of(alone)
    light = row(1, scored(0.2), gauged={"parameters": (1000.0, 2000.0)})
    both = standing_of([heavy, light], clock, 1, problem())
    assert "best 0.2000, accuracy 0.8750 on validation ·" in line_of(both)
    assert str(ended_words(heavy, scored(0.1), [heavy, light], "accuracy")).endswith("best 0.2000 (trial 1)")
    default, prior = arms_of([record(0, origin="default", amounts={"parameters": (9.0, 2.0)}), record(1)])
    assert (default.best, prior.best) == (None, 0.5)


def test_many_short_trials_are_told_together_but_news_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [100.0]
    monkeypatch.setattr("pipeline.tuning.live.time.monotonic", lambda: now[0])
    caplog.set_level(logging.INFO, "pipeline.search")
    chosen = problem(seconds=60.0)
    table = Table(study(tmp_path), "multiclass")
    live = Live(chosen, table, Clock(table.study))

    def ends(outcome: Outcome) -> None:
        table.rows.append(row(len(table.rows), outcome))
        live.ended(table.rows[-1], outcome)

    ends(scored(0.5))
    for _ in range(20):
        ends(scored(0.6))
        ends(replace(DONE, state="paused"))
    assert len(caplog.messages) == 1
    ends(scored(0.4))
    ends(FAILED)
    ends(FAILED)
    assert len(caplog.messages) == 3
    assert caplog.messages[1].endswith("best so far · 20 more ended")
    assert "failed: FloatingPointError" in caplog.messages[2]
    now[0] += 2.0
    ends(scored(0.7))
    assert caplog.messages[3].endswith("1 more ended")
    now[0] += 30.0
    live.tick()
    live.tick()
    assert len(caplog.messages) == 5
    assert caplog.messages[4].startswith(f"start · {len(table.rows)} candidates")


def test_a_terminal_has_one_line_and_logs_start_on_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    handler = logging.StreamHandler(sys.stdout)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        table = Table(study(tmp_path), "multiclass")
        with Live(problem(), table, Clock(table.study)) as live:
            live.tick(now=True)
            root.warning("from somewhere else")
            assert handler.filters
        assert not handler.filters
    finally:
        root.removeHandler(handler)
    shown = capsys.readouterr().out
    wiped, line = "\r\x1b[K", r"start · 0 of 5 candidates, 0.0/min · 0 of 1 worker busy · \d:\d\d gone"
    pieces = shown.split(wiped)
    assert len(pieces) == 5
    assert all(re.fullmatch(line, piece) for piece in pieces[1:3])
    assert (pieces[0], pieces[3], pieces[4]) == ("", "from somewhere else\n", "")


def record(number: int, **changes: Any) -> TrialRecord:
    values: dict[str, Any] = {
        "state": "complete", "score": 0.5, "quality": 0.8, "origin": "prior", "candidate": CANDIDATE, "parameters": 12,
        "epochs": 1.0, "seconds": 2.0, "curve": ((0.3, 0.7), (1.0, 0.5)),
    }  # fmt: skip
    return TrialRecord(number=number, **(values | changes))


TRIALS = (
    record(0, origin="default", score=0.4),
    record(1, score=0.3),
    record(2, state="pruned", curve=((0.3, 0.1),), score=0.1),
    record(3, state="failed", score=None, quality=None, curve=(), error="WorkerDied: exit code 3"),
    record(4, origin="default", state="pruned"),
)


def test_arms_count_what_each_way_of_proposing_brought() -> None:
    default, prior = arms_of(TRIALS)
    assert (default.origin, default.trials, default.promoted, default.complete, default.best) == (
        "default",
        2,
        2,
        1,
        0.4,
    )
    assert (prior.origin, prior.trials, prior.promoted, prior.complete, prior.failed, prior.best) == (
        "prior", 3, 1, 1, 1, 0.3,
    )  # fmt: skip
    assert arms_of(()) == ()


def test_the_summary_says_where_trials_and_seconds_and_scores_came_from() -> None:
    found = SearchRecord(study="s", storage="db", metric="log_loss", trials=TRIALS, best=1, seconds=10.0,
                         phases=(("default", 4.0), ("search", 6.0)))  # fmt: skip
    assert list(summary(found, "accuracy", Spent(wall=10.0, workers=2, training=15.0))) == [
        "5 trials: 2 trained to their end, 2 stopped early, 1 failed (WorkerDied)",
        "  proposed by   trials  promoted  to the end  best score",
        "  default            2         2           1      0.4000",
        "  prior              3         1           1      0.3000",
        "  10.0 s: default 4.0 s, search 6.0 s",
        "  energy: not measured",
        "  25.0 % of the time of 2 workers went elsewhere than into training and scoring",
        "  trial 1    0.3000  accuracy 0.8000  (cnn, prior, 12 weights)",
        "  trial 0    0.4000  accuracy 0.8000  (cnn, default, 12 weights)",
    ]
    measured = summary(replace(found, energy_wh=0.12345, energy_of="GPU and CPU"), "accuracy", None)
    assert "  energy: 0.1235 Wh (GPU and CPU)" in list(measured)
    assert not any("elsewhere" in line for line in summary(replace(found, phases=()), "accuracy", None))


def test_repeats_and_failures_count_as_training() -> None:
    assert training_seconds([row(0, repeats=(DONE, FAILED)), row(1, FAILED), row(2, None)]) == 4.0 + 4.0 + 1.0 + 1.0


def test_a_note_says_what_a_trial_is_and_what_came_of_it() -> None:
    done = replace(DONE, reserve_score=0.28)
    assert trial_note(row(3, done, repeats=(replace(scored(0.27), repeat=1),)), "multiclass").splitlines() == [
        "**cnn** (origin: mutation)",
        "",
        "* architecture: width 16, blocks [kernel 3 dropout 0.125]",
        "* training: sgd, learning rate 0.03, batch size 64, flip True",
        "* 12,345 weights, 67,890 multiply-adds a row",
        "* 8 passes over the training rows in 4.0 s",
        "* log loss 0.2500, accuracy 0.8750 on validation",
        "* log loss 0.2800 on the reserve",
        "* again with fresh seeds: 0.2700",
    ]
    stopped = trial_note(row(3, replace(DONE, state="stopped", curve=((0.3, 0.9),))), "regression")
    assert "squared error 0.9000, R² 0.8750 on validation, stopped after 30 % of its budget" in stopped


def test_a_note_of_a_failure_ends_with_its_traceback() -> None:
    text = trial_note(row(3, FAILED), "multiclass")
    assert "**Failed: FloatingPointError: loss is not finite**" in text
    assert text.splitlines()[-12:] == [f"    line {i}" for i in range(28, 40)]
    endless = trial_note(row(3, replace(FAILED, traceback="x" * 5000 + "end")), "multiclass")
    assert len(endless) <= 2045
    assert endless.endswith("end")


def test_notes_and_the_name_of_the_score_are_where_the_dashboard_looks(tmp_path: Path) -> None:
    search = search_in(tmp_path, n_trials=2)
    shown = study(tmp_path)
    assert shown.metric_names == ["log loss on validation"]
    for trial, known in zip(shown.trials, search.table.rows, strict=True):
        assert get_note(optuna.trial.Trial(shown, trial._trial_id)) == trial_note(known, "multiclass")
        assert trial.user_attrs["origin"] == "default"
        assert not {"outcome", "candidate", "skipped"} & set(trial.user_attrs)
    record = search.export("db")
    lines = search.summary(record)
    note = get_note(shown)
    assert note == study_note(record, lines)
    assert note.startswith(f"**Handed on: trial {record.trials[record.best].number}** (")
    assert note.endswith("\n\n" + "\n".join(f"    {line}" for line in lines))
    told = study_note(replace(record, notes=("trial 1 scored 0.2, trial 0 0.3", "b")), ["a"]).splitlines()
    assert told[1:] == ["", "* trial 1 scored 0.2, trial 0 0.3", "* b", "", "    a"]


def test_a_later_version_of_a_note_replaces_it(tmp_path: Path) -> None:
    found = study(tmp_path)
    save_note(found, None, "first")
    save_note(found, None, "second", version=2)
    assert get_note(found) == "second"
    name_objectives(found, "forecast")
    assert found.metric_names == ["squared error on validation"]


def commits_of(found: optuna.Study) -> list[int]:
    counted: list[int] = []
    event.listen(found._storage._backend.engine, "commit", lambda _: counted.append(1))
    return counted


def test_an_outcome_is_stored_in_one_commit_or_not_at_all(tmp_path: Path) -> None:
    search = Search(problem(), parse(TINY), study(tmp_path), tmp_path)
    search.table.add(row(0, None, origin="default"))
    search.table.note(DONE, search.problem.rungs)
    counted = commits_of(search.study)
    search._store()
    assert len(counted) == 1
    search.table.add(row(1, None, origin="default"))
    search.table.flush()

    def dies() -> None:
        with together(search.study):
            search.table.note(replace(DONE, place=1), search.problem.rungs)
            search.table.flush()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dies()
    again = Table(study(tmp_path), "multiclass").rows
    assert again[0].outcome == DONE
    assert again[1].outcome is None
    assert not again[1].over


def test_a_search_keeps_its_phases_in_the_record(tmp_path: Path) -> None:
    found = run(tmp_path, n_trials=4, repeats=1)
    assert [name for name, _ in found.phases] == ["start", "probe", "default", "search", "finish", "confirm"]
    assert run(tmp_path, n_trials=4, repeats=1) == found
