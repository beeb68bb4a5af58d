"""The running average of weights, which is scored and kept instead of the weights themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_OF_PROGRESS = 0.25
"""The half-life is at most this share of what was trained so far, so that an early average forgets the beginning."""


class Average:
    """Exponential average of all float weights and buffers; the half-life is a share of the budget."""

    def __init__(self, network: nn.Module, half_life: float) -> None:
        self.half_life = half_life
        self.at = 0.0
        self.values = {name: value.detach().clone() for name, value in _floats(network).items()}

    @torch.no_grad()
    def update(self, network: nn.Module, progress: float) -> None:
        """Move towards the weights as they are at this share of the budget."""
        if progress > self.at:
            half_life = min(self.half_life, _OF_PROGRESS * progress)
            share = 1 - 0.5 ** ((progress - self.at) / half_life)
            torch._foreach_lerp_(list(self.values.values()), list(_floats(network).values()), share)
            self.at = progress

    @contextmanager
    def shown(self, network: nn.Module) -> Iterator[None]:
        """Let the network have the average for a while."""
        own = {name: value.clone() for name, value in _floats(network).items()}
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


def _floats(network: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
