"""Who proposes: the first candidates stay near the default, later ones come from all arms."""

from pathlib import Path

import pytest

from pipeline.tuning.proposals import arm_shares, nearness
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
