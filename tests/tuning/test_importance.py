"""What mattered: a setting that makes the scores is found, one that does nothing is not, few trials say nothing."""

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from pipeline.core.contracts import Candidate, Optimizer
from pipeline.tuning.importance import LEAST, importances
from pipeline.tuning.jobs import Outcome
from pipeline.tuning.row import Row

RUNGS = (0.1, 1.0)
RANGES = {"kind": CategoricalDistribution(("a", "b")), "deep": FloatDistribution(0.0, 1.0),
          "idle": FloatDistribution(0.0, 1.0), "only b": FloatDistribution(0.0, 1.0)}  # fmt: skip


def rows(count: int) -> list[Row]:
    """Trials whose score is mostly `deep`, and in family b `only b` as well."""
    rng, found = np.random.default_rng(0), []
    for i in range(count):
        answers = {"kind": "b" if i % 3 == 0 else "a", "deep": rng.random(), "idle": rng.random()}
        if answers["kind"] == "b":
            answers["only b"] = rng.random()
        score = 4 * answers["deep"] + 8 * answers.get("only b", 0.5) + 0.01 * rng.random()
        outcome = Outcome(place=i, state="complete", curve=((0.1, 9.0), (1.0, score)))
        found.append(Row(place=i, origin="random", candidate=Candidate(architecture={}, optimizer=Optimizer()),
                         answers=answers, distributions={name: RANGES[name] for name in answers}, outcome=outcome,
                         over=True))  # fmt: skip
    return found


def test_what_makes_the_scores_comes_first_and_a_condition_is_kept() -> None:
    found = importances(rows(90), RUNGS, 7)
    assert (found.trials, found.budget, found.reason) == (90, 1.0, "")
    by_name = {setting.name: setting for setting in found.settings}
    assert (by_name["only b"].trials, by_name["only b"].of_trials) == (30, pytest.approx(1 / 3))
    share = {name: setting.share or 0.0 for name, setting in by_name.items()}
    assert share["deep"] > 0.25
    assert share["only b"] > 0.5
    assert share["idle"] < 0.1
    assert importances(rows(90), RUNGS, 7) == found


def test_few_trials_say_nothing() -> None:
    found = importances(rows(LEAST - 1), RUNGS, 7)
    assert found.settings == ()
    assert found.reason == "insufficient evidence: 19 trials have a score, and no rung was reached by 20"
    rare = {setting.name: setting.share for setting in importances(rows(45), RUNGS, 7).settings}
    assert rare["only b"] is None  # 15 trials have it
    assert rare["deep"] is not None
