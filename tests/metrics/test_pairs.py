"""Pairs of features: every cell is listed, small ones are drawn to all, many comparisons find no more than chance."""

import numpy as np
import pytest

from pipeline.core.contracts import AuditFeature
from pipeline.core.settings import FairnessSettings
from pipeline.metrics.disparity import audit
from pipeline.metrics.pairs import pooled, with_pairs

SETTINGS = FairnessSettings(permutations=200)


def feature(name: str, *groups: str, role: str = "sensitive") -> AuditFeature:
    return AuditFeature(name=name, role=role, source="test", groups=groups)  # type: ignore[arg-type]


SEX, RACE = feature("sex", "f", "m"), feature("race", "a", "b", "c")


def test_every_cell_is_listed_even_the_empty_one() -> None:
    groups = {"sex": np.array(list("ffmm") * 25, object), "race": np.array(list("abab") * 25, object)}
    features, of, gone = with_pairs((SEX, RACE), groups)
    assert gone == ()
    assert [f.name for f in features] == ["sex", "race", "sex and race"]
    assert features[2].groups == ("f and a", "f and b", "f and c", "m and a", "m and b", "m and c")
    y = np.tile([0, 1, 1, 0], 25)
    record = audit(features, of, y, y, ["no", "yes"], SETTINGS, 1)
    cells = next(item for item in record.audits if item.feature == "sex and race" and item.metric == "accuracy")
    assert [gap.verdict for gap in cells.gaps].count("not_assessed") == 2
    assert [rate.rate.n for rate in cells.groups] == [25, 25, 0, 25, 25, 0]
    assert all(rate.pooled == pytest.approx(1) for rate in cells.groups)
    assert all(rate.pooled is None for rate in record.audits[0].groups)


def test_slices_are_not_crossed_and_what_is_left_out_is_named() -> None:
    many = feature("town", *(str(i) for i in range(60)))
    groups = {name: np.array(["x"], object) for name in ("sex", "town", "light")}
    groups |= {"sex": np.array(["f"], object), "town": np.array(["3"], object)}
    features, _, gone = with_pairs((SEX, many, feature("light", "x", role="slice")), groups)
    assert len(features) == 3
    assert gone == ("sex and town: 120 cells are more than 100; coarser groups can be compared",)
    three = with_pairs((SEX, RACE, feature("light", "x")), groups | {"race": np.array(["a"], object)})
    assert three[2] == ("three or more sensitive features at once: pairs are as far as cells stay large enough",)


def test_cells_that_differ_by_chance_alone_get_the_rate_of_all() -> None:
    assert pooled([50, 5, 0], [100, 10, 0]) == [0.5, 0.5, 0.5]
    assert pooled([0, 0], [0, 0]) == [None, None]
    apart = pooled([900, 100, 1], [1000, 1000, 1])
    assert apart[0] == pytest.approx(0.9, abs=0.01)
    assert apart[1] == pytest.approx(0.1, abs=0.01)
    assert apart[2] is not None
    assert 0.5 < apart[2] < 0.9  # one row says little


def test_all_rates_and_pairs_together_find_nothing_in_null_data() -> None:
    rng = np.random.default_rng(0)
    found = 0
    for seed in range(100):
        n = 800
        drawn = {"sex": ["f", "m"], "race": ["a", "b", "c"]}
        groups = {name: rng.choice(of, n).astype(object) for name, of in drawn.items()}
        y = (rng.random(n) < 0.4).astype(int)
        predicted = np.where(rng.random(n) < 0.8, y, 1 - y)
        features, every, _ = with_pairs((SEX, RACE), groups)
        record = audit(features, every, y, predicted, ["no", "yes"], FairnessSettings(permutations=1), seed)
        found += any(item.verdict == "disparity_found" for item in record.audits)
    assert found <= 8


def test_several_classes_have_rates_of_each() -> None:
    rng = np.random.default_rng(1)
    group = np.repeat(np.array(["f", "m"], object), 300)
    y = rng.integers(3, size=600)
    predicted = np.where((group == "f") & (y == 2), 0, y)
    record = audit((SEX,), {"sex": group}, y, predicted, ["red", "green", "blue"], SETTINGS, 1)
    of = {item.metric: item for item in record.audits}
    assert list(of)[1:4] == ["recall of red", "precision of red", "share predicted red"]
    assert of["recall of blue"].gaps[0].words.startswith("disadvantaged: lower than the rest by 1.000")
    assert of["precision of blue"].groups[0].rate.reason == "never_predicted"
    share = of["share predicted red"].gaps[0]
    assert share.verdict == "disparity_found"
    assert share.words.startswith("higher than the rest by 0.")  # nobody knows whether red is good
    assert of["recall of green"].verdict != "disparity_found"
