"""How many rows and steps there is time for: measured on a few rows, then reduced step by step until it fits."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pipeline.attribution.methods import Method
from pipeline.attribution.task import Task, unit_count

DRAWS = 48
"""Random groups of cells that are removed."""
_PILOT = 4
_FEWEST_ROWS, _FEWEST_STEPS = 4, 16


class Clock:
    """Seconds that are left of those a person allows."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self._start = seconds, time.monotonic()

    @property
    def spent(self) -> float:
        """Since the start."""
        return time.monotonic() - self._start

    def rows(self, wanted: int, each: float, share: float) -> int:
        """Return how many rows, at so many seconds each, fit before this share of all is spent; few are none."""
        fit = int((share * self.seconds - self.spent) / max(each, 1e-9))
        return wanted if fit >= wanted else (fit if fit >= _FEWEST_ROWS else 0)


@dataclass(frozen=True)
class Costs:
    """Seconds that one row takes, once through the network, and there and back."""

    forward: float
    backward: float


@dataclass(frozen=True)
class Plan:
    """What there is time for, and in words what that leaves out."""

    rows: int
    steps: int
    reduced: tuple[str, ...]


def measured(task: Task) -> Costs:
    """Return what rows cost on this machine; of a first one it is not measured."""
    for rows in (1, _PILOT):
        few = task.of(slice(rows))
        x = few.x.clone().requires_grad_() if few.x.is_floating_point() else few.x
        learned = [part for part in (x, *few.network.parameters()) if part.requires_grad]
        start = time.monotonic()
        with torch.no_grad():
            few.outputs(few.x)
        middle = time.monotonic()
        torch.autograd.grad(few.outputs(x).sum(), learned, allow_unused=True)
        end = time.monotonic()
    return Costs((middle - start) / len(few.x), (end - middle) / len(few.x))


def plan(
    task: Task,
    methods: Sequence[Method],
    costs: Costs,
    wanted: tuple[int, int],
    curves: tuple[int, int],
    seconds: float,
) -> Plan:
    """Return rows and steps of which maps, curves, removals and maps of a randomised network take so many seconds.

    `wanted`: rows and integration steps; `curves`: steps in which input is removed, and random orders. Steps fall to a
    quarter first, then rows.
    """
    (rows, steps), (removals, orders) = wanted, curves
    curve = min(removals, unit_count(task.inputs)) + 1
    once = (2 * (len(methods) + 1) + orders) * curve + DRAWS + 2 * sum(m.forwards(task.inputs) for m in methods)
    ladder = [(rows, max(steps // by, min(steps, _FEWEST_STEPS))) for by in (1, 2, 4)]
    few = rows
    while few > _FEWEST_ROWS:
        few = max(_FEWEST_ROWS, few // 2)
        ladder.append((few, ladder[2][1]))
    fits = (p for p in ladder if p[0] * (2 * p[1] * costs.backward + once * costs.forward) <= seconds)
    chosen = next(fits, ladder[-1])
    said = [f"{chosen[0]} of {rows} rows" if chosen[0] < rows else "", f"{chosen[1]} of {steps} integration steps"
            if chosen[1] < steps else ""]  # fmt: skip
    return Plan(*chosen, tuple(words for words in said if words))
