"""States of torch's generators: what goes on later, or elsewhere, draws what it would have drawn at once."""

from collections.abc import Mapping

import torch
from torch import Tensor


def generator_states(device: str) -> dict[str, Tensor]:
    """Return the states of the generators that a training on a device draws from."""
    states = {"cpu": torch.get_rng_state()}
    return states if device == "cpu" else states | {"cuda": torch.cuda.get_rng_state()}


def restore(states: Mapping[str, Tensor]) -> None:
    """Put the generators back to where they were."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"])
