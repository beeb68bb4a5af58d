"""Passes and rows of a step where nobody said: a rule per kind of data, from runs without any search."""

import math
from dataclasses import replace

from pipeline.core.contracts import (
    Budget,
    Candidate,
    ForecastInputs,
    ImageInputs,
    Inputs,
    Optimizer,
    SeriesInputs,
    TableInputs,
    TextInputs,
)


def usual_epochs(inputs: Inputs, rows: int) -> int:
    """Return the passes over `rows` training rows after which small networks from scratch gain little more.

    Few rows need many passes and many rows few; `seconds` may end a training before.
    """
    match inputs:
        case ImageInputs():
            wanted, least, most = 1e6 / rows, 12, 60
        case TextInputs():
            wanted, least, most = 3.5e4 / rows, 3, 10
        case SeriesInputs():
            wanted, least, most = 1e4 / rows, 20, 150
        case ForecastInputs():
            wanted, least, most = 8e4 / rows, 6, 30
        case TableInputs():
            wanted, least, most = 4e5 / rows, 12, 40
    return min(most, max(least, math.ceil(wanted)))


def budget_of(epochs: int | None, seconds: float | None, inputs: Inputs, rows: int) -> Budget:
    """Return what was declared, with the usual passes where none were."""
    return Budget(epochs=epochs or usual_epochs(inputs, rows), seconds=seconds)


_SLOWER, _SLOWER_SHARE = 2.0, 0.5


def trial_limit(default: float, share: float) -> float:
    """Return the seconds that no trial of a search may exceed.

    What the default takes, at most the share of one trial in the search's seconds. Slower families need more, and some
    are better: up to twice as much as the default, as far as half the share pays for it.

    Args:
        default: seconds of the default's usual passes.
        share: seconds, `search.trial_share` of those of the search.
    """
    return min(share, max(default, min(_SLOWER * default, _SLOWER_SHARE * share)))


def usual_batch(inputs: Inputs, rows: int) -> int:
    """Return the rows of a step that serve `rows` training rows: few rows need small steps to take enough of them."""
    match inputs:
        case ImageInputs():
            return _power(rows / 20, 32, 256)
        case TextInputs():
            return _power(rows / 100, 16, 64)
        case SeriesInputs():
            return _power(rows / 16, 8, 64)
        case ForecastInputs():
            return _power(rows / 250, 8, 64)
        case TableInputs():
            return 64 if rows < 2_000 else 256


def _power(wanted: float, least: int, most: int) -> int:
    """Return the nearest power of two within bounds that are powers themselves."""
    return min(most, max(least, int(2 ** round(math.log2(max(1.0, wanted))))))


def batch_of(optimizer: Optimizer, inputs: Inputs, rows: int) -> int:
    """Return the rows of a step as declared, or as usual."""
    return usual_batch(inputs, rows) if optimizer.batch_size == "auto" else optimizer.batch_size


def rows_at_once(optimizer: Optimizer, inputs: Inputs, rows: int, processes: int, parts: int) -> int:
    """Return the rows of a step that go through the network together: a part of what one of the processes takes."""
    return -(-batch_of(optimizer, inputs, rows) // (processes * parts))


def settled(candidate: Candidate, inputs: Inputs, rows: int) -> Candidate:
    """Return the candidate with a number where it says auto."""
    size = batch_of(candidate.optimizer, inputs, rows)
    return replace(candidate, optimizer=replace(candidate.optimizer, batch_size=size))
