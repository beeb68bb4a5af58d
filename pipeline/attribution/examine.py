"""All methods on some rows, and all that is known of how far to believe each, within the seconds there are."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline.attribution.budget import Clock, Costs, Plan, fewer_removals
from pipeline.attribution.faithfulness import (
    deletion,
    draw_removals,
    infidelity,
    random_deletion,
    random_infidelity,
)
from pipeline.attribution.gradients import gradients_at, integrated_gradients
from pipeline.attribution.methods import Method
from pipeline.attribution.sanity import SHADES, distance, mean_known, randomised, sensitivity, similarity
from pipeline.attribution.task import Attribution, Task, cells, completeness, movable
from pipeline.core.contracts import TextInputs
from pipeline.core.seeds import stream

Values = NDArray[np.float64]

MAPS_SHARE = 0.4
"""Of the seconds, for maps, curves, removals and a randomised network."""
_DOUBLING_SHARE = 0.15
"""Of the seconds, for integration steps that double."""
_STRANGERS = 3
_PIECE = 4
"""Rows between two looks at the clock where time is short."""
_METHODS_SHARE, _REMOVALS_UNTIL = 0.5, 0.6
"""Shares of the seconds until which further methods are begun, and until which input is removed."""
_WEIGHTS_UNTIL, _BASELINE_UNTIL = 0.65, 0.75
"""Shares of the seconds until which other weights and other baselines are looked at."""
NO_TIME = "no time left: interpret.seconds"


@dataclass(frozen=True)
class Maker:
    """How maps of one method are made again of other rows, networks and baselines."""

    attribute: Callable[[Task], Values]
    seconds: float
    """Of one row."""
    has_baseline: bool = True


@dataclass
class Examined:
    """Maps of all methods on the rows of a task, and what stands behind their scorecard."""

    task: Task
    attributions: tuple[Attribution, ...]
    makers: Mapping[str, Maker]
    note: str
    """On the integration steps."""
    evidence: dict[str, dict[str, Values]]
    """Of each method: what was found for each row, by the name of the check."""
    gone: dict[str, dict[str, str]]
    """Why a check of a method was left out."""
    reduced: list[str] = field(default_factory=list)
    """What was looked at on fewer rows or left out, for want of time."""
    forward: float = 0.0
    """Seconds of a row's prediction, at the slowest pace that was seen."""

    def look(self, check: str, clock: Clock, until: float, seconds: float, judge: Callable[[slice], Values],
             item: Attribution) -> None:  # fmt: skip
        """Judge as many rows as there is time for, at so many seconds each, until this share of all is spent."""
        wanted = len(self.task.x)
        rows = clock.rows(wanted, seconds, until)
        if rows == 0:
            self.gone[item.method][check] = NO_TIME
            return
        parts = [slice(0, rows)]
        if 2 * rows * seconds > until * clock.seconds - clock.spent:  # so near the end, paces are looked at again
            parts = [slice(at, min(at + _PIECE, rows)) for at in range(0, rows, _PIECE)]
        found: list[Values] = []
        for part in parts:
            if found and clock.rows(wanted, seconds, until) < part.stop - part.start:
                break
            before = clock.spent
            found.append(judge(part))
            seconds = max(seconds, (clock.spent - before) / (part.stop - part.start))
        values = np.concatenate(found)
        if len(values) < wanted:
            words = f"{check} of {item.method}".replace("_", " ")
            self.reduced.append(f"{words} on {len(values)} of {wanted} rows")
        self.evidence[item.method][check] = values


def explained(task: Task, methods: tuple[Method, ...], steps: int, clock: Clock, costs: Costs) -> Examined:
    """Return the attributions of all methods, and how each is made again."""
    start = clock.spent
    first, used, why = integrated_gradients(task, steps, _DOUBLING_SHARE * clock.seconds, lambda: clock.spent)
    begun = clock.spent - start
    passes = len(task.x) * sum(steps * 2**i for i in range(round(math.log2(used / steps)) + 1))
    backward = max(costs.backward, begun / passes)
    slower = backward / max(costs.backward, 1e-9)
    makers = {first.method: Maker(lambda other: gradients_at(other, steps), steps * backward)}
    found, skipped = [first], []
    for method in methods:
        before = clock.spent
        expected = slower * costs.forward * method.forwards(task.inputs) * len(task.x)
        if before + expected > _METHODS_SHARE * clock.seconds:
            skipped.append(f"no {method.name}".replace("_", " "))
            continue
        found.append(method.attribute(task))
        each = (clock.spent - before) / len(task.x)
        makers[method.name] = Maker(_values_of(method), each, has_baseline=method.name != "grad_cam")
    names = [item.method for item in found]
    note = f"integrated gradients used {used} steps{why}"
    return Examined(task, tuple(found), makers, note, {n: {} for n in names}, {n: {} for n in names},
                    skipped, slower * costs.forward)  # fmt: skip


def _values_of(method: Method) -> Callable[[Task], Values]:
    return lambda task: method.attribute(task).values


def remove(found: Examined, planned: Plan, seed: int, clock: Clock | None = None) -> None:
    """Put each map to the tests that remove input, as many as the clock leaves time for."""
    if clock is not None:
        left = _REMOVALS_UNTIL * clock.seconds - clock.spent
        fewer = fewer_removals(planned, found.task, len(found.attributions), found.forward, left)
        if fewer != planned:
            found.reduced.append(f"{fewer.removals} of {planned.removals} planned steps of removal")
        planned = fewer
    task, of = found.task, cells(found.task.inputs)
    orders = stream(seed, "interpret", "random orders")
    random = random_deletion(task, found.attributions[0], planned.removals, planned.orders, orders)
    removals = draw_removals(task, planned.draws, stream(seed, "interpret", "removals"))
    for item in found.attributions:
        removal = deletion(task, item, planned.removals, random)
        found.evidence[item.method] |= {
            "errors": completeness(task, item.values),
            "curves": removal.curves,
            "random": removal.random,
            "insertion": removal.insertion,
            "infidelity": infidelity(removals, of, item.values),
            "random_infidelity": random_infidelity(removals, of, item.values, stream(seed, "interpret", item.method)),
        }


def change_weights(found: Examined, clock: Clock, seed: int) -> None:
    """Compare each map with those of networks that have learned nothing: of three where there is time, else of one.

    With few inputs, one such network may look at the same ones by chance.
    """
    task, can, away = found.task, movable(found.task), distance(found.task)
    strangers = [randomised(task.network, stream(seed, "interpret", "weights", i)) for i in range(_STRANGERS)]
    for item in found.attributions:
        maker = found.makers[item.method]

        fits = clock.rows(len(task.x), _STRANGERS * maker.seconds, _WEIGHTS_UNTIL) == len(task.x)
        count = _STRANGERS if fits else 1

        def judge(rows: slice, item: Attribution = item, maker: Maker = maker, count: int = count) -> Values:
            others = [maker.attribute(replace(task.of(rows), network=one)) for one in strangers[:count]]
            known = None if away is None else away[rows]
            return mean_known([similarity(item.values[rows], other, can[rows], known) for other in others])

        found.look("randomised", clock, _WEIGHTS_UNTIL, count * maker.seconds, judge, item)


def change_baseline(found: Examined, baseline: Tensor, clock: Clock) -> None:
    """Compare each map with that towards another baseline of each row."""
    task, can = found.task, movable(found.task)
    for item in found.attributions:
        maker = found.makers[item.method]
        if not maker.has_baseline:
            found.gone[item.method]["other_baseline"] = "the method has no baseline"
            continue

        def judge(rows: slice, item: Attribution = item, maker: Maker = maker) -> Values:
            other = maker.attribute(replace(task.of(rows), baseline=baseline[rows]))
            return similarity(item.values[rows], other, can[rows])

        found.look("other_baseline", clock, _BASELINE_UNTIL, maker.seconds, judge, item)


def change_inputs(found: Examined, clock: Clock, seed: int) -> None:
    """Compare each map with those of inputs a shade beside."""
    for item in found.attributions:
        maker = found.makers[item.method]
        if isinstance(found.task.inputs, TextInputs):
            found.gone[item.method]["sensitivity"] = "words have no small changes"
            continue

        def judge(rows: slice, item: Attribution = item, maker: Maker = maker) -> Values:
            return sensitivity(found.task.of(rows), maker.attribute, stream(seed, "interpret", "shades", item.method))

        found.look("sensitivity", clock, 1.0, (SHADES + 1) * maker.seconds, judge, item)
