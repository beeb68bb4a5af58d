"""Plain mappings to frozen dataclasses and back, strictly.

OmegaConf's structured configs reject `Literal` and make frozen dataclasses read-only, and they read settings
only; this reader serves settings, search spaces and artifacts alike. Unknown keys, missing keys, wrong types and
values outside a `Literal` are errors that carry the dotted path.
"""

import dataclasses
import difflib
import math
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pipeline.core.errors import ConfigError, PipelineError

T = TypeVar("T")


def read(kind: type[T], value: object, where: str, error: type[PipelineError] = ConfigError) -> T:
    """Read `value` (nested dicts and lists) as dataclass `kind`; `where` starts the path in messages."""
    result: T = _Reader(error).value(kind, value, where)
    return result


def plain(value: Any) -> Any:
    """Return dataclasses as dicts and tuples as lists, ready for JSON; the inverse of `read`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Return the known word a typing slip most likely meant."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return found[0] if found else None


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


class _Reader:
    def __init__(self, error: type[PipelineError]) -> None:
        self.error = error

    def value(self, kind: Any, value: object, where: str) -> Any:
        if kind is Any or kind is object:
            return value
        if dataclasses.is_dataclass(kind):
            return self.record(kind, value, where)
        origin = get_origin(kind)
        if origin is Literal:
            return self.literal(get_args(kind), value, where)
        if origin in (Union, types.UnionType):
            return self.union(get_args(kind), value, where)
        if origin is tuple or origin is list:
            return self.sequence(kind, value, where)
        if origin is dict or origin is Mapping or getattr(origin, "__name__", "") == "Mapping":
            return self.mapping(get_args(kind)[1], value, where)
        return self.scalar(kind, value, where)

    def record(self, kind: Any, value: object, where: str) -> Any:
        if not isinstance(value, Mapping):
            raise self.wrong("a mapping", value, where)
        fields = {f.name: f for f in dataclasses.fields(kind) if f.init}
        for key in value:
            if key not in fields:
                self.unknown(str(key), list(fields), where)
        for name, f in fields.items():
            if name not in value and f.default is f.default_factory is dataclasses.MISSING:
                raise self.error(f"{where}: key '{name}' is missing", fix=f"add {where}.{name}")
        hints = _hints(kind)
        read = {k: self.value(hints[k], v, f"{where}.{k}") for k, v in value.items()}
        try:
            return kind(**read)
        except ValueError as wrong:
            raise self.error(f"{where}: {wrong}") from wrong

    def unknown(self, key: str, known: list[str], where: str) -> None:
        near = nearest(key, known)
        fix = f"did you mean '{near}'?" if near else f"known keys: {', '.join(known)}"
        raise self.error(f"{where}: unknown key '{key}'", fix=fix)

    def literal(self, options: tuple[Any, ...], value: object, where: str) -> object:
        if not any(value == o and type(value) is type(o) for o in options):
            near = nearest(str(value), [str(o) for o in options])
            listed = ", ".join(str(o) for o in options)
            fix = f"did you mean '{near}'?" if near else f"one of: {listed}"
            raise self.error(f"{where}: {value!r} is not one of {listed}", fix=fix)
        return value

    def union(self, kinds: tuple[Any, ...], value: object, where: str) -> object:
        if value is None and type(None) in kinds:
            return None
        rest = [k for k in kinds if k is not type(None)]
        if len(rest) == 1:
            return self.value(rest[0], value, where)
        lists = [k for k in rest if get_origin(k) is tuple]
        if isinstance(value, list | tuple) and len(lists) == 1:
            return self.value(lists[0], value, where)
        tag = value.get("kind") if isinstance(value, Mapping) else None
        for kind in rest:
            if dataclasses.is_dataclass(kind):
                if tag is not None and tag in get_args(_hints(kind).get("kind", Literal["-"])):  # type: ignore[arg-type]
                    return self.value(kind, value, where)
                continue
            try:
                return self.value(kind, value, where)
            except PipelineError:
                continue
        raise self.wrong(" or ".join(_name(k) for k in rest), value, where)

    def sequence(self, kind: Any, value: object, where: str) -> object:
        if not isinstance(value, list | tuple):
            raise self.wrong("a list", value, where)
        args = get_args(kind)
        build: Callable[[Any], Any] = tuple if get_origin(kind) is tuple else list
        if build is tuple and args[-1] is not Ellipsis:
            if len(value) != len(args):
                raise self.wrong(f"a list of {len(args)}", value, where)
            return tuple(self.value(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(args, value, strict=True)))
        return build(self.value(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))

    def mapping(self, kind: Any, value: object, where: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise self.wrong("a mapping", value, where)
        return {str(k): self.value(kind, v, f"{where}.{k}") for k, v in value.items()}

    def scalar(self, kind: type, value: object, where: str) -> object:
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not kind:
            raise self.wrong(_name(kind), value, where)
        if isinstance(value, float) and not math.isfinite(value):
            raise self.wrong("a finite number", value, where)
        return value

    def wrong(self, expected: str, value: object, where: str) -> PipelineError:
        return self.error(f"{where}: expected {expected}, got {_name(type(value))} {value!r}")


_NAMES = {
    int: "an integer",
    float: "a number",
    str: "a string",
    bool: "true or false",
    type(None): "nothing",
    list: "a list",
    tuple: "a list",
    dict: "a mapping",
}


def _name(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(repr(option) for option in get_args(kind))
    kind = get_origin(kind) if get_origin(kind) in (tuple, list) else kind
    return _NAMES.get(kind) or str(getattr(kind, "__name__", kind))
