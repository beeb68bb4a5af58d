"""Which policy trains a candidate fastest on this machine: a few steps of each in turns, and a check that they agree.

Nothing is assumed of a device. The usual policy stays unless another is clearly faster, and one that computes otherwise
is taken only if its numbers stay near those of the usual one.
"""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pipeline.core.contracts import Budget, Candidate, Policy
from pipeline.core.settings import TrainerSettings
from pipeline.models import build
from pipeline.training.budgets import budget_of
from pipeline.training.data import Data
from pipeline.training.policy import policy_for, variants
from pipeline.training.training import Training

LEAST_GAIN = 1.05
"""So many times as fast as the usual policy another has to be."""
_LEAST_TURNS, _MOST_TURNS = 3, 25
_PARITY_STEPS, _PARITY_STEPS_OF_KIN = 8, 4
_GRADIENT, _LOSS = 0.2, 0.05
"""Largest distance of the first gradient as a share of its norm, and of the loss after the steps above as a share.

On Fashion-MNIST bf16 was 0.01 to 0.03 away for most families, and 0.16 to 0.21 for speednet as long as it whitened in
bf16; now that is done in fp32, and it is 0.07 to 0.09 away on photographs. The gradients of two batches of 64 rows were
0.6 to 1.1 apart.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """How far a policy's numbers are from those of the usual one, from the same start on the same rows."""

    gradient: float
    """|g' - g| / |g| of the first gradient g of all weights."""
    loss: float
    """|l' - l| / |l| of the loss l after a few steps."""

    @property
    def holds(self) -> bool:
        """Whether they are near enough. bf16 rounds to 0.4 %, and layers add their shares; NaN is never near."""
        return self.gradient <= _GRADIENT and self.loss <= _LOSS


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """One policy as measured."""

    policy: Policy
    speed_up: float
    """Median of turns, of steps a second against the usual policy; over a whole training, compilation included."""
    parity: Parity | None = None
    """None where the policy was not fast enough to be checked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Probed:
    """What a probe chose, and why."""

    policy: Policy
    turns: int
    """0: there was nothing to choose from, or a step takes too long to be measured."""
    tried: tuple[Tried, ...] = ()
    """All but the usual policy."""


def probe(
    candidate: Candidate, data: Data, trainer: TrainerSettings, *, seconds: float, compiled: bool = False
) -> Probed:
    """Return the fastest policy for candidates like this, found within about so many seconds.

    A turn is one real step of each policy, so that all meet the same load of the machine; the first turn only warms
    up. `compiled`: try compilation as well. torch's generators stay as they were.
    """
    usual, end = policy_for(trainer, data.inputs), time.monotonic() + seconds
    devices = [torch.cuda.current_device()] if usual.device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        with torch.device("meta"):
            network = build(candidate.architecture, data.inputs, data.outputs)
        choices = variants(trainer, network, usual, compiled=compiled)
        if len(choices) == 1:
            return Probed(policy=usual, turns=0)
        sides = _sides(candidate, data, trainer, choices)
        first, turns = _turn(sides), list[list[float]]()
        while len(turns) < _MOST_TURNS and (time.monotonic() < end or not turns):
            turns.append(_turn(sides))
            if time.monotonic() + (_LEAST_TURNS - len(turns)) * sum(turns[-1]) > end and len(turns) < _LEAST_TURNS:
                return Probed(policy=usual, turns=0)
        tried = []
        for k, side in list(enumerate(sides))[1:]:
            spent = first[k] if side.policy.compile else 0.0
            tried.append(Tried(policy=side.policy, speed_up=speed_up(turns, k, spent, _planned(side))))
        return _fastest(candidate, data, trainer, usual, Probed(policy=usual, turns=len(turns), tried=tuple(tried)))


def _sides(candidate: Candidate, data: Data, trainer: TrainerSettings, choices: Sequence[Policy]) -> list[Training]:
    """Return a training per policy, all from the same start."""
    first, *others = (_training(candidate, data, trainer, policy) for policy in choices)
    first.start()
    for other in others:
        other.network.load_state_dict(first.network.state_dict())
    return [first, *others]


def _training(candidate: Candidate, data: Data, trainer: TrainerSettings, policy: Policy) -> Training:
    return Training(candidate, data, _budget(data), seed=0, trainer=trainer, policy=policy)


def _budget(data: Data) -> Budget:
    return budget_of(None, None, data.inputs, len(data.train.y))


def _planned(training: Training) -> int:
    """Return the steps of a whole training."""
    return training.pace.budget.epochs * training.pace.steps_per_epoch


def _turn(sides: Sequence[Training]) -> list[float]:
    """Take a step with each, return the seconds of each."""
    return [_seconds(side) for side in sides]


def _seconds(training: Training) -> float:
    start = time.perf_counter()
    training.advance((training.pace.step + 0.5) / _planned(training))
    if training.device == "cuda":
        torch.cuda.synchronize()  # what runs on a GPU has not ended when its step returns
    return time.perf_counter() - start


def speed_up(turns: Sequence[Sequence[float]], k: int, first: float, steps: int) -> float:
    """Return how many times as fast as the first one the k-th policy is over a training of so many steps.

    `first`: seconds that its first step took, where that was compilation.
    """
    ratio = statistics.median(turn[0] / turn[k] for turn in turns)
    each = statistics.median(turn[0] for turn in turns)
    return each * steps / (each * steps / ratio + first)


def _fastest(candidate: Candidate, data: Data, trainer: TrainerSettings, usual: Policy, found: Probed) -> Probed:
    """Return what was found with the fastest policy that may be taken."""
    tried = sorted(found.tried, key=lambda one: -one.speed_up)
    for k, one in enumerate(tried):
        if one.speed_up < LEAST_GAIN:
            break
        if (one.policy.precision, one.policy.compile) != (usual.precision, usual.compile):
            tried[k] = replace(one, parity=parity_of(candidate, data, trainer, usual, one.policy))
        parity = tried[k].parity
        if parity is None or parity.holds:  # a layout alone merely adds in another order
            return replace(found, policy=one.policy, tried=tuple(tried))
    return replace(found, tried=tuple(tried))


def parity_of_kin(candidate: Candidate, data: Data, trainer: TrainerSettings, usual: Policy, other: Policy) -> Parity:
    """Compare two policies as for a probe, with fewer steps: for one of which a smaller network passed the whole check.

    torch's generators stay as they were.
    """
    devices = [torch.cuda.current_device()] if usual.device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        return parity_of(candidate, data, trainer, usual, other, _PARITY_STEPS_OF_KIN)


def parity_of(
    candidate: Candidate,
    data: Data,
    trainer: TrainerSettings,
    usual: Policy,
    other: Policy,
    steps: int = _PARITY_STEPS,
) -> Parity:
    """Compare two policies from the same start on the same rows, at the peak of the learning rate.

    Without dropout, whose draws may depend on the precision.
    """
    optimizer = replace(candidate.optimizer, warm_up=0.0, word_dropout=0.0)
    candidate = Candidate(architecture=_without_dropout(candidate.architecture), optimizer=optimizer)
    sides = _sides(candidate, data, trainer, (usual, other))
    gradients = [_gradient(side) for side in sides]
    losses = [_loss_after(side, steps) for side in sides]
    return Parity(
        gradient=float((gradients[1] - gradients[0]).norm() / gradients[0].norm()),
        loss=abs(losses[1] - losses[0]) / abs(losses[0]) if losses[0] else math.inf,
    )


def _without_dropout(node: Any) -> Any:
    """Return an architecture whose settings of dropout, of units or of branches, are 0."""
    if isinstance(node, Mapping):
        return {name: 0.0 if "drop" in name else _without_dropout(value) for name, value in node.items()}
    return [_without_dropout(value) for value in node] if isinstance(node, list | tuple) else node


def _gradient(training: Training) -> Tensor:
    """Return the gradient of all weights at the start, (P,)."""
    training.network.train()
    torch.autograd.backward(training.loss(next(training.batches.of(0))))
    found = [p.grad.to_dense().flatten() for p in training.network.parameters() if p.grad is not None]
    training.optimizer.zero_grad()
    return torch.cat(found).double()


def _loss_after(training: Training, steps: int) -> float:
    """Return the loss after so many steps, on rows of the first one."""
    training.advance((steps - 0.5) / _planned(training))
    with torch.no_grad():
        return float(training.loss(next(training.batches.of(0))))
