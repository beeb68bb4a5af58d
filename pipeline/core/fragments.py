"""`include: name` in a search space: the mapping of a fragment, with the keys beside it on top.

It stands here, below the language itself, because composing settings must not depend on reading spaces.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.core.errors import SpaceError

KINDS = ("choice", "int", "float", "one_of", "repeat")
"""The key that makes a mapping a node; a mapping without one is a group of settings."""


def with_fragments(tree: object, fragment: Callable[[str, str], object], where: str = "space") -> Any:
    """Return the tree with every `include` replaced; `fragment` returns what a name stands for, at a place."""
    return _resolved(tree, fragment, where, ())


def _resolved(tree: object, fragment: Callable[[str, str], object], where: str, above: tuple[str, ...]) -> Any:
    if not isinstance(tree, Mapping):
        return tree
    beside = {str(k): _resolved(v, fragment, f"{where}.{k}", above) for k, v in tree.items() if k != "include"}
    if "include" not in tree:
        return beside
    name, place = tree["include"], f"{where}.include"
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise SpaceError(
            f"{place}: {name!r} is not the name of a fragment", fix="a file's name without folder and .yaml"
        )
    if name in above:
        raise SpaceError(
            f"{place}: fragments include each other: {' -> '.join((*above, name))}", fix="break the circle"
        )
    found = fragment(name, place)
    if not isinstance(found, Mapping):
        raise SpaceError(f"{place}: fragment '{name}' is not a mapping", fix="write settings by name into it")
    return merged(_resolved(found, fragment, f"fragment {name}", (*above, name)), beside)


def merged(below: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Return both mappings as one: groups are merged, what names its kind replaces what is below."""
    whole = dict(below)
    for key, value in top.items():
        old = below.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping) and not any(kind in value for kind in KINDS)
        whole[key] = merged(old, value) if both else value  # type: ignore[arg-type]
    return whole
