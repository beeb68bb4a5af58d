"""What a network does on the whole: permuted parts, effects of single numbers, words of classes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.attribution import Clock, Crowd, overview
from pipeline.attribution.budget import Costs
from pipeline.attribution.effects import effects
from pipeline.attribution.permuted import dependence, groups, parts_of, permuted
from pipeline.core.contracts import (
    CategoricalColumn,
    DatasetCard,
    NumericColumn,
    SeriesInputs,
    TableInputs,
    Target,
    TextInputs,
)
from pipeline.core.seeds import stream
from pipeline.models.network import stem_for
from pipeline.scorecard import border_share, class_words, permuted_parts

TABLE = TableInputs(
    columns=(
        NumericColumn(name="a", edges=(-1.0, 1.0), median=0.0, missing=True),
        NumericColumn(name="twin", edges=(-1.0, 1.0), median=0.0, missing=False),
        CategoricalColumn(name="kind", categories=("x", "y"), mode=1),
        NumericColumn(name="noise", edges=(-1.0, 1.0), median=0.0, missing=False),
    )
)


def rows(count: int = 600) -> Tensor:
    """Return rows in which the second number says the first again, and the category goes with its sign."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=count)
    kind = np.where(rng.random(count) < 0.9, (a > 0) + 1, rng.integers(1, 3, count))
    return torch.tensor(np.stack([a, a + 0.05 * rng.normal(size=count), kind, rng.normal(size=count),
                                  np.zeros(count)], axis=1), dtype=torch.float32)  # fmt: skip


def crowd_of(says: Callable[[Tensor], np.ndarray], x: Tensor, y: np.ndarray) -> Crowd:
    card = DatasetCard(name="t", task="regression", classes=(), targets=(Target(name="y", mean=0.0, std=2.0),),
                       inputs=TABLE, rows={}, class_rows={}, audit=(), source_digest="", notes=())  # fmt: skip
    return Crowd(card, nn.Identity(), x, y, says)


def test_twins_are_permuted_together() -> None:
    x = rows()
    found = dependence(TABLE, x.numpy())
    assert np.allclose(found, found.T)
    assert found[0, 1] > 0.95
    assert 0.7 < found[0, 2] < 0.95
    assert found[3].max() == 1  # with itself
    assert np.sort(found[3])[-2] < 0.2
    assert groups(found) == [[0, 1, 2], [3]]
    parts = parts_of(TABLE, x)
    assert [p.name for p in parts] == ["a", "twin", "kind", "noise", "a with twin with kind"]
    assert parts[0].places == (0, 4)
    assert parts[-1].places == (0, 4, 1, 2)
    assert parts[-1].members == ("a", "twin", "kind")


def test_cramer_s_v_is_1_for_the_same_categories() -> None:
    two = TableInputs(columns=tuple(CategoricalColumn(name=n, categories=("x", "y", "z"), mode=1) for n in "ab"))
    codes = np.array([1, 2, 3, 1, 2, 3, 1, 1])
    assert dependence(two, np.stack([codes, (codes + 1) % 3], 1))[0, 1] == pytest.approx(1)
    assert dependence(two, np.stack([codes, np.ones(8)], 1))[0, 1] == 0


def test_what_permuting_costs_is_twice_the_variance_of_what_is_added() -> None:
    x = rows(4000)
    truth = 3 * x[:, 0].numpy() + x[:, 3].numpy()
    crowd = crowd_of(lambda one: (3 * one[:, 0] + one[:, 3]).numpy()[:, None], x, truth[:, None])
    parts = parts_of(TABLE, x)
    found = permuted_parts([(p.name, p.members) for p in parts], permuted(crowd.losses, x, parts, 5, stream(0)))
    by_name = {part.name: part.increase for part in found}
    expected = 2 * 9 * float(x[:, 0].var()) / 4  # squared errors in deviations of 2
    assert by_name["a"].value == pytest.approx(expected, rel=0.05)
    assert by_name["a"].ci_low is not None
    assert by_name["a"].ci_high is not None
    assert by_name["a"].ci_low < expected < by_name["a"].ci_high
    assert by_name["noise"].value == pytest.approx(2 * float(x[:, 3].var()) / 4, rel=0.1)
    assert by_name["twin"].value == 0
    assert by_name["a with twin with kind"].value == pytest.approx(expected, rel=0.05)


def test_the_effect_of_a_straight_line_is_its_slope() -> None:
    x = rows(1000)
    (found,) = effects(lambda one: (3 * one[:, 0] - one[:, 1] ** 2).double().numpy(), TABLE, x, [0])
    at, value = np.array([p.at for p in found.points]), np.array([p.value for p in found.points])
    assert np.diff(value) == pytest.approx(3 * np.diff(at), abs=1e-4)
    assert sum(p.rows for p in found.points) == 1000
    assert found.points[0].rows == 0
    inside = np.interp(x[:, 0].numpy(), at, value)
    assert abs(inside.mean()) < 0.15


def test_an_effect_is_not_that_of_a_twin() -> None:
    """Where columns go together, a mean over all rows would mix values that nobody has; local effects do not."""
    x = rows(1000)
    apart = lambda one: torch.where((one[:, 0] - one[:, 1]).abs() > 1, 100.0, one[:, 3]).double().numpy()  # noqa: E731
    (found,) = effects(apart, TABLE, x, [0])
    assert max(abs(p.value) for p in found.points[1:-1]) < 30
    (own,) = effects(apart, TABLE, x, [3])
    assert np.diff([p.value for p in own.points]) == pytest.approx(np.diff([p.at for p in own.points]), abs=1e-4)


def test_rows_without_the_number_do_not_tell_its_effect() -> None:
    x = rows(200)
    x[:100, 4] = 1.0
    (found,) = effects(lambda one: one[:, 0].double().numpy(), TABLE, x, [0])
    assert sum(p.rows for p in found.points) == 100
    x[:, 4] = 1.0
    assert effects(lambda one: one[:, 0].double().numpy(), TABLE, x, [0]) == ()


def test_an_overview_without_time_says_what_is_left_out() -> None:
    x = rows(100)
    crowd = crowd_of(lambda one: one[:, :1].numpy(), x, x[:, :1].numpy())
    found = overview(crowd, Clock(0.0), Costs(1.0, 1.0), 0)
    assert (found.parts, found.effects) == ([], ())
    assert found.left_out == ["what permuted inputs cost, and effects of single columns: no time left"]
    found = overview(crowd, Clock(1e9), Costs(1.0, 1.0), 0)
    assert found.how == "100 test rows, permuted 10 times"
    assert found.effects_of == "prediction of y"
    assert [e.name for e in found.effects] == ["a", "twin", "noise"]
    assert permuted_parts([(p.name, p.members) for p in found.parts], found.rises)[0].increase.value > 0.1  # type: ignore[operator]


def test_the_channels_of_a_series_are_parts() -> None:
    series = SeriesInputs(channels=("left", "right"), length=4, mean=(0.0, 0.0), std=(1.0, 1.0))
    assert [p.name for p in parts_of(series, torch.zeros(3, 2, 4))] == ["left", "right"]
    assert parts_of(TextInputs(length=3, vocabulary=("a",)), torch.zeros(3, 3)) == []


class Bag(nn.Module):
    """The sum of what each word says."""

    def __init__(self, inputs: TextInputs) -> None:
        super().__init__()
        self.stem = stem_for(inputs, 2)
        with torch.no_grad():
            self.stem.embedding.weight.zero_()
            self.stem.embedding.weight[2, 1] = 2.0
            self.stem.embedding.weight[3, 0] = 1.0

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.stem(x)[:, :, :2].sum(1)
        return out


def test_words_that_speak_for_a_class_are_told_with_their_texts() -> None:
    inputs = TextInputs(length=5, vocabulary=("good", "bad", "film", "rare"))
    card = DatasetCard(name="t", task="binary", classes=("no", "yes"), inputs=inputs, rows={}, class_rows={}, audit=(),
                       source_digest="", notes=())  # fmt: skip
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.choice([2, 3, 4], size=(80, 5)), dtype=torch.int32)
    x[:4, 0] = 5
    network = Bag(inputs).eval()

    def says(one: Tensor) -> np.ndarray:
        with torch.no_grad():
            return np.asarray(network(one).softmax(1).double())

    crowd = Crowd(card, network, x, np.zeros(80), says)
    seen = overview(crowd, Clock(1e9), Costs(1e-9, 1e-9), 0)
    assert seen.how == "80 test texts, integrated gradients with 16 steps"
    assert seen.words is not None
    found = class_words(card, seen.words.x, seen.words.values, seen.words.said)
    assert [(c.name, [w.word for w in c.words]) for c in found] == [("no", ["bad"]), ("yes", ["good"])]
    yes = found[1]
    has = (x.numpy()[seen.words.said == 1] == 2).sum(1)
    assert yes.words[0].texts == (has > 0).sum()
    assert yes.words[0].value.value == pytest.approx(2 * has[has > 0].mean(), abs=1e-4)
    assert overview(crowd, Clock(0.0), Costs(1.0, 1.0), 0).left_out == ["words by class: no time left"]


def test_the_border_is_the_outer_tenth_of_each_side() -> None:
    even = np.ones((3, 1, 20, 20)) * np.array([1.0, 2.0, -3.0])[:, None, None, None]
    assert border_share(even).value == pytest.approx(1 - 16 * 16 / 400)
    inner = np.zeros((2, 1, 20, 20))
    inner[:, :, 5:9, 5:9] = 1
    assert border_share(inner).value == 0
    assert border_share(np.zeros((2, 1, 20, 20))).reason == "maps are zero"


def test_the_effect_of_a_date_is_told_in_days() -> None:
    dated = replace(TABLE.columns[0], since="2013-01-02")
    table = replace(TABLE, columns=(dated, *TABLE.columns[1:]))
    x = rows(400)
    (found,) = effects(lambda one: one[:, 0].double().numpy(), table, x, [0])
    assert (found.name, found.unit) == (dated.name, "days since 2013-01-02")
    (plain,) = effects(lambda one: one[:, 0].double().numpy(), TABLE, x, [0])
    assert plain.unit is None
