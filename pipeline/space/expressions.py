"""Expressions of `when` and `forbid`: Python's notation, read into a few frozen nodes; nothing is ever executed.

Names that do not exist in a candidate are neither true nor false (Kleene's three values): `a or b` is true when b is,
`not a` stays unknown, and an expression that is unknown in the end counts as false.
"""

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pipeline.core.errors import SpaceError


class Absent(Enum):
    """What a name stands for that does not exist in this candidate."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, text, true or false."""

    value: bool | int | float | str


@dataclass(frozen=True, slots=True)
class Name:
    """A dotted path: of a setting beside the expression, or from the top of the space."""

    path: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Values in brackets."""

    items: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Unary:
    """`not` or minus."""

    sign: str
    of: "Expression"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two numbers become one."""

    left: "Expression"
    sign: str
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A chain such as 1 < depth <= 4."""

    first: "Expression"
    rest: tuple[tuple[str, "Expression"], ...]


@dataclass(frozen=True, slots=True)
class Logic:
    """`and` or `or` over two parts or more."""

    sign: str
    parts: tuple["Expression", ...]


Expression = Literal | Name | Listing | Unary | Arithmetic | Comparison | Logic

_ARITHMETIC: Mapping[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
}
_COMPARISON: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}
_COMPUTE: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda value, values: value in _listed(values),
    "not in": lambda value, values: value not in _listed(values),
}


def parse_expression(text: object, where: str) -> Expression:
    """Read an expression; anything that is not on the list of what it may hold is refused."""
    if not isinstance(text, str) or not text.strip():
        raise SpaceError(f"{where}: expected an expression, got {text!r}", fix="for example \"cell == 'lstm'\"")
    try:
        return _converted(ast.parse(text.strip(), mode="eval").body, where)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise SpaceError(
            f"{where}: cannot be read: {text!r}", fix="write it as in Python: width % heads != 0"
        ) from None


def _converted(node: ast.expr, where: str) -> Expression:
    match node:
        case ast.Constant(value) if isinstance(value, bool | int | float | str):
            return Literal(value)
        case ast.Name() | ast.Attribute() | ast.Subscript():
            return Name(_path(node, where))
        case ast.List(items) | ast.Tuple(items):
            return Listing(tuple(_converted(item, where) for item in items))
        case ast.UnaryOp(ast.Not(), of):
            return Unary("not", _converted(of, where))
        case ast.UnaryOp(ast.USub(), of):
            return Unary("-", _converted(of, where))
        case ast.BinOp(left, sign, right) if type(sign) in _ARITHMETIC:
            return Arithmetic(_converted(left, where), _ARITHMETIC[type(sign)], _converted(right, where))
        case ast.BoolOp(sign, parts):
            return Logic("and" if isinstance(sign, ast.And) else "or", tuple(_converted(p, where) for p in parts))
        case ast.Compare(left, signs, rights) if all(type(sign) in _COMPARISON for sign in signs):
            pairs = zip(signs, rights, strict=True)
            return Comparison(
                _converted(left, where), tuple((_COMPARISON[type(s)], _converted(r, where)) for s, r in pairs)
            )
    raise _not_allowed(node, where)


def _path(node: ast.expr, where: str) -> str:
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(of, name):
            return f"{_path(of, where)}.{name}"
        case ast.Subscript(of, ast.Constant(place)) if type(place) is int and place >= 0:
            return f"{_path(of, where)}.{place}"
    raise _not_allowed(node, where)


def _not_allowed(node: ast.expr, where: str) -> SpaceError:
    return SpaceError(
        f"{where}: {ast.unparse(node)!r} is not allowed here",
        fix="use names, numbers, texts, lists, and or not, == != < <= > >= in, + - * / // %",
    )


def parts(expression: Expression) -> Iterator[Expression]:
    """Yield an expression and all inside it."""
    yield expression
    match expression:
        case Listing(inside) | Logic(parts=inside):
            below = list(inside)
        case Unary(of=of):
            below = [of]
        case Arithmetic(left, _, right):
            below = [left, right]
        case Comparison(first, rest):
            below = [first, *(right for _, right in rest)]
        case _:
            below = []
    for sub in below:
        yield from parts(sub)


def evaluate(expression: Expression, look: Callable[[str], Any]) -> Any:
    """Return the value of an expression, or ABSENT; `look` returns the value of a name, or ABSENT."""
    match expression:
        case Literal(value):
            return value
        case Name(path):
            return look(path)
        case Listing(items):
            values = [evaluate(item, look) for item in items]
            return ABSENT if ABSENT in values else values
        case Unary(sign, of):
            value = evaluate(of, look)
            if value is ABSENT:
                return ABSENT
            return not value if sign == "not" else -_number(value)
        case Arithmetic(left, sign, right):
            pair = evaluate(left, look), evaluate(right, look)
            return ABSENT if ABSENT in pair else _COMPUTE[sign](_number(pair[0]), _number(pair[1]))
        case Comparison(first, rest):
            values = [evaluate(first, look), *(evaluate(right, look) for _, right in rest)]
            steps = [
                ABSENT if ABSENT in (values[i], values[i + 1]) else _COMPUTE[sign](values[i], values[i + 1])
                for i, (sign, _) in enumerate(rest)
            ]
            return _all(steps)
        case Logic(sign, inside):
            values = [evaluate(part, look) for part in inside]
            if sign == "and":
                return _all(values)
            opposite = _all([value if value is ABSENT else not value for value in values])
            return ABSENT if opposite is ABSENT else not opposite


def _all(values: list[Any]) -> Any:
    if any(value is not ABSENT and not value for value in values):
        return False
    return ABSENT if any(value is ABSENT for value in values) else True


def _listed(value: object) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"{value!r} is not a list")
    return value


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return value
