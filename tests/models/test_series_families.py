"""Families for labelled series and forecasts: what is solved in closed form, and that padding counts for nothing."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.baselines import kernels as baseline
from pipeline.core.contracts import ForecastInputs, SeriesInputs
from pipeline.core.errors import SpaceError
from pipeline.models import FAMILIES, build, sequence
from pipeline.models.kernels import channels_and_mask
from pipeline.models.ridge import leave_one_out, solved, sums
from pipeline.models.shares import Shares
from pipeline.models.steps import StepNorm

SERIES = SeriesInputs(channels=("x", "y", "z"), length=40, mean=(0.1, -0.2, 0.0), std=(1.0, 2.0, 1.0))
FORECAST = ForecastInputs(channels=("x", "y"), targets=2, known=0, window=30, horizon=4, season=None)
KNOWN = ForecastInputs(channels=("x", "k"), targets=1, known=1, window=12, horizon=3, season=None)
LABELLED = [name for name, family in FAMILIES.items() if SeriesInputs in family.reads]
FORECASTERS = [name for name, family in FAMILIES.items() if ForecastInputs in family.reads]
WIDTH = {"kernels": {}, "linear": {}} | {name: {"width": 8} for name in FAMILIES if name not in ("kernels", "linear")}


class Held:
    """Rows in memory that all count the same."""

    weight = None

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.y)

    def take(self, at: Tensor) -> tuple[Tensor, Tensor]:
        return self.x[at], self.y[at]


def made(kind: str, inputs: Any, outputs: int = 3, seed: int = 1, **fields: Any) -> Any:
    torch.manual_seed(seed)
    return build({"kind": kind} | WIDTH[kind] | fields, inputs, outputs).eval()


def waves(n: int, seed: int) -> Held:
    """Series of unequal length whose class is the frequency of one channel, the phase being random."""
    rng = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (n,), generator=rng)
    steps, phase = torch.arange(40.0), 6.3 * torch.rand(n, 1, generator=rng)
    x = torch.randn(n, 3, 40, generator=rng)
    x[:, 1] = 3 * torch.sin(phase + steps * (0.2 + 0.3 * y[:, None])) + 0.5 * x[:, 1]
    lengths = torch.randint(28, 41, (n, 1, 1), generator=rng)
    return Held(x.masked_fill(steps >= lengths, torch.nan), y)


def line_windows(n: int, inputs: ForecastInputs, seed: int) -> tuple[Held, Tensor]:
    """Windows whose futures are one linear map of the relative window and the known future; and that map."""
    rng = torch.Generator().manual_seed(seed)
    past = len(inputs.channels) - inputs.known
    x = torch.randn(n, len(inputs.channels), inputs.length, generator=rng)
    x[:, :past, inputs.window :] = torch.nan
    last = x[:, :past, inputs.window - 1]
    own = x[:, : inputs.targets, : inputs.window] - last[:, : inputs.targets, None]
    known = x[:, past:, inputs.window :].flatten(1)[:, None].expand(-1, inputs.targets, -1)
    read = torch.cat([own, known], dim=2) if inputs.known else own
    true = torch.randn(inputs.horizon, read.shape[2], generator=rng) * 0.3
    true[:, inputs.window - 1] = 0.0  # a window's last step less the last value is always 0
    y = (read @ true.T + 0.7 + last[:, : inputs.targets, None]).transpose(1, 2)
    return Held(x, y.flatten(1)), true


@pytest.mark.parametrize("kind", LABELLED)
def test_steps_beyond_the_end_change_nothing(kind: str) -> None:
    network = made(kind, SERIES)
    short = waves(4, 0).x[:, :, :25]
    padded = torch.nn.functional.pad(short, (0, 15), value=torch.nan)
    with torch.no_grad():
        torch.testing.assert_close(network(short), network(padded), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", LABELLED)
@pytest.mark.parametrize("length", [8, 700])
def test_short_and_long_series_are_read(kind: str, length: int) -> None:
    inputs = SeriesInputs(channels=("x",), length=length, mean=(0.0,), std=(1.0,))
    network = made(kind, inputs, 2)
    assert network.train()(torch.randn(1, 1, length)).shape == (1, 2)
    with torch.device("meta"):
        build({"kind": kind} | WIDTH[kind], inputs, 200)


def test_masked_norm_is_batch_norm_of_the_real_steps() -> None:
    x, mask = torch.randn(5, 4, 9) * 3 + 1, torch.ones(5, 1, 9)
    ours, theirs = StepNorm(4), torch.nn.BatchNorm1d(4)
    torch.testing.assert_close(ours(x, mask), theirs(x))
    torch.testing.assert_close(ours.mean, theirs.running_mean)
    padded = torch.nn.functional.pad(x, (0, 6), value=50.0)
    again = StepNorm(4)(padded, torch.nn.functional.pad(mask, (0, 6)))
    torch.testing.assert_close(again[:, :, :9], theirs(x))


def ridge_data() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(2)
    x, y = torch.randn(12, 5, generator=rng).double(), torch.randn(12, 2, generator=rng).double()
    return x, y, torch.tensor([1, 2, 1, 3, 1, 1, 2, 1, 5, 1, 1, 2])


@pytest.mark.parametrize("share", [1e-3, 0.3])
def test_a_row_of_weight_two_is_two_rows_of_a_ridge(share: float) -> None:
    x, y, times = ridge_data()
    weighed = leave_one_out(x, y, times, shares=(share,))
    twice = leave_one_out(x.repeat_interleave(times, 0), y.repeat_interleave(times, 0), shares=(share,))
    torch.testing.assert_close(weighed.weight, twice.weight)
    torch.testing.assert_close(weighed.bias, twice.bias)
    assert not torch.allclose(weighed.weight, leave_one_out(x, y, shares=(share,)).weight, rtol=0.01)


def test_weighed_leave_one_out_is_what_leaving_a_row_with_its_weight_out_gives() -> None:
    x, y, times = ridge_data()
    w, share = times.double(), 0.3
    found = leave_one_out(x, y, times, shares=(share,))
    penalty = share * w @ (x - w @ x / w.sum()).square().sum(1) / w.sum()
    for row in (3, 8):
        rest = torch.arange(12) != row
        v, mean_F, mean_K = w[rest], w[rest] @ x[rest] / w[rest].sum(), w[rest] @ y[rest] / w[rest].sum()
        a, b = x[rest] - mean_F, y[rest] - mean_K
        weight = torch.linalg.solve(a.T @ (v[:, None] * a) + penalty * torch.eye(5).double(), a.T @ (v[:, None] * b))
        torch.testing.assert_close(found.left_out[row], (x[row] - mean_F) @ weight + mean_K)


def test_the_penalty_is_chosen_by_weighed_errors() -> None:
    """The rows that count are a line, the others noise: with hardly any weight they ask for no penalty."""
    x, _, _ = ridge_data()
    noise = torch.randn(12, 1, generator=torch.Generator().manual_seed(3)).double()
    first = (torch.arange(12) < 9).double()
    y = first[:, None] * x[:, :1] + 20 * (1 - first[:, None]) * noise
    light = leave_one_out(x, y, first + 1e-6)
    torch.testing.assert_close(light.weight[:, 0], torch.eye(5).double()[0], atol=1e-3, rtol=0)
    assert float((leave_one_out(x, y).weight[:, 0] - torch.eye(5).double()[0]).abs().max()) > 0.1


def test_leave_one_out_is_what_leaving_rows_out_gives() -> None:
    """Solved again without each row, at the penalty that was chosen."""
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(12, 30, generator=rng).double(), torch.randn(12, 2, generator=rng).double()
    found = leave_one_out(x, y)
    middle = x - x.mean(0)
    # weight = X' dual and dual = (y - mean - X weight) / penalty: the penalty shows in any row's residual.
    residual = y - (x @ found.weight + found.bias)
    dual = torch.linalg.lstsq(middle.T, found.weight).solution
    dual = dual - dual.mean(0)
    penalty = float((residual * dual).sum() / (dual * dual).sum())
    for row in (0, 7):
        rest = torch.arange(12) != row
        a, b = x[rest] - x[rest].mean(0), y[rest] - y[rest].mean(0)
        weight = a.T @ torch.linalg.solve(a @ a.T + penalty * torch.eye(11).double(), b)
        told = (x[row] - x[rest].mean(0)) @ weight + y[rest].mean(0)
        torch.testing.assert_close(found.left_out[row], told, atol=1e-6, rtol=1e-5)


def test_normal_equations_are_the_same_in_parts() -> None:
    x, y = torch.randn(50, 4), torch.randn(50, 3)
    whole, parts = sums([(x, y)]), sums(zip(x.split(7), y.split(7), strict=True))
    assert whole is not None
    assert parts is not None
    expected = torch.linalg.lstsq(torch.nn.functional.pad(x, (0, 1), value=1.0), y).solution
    torch.testing.assert_close(solved(parts, 0.0).float(), expected, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(whole.square, parts.square)


def test_solved_kernels_classify_without_a_step_and_repeat() -> None:
    train, test = waves(90, 0), waves(60, 1)
    first, again, other = (made("kernels", SERIES) for _ in range(3))
    first.start_from(train, 5)
    again.start_from(train, 5)
    other.start_from(train, 6)
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in first.state_dict().items())
    with torch.no_grad():
        assert (first(test.x).argmax(1) == test.y).float().mean() > 0.9
        torch.testing.assert_close(first(test.x), other(test.x), atol=1e-3, rtol=1e-3)  # all rows fit: the seed is idle


def test_solved_kernels_tell_numbers_and_label_sets() -> None:
    train, test = waves(120, 0), waves(60, 1)
    network = made("kernels", SERIES, 1)
    network.start_from(Held(train.x, 50 + 10 * train.y[:, None].float()), 5)
    standard = (test.y - train.y.float().mean()) / train.y.float().std(correction=0)
    with torch.no_grad():
        assert (network(test.x)[:, 0] - standard).square().mean() < 0.2
    network = made("kernels", SERIES, 2)
    labels = torch.stack([train.y > 0, train.y > 1], dim=1).long()
    network.start_from(Held(train.x, labels), 5)
    with torch.no_grad():
        right = (network(test.x) > 0) == torch.stack([test.y > 0, test.y > 1], dim=1)
    assert right.float().mean() > 0.9


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_very_few_rows_leave_something_valid(rows: int) -> None:
    network = made("kernels", SERIES)
    network.start_from(waves(rows, 0), 5)
    assert network(waves(4, 1).x).isfinite().all()
    forecaster = made("linear", FORECAST, 8)
    held, _ = line_windows(rows, FORECAST, 0)
    forecaster.start_from(held, 5)
    assert forecaster(held.x).isfinite().all()


def test_frozen_kernels_train_their_scale_alone_and_remember_right() -> None:
    train = waves(30, 0)
    network = made("kernels", SERIES)
    assert [n for n, p in network.named_parameters() if p.requires_grad] == ["head.scale"]
    with torch.no_grad():
        before = network(train.x)
        network.start_from(train, 5)  # what was remembered is of other weights
        after = network(train.x)
    assert not torch.equal(before, after)
    for x in (train.x, train.x.clone().requires_grad_()):
        torch.testing.assert_close(network(x).detach(), after, atol=1e-4, rtol=1e-4)
    network.train()(train.x).sum().backward()
    assert float(network.head.scale.grad) == pytest.approx(float(after.sum()), abs=1e-2)
    seen: list[Tensor] = []
    hook = network.eval().stem.register_forward_hook(lambda _, x, out: seen.append(out))
    with torch.no_grad():
        network(train.x)
    hook.remove()
    assert len(seen) == 1  # who watches the stem sees every row of it
    assert not made("kernels", SERIES, frozen=False).head.frozen


def test_explanations_reach_the_steps_of_kernels() -> None:
    network = made("kernels", SERIES)
    train = waves(60, 0)
    network.start_from(train, 5)
    tokens = network.stem(train.x).requires_grad_()
    network.head(network.trunk(tokens))[:, 0].sum().backward()
    assert tokens.grad.isfinite().all()
    by_channel = tokens.grad[:, :, :3].abs().mean((0, 1))
    assert by_channel[1] > 0


@pytest.mark.parametrize("inputs", [FORECAST, KNOWN], ids=["past", "known future"])
def test_the_linear_map_is_found_in_closed_form(inputs: ForecastInputs) -> None:
    held, true = line_windows(600, inputs, 0)
    network = made("linear", inputs, inputs.horizon * inputs.targets, residual=0)
    network.start_from(held, 5)
    torch.testing.assert_close(network.trunk.linear.weight, true, atol=5e-3, rtol=0.0)
    torch.testing.assert_close(network.trunk.linear.bias, torch.full((inputs.horizon,), 0.7), atol=5e-3, rtol=0.0)
    torch.testing.assert_close(network(held.x), held.y, atol=0.05, rtol=0.0)


def test_unknown_truths_do_not_bend_the_linear_map() -> None:
    held, true = line_windows(900, FORECAST, 0)
    gone = torch.rand(held.y.shape, generator=torch.Generator().manual_seed(1)) < 0.2
    network = made("linear", FORECAST, 8, residual=0)
    network.start_from(Held(held.x, held.y.masked_fill(gone, torch.nan)), 5)
    torch.testing.assert_close(network.trunk.linear.weight, true, atol=0.02, rtol=0.0)


@pytest.mark.parametrize("kind", FORECASTERS)
def test_every_forecaster_starts_near_the_linear_forecast(kind: str) -> None:
    held, _ = line_windows(600, FORECAST, 0)
    network = made(kind, FORECAST, 8)
    with torch.no_grad():
        last_value = (network(held.x) - held.y).square().mean()
        network.start_from(held, 5)
        assert (network(held.x) - held.y).square().mean() < 0.2 * last_value


@pytest.mark.parametrize(("frozen", "names"), [(True, {"trunk.linear.bias"}),
                                               (False, {"trunk.linear.bias", "trunk.linear.weight"})])  # fmt: skip
def test_a_frozen_linear_map_trains_its_constant_alone(frozen: bool, names: set[str]) -> None:
    network = made("linear", FORECAST, 8, residual=0, frozen=frozen)
    assert {n for n, p in network.named_parameters() if p.requires_grad} == names


def test_of_very_many_windows_some_are_read_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(Held):
        def take(self, at: Tensor) -> tuple[Tensor, Tensor]:
            seen.update(at.tolist())
            return super().take(at)

    monkeypatch.setattr(sequence, "_LEAST_WINDOWS", 50)
    monkeypatch.setattr(sequence, "_MOST_PRODUCTS", 1.0)
    seen: set[int] = set()
    inputs = ForecastInputs(channels=("x",), targets=1, known=0, window=4, horizon=1, season=None)
    made("linear", inputs, 1).start_from(Counted(torch.randn(300, 1, 4), torch.randn(300, 1)), 1)
    assert len(seen) == 50
    assert {0, 299} <= seen
    assert max(np.diff(sorted(seen))) <= 7


@pytest.mark.parametrize(
    ("architecture", "inputs", "message"),
    [
        ({"kind": "kernels", "thresholds": -1}, SERIES,
         "space.architecture.kernels: thresholds must not be negative"),
        ({"kind": "kernels", "groups": 5}, SERIES,
         "space.architecture.kernels: groups must be even and positive, kernels at least 2"),
        ({"kind": "inception", "kernel": 3}, SERIES, "space.architecture.inception: kernel must be at least 4"),
        ({"kind": "patchtst", "width": 10}, FORECAST,
         "space.architecture.patchtst: width 10 is not divisible by heads 4"),
        ({"kind": "linear", "residual": -1}, FORECAST,
         "space.architecture.linear: residual must not be negative, dropout in [0, 1)"),
        ({"kind": "linear"}, SERIES,
         "space.architecture: 'linear' does not read data of kind series\n  fix: families that do: "
         + ", ".join(LABELLED)),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_refused(architecture: dict[str, Any], inputs: Any, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        build(architecture, inputs, 8)
    assert str(caught.value) == message


def test_shares_count_the_seen_steps_above_a_threshold() -> None:
    """One pattern of the 84, by hand: twos at the first three taps."""
    shares = Shares(1, 40, 3)
    held = waves(6, 2).x[:, 1:2]
    mask = (~held.isnan())[:, 0].float()
    x = held.nan_to_num()
    shares.look(x, mask)
    found = shares(x, mask).view(6, len(shares.dilations), 2, 3, 84)
    assert shares.taps[0].tolist() == [2.0, 2.0, 2.0, *[-1.0] * 6]
    row = np.pad(x[4, 0].double().numpy(), 8)  # dilation 2: taps from 8 steps before to 8 after
    answers = sum(w * row[2 * k : 2 * k + 40] for k, w in enumerate([2.0] * 3 + [-1.0] * 6))
    seen = mask[4].numpy() > 0.5
    for threshold in range(3):
        above = (answers > float(shares.thresholds[1, 0, 0, threshold])) & seen
        assert float(found[4, 1, 0, threshold, 0]) == pytest.approx(above.sum() / seen.sum(), abs=1e-6)
    assert 0.2 < float(found.mean()) < 0.8


def test_thresholds_are_quantiles_of_answers_in_training_rows_and_padding_is_none_of_them() -> None:
    shares = Shares(2, 40, 2)
    x, mask = torch.randn(5, 2, 40), torch.ones(5, 40)
    shares.look(x, mask)
    longer = Shares(2, 40, 2)
    longer.views.copy_(shares.views)
    cut = mask.clone()
    cut[:, 30:] = 0
    longer.look(x * cut[:, None], cut)
    assert not torch.equal(longer.thresholds, shares.thresholds)
    changed = torch.where(cut[:, None] > 0, x, 99.0)
    again = Shares(2, 40, 2)
    again.views.copy_(shares.views)
    again.look(changed * cut[:, None], cut)
    assert torch.equal(again.thresholds, longer.thresholds)
    assert longer(x * cut[:, None], cut).isfinite().all()


def test_the_baseline_and_the_family_count_the_same_wins() -> None:
    """Two programs of one idea, given the same kernels."""
    inputs = SeriesInputs(channels=("x",), length=40, mean=(0.1,), std=(1.5,))
    network = made("kernels", inputs)
    x = waves(6, 2).x[:, 1:2]
    tokens = network.stem(x)
    x_BCT, real = tokens[:, :, :1].transpose(1, 2).double().numpy(), tokens[:, :, 1].numpy() > 0.5
    drawn = network.trunk.wins.kernels[1, 0, :, 0].reshape(32, 8, 9).double().numpy()
    theirs = np.sqrt(baseline._wins(x_BCT, real, drawn, np.zeros((32, 1), int), 2))
    ours = network.trunk.wins(*channels_and_mask(tokens))[:, 2 * 512 : 3 * 512].double().numpy()
    assert ours == pytest.approx(theirs, abs=1e-4)
