"""Plain mappings (from YAML) to the tree of a search space. Nothing is guessed; errors carry the path in the tree."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.core.errors import SpaceError
from pipeline.core.strict import nearest
from pipeline.space.grammar import Choice, Constant, FloatRange, Group, IntRange, Node, OneOf, Scalar, Space

_KEYS = {
    "choice": ("default",),
    "int": ("step", "log", "default"),
    "float": ("log", "default"),
    "one_of": ("default",),
}


def parse(tree: Mapping[str, Any], where: str = "space") -> Space:
    """Parse a whole space: `architecture` (one_of families), `optimizer` (a group), optionally `warm_start`."""
    known = ("architecture", "optimizer", "warm_start")
    for key in tree:
        if key not in known:
            raise _unknown(where, str(key), known)
    if "architecture" not in tree:
        raise SpaceError(f"{where}: key 'architecture' is missing", fix="add architecture: {one_of: {<family>: {…}}}")
    architecture = parse_node(tree["architecture"], f"{where}.architecture")
    if not isinstance(architecture, OneOf):
        raise SpaceError(
            f"{where}.architecture: not a one_of", fix="write one_of: {<family>: {…}}, also for one family"
        )
    optimizer = parse_node(tree.get("optimizer", {}), f"{where}.optimizer")
    if not isinstance(optimizer, Group):
        raise SpaceError(f"{where}.optimizer: not a mapping of settings", fix="for example optimizer: {lr: 0.001}")
    return Space(architecture, optimizer, _warm_start(tree.get("warm_start", ()), f"{where}.warm_start"))


def parse_node(tree: object, where: str) -> Node:
    """Parse one node and all below it."""
    if not isinstance(tree, Mapping):
        return Constant(tuple(tree) if isinstance(tree, list | tuple) else _scalar_or_none(tree, where))
    heads = [key for key in _KEYS if key in tree]
    if not heads:
        return Group({str(key): parse_node(sub, f"{where}.{key}") for key, sub in tree.items()})
    head = heads[0]
    for key in tree:
        if key != head and key not in _KEYS[head]:
            raise _unknown(where, str(key), (head, *_KEYS[head]))
    return _PARSERS[head](tree, where)


def _choice(tree: Mapping[str, Any], where: str) -> Choice:
    options = tree["choice"]
    if not isinstance(options, list | tuple) or not options:
        raise SpaceError(
            f"{where}.choice: expected a list of values, got {options!r}", fix="for example choice: [3, 5]"
        )
    found = tuple(_scalar(option, f"{where}.choice") for option in options)
    if len({(type(o), o) for o in found}) < len(found):
        raise SpaceError(f"{where}.choice: a value stands there twice: {options!r}", fix="remove the repetition")
    default = tree.get("default", found[0])
    if default not in found:
        raise SpaceError(f"{where}.default: {default!r} is not among {options!r}", fix="name one of the options")
    return Choice(found, default)


def _int(tree: Mapping[str, Any], where: str) -> IntRange:
    low, high = _bounds(tree["int"], f"{where}.int")
    if int(low) != low or int(high) != high:
        raise SpaceError(f"{where}.int: bounds are not integers: {tree['int']!r}", fix="use float, or whole numbers")
    step, log = tree.get("step", 1), _flag(tree, "log", where)
    if not isinstance(step, int) or isinstance(step, bool) or step < 1:
        raise SpaceError(
            f"{where}.step: expected a whole number of at least 1, got {step!r}", fix="for example step: 8"
        )
    if (high - low) % step:
        raise SpaceError(
            f"{where}.step: {step} does not lead from {low} to {high}", fix="change the upper bound or step"
        )
    if log and step > 1:
        raise SpaceError(f"{where}: step and log do not go together", fix="leave one out")
    _positive(log, low, where)
    middle = round(math.sqrt(low * high)) if log else int(low + (high - low) // (2 * step) * step)
    default = tree.get("default", middle)
    _inside(default, low, high, where)
    if int(default) != default or (default - low) % step:
        raise SpaceError(
            f"{where}.default: {default!r} is not a value of the range", fix=f"start at {low}, step {step}"
        )
    return IntRange(int(low), int(high), step, log, int(default))


def _float(tree: Mapping[str, Any], where: str) -> FloatRange:
    low, high = _bounds(tree["float"], f"{where}.float")
    log = _flag(tree, "log", where)
    _positive(log, low, where)
    default = tree.get("default", math.sqrt(low * high) if log else (low + high) / 2)
    _inside(default, low, high, where)
    return FloatRange(float(low), float(high), log, float(default))


def _one_of(tree: Mapping[str, Any], where: str) -> OneOf:
    branches = tree["one_of"]
    if not isinstance(branches, Mapping) or not branches:
        raise SpaceError(f"{where}.one_of: expected named subspaces, got {branches!r}", fix="one_of: {cnn: {…}}")
    parsed: dict[str, Group] = {}
    for name, sub in branches.items():
        node = parse_node({} if sub is None else sub, f"{where}.one_of.{name}")
        if not isinstance(node, Group) or "kind" in node.nodes:
            raise SpaceError(f"{where}.one_of.{name}: not a mapping of settings", fix="give its settings by name")
        parsed[str(name)] = node
    default = tree.get("default", next(iter(parsed)))
    if default not in parsed:
        near = nearest(str(default), list(parsed))
        fix = f"did you mean '{near}'?" if near else f"one of: {', '.join(parsed)}"
        raise SpaceError(f"{where}.default: there is no branch '{default}'", fix=fix)
    return OneOf(parsed, default)


_PARSERS: Mapping[str, Callable[[Mapping[str, Any], str], Node]] = {
    "choice": _choice,
    "int": _int,
    "float": _float,
    "one_of": _one_of,
}


def _warm_start(entries: object, where: str) -> tuple[Mapping[str, Scalar], ...]:
    if not isinstance(entries, list | tuple) or not all(isinstance(e, Mapping) for e in entries):
        raise SpaceError(f"{where}: expected a list of mappings from name to value", fix="- {architecture.kind: cnn}")
    return tuple({str(k): _scalar(v, f"{where}.{k}") for k, v in entry.items()} for entry in entries)


def _bounds(value: object, where: str) -> tuple[float, float]:
    pair = value if isinstance(value, list | tuple) else ()
    numbers = [v for v in pair if isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)]
    if len(pair) != 2 or len(numbers) != 2:
        raise SpaceError(f"{where}: expected [low, high], got {value!r}", fix="give two finite numbers")
    if numbers[0] >= numbers[1]:
        raise SpaceError(f"{where}: low must be below high, got {value!r}", fix="swap them, or write a constant")
    return numbers[0], numbers[1]


def _positive(log: bool, low: float, where: str) -> None:
    if log and low <= 0:
        raise SpaceError(f"{where}: a logarithmic range must start above 0, got {low}", fix="raise the lower bound")


def _inside(default: object, low: float, high: float, where: str) -> None:
    if not isinstance(default, int | float) or isinstance(default, bool) or not low <= default <= high:
        raise SpaceError(f"{where}.default: {default!r} is not in [{low}, {high}]", fix="move it into the range")


def _flag(tree: Mapping[str, Any], key: str, where: str) -> bool:
    value = tree.get(key, False)
    if not isinstance(value, bool):
        raise SpaceError(f"{where}.{key}: expected true or false, got {value!r}")
    return value


def _scalar(value: object, where: str) -> Scalar:
    if isinstance(value, bool | int | float | str):
        return value
    raise SpaceError(f"{where}: expected a number, text, true or false, got {value!r}")


def _scalar_or_none(value: object, where: str) -> Scalar | None:
    return None if value is None else _scalar(value, where)


def _unknown(where: str, key: str, known: tuple[str, ...]) -> SpaceError:
    near = nearest(key, known)
    fix = f"did you mean '{near}'?" if near else f"known keys: {', '.join(known)}"
    return SpaceError(f"{where}: unknown key '{key}'", fix=fix)
