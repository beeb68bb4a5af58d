"""What train tells of its trainings on the full budget, and of the winner with its choices turned back."""

from dataclasses import dataclass

from pipeline.core.contracts.number import Number


@dataclass(frozen=True, kw_only=True, slots=True)
class FullTraining:
    """A training on the full budget; its weights lie beside card.json."""

    name: str
    """seed 1 is the network that is handed on; seed 2 … are the same candidate; default is the space's default;
    distilled is the candidate, trained on what a teacher says."""
    file: str
    seed: int
    val_score: float
    standard_error: float
    """Of the score, over validation rows."""
    val_quality: float
    passes: float
    """Over the training split."""
    seconds: float
    weights_sha256: str
    teacher: str = ""
    """Whose mean predictions of the training rows it learned in place of their targets, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ablated:
    """One choice of the winner turned back to its default, all else of it kept."""

    name: str
    """Dotted, as among the columns of trials.parquet."""
    chosen: str
    default: str
    difference: Number
    """Validation score with the default minus that of the winner: above 0 the choice helped."""
    standard_error: float | None
    """Of the difference, paired by row; it knows of one seed alone."""
