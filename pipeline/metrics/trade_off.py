"""Error against a gap between groups: all ways to decide that are there, their front, and what a move costs.

Gaps are differences of extremes, so noise alone makes them larger than 0, and more so for small groups. A difference of
two gaps on the same rows has that on both sides; its interval is of a bootstrap of rows.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import Decision, Move, Number, TradeOff
from pipeline.metrics.fronts import front
from pipeline.metrics.gaps import LEAST_ROWS, RATES, largest_gap
from pipeline.metrics.intervals import proportion
from pipeline.metrics.rates import Rate, rates_of
from pipeline.metrics.resampling import interval, resampled_sums
from pipeline.metrics.scores import paired_gain

Cells = NDArray[np.bool_]
_DRAWS = 1000
_POSITIVE = 1


@dataclass(frozen=True, slots=True)
class Way:
    """What is decided about each row (N,), and by which thresholds where they depend on the group."""

    positive: Cells
    thresholds: Mapping[str, float] = field(default_factory=dict)


def trade_off(
    gap: str,
    feature: str,
    group: NDArray[np.object_],
    y: NDArray[np.int64],
    ways: Mapping[str, Way],
    rng: np.random.Generator,
    level: float = 0.95,
) -> TradeOff | None:
    """Return error and gap of every way, and the moves from the first way to those of the front with a smaller gap.

    None: fewer than two groups are large enough.
    """
    predicted = {name: way.positive.astype(np.int64) for name, way in ways.items()}
    gaps = {name: largest_gap(gap, y, said, {feature: group}, level) for name, said in predicted.items()}
    first, *_ = ways
    if any(number.value is None for number in gaps.values()):
        return None
    right = {name: said == y for name, said in predicted.items()}
    values = {name: float(number.value or 0.0) for name, number in gaps.items()}
    ahead = set(front([(float((~right[name]).mean()), values[name]) for name in ways]))
    decisions = tuple(
        Decision(
            name=name,
            error=proportion(int((~right[name]).sum()), len(y), level),
            gap=gaps[name],
            front=i in ahead,
            thresholds=dict(way.thresholds),
        )
        for i, (name, way) in enumerate(ways.items())
    )
    ends = [d.name for d in decisions if d.front and d.name != first and values[d.name] < values[first]]
    draws = _gap_draws(gap, group, y, {name: predicted[name] for name in (first, *ends)}, rng) if ends else {}
    moves = tuple(
        _move(
            first,
            end,
            paired_gain(right[first], right[end], level),
            _change_of_gap(gaps[first], values[end], draws[end] - draws[first], level),
        )
        for end in ends
    )
    return TradeOff(feature=feature, gap=gap, decisions=decisions, moves=moves)


def _gap_draws(
    gap: str,
    group: NDArray[np.object_],
    y: NDArray[np.int64],
    predicted: Mapping[str, NDArray[np.int64]],
    rng: np.random.Generator,
) -> dict[str, NDArray[np.float64]]:
    """Return the gap of each way (B,) in the same resamples of the rows."""
    cells: list[list[tuple[str, Cells, list[Cells]]]] = []
    rates = {
        name: [r for r in rates_of(y, said, _POSITIVE) if r.name in RATES[gap]] for name, said in predicted.items()
    }
    kinds: list[Rate] = next(iter(rates.values()))
    for i, kind in enumerate(kinds):
        of_rate = []
        for value in dict.fromkeys(group):
            rows = kind.counts & (group == value)
            if int(rows.sum()) >= LEAST_ROWS:
                of_rate.append((str(value), rows, [rows & rates[name][i].hit for name in predicted]))
        cells.append(of_rate)
    columns = [column for of_rate in cells for _, rows, hits in of_rate for column in (rows, *hits)]
    sums = iter(resampled_sums(np.stack(columns, axis=1).astype(np.float64), rng, _DRAWS).T)
    spreads: dict[str, list[NDArray[np.float64]]] = {name: [] for name in predicted}
    for of_rate in cells:
        shares: dict[str, list[NDArray[np.float64]]] = {name: [] for name in predicted}
        for _ in of_rate:
            rows_B = next(sums)
            for name in predicted:
                shares[name].append(np.divide(next(sums), rows_B, out=np.full(len(rows_B), np.nan), where=rows_B > 0))
        for name, found in shares.items():
            if len(found) > 1:
                spreads[name].append(np.ptp(np.stack(found), axis=0))
    return {name: np.max(np.stack(found), axis=0) for name, found in spreads.items()}


def _change_of_gap(start: Number, end: float, draws: NDArray[np.float64], level: float) -> Number:
    """Return the gap there minus the gap here, no surer below 0 than it is sure that there is a gap here.

    Resamples of a difference of extremes lie above 0 even where there is none, so a move to no gap would always seem to
    narrow one; a change lies above minus the gap here, which may be as small as its own lower limit.
    """
    assert start.value is not None
    found = interval(end - start.value, draws, start.n, level)
    if found.ci_high is None or start.ci_low is None:
        return found
    return replace(found, ci_high=max(found.ci_high, -start.ci_low))


def _move(start: str, end: str, error: Number, gap: Number) -> Move:
    words = f"from {start} to {end}: error {_change(error)}, gap {_change(gap)}"
    return Move(start=start, end=end, error=error, gap=gap, words=f"{words}; {_price(error, gap)}")


def _change(number: Number) -> str:
    assert number.value is not None
    limits = "" if number.ci_low is None else f" [{number.ci_low:+.4f}, {number.ci_high:+.4f}]"
    return f"{number.value:+.4f}{limits}"


def _price(error: Number, gap: Number) -> str:
    costs = (
        "costs accuracy" if _low(error) > 0 else "gains accuracy" if _high(error) < 0 else "no price in accuracy shown"
    )
    narrows = "narrows the gap" if _high(gap) < 0 else "a smaller gap is not shown"
    return f"{narrows}, {costs}"


def _low(number: Number) -> float:
    return -math.inf if number.ci_low is None else number.ci_low


def _high(number: Number) -> float:
    return math.inf if number.ci_high is None else number.ci_high
