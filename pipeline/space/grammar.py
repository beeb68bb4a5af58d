"""The nodes of a search space. A space has the shape of what it describes; see search_spaces/README.md.

Every node that decides something has a name: its path in the tree, with the branch of each `one_of` on the way
(`architecture.cnn.width`). So a name never changes its distribution, which samplers of conditional spaces need.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Scalar = bool | int | float | str
Value = Scalar | None | tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is not searched."""

    value: Value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values."""

    options: tuple[Scalar, ...]
    default: Scalar


@dataclass(frozen=True, slots=True)
class IntRange:
    """An integer from low to high inclusive, in steps of `step` or even on the logarithm."""

    low: int
    high: int
    step: int
    log: bool
    default: int


@dataclass(frozen=True, slots=True)
class FloatRange:
    """A number from low to high, even on the line or on the logarithm."""

    low: float
    high: float
    log: bool
    default: float


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several subspaces; the decision is called `<path>.kind` and lands in the result under `kind`."""

    branches: Mapping[str, "Group"]
    default: str


@dataclass(frozen=True, slots=True)
class Group:
    """Named nodes side by side."""

    nodes: Mapping[str, "Node"]


Node = Constant | Choice | IntRange | FloatRange | OneOf | Group


@dataclass(frozen=True, slots=True)
class Space:
    """A whole search space: how networks are built, how they are trained, and candidates to try first."""

    architecture: OneOf
    optimizer: Group
    warm_start: tuple[Mapping[str, Scalar], ...]
    """Each maps names to values; names left out keep their default."""

    @property
    def root(self) -> Group:
        """The tree that candidates are drawn from."""
        return Group({"architecture": self.architecture, "optimizer": self.optimizer})
