"""Slices nobody declared, and probes: found where planted, silent where there is nothing."""

import numpy as np
from numpy.typing import NDArray

from pipeline.core.settings import FairnessSettings
from pipeline.metrics.found_slices import found_slices
from pipeline.metrics.proxies import probed

SETTINGS = FairnessSettings()


def properties(rng: np.random.Generator, n: int) -> dict[str, NDArray[np.object_]]:
    return {
        "age": rng.integers(18, 80, n).astype(str).astype(object),
        "town": rng.choice(["north", "south", "west"], n).astype(object),
        "noise": rng.normal(size=n).astype(str).astype(object),
        "constant": np.full(n, "1", object),
    }


def test_a_planted_slice_is_found_and_said_in_words() -> None:
    rng = np.random.default_rng(0)
    of = properties(rng, 3000)
    bad = (of["age"].astype(int) > 60) & (of["town"] == "south")
    found = found_slices(rng.random(3000) < np.where(bad, 0.5, 0.1), of, None, SETTINGS, rng)
    assert found is not None
    assert (found.searched, found.measured, found.properties) == (1500, 1500, tuple(of))
    worst = found.slices[0]
    assert worst.verdict == "more errors"
    assert "age > 6" in worst.rule
    assert "town is south" in worst.rule
    assert abs((worst.error.value or 0) - 0.5) < 0.12


def test_without_slices_none_is_said_to_have_more_errors() -> None:
    rng = np.random.default_rng(1)
    said = 0
    for _ in range(100):
        found = found_slices(rng.random(600) < 0.2, properties(rng, 600), None, SETTINGS, rng)
        assert found is not None
        said += any(s.verdict != "insufficient_evidence" for s in found.slices)
    assert said <= 8


def test_persons_stay_on_one_half() -> None:
    rng = np.random.default_rng(2)
    unit = np.repeat(np.arange(50), 12)
    found = found_slices(rng.random(600) < 0.2, properties(rng, 600), unit, SETTINGS, rng)
    assert found is not None
    assert found.searched % 12 == found.measured % 12 == 0


def test_few_rows_or_nothing_to_look_at_are_not_searched() -> None:
    rng = np.random.default_rng(3)
    assert found_slices(rng.random(150) < 0.2, properties(rng, 150), None, SETTINGS, rng) is None
    assert found_slices(rng.random(600) < 0.2, {"c": np.full(600, "1", object)}, None, SETTINGS, rng) is None


def test_a_probe_finds_what_tells_the_group_and_no_more() -> None:
    rng = np.random.default_rng(4)
    group = rng.choice(["a", "b"], 800).astype(object)
    x = rng.normal(size=(800, 3))
    blind = probed("g", "inputs", x, group, rng, 0.95)
    assert blind.auroc.ci_low is not None
    assert blind.auroc.ci_high is not None
    assert blind.auroc.ci_low < 0.5 < blind.auroc.ci_high
    x[:, 1] += 2 * (group == "a")
    told = probed("g", "inputs", x, group, rng, 0.95, ["u", "v", "w"])
    assert (told.auroc.ci_low or 0) > 0.85
    assert told.columns[0][0] == "v"
    three = probed("g", "inputs", x, np.where(x[:, 1] > 1, "c", group).astype(object), rng, 0.95)
    assert (three.auroc.value or 0) > 0.8


def test_groups_without_enough_rows_are_not_probed() -> None:
    rng = np.random.default_rng(5)
    group = np.where(np.arange(300) < 20, "few", "many").astype(object)
    found = probed("g", "inputs", rng.normal(size=(300, 2)), group, rng, 0.95)
    assert (found.auroc.value, found.auroc.reason) == (None, "fewer than two groups are large enough")
