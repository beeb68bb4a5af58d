"""Shares of groups: counted, held against a reference by tests that keep their level, never judged from few rows."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest, chisquare, multinomial

from pipeline.core.contracts import AuditFeature, Representation
from pipeline.core.settings import FairnessSettings
from pipeline.metrics.intervals import proportion
from pipeline.metrics.representation import UNDECLARED, against, representation

SEX = AuditFeature(name="sex", role="sensitive", source="test", groups=("f", "m", "(missing)"))
PLAIN = FairnessSettings(permutations=2000)
HALVES = replace(PLAIN, reference={"sex": {"f": 0.5, "m": 0.5}})


def one(f: int, m: int, gone: int = 0, settings: FairnessSettings = HALVES) -> Representation:
    group = np.repeat(np.array(["f", "m", "(missing)"], object), [f, m, gone])
    light = replace(SEX, name="kind", role="slice")
    (found,) = representation([SEX, light], {"train": {"sex": (group, None), "kind": (group, None)}}, settings, 1)
    return found.judged(lambda: found.tests[0])


def test_without_a_reference_shares_are_told_and_nothing_is_judged() -> None:
    found = one(300, 700, 10, PLAIN)
    assert (found.feature, found.split, found.verdict, found.words) == ("sex", "train", "not_assessed", UNDECLARED)
    assert [share.share for share in found.shares] == [proportion(k, 1010) for k in (300, 700, 10)]
    assert {share.reference for share in found.shares} == {None}
    assert found.p is None


def test_a_share_that_is_off_is_found_and_said() -> None:
    found = one(300, 700)
    assert (found.verdict, found.test) == ("disparity_found", "chi-square")
    assert found.p == chisquare([300, 700], [500, 500]).pvalue
    assert found.words in ("f: a share of 0.300 instead of 0.500", "m: a share of 0.700 instead of 0.500")


def test_groups_without_a_reference_are_left_out_of_the_comparison() -> None:
    found = one(50, 50, 900)
    assert [share.share.value for share in found.shares] == [0.5, 0.5, 0.9]
    assert [share.share.n for share in found.shares] == [100, 100, 1000]
    assert found.p == 1.0
    assert found.words.startswith("no difference shown; a share may be 0.0")


def test_equivalence_needs_a_delta_and_enough_rows() -> None:
    declared = replace(HALVES, delta=0.02)
    assert one(10_000, 10_000, settings=declared).verdict == "equivalent_within_delta"
    assert one(100, 100, settings=declared).verdict == "insufficient_evidence"
    assert one(10_000, 10_000).verdict == "insufficient_evidence"


def test_few_rows_are_never_judged() -> None:
    found = one(1, 20)
    assert (found.p, found.verdict, found.words) == (None, "insufficient_evidence", "too small to judge: 21 rows")
    assert one(0, 0, 5).words == "too small to judge: 0 rows"


def test_few_rows_of_two_groups_have_the_exact_binomial_test() -> None:
    rng = np.random.default_rng(0)
    assert against(np.array([4, 36]), np.array([0.1, 0.9]), rng, 100) == (
        "exact binomial", binomtest(4, 40, 0.1).pvalue)  # fmt: skip


def test_few_rows_of_more_groups_are_held_against_draws_of_the_multinomial() -> None:
    """Exact by enumeration: all counts of 12 rows in three groups whose statistic is at least the one seen."""
    shares, seen = np.array([0.1, 0.3, 0.6]), np.array([4, 3, 5])
    name, p = against(seen, shares, np.random.default_rng(0), 20_000)
    far = [(((np.array([i, j, 12 - i - j]) - 12 * shares) ** 2) / (12 * shares)).sum() for i in range(13)
           for j in range(13 - i)]  # fmt: skip
    likely = [multinomial.pmf([i, j, 12 - i - j], 12, shares) for i in range(13) for j in range(13 - i)]
    own = (((seen - 12 * shares) ** 2) / (12 * shares)).sum()
    exact = sum(q for q, statistic in zip(likely, far, strict=True) if statistic >= own - 1e-9)
    assert name == "multinomial draws"
    assert p == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("n", [31, 400])
def test_rows_drawn_with_the_declared_shares_are_found_off_in_at_most_five_percent(n: int) -> None:
    rng, shares = np.random.default_rng(1), np.array([0.08, 0.3, 0.62])
    found = sum(against(rng.multinomial(n, shares), shares, rng, 400)[1] <= 0.05 for _ in range(400))
    assert found <= 29  # 20 expected, two standard errors more


def test_a_person_with_several_rows_counts_once() -> None:
    group = np.array(["f", "f", "f", "m"] * 30, object)
    unit = np.repeat(np.arange(30), 4) * 2 + (group == "m")
    (found,) = representation([SEX], {"val": {"sex": (group, unit)}}, HALVES, 1)
    assert [share.share.value for share in found.found.shares[:2]] == [0.5, 0.5]
    assert found.found.shares[0].share.n == 60
