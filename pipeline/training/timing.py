"""How long predictions take on this machine."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.core.contracts import ModelCard, Number
from pipeline.metrics.intervals import median
from pipeline.training.predict import model_input


def latency(network: nn.Module, x: NDArray[Any], repeats: int = 50) -> Number:
    """Return the median milliseconds of one forward pass of the rows x, with a distribution-free interval."""
    rows, taken = torch.tensor(x), []
    with torch.no_grad():
        for _ in range(repeats + 5):
            start = time.perf_counter()
            network(model_input(rows))
            taken.append((time.perf_counter() - start) * 1000)
    return replace(median(np.array(taken[5:])), unit="ms")


def bounded_latency(model: ModelCard, batch: int, network: nn.Module, x: NDArray[Any]) -> Number:
    """Return the milliseconds of predicting `batch` rows where the network was trained, measured anew on a CPU."""
    trained = model.latency
    if trained is None or trained.device != "cpu":
        if trained is not None and trained.batch == batch:
            return Number(value=trained.milliseconds, n=1, unit="ms")
        return Number(value=None, n=0, reason="measured_elsewhere")
    before = torch.get_num_threads()
    torch.set_num_threads(trained.threads)
    try:
        return latency(network, x[:batch].repeat(-(-batch // len(x[:batch])), axis=0)[:batch])
    finally:
        torch.set_num_threads(before)
