"""Which training rows a prediction rests on, as far as the last layer knows; asked for by `interpret.influence`.

TracIn (Pruthi et al. 2020) with the final weights, and the gradients of the last linear layer's weights alone. Whether
its rows matter is tried: the last layer is fitted again without the rows that are said to help most, and without as
many others.

Legend: N training rows, R explained rows, F features of the last layer, K classes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from captum.influence import TracInCPFast
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from pipeline.attribution.budget import Clock

Values = NDArray[np.float64]

MOST_TRACED = 5000
_BATCH = 256
_REMOVED = 0.1
"""Share of the rows of the class that are taken away when the last layer is fitted again."""
_TRIED, _LEAST = 12, 4
"""Explained rows for which the last layer is fitted again, and for which it is even where there is no time left."""
_STEPS = 50
_HOLD = 1e-3
"""How strongly a refitted layer is held to what it was."""


@dataclass(frozen=True)
class Influence:
    """What training rows do to the loss of each explained row, and how sure that is."""

    scores: Values
    """(R, N); above 0: a step on the training row lowers the loss of the explained one."""
    own: Values
    """What a training row does to its own loss, (N,): large where it stands alone, as wrong labels do."""
    gains: Values
    """What the losses of some explained rows rise by more without the rows that help most than without others."""


def last_layer(network: nn.Module, x: Tensor) -> nn.Linear | None:
    """Return the linear layer that gives the outputs of rows x; none where the network ends otherwise.

    Networks that are several at once read several vectors of features per row.
    """
    head = getattr(network, "head", None)
    last = head[-1] if isinstance(head, nn.Sequential) and len(head) else head
    if not isinstance(last, nn.Linear):
        return None
    with torch.no_grad():
        found = features(network, last, x[:1])
    return last if found.shape == (1, last.in_features) else None


def influence(
    network: nn.Module,
    train: tuple[Tensor, Tensor],
    asked: tuple[Tensor, Tensor],
    clock: Clock,
    rng: np.random.Generator,
) -> Influence:
    """Return the influence of training rows (x, y (N,)) on explained rows (x, y (R,)) of classes."""
    layer = last_layer(network, asked[0])
    assert layer is not None
    loss = nn.CrossEntropyLoss(reduction="sum")
    traced = TracInCPFast(network, layer, TensorDataset(*train), ["the final weights"], lambda *_: 1.0, loss, _BATCH)
    scores = np.asarray(traced.influence(asked).detach().double())
    own = np.asarray(traced.self_influence().detach().double())
    return Influence(scores, own, _gains(network, layer, train, asked, scores, clock, rng))


def _gains(
    network: nn.Module,
    layer: nn.Linear,
    train: tuple[Tensor, Tensor],
    asked: tuple[Tensor, Tensor],
    scores: Values,
    clock: Clock,
    rng: np.random.Generator,
) -> Values:
    f_NF, f_RF = features(network, layer, train[0]), features(network, layer, asked[0])
    found = []
    for row, score in enumerate(scores[:_TRIED]):
        if row >= _LEAST and clock.spent > clock.seconds:
            break
        count = max(1, round(_REMOVED * int((train[1] == asked[1][row]).sum())))
        best = np.argsort(-score, kind="stable")[:count]
        same = np.flatnonzero((train[1] == asked[1][row]).numpy())
        others = rng.permutation(same)[:count]
        loss = [_loss_without(layer, (f_NF, train[1]), gone, (f_RF[row], asked[1][row])) for gone in (best, others)]
        found.append(loss[0] - loss[1])
    return np.array(found)


@torch.no_grad()
def features(network: nn.Module, layer: nn.Linear, x: Tensor) -> Tensor:
    """Return what the last layer reads, (B, F)."""
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    for part in torch.split(x, _BATCH):
        network(part)
    hook.remove()
    return torch.cat(seen) if seen else torch.zeros(0)


def _loss_without(
    layer: nn.Linear, train: tuple[Tensor, Tensor], gone: NDArray[np.int64], asked: tuple[Tensor, Tensor]
) -> float:
    """Return the loss of one row after the layer was fitted to the training rows that stay."""
    stay = torch.ones(len(train[1]), dtype=torch.bool)
    stay[torch.tensor(gone)] = False
    f, y = train[0][stay], train[1][stay]
    start = [part.detach().clone() for part in (layer.weight, layer.bias)]
    weights = [part.clone().requires_grad_() for part in start]
    steps = torch.optim.LBFGS(weights, max_iter=_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        steps.zero_grad()
        away = sum(((new - old) ** 2).sum() for new, old in zip(weights, start, strict=True))
        total: Tensor = nn.functional.cross_entropy(nn.functional.linear(f, *weights), y) + _HOLD * away
        total.backward()  # type: ignore[no-untyped-call]
        return total

    steps.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return float(nn.functional.cross_entropy(nn.functional.linear(asked[0][None], *weights), asked[1][None]))
