"""How many rows and steps there is time for: measured on a few rows, then reduced step by step until it fits."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
    """Of the integration."""
    removals: int
    """Steps in which input is removed."""
    orders: int
    draws: int
    """Random groups of cells that are removed."""
    reduced: tuple[str, ...] = ()


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


def plan(task: Task, methods: Sequence[Method], costs: Costs, wanted: Plan, seconds: float) -> Plan:
    """Return rows and steps of which maps, curves, removals and maps of a randomised network take so many seconds.

    Integration steps fall to a quarter first, then removals to a half, then rows, and removals to a quarter at last.
    """
    units, given = unit_count(task.inputs), sum(method.forwards(task.inputs) for method in methods)

    def seconds_of(one: Plan) -> float:
        curves = (2 * (len(methods) + 1) + one.orders) * (min(one.removals, units) + 1)
        return one.rows * (2 * one.steps * costs.backward + (curves + one.draws + 2 * given) * costs.forward)

    ladder = list(_ladder(wanted))
    chosen = next((one for one in ladder if seconds_of(one) <= seconds), ladder[-1])
    names = (("rows", "rows"), ("steps", "integration steps"), ("removals", "steps of removal"),
             ("orders", "random orders"), ("draws", "random groups"))  # fmt: skip
    said = [f"{getattr(chosen, key)} of {getattr(wanted, key)} {words}" for key, words in names
            if getattr(chosen, key) < getattr(wanted, key)]  # fmt: skip
    return replace(chosen, reduced=tuple(said))


def _ladder(wanted: Plan) -> Iterator[Plan]:
    for by in (1, 2, 4):
        fewer = replace(wanted, steps=max(wanted.steps // by, min(wanted.steps, _FEWEST_STEPS)))
        yield fewer
    while fewer.rows > _FEWEST_ROWS:
        yield _coarser(fewer, wanted, 2)
        fewer = replace(fewer, rows=max(_FEWEST_ROWS, fewer.rows // 2))
    yield _coarser(fewer, wanted, 2)
    yield _coarser(fewer, wanted, 4)


def _coarser(one: Plan, wanted: Plan, by: int) -> Plan:
    return replace(one, removals=max(1, wanted.removals // by), orders=max(1, wanted.orders // by),
                   draws=max(1, wanted.draws // by))  # fmt: skip
