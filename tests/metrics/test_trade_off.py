"""What a smaller gap costs: thresholds by group that refuse who they do not know, fronts and moves with intervals."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.metrics.gaps import largest_gap
from pipeline.metrics.group_thresholds import decided, group_thresholds
from pipeline.metrics.trade_off import Way, trade_off


def planted(n: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.object_]]:
    """Positives of group b get lower scores than those of a, so one threshold finds fewer of them."""
    rng = np.random.default_rng(seed)
    group = rng.choice(["a", "b"], n, p=[0.7, 0.3]).astype(object)
    y = (rng.random(n) < 0.4).astype(np.int64)
    score = rng.normal(2.0 * y - 1.0 - 0.9 * (group == "b"))
    return y, 1 / (1 + np.exp(-score)), group


@pytest.mark.parametrize("gap", ["equalized_odds_gap", "demographic_parity_gap"])
def test_thresholds_of_other_rows_shrink_the_gap(gap: str) -> None:
    y, p, group = planted(4000, 0)
    found = group_thresholds(gap, y == 1, p, group)
    assert found is not None
    assert found["b"] < 0.5 < found["a"] + 0.1
    y, p, group = planted(4000, 1)
    before = largest_gap(gap, y, (p >= 0.5).astype(int), {"g": group}).value
    after = largest_gap(gap, y, decided(p, group, found, "g").astype(int), {"g": group}).value
    assert before is not None
    assert after is not None
    assert before > 0.12
    assert after < 0.4 * before
    assert decided(p[group == "a"], group[group == "a"], found, "g").mean() == (p[group == "a"] >= found["a"]).mean()


def test_names_of_groups_change_no_threshold() -> None:
    y, p, group = planted(1000, 2)
    found = group_thresholds("equalized_odds_gap", y == 1, p, group)
    other = group_thresholds("equalized_odds_gap", y == 1, p, np.where(group == "a", "z", "y").astype(object))
    assert found is not None
    assert other == {"y": found["b"], "z": found["a"]}


def test_a_group_with_few_rows_keeps_one_half_and_one_group_alone_has_none() -> None:
    y, p, group = planted(1000, 3)
    group[:20] = "c"
    found = group_thresholds("equalized_odds_gap", y == 1, p, group)
    assert found is not None
    assert found["c"] == 0.5
    assert group_thresholds("equalized_odds_gap", y == 1, p, np.full(1000, "a", object)) is None


def test_an_unseen_group_is_refused_by_name() -> None:
    with pytest.raises(DataError) as caught:
        decided(np.array([0.4, 0.6]), np.array(["a", "new"], object), {"a": 0.5}, "race")
    assert str(caught.value) == (
        "race: no threshold for 'new', which 1 rows have and those of fitting had not\n"
        "  fix: decide about these rows without thresholds by group"
    )


def ways(p: NDArray[np.float64], group: NDArray[np.object_], y: NDArray[np.int64]) -> dict[str, Way]:
    cuts = {"a": 0.5, "b": 0.3}
    rng = np.random.default_rng(5)
    return {
        "this network": Way(p >= 0.5),
        "by group": Way(decided(p, group, cuts, "g"), cuts),
        "dice": Way(rng.random(len(p)) < 0.4),
        "nobody": Way(np.zeros(len(p), bool)),
    }


def test_moves_go_to_the_front_and_say_their_price() -> None:
    y, p, group = planted(4000, 4)
    found = trade_off("equalized_odds_gap", "g", group, y, ways(p, group, y), np.random.default_rng(0))
    assert found is not None
    front = {d.name: d.front for d in found.decisions}
    assert front == {"this network": front["this network"], "by group": True, "dice": False, "nobody": True}
    moves = {move.end: move for move in found.moves}
    assert list(moves) == ["by group", "nobody"]
    nobody = moves["nobody"]
    first, last = found.decisions[0], found.decisions[3]
    assert nobody.error.value == pytest.approx((last.error.value or 0) - (first.error.value or 0))
    assert nobody.gap.value == pytest.approx(-(first.gap.value or 0))
    assert nobody.words.startswith("from this network to nobody: error +0.")
    assert nobody.words.endswith("; narrows the gap, costs accuracy")
    assert moves["by group"].gap.ci_high is not None
    assert moves["by group"].gap.ci_high < 0
    assert found.decisions[1].thresholds == {"a": 0.5, "b": 0.3}


def test_a_gap_that_is_noise_is_not_said_to_shrink() -> None:
    rng = np.random.default_rng(6)
    said = []
    for _ in range(40):
        group = rng.choice(["a", "b"], 600).astype(object)
        y = rng.integers(2, size=600)
        first, second = (np.where(rng.random(600) < 0.75, y, 1 - y) == 1 for _ in range(2))
        found = trade_off("equalized_odds_gap", "g", group, y, {"one": Way(first), "two": Way(second)}, rng)
        assert found is not None
        said += [move.words for move in found.moves]
    assert len(said) > 5
    assert sum("narrows" in words for words in said) <= 4


def test_without_two_large_groups_there_is_no_trade_off() -> None:
    y, p, _ = planted(200, 7)
    group = np.where(np.arange(200) < 10, "a", "b").astype(object)
    assert trade_off("equalized_odds_gap", "g", group, y, {"one": Way(p >= 0.5)}, np.random.default_rng(0)) is None


def test_to_decide_nobody_narrows_no_gap_that_is_not_shown() -> None:
    rng = np.random.default_rng(8)
    said = []
    for _ in range(60):
        group = rng.choice(["a", "b", "c"], 500).astype(object)
        y = rng.integers(2, size=500)
        first = np.where(rng.random(500) < 0.75, y, 1 - y) == 1
        found = trade_off("demographic_parity_gap", "g", group, y, {"one": Way(first), "none": Way(first & False)}, rng)
        assert found is not None
        said += [move.words for move in found.moves]
    assert len(said) > 50
    assert sum("narrows" in words for words in said) <= 6
