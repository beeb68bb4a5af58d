"""Probabilities by group: calibrated groups are not accused, and what is undefined has a reason."""

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import AuditFeature, GroupScores
from pipeline.core.settings import FairnessSettings
from pipeline.metrics.group_scores import group_scores


def scores(sizes: dict[str, int], y_of: dict[str, float | None], seed: int = 0) -> dict[str, GroupScores]:
    """`y_of`: share of positives whatever the probability; None: calibrated."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.array(list(sizes), object), list(sizes.values()))
    p1 = rng.uniform(0.05, 0.95, len(group))
    share = np.array([p if y_of[g] is None else y_of[g] for g, p in zip(group, p1, strict=True)], float)
    y = (rng.random(len(group)) < share).astype(np.int64)
    p: NDArray[np.float64] = np.stack([1 - p1, p1], axis=1)
    features = [AuditFeature(name=name, role=role, source="", groups=tuple(sizes))  # type: ignore[arg-type]
                for name, role in (("g", "sensitive"), ("light", "slice"))]  # fmt: skip
    found = group_scores(features, {"g": group, "light": group}, y, p, p > 0.2, FairnessSettings(), 1)
    assert {s.feature for s in found} == {"g"}
    return {s.group: s for s in found}


def test_a_small_calibrated_group_is_within_chance() -> None:
    hits, errors = 0, []
    for seed in range(20):
        small = scores({"many": 2000, "few": 40}, {"many": None, "few": None}, seed)["few"]
        assert small.ece.value is not None
        assert small.ece_null.ci_high is not None
        hits += small.ece.value <= small.ece_null.ci_high
        errors.append(small.ece.value)
    assert hits >= 18
    assert np.mean(errors) > 0.05  # what a report without the second number would call an error


def test_a_group_that_is_over_predicted_is_seen() -> None:
    found = scores({"a": 800, "b": 300}, {"a": None, "b": 0.2})
    assert found["b"].above is not None
    assert found["b"].above.ci_low is not None
    assert found["b"].above.ci_low > 0.15
    a = found["a"].above
    assert a is not None
    assert a.ci_low is not None
    assert a.ci_high is not None
    assert a.ci_low < 0 < a.ci_high
    assert found["b"].auroc is not None
    assert found["a"].auroc is not None
    assert (found["a"].auroc.value or 0) > 0.75 > (found["b"].auroc.value or 0)
    assert found["a"].roc[0] == (0.0, 0.0)
    assert found["a"].roc[-1] == (1.0, 1.0)
    assert [cut for cut, *_ in found["a"].by_threshold][:2] == [0.05, 0.1]
    assert found["a"].by_threshold[0][1:] >= found["a"].by_threshold[-1][1:]


def test_what_is_undefined_has_a_reason() -> None:
    found = scores({"a": 100, "none": 60, "five": 5, "empty": 0}, {"a": None, "none": 0.0, "five": None, "empty": None})
    none, five, empty = found["none"], found["five"], found["empty"]
    assert none.auroc is not None
    assert (none.auroc.value, none.auroc.reason) == (None, "fewer than 10 rows of a class")
    assert none.roc == none.by_threshold == ()
    assert (five.brier.value, five.brier.reason, five.brier.n) == (None, "fewer than 10 rows", 5)
    assert (empty.ece.value, empty.ece.reason) == (None, "no_rows")
