"""Operators that ONNX has no equal of, written in those it has. Used on the graph, so networks stay as they are."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

_CENTRE = (
    (-59.9633501014107895267, 98.0010754185999661536, -56.6762857469070293439, 13.9312609387279679503,
     -1.23916583867381258016),
    (1.0, 1.95448858338141759834, 4.67627912898881538453, 86.3602421390890590575, -225.462687854119370527,
     200.260212380060660359, -82.0372256168333339912, 15.9056225126211695515, -1.18331621121330003142),
)  # fmt: skip
_TAIL = (
    (4.05544892305962419923, 31.5251094599893866154, 57.1628192246421288162, 44.0805073893200834700,
     14.6849561928858024014, 2.18663306850790267539, -0.140256079171354495875, -0.0350424626827848203418,
     -8.57456785154685413611e-4),
    (1.0, 15.7799883256466749731, 45.3907635128879210584, 41.3172038254672030440, 15.0425385692907503408,
     2.50464946208309415979, -0.142182922854787788574, -0.0380806407691578277194, -9.33259480895457427372e-4),
)  # fmt: skip
_EXP_MINUS_2 = 0.13533528323661269189
_ROOT_OF_2_PI = 2.50662827463100050242
_SMALLEST = 1e-14
"""Below it other coefficients would be needed."""


def lower_bound(
    ordered: Tensor,
    asked: Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """torch.searchsorted by halving: how many ordered values lie below each asked one (`right`: or equal it)."""
    if sorter is not None:
        raise NotImplementedError("searchsorted with a sorter")
    count, at = ordered.shape[-1], torch.zeros_like(asked, dtype=torch.long)
    right = right or side == "right"
    step = 1 << max(0, count.bit_length() - 1) if count else 0
    while step:
        last = (at + (step - 1)).clamp(max=count - 1)
        value = ordered[last] if ordered.ndim == 1 else ordered.gather(-1, last)
        below = (value <= asked) if right else (value < asked)
        at = torch.where(below & (at + step <= count), at + step, at)
        step //= 2
    return at.int() if out_int32 else at


def running_maximum(values: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """torch.cummax by looking 1, 2, 4, … places back; of equal values the last one's place is told, as there."""
    length = values.shape[dim]
    places = torch.arange(length, device=values.device).view([-1 if d == dim % values.ndim else 1
                                                              for d in range(values.ndim)])  # fmt: skip
    best, at = values, places.expand(values.shape)
    step = 1
    while step < length:
        before_best = torch.cat([best.narrow(dim, 0, step), best.narrow(dim, 0, length - step)], dim)
        before_at = torch.cat([at.narrow(dim, 0, step), at.narrow(dim, 0, length - step)], dim)
        larger = before_best > best
        best, at = torch.where(larger, before_best, best), torch.where(larger, before_at, at)
        step *= 2
    return best, at


def normal_quantile(share: Tensor) -> Tensor:
    """torch.special.ndtri for shares between 1e-14 and 1 - 1e-14, by the rational functions of Cephes (Moshier)."""
    y = share.double().clamp(_SMALLEST, 1 - _SMALLEST)
    upper = y > 1 - _EXP_MINUS_2
    tail = torch.where(upper, 1 - y, y)
    away = y - 0.5
    square = away * away
    centre = (away + away * (square * _ratio(square, _CENTRE))) * _ROOT_OF_2_PI
    root = (-2 * tail.clamp(max=_EXP_MINUS_2).log()).sqrt()
    beyond = root - root.log() / root - _ratio(1 / root, _TAIL) / root
    found = torch.where(tail > _EXP_MINUS_2, centre, torch.where(upper, beyond, -beyond))
    return found.to(share.dtype)


def _ratio(x: Tensor, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Tensor:
    above, below = (_polynomial(x, one) for one in coefficients)
    return above / below


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Return the polynomial whose highest power comes first, by Horner's rule."""
    total = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


STAND_INS: Mapping[Any, Callable[..., Any]] = {
    torch.ops.aten.searchsorted.Tensor: lower_bound,
    torch.ops.aten.cummax.default: running_maximum,
    torch.ops.aten.special_ndtri.default: normal_quantile,
}
"""What takes the place of an operator in a graph that becomes ONNX."""
