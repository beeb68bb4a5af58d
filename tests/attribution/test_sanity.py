"""What an attribution must survive: other weights, other baselines, groups of inputs, and planted shortcuts."""

from typing import Any

import numpy as np
import pytest
import torch
from captum.metrics import infidelity as captum_infidelity
from torch import Tensor, nn

from pipeline.attribution import (
    Attribution,
    Clock,
    Examined,
    Plan,
    Task,
    baseline_for,
    change_baseline,
    change_inputs,
    change_weights,
    completeness,
    explained,
    measured,
    other_baseline,
    partners,
    plan,
    remove,
    same_function,
)
from pipeline.attribution.budget import Costs
from pipeline.attribution.faithfulness import draw_removals, infidelity, random_infidelity
from pipeline.attribution.methods import METHODS, cam_layer, grad_cam, occlusion, shapley
from pipeline.attribution.prechecks import FAST_PATH_OFF, agrees
from pipeline.attribution.sanity import SHADES, randomised, sensitivity, similarity
from pipeline.attribution.task import cells, removed
from pipeline.core.contracts import ImageInputs, NumericColumn, SeriesInputs, TableInputs, TextInputs
from pipeline.core.seeds import stream
from pipeline.models import build
from pipeline.models.network import stem_for
from pipeline.scorecard import agreement, check

PHOTO = ImageInputs(channels=3, height=16, width=16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.2))
TABLE = TableInputs(
    columns=tuple(NumericColumn(name=n, edges=(-2.0, -1.0, 0.0, 1.0, 2.0), median=0.0, missing=False) for n in "abcdef")
)
SERIES = SeriesInputs(channels=("a", "b", "c"), length=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
TEXT = TextInputs(length=8, vocabulary=tuple("abcdefgh"))
COSTS = Costs(1e-9, 1e-9)
WANTED = Plan(24, 64, 20, 5, 48)


class Additive(nn.Module):
    """Two logits that are sums of functions of single columns."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = stem_for(TABLE, 4)

    def parts(self, x: Tensor) -> Tensor:
        return torch.stack([x[:, 0] ** 2, x[:, 1].sin(), x[:, 2].exp(), 0 * x[:, 3], -x[:, 4], x[:, 5].abs()], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        total = self.parts(x).sum(1)
        return torch.stack([total, -total], dim=1)


def task_of(network: nn.Module, inputs: Any, x: Tensor, target: int = 1) -> Task:
    return Task(network.eval(), inputs, x, torch.full((len(x),), target), baseline_for(inputs, x)[0])


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def judged(task: Task, seed: int = 0) -> Examined:
    """Return all that is looked at, without a limit of time."""
    clock = Clock(1e9)
    found = explained(task, partners(task.network, task.inputs, task.x), 32, clock, COSTS)
    remove(found, WANTED, seed)
    change_weights(found, clock, seed)
    change_baseline(found, other_baseline(task.inputs, task.x, task.x.flip(0))[0], clock)
    change_inputs(found, clock, seed)
    return found


def test_shapley_values_of_an_additive_model_are_exact() -> None:
    task = task_of(Additive(), TABLE, drawn(7, 6), target=0)
    network = task.network
    assert isinstance(network, Additive)
    expected = network.parts(task.x) - network.parts(task.baseline)
    found = shapley(task)
    assert found.values == pytest.approx(expected.double().numpy(), abs=1e-5)
    assert completeness(task, found.values).max() < 1e-4


def test_shapley_values_share_a_product_equally() -> None:
    class Product(nn.Module):
        """A product of two columns, the others do nothing."""

        def forward(self, x: Tensor) -> Tensor:
            out = x[:, 0] * x[:, 1]
            return torch.stack([out, -out], 1)

    task = task_of(Product(), TABLE, drawn(5, 6), target=0)
    half = (task.x[:, 0] * task.x[:, 1] / 2).double().numpy()
    values = shapley(task).values
    assert values[:, 0] == pytest.approx(half, abs=1e-6)
    assert values[:, 1] == pytest.approx(half, abs=1e-6)
    assert np.abs(values[:, 2:]).max() < 1e-6


def test_infidelity_is_captum_s_normalised_one_as_a_share_of_the_changes() -> None:
    torch.manual_seed(0)
    task = task_of(build({"kind": "mlp", "width": 16}, TABLE, 2), TABLE, drawn(6, 6))
    removals = draw_removals(task, 30, stream(1))
    scores = explained(task, METHODS["table"], 16, Clock(1e9), COSTS).attributions[0].values
    groups = iter(removals.gone)

    def perturbed(gates: Tensor) -> tuple[Tensor, Tensor]:
        gone = torch.tensor(next(groups))
        return gone.double(), (~gone).double()

    theirs = captum_infidelity(
        lambda gates: task.outputs(removed(task, gates < 0.5)).double(), perturbed, torch.ones(6, 6).double(),
        torch.tensor(scores), n_perturb_samples=30, max_examples_per_batch=6, normalize=True,
    )  # fmt: skip
    share = theirs.numpy() / (removals.change**2).mean(0)
    ours = infidelity(removals, cells(TABLE), scores)
    forward = np.einsum("mrc,rc,mr->r", removals.gone, scores, removals.change) > 0
    assert forward.sum() >= 4
    assert ours[forward] == pytest.approx(share[forward], abs=1e-6)
    assert infidelity(removals, cells(TABLE), -scores)[forward] == pytest.approx(1.0)
    assert (random_infidelity(removals, cells(TABLE), scores, stream(2)) > ours).mean() > 0.6


def test_sums_of_an_additive_model_miss_nothing() -> None:
    task = task_of(Additive(), TABLE, drawn(6, 6), target=0)
    removals = draw_removals(task, 20, stream(1))
    assert infidelity(removals, cells(TABLE), shapley(task).values).max() < 1e-6


class Corner(nn.Module):
    """Sees what is bright red, which is a corner of each picture."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(3, 4, 3, padding=1)
        with torch.no_grad():
            self.look.weight.zero_()
            self.look.weight[1, 0, 1, 1] = 1.0
            assert self.look.bias is not None
            self.look.bias.copy_(torch.tensor([0.0, -0.6, 0.0, 0.0]))

    def forward(self, x: Tensor) -> Tensor:
        seen = nn.functional.relu(self.look(x))[:, 1].sum((1, 2))  # functional: there is no module to hook
        return 0.2 * torch.stack([-seen, seen], 1)


class Planted(nn.Module):
    """Has learned to look at one column, one word or one stretch of one channel."""

    def __init__(self, inputs: Any) -> None:
        super().__init__()
        self.inputs, self.stem = inputs, stem_for(inputs, 4)
        wide = {"table": 24, "text": 32, "series": 96}[inputs.kind]
        self.head = nn.Linear(wide, 2, bias=False)
        with torch.no_grad():
            self.head.weight.zero_()
            if isinstance(inputs, TextInputs):
                self.head.weight.copy_(torch.tensor([[-0.1], [0.1]]))
                self.stem.embedding.weight.zero_()
                self.stem.embedding.weight[9] = 3.0
            elif isinstance(inputs, TableInputs):
                generator = torch.Generator().manual_seed(1)
                spread = 0.1 * torch.randn(self.stem.encoding.weight.shape, generator=generator)
                self.stem.encoding.weight.copy_(1 + spread)
                self.head.weight.normal_(std=0.02, generator=generator)
                self.head.weight.view(2, 6, 4)[:, 3] = torch.tensor([[-0.5], [0.5]])
            else:
                self.head.weight.view(2, 32, 3)[:, 8:16, 1] = torch.tensor([[-0.2], [0.2]])

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.stem(x)
        out: Tensor = self.head((tokens if self.inputs.kind == "table" else tokens[:, :, :-1]).flatten(1))
        return out


def planted_task(kind: str) -> tuple[Task, np.ndarray]:
    """Return a task and what its network looks at, (R, U)."""
    if kind == "image":
        x = torch.rand(24, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        x[:, 0] /= 2
        x[:, 0, :6, :6] = 1.0
        spot = np.zeros((16, 16), bool)
        spot[:7, :7] = True
        return task_of(Corner(), PHOTO, x), np.tile(spot.ravel(), (24, 1))
    if kind == "table":
        x = drawn(24, 6)
        x[:, 3] = x[:, 3].abs().clamp(max=1.5) + 0.5
        return task_of(Planted(TABLE), TABLE, x), np.tile(np.arange(6) == 3, (24, 1))
    if kind == "text":
        x = torch.randint(2, 9, (24, 8), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
        at = np.arange(24) % 8
        x[torch.arange(24), torch.tensor(at)] = 9
        return task_of(Planted(TEXT), TEXT, x), np.arange(8) == at[:, None]
    x = drawn(24, 3, 32)
    x[:, 1, 8:16] += 2
    spot = np.zeros((3, 32), bool)
    spot[1, 8:16] = True
    return task_of(Planted(SERIES), SERIES, x), np.tile(spot.ravel(), (24, 1))


@pytest.mark.parametrize("kind", ["image", "table", "text", "series"])
def test_a_planted_shortcut_is_found_by_every_method_that_passes(kind: str) -> None:
    task, spot = planted_task(kind)
    found = judged(task)
    names = {item.method for item in found.attributions}
    assert names == {"integrated_gradients", *(m.name for m in METHODS[kind])}
    passed, verdicts = 0, []
    for item in found.attributions:
        told = check(item.method, "", item.promises_completeness, found.evidence[item.method], found.gone[item.method])
        verdicts.append((item.method, told.verdict, told.reason))
        size = np.maximum(item.values.sum(1) if item.values.ndim == 4 else item.values, 0).reshape(24, -1)
        share = np.where(spot, size, 0).sum(1) / size.sum(1)
        if told.verdict == "pass":
            passed += 1
            assert share.min() > 0.75, item.method
            assert told.infidelity.value is not None
            assert told.infidelity.value < 0.3, item.method
    assert passed >= 1, verdicts


@pytest.mark.parametrize("kind", ["image", "table", "text", "series"])
def test_maps_of_a_network_that_has_learned_nothing_do_not_pass(kind: str) -> None:
    task, _ = planted_task(kind)
    real = judged(task)
    other = Task(randomised(task.network, stream(9)), task.inputs, task.x, task.target, task.baseline)
    maps = explained(other, (), 32, Clock(1e9), COSTS).attributions[0].values
    foreign = Examined(task, (Attribution("integrated_gradients", maps, True),), real.makers, "",
                       {"integrated_gradients": {}}, {"integrated_gradients": {}})  # fmt: skip
    remove(foreign, WANTED, 0)
    change_weights(foreign, Clock(1e9), 0)
    change_baseline(foreign, other_baseline(task.inputs, task.x, task.x.flip(0))[0], Clock(1e9))
    change_inputs(foreign, Clock(1e9), 0)
    name = "integrated_gradients"
    assert check(name, "", True, foreign.evidence[name], foreign.gone[name]).verdict == "fail"


def test_a_method_that_looks_at_the_input_alone_fails() -> None:
    torch.manual_seed(0)
    network = build({"kind": "cnn", "width": 8}, PHOTO, 2)
    x = torch.rand(24, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    task = task_of(network, PHOTO, x)

    def edges(of: Task) -> np.ndarray:
        values = torch.nn.functional.pad((of.x[:, :, 1:] - of.x[:, :, :-1]).abs(), (0, 0, 0, 1))
        return np.asarray(values.double())

    found = judged(task)
    maker = type(found.makers["occlusion"])(edges, 0.0)
    blind = Examined(task, (Attribution("edges", edges(task), False),), {"edges": maker}, "", {"edges": {}},
                     {"edges": {}})  # fmt: skip
    remove(blind, WANTED, 0)
    change_weights(blind, Clock(1e9), 0)
    change_baseline(blind, task.baseline, Clock(1e9))
    change_inputs(blind, Clock(1e9), 0)
    told = check("edges", "", False, blind.evidence["edges"], blind.gone["edges"])
    assert told.randomised.value == pytest.approx(1)
    assert told.verdict == "fail"
    assert "maps of a network that has learned nothing look alike (rank correlation 1.00)" in told.reason


def test_shuffled_weights_are_the_same_numbers_elsewhere() -> None:
    torch.manual_seed(0)
    network = build({"kind": "transformer", "width": 8}, TABLE, 2).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    other = randomised(network, stream(0))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    moved = 0
    for (name, old), new in zip(network.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(old.flatten().sort().values, new.flatten().sort().values), name
        moved += int(not torch.equal(old, new))
    assert moved > 10


def test_likeness_is_asked_given_how_far_the_input_is_from_the_baseline() -> None:
    rng = np.random.default_rng(0)
    away = rng.random((20, 200))
    one, two = (away * np.exp(0.5 * rng.normal(size=(20, 200))) for _ in range(2))
    can = np.ones((20, 200), bool)
    assert similarity(one, two, can).min() > 0.4  # both follow the input
    assert abs(similarity(one, two, can, away).mean()) < 0.15  # and nothing else in common
    assert similarity(one, one, can, away) == pytest.approx(np.ones(20))
    assert similarity(away, away, can, away) == pytest.approx(np.ones(20))


def test_sensitivity_is_the_largest_relative_change_of_a_map() -> None:
    task = task_of(Additive(), TABLE, drawn(5, 6))

    def itself(of: Task) -> np.ndarray:
        return np.asarray(of.x.double())

    found = sensitivity(task, itself, stream(3))
    rng, x = stream(3), task.x.double().numpy()
    reach = 0.02 * 1.0  # half of the range between the quartiles of the edges -2 … 2
    moves = [rng.uniform(-1, 1, (5, 6)) * reach for _ in range(SHADES)]
    expected = np.max([np.linalg.norm(move, axis=1) / np.linalg.norm(x, axis=1) for move in moves], axis=0)
    assert found == pytest.approx(expected, rel=1e-4)


def test_similarity_asks_only_about_units_that_can_count() -> None:
    one, two = np.array([[1.0, 2, 3, 4, 0, 0, 0]]), np.array([[4.0, 3, 2, 1, 0, 0, 0]])
    can = np.array([[True] * 4 + [False] * 3])
    assert similarity(one, two, can) == pytest.approx([-1.0])
    assert np.isnan(similarity(one, np.zeros((1, 7)), can)).all()


class FastAttention(nn.Module):
    """Torch's own encoder over padded words: without gradients it takes a path that zeroes what is padded."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = stem_for(TEXT, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.stem(x)
        mixed = self.body(tokens[:, :, :-1], src_key_padding_mask=tokens[:, :, -1] < 0.5)
        out: Tensor = self.head(mixed.mean(1))
        return out


def test_the_fast_path_of_attention_is_switched_off_where_it_computes_something_else() -> None:
    torch.manual_seed(0)
    x = torch.tensor([[2, 3, 4, 0, 0, 0, 0, 0], [5, 6, 2, 3, 4, 0, 0, 0], [2] * 8], dtype=torch.int32)
    task = task_of(FastAttention(), TEXT, x)
    with torch.no_grad():
        for weight in task.network.parameters():
            weight.mul_(2)
    differs = not agrees(task)
    with same_function(task) as sure:
        assert agrees(task)
        values = explained(task, (), 256, Clock(1e9), COSTS).attributions[0].values
        assert np.median(completeness(task, values)) < 0.05
    assert (FAST_PATH_OFF in sure) == differs
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_method_that_trains_is_noticed() -> None:
    task = task_of(Additive(), TABLE, drawn(4, 6))
    with pytest.raises(AssertionError, match="a method changed the network"), same_function(task), torch.no_grad():
        next(task.network.parameters()).add_(1)


def test_a_network_that_is_training_is_not_explained() -> None:
    task = task_of(Additive(), TABLE, drawn(4, 6))
    task.network.train()
    with pytest.raises(AssertionError), same_function(task):
        pass


@pytest.mark.parametrize("kind", ["transformer", "cct"])
def test_tokens_of_an_image_are_put_back_to_their_places(kind: str) -> None:
    torch.manual_seed(0)
    wide = ImageInputs(channels=3, height=16, width=32, mean=(0.5,) * 3, std=(0.2,) * 3)
    network = build({"kind": kind, "width": 8, "heads": 2}, wide, 2).eval()
    x = torch.rand(4, 3, 16, 32, generator=torch.Generator().manual_seed(0))
    layer, (down, across) = cam_layer(network, x)
    assert isinstance(layer, nn.LayerNorm)
    assert across == 2 * down
    task = task_of(network, wide, x)
    values = grad_cam(task).values
    assert values.shape == (4, 1, 16, 32)
    # what is normed is summed over the tokens' numbers: weights are means of gradients, as of channels of a convolution
    assert np.ptp(values, axis=(2, 3)).min() > 0


def test_a_network_without_a_grid_has_no_grad_cam() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 3, 16, 16)
    network = nn.Sequential(nn.Flatten(), nn.Linear(768, 2))
    assert [m.name for m in partners(network, PHOTO, x)] == ["occlusion"]
    conv = build({"kind": "cnn", "width": 8}, PHOTO, 2).eval()
    assert [m.name for m in partners(conv, PHOTO, x)] == ["occlusion", "grad_cam"]


def test_predictions_of_a_method_are_counted() -> None:
    calls: list[int] = []

    class Counting(Corner):
        """Notes how many rows it sees."""

        def forward(self, x: Tensor) -> Tensor:
            calls.append(len(x))
            return super().forward(x)

    task = task_of(Counting(), PHOTO, torch.rand(2, 3, 16, 16))
    occlusion(task)
    assert sum(calls) == pytest.approx(2 * METHODS["image"][0].forwards(PHOTO), rel=0.05)


def test_steps_fall_before_rows_do() -> None:
    task = task_of(Additive(), TABLE, drawn(24, 6))

    def planned(seconds: float) -> tuple[int, int, tuple[str, ...]]:
        found = plan(task, METHODS["table"], Costs(1e-3, 2e-3), WANTED, seconds)
        return found.rows, found.steps, found.reduced

    assert planned(1e9) == (24, 64, ())
    needed = [s for s in np.geomspace(0.1, 100, 200) if planned(float(s))[0] == 24]
    assert planned(float(needed[0]))[1] == 16
    assert planned(0.0) == (1, 16, ("1 of 24 rows", "16 of 64 integration steps", "5 of 20 steps of removal",
                                    "1 of 5 random orders", "12 of 48 random groups", "no feature ablation",
                                    "no shapley"))  # fmt: skip
    found = [planned(float(s)) for s in np.geomspace(0.01, 100, 50)]
    rows = [one[0] for one in found if "no shapley" not in one[2]]
    assert rows == sorted(rows)
    assert rows[0] == 4  # a dear method goes before rows that an interval needs
    assert sorted({one[0] for one in found})[:3] == [1, 2, 4]


def test_what_there_is_no_time_for_is_said() -> None:
    task, _ = planted_task("table")
    clock = Clock(1e9)
    found = explained(task, METHODS["table"], 8, clock, Costs(1.0, 1.0))
    change_weights(found, Clock(65 * 8), 0)  # a row takes 8 s: there is time for 42 of them, 24 are asked for
    assert len(found.evidence["integrated_gradients"]["randomised"]) == 24
    found.reduced.clear()
    change_weights(found, Clock(100), 0)
    assert len(found.evidence["integrated_gradients"]["randomised"]) in (7, 8)
    assert found.reduced[0].startswith("randomised of integrated gradients on ")
    change_weights(found, Clock(10), 0)
    assert found.gone["integrated_gradients"]["randomised"] == "no time left: interpret.seconds"


def test_costs_are_seconds_of_a_row_there_and_back() -> None:
    torch.manual_seed(0)
    task = task_of(build({"kind": "cnn", "width": 8}, PHOTO, 2), PHOTO, torch.rand(8, 3, 16, 16))
    costs = measured(task, Clock(1e9))
    assert costs.forward > 0
    assert costs.backward > 0
    assert all(weight.grad is None for weight in task.network.parameters())


def test_agreement_counts_what_both_tell() -> None:
    one = np.array([[4.0, 3, 2, 1, 0, 0, 0, 0, 0, 0]] * 3)
    found = agreement({"a": one, "b": -2 * one, "c": one[:, ::-1]})
    assert [pair.methods for pair in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found[0].rank_correlation.value == pytest.approx(1)
    assert found[0].overlap.value == 1
    assert found[1].overlap.value == 0
    assert found[1].rank_correlation.value is not None
    assert found[1].rank_correlation.value < 0
