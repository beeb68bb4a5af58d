"""How the numbers of a training are computed: what was declared, what was recorded, what is usual.

Who measures is probe.py. A training that goes on, and the final one, take the policy that their record says.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

from torch import nn

from pipeline.core.contracts import ImageInputs, Inputs, Policy
from pipeline.core.errors import DeviceError
from pipeline.core.settings import TrainerSettings
from pipeline.models.network import ImageStem
from pipeline.training.device import choose_device
from pipeline.training.machine import has_bf16


def policy_for(settings: TrainerSettings, inputs: Inputs, recorded: Policy | None = None) -> Policy:
    """Return what is declared; where that is `auto`, what is recorded of this kind of device, else what is usual."""
    device, precision = choose_device(settings)
    usual = Policy(device=device, precision=precision, compile=False, parts=settings.accumulate,
                   memory_format="channels_last" if isinstance(inputs, ImageInputs) else None)  # fmt: skip
    had = recorded if recorded is not None and recorded.device == device else usual
    memory_format = had.memory_format if settings.memory_format == "auto" else settings.memory_format
    policy = Policy(
        device=device,
        precision=had.precision if settings.precision == "auto" else settings.precision,
        memory_format=memory_format if isinstance(inputs, ImageInputs) else None,
        compile=had.compile if settings.compile == "auto" else settings.compile,
        parts=max(settings.accumulate, had.parts),
    )
    if policy.compile and device == "cpu" and shutil.which(os.environ.get("CXX", "g++")) is None:
        raise DeviceError("conf.trainer.compile: there is no C++ compiler here", fix="trainer.compile=false")
    return policy


def variants(settings: TrainerSettings, network: nn.Module, usual: Policy, *, compiled: bool) -> tuple[Policy, ...]:
    """Return the policies worth a try for this network, the usual one first; what is declared stays as it is.

    `compiled`: whether to try compilation as well, which takes longer than many a training.
    """
    convolves = any(isinstance(layer, nn.Conv2d) for layer in network.modules())
    more_precisions: list[Literal["bf16"]] = ["bf16"] if settings.precision == "auto" and has_bf16(usual.device) else []
    free_layout = settings.memory_format == "auto" and usual.memory_format is not None and convolves
    more_layouts: list[Literal["contiguous"]] = ["contiguous"] if free_layout else []
    more_code = [True] if settings.compile == "auto" and compiled else []
    found = [
        replace(usual, precision=precision, memory_format=layout, compile=whole)
        for precision in [usual.precision, *more_precisions]
        for layout in [usual.memory_format, *more_layouts]
        for whole in [usual.compile, *more_code]
    ]
    return tuple(dict.fromkeys(found))


def unchecked(policy: Policy, usual: Policy) -> Policy:
    """Return what may be taken of a policy for a network that it was not compared on: how images lie in memory.

    Another precision or compilation may agree on a smaller network and not on this one.
    """
    return replace(usual, memory_format=policy.memory_format)


def why_no_bf16(settings: TrainerSettings, device: str) -> str | None:
    """Say why bf16 is not tried, if it is not."""
    if settings.precision != "auto":
        return f"trainer.precision is {settings.precision}"
    return None if has_bf16(device) else "this device makes products of bf16 out of fp32"


@contextmanager
def laid_out(stems: Sequence[ImageStem], memory_format: str | None) -> Iterator[None]:
    """Let images lie so in memory inside; outside they lie as in every prediction."""
    before = [stem.channels_last for stem in stems]
    for stem in stems:
        stem.channels_last = memory_format != "contiguous"
    try:
        yield
    finally:
        for stem, was in zip(stems, before, strict=True):
            stem.channels_last = was
