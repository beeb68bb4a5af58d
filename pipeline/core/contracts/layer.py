"""What a network is made of, as far as a drawing of it needs to know."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """A part of a network that is drawn."""

    name: str
    """Where it stands in the network ("trunk.3"); "input" is what the network reads, "output" what it gives."""
    kind: str
    """Name of its class; "weights": numbers that stand in no part of their own."""
    words: str
    """What it does, for people."""
    inside: tuple[str, ...] = ()
    """Layers with weights of a part that is drawn whole, equal neighbours as one."""
    output: tuple[int, ...] | None = None
    """Shape of what it gives for one row; None where that depends on what stands in the row."""
    parameters: int = 0
    """Trainable weights."""
    fixed: int = 0
    """Numbers beside them that no step changes, statistics of norms aside."""
    after: tuple[str, ...] = ()
    """Names of the parts that it reads."""
    light: bool = False
    """A norm, an activation, a pooling: drawn together with the part before."""
