"""How many passes a training wants where nobody said: a rule per kind of data, from runs without any search."""

import math

from pipeline.core.contracts import Budget, ForecastInputs, ImageInputs, Inputs, SeriesInputs, TableInputs, TextInputs


def usual_epochs(inputs: Inputs, rows: int) -> int:
    """Return the passes over `rows` training rows after which small networks from scratch gain little more.

    Few rows need many passes and many rows few; `seconds` may end a training before.
    """
    match inputs:
        case ImageInputs():
            wanted, least, most = 1e6 / rows, 12, 60
        case TextInputs():
            wanted, least, most = 5e4 / rows, 4, 12
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
