"""The command line of the small commands: key=value, read strictly."""

from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import TypeVar, get_args, get_type_hints

from pipeline.core.errors import ConfigError
from pipeline.core.strict import read

T = TypeVar("T")


def read_arguments(kind: type[T], arguments: Sequence[str], command: str, example: str) -> T:
    """Read key=value arguments as dataclass `kind`, numbers where it has numbers; `example` is told to who errs."""
    said: dict[str, object] = {}
    for argument in arguments:
        key, given, value = argument.partition("=")
        if not given or not value:
            raise ConfigError(f"{command}: {argument!r} is not key=value", fix=example)
        said[key] = _number(value) if key in _numeric(kind) else value
    try:
        return read(kind, said, command)
    except ConfigError as wrong:
        if wrong.fix is not None:
            raise
        usual = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
        wished = [key for key in said if wrong.message.startswith(f"{command}.{key}:")]
        told = [f"{key}={'<number>' if usual[key] in (None, MISSING) else usual[key]}" for key in wished]
        raise ConfigError(wrong.message, fix=", ".join(told) or example) from None


def _numeric(kind: type[object]) -> set[str]:
    hints = get_type_hints(kind)
    return {name for name, hint in hints.items() if {int, float} & {hint, *get_args(hint)}}


def _number(value: str) -> object:
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return float(value)
    except ValueError:
        return value
