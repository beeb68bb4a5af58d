"""Plain mappings (from YAML) to the tree of a search space. Nothing is guessed; errors carry the path in the tree."""

import math
from collections.abc import Callable, Mapping
from typing import Any, get_args

from pipeline.core.errors import SpaceError
from pipeline.core.fragments import KINDS
from pipeline.core.strict import nearest
from pipeline.space.expressions import parse_expression
from pipeline.space.grammar import (
    Choice,
    Condition,
    Confidence,
    Constant,
    FloatRange,
    Group,
    Growth,
    IntRange,
    Node,
    OneOf,
    Repeat,
    Scalar,
    Space,
)
from pipeline.space.names import check_names
from pipeline.space.rising import read_passes, refuse_rising

_KEYS = {
    "choice": ("default", "prior", "grow", "passes"),
    "int": ("step", "log", "default", "prior", "grow", "passes"),
    "float": ("log", "default", "prior", "grow"),
    "one_of": ("default", "prior"),
    "repeat": ("of", "default", "tie"),
}
_OF_NODES = ("default", "prior", "grow", "passes", "step", "log", "of", "tie")
_OF_GROUPS = ("when", "forbid", "include")
_RESERVED = (*KINDS, *_OF_NODES, *_OF_GROUPS, "kind")
_TOP = ("architecture", "optimizer", "forbid", "warm_start")


def parse(tree: Mapping[str, Any], where: str = "space") -> Space:
    """Parse a whole space: `architecture` (families), `optimizer` (a group), optionally `forbid` and `warm_start`."""
    for key in tree:
        if key not in _TOP:
            raise _unknown(where, str(key), _TOP)
    if "architecture" not in tree:
        raise SpaceError(f"{where}: key 'architecture' is missing", fix="add architecture: {<family>: {…}}")
    architecture = _architecture(tree["architecture"], f"{where}.architecture")
    optimizer = parse_node(tree.get("optimizer", {}), f"{where}.optimizer")
    if not isinstance(optimizer, Group):
        raise SpaceError(f"{where}.optimizer: not a mapping of settings", fix="for example optimizer: {lr: 0.001}")
    forbid = _forbid(tree.get("forbid", ()), f"{where}.forbid")
    warm_start = _warm_start(tree.get("warm_start", ()), f"{where}.warm_start")
    space = Space(architecture, optimizer, warm_start, forbid, where)
    check_names(space)
    return space


def _architecture(tree: object, where: str) -> OneOf:
    if not isinstance(tree, Mapping):
        raise SpaceError(f"{where}: expected families by name, got {tree!r}", fix="for example cnn: {width: 16}")
    for kind in KINDS:
        if kind in tree:
            raise SpaceError(f"{where}.{kind}: families stand directly below architecture",
                             fix="write architecture: {default: cnn, cnn: {…}, rnn: {…}}")  # fmt: skip
    families = {key: sub for key, sub in tree.items() if key not in ("default", "prior")}
    if not families:
        raise SpaceError(f"{where}: there is no family", fix="for example cnn: {width: 16}")
    return _branches(tree, families, where, where)


def parse_node(tree: object, where: str, block: int = 0) -> Node:
    """Parse one node and all below it; `block` counts the floors on which `grow` still has a meaning."""
    if not isinstance(tree, Mapping):
        return Constant(tuple(tree) if isinstance(tree, list | tuple) else _scalar_or_none(tree, where))
    heads = [kind for kind in KINDS if kind in tree]
    if not heads:
        return _group(tree, where, block)
    if len(heads) > 1:
        raise SpaceError(
            f"{where}: {' and '.join(heads)} do not go together", fix="a node has one kind; remove the rest"
        )
    head = heads[0]
    for key in tree:
        if key == "when":
            raise SpaceError(f"{where}.when: only a setting of a group may be left out", fix="give the node a name")
        if key != head and key not in _KEYS[head]:
            raise _unknown(where, str(key), (head, *_KEYS[head]))
    if "grow" in tree and not block:
        raise SpaceError(
            f"{where}.grow: only values of a repeated block grow", fix="remove it, or move it into repeat … of"
        )
    return _PARSERS[head](tree, where)


def _group(tree: Mapping[Any, Any], where: str, block: int) -> Group:
    _refuse_unknown_kind(tree, where)
    nodes: dict[str, Node] = {}
    when: dict[str, Condition] = {}
    for key, sub in tree.items():
        place, name = f"{where}.{key}", str(key)
        if name == "forbid":
            continue
        if not name.isidentifier():
            raise SpaceError(f"{place}: not a name of a setting", fix="use letters, digits and _")
        if isinstance(sub, Mapping) and "when" in sub:
            when[name] = _condition(sub["when"], f"{place}.when")
            sub = {k: v for k, v in sub.items() if k != "when"}  # noqa: PLW2901  the rest is the node itself
        nodes[name] = parse_node(sub, place, max(0, block - 1))
    return Group(nodes, when, _forbid(tree.get("forbid", ()), f"{where}.forbid"))


def _refuse_unknown_kind(tree: Mapping[Any, Any], where: str) -> None:
    if "include" in tree:
        raise SpaceError(f"{where}.include: fragments were not put in", fix="compose the space first")
    if "when" in tree:
        raise SpaceError(f"{where}.when: only a setting of a group may be left out", fix="give the node a name")
    told = next((key for key in _OF_NODES if key in tree), None)
    others = [str(key) for key in tree if key not in _OF_NODES]
    lone = others[0] if len(others) == 1 and isinstance(tree[others[0]], list | tuple | Mapping) else None
    if told is None and (lone is None or not _misspelt(lone)):
        return
    near = nearest(lone, KINDS) if lone else None
    fix = f"did you mean '{near}'?" if near else f"nodes: {', '.join(KINDS)}"
    if lone:
        raise SpaceError(f"{where}: there is no node '{lone}'", fix=fix)
    raise SpaceError(f"{where}: '{told}' belongs to a node, and here is none", fix=fix)


def _misspelt(word: str) -> bool:
    """Say whether a lone key means a node beyond doubt: its letters in another order, or a plural."""
    return any(word != kind and (sorted(word) == sorted(kind) or word.rstrip("s") == kind) for kind in KINDS)


def _forbid(texts: object, where: str) -> tuple[Condition, ...]:
    if not isinstance(texts, list | tuple):
        raise SpaceError(f"{where}: expected a list of expressions, got {texts!r}", fix='- "width % heads != 0"')
    return tuple(_condition(text, f"{where}[{i}]") for i, text in enumerate(texts))


def _condition(text: object, where: str) -> Condition:
    expression = parse_expression(text, where)
    return Condition(str(text).strip(), expression, where)


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
    if "grow" in tree and not all(isinstance(o, int | float) and not isinstance(o, bool) for o in found):
        raise SpaceError(f"{where}.grow: only numbers grow, got {options!r}", fix="remove it")
    prior, grow = _word(tree, "prior", Confidence, where), _word(tree, "grow", Growth, where)
    return Choice(found, default, prior, grow, read_passes(tree, where, found))


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
    prior, grow = _word(tree, "prior", Confidence, where), _word(tree, "grow", Growth, where)
    passes = read_passes(tree, where, (int(low), int(high)))
    return IntRange(int(low), int(high), step, log, int(default), prior, grow, passes)


def _float(tree: Mapping[str, Any], where: str) -> FloatRange:
    low, high = _bounds(tree["float"], f"{where}.float")
    log = _flag(tree, "log", where)
    _positive(log, low, where)
    default = tree.get("default", math.sqrt(low * high) if log else (low + high) / 2)
    _inside(default, low, high, where)
    prior, grow = _word(tree, "prior", Confidence, where), _word(tree, "grow", Growth, where)
    return FloatRange(float(low), float(high), log, float(default), prior, grow)


def _one_of(tree: Mapping[str, Any], where: str) -> OneOf:
    branches = tree["one_of"]
    if not isinstance(branches, Mapping) or not branches:
        raise SpaceError(f"{where}.one_of: expected named subspaces, got {branches!r}", fix="one_of: {cnn: {…}}")
    return _branches(tree, branches, where, f"{where}.one_of")


def _branches(tree: Mapping[str, Any], branches: Mapping[str, Any], where: str, inside: str) -> OneOf:
    parsed: dict[str, Group] = {}
    for name, sub in branches.items():
        place = f"{inside}.{name}"
        if not str(name).isidentifier() or name in _RESERVED:
            raise SpaceError(
                f"{place}: not a name of a branch", fix="letters, digits and _, and no word of the language"
            )
        node = parse_node({} if sub is None else sub, place)
        if not isinstance(node, Group):
            raise SpaceError(f"{place}: not a mapping of settings", fix="give its settings by name")
        if "kind" in node.nodes:
            raise SpaceError(f"{place}.kind: the name of the branch already stands there", fix="remove it")
        parsed[str(name)] = node
    default = tree.get("default", next(iter(parsed)))
    if default not in parsed:
        near = nearest(str(default), list(parsed))
        fix = f"did you mean '{near}'?" if near else f"one of: {', '.join(parsed)}"
        raise SpaceError(f"{where}.default: there is no branch '{default}'", fix=fix)
    return OneOf(parsed, default, _word(tree, "prior", Confidence, where))


def _repeat(tree: Mapping[str, Any], where: str) -> Repeat:
    if "of" not in tree:
        raise SpaceError(f"{where}.repeat: key 'of' is missing", fix="repeat: [1, 3], of: {width: 16}")
    count = _count(tree, where)
    tie = _flag(tree, "tie", where)
    of = parse_node(tree["of"], f"{where}.of", block=2)
    if tie and any(getattr(node, "grow", None) for node in (of.nodes.values() if isinstance(of, Group) else (of,))):
        raise SpaceError(f"{where}.tie: blocks that are all alike cannot grow", fix="remove tie, or grow")
    if not tie:
        refuse_rising(of, f"{where}.of")
    return Repeat(count, of, tie)


def _count(tree: Mapping[str, Any], where: str) -> int | IntRange:
    given, place = tree["repeat"], f"{where}.repeat"
    count: int | IntRange = -1
    if isinstance(given, list | tuple):
        low, high = _bounds(given, place)
        count = _int({"int": given, "default": tree.get("default", (low + high) // 2)}, where)
    elif isinstance(given, int) and not isinstance(given, bool):
        count = given
        if "default" in tree:
            raise SpaceError(f"{where}.default: the number of blocks is fixed to {given}", fix="remove it")
    if (count if isinstance(count, int) else count.low) < 0:
        raise SpaceError(f"{place}: expected a number of blocks, or [low, high], got {given!r}", fix="repeat: [1, 3]")
    return count


_PARSERS: Mapping[str, Callable[[Mapping[str, Any], str], Node]] = {
    "choice": _choice,
    "int": _int,
    "float": _float,
    "one_of": _one_of,
    "repeat": _repeat,
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


def _word(tree: Mapping[str, Any], key: str, words: Any, where: str) -> Any:
    value, known = tree.get(key), get_args(words)
    if key in tree and value not in known:
        near = nearest(str(value), known)
        fix = f"did you mean '{near}'?" if near else f"one of: {', '.join(known)}"
        raise SpaceError(f"{where}.{key}: {value!r} is not one of {', '.join(known)}", fix=fix)
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
