"""What a user said of the data, and what was found out about them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError
from pipeline.core.strict import nearest, read

_LISTS = ("target", "text", "sensitive")
_SHARED = ({"sensitive", "group_by"}, {"sensitive", "weight"})
"""Words that may name the same column."""
_CHOICES = {
    "task": ("binary", "multiclass", "multilabel", "regression"),
    "format": ("csv", "text", "series", "forecast", "image_table"),
}


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What stands on the command line of `init` behind the path; everything else is found out."""

    name: str | None = None
    format: str | None = None
    target: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    time: str | None = None
    horizon: int | None = None
    sensitive: tuple[str, ...] = ()
    group_by: str | None = None
    weight: str | None = None
    task: str | None = None
    id: str | None = None
    val_fraction: float | None = None

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Return the columns that are named, by the word that names them."""
        single = {"time": self.time, "group_by": self.group_by, "id": self.id, "weight": self.weight}
        several = {"target": self.target, "text": self.text, "sensitive": self.sensitive}
        named = {key: (column,) for key, column in single.items() if column is not None}
        return named | {key: names for key, names in several.items() if names}


def read_wishes(arguments: Sequence[str]) -> Wishes:
    """Read arguments of the form key=value; lists stand in brackets.

    Raises:
        ConfigError: an unknown key, or a value that is none for its key.
    """
    said: dict[str, Any] = {}
    known = list(Wishes.__dataclass_fields__)
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in known:
            near = nearest(key, known)
            fix = f"did you mean '{near}='?" if near else f"known: {', '.join(known)}; one path comes first"
            raise ConfigError(f"init: {argument!r} is not understood", fix=fix)
        if not value.strip("[] "):
            raise ConfigError(f"init: {key}= has no value", fix=f"say {key}=<value>, or leave it out")
        said[key] = _value(key, value)
    return Wishes(**said)


def _value(key: str, value: str) -> Any:
    if key in _LISTS:
        listed = value[1:-1].split(",") if value[:1] == "[" and value[-1:] == "]" else [value]
        if key != "target" and len(listed) == 1:
            listed = listed[0].split(",")
        return tuple(v.strip() for v in listed if v.strip())
    if key == "horizon":
        if not value.isdecimal() or int(value) < 1:
            raise ConfigError(f"init: horizon={value} is no number of steps", fix="say for example horizon=24")
        return int(value)
    if key == "val_fraction":
        return _share(value)
    if key in _CHOICES and value not in _CHOICES[key]:
        options = ", ".join(_CHOICES[key])
        fix = "a forecast is told by horizon=<steps>" if value == "forecast" else f"one of: {options}"
        raise ConfigError(f"init: {key}={value} is not known", fix=fix)
    return value


def _share(value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = math.nan
    if not 0 < share < 0.8:
        raise ConfigError(f"init: val_fraction={value} is no share of the rows", fix="say for example val_fraction=0.2")
    return share


@dataclass
class Found:
    """The format, the settings to write, and what to tell."""

    format: str
    space: str
    keys: dict[str, Any]
    what: str = ""
    """The first line: rows and task."""
    warnings: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    why: dict[str, str] = field(default_factory=dict)
    """Reasons for values of `keys`, for the comments."""
    work: str = ""
    """What `amount` counts; see sniff_costs."""
    amount: float = 0.0
    packed: float = 0.0
    """Bytes on disk after prepare."""

    @property
    def lines(self) -> list[str]:
        """What to tell, the important first."""
        urgent = [fact for fact in self.facts if fact.startswith("WARNING")]
        rest = [fact for fact in self.facts if fact not in urgent]
        return [self.what, *self.warnings, *urgent, *rest, *(f"hint: {hint}" for hint in self.hints)]

    def settings(self, **more: Any) -> DataSettings:
        """Return the keys as settings, checked as prepare checks them."""
        name = str(self.keys.get("train_file", "init")).partition(".")[0]
        whole = {"name": name, "format": self.format, "sensitive": {}, "slices": {}, **self.keys, **more}
        return read(DataSettings, whole, "data")


def listed(names: Sequence[object], most: int = 6) -> str:
    """Return names with commas, and how many more there are."""
    shown = ", ".join(str(name) or "(no name)" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def counted(number: int, one: str, many: str = "") -> str:
    """Return "1 row" or "2,000 rows"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def require_columns(wishes: Wishes, columns: Sequence[str], where: str) -> None:
    """Refuse wishes that name a column which is not there, or one column for two things.

    Raises:
        ConfigError: naming the column and the nearest one.
    """
    taken: dict[str, str] = {}
    for key, names in wishes.columns().items():
        for name in names:
            if name not in columns:
                near = nearest(name, columns)
                fix = f"did you mean '{near}'?" if near else f"columns: {listed(columns, 20)}"
                raise ConfigError(f"{where}: no column '{name}' ({key}=)", fix=fix)
            if name in taken and {key, taken[name]} not in _SHARED:
                raise ConfigError(f"init: '{name}' is both {taken[name]}= and {key}=", fix="name another column")
            taken[name] = key
