"""What stands in for torch's operators in ONNX gives their numbers."""

import pytest
import torch

from pipeline.delivery.operators import lower_bound, normal_quantile, running_maximum

RNG = torch.Generator().manual_seed(4)


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 64, 100])
def test_lower_bound_is_searchsorted(count: int, right: bool) -> None:
    ordered = torch.randint(0, 40, (5, count), generator=RNG).float().sort(1).values
    asked = torch.randint(-2, 43, (5, 30), generator=RNG).float()
    assert torch.equal(lower_bound(ordered, asked, right=right), torch.searchsorted(ordered, asked, right=right))
    assert torch.equal(lower_bound(ordered[0], asked, right=right), torch.searchsorted(ordered[0], asked, right=right))


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_running_maximum_is_cummax(dim: int) -> None:
    values = torch.randint(0, 5, (3, 4, 37), generator=RNG)
    best, at = running_maximum(values, dim)
    assert torch.equal(best, values.cummax(dim).values)
    assert torch.equal(at, values.cummax(dim).indices)


def test_normal_quantile_is_ndtri() -> None:
    share = torch.cat([torch.rand(5000, generator=RNG, dtype=torch.double), torch.logspace(-13, -1, 200).double()])
    share = torch.cat([share, 1 - share[share > 1e-12]])
    torch.testing.assert_close(normal_quantile(share), torch.special.ndtri(share), rtol=1e-13, atol=1e-13)
