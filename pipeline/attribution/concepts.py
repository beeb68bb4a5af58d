"""Directions of concepts within a layer, and what outputs do along them (TCAV, Kim et al. 2018).

Own code and not Captum's: that takes concepts for the same when ids clash, pickles directions into a folder, and leaves
the test of significance to the reader. The classifier is scikit-learn's.

An output is a logit minus the mean of the others, because adding the same to all logits changes no prediction; of
labels and numbers it is the output itself. At the input of a linear head a direction raises an output for all rows or
for none, so scores of single runs are 0 or 1 there.

Legend: N rows, E examples of a concept, P pool of random training rows, F numbers of a layer, K outputs, I runs.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from pipeline.attribution.budget import Clock
from pipeline.core.errors import ConfigError
from pipeline.core.strict import nearest

Values = NDArray[np.float64]

FEATURES = "features"
"""What the head reads."""
MOST_NUMBERS = 16_384
"""Of a layer and row, beyond which no direction is fitted."""
_BATCH = 256
_HELD_OUT = 3
"""One in so many examples of a run is not fitted."""


@dataclass(frozen=True)
class Probe:
    """Where directions are looked for, and of which outputs the gradients are taken."""

    network: nn.Module
    layer: str
    rows: Sequence[tuple[int, Tensor]]
    """The place of each output, and rows as the network reads them."""
    contrast: bool
    """Whether an output is a logit minus the mean of the others."""
    runs: int


@dataclass(frozen=True)
class Sensitivity:
    """What was found of one concept at one layer."""

    correct: Values
    """Share of held-out examples on their side plus that of random rows on theirs, by run, over 2, (I,)."""
    examples: int
    scores: Values
    """Share of each output's rows that rise along the concept, (I, K)."""
    random: Values
    """The same along directions between random sets, (I, K)."""
    along: Values
    """Examples along the mean gradient of each output, (E, K)."""
    pool: Values
    """Random rows along it, (P, K)."""


@contextmanager
def _watched(network: nn.Module, layer: str) -> Iterator[list[Tensor]]:
    """Yield the list that takes what a layer hands on in each forward pass; its gradient ends there."""
    seen: list[Tensor] = []

    def keep(given: object) -> object:
        found = given[0] if isinstance(given, tuple) else given
        if not isinstance(found, Tensor) or not found.is_floating_point():
            raise ConfigError(f"interpret.concept_layers: {layer}: hands on no single tensor of numbers", fix=_FIX)
        leaf = found.detach().requires_grad_()
        seen.append(leaf)
        return (leaf, *given[1:]) if isinstance(given, tuple) else leaf

    modules = dict(network.named_modules())
    if layer == FEATURES:
        hook = modules["head"].register_forward_pre_hook(lambda _, given: keep(given))
    else:
        hook = modules[layer].register_forward_hook(lambda _, __, out: keep(out))
    try:
        yield seen
    finally:
        hook.remove()


_FIX = f"{FEATURES}, or the name of a part that the report's table of the network lists"


def check_layers(network: nn.Module, layers: Sequence[str], x: Tensor) -> None:
    """Make sure that each layer hands on numbers once in a forward pass of rows x.

    Raises:
        ConfigError: no such layer, one of another kind, or one with too many numbers per row.
    """
    known = [FEATURES, *(name for name, _ in network.named_modules() if name)]
    for layer in layers:
        where = f"interpret.concept_layers: {layer}"
        if layer not in known or (layer == FEATURES and "head" not in known):
            near = nearest(layer, known)
            raise ConfigError(f"{where}: the network has no such part", fix=f"did you mean {near}?" if near else _FIX)
        with _watched(network, layer) as seen, torch.no_grad():
            network(x[:1])
        if len(seen) != 1 or len(seen[0]) != 1:
            raise ConfigError(f"{where}: is not read once for each row", fix=_FIX)
        if (size := _flat(seen[0]).shape[1]) > MOST_NUMBERS:
            raise ConfigError(f"{where}: hands on {size:,} numbers a row, at most {MOST_NUMBERS:,} are looked at",
                              fix=_FIX)  # fmt: skip


def _flat(found: Tensor) -> Tensor:
    """Return (B, F): grids of images are averaged over their places, all else is laid out."""
    return found.mean((2, 3)) if found.ndim == 4 else found.flatten(1)


@torch.no_grad()
def activations(network: nn.Module, layer: str, x: Tensor) -> Values:
    """Return what a layer hands on of rows x (N, …), (N, F)."""
    with _watched(network, layer) as seen:
        for part in torch.split(x, _BATCH):
            network(part)
        return np.concatenate([np.asarray(_flat(part.detach()).double()) for part in seen])


def slopes(network: nn.Module, layer: str, x: Tensor, output: int, contrast: bool) -> Values:
    """Return the gradient of an output by a layer, (N, F); of a grid, that of moving all its places alike.

    `contrast`: the output is a logit minus the mean of the others.
    """
    found = []
    for part in torch.split(x, _BATCH):
        with _watched(network, layer) as seen, torch.enable_grad():
            out = network(part)
            own = out[:, output]
            if contrast:
                own = own - (out.sum(1) - own) / (out.shape[1] - 1)
            (slope,) = torch.autograd.grad(own.sum(), seen[0])
        found.append(np.asarray((slope.sum((2, 3)) if slope.ndim == 4 else slope.flatten(1)).double()))
    return np.concatenate(found)


def direction(inside: Values, outside: Values) -> tuple[Values, Pipeline]:
    """Return how activations move with a concept, a unit vector (F,), and the classifier that tells both sides apart.

    The classifier is ridge regression on +1 and -1, of numbers in their own deviations. Its weights say how to tell the
    sides apart, which is not how they differ: where numbers correlate or differ in scale, outputs may fall along the
    weights and rise with the concept. So the direction is the covariance of activations with what the classifier says
    (Haufe et al. 2014, theorem 1; of concepts Pahde et al. 2025). Zeros where nothing differs.
    """
    both = np.concatenate([inside, outside])
    told = make_pipeline(StandardScaler(), RidgeClassifier(alpha=float(both.shape[1])))
    told.fit(both, np.repeat([1, -1], [len(inside), len(outside)]))
    said = told.decision_function(both)
    moved = (both - both.mean(0)).T @ (said - said.mean())
    length = float(np.linalg.norm(moved))
    return moved / length if length > 0 else np.zeros_like(moved), told


def told_apart(inside: Values, outside: Values, rng: np.random.Generator) -> tuple[Values, float]:
    """Return the direction fitted on two thirds of both sides, (F,), and the share of the rest on the right side."""
    parts = []
    for side in (inside, outside):
        order = rng.permutation(len(side))
        held = max(1, len(side) // _HELD_OUT)
        parts.append((side[order[held:]], side[order[:held]]))
    (fit_in, held_in), (fit_out, held_out) = parts
    found, told = direction(fit_in, fit_out)
    return found, float((told.predict(held_in) == 1).mean() + (told.predict(held_out) == -1).mean()) / 2


def sensitivity_to(
    examples: Values, pool: Values, gradients: Sequence[Values], runs: int, rng: np.random.Generator, clock: Clock
) -> Sensitivity | None:
    """Return what outputs do along one concept: examples (E, F), random rows (P, F), gradients (N_k, F) of K outputs.

    Each run fits a direction between examples and as many random rows, and one between two sets of random rows. None:
    there was no time for all runs.
    """
    size = min(len(examples), len(pool) // 2)
    correct, scores, random = np.zeros(runs), np.zeros((runs, len(gradients))), np.zeros((runs, len(gradients)))
    for run in range(runs):
        if clock.spent > clock.seconds:
            return None
        order = rng.permutation(len(pool))
        one, other = pool[order[:size]], pool[order[size : 2 * size]]
        chosen = examples[rng.permutation(len(examples))[:size]]
        along, correct[run] = told_apart(chosen, one, rng)
        by_chance, _ = told_apart(other, one, rng)
        for k, slope in enumerate(gradients):
            scores[run, k] = _rising(slope, along)
            random[run, k] = _rising(slope, by_chance)
    mean = np.stack([slope.mean(0) for slope in gradients], axis=1)
    return Sensitivity(correct, size, scores, random, examples @ mean, pool @ mean)


def _rising(slope: Values, along: Values) -> float:
    """Return the share of rows that rise; rows on which nothing changes count half."""
    change = slope @ along
    return float((change > 0).mean() + (change == 0).mean() / 2)


def concepts(
    probe: Probe, examples: Sequence[Tensor], pools: Sequence[Tensor], rng: np.random.Generator, clock: Clock
) -> list[Sensitivity] | None:
    """Return what a layer says of each concept; None where there was no time for all.

    `examples` and `pools`: of each concept and of random rows beside it, as the network reads them.
    """
    gradients = []
    for output, x in probe.rows:
        if clock.spent > clock.seconds:
            return None
        gradients.append(slopes(probe.network, probe.layer, x, output, probe.contrast))
    found = []
    for part in zip(examples, pools, strict=True):
        inside, outside = (activations(probe.network, probe.layer, x) for x in part)
        one = sensitivity_to(inside, outside, gradients, probe.runs, rng, clock)
        if one is None:
            return None
        found.append(one)
    return found
