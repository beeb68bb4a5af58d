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


FAMILY = "architecture.kind"
"""The question for the family."""
_NEW_FAMILY = 0.1


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

    def __init__(
        self, rng: np.random.Generator, unsure: Confidence | None = None, family: Scalar | None = None
    ) -> None:
        """`unsure`: how sure to be where a node does not say; `family`: around whose defaults, where it does not."""
        super().__init__(rng)
        self._unsure, self._family = unsure, family

    def choice(self, name: str, node: Choice) -> Scalar:
        """Draw the default, or one of the other options."""
        others = [option for option in node.options if option != node.default]
        if name == FAMILY and node.prior is None and self._family in node.options:
            return self._family
        prior = node.prior or self._unsure
        if prior is None or not others:
            return super().choice(name, node)
        if self._rng.uniform() >= _DEVIATION[prior]:
            return node.default
        return others[int(self._rng.integers(len(others)))]

    def integer(self, name: str, node: IntRange) -> int:
        """Draw on the grid widened by half a step, so that the ends have their full share; or on the logarithm."""
        prior = node.prior or self._unsure
        return super().integer(name, node) if prior is None else near_integer(node, node.default, prior, self._rng)

    def number(self, name: str, node: FloatRange) -> float:
        """Draw on the line or on the logarithm."""
        prior = node.prior or self._unsure
        return super().number(name, node) if prior is None else near_number(node, node.default, prior, self._rng)


def near_integer(node: IntRange, centre: int, sure: Confidence, rng: np.random.Generator) -> int:
    """Draw an integer of the range around `centre`."""
    if node.log:
        value = round(math.exp(_near(math.log(node.low), math.log(centre), math.log(node.high), sure, rng)))
    else:
        half = node.step / 2
        drawn = _near(node.low - half, centre, node.high + half, sure, rng)
        value = node.low + node.step * round((drawn - node.low) / node.step)
    return min(max(value, node.low), node.high)


def near_number(node: FloatRange, centre: float, sure: Confidence, rng: np.random.Generator) -> float:
    """Draw a number of the range around `centre`."""
    if node.log:
        value = math.exp(_near(math.log(node.low), math.log(centre), math.log(node.high), sure, rng))
    else:
        value = _near(node.low, centre, node.high, sure, rng)
    return min(max(value, node.low), node.high)


def _near(low: float, centre: float, high: float, sure: Confidence, rng: np.random.Generator) -> float:
    normal = NormalDist(centre, _DEVIATION[sure] * (high - low))
    return normal.inv_cdf(float(rng.uniform(normal.cdf(low), normal.cdf(high))))


class MutationChooser(RandomChooser):
    """Repeats given answers but for a few, which it changes; questions that only the change opens get their default.

    One to three answers change. Numbers move by about an eighth of their range, options become another one. The family
    changes in one of ten.
    """

    def __init__(self, parent: Mapping[str, Scalar], rng: np.random.Generator) -> None:
        super().__init__(rng)
        self._parent = parent
        names = [name for name in parent if name != FAMILY]
        most = min(len(names), 1 + int(rng.choice(3, p=[0.4, 0.4, 0.2])))
        self._changed = {names[int(i)] for i in rng.permutation(len(names))[:most]}
        if FAMILY in parent and rng.uniform() < _NEW_FAMILY:
            self._changed.add(FAMILY)

    def choice(self, name: str, node: Choice) -> Scalar:
        """Return the parent's option, or another one."""
        own = self._parent.get(name, node.default)
        others = [option for option in node.options if option != own]
        if name not in self._changed or not others:
            return own if own in node.options else node.default
        return others[int(self._rng.integers(len(others)))]

    def integer(self, name: str, node: IntRange) -> int:
        """Return the parent's integer, or another one near it."""
        own = int(self._parent.get(name, node.default))
        if name not in self._changed or node.low == node.high:
            return own
        value = near_integer(node, own, "high", self._rng)
        if value != own:
            return value
        return own + node.step if own + node.step <= node.high else own - node.step

    def number(self, name: str, node: FloatRange) -> float:
        """Return the parent's number, or another one near it."""
        own = float(self._parent.get(name, node.default))
        return near_number(node, own, "high", self._rng) if name in self._changed else own


class GridChooser:
    """The combination with a number, counting through all answers as an odometer does; floats take so many values."""

    def __init__(self, number: int, points: int) -> None:
        """`number` counts from 0; `points` per float, between its ends and including them."""
        self._rest = number
        self._points = points
        self.size = 1
        """Combinations of the questions asked so far."""

    def choice(self, name: str, node: Choice) -> Scalar:
        """Return the option of this combination."""
        return node.options[self._digit(len(node.options))]

    def integer(self, name: str, node: IntRange) -> int:
        """Return the integer of this combination; a logarithmic range has `points` values as well."""
        if node.log:
            return round(self._between(math.log(node.low), math.log(node.high), log=True))
        return node.low + node.step * self._digit((node.high - node.low) // node.step + 1)

    def number(self, name: str, node: FloatRange) -> float:
        """Return the number of this combination."""
        low, high = (math.log(node.low), math.log(node.high)) if node.log else (node.low, node.high)
        return min(max(self._between(low, high, log=node.log), node.low), node.high)

    @property
    def beyond(self) -> bool:
        """Whether the number is larger than that of the last combination."""
        return self._rest > 0

    def _between(self, low: float, high: float, *, log: bool) -> float:
        share = self._digit(self._points) / max(1, self._points - 1)
        value = low + share * (high - low)
        return math.exp(value) if log else value

    def _digit(self, base: int) -> int:
        self._rest, digit = divmod(self._rest, base)
        self.size *= base
        return digit


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
