"""Concepts: a planted one is found, one that decides nothing is not, and random rows are no concept."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.attribution import Clock, Probe, Sensitivity, check_layers, concepts
from pipeline.attribution.concepts import activations, direction, sensitivity_to, slopes
from pipeline.core.contracts import Concepts
from pipeline.core.errors import ConfigError
from pipeline.core.seeds import stream
from pipeline.scorecard import concept_direction, concept_record, concept_score, no_score
from pipeline.scorecard.concepts import holm

RUNS = 20
LONG = Clock(1e9)


class Small(nn.Module):
    """Images 3 x 8 x 8 through one hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(192, 24), nn.ReLU())
        self.head = nn.Linear(24, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.trunk(x))
        return out


def pictures(rows: int, seed: int, red: bool | None = None, green: bool | None = None) -> tuple[Tensor, Tensor]:
    """Return noise with a red corner in half of it or as told, and a green one elsewhere; red decides the class."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, (rows, 3, 8, 8)).astype(np.float32)
    corners = [rng.random(rows) < 0.5 if there is None else np.full(rows, there) for there in (red, green)]
    for channel, at, there in zip((0, 1), (slice(0, 3), slice(5, 8)), corners, strict=True):
        patch = np.zeros((3, 3, 3), np.float32)
        patch[channel] = 1
        x[there, :, at, at] = patch
    return torch.tensor(x), torch.tensor(corners[0].astype(int))


@pytest.fixture(scope="module")
def network() -> Small:
    torch.manual_seed(0)
    found, (x, y) = Small(), pictures(600, 0)
    adam = torch.optim.Adam(found.parameters(), lr=0.003)
    for _ in range(20):
        adam.zero_grad()
        nn.functional.cross_entropy(found(x), y).backward()
        adam.step()
    assert (found(pictures(200, 1)[0]).argmax(1) == pictures(200, 1)[1]).double().mean() > 0.95
    return found.eval()


def told(network: nn.Module, layer: str) -> Concepts:
    """Return what is said of a red corner, a green one, and pictures as they come."""
    test, y = pictures(200, 1)
    rows = [(k, test[y == k][:50]) for k in range(2)]
    given = {"red": pictures(60, 2, red=True), "green": pictures(60, 3, green=True), "random": pictures(60, 4)}
    pool = pictures(500, 5)[0]
    probe = Probe(network, layer, rows, contrast=True, runs=RUNS)
    found = concepts(probe, [x for x, _ in given.values()], [pool] * 3, stream(0), LONG)
    assert found is not None
    directions = [concept_direction(name, layer, one.examples, one.correct)
                  for name, one in zip(given, found, strict=True)]  # fmt: skip
    scores = [concept_score(of, f"class {k}", one.scores[:, k], one.random[:, k], one.along[:, k], one.pool[:, k])
              for of, one in zip(directions, found, strict=True) for k in range(2)]  # fmt: skip
    return concept_record("", RUNS, directions, scores, ())


@pytest.mark.parametrize("layer", ["features", "trunk.1"])
def test_a_planted_concept_is_found_and_others_are_not(network: Small, layer: str) -> None:
    found = told(network, layer)
    said = {(one.name, one.output): one for one in found.scores}
    assert said["red", "class 1"].verdict == "used"
    assert said["red", "class 1"].reason == "the concept raises the output"
    assert said["red", "class 0"].reason == "the concept lowers the output"
    assert said["red", "class 1"].score.value == pytest.approx(1, abs=0.05)
    assert said["green", "class 1"].verdict != "used"
    assert said["green", "class 0"].verdict != "used"
    random = said["random", "class 1"]
    assert (random.verdict, random.reason) == (
        "insufficient_evidence", "its examples are not shown to be told from random rows"
    )  # fmt: skip
    assert random.score.value is None
    assert random.p is None
    assert found.tests == 6
    assert all(one.accuracy.n == 120 for one in found.directions)


def test_a_concept_that_a_layer_knows_and_no_output_uses_is_not_found() -> None:
    """Features are class and colour; the head reads the class and one hundredth of the colour."""
    rng = np.random.default_rng(0)

    def rows(count: int, colour: float | None = None) -> np.ndarray:
        own = rng.integers(2, size=count) if colour is None else np.full(count, colour)
        return np.stack([4.0 * rng.integers(2, size=count), 8.0 * own], 1) + rng.normal(size=(count, 2))

    slope = np.tile([[1.0, 0.01]], (30, 1))
    found = []
    for _ in range(20):
        one = sensitivity_to(rows(40, 1), rows(500), [slope], 30, rng, LONG)
        assert one is not None
        of = concept_direction("colour", "features", one.examples, one.correct)
        assert of.accuracy.ci_low is not None
        assert of.accuracy.ci_low > 0.5
        score = concept_score(of, "class", one.scores[:, 0], one.random[:, 0], one.along[:, 0], one.pool[:, 0])
        found.append(concept_record("", 30, [of], [score], ()).scores[0].verdict)
    assert found.count("used") <= 3


def test_random_rows_are_no_concept() -> None:
    rng = np.random.default_rng(1)
    slope, verdicts = rng.normal(size=(10, 12)), []
    for _ in range(20):
        one = sensitivity_to(rng.normal(size=(20, 12)), rng.normal(size=(200, 12)), [slope], RUNS, rng, LONG)
        assert one is not None
        of = concept_direction("none", "features", one.examples, one.correct)
        verdicts.append(concept_score(of, "class", one.scores[:, 0], one.random[:, 0], one.along[:, 0],
                                      one.pool[:, 0]).verdict)  # fmt: skip
    assert verdicts.count("insufficient_evidence") >= 18


def test_the_direction_is_how_activations_differ_and_not_how_to_tell_them_apart() -> None:
    """Two numbers share noise, so the best classifier subtracts the second, which the concept raises as well."""
    rng = np.random.default_rng(0)
    noise, own = rng.normal(size=(2, 4000, 1)), rng.normal(0, 0.1, (2, 4000, 2))
    inside, outside = noise[0] + own[0] + [2.0, 1.0], noise[1] + own[1]
    found, told = direction(inside, outside)
    assert found == pytest.approx(np.array([2, 1]) / np.sqrt(5), abs=0.05)
    weight = np.ravel(told[-1].coef_)
    assert weight[0] > 0 > weight[1]
    assert (direction(np.ones((5, 2)), np.ones((5, 2)))[0] == 0).all()


def test_gradients_of_a_linear_head_are_its_weights_above_the_mean_of_the_others(network: Small) -> None:
    x, weight = pictures(4, 7)[0], network.head.weight.detach().double().numpy()
    assert slopes(network, "features", x, 1, True) == pytest.approx(np.tile(weight[1] - weight[0], (4, 1)), abs=1e-6)
    assert slopes(network, "features", x, 1, False) == pytest.approx(np.tile(weight[1], (4, 1)), abs=1e-6)
    assert activations(network, "features", x) == pytest.approx(network.trunk(x).detach().double().numpy())


def test_grids_are_averaged_and_gradients_are_those_of_moving_every_place() -> None:
    torch.manual_seed(0)
    grid = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3))
    x = pictures(4, 7)[0]
    assert activations(grid, "0", x).shape == (4, 5)
    found = slopes(grid, "0", x, 2, False)
    assert found == pytest.approx(np.tile(grid[3].weight[2].detach().double().numpy(), (4, 1)), abs=1e-6)


def test_no_time_gives_nothing(network: Small) -> None:
    x, y = pictures(40, 1)
    probe = Probe(network, "features", [(0, x[y == 0])], contrast=True, runs=RUNS)
    assert concepts(probe, [x], [x], stream(0), Clock(0)) is None


def test_holm_is_that_of_the_textbook() -> None:
    assert holm({0: 0.01, 1: 0.04, 2: 0.03, 3: 0.005}, 4) == pytest.approx({3: 0.02, 0: 0.03, 2: 0.06, 1: 0.06})
    assert holm({5: 0.01}, 10) == {5: 0.1}
    assert holm({1: 0.9, 2: 0.8}, 2) == {2: 1.0, 1: 1.0}


def test_a_direction_and_examples_on_different_sides_show_nothing() -> None:
    rng = np.random.default_rng(0)
    of = concept_direction("c", "features", 30, np.ones(20))
    score = concept_score(of, "k", np.ones(20), rng.uniform(0.2, 0.8, 20), rng.normal(-3, 1, 30), rng.normal(size=99))
    found = concept_record("", 20, [of], [score], ()).scores[0]
    assert (found.verdict, found.p, found.reason) == (
        "not_shown", 1.0, "its direction and its examples point to different sides"
    )  # fmt: skip
    few = no_score(of, "k")
    assert (few.verdict, few.reason) == ("insufficient_evidence", "fewer than 5 test rows")


def test_layers_that_are_none_are_named(network: Small) -> None:
    x = pictures(2, 0)[0]
    check_layers(network, ("features", "trunk.1", "head"), x)
    with pytest.raises(ConfigError) as wrong:
        check_layers(network, ("trunk.9",), x)
    assert str(wrong.value) == (
        "interpret.concept_layers: trunk.9: the network has no such part\n  fix: did you mean trunk.2?"
    )
    with pytest.raises(ConfigError) as wrong:
        check_layers(network, ("zzz",), x)
    assert str(wrong.value) == (
        "interpret.concept_layers: zzz: the network has no such part\n"
        "  fix: features, or the name of a part that the report's table of the network lists"
    )


def test_sensitivity_counts_rows_that_nothing_changes_half() -> None:
    rng = np.random.default_rng(0)
    one = sensitivity_to(rng.normal(size=(12, 2)), rng.normal(size=(40, 2)), [np.zeros((5, 2))], 20, rng, LONG)
    assert isinstance(one, Sensitivity)
    assert (one.scores == 0.5).all()
