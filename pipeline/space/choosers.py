"""Who answers the questions of a space: a generator, what the writer believes, or the defaults."""

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Protocol

import numpy as np

from pipeline.core.errors import SpaceError
from pipeline.space.grammar import Choice, Confidence, FloatRange, IntRange, Scalar

_DEVIATION: Mapping[Confidence, float] = {"low": 0.5, "medium": 0.25, "high": 0.125}
"""Of the normal around a default, as a share of the range; NePS, the code beside PriorBand (Mallik et al. 2023)."""


class Chooser(Protocol):
    """Decides one named question at a time."""

    def choice(self, name: str, node: Choice) -> Scalar:
        """Return one of the options."""
        ...

    def integer(self, name: str, node: IntRange) -> int:
        """Return an integer of the range."""
        ...

    def number(self, name: str, node: FloatRange) -> float:
        """Return a number of the range."""
        ...


class RandomChooser:
    """Draws every answer from the given generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def choice(self, name: str, node: Choice) -> Scalar:
        """Draw one option, all equally likely."""
        return node.options[int(self._rng.integers(len(node.options)))]

    def integer(self, name: str, node: IntRange) -> int:
        """Draw a value of the grid, or on the logarithm."""
        if node.log:
            return int(
                np.clip(round(np.exp(self._rng.uniform(np.log(node.low), np.log(node.high)))), node.low, node.high)
            )
        return int(node.low + node.step * self._rng.integers((node.high - node.low) // node.step + 1))

    def number(self, name: str, node: FloatRange) -> float:
        """Draw evenly on the line or on the logarithm."""
        if node.log:
            value = float(np.exp(self._rng.uniform(np.log(node.low), np.log(node.high))))
            return min(max(value, node.low), node.high)
        return float(self._rng.uniform(node.low, node.high))


class PriorChooser(RandomChooser):
    """Draws around the default where a node says how sure it is, evenly elsewhere.

    Numbers: a normal around the default on the node's own scale, cut off at the range. Options: the default has one
    minus that deviation (1/2, 3/4, 7/8), the others share the rest, as in NePS.
    """

    def choice(self, name: str, node: Choice) -> Scalar:
        """Draw the default, or one of the other options."""
        others = [option for option in node.options if option != node.default]
        if node.prior is None or not others:
            return super().choice(name, node)
        if self._rng.uniform() >= _DEVIATION[node.prior]:
            return node.default
        return others[int(self._rng.integers(len(others)))]

    def integer(self, name: str, node: IntRange) -> int:
        """Draw on the grid widened by half a step, so that the ends have their full share; or on the logarithm."""
        if node.prior is None:
            return super().integer(name, node)
        if node.log:
            value = round(
                math.exp(self._around(math.log(node.low), math.log(node.default), math.log(node.high), node.prior))
            )
        else:
            half = node.step / 2
            drawn = self._around(node.low - half, node.default, node.high + half, node.prior)
            value = node.low + node.step * round((drawn - node.low) / node.step)
        return min(max(value, node.low), node.high)

    def number(self, name: str, node: FloatRange) -> float:
        """Draw on the line or on the logarithm."""
        if node.prior is None:
            return super().number(name, node)
        if node.log:
            value = math.exp(self._around(math.log(node.low), math.log(node.default), math.log(node.high), node.prior))
        else:
            value = self._around(node.low, node.default, node.high, node.prior)
        return min(max(value, node.low), node.high)

    def _around(self, low: float, default: float, high: float, prior: Confidence) -> float:
        normal = NormalDist(default, _DEVIATION[prior] * (high - low))
        return normal.inv_cdf(float(self._rng.uniform(normal.cdf(low), normal.cdf(high))))


class DefaultChooser:
    """Answers with the defaults, but for given answers; `answers` then holds every answer by name."""

    def __init__(self, given: Mapping[str, Scalar], where: str = "space.warm_start") -> None:
        self._given = given
        self._where = where
        self.answers: dict[str, Scalar] = {}

    def choice(self, name: str, node: Choice) -> Scalar:
        """Answer a question with options."""
        value = self._given.get(name, node.default)
        if value not in node.options:
            listed = ", ".join(str(o) for o in node.options)
            raise SpaceError(f"{self._where}: {name}: {value!r} is not an option", fix=f"one of: {listed}")
        self.answers[name] = value
        return value

    def integer(self, name: str, node: IntRange) -> int:
        """Answer a question for an integer."""
        value = self._within(name, node.low, node.high, node.default)
        if int(value) != value or (value - node.low) % node.step:
            raise SpaceError(f"{self._where}: {name}: {value!r} is not a value of the range")
        self.answers[name] = int(value)
        return int(value)

    def number(self, name: str, node: FloatRange) -> float:
        """Answer a question for a number."""
        value = float(self._within(name, node.low, node.high, node.default))
        self.answers[name] = value
        return value

    def _within(self, name: str, low: float, high: float, default: float) -> float:
        value = self._given.get(name, default)
        if isinstance(value, str | bool) or not low <= value <= high:
            raise SpaceError(f"{self._where}: {name}: {value!r} is not in [{low}, {high}]")
        return value
