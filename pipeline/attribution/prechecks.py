"""Made sure of before any map: that what is explained is the function that predicts, and that it stays as it is."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pipeline.attribution.task import Task

_CLOSE = 1e-4
FAST_PATH_OFF = (
    "the fast path of attention computes another function than the one that has gradients: explained is the one "
    "without it"
)


@contextmanager
def same_function(task: Task) -> Iterator[tuple[str, ...]]:
    """Yield what was made sure of; within, attention takes its fast path only where that gives the same outputs.

    Afterwards the weights must be what they were. On the CPU, recurrent networks have gradients in evaluation mode;
    should a network lie on a GPU, cuDNN, which has none there, is kept from them.
    """
    assert not any(part.training for part in task.network.modules())
    fast, before = torch.backends.mha.get_fastpath_enabled(), fingerprint(task.network)
    with torch.no_grad():
        assert torch.equal(task.outputs(task.x), task.outputs(task.x)), "two calls give different outputs"
    sure = ["the network is in evaluation mode", "a repeated call gives the same outputs"]
    try:
        with torch.backends.cudnn.flags(enabled=False):
            if not agrees(task):
                torch.backends.mha.set_fastpath_enabled(False)
                assert agrees(task), "outputs with and without gradients differ"
                sure.append(FAST_PATH_OFF)
            sure.append("outputs with and without gradients agree")
            yield (*sure, "no method changed a weight")
        assert fingerprint(task.network) == before, "a method changed the network"
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def agrees(task: Task) -> bool:
    """Say whether outputs are the same with and without gradients."""
    with torch.no_grad():
        without = task.outputs(task.x)
    x = task.x.clone().requires_grad_() if task.x.is_floating_point() else task.x
    return bool(torch.allclose(without, task.outputs(x), atol=_CLOSE))


def fingerprint(network: nn.Module) -> str:
    """Return a digest of all weights and buffers."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(_bytes(value))
    return digest.hexdigest()


def _bytes(value: Tensor) -> bytes:
    flat = value.detach().cpu().contiguous().flatten()
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
