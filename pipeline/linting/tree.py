"""All that the linter knows of the shape of a space: its size, its open questions, and ways to answer them.

No other module of this room looks at nodes.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.space import (
    Choice,
    Chooser,
    Condition,
    Constant,
    FloatRange,
    Group,
    IntRange,
    Node,
    OneOf,
    Repeat,
    Scalar,
    Space,
)
from pipeline.space.grammar import walk

_DECADES = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How many candidates there are: different answers where they can be counted, and settings where they cannot."""

    different: int
    continuous: int
    """Of the branches and blocks with most."""
    at_most: bool = False
    """Whether conditions, what is forbidden, or growth make some of them the same or none."""


@dataclass(frozen=True, slots=True)
class Question:
    """An open setting, some answers worth trying (all options, or both ends), and those that lead to it."""

    name: str
    answers: tuple[Scalar, ...]
    node: Choice | IntRange | FloatRange
    reached_by: Mapping[str, Scalar] = field(default_factory=dict)


def families(space: Space) -> tuple[str, ...]:
    """Return the names of the families, that of the default first."""
    names = list(space.architecture.branches)
    return tuple(sorted(names, key=lambda name: name != space.architecture.default))


def family_answer(family: str) -> dict[str, Scalar]:
    """Return the answer that picks a family."""
    return {"architecture.kind": family}


def family_of(question: Question) -> str | None:
    """Return the family that a question belongs to; None for that of the family itself, and those of training."""
    found = question.reached_by.get("architecture.kind")
    return None if found is None else str(found)


def size_of_family(space: Space, family: str) -> Size:
    """Return the size of a family's architectures."""
    return size_of(space.architecture.branches[family])


def size_of(node: Node) -> Size:
    """Return the size of what is below a node: the product side by side, the sum over branches and counts."""
    match node:
        case Constant():
            return Size(different=1, continuous=0)
        case Choice(options):
            return Size(different=len(options), continuous=0, at_most=node.grow is not None)
        case IntRange(low, high, step):
            return Size(different=(high - low) // step + 1, continuous=0, at_most=node.grow is not None)
        case FloatRange():
            return Size(different=1, continuous=1)
        case OneOf(branches):
            below = [size_of(branch) for branch in branches.values()]
            return _size(below, sum(s.different for s in below), max(s.continuous for s in below))
        case Repeat(of=of, tie=tie):
            block = size_of(of)
            places = [1 if tie else count for count in _counts(node)]
            return _size([block], sum(block.different**n for n in places), max(block.continuous * n for n in places))
        case Group(nodes):
            below = [size_of(sub) for sub in nodes.values()]
            whole = math.prod(s.different for s in below)
            return _size(below, whole, sum(s.continuous for s in below), bool(node.when or node.forbid))


def _size(below: list[Size], different: int, continuous: int, at_most: bool = False) -> Size:
    return Size(different=different, continuous=continuous, at_most=at_most or any(s.at_most for s in below))


def _counts(node: Repeat) -> list[int]:
    return [node.count] if isinstance(node.count, int) else list(range(node.count.low, node.count.high + 1))


def questions(space: Space) -> tuple[Question, ...]:
    """Return every open setting; of a repeat, those of every block there may be."""
    return tuple(_questions(space.root, "", {}))


def _questions(node: Node, path: str, reached_by: Mapping[str, Scalar]) -> Iterator[Question]:
    match node:
        case Constant():
            return
        case Choice(options):
            yield Question(path, options, node, reached_by)
        case IntRange(low, high) | FloatRange(low, high):
            yield Question(path, (low, high), node, reached_by)
        case OneOf(branches):
            yield Question(f"{path}.kind", tuple(branches), node.kind, reached_by)
            for name, branch in branches.items():
                yield from _questions(branch, f"{path}.{name}", {**reached_by, f"{path}.kind": name})
        case Repeat(count=count, of=of, tie=tie):
            if isinstance(count, IntRange):
                yield from _questions(count, f"{path}.count", reached_by)
                reached_by = {**reached_by, f"{path}.count": count.high}
            for place in ("each",) if tie else range(node.most):
                yield from _questions(of, f"{path}.{place}", reached_by)
        case Group(nodes):
            for name, sub in nodes.items():
                yield from _questions(sub, f"{path}.{name}" if path else name, reached_by)


def forbidden(space: Space) -> tuple[Condition, ...]:
    """Return all that is forbidden, each as it was written once."""
    return tuple(condition for node in walk(space.root) if isinstance(node, Group) for condition in node.forbid)


def refusal(condition: Condition) -> str:
    """Return the words with which a draw is refused that is forbidden."""
    return f"{condition.where}: forbidden: {condition.text}"


def missing_logarithms(space: Space) -> tuple[Question, ...]:
    """Return ranges over more than two decades that are even on the line: nine in ten draws fall into the last one."""
    wide = 10.0**_DECADES
    return tuple(
        q
        for q in questions(space)
        if isinstance(q.node, IntRange | FloatRange) and not q.node.log and 0 < q.node.low * wide < q.node.high
    )


class Noting:
    """Gives fixed answers where there are some, asks another chooser for the rest, and notes all."""

    def __init__(self, other: Chooser, given: Mapping[str, Scalar]) -> None:
        self._other, self._given = other, given
        self.answers: dict[str, Scalar] = {}

    def choice(self, name: str, node: Choice) -> Scalar:
        """Return the given option, or another's."""
        if self._given.get(name) in node.options:
            return self._note(name, self._given[name])
        return self._note(name, self._other.choice(name, node))

    def integer(self, name: str, node: IntRange) -> int:
        """Return the given integer, or another's."""
        return int(self._note(name, self._given[name] if name in self._given else self._other.integer(name, node)))

    def number(self, name: str, node: FloatRange) -> float:
        """Return the given number, or another's."""
        return float(self._note(name, self._given[name] if name in self._given else self._other.number(name, node)))

    def _note(self, name: str, answer: Scalar) -> Scalar:
        self.answers[name] = answer
        return answer


class Ends:
    """Answers with the lowest or the highest number in architectures, else with the default."""

    def __init__(self, high: bool) -> None:
        self._high = high

    def choice(self, name: str, node: Choice) -> Scalar:
        """Return the smallest or the largest option."""
        numbers = [option for option in node.options if not isinstance(option, str)]
        if len(numbers) < len(node.options) or not _of_architecture(name):
            return node.default
        return max(numbers) if self._high else min(numbers)

    def integer(self, name: str, node: IntRange) -> int:
        """Return an end of the range."""
        return (node.high if self._high else node.low) if _of_architecture(name) else node.default

    def number(self, name: str, node: FloatRange) -> float:
        """Return an end of the range."""
        return (node.high if self._high else node.low) if _of_architecture(name) else node.default


def _of_architecture(name: str) -> bool:
    return name.startswith("architecture.")
