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
_PILOT_SHARE = 0.05
"""Of the seconds, beyond which a first row is measure enough."""
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
    without: tuple[str, ...] = ()
    """Methods that are left out."""


def measured(task: Task, clock: Clock) -> Costs:
    """Return what rows cost on this machine; of a first one it is not measured, unless one alone takes long."""
    found = Costs(0.0, 0.0)
    for rows in (1, _PILOT):
        few = task.of(slice(rows))
        x = few.x.clone().requires_grad_() if few.x.is_floating_point() else few.x
        learned = [part for part in (x, *few.network.parameters()) if part.requires_grad]
        start = clock.spent
        with torch.no_grad():
            few.outputs(few.x)
        middle = clock.spent
        torch.autograd.grad(few.outputs(x).sum(), learned, allow_unused=True)
        end = clock.spent
        found = Costs((middle - start) / len(few.x), (end - middle) / len(few.x))
        if _PILOT * (end - start) > _PILOT_SHARE * clock.seconds:
            break
    return found


def plan(task: Task, methods: Sequence[Method], costs: Costs, wanted: Plan, seconds: float) -> Plan:
    """Return rows and steps of which maps, curves, removals and maps of a randomised network take so many seconds.

    Integration steps fall to a quarter first, then removals to a half, then rows, and removals to a quarter at last;
    then the dearest methods are left out, one by one. The least is one row of integrated gradients.
    """
    ladder, kept = list(_ladder(wanted)), list(methods)
    while True:
        chosen = next((one for one in ladder if _seconds(one, task, kept, costs) <= seconds), None)
        if chosen is not None:
            break
        if not kept:
            fewest = [replace(ladder[-1], rows=rows) for rows in (2, 1) if rows <= wanted.rows]
            chosen = next((one for one in fewest if _seconds(one, task, kept, costs) <= seconds), fewest[-1])
            break
        kept.remove(max(kept, key=lambda method: method.forwards(task.inputs)))
    names = (("rows", "rows"), ("steps", "integration steps"), ("removals", "steps of removal"),
             ("orders", "random orders"), ("draws", "random groups"))  # fmt: skip
    said = [f"{getattr(chosen, key)} of {getattr(wanted, key)} {words}" for key, words in names
            if getattr(chosen, key) < getattr(wanted, key)]  # fmt: skip
    without = tuple(method.name for method in methods if method not in kept)
    said += [f"no {name}".replace("_", " ") for name in without]
    return replace(chosen, reduced=tuple(said), without=without)


def _seconds(one: Plan, task: Task, methods: Sequence[Method], costs: Costs) -> float:
    given = sum(method.forwards(task.inputs) for method in methods)
    gradients = 2 * one.steps * costs.backward
    return one.rows * (gradients + 2 * given * costs.forward) + removing(one, task, len(methods) + 1, costs.forward)


def removing(one: Plan, task: Task, maps: int, forward: float) -> float:
    """Return the seconds that removals for so many maps take."""
    curves = (2 * maps + one.orders) * (min(one.removals, unit_count(task.inputs)) + 1)
    return one.rows * (curves + one.draws) * forward


def fewer_removals(one: Plan, task: Task, maps: int, forward: float, seconds: float) -> Plan:
    """Return the plan with removals that fit the seconds left, at a pace that is now known better."""
    for by in (1, 2, 4, 8, 16):
        fewer = _coarser(one, one, by)
        if removing(fewer, task, maps, forward) <= seconds:
            break
    return fewer


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
