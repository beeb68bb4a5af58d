"""What is special to the families for images: sizes, the whitening that starts from training rows, dropped paths."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.core.contracts import Budget, Candidate, ImageInputs, Optimizer
from pipeline.core.errors import SpaceError
from pipeline.models import build
from pipeline.models.blocks import DropPath, SqueezeExcite, drop_shares, halvings
from pipeline.models.cct import CctArchitecture, Tokens
from pipeline.models.resnet import ResnetArchitecture, block
from pipeline.models.rnn import ImageRows
from pipeline.models.speednet import SpeednetArchitecture, Whitening, identity_conv
from pipeline.training.data import Rows
from tests.models.test_conformance import made
from tests.training.test_fit import DATA, same, train

FAMILIES = ["speednet", "resnet", "convnext", "mbconv", "cct"]
DEEP: dict[str, dict[str, Any]] = {
    "speednet": {"stages": 6},
    "resnet": {"stages": 6},
    "convnext": {"stages": 6, "patch": 4},
    "mbconv": {"stages": 6},
    "cct": {"convolutions": 6},
}


def inputs_of(height: int, width: int, channels: int = 3) -> ImageInputs:
    return ImageInputs(channels=channels, height=height, width=width, mean=(0.4,) * channels, std=(0.25,) * channels)


def packed(x_BCHW: Tensor) -> Rows:
    x = x_BCHW.clamp(0, 255).to(torch.uint8).numpy()
    return Rows(x, torch.zeros(len(x), dtype=torch.long).numpy(), inputs_of(*x.shape[2:], x.shape[1]), "cpu")


def smooth(n: int, channels: int = 3, side: int = 12, seed: int = 0) -> Tensor:
    """Draw images whose neighbouring pixels and channels are alike, as in photos."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.randn(n, 1, side // 4, side // 4, generator=rng)
    fine = torch.randn(n, channels, side, side, generator=rng)
    return 110 + 50 * nn.functional.interpolate(coarse, size=(side, side), mode="bilinear") + 15 * fine


@pytest.mark.parametrize("architecture", [*({"kind": kind} for kind in FAMILIES), {"kind": "rnn", "width": 8}], ids=str)
@pytest.mark.parametrize(
    ("size", "channels", "outputs"),
    [((8, 8), 1, 2), ((28, 28), 1, 10), ((32, 32), 3, 10), ((8, 200), 3, 200), ((200, 8), 1, 2), ((97, 64), 3, 200),
     ((256, 256), 3, 200)], ids=str,
)  # fmt: skip
def test_any_size_can_be_built(
    architecture: dict[str, Any], size: tuple[int, int], channels: int, outputs: int
) -> None:
    with torch.device("meta"):
        network = build(architecture, inputs_of(*size, channels), outputs)
        assert network(torch.rand(2, channels, *size)).shape == (2, outputs)


@pytest.mark.parametrize("kind", FAMILIES)
def test_more_stages_than_the_smallest_image_can_be_halved(kind: str) -> None:
    network = made({"kind": kind, "width": 4} | DEEP[kind], inputs_of(8, 8)).train()
    assert network(torch.rand(1, 3, 8, 8)).isfinite().all()


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("size", [(9, 12), (28, 31)], ids=str)
def test_every_pixel_counts(kind: str, size: tuple[int, int]) -> None:
    """Strides and poolings that do not divide the size must not cut off the last rows."""
    network = made({"kind": kind, "width": 8}, inputs_of(*size)).eval()
    with torch.no_grad():  # filters that start as the identity see their neighbours only once they have moved
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    x = torch.rand(40, 3, *size, generator=torch.Generator().manual_seed(0), requires_grad=True)
    network(x).square().sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().sum((0, 1)) > 0).all()


@pytest.mark.parametrize("kind", FAMILIES)
def test_images_lie_channels_last_until_they_are_pooled(kind: str) -> None:
    """A copy between two layouts in every layer would cost more than the convolutions."""
    network = made({"kind": kind, "width": 8}, inputs_of(16, 16)).train()
    seen: list[bool] = []

    def note(_: nn.Module, __: Any, out: Tensor) -> None:
        seen.append(out.is_contiguous(memory_format=torch.channels_last))

    for layer in network.trunk.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(note)
    network(torch.rand(4, 3, 16, 16))
    assert seen
    assert all(seen)


def test_whitened_patches_are_uncorrelated_and_of_unit_variance() -> None:
    images = smooth(600)
    rows = packed(images)
    whitening = Whitening(inputs_of(12, 12))
    whitening.start_from(rows, seed=1)
    x_BCHW = (rows.take(torch.arange(600))[0].float() / 255 - 0.4) / 0.25
    patches = nn.functional.conv2d(x_BCHW, whitening.filters[: whitening.outputs // 2]).transpose(0, 1).flatten(1)
    torch.testing.assert_close(patches.cov(), torch.eye(12), atol=0.05, rtol=0)


def test_whitening_loses_nothing_where_the_rest_is_computed_in_bf16() -> None:
    whitening, x_BCHW = Whitening(inputs_of(12, 12)), smooth(50).float() / 255
    whitening.start_from(packed(smooth(50)), seed=1)
    plain = whitening(x_BCHW)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(whitening(x_BCHW), plain)
        rounded = nn.functional.conv2d(x_BCHW, whitening.filters)  # what would be lost
        assert whitening(x_BCHW.bfloat16()).dtype == torch.float32
    exact = nn.functional.conv2d(x_BCHW, whitening.filters)
    assert (rounded - exact).norm() > 0.01 * exact.norm()


def test_whitening_has_both_signs_and_is_a_basis_before_it_has_seen_data() -> None:
    whitening = Whitening(inputs_of(12, 12))
    half = whitening.filters[:12].flatten(1)
    torch.testing.assert_close(half @ half.T, torch.eye(12))
    for start in (False, True):
        if start:
            whitening.start_from(packed(smooth(50)), seed=1)
        assert torch.equal(whitening.filters[:12], -whitening.filters[12:])


def test_whitening_is_decided_by_rows_and_seed_and_is_not_trained() -> None:
    network, rows = made({"kind": "speednet", "width": 4}, inputs_of(120, 120)), packed(smooth(400, side=120))
    found = []
    for seed in (1, 1, 2):  # of images this large only some are read, so the seed matters
        network.start_from(rows, seed)
        found.append(network.state_dict()["trunk.0.filters"].clone())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    torch.testing.assert_close(found[0][0], found[2][0], atol=0.1, rtol=0.1)
    assert [name for name, _ in network.named_parameters() if name.startswith("trunk.0.")] == ["trunk.0.bias"]


@pytest.mark.parametrize(
    "images",
    [torch.full((1, 1, 8, 8), 7.0), torch.zeros(5, 1, 8, 8), smooth(1, 1, 8), torch.full((3, 1, 2, 2), 255.0)],
    ids=["one constant image", "black images", "one image", "images of four pixels"],
)
def test_whitening_of_next_to_nothing_is_finite(images: Tensor) -> None:
    network = made({"kind": "speednet", "width": 4}, inputs_of(*images.shape[2:], 1)).train()
    network.start_from(packed(images), seed=1)
    assert network(images.repeat(2, 1, 1, 1) / 255).isfinite().all()
    assert network.eval()(torch.rand(3, *images.shape[1:])).isfinite().all()


def test_grey_pictures_stored_in_colour_do_not_blow_up_their_rounding() -> None:
    """Directions without variance are divided by the floor, not by zero."""
    whitening = Whitening(inputs_of(12, 12))
    whitening.start_from(packed(smooth(200, channels=1).expand(-1, 3, -1, -1)), seed=1)
    assert whitening.filters.flatten(1).norm(dim=1).max() <= 5e-4**-0.5 + 1e-3


@pytest.mark.parametrize(
    ("side", "widths"),
    [
        (7, (32, 64)),
        (27, (32, 64, 128)),
        (31, (32, 64, 128)),
        (63, (32, 64, 128, 128)),
        (128, (32, 64, 128, 128, 128)),
    ],
)
def test_speednet_has_as_many_stages_as_the_image_allows(side: int, widths: tuple[int, ...]) -> None:
    assert SpeednetArchitecture().widths(side) == widths


def test_speednet_grows_by_two_or_three() -> None:
    assert SpeednetArchitecture(width=32, growth=3, stages=4).widths(31) == (32, 96, 192, 192)
    assert SpeednetArchitecture(width=8, stages=1).widths(31) == (8,)


def test_filters_start_as_the_identity() -> None:
    x = torch.rand(2, 5, 6, 6)
    assert torch.equal(identity_conv(5, 9)(x)[:, :5], x)
    assert torch.equal(identity_conv(5, 3)(x), x[:, :3])


def test_a_residual_block_starts_close_to_its_shortcut() -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 16, 9, 9)
    made_block = block(ResnetArchitecture(), 16, 16, 1, 0.0).train()
    assert (made_block(x) - x).std() < 0.1


def test_speednet_learns_and_the_seed_decides_everything() -> None:
    candidate = Candidate(
        architecture={"kind": "speednet", "width": 8}, optimizer=Optimizer(kind="muon", muon_lr=0.05, batch_size=16)
    )
    first, again = (train(Budget(epochs=5), candidate=candidate) for _ in range(2))
    assert first.records[-1].val_quality > 0.95
    assert same(first, again)
    other = Whitening(DATA.inputs)  # type: ignore[arg-type]
    assert not torch.equal(first.network.state_dict()["trunk.0.filters"], other.filters)


@pytest.mark.parametrize(("side", "tokens"), [(8, 64), (28, 49), (32, 64), (64, 64), (256, 64)])
def test_cct_has_a_few_dozen_tokens_whatever_the_size(side: int, tokens: int) -> None:
    made_tokens = Tokens(CctArchitecture(width=16), inputs_of(side, side))
    assert made_tokens(torch.rand(1, 3, side, side)).shape == (1, tokens, 16)


@pytest.mark.parametrize(("side", "rows"), [(8, 8), (28, 14), (64, 32), (256, 32)])
def test_a_recurrent_net_reads_at_most_32_rows(side: int, rows: int) -> None:
    assert ImageRows(inputs_of(side, side), 4)(torch.rand(2, 3, side, side)).shape == (2, rows, 4)


def test_dropped_paths_drop_whole_rows_and_keep_the_mean() -> None:
    torch.manual_seed(0)
    drop, x = DropPath(0.25), torch.ones(4000, 2, 3)
    out = drop.train()(x)
    kept = out[:, 0, 0] > 0
    assert torch.equal(out, torch.where(kept[:, None, None], x / 0.75, 0.0))
    assert out.mean().item() == pytest.approx(1, abs=0.04)
    assert torch.equal(drop.eval()(x), x)
    assert drop_shares(0.3, 3) == pytest.approx([0.1, 0.2, 0.3])


def test_squeeze_and_excite_scales_channels_by_the_whole_image() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 4, 5, 5)
    factors = (SqueezeExcite(4, 2)(x) / x).flatten(2)
    torch.testing.assert_close(factors, factors[:, :, :1].expand_as(factors))
    assert ((factors > 0) & (factors < 1)).all()


def test_halvings() -> None:
    assert [halvings(side, 6) for side in (5, 6, 11, 12, 27, 32)] == [0, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"kind": "speednet", "width": 0}, "speednet: width, growth and depth must be at least 1, stages not negative"),
        ({"kind": "resnet", "kernel": 4}, "resnet: kernel 4 is not odd"),
        ({"kind": "convnext", "layer_scale": 0.0}, "convnext: layer_scale must be positive, drop_path and dropout in"),
        ({"kind": "mbconv", "drop_path": 1.0}, "mbconv: drop_path and dropout must be in [0, 1)"),
        ({"kind": "cct", "width": 10, "heads": 4}, "cct: width 10 is not divisible by heads 4"),
    ],
)
def test_what_cannot_be_built_is_refused(architecture: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        build(architecture, inputs_of(8, 8), 3)
    assert str(caught.value).startswith(f"space.architecture.{message}")
