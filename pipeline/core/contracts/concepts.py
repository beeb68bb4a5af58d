"""What interpret says of concepts that a person gave examples of."""

from dataclasses import dataclass
from typing import Literal

from pipeline.core.contracts.number import Number

ConceptVerdict = Literal["used", "not_shown", "insufficient_evidence"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConceptDirection:
    """How well the activations of a layer tell examples of a concept from random training rows."""

    name: str
    layer: str
    examples: int
    accuracy: Number
    """Share of held-out examples and random rows on the right side, half each; 0.5 is guessing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConceptScore:
    """What a concept does to one output, at one layer."""

    name: str
    layer: str
    output: str
    """Class, label or target."""
    score: Number
    """TCAV: share of the rows whose output rises along the direction of the concept, mean over runs."""
    random: Number
    """The same of directions between two sets of random training rows."""
    shift: Number
    """How far examples lie from random rows along the gradient of the output, in units of the output."""
    p: float | None
    """Larger one of two two-sided p: of score against random, and of shift against 0."""
    p_adjusted: float | None
    """After Holm, over all concepts, outputs and layers."""
    verdict: ConceptVerdict
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Concepts:
    """Which concepts outputs rest on, as far as one direction of a layer holds them."""

    how: str
    runs: int
    """Random sets of training rows, and directions of each concept."""
    tests: int
    """In the family that Holm's correction covers."""
    alpha: float
    directions: tuple[ConceptDirection, ...]
    scores: tuple[ConceptScore, ...]
    reduced: tuple[str, ...] = ()
    """What was looked at on fewer rows or examples."""
