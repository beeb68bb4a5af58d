"""Rows compared by several objectives at once, at a rung.

Before its end a row is compared by its score and by what was known before training. Calibration error and gaps between
groups, like the bounds on them, are looked at once it is complete: of a network trained by a percent they say nothing.
"""

import math
from collections.abc import Sequence

from pipeline.core.bounds import MEASURED
from pipeline.core.objectives import SCORE
from pipeline.metrics.fronts import Point, front, ordered
from pipeline.tuning.row import Row

_SMALLEST = 1e-12


def point_of(row: Row, rung: int, rungs: Sequence[float], names: Sequence[str]) -> Point:
    """Return what a row is compared by at a rung that it reached, the score first; inf for what is not known.

    Amounts that are known before training differ by orders of magnitude: distances are those of their logarithms.
    """
    found = [row.scores(rungs)[rung]]
    for name in names[1:]:
        amount = row.objectives.get(name, math.inf)
        if name not in MEASURED:
            found.append(math.log(max(amount, _SMALLEST)))
        elif rung == len(rungs) - 1:
            found.append(amount)
    return tuple(found)


def best_first(rows: Sequence[Row], rung: int, rungs: Sequence[float], names: Sequence[str]) -> list[Row]:
    """Return rows that reached a rung, best first; those known to break a bound come last.

    With several objectives: by front, and of a front the rows with most room around them (NSGA-II, Deb et al. 2002; for
    rungs Schmucker et al. 2021, arXiv 2106.12639), so that what is small and cheap goes on beside what is good. That
    asks for no weights between objectives and no draws.
    """
    if len(names) == 1:
        return sorted(rows, key=lambda row: (row.excess > 0, row.scores(rungs)[rung], row.place))
    kept = [row for row in rows if not row.excess]
    places = ordered([point_of(row, rung, rungs, names) for row in kept])
    broken = sorted((row for row in rows if row.excess), key=lambda row: (row.excess, row.place))
    return [kept[i] for i in places] + broken


def front_rows(rows: Sequence[Row], rung: int, rungs: Sequence[float], names: Sequence[str]) -> list[Row]:
    """Return those of some rows at a rung that no other betters in all objectives; none of them breaks a bound."""
    kept = [row for row in rows if not row.excess]
    return [kept[i] for i in front([point_of(row, rung, rungs, names) for row in kept])]


ALONE = (SCORE,)
"""The objectives of a search that minimises the score alone."""
