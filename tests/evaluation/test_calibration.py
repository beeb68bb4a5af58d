"""Promises on test rows: kept, broken or impossible; thresholds declared, chosen or refused; temperature undone."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.contracts import HeldOut, Target
from pipeline.core.errors import ConfigError
from pipeline.evaluation import conformal, cut_of, forecast_conformal, judge_for, tempering, threshold
from pipeline.metrics.conformal import (
    label_sets,
    sorted_columns,
    strangeness_of_classes,
    strangeness_of_labels,
    strangeness_of_values,
)
from tests.evaluation.test_judges import INPUTS, NO_ROWS, SETTINGS, X, card

RNG = np.random.default_rng(6)
TWO = card(task="binary", classes=("no", "yes"), rows={"val": 80})
NUMBERS = card(
    task="regression", classes=(), targets=(Target(name="u", mean=0, std=2.0), Target(name="v", mean=0, std=1.0))
)


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return classes of three and honest probabilities of them."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(3), n)
    return (np.cumsum(p, axis=1) > rng.random((n, 1))).argmax(axis=1), p


def held_out(rows: int, **changes: object) -> HeldOut:
    return replace(HeldOut(split="reserve", rows=rows), **changes)  # type: ignore[arg-type]


def test_sets_of_honest_rows_keep_their_promise_and_those_of_other_rows_do_not() -> None:
    y, p = drawn(300, 0)
    strange = sorted_columns(strangeness_of_classes(y, p))
    new_y, new_p = drawn(1000, 1)
    found = conformal(card(), SETTINGS, held_out(300), strange, new_y, new_p)
    assert found is not None
    assert (found.kind, found.split, found.rows, found.verdict) == ("sets", "reserve", 300, "kept")
    assert found.coverage.value == pytest.approx(0.9, abs=0.04)
    assert found.coverage.ci_method == "Wilson"
    assert found.expected.value == pytest.approx(271 / 301)
    assert found.size.value is not None
    assert 1 < found.size.value < 3
    assert [part.name for part in found.parts] == ["a", "b", "c"]
    assert sum(part.coverage.n for part in found.parts) == 1000
    other = conformal(card(), SETTINGS, held_out(300), strange, (new_y + 1) % 3, new_p)
    assert other is not None
    assert other.verdict == "not kept"


def test_too_few_rows_promise_nothing_and_say_how_many_would() -> None:
    y, p = drawn(9, 0)
    found = conformal(card(), SETTINGS, held_out(9), sorted_columns(strangeness_of_classes(y, p)), *drawn(50, 1))
    assert found is not None
    assert (found.verdict, found.coverage.value, found.size.value) == ("insufficient_evidence", None, None)
    assert found.coverage.reason == "insufficient_evidence"
    assert found.notes[0] == "9 reserve rows cannot promise 0.9: at least 10 are needed"


def test_intervals_are_promised_target_by_target() -> None:
    errors = RNG.normal(size=(400, 2)) * [2.0, 1.0]
    strange = sorted_columns(strangeness_of_values(errors[:200], np.zeros((200, 2))))
    found = conformal(NUMBERS, SETTINGS, held_out(200), strange, errors[200:], np.zeros((200, 2)))
    assert found is not None
    assert (found.kind, found.verdict, found.size.unit) == ("intervals", "kept", "training standard deviations")
    assert found.size.value == pytest.approx(2 * 1.645, rel=0.15)
    u, v = found.parts
    assert (u.name, u.size.unit) == ("u", "target")
    assert u.size.value == pytest.approx(4 * 1.645, rel=0.2)
    assert v.coverage.value == (np.abs(errors[200:, 1]) <= (v.size.value or 0) / 2).mean()
    wider = conformal(NUMBERS, SETTINGS, held_out(200), strange, errors[200:] * [1, 3], np.zeros((200, 2)))
    assert wider is not None
    assert wider.verdict == "not kept"


def test_sets_of_labels_promise_all_true_ones() -> None:
    def labels(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        p = rng.beta(0.6, 0.9, (n, 3))
        return (rng.random((n, 3)) < p).astype(int), p

    y, p = labels(300, 0)
    strange = sorted_columns(strangeness_of_labels(y, p))
    new_y, new_p = labels(1000, 1)
    several = card(task="multilabel")
    found = conformal(several, SETTINGS, held_out(300), strange, new_y, new_p)
    assert found is not None
    assert (found.kind, found.verdict) == ("sets", "kept")
    kept = label_sets(new_p, float(strange[270, 0]))  # the 271st of 300, which is 301 · 0.9 rounded up
    assert found.coverage.value == (kept | (new_y == 0)).all(axis=1).mean()
    assert found.coverage.value == pytest.approx(0.9, abs=0.04)
    assert found.size.value == pytest.approx(kept.sum(axis=1).mean())
    first = found.parts[0]
    assert (first.name, first.coverage.n) == ("a", int(new_y[:, 0].sum()))
    assert first.coverage.value == kept[new_y[:, 0] == 1, 0].mean()
    other = conformal(several, SETTINGS, held_out(300), strange, 1 - new_y, new_p)
    assert other is not None
    assert other.verdict == "not kept"


def test_forecasts_have_a_limit_for_each_step_and_windows_in_runs() -> None:
    description = card(task="forecast", classes=(), inputs=INPUTS)  # 4 steps of 2 targets
    spread = np.repeat([1.0, 2.0, 3.0, 4.0], 2)
    y = RNG.normal(size=(600, 8)) * spread
    y[::7, 3] = np.nan
    strange = sorted_columns(strangeness_of_values(y[:300], np.zeros((300, 8))))
    outcome = y[300:], np.zeros((300, 8))
    found = forecast_conformal(description, SETTINGS, held_out(300), strange, outcome, 4, 7)
    assert found.verdict == "kept"
    assert found.coverage.value == pytest.approx(0.9, abs=0.03)
    assert found.coverage.ci_method == "block bootstrap, blocks of 4 rows, 100 draws"
    assert [part.name for part in found.parts] == ["1 ahead", "2 ahead", "3 ahead", "4 ahead"]
    assert [part.size.value for part in found.parts] == pytest.approx(2 * 1.645 * np.arange(1.0, 5), rel=0.15)
    assert found.expected.value is None
    late = forecast_conformal(description, SETTINGS, held_out(300), strange, (2 * y[300:], outcome[1]), 4, 7)
    assert late.verdict == "not kept"
    few = forecast_conformal(description, SETTINGS, held_out(5), strange[:5], outcome, 4, 7)
    assert few.verdict == "insufficient_evidence"


def two_classes(n: int) -> tuple[np.ndarray, np.ndarray]:
    y = (RNG.random(n) < 0.2).astype(int)
    second = 1 / (1 + np.exp(-(RNG.normal(size=n) + 2 * y - 2.5)))
    return y, np.stack([1 - second, second], axis=1)


def test_a_threshold_stands_beside_one_half_with_the_rows_it_was_chosen_on() -> None:
    y, p = two_classes(500)
    chosen = held_out(80, thresholds={"balanced_accuracy": 0.25, "f1": 0.375}, threshold_rows=160)
    auto = replace(SETTINGS, threshold="auto")
    found = threshold(TWO, cut_of(TWO, auto, chosen), y, p, 0.95)
    assert found is not None
    assert (found.value, found.chosen_for, found.rows, found.positive) == (0.25, "balanced_accuracy", 160, "yes")
    claimed = p[:, 1] >= 0.25
    assert found.metrics["recall"].value == claimed[y == 1].mean()
    assert found.argmax["recall"].value == (p[:, 1] > 0.5)[y == 1].mean()
    assert cut_of(TWO, replace(auto, threshold_for="f1"), chosen).value == 0.375
    assert cut_of(TWO, replace(SETTINGS, threshold=0.1), chosen).rows is None
    plain = threshold(TWO, cut_of(TWO, replace(SETTINGS, threshold=0.5), chosen), y, p, 0.95)
    assert plain is not None
    assert plain.metrics == plain.argmax
    assert threshold(card(), cut_of(card(), SETTINGS, chosen), *drawn(20, 0), 0.95) is None


def test_a_threshold_that_means_nothing_is_refused() -> None:
    with pytest.raises(ConfigError) as wrong:
        cut_of(card(), replace(SETTINGS, threshold=0.3), held_out(80))
    assert str(wrong.value) == (
        "evaluate.threshold: only two classes that exclude each other have one, this task is multiclass\n"
        "  fix: evaluate.threshold=0.5"
    )
    for wrong_value in ({"coverage": 1.0}, {"threshold": 0.0}):
        with pytest.raises(ValueError, match="must lie between 0 and 1"):
            replace(SETTINGS, **wrong_value)


def test_where_nothing_can_be_chosen_the_likelier_class_stays_and_two_classes_hear_why() -> None:
    auto = replace(SETTINGS, threshold="auto")
    assert cut_of(card(), auto, held_out(80)) == cut_of(card(), replace(SETTINGS, threshold=0.5), held_out(80))
    found = threshold(TWO, cut_of(TWO, auto, held_out(80)), *two_classes(50), 0.95)
    assert found is not None
    assert (found.value, found.chosen_for, found.rows) == (0.5, None, None)
    assert found.reason == "validation rows hold one class only, nothing can be chosen on them"
    assert found.metrics == found.argmax


def test_the_temperature_is_undone_and_judged_on_the_same_rows() -> None:
    y, p = drawn(400, 3)
    description = card(rows={"val": 80})
    judge = judge_for(description, SETTINGS, 7, y, NO_ROWS, X)
    sure = p**3 / (p**3).sum(axis=1, keepdims=True)
    found = tempering(description, judge, 3.0, y, p, 0.95)
    assert found is not None
    assert (found.temperature, found.rows, list(found.metrics)) == (3.0, 80, ["log_loss", "brier", "ece", "ece_null"])
    direct = judge.metrics(sure, "untempered")
    assert found.metrics["log_loss"].value == pytest.approx(direct["log_loss"].value)
    assert found.metrics["ece"].value == pytest.approx(direct["ece"].value)
    ours = judge.metrics(p, "")["ece"].value
    assert ours is not None
    assert (found.metrics["ece"].value or 0) > ours + 0.1
    assert len(found.reliability) == 15
    assert tempering(NUMBERS, judge, 1.0, y, p, 0.95) is None
