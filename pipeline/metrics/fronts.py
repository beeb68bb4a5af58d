"""Comparing by several numbers at once, all of which are to be small: fronts, crowding, hypervolume.

A point is a tuple of numbers, one per objective; inf stands for what is not known. Legend: N points, K objectives.
"""

import math
from collections.abc import Sequence

import numpy as np

Point = tuple[float, ...]


def front(points: Sequence[Point]) -> list[int]:
    """Return the places of the points that no other dominates, in order; equal points are there together."""
    return [i for i, rank in enumerate(ranks(points)) if rank == 0]


def ranks(points: Sequence[Point]) -> list[int]:
    """Return 0 for the points that none dominates, 1 for those that then none of the rest dominates, and so on.

    A point dominates another that it is nowhere larger than, and somewhere smaller.
    """
    found = np.full(len(points), -1)
    least_NN = np.ones((len(points), len(points)), dtype=bool)
    for axis in zip(*points, strict=True):
        x_N = np.array(axis, dtype=np.float64)
        least_NN &= x_N[:, None] <= x_N
    dominates_NN = least_NN & ~least_NN.T
    above_N = dominates_NN.sum(axis=0)
    rank = 0
    while (here_N := (found < 0) & (above_N == 0)).any():
        found[here_N] = rank
        above_N -= dominates_NN[here_N].sum(axis=0)
        rank += 1
    return found.tolist()


def crowding(points: Sequence[Point]) -> list[float]:
    """Return how far apart the neighbours of each point are, summed over objectives as shares of their range.

    The ends of each objective are at infinity (crowding distance of NSGA-II, Deb et al. 2002). Of equal points only the
    first has a distance: the others add nothing.
    """
    found = [0.0] * len(points)
    firsts = list({point: i for i, point in reversed(list(enumerate(points)))}.values())
    for axis in range(len(points[0]) if points else 0):
        order = sorted(firsts, key=lambda i: (points[i][axis], i))
        low, high = points[order[0]][axis], points[order[-1]][axis]
        found[order[0]] = found[order[-1]] = math.inf
        if low < high < math.inf:
            for before, i, after in zip(order, order[1:], order[2:], strict=False):
                found[i] += (points[after][axis] - points[before][axis]) / (high - low)
    return found


def ordered(points: Sequence[Point]) -> list[int]:
    """Return the places of the points, best first: by front, within it the least crowded, then the first objective."""
    rank = ranks(points)
    apart = [0.0] * len(points)
    for level in set(rank):
        level_of = [i for i, found in enumerate(rank) if found == level]
        for i, distance in zip(level_of, crowding([points[i] for i in level_of]), strict=True):
            apart[i] = distance
    return sorted(range(len(points)), key=lambda i: (rank[i], -apart[i], points[i], i))


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Return the volume of all that lies below the reference and is dominated by a point.

    Slice by slice along the last objective (Hypervolume by Slicing Objectives, While et al. 2006): exact, and fast
    enough for two or three of them.
    """
    if len(reference) == 1:
        return max(0.0, reference[0] - min((point[0] for point in points), default=reference[0]))
    below = sorted((p for p in points if p[-1] < reference[-1]), key=lambda point: point[-1])
    ends = [point[-1] for point in below[1:]] + [reference[-1]] * bool(below)
    return sum(
        (end - point[-1]) * hypervolume([p[:-1] for p in below[: i + 1]], reference[:-1])
        for i, (point, end) in enumerate(zip(below, ends, strict=True))
    )
