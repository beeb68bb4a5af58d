"""Who proposes: the first candidates stay near the default, later ones come from all arms."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.space import PriorChooser, parse, sample
from pipeline.tuning.chooser import Noted
from pipeline.tuning.proposals import arm_shares, families, nearness
from tests.tuning.test_decisions import RUNGS, row
from tests.tuning.test_search import problem, run, search_in

WIDE = {
    "architecture": {"cnn": {"width": {"choice": [4, 8, 16, 32], "default": 8},
                     "dropout": {"float": [0.0, 0.5], "default": 0.1}}},
    "optimizer": {"lr": {"float": [1e-4, 1e-1], "log": True, "default": 1e-2},
                  "weight_decay": {"float": [1e-5, 1e-1], "log": True, "default": 1e-3}},
}  # fmt: skip


@pytest.mark.parametrize("sampled", [0, 7, 30, 500])
def test_shares_add_up(sampled: int) -> None:
    assert sum(arm_shares(sampled, has_scores=True).values()) == pytest.approx(1)
    assert sum(arm_shares(sampled, has_scores=False).values()) == pytest.approx(1)
    assert sum(nearness(sampled).values()) == pytest.approx(1)
    assert min(nearness(sampled).values()) > 0


def test_the_first_draws_are_near_and_none_is_blind() -> None:
    assert arm_shares(0, has_scores=False)["random"] == 0
    assert arm_shares(30, has_scores=True)["random"] > 0
    assert nearness(0)["high"] > 0.5 > nearness(30)["high"]


def test_the_default_is_changed_as_soon_as_it_is_trained(tmp_path: Path) -> None:
    seeds = range(12)
    origins = []
    for seed in seeds:
        chosen = problem(n_trials=2, epochs=1)
        search = search_in(
            tmp_path / str(seed), WIDE, chosen=type(chosen)(chosen.data, chosen.settings, chosen.trainer, seed)
        )
        first, second = search.table.rows
        origins.append(second.origin)
        if second.origin == "mutation":
            changed = {name for name in first.answers if first.answers[name] != second.answers[name]}
            assert 1 <= len(changed) <= 3
    assert set(origins) == {"prior", "mutation"}


def test_a_small_space_is_tried_in_full(tmp_path: Path) -> None:
    tree = {"architecture": {"cnn": {"width": {"choice": [4, 8, 12, 16], "default": 8}}},
            "optimizer": {"lr": {"choice": [0.01, 0.003], "default": 0.01}}}  # fmt: skip
    record = run(tmp_path, tree, n_trials=40, epochs=1)
    assert len(record.trials) == 8
    assert len({str(t.candidate) for t in record.trials}) == 8


def test_families_that_came_furthest_lead_and_of_these_the_best() -> None:
    """On made-up rows: a family that came to its end leads over one with a lower score at the first rung."""
    rows = [
        row(0, 0.9, 0.6, 0.5, answers={"architecture.kind": "mlp"}),
        row(1, 0.8, 0.5, 0.4, answers={"architecture.kind": "table_resnet"}),
        row(2, 0.1, answers={"architecture.kind": "cnn"}),
        row(3, 0.7, 0.55, answers={"architecture.kind": "rnn"}),
        row(4, state="failed", answers={"architecture.kind": "tabm"}),
        row(5, 0.9, 0.6, 0.6, answers={"architecture.kind": "table_resnet"}),
    ]
    assert families(rows, RUNGS) == ["table_resnet", "mlp", "rnn", "cnn"]
    assert families([], RUNGS) == []
    assert families([row(0, 0.9)], RUNGS) == []  # a space with one family does not ask


def test_who_breaks_a_bound_lifts_no_family() -> None:
    heavy = row(1, 0.8, 0.5, 0.1, gauged={"parameters": (2e6, 1e6)}, answers={"architecture.kind": "tabm"})
    kept = row(0, 0.9, answers={"architecture.kind": "mlp"})
    assert heavy.excess > 0
    assert families([heavy, kept], RUNGS) == ["mlp", "tabm"]


def test_draws_stay_around_the_defaults_of_the_family_given() -> None:
    tree = {"architecture": {"default": "cnn",
                             "cnn": {"width": {"choice": [4, 8, 16, 32], "default": 8}},
                             "resnet": {"width": {"choice": [4, 8, 16, 32], "default": 16}}}}  # fmt: skip
    space = parse(tree)
    drawn = [Noted(PriorChooser(np.random.default_rng(i), unsure="high", family="resnet")) for i in range(40)]
    for chooser in drawn:
        sample(space, chooser)
    assert {chooser.answers["architecture.kind"] for chooser in drawn} == {"resnet"}
    assert sum(chooser.answers["architecture.resnet.width"] == 16 for chooser in drawn) > 25


def test_a_declared_belief_in_a_family_is_kept() -> None:
    """A space that says how sure it is of its family is asked as before, whatever came furthest."""
    tree = {"architecture": {"default": "cnn", "prior": "high", "cnn": {"width": 8}, "resnet": {"width": 16}}}
    space = parse(tree)
    drawn = [Noted(PriorChooser(np.random.default_rng(i), family="resnet")) for i in range(40)]
    for chooser in drawn:
        sample(space, chooser)
    assert sum(chooser.answers["architecture.kind"] == "cnn" for chooser in drawn) > 25
