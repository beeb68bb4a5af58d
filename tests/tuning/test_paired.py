"""The default beside what would be handed on instead, row by row."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.contracts import AgainstDefault, TrialRecord
from pipeline.tuning import chosen_of
from pipeline.tuning.choice import choice_note, final_score
from pipeline.tuning.paired import LOSSES, Trained, keep_losses, losses_in, losses_table, row_by_row
from tests.training.test_fit import DATA, stripes
from tests.tuning.test_search import done, problem, search_in

RNG = np.random.default_rng(3)
ROWS = 400


def kept(folder: Path, number: int, *seeds: float, each: np.ndarray | None = None) -> None:
    """Keep losses with these means, on rows of which some are much harder than others."""
    hard = np.linspace(0, 4, ROWS) if each is None else each
    for seed, mean in enumerate(seeds):
        keep_losses(folder, number, seed, (hard - hard.mean() + mean).astype(np.float32))


def compared(default: Trained, trial: Trained, folder: Path) -> AgainstDefault | None:
    return row_by_row(default, trial, losses_in(folder, default, trial))


def test_what_is_hard_for_both_is_no_error_of_their_difference(tmp_path: Path) -> None:
    kept(tmp_path, 0, 0.50)
    noise = RNG.normal(0, 0.1, ROWS)
    kept(tmp_path, 4, 0.40, each=np.linspace(0, 4, ROWS) + noise)
    found = compared((0, (0,)), (4, (0,)), tmp_path)
    assert found is not None
    assert (found.default, found.trial, found.rows, found.seeds) == (0, 4, ROWS, ((0,), (0,)))
    assert found.difference == pytest.approx(0.10, abs=1e-6)
    assert found.standard_error == pytest.approx(noise.std(ddof=1) / ROWS**0.5, rel=1e-4)
    assert found.standard_error < 0.1 * np.linspace(0, 4, ROWS).std() / ROWS**0.5


def test_seeds_that_differ_widen_it(tmp_path: Path) -> None:
    kept(tmp_path, 0, 0.50, 0.52, 0.48)
    kept(tmp_path, 1, 0.40, 0.46)
    found = compared((0, (0, 1, 2)), (1, (0, 1)), tmp_path)
    assert found is not None
    assert found.difference == pytest.approx(0.07, abs=1e-6)
    assert found.standard_error == pytest.approx((0.02**2 / 3 + 0.06**2 / 2 / 2) ** 0.5, rel=1e-4)
    assert found.seeds == ((0, 1, 2), (0, 1))


def test_where_losses_of_a_seed_are_not_there_nothing_is_known(tmp_path: Path) -> None:
    kept(tmp_path, 0, 0.5, 0.6)
    kept(tmp_path, 1, 0.4)
    assert compared((0, (0, 1)), (1, (0,)), tmp_path) is not None
    assert compared((0, (0, 2)), (1, (0,)), tmp_path) is None
    (tmp_path / LOSSES / "trial-1.npy").write_bytes(b"half")
    assert compared((0, (0, 1)), (1, (0,)), tmp_path) is None
    kept(tmp_path, 1, 0.4, each=np.arange(7.0))
    assert compared((0, (0, 1)), (1, (0,)), tmp_path) is None


@pytest.mark.parametrize(("error", "chosen"), [(0.02, 1), (0.03, 1), (0.05, 0)])
def test_the_paired_error_decides_where_it_is_known(tmp_path: Path, error: float, chosen: int) -> None:
    one = done(tmp_path)
    first = replace(one, number=0, origin="default", score=0.44, standard_error=0.5)
    found = replace(one, number=1, origin="random", score=0.40, standard_error=0.5)
    told = (AgainstDefault(default=0, trial=1, difference=0.04, standard_error=error, rows=90, seeds=((0,), (0,))),)
    handed_on = chosen_of([first, found], against=told)
    assert handed_on is not None
    assert handed_on.number == chosen
    assert chosen_of([first, found]) is first
    if handed_on is first:
        assert choice_note(found, first, against=told) == (
            "trial 1 scored 0.4000, trial 0 0.4400; on the same 90 rows trial 1 is 0.0400 ± 0.0500 ahead: "
            "no more than a standard error apart, so the default was kept"
        )


def test_who_is_behind_the_default_on_validation_does_not_take_its_place(tmp_path: Path) -> None:
    one = replace(done(tmp_path), standard_error=0.0)
    first = replace(one, number=0, origin="default", score=0.44, reserve_score=0.50, repeats=((0.40, 0.50),))
    found = replace(one, number=1, origin="random", score=0.40, reserve_score=0.30, repeats=((0.46, 0.30),))
    told = (
        AgainstDefault(default=0, trial=1, difference=0.2, standard_error=0.05, rows=90, reserve_rows=30,
                       seeds=((0, 1), (0, 1))),
    )  # fmt: skip
    assert chosen_of([first, found], against=told) is first
    assert choice_note(found, first, against=told) == (
        "trial 1 scored 0.4000, trial 0 0.4400; on the same 90 rows trial 1 is 0.2000 ± 0.0500 ahead: "
        "but not on validation and reserve alike, so the default was kept"
    )
    ahead = replace(found, repeats=((0.42, 0.30),))
    assert chosen_of([first, ahead], against=told) is ahead


def test_defaults_of_other_families_compete_like_any_candidate(tmp_path: Path) -> None:
    one = replace(done(tmp_path), standard_error=0.0)
    scores = [(0.41, 0.50), (0.45, 0.47), (0.39, 0.45)]
    origins = ("default", "default", "tpe")
    trials = [replace(one, number=i, origin=origins[i], score=s, reserve_score=r) for i, (s, r) in enumerate(scores)]  # type: ignore[arg-type]
    told = tuple(
        AgainstDefault(default=i, trial=2, difference=d, standard_error=0.03, rows=90, seeds=((0,), (0,)))
        for i, d in ((0, 0.05), (1, 0.02))
    )
    assert chosen_of(trials, against=told) is trials[2]


def test_a_default_that_leads_on_the_reserve_is_said_to(tmp_path: Path) -> None:
    one = replace(done(tmp_path), standard_error=0.0)
    first = replace(one, number=0, origin="default", score=0.44, reserve_score=0.30)
    found = replace(one, number=1, origin="random", score=0.40, reserve_score=0.35)
    assert chosen_of([first, found]) is first
    assert choice_note(found, first) == (
        "trial 1 scored 0.4000, trial 0 0.4400; on the reserve 0.3500 and 0.3000, which decided"
    )


def mean_of(trial: TrialRecord, part: int) -> float:
    """Return the mean over seeds of the score on validation (0) or the reserve (1)."""
    assert trial.score is not None
    assert trial.reserve_score is not None
    pairs = [(trial.score, trial.reserve_score), *trial.repeats]
    return sum(pair[part] or 0.0 for pair in pairs) / len(pairs)


def test_all_held_out_rows_tell_what_the_reserve_alone_cannot(tmp_path: Path) -> None:
    """On the reserve within the error of the scores; on all rows ahead by more than that of the difference."""
    one = replace(done(tmp_path), standard_error=0.05)
    first = replace(one, number=0, origin="default", score=0.44, reserve_score=0.42)
    found = replace(one, number=1, origin="random", score=0.40, reserve_score=0.40)
    told = AgainstDefault(default=0, trial=1, difference=0.033, standard_error=0.02, rows=90, reserve_rows=30,
                          seeds=((0,), (0,)))  # fmt: skip
    assert chosen_of([first, found], against=(told,)) is found
    assert chosen_of([first, found], against=(replace(told, difference=0.019),)) is first
    assert chosen_of([first, found]) is first
    leads_there = replace(found, reserve_score=0.43)  # and so the default leads by what decides
    assert chosen_of([first, leads_there], against=(told,)) is first


def test_a_search_compares_its_defaults_with_the_best_on_the_reserve(tmp_path: Path) -> None:
    spare = replace(problem(n_trials=9, repeats=1), data=replace(DATA, reserve=stripes(60, 5)))
    search = search_in(tmp_path, chosen=spare)
    record = search.export("db")
    complete = {t.number: t for t in record.trials if t.state == "complete"}
    assert record.against_default
    for one in record.against_default:
        default, trial = complete[one.default], complete[one.trial]
        assert default.origin == "default"
        assert (one.rows, one.reserve_rows) == (len(DATA.val.y) + 60, 60)
        assert [len(seeds) for seeds in one.seeds] == [1 + len(default.repeats), 1 + len(trial.repeats)]
        apart = [mean_of(default, i) - mean_of(trial, i) for i in (0, 1)]
        share = 60 / one.rows
        pooled = (1 - share) * apart[0] + share * apart[1]
        assert record.reserve_share == share
        assert pooled == pytest.approx(final_score(default, share) - final_score(trial, share), abs=1e-6)
        assert one.difference == pytest.approx(pooled, abs=1e-6)
        assert one.standard_error >= 0
    assert search_in(tmp_path / "bare", n_trials=9).export("db").against_default == ()  # no row but those that chose
    chosen = chosen_of(record.trials, against=record.against_default, share=record.reserve_share)
    assert chosen is not None
    assert record.best == chosen.number
    table = losses_table(record.against_default, search.folder)
    again = {str(name): column.to_numpy() for name, column in table.items()}
    found = [
        row_by_row((one.default, one.seeds[0]), (one.trial, one.seeds[1]), again, one.reserve_rows)
        for one in record.against_default
    ]
    assert found == list(record.against_default)


def test_who_leads_is_decided_on_all_held_out_rows(tmp_path: Path) -> None:
    """Who is best on the reserve alone, a third of the rows, is not best on all; who was trained again leads."""
    one = replace(done(tmp_path), origin="random", standard_error=0.0)
    steady = replace(one, number=0, score=0.40, reserve_score=0.42)
    lucky = replace(one, number=1, score=0.46, reserve_score=0.40)
    assert chosen_of([steady, lucky], share=1 / 3) is steady
    assert chosen_of([steady, lucky]) is lucky
    many = [replace(one, number=10 + i, score=0.39, reserve_score=0.60) for i in range(6)]  # ahead on validation alone
    again = replace(lucky, repeats=((0.41, 0.41),))
    assert chosen_of([*many, again], share=1 / 3) is again
    assert choice_note(many[0], again, share=1 / 3) == (
        "trial 10 scored 0.3900, trial 1 0.4600; on validation and reserve, over fresh seeds, 0.4600 and 0.4250, "
        "which decided"
    )
