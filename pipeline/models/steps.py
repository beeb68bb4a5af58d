"""Convolutions over steps that know which steps are real: what lies beyond the end is 0 and counts for nothing.

Legend: B rows, C channels, T steps. A mask (B, 1, T) is 1 where a step is real.
"""

import math

import torch
from torch import Tensor, nn

TAPS = 9
"""Of kernels that are not trained."""


def dilations(length: int) -> list[int]:
    """Return the powers of two at which nine taps fit a series."""
    return [2**i for i in range(1 + int(math.log2(max(1.0, (length - 1) / (TAPS - 1)))))]


def answers(x_BCT: Tensor, kernels_KW: Tensor, views_KC: Tensor, dilation: int) -> Tensor:
    """Return what each kernel of W taps says at each step of the sum of the channels it views (B, K, T).

    Beyond both ends there is 0. As one product of matrices: on a processor, convolutions of one channel take six times
    as long.
    """
    taps, steps = kernels_KW.shape[-1], x_BCT.shape[-1]
    wide = nn.functional.pad(x_BCT, (dilation * (taps // 2),) * 2)
    windows = torch.cat([wide[..., k * dilation : k * dilation + steps] for k in range(taps)], dim=1)
    out: Tensor = (kernels_KW[:, :, None] * views_KC[:, None, :]).flatten(1) @ windows
    return out


class StepNorm(nn.Module):
    """Batch norm (Ioffe and Szegedy 2015) whose mean and variance are of real steps alone."""

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(self, x_BCT: Tensor, mask_B1T: Tensor) -> Tensor:
        """Return normalised steps; those beyond the end are no longer 0."""
        mean, variance = self.mean, self.variance
        if self.training:
            steps = mask_B1T.sum().clamp(min=1)
            mean = (x_BCT * mask_B1T).sum((0, 2)) / steps
            variance = ((x_BCT - mean[:, None]).square() * mask_B1T).sum((0, 2)) / steps
            with torch.no_grad():
                self.mean.lerp_(mean, self.momentum)
                self.variance.lerp_(variance, self.momentum)
        scale = self.weight * (variance + 1e-5).rsqrt()
        out: Tensor = x_BCT * scale[:, None] + (self.bias - mean * scale)[:, None]
        return out


def odd_kernel(wanted: int, length: int) -> int:
    """Return the longest odd kernel up to `wanted` steps that is no longer than the series."""
    kernel = max(1, min(wanted, length))
    return kernel - (kernel % 2 == 0)


def step_conv(channels: int, width: int, kernel: int, *, groups: int = 1) -> nn.Conv1d:
    """Return a convolution that keeps the steps; a norm follows, so it needs no constant."""
    return nn.Conv1d(channels, width, kernel, padding=kernel // 2, groups=groups, bias=False)
