"""Speed and accuracy: the single network beside the ensemble, on the same rows."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.contracts import Number, Scores
from pipeline.evaluate import flat_metrics, parts_words, shown
from pipeline.evaluation import ensemble, ensemble_verdict, judge_for, mixed_ensemble, single_network, total
from pipeline.metrics.intervals import proportion
from tests.evaluation.test_judges import NO_ROWS, SETTINGS, X, problem
from tests.reporting.records import records

CARD, Y, P = problem("multiclass")
JUDGE = judge_for(CARD, SETTINGS, 7, Y, NO_ROWS, X)
MODEL, MEMBERS, MIXED = records().model, records().ensemble.members, records().ensemble.mixed


def blurred(share_wrong: float) -> np.ndarray:
    """Return predictions of which the first rows are wrong."""
    wrong = np.arange(len(Y)) < share_wrong * len(Y)
    return np.where(wrong[:, None], np.roll(P, 1, axis=1), P)


def test_the_ensemble_is_paired_with_the_single_network_and_costs_what_its_members_cost() -> None:
    p, q = blurred(0.3), blurred(0.1)
    single, several = single_network(MODEL, JUDGE.metrics(p, "")), ensemble(MEMBERS, JUDGE, p, q)
    assert (single.name, single.networks, single.parameters, single.multiply_adds) == ("single network", 1, 123, 456)
    assert (several.name, several.networks, several.parameters, several.multiply_adds) == ("ensemble", 2, 246, 912)
    assert (single.gain, single.verdict, several.simple) == (None, "handed on", ())
    assert single.metrics["accuracy"].value == pytest.approx(0.7)
    assert several.metrics["accuracy"].value == pytest.approx(0.9)
    assert several.gain is not None
    assert several.gain.value == pytest.approx(0.2)
    assert several.gain.ci_low is not None
    assert 0.1 < several.gain.ci_low < 0.2
    assert several.verdict == "better than the single network, if what it costs can be paid"
    assert ensemble(MEMBERS, JUDGE, q, p).verdict == "worse than the single network"
    assert ensemble(MEMBERS, JUDGE, q, q).verdict == "not shown to be better than the single network"


def test_a_mixed_ensemble_names_what_is_no_network_and_counts_its_networks_alone() -> None:
    assert MIXED is not None
    p, q = blurred(0.3), blurred(0.1)
    found = mixed_ensemble(MIXED.members, MIXED.chosen, JUDGE, p, q)
    assert (found.name, found.networks, found.parameters) == ("mixed ensemble", 1, 123)
    assert found.simple == (("gradient_boosting", 0.625),)
    assert found.gain == ensemble(MEMBERS, JUDGE, p, q).gain
    assert parts_words(found) == "1 network and gradient boosting (not a network, share 0.62)"
    trees = mixed_ensemble((), MIXED.chosen, JUDGE, p, q)
    assert (trees.networks, trees.parameters) == (0, 0)
    assert parts_words(trees) == "gradient boosting (not a network, share 0.62)"


def test_a_gain_without_an_interval_is_not_judged() -> None:
    gain = Number(value=None, n=3, reason="constant_target")
    assert ensemble_verdict(gain) == "not compared with the single network: constant target"
    assert ensemble_verdict(Number(value=0.5, n=3)) == "not compared with the single network: too few rows"


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    assert total([2, 3]) == 5
    assert total([2, None]) is None


def test_the_ensemble_stands_among_the_flat_metrics() -> None:
    scores: Scores = records().scores
    flat = flat_metrics(scores)
    assert flat["ensemble_accuracy"] == scores.front[1].metrics["accuracy"].value
    assert flat["mixed_ensemble_accuracy"] == scores.front[2].metrics["accuracy"].value
    assert "single network_accuracy" not in flat
    undefined = replace(scores.front[1], metrics={"accuracy": Number(value=None, n=0, reason="no_rows")})
    assert "ensemble_accuracy" not in flat_metrics(replace(scores, front=(scores.front[0], undefined)))
    assert shown(proportion(1, 2)) == "0.5000"
