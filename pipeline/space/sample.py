"""From the tree to one candidate. A chooser decides; the tree does not know who that is."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from pipeline.core.contracts import Candidate, Origin
from pipeline.core.errors import SpaceError
from pipeline.core.strict import nearest, read
from pipeline.space.grammar import Choice, Constant, FloatRange, Group, IntRange, Node, OneOf, Scalar, Space


class Chooser(Protocol):
    """Decides one named question at a time."""

    def choice(self, name: str, options: Sequence[Scalar], default: Scalar) -> Scalar:
        """Return one of the options."""
        ...

    def integer(self, name: str, node: IntRange) -> int:
        """Return an integer of the range."""
        ...

    def number(self, name: str, node: FloatRange) -> float:
        """Return a number of the range."""
        ...


def sample(space: Space, chooser: Chooser) -> Candidate:
    """Walk the tree, ask the chooser at every open question, return the candidate."""
    return read(Candidate, draw(space.root, chooser), "space", SpaceError)


def draw(node: Node, chooser: Chooser, path: str = "") -> Any:
    """Return the plain value of a node: nested dicts, scalars and tuples."""
    match node:
        case Constant(value):
            return value
        case Choice(options, default):
            return chooser.choice(path, options, default)
        case IntRange():
            return chooser.integer(path, node)
        case FloatRange():
            return chooser.number(path, node)
        case OneOf(branches, default):
            kind = str(chooser.choice(f"{path}.kind", tuple(branches), default))
            return {"kind": kind, **draw(branches[kind], chooser, f"{path}.{kind}")}
        case Group(nodes):
            return {key: draw(sub, chooser, f"{path}.{key}" if path else key) for key, sub in nodes.items()}


class RandomChooser:
    """Draws every answer from the given generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def choice(self, name: str, options: Sequence[Scalar], default: Scalar) -> Scalar:
        """Draw one option, all equally likely."""
        return options[int(self._rng.integers(len(options)))]

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
            return float(np.exp(self._rng.uniform(np.log(node.low), np.log(node.high))))
        return float(self._rng.uniform(node.low, node.high))


class DefaultChooser:
    """Answers with the defaults, but for given answers; `answers` then holds every answer by name."""

    def __init__(self, given: Mapping[str, Scalar]) -> None:
        self._given = given
        self.answers: dict[str, Scalar] = {}

    def choice(self, name: str, options: Sequence[Scalar], default: Scalar) -> Scalar:
        """Answer a question with options."""
        value = self._given.get(name, default)
        if value not in options:
            listed = ", ".join(str(o) for o in options)
            raise SpaceError(f"space.warm_start: {name}: {value!r} is not an option", fix=f"one of: {listed}")
        self.answers[name] = value
        return value

    def integer(self, name: str, node: IntRange) -> int:
        """Answer a question for an integer."""
        value = self._within(name, node.low, node.high, node.default)
        if int(value) != value or (value - node.low) % node.step:
            raise SpaceError(f"space.warm_start: {name}: {value!r} is not a value of the range")
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
            raise SpaceError(f"space.warm_start: {name}: {value!r} is not in [{low}, {high}]")
        return value


def first_answers(space: Space) -> tuple[tuple[Origin, Mapping[str, Scalar]], ...]:
    """Return (origin, answers by name) of the candidates to try before any sampler is asked.

    The default of each family, the space's default family first, then `warm_start`.
    """
    families = sorted(space.architecture.branches, key=lambda name: name != space.architecture.default)
    wanted: list[tuple[Origin, dict[str, Scalar]]] = [("default", {"architecture.kind": family}) for family in families]
    wanted += [("warm_start", dict(entry)) for entry in space.warm_start]
    found: list[tuple[Origin, Mapping[str, Scalar]]] = []
    for origin, given in wanted:
        chooser = DefaultChooser(given)
        sample(space, chooser)
        for name in given:
            if name not in chooser.answers:
                near = nearest(name, list(chooser.answers))
                fix = f"did you mean '{near}'?" if near else "use the names that artifacts/search shows"
                raise SpaceError(f"space.warm_start: nothing is called '{name}' in this candidate", fix=fix)
        found.append((origin, chooser.answers))
    return tuple(found)
