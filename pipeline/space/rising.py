"""Defaults that rise as time allows: how `passes` is read, which nodes have it, and which values come next.

Who measures what a value costs is pipeline/tuning/rising.py.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.core.errors import SpaceError
from pipeline.space.grammar import Choice, Group, IntRange, Node, OneOf, Repeat, Scalar

Rising = Choice | IntRange


def read_passes(tree: Mapping[str, Any], where: str, values: Sequence[Scalar]) -> float | None:
    """Return what `passes` of a node says, if it is there.

    `values`: the options, or both ends of the range.

    Raises:
        SpaceError: it is no number above 0, the values are no numbers, or it is not said where the default starts.
    """
    if "passes" not in tree:
        return None
    passes = tree["passes"]
    if not _is_number(passes) or not 0 < passes < math.inf:
        raise SpaceError(f"{where}.passes: expected a number above 0, got {passes!r}", fix="for example passes: 9")
    if not all(_is_number(value) for value in values):
        raise SpaceError(f"{where}.passes: only numbers rise, got {list(values)!r}", fix="remove it")
    if "default" not in tree:
        raise SpaceError(f"{where}.passes: key 'default' is missing", fix=f"say where it starts, default: {values[0]}")
    return float(passes)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def refuse_rising(node: Node, where: str) -> None:
    """Refuse `passes` below a node whose blocks are drawn one by one: they would have to rise together."""
    for name, _ in rising(node):
        said = f"'{name}' has" if name else "here are"
        raise SpaceError(f"{where}: {said} passes, and blocks that differ do not rise together",
                         fix="add tie: true beside repeat, or remove passes")  # fmt: skip


def rising(node: Node, here: str = "") -> Iterator[tuple[str, Rising]]:
    """Yield the nodes that have `passes` by name, in the order in which they are written."""
    dot = f"{here}." if here else ""
    match node:
        case Choice(passes=float()) | IntRange(passes=float()):
            yield here, node
        case Group(nodes):
            for key, sub in nodes.items():
                yield from rising(sub, f"{dot}{key}")
        case OneOf(branches):
            for name, branch in branches.items():
                yield from rising(branch, f"{dot}{name}")
        case Repeat(of=of):
            yield from rising(of, f"{dot}each")


def values_above(node: Rising) -> tuple[int | float, ...]:
    """Return the values above the default, the lowest first; of a range on the logarithm, its doublings and its end."""
    if isinstance(node, Choice):
        numbers = [option for option in node.options if not isinstance(option, str)]
        return tuple(sorted(option for option in numbers if option > node.default))  # type: ignore[operator]
    if not node.log:
        return tuple(range(node.default + node.step, node.high + 1, node.step))
    found = [node.default]
    while found[-1] < node.high:
        found.append(min(2 * found[-1], node.high))
    return tuple(found[1:])
