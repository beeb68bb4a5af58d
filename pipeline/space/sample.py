"""From the tree to one candidate. A chooser decides; the tree does not know who that is."""

from collections.abc import Mapping
from typing import Any

from pipeline.core.contracts import Candidate, Origin
from pipeline.core.errors import SpaceError
from pipeline.core.strict import nearest, read
from pipeline.space.choosers import Chooser, DefaultChooser
from pipeline.space.expressions import ABSENT, Absent, evaluate
from pipeline.space.grammar import (
    Choice,
    Condition,
    Constant,
    FloatRange,
    Group,
    IntRange,
    Leaf,
    Node,
    OneOf,
    Repeat,
    Scalar,
    Space,
    Value,
)
from pipeline.space.names import absolute


class Forbidden(SpaceError):  # noqa: N818  a draw that may not be is no error yet
    """A draw that is no candidate; the next one may be."""


def sample(space: Space, chooser: Chooser) -> Candidate:
    """Walk the tree, ask the chooser at every open question, return the candidate; Forbidden if it may not be."""
    return _candidate(space, _Draw(space.root, chooser))


def answers(space: Space, chooser: Chooser) -> dict[str, Scalar]:
    """Return what the chooser answers, by name, whether or not it makes a candidate."""
    draw = _Draw(space.root, chooser)
    draw.value(draw.root, "")
    return draw.answers


def _candidate(space: Space, draw: "_Draw") -> Candidate:
    tree = draw.value(draw.root, "")
    draw.refuse_forbidden()
    return read(Candidate, tree, space.where, SpaceError)


class _Draw:
    """One walk over the tree. Questions that a condition speaks of are asked before their turn, each once."""

    def __init__(self, root: Group, chooser: Chooser) -> None:
        self.root = root
        self.answers: dict[str, Scalar] = {}
        self.used: dict[str, Scalar] = {}
        """Answers as they stand in the candidate: what grows is not below the block before."""
        self._chooser = chooser
        self._forbid: list[tuple[Condition, Group, str]] = []

    def value(self, node: Node, path: str) -> Any:
        """Return the plain value of a node: nested dicts, scalars and tuples."""
        match node:
            case OneOf(branches):
                kind = str(self.leaf(node.kind, f"{path}.kind"))
                return {"kind": kind, **self.value(branches[kind], f"{path}.{kind}")}
            case Repeat(of=of, tie=True):
                return (self.value(of, f"{path}.each"),) * self.count(node, path)
            case Repeat(of=of):
                return tuple(self.value(of, f"{path}.{place}") for place in range(self.count(node, path)))
            case Group(nodes):
                self._forbid += [(condition, node, path) for condition in node.forbid]
                dot = f"{path}." if path else ""
                return {
                    key: self.value(sub, f"{dot}{key}") for key, sub in nodes.items() if self.exists(node, key, path)
                }
            case _:
                return self.leaf(node, path)

    def count(self, node: Repeat, path: str) -> int:
        """Return the number of blocks."""
        return node.count if isinstance(node.count, int) else int(self.ask(node.count, f"{path}.count"))

    def exists(self, group: Group, key: str, path: str) -> bool:
        """Say whether the condition of a node holds, if it has one."""
        condition = group.when.get(key)
        return condition is None or self.holds(condition, group, path)

    def holds(self, condition: Condition, group: Group, path: str) -> bool:
        """Evaluate an expression that stands in a group; what cannot be told does not hold."""
        try:
            value = evaluate(condition.expression, lambda name: self.look(absolute(name, group, path)))
        except (TypeError, ArithmeticError) as wrong:
            raise SpaceError(f"{condition.where}: {condition.text!r} cannot be computed: {wrong}",
                             fix="compare numbers with numbers and texts with texts") from None  # fmt: skip
        return value is not ABSENT and bool(value)

    def look(self, name: str) -> Value | Absent:
        """Return the value at a path from the top, or ABSENT if this candidate has none."""
        node: Node = self.root
        path = ""
        for step in name.split("."):
            match node:
                case Group(nodes):
                    if not self.exists(node, step, path):
                        return ABSENT
                    node = nodes[step]
                case OneOf(branches):
                    kind = self.leaf(node.kind, f"{path}.kind")
                    if step == "kind":
                        return kind
                    if step != kind:
                        return ABSENT
                    node = branches[step]
                case Repeat(of=of):
                    count = self.count(node, path)
                    if step == "count":
                        return count
                    if not count or (step != "each" and int(step) >= count):
                        return ABSENT
                    node = of
                case _:
                    raise AssertionError(name)
            path = f"{path}.{step}" if path else step
        assert not isinstance(node, OneOf | Repeat | Group)
        return self.leaf(node, path)

    def leaf(self, node: Leaf, path: str) -> Value:
        """Return a single value as the candidate has it."""
        if isinstance(node, Constant):
            return node.value
        value = self.ask(node, path)
        if node.grow is not None:
            before = self.before(path)
            assert not isinstance(value, str)
            value = value if before is None else (max if node.grow == "nondecreasing" else min)(before, value)
        self.used[path] = value
        return value

    def before(self, path: str) -> Any:
        """Return the value of the nearest earlier block that has one: `stages.2.width` has stages 1, then 0."""
        parts = path.split(".")
        at = -1 if parts[-1].isdigit() else -2
        for place in reversed(range(int(parts[at]))):
            parts[at] = str(place)
            value = self.look(".".join(parts))
            if value is not ABSENT:
                return value
        return None

    def ask(self, node: Choice | IntRange | FloatRange, name: str) -> Scalar:
        """Ask the chooser, once per name."""
        if name not in self.answers:
            match node:
                case Choice():
                    self.answers[name] = self._chooser.choice(name, node)
                case IntRange():
                    self.answers[name] = self._chooser.integer(name, node)
                case FloatRange():
                    self.answers[name] = self._chooser.number(name, node)
        return self.answers[name]

    def refuse_forbidden(self) -> None:
        """Evaluate what may not be, once everything is drawn."""
        for condition, group, path in self._forbid:
            if self.holds(condition, group, path):
                raise Forbidden(f"{condition.where}: forbidden: {condition.text}")


def first_answers(space: Space) -> tuple[tuple[Origin, Mapping[str, Scalar]], ...]:
    """Return (origin, answers by name) of the candidates to try before any sampler is asked.

    The default of each family, the space's default family first, then `warm_start`.
    """
    families = sorted(space.architecture.branches, key=lambda name: name != space.architecture.default)
    found: list[tuple[Origin, Mapping[str, Scalar]]] = [
        ("default", _first(space, {"architecture.kind": name}, f"the default of family '{name}'")) for name in families
    ]
    for i, entry in enumerate(space.warm_start):
        found.append(("warm_start", _first(space, entry, f"warm_start[{i}]")))
    return tuple(found)


def _first(space: Space, given: Mapping[str, Scalar], who: str) -> Mapping[str, Scalar]:
    place = f"{space.where}.warm_start"
    draw = _Draw(space.root, DefaultChooser(given, place))
    try:
        _candidate(space, draw)
    except Forbidden as wrong:
        raise SpaceError(f"{wrong.message}: this is {who}", fix="change it, or what is forbidden") from None
    for name, value in given.items():
        if name not in draw.answers:
            near = nearest(name, list(draw.answers))
            fix = f"did you mean '{near}'?" if near else "use the names that artifacts/search shows"
            raise SpaceError(f"{place}: nothing is called '{name}' in this candidate", fix=fix)
        if name in draw.used and draw.used[name] != value:
            raise SpaceError(f"{place}: {name}: {value!r} would not grow, the block before has {draw.used[name]!r}",
                             fix=f"give {draw.used[name]!r} or what grows")  # fmt: skip
    return draw.answers
