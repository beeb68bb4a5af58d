"""The running average of weights, which is scored and kept instead of the weights themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_OF_PROGRESS = 0.25
"""The half-life is at most this share of what was trained so far, so that an early average forgets the beginning."""


def share_of_new(before: float, progress: float, half_life: float) -> float:
    """Return the share of the present weights in an average that was last moved at the share `before`."""
    return float(1 - 0.5 ** ((progress - before) / min(half_life, _OF_PROGRESS * progress)))


def averageable(value: Tensor) -> bool:
    """Say whether a tensor of a network has an average: the difference of two infinities has none."""
    return value.is_floating_point() and bool(value.isfinite().all())


class Average:
    """Exponential average of float weights and buffers on their device; the half-life is a share of the budget."""

    def __init__(self, network: nn.Module, half_life: float, *, lazy: bool = True) -> None:
        """`lazy`: also of weights of modules that say `sparse = True`, which are many and of which a step changes few.

        The network must stay where it is: the average follows its tensors. Buffers that hold infinity, as the edges of
        a column's bins do, are constants.
        """
        self.half_life = half_life
        self.at = 0.0
        left_out = set() if lazy else {id(p) for m in network.modules() if _sparse(m) for p in m.parameters(False)}
        named = network.state_dict(keep_vars=True)
        self._live = {
            name: value.detach() for name, value in named.items() if averageable(value) and id(value) not in left_out
        }
        self.values = {name: value.clone() for name, value in self._live.items()}

    @torch.no_grad()
    def update(self, progress: float) -> None:
        """Move towards the weights as they are at this share of the budget."""
        if progress > self.at:
            share = share_of_new(self.at, progress, self.half_life)
            torch._foreach_lerp_(list(self.values.values()), list(self._live.values()), share)
            self.at = progress

    @contextmanager
    def shown(self, network: nn.Module) -> Iterator[None]:
        """Let the network have the average for a while."""
        own = {name: value.clone() for name, value in self._live.items()}
        self.give(network)
        try:
            yield
        finally:
            network.load_state_dict(own, strict=False)

    def give(self, network: nn.Module) -> None:
        """Let the network have the average for good."""
        network.load_state_dict(self.values, strict=False)

    def state(self) -> dict[str, Any]:
        """Return what a later process needs to go on."""
        return {"at": self.at, "values": self.values}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on where `state` was saved."""
        self.at = state["at"]
        for name, value in state["values"].items():
            self.values[name].copy_(value)


def _sparse(module: nn.Module) -> bool:
    return getattr(module, "sparse", False) is True
