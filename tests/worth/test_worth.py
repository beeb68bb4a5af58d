"""Was the search worth it: sentences, prices, the winner's curse and another run's predictions, on known numbers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.core.contracts import BaselineScores, FullTraining, Number, SearchRecord, Target
from pipeline.core.errors import ConfigError
from pipeline.core.store import write_json
from pipeline.evaluation import judge_for
from pipeline.metrics.intervals import rate_gap
from pipeline.worth import Rivals, averaged, curse_of, default_scores, price, random_search, spread_of, worth_of
from pipeline.worth.curse import test_score as score_on_test
from pipeline.worth.trainings import Retrained
from tests.evaluation.test_judges import NO_ROWS, SETTINGS, X, problem
from tests.reporting.records import records

CARD, Y, P = problem("multiclass")
JUDGE = judge_for(CARD, SETTINGS, 7, Y, NO_ROWS, X)
MODEL, SEARCH = records().model, records().search


def gained(low: float, high: float) -> Number:
    return Number(value=(low + high) / 2, ci_low=low, ci_high=high, ci_level=0.95, ci_method="m", n=400)


def scored(name: str, gain: Number, accuracy: float = 0.5) -> BaselineScores:
    return BaselineScores(
        name=name, fitted_on="400 rows", metrics={"accuracy": Number(value=accuracy, n=400)}, gain=gain
    )


def training(number: int) -> FullTraining:
    return FullTraining(name=f"seed {number}", file=f"seed_{number}.safetensors", seed=number, val_score=0.5,
                        standard_error=0.01, val_quality=0.8, passes=2.0, seconds=3.0, weights_sha256="")  # fmt: skip


def blurred(share_wrong: float) -> np.ndarray:
    wrong = np.arange(len(Y)) < share_wrong * len(Y)
    return np.where(wrong[:, None], np.roll(P, 1, axis=1), P)


BETTER, WORSE, EQUAL = gained(0.02, 0.06), gained(-0.06, -0.02), gained(-0.02, 0.06)


@pytest.mark.parametrize(
    ("default", "baseline", "first", "second", "verdicts"),
    [
        (BETTER, BETTER, "The search paid on these rows", "The winner is better than the best simple model (ridge).",
         ("the winner is better", "the winner is better")),
        (WORSE, WORSE, "The search did harm on these rows", "A simple model (ridge) is better than the winner",
         ("the winner is worse", "the winner is worse")),
        (EQUAL, EQUAL, "The search is not shown to have gained anything",
         "The winner is not shown to be better than the best simple model (ridge).",
         ("not shown to differ", "not shown to differ")),
    ],
)  # fmt: skip
def test_the_sentences_say_what_the_intervals_show(
    default: Number, baseline: Number, first: str, second: str, verdicts: tuple[str, ...]
) -> None:
    simple = (scored("majority", BETTER, 0.1), scored("ridge", baseline, 0.9))
    rivals = Rivals(default=scored("default_candidate", default), baselines=simple, random=None)
    found = worth_of(rivals, replace(MODEL, default_trial=0), SEARCH, "accuracy")
    assert found.sentences[0].startswith(first)
    assert found.sentences[1].startswith(second)
    assert tuple(c.verdict for c in found.comparisons) == (*verdicts, "not measured in this run")
    assert [c.other for c in found.comparisons] == ["default candidate", "best simple model", "random search"]
    assert found.comparisons[1].what == "ridge, not a network, fitted on 400 rows"


def test_where_the_default_is_handed_on_nothing_was_gained_and_what_was_not_measured_is_said() -> None:
    rivals = Rivals(default=None, baselines=(), random=None)
    found = worth_of(rivals, replace(MODEL, no_default="the winner is the default"), SEARCH, "accuracy")
    assert found.sentences == ("The search gained nothing over the default: that is what it hands on.",)
    assert [c.verdict for c in found.comparisons] == [
        "the winner is the default", "no baseline was fitted", "not measured in this run"
    ]  # fmt: skip
    assert found.seconds_per_point.reason == "no default to compare with"
    assert (found.energy_wh.value, found.energy_wh.reason) == (None, "not measured")
    unknown = worth_of(rivals, replace(MODEL, no_default="train.default is false"), SEARCH, "accuracy")
    assert unknown.sentences == ("What the search gained over the default is not known: train.default is false.",)


def test_what_it_cost_is_counted() -> None:
    model = replace(MODEL, seeds=(training(1), training(2), training(3)), default=training(4))
    rivals = Rivals(default=scored("default_candidate", BETTER), baselines=(), random=(EQUAL, "60 trials"))
    found = worth_of(rivals, model, replace(SEARCH, energy_wh=0.5), "accuracy")
    assert found.search_seconds.value == sum(seconds for _, seconds in SEARCH.phases) == 4.75
    assert (found.other_seconds.value, found.other_seconds.n) == (9.0, 3)
    assert found.wh_per_point.value == pytest.approx(0.5 / 4)
    assert found.comparisons[2].what == "60 trials"
    older = replace(SEARCH, phases=())
    assert worth_of(rivals, model, older, "accuracy").search_seconds.value == older.seconds


def test_the_price_of_a_point_falls_with_the_gain() -> None:
    found = price(120.0, BETTER, "s")
    assert (found.value, found.ci_low, found.ci_high) == pytest.approx((30.0, 20.0, 60.0))
    assert price(120.0, EQUAL, "s").reason == price(120.0, WORSE, "s").reason == "nothing gained"
    assert price(None, BETTER, "Wh").reason == "not measured"


def test_seeds_are_told_apart_and_averaged_and_the_default_is_paired() -> None:
    p, q = blurred(0.3), blurred(0.1)
    found = Retrained(seeds=((training(1), p), (training(2), q), (training(3), blurred(0.2))), default=blurred(0.5))
    spread = spread_of(found, JUDGE, "accuracy", 0.95)
    assert spread is not None
    assert [score.headline.value for score in spread.scores] == pytest.approx([0.7, 0.9, 0.8])
    assert (spread.mean.value, spread.deviation.value, spread.lowest.value, spread.highest.value) == pytest.approx(
        (0.8, 0.1, 0.7, 0.9)
    )
    assert (spread.mean.n, spread.mean.ci_method) == (3, "t")
    (mean,) = averaged(found, MODEL, JUDGE, p)
    assert (mean.name, mean.networks, mean.parameters, mean.multiply_adds) == ("averaged seeds", 3, 369, 1368)
    assert mean.metrics["accuracy"].value == pytest.approx(0.8)  # from the third tenth of the rows on most are right
    assert mean.gain is not None
    assert mean.gain.value == pytest.approx(0.1)
    default = default_scores(found, JUDGE, p)
    assert default is not None
    assert (default.name, default.gain.value) == ("default_candidate", pytest.approx(0.2))
    alone = Retrained(seeds=found.seeds[:1], default=None)
    assert spread_of(alone, JUDGE, "accuracy", 0.95) is None
    assert (averaged(alone, MODEL, JUDGE, p), default_scores(alone, JUDGE, p)) == ((), None)


def test_the_curse_is_the_difference_of_two_rates_with_newcombe_s_interval() -> None:
    card = replace(CARD, rows={"train": 1000, "val": 200, "reserve": 100, "test": 400})
    winner = replace(SEARCH.trials[0], score=0.3, standard_error=0.02, quality=0.95, reserve_score=0.35,
                     repeats=((0.31, 0.36), (0.33, None)))  # fmt: skip
    search = replace(SEARCH, trials=(winner,))
    model = replace(MODEL, seeds=(training(1), training(2)))
    found = curse_of(card, search, model, JUDGE.metrics(blurred(0.2), ""), 0.95)
    wanted = rate_gap(190, 200, 320, 400)
    assert (found.optimism.value, found.optimism.ci_low, found.optimism.ci_high) == pytest.approx(
        (wanted.value, wanted.ci_low, wanted.ci_high)
    )
    assert found.optimism_of == "quality"
    assert (found.longer, found.words) == (False, "validation rows flatter the winner, by more than chance explains")
    own = rate_gap(160, 200, 320, 400)
    assert (found.own.value, found.own.ci_low) == pytest.approx((own.value, own.ci_low))
    short = replace(search, trials=(replace(winner, epochs=1.0),))
    longer = curse_of(card, short, model, JUDGE.metrics(blurred(0.2), ""), 0.95)
    assert (longer.longer, longer.optimism) == (True, found.optimism)
    assert longer.words == "validation rows are not shown to flatter the winner: the difference may be chance"
    assert [point.label for point in found.points] == [
        "search, validation", "search, reserve", "again 1, validation", "again 1, reserve", "again 2, validation",
        "trained, seed 1", "trained, seed 2", "test",
    ]  # fmt: skip
    first = found.points[0].score
    assert first is not None
    assert (first.ci_low, first.ci_high, first.n) == (pytest.approx(0.3 - 1.96 * 0.02, abs=1e-5),
                                                      pytest.approx(0.3 + 1.96 * 0.02, abs=1e-5), 200)  # fmt: skip
    even = curse_of(card, search, MODEL, JUDGE.metrics(blurred(0.05), ""), 0.95)
    assert even.words == "validation rows are not shown to flatter the winner: the difference may be chance"
    assert even.own.reason == "not measured on both"


def test_without_rates_the_curse_is_told_in_the_score() -> None:
    card, y, p = problem("regression")
    card = replace(card, rows={"val": 200})
    metrics = judge_for(card, SETTINGS, 7, y, NO_ROWS, X).metrics(p, "")
    squares = ((p - y) / [100.0, 1.4]) ** 2
    found = score_on_test(card, metrics)
    assert found is not None
    assert found.value == pytest.approx(squares.mean())
    winner = replace(SEARCH.trials[0], score=squares.mean() / 2, standard_error=squares.mean() / 50, quality=0.9)
    told = curse_of(card, replace(SEARCH, trials=(winner,)), MODEL, metrics, 0.95)
    assert told.optimism_of == "score"
    assert told.optimism.value == pytest.approx(squares.mean() / 2)
    assert told.words == "validation rows flatter the winner, by more than chance explains"
    one = replace(card, targets=(Target(name="u", mean=0.0, std=100.0),))
    alone = judge_for(one, SETTINGS, 7, y[:, :1], NO_ROWS, X).metrics(p[:, :1], "")
    found = score_on_test(one, alone)
    assert found is not None
    assert found.value == pytest.approx(squares[:, 0].mean())


def written(folder: Path, ids: Any, search: SearchRecord | None = SEARCH) -> Path:
    """Write what another run's evaluate and search leave."""
    path = folder / "evaluate" / "predictions.parquet"
    path.parent.mkdir(parents=True)
    pd.DataFrame({"row_id": ids} | JUDGE.table(P)).to_parquet(path)
    if search is not None:
        write_json(folder / "search" / "search.json", search)
    return path


IDS = np.array([f"row {i}" for i in range(len(Y))], dtype=object)
BLIND = replace(SEARCH, trials=tuple(replace(trial, origin="random") for trial in SEARCH.trials))


@pytest.mark.parametrize(
    ("search", "words"),
    [
        (BLIND, "2 trials in 5 s, against 2 in 5 s: equal compute"),
        (replace(BLIND, phases=(("search", 47.5),)), "2 trials in 48 s, against 2 in 5 s: not equal compute"),
        (SEARCH, "2 trials in 5 s, against 2 in 5 s; 2 of its trials were not drawn blindly"),
        (None, "its search record does not lie beside it, so nobody knows whether it had equal compute"),
    ],
)
def test_another_run_is_read_with_what_is_known_of_its_cost(
    tmp_path: Path, search: SearchRecord | None, words: str
) -> None:
    found = random_search(written(tmp_path, IDS, search), "multiclass", IDS, SEARCH)
    assert np.array_equal(found.p, P)
    assert found.words == words


def test_other_rows_and_other_files_are_refused(tmp_path: Path) -> None:
    fix = "\n  fix: predictions.parquet of a run on the same data and seed"
    path = written(tmp_path, IDS[::-1])
    for where, task, wrong in (
        (path, "multiclass", "other test rows than here"),
        (path, "regression", "not predictions ('no columns y_pred_0 …')"),
        (tmp_path / "nowhere", "multiclass", "not found"),
    ):
        with pytest.raises(ConfigError) as caught:
            random_search(where, task, IDS, SEARCH)  # type: ignore[arg-type]
        assert str(caught.value) == f"conf.evaluate.random_search: {where}: {wrong}{fix}"
