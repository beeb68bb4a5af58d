"""Defaults that may rise, and how far."""

from dataclasses import dataclass

from pipeline.space import Space, rising, values_above


@dataclass(frozen=True, kw_only=True, slots=True)
class Rise:
    """A default that rises as time allows, in a search with `seconds`."""

    name: str
    default: int | float
    most: int | float
    passes: float
    """Of one training, at least."""


def rises(space: Space) -> tuple[Rise, ...]:
    """Return the defaults that may rise, in the order in which they are written."""
    found = []
    for name, node in rising(space.root):
        default, above = node.default, values_above(node)
        if above and node.passes is not None and not isinstance(default, str):
            found.append(Rise(name=name, default=default, most=above[-1], passes=node.passes))
    return tuple(found)
