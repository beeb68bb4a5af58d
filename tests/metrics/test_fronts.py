"""Fronts, crowding and hypervolume against counting by hand and against Optuna."""

import math

import numpy as np
import optuna
import pytest
from optuna._hypervolume import compute_hypervolume

from pipeline.metrics.fronts import Point, crowding, front, hypervolume, ordered, ranks

POINTS = [(1.0, 9.0), (2.0, 4.0), (3.0, 5.0), (4.0, 4.0), (5.0, 1.0), (5.0, 2.0)]


def cloud(n: int, axes: int) -> list[Point]:
    return [tuple(p) for p in np.random.default_rng(axes).random((n, axes)).round(2).tolist()]


def test_the_front_is_what_no_other_betters() -> None:
    assert front(POINTS) == [0, 1, 4]
    assert ranks(POINTS) == [0, 0, 1, 1, 0, 1]
    assert ranks([(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (1.0, 1.0)]) == [0, 1, 2, 0]
    assert front([(1.0, math.inf), (2.0, 3.0), (2.0, math.inf)]) == [0, 1]
    assert front([]) == ordered([]) == crowding([]) == []


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_front_is_the_one_optuna_finds(axes: int) -> None:
    study = optuna.create_study(directions=["minimize"] * axes)
    points = cloud(60, axes)
    study.add_trials(optuna.trial.create_trial(values=list(point)) for point in points)
    known = [study.best_trial.number] if axes == 1 else [t.number for t in study.best_trials]
    assert set(known) <= set(front(points))
    assert {points[i] for i in known} == {points[i] for i in front(points)}


def test_ends_have_no_neighbour_and_equal_points_add_nothing() -> None:
    line = [(0.0, 10.0), (1.0, 6.0), (4.0, 2.0), (10.0, 0.0)]
    assert crowding(line) == [math.inf, pytest.approx(0.4 + 0.8), pytest.approx(0.9 + 0.6), math.inf]
    assert crowding([*line, (1.0, 6.0)])[-1] == 0
    assert ordered([(9.0, 9.0), *line]) == [1, 4, 3, 2, 0]


def test_the_hypervolume_is_the_area_below_the_reference() -> None:
    assert hypervolume([(1.0, 3.0), (2.0, 1.0)], (4.0, 4.0)) == 3 * 1 + 2 * 3 - 2 * 1
    assert hypervolume([(1.0, 3.0)], (1.0, 4.0)) == hypervolume([], (1.0, 1.0)) == 0
    assert hypervolume([(0.0, 0.0, 0.0), (-1.0, 2.0, 0.0)], (1.0, 1.0, 1.0)) == 1


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_hypervolume_is_optuna_s(axes: int) -> None:
    points, reference = cloud(40, axes), (0.9,) * axes
    inside = [p for p in points if max(p) < 0.9]
    known = compute_hypervolume(np.array(inside), np.array(reference)) if axes > 1 else 0.9 - min(points)[0]
    assert hypervolume(points, reference) == pytest.approx(known)
