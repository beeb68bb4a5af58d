"""What networks found in training rows before their first step, kept for the next one that asks: rows do not change."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

_MOST = 16
"""Findings kept of the same rows; then the oldest goes."""
_FOUND: WeakKeyDictionary[object, dict[Hashable, Any]] = WeakKeyDictionary()


def once(rows: object, key: Hashable, find: Callable[[], T]) -> T:
    """Return find(), or what it returned when it was asked for with these rows (the same object) and an equal key.

    A process forked later inherits it. Callers must not change what they get, and `key` must hold all that it depends
    on beside the rows.
    """
    found = _FOUND.setdefault(rows, {})
    if key not in found:
        if len(found) >= _MOST:
            del found[next(iter(found))]
        found[key] = find()
    known: T = found[key]
    return known
