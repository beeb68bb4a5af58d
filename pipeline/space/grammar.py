"""The nodes of a search space. A space has the shape of what it describes; see search_spaces/README.md.

Every node that decides something has a name: its path in the tree, with the branch of each `one_of` and the place of
each block of a `repeat` on the way (`architecture.cnn.stages.0.width`). So a name never changes its distribution, which
samplers of conditional spaces need.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.space.expressions import Expression

Scalar = bool | int | float | str
Value = Scalar | None | tuple[Any, ...]
Confidence = Literal["low", "medium", "high"]
"""How sure the writer is that good values lie around the default."""
Growth = Literal["nondecreasing", "nonincreasing"]
"""The value used is the running maximum or minimum over the blocks so far, so that what is drawn stays the same."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is not searched."""

    value: Value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values."""

    options: tuple[Scalar, ...]
    default: Scalar
    prior: Confidence | None = None
    grow: Growth | None = None
    passes: float | None = None
    """As time allows: the default rises to the largest number with which a training affords at least so many passes."""


@dataclass(frozen=True, slots=True)
class IntRange:
    """An integer from low to high inclusive, in steps of `step` or even on the logarithm."""

    low: int
    high: int
    step: int
    log: bool
    default: int
    prior: Confidence | None = None
    grow: Growth | None = None
    passes: float | None = None
    """As of a choice."""


@dataclass(frozen=True, slots=True)
class FloatRange:
    """A number from low to high, even on the line or on the logarithm."""

    low: float
    high: float
    log: bool
    default: float
    prior: Confidence | None = None
    grow: Growth | None = None


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several subspaces; the decision is called `<path>.kind` and lands in the result under `kind`."""

    branches: Mapping[str, "Group"]
    default: str
    prior: Confidence | None = None

    @property
    def kind(self) -> Choice:
        """The decision between the branches."""
        return Choice(tuple(self.branches), self.default, self.prior)


@dataclass(frozen=True, slots=True)
class Repeat:
    """Blocks in a row, a tuple in the result; their number, if not fixed, is called `<path>.count`."""

    count: int | IntRange
    of: "Node"
    tie: bool = False
    """One draw serves all blocks; it is called `<path>.each`."""

    @property
    def most(self) -> int:
        """The largest number of blocks."""
        return self.count if isinstance(self.count, int) else self.count.high


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression over names of the tree, and where it was written."""

    text: str
    expression: Expression
    where: str


@dataclass(frozen=True, slots=True)
class Group:
    """Named nodes side by side."""

    nodes: Mapping[str, "Node"]
    when: Mapping[str, Condition] = field(default_factory=dict)
    """Nodes that exist only where their condition is true."""
    forbid: tuple[Condition, ...] = ()
    """No candidate may make one of them true."""


Leaf = Constant | Choice | IntRange | FloatRange
Node = Leaf | OneOf | Repeat | Group


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all below it."""
    yield node
    match node:
        case OneOf(branches):
            below: list[Node] = list(branches.values())
        case Group(nodes):
            below = list(nodes.values())
        case Repeat(of=of):
            below = [of]
        case _:
            below = []
    for sub in below:
        yield from walk(sub)


@dataclass(frozen=True, slots=True)
class Space:
    """A whole search space: how networks are built, how they are trained, and candidates to try first."""

    architecture: OneOf
    optimizer: Group
    warm_start: tuple[Mapping[str, Scalar], ...]
    """Each maps names to values; names left out keep their default."""
    forbid: tuple[Condition, ...] = ()
    where: str = "space"
    """Start of every message about it."""

    @property
    def root(self) -> Group:
        """The tree that candidates are drawn from."""
        return Group({"architecture": self.architecture, "optimizer": self.optimizer}, forbid=self.forbid)

    @property
    def has_prior(self) -> bool:
        """Whether any node says how sure its default is."""
        return any(getattr(node, "prior", None) for node in walk(self.root))
