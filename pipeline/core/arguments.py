"""The command line of the small commands: key=value, read strictly."""

from collections.abc import Sequence
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
    return read(kind, said, command)


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
