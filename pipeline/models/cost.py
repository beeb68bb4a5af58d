"""What an architecture costs, known before it is trained: weights, multiply-adds, memory; and its measured latency.

Counted are products of matrices, convolutions, attention and recurrences, one multiply-add for each pair of numbers
multiplied, and one for each number that a bag of embeddings adds up. Norms, activations and poolings are not: they are
a few per cent of the work, and their time is memory traffic. Rows are of full length, without padding.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import PackedSequence
from torch.utils.flop_counter import FlopCounterMode

from pipeline.core.contracts import ForecastInputs, ImageInputs, Inputs, Latency, SeriesInputs, TextInputs
from pipeline.models import build, parameter_count

_WARM_UPS = 3
_REPEATS = 15
_ADAM_BYTES = 16  # of a weight: itself, its gradient and two moments, 4 bytes each
_STATES_KEPT = {nn.GRU: 7, nn.LSTM: 18}
"""Numbers that a recurrence keeps on a CPU for each step and unit of its state, as measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a network of an architecture costs."""

    parameters: int
    multiply_adds: int
    """Of one row, forward; training a step costs about three times as many."""
    activation_bytes: int
    """Kept of one row for the backward pass, in fp32.

    Attention is taken to keep its weights (T, T), as it does on a CPU with dropout; fused kernels keep less.
    """

    def training_bytes(self, batch: int) -> int:
        """Return the memory of a training step with AdamW: activations of a batch, weights and what belongs to each."""
        return batch * self.activation_bytes + _ADAM_BYTES * self.parameters


@dataclass(frozen=True, slots=True)
class Work:
    """What one forward pass over a batch did and kept."""

    multiply_adds: int
    saved_bytes: int
    """Of tensors kept for the backward pass, weights and buffers left out, each storage once."""


def cost_of(architecture: Mapping[str, Any], inputs: Inputs, outputs: int) -> Cost:
    """Return the cost of an architecture; nothing is computed where shapes do not depend on values.

    Cost per row is half the difference between four rows and two, so that what does not grow with the batch is left
    out. Torch's generator stays as it was.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            small, large, parameters = _measured(architecture, inputs, outputs, "meta")
        except (NotImplementedError, RuntimeError):  # packing sequences and cutting padding need values
            small, large, parameters = _measured(architecture, inputs, outputs, "cpu")
    return Cost(
        parameters=parameters,
        multiply_adds=(large.multiply_adds - small.multiply_adds) // 2,
        activation_bytes=(large.saved_bytes - small.saved_bytes) // 2,
    )


def _measured(architecture: Mapping[str, Any], inputs: Inputs, outputs: int, device: str) -> tuple[Work, Work, int]:
    with torch.device(device):
        network = build(architecture, inputs, outputs).train()
    small, large = (work_of(network, example_rows(inputs, n, gaps=False).to(device)) for n in (2, 4))
    return small, large, parameter_count(network)


def work_of(network: nn.Module, x: Tensor) -> Work:
    """Run a batch forward and return what that took."""
    own = {part.untyped_storage()._cdata for part in (*network.parameters(), *network.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}  # holding them keeps an address from being given out twice

    def keep(saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return saved

    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten._embedding_bag: _bag_flops})
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved)
    with _recurrences_by_formula(network, keep) as recurrences, sdpa_kernel(SDPBackend.MATH), counter, hooks:
        network(x)
    return Work(
        counter.get_total_flops() // 2 + sum(work.multiply_adds for work in recurrences),
        sum(storage.nbytes() for storage in kept.values()) + sum(work.saved_bytes for work in recurrences),
    )


def _bag_flops(weight_ND: Any, indices: Any, *_: Any, **__: Any) -> int:
    return 2 * int(math.prod(indices)) * int(weight_ND[1])


@contextmanager
def _recurrences_by_formula(network: nn.Module, keep: Callable[[Tensor], Tensor]) -> Iterator[list[Work]]:
    """Let GRUs and LSTMs give zeros of the right shape and note their work; step by step it would take seconds."""
    found: list[Work] = []
    cells = [module for module in network.modules() if isinstance(module, nn.GRU | nn.LSTM)]

    def stand_in(cell: nn.GRU | nn.LSTM) -> Callable[..., tuple[Any, Any]]:
        def forward(x: Tensor | PackedSequence, *_: Any) -> tuple[Any, Any]:
            steps = x.data if isinstance(x, PackedSequence) else x
            found.append(_recurrent_work(cell, keep(steps)))
            width = cell.hidden_size * (2 if cell.bidirectional else 1)
            out = steps.new_zeros(*steps.shape[:-1], width).requires_grad_()
            return (x._replace(data=out) if isinstance(x, PackedSequence) else out), None

        return forward

    for cell in cells:
        vars(cell)["forward"] = stand_in(cell)  # found before the method of the class
    try:
        yield found
    finally:
        for cell in cells:
            del vars(cell)["forward"]


def _recurrent_work(cell: nn.GRU | nn.LSTM, steps: Tensor) -> Work:
    """Each weight is used once in each step of each row: gates · (D + H) · H for every layer and direction."""
    places = steps.numel() // steps.shape[-1]
    weights = sum(weight.numel() for name, weight in cell.named_parameters() if name.startswith("weight"))
    directions = 2 if cell.bidirectional else 1
    between = (cell.num_layers - 1) * directions * cell.hidden_size
    states = cell.num_layers * directions * cell.hidden_size * _STATES_KEPT[type(cell)]
    return Work(places * weights, places * (between + states) * steps.element_size())


def measured_latency(network: nn.Module, inputs: Inputs, *, batch: int, device: str, threads: int) -> Latency:
    """Return how long a prediction takes: the median of 15 repeats after 3 that do not count, fp32, no gradients."""
    before, mode = torch.get_num_threads(), network.training
    home = next(iter(network.parameters())).device
    torch.set_num_threads(threads)
    network = network.to(device).eval()
    x = example_rows(inputs, batch, gaps=False).to(device)
    took = []
    try:
        with torch.inference_mode():
            for _ in range(_WARM_UPS + _REPEATS):
                start = time.perf_counter()
                network(x)
                if device == "cuda":
                    torch.cuda.synchronize()
                took.append(1000 * (time.perf_counter() - start))
    finally:
        torch.set_num_threads(before)
        network.to(home).train(mode)
    low, middle, high = torch.tensor(took[_WARM_UPS:]).quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
    return Latency(
        batch=batch, device=device, threads=threads, milliseconds=round(middle, 4), spread=round(high - low, 4)
    )


def example_rows(inputs: Inputs, n: int, seed: int = 0, *, gaps: bool = True) -> Tensor:
    """Draw inputs (n, …) as networks receive them; with `gaps`, of several lengths and with missing values."""
    rng = torch.Generator().manual_seed(seed)
    if isinstance(inputs, ImageInputs):
        return torch.rand(n, inputs.channels, inputs.height, inputs.width, generator=rng)
    if isinstance(inputs, TextInputs):
        x = torch.randint(1, len(inputs.vocabulary) + 2, (n, inputs.length), generator=rng)
        lengths = torch.randint(min(4, inputs.length), inputs.length + 1, (n, 1), generator=rng)
        return torch.where(torch.arange(inputs.length) < lengths, x, 0) if gaps else x
    if isinstance(inputs, SeriesInputs):
        series = torch.randn(n, len(inputs.channels), inputs.length, generator=rng)
        lengths = torch.randint(min(2, inputs.length), inputs.length + 1, (n, 1, 1), generator=rng)
        gone = (torch.arange(inputs.length) >= lengths) | (torch.rand(series.shape, generator=rng) < 0.05)
        return series.masked_fill(gone, torch.nan) if gaps else series
    if isinstance(inputs, ForecastInputs):
        series = torch.randn(n, len(inputs.channels), inputs.length, generator=rng).cumsum(2)
        series[:, : len(inputs.channels) - inputs.known, inputs.window :] = torch.nan
        return series.masked_fill(torch.rand(series.shape, generator=rng) < 0.05, torch.nan) if gaps else series
    columns = [
        torch.randint(len(c.categories) + 1, (n,), generator=rng).float()
        if c.kind == "categorical"
        else _numbers(c.atoms, n, rng)
        for c in inputs.columns
    ]
    flags = [torch.randint(2, (n,), generator=rng).float() for _ in range(inputs.places - len(columns))]
    return torch.stack([*columns, *flags], dim=1)


def _numbers(atoms: tuple[float, ...], n: int, rng: torch.Generator) -> Tensor:
    """Draw n numbers of a column, some of which are its frequent values if it has any."""
    x = torch.randn(n, generator=rng)
    if not atoms:
        return x
    drawn = torch.tensor(atoms)[torch.randint(len(atoms), (n,), generator=rng)]
    return torch.where(torch.rand(n, generator=rng) < 0.5, drawn, x)
