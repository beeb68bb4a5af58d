"""What the expressions of a space may speak of, checked before anything is drawn.

A name is a path from the settings beside the expression (`cell`, `stages.count`) or from the top of the space
(`optimizer.kind`, `architecture.cnn.stages[0].width`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.core.errors import SpaceError
from pipeline.core.strict import nearest
from pipeline.space.expressions import Comparison, Expression, Listing, Literal, Name, parts
from pipeline.space.grammar import Choice, Condition, Constant, Group, IntRange, Leaf, Node, OneOf, Repeat, Space

_EACH = "*"
"""Stands for any block of a repeat."""


@dataclass(frozen=True, slots=True)
class Found:
    """A leaf that a name means, and the conditional nodes on the way to it."""

    leaf: Leaf
    conditional: tuple[str, ...]


def absolute(name: str, group: Group, here: str) -> str:
    """Return the path from the top for a name used in a group that stands at `here`."""
    return f"{here}.{name}" if here and name.partition(".")[0] in group.nodes else name


def check_names(space: Space) -> None:
    """Refuse names that mean nothing, values that a name never has, and conditions that wait for each other."""
    root = space.root
    waits: dict[str, list[str]] = {}
    for group, here in _groups(root, ""):
        for key, condition in group.when.items():
            waits[f"{here}.{key}"] = [
                path for found in _found(root, group, here, condition) for path in found.conditional
            ]
        for condition in group.forbid:
            _found(root, group, here, condition)
    _refuse_circles(waits, space.where)


def _groups(node: Node, here: str) -> Iterator[tuple[Group, str]]:
    dot = f"{here}." if here else ""
    match node:
        case Group(nodes):
            yield node, here
            for key, sub in nodes.items():
                yield from _groups(sub, f"{dot}{key}")
        case OneOf(branches):
            for name, branch in branches.items():
                yield from _groups(branch, f"{dot}{name}")
        case Repeat(of=of):
            yield from _groups(of, f"{dot}{_EACH}")


def _found(root: Group, group: Group, here: str, condition: Condition) -> list[Found]:
    leaves: dict[str, Found] = {}
    for part in parts(condition.expression):
        if isinstance(part, Name):
            beside = bool(here) and part.path.partition(".")[0] in group.nodes
            start, path = (group, here) if beside else (root, "")
            leaves[part.path] = _leaf(start, path, part.path, condition, group)
    for part in parts(condition.expression):
        if isinstance(part, Comparison):
            _refuse_impossible(part, leaves, condition)
    return list(leaves.values())


def _leaf(node: Node, here: str, name: str, condition: Condition, beside: Group) -> Found:
    conditional: list[str] = []
    for i, step in enumerate(name.split(".")):
        dot = f"{here}." if here else ""
        match node:
            case Group(nodes, when) if step in nodes:
                node, here = nodes[step], f"{dot}{step}"
                if step in when:
                    conditional.append(here)
            case OneOf(branches) if step in branches:
                node, here = branches[step], f"{dot}{step}"
            case OneOf() if step == "kind":
                node = node.kind
            case Repeat(count=count) if step == "count":
                node = count if isinstance(count, IntRange) else Constant(count)
            case Repeat(of=of, tie=tie) if step == "each" if tie else step.isdigit() and int(step) < node.most:
                node, here = of, f"{dot}{_EACH}"
            case _:
                known = _steps(node) if i else [*beside.nodes, "architecture", "optimizer"]
                raise _missing(step, name, known, condition)
    if isinstance(node, Group | OneOf | Repeat):
        inner = {Group: "its settings by name", OneOf: f"{name}.kind", Repeat: f"{name}.count"}[type(node)]
        raise SpaceError(f"{condition.where}: '{name}' is not a single value", fix=f"write {inner}")
    return Found(node, tuple(conditional))


def _missing(step: str, name: str, known: list[str], condition: Condition) -> SpaceError:
    fix = {"true": "write True", "false": "write False"}.get(name)
    if fix is None:
        near = nearest(step, known)
        fix = f"did you mean '{near}'?" if near else f"names here: {', '.join(dict.fromkeys(known)) or 'none'}"
    return SpaceError(f"{condition.where}: nothing is called '{name}'", fix=fix)


def _steps(node: Node) -> list[str]:
    match node:
        case Group(nodes):
            return list(nodes)
        case OneOf(branches):
            return ["kind", *branches]
        case Repeat(tie=tie):
            return ["count", "each"] if tie else ["count", *(f"[{place}]" for place in range(node.most))]
        case _:
            return []


def _refuse_impossible(comparison: Comparison, leaves: Mapping[str, Found], condition: Condition) -> None:
    left = comparison.first
    for _, right in comparison.rest:
        leaf = leaves[left.path].leaf if isinstance(left, Name) else None
        if isinstance(leaf, Choice) and all(isinstance(option, str) for option in leaf.options):
            assert isinstance(left, Name)
            for value in _literals(right):
                if value not in leaf.options:
                    options = [str(option) for option in leaf.options]
                    near = nearest(str(value), options)
                    fix = f"did you mean '{near}'?" if near else f"one of: {', '.join(options)}"
                    raise SpaceError(f"{condition.where}: '{left.path}' is never {value!r}", fix=fix)
        left = right


def _literals(expression: Expression) -> list[object]:
    items = expression.items if isinstance(expression, Listing) else (expression,)
    return [item.value for item in items if isinstance(item, Literal)]


def _refuse_circles(waits: Mapping[str, list[str]], where: str) -> None:
    done: set[str] = set()

    def visit(path: str, way: tuple[str, ...]) -> None:
        if path in way:
            circle = (*way[way.index(path) :], path)
            raise SpaceError(f"{where}: conditions wait for each other: {' -> '.join(circle)}",
                             fix="let one of them stand without `when`")  # fmt: skip
        if path not in done:
            for other in waits[path]:
                visit(other, (*way, path))
            done.add(path)

    for path in waits:
        visit(path, ())
