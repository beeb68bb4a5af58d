"""What a search minimises: the score alone, or beside it one or two of the amounts that a bound can be set on."""

from dataclasses import dataclass
from typing import Literal

SCORE = "score"
Objective = Literal[
    "score",
    "parameters",
    "multiply_adds",
    "size_mb",
    "latency_ms",
    "calibration_error",
    "equalized_odds_gap",
    "demographic_parity_gap",
]
"""The score, and what core/bounds.py has constraints for."""
_MOST = 3
"""With more, hardly a trial is worse than another in all of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectiveSettings:
    """conf/objective/*.yaml: what is minimised."""

    kind: Literal["score", "pareto"] = "score"
    """pareto: several objectives, none of which is worth more than another until one trial is handed on."""
    minimise: tuple[Objective, ...] = ("score",)
    """The score first; the one after it decides between trials whose scores are equally good."""

    def __post_init__(self) -> None:
        """Several objectives are two or three different ones."""
        names = self.minimise
        shown = ", ".join(names) or "none"
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise ValueError(f"minimise names {twice[0]} twice")
        if names[:1] != (SCORE,):
            raise ValueError(f"minimise starts with the score, got {shown}")
        if self.kind == "score" and len(names) > 1:
            raise ValueError(f"kind score minimises the score alone, got {shown}; objective=pareto takes more")
        if self.kind == "pareto" and not 2 <= len(names) <= _MOST:
            raise ValueError(f"pareto minimises two or three objectives, got {shown}")

    @property
    def others(self) -> tuple[str, ...]:
        """The objectives beside the score."""
        return self.minimise[1:]
