"""Upper bounds that a model has to keep: which there are, and by how much an amount exceeds its bound."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

Amounts = Mapping[str, tuple[float, float]]
"""(amount, its bound) by the name of the constraint."""

GAPS = ("equalized_odds_gap", "demographic_parity_gap")
"""Between groups of a sensitive feature."""
MEASURED = ("calibration_error", *GAPS)
"""Known of a trained network alone, on rows; the others are known before a step is trained."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Constraints:
    """conf/search/*.yaml `constraints`: upper bounds; None: any amount will do."""

    parameters: float | None = None
    """Trainable weights."""
    multiply_adds: float | None = None
    """Of one row, forward."""
    size_mb: float | None = None
    """Megabytes (10^6) of the weights in fp32."""
    latency_ms: float | None = None
    """Median milliseconds of predicting `latency_batch` rows where the search trains."""
    calibration_error: float | None = None
    """Expected calibration error of the predicted class, on validation rows."""
    equalized_odds_gap: float | None = None
    """Largest difference between groups in true or false positive rates, on validation rows."""
    demographic_parity_gap: float | None = None
    """Largest difference between groups in the share of rows predicted positive, on validation rows."""

    def __post_init__(self) -> None:
        """A bound of 0 or less could never be kept."""
        for name, bound in self.given().items():
            if bound <= 0:
                raise ValueError(f"{name} must be positive, got {bound:g}")

    def given(self) -> dict[str, float]:
        """Return the bounds that are set, by name."""
        bounds = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: bound for name, bound in bounds.items() if bound is not None}


def violations(amounts: Amounts) -> Amounts:
    """Return the amounts above their bounds."""
    return {name: (amount, bound) for name, (amount, bound) in amounts.items() if amount > bound}


def excess(amounts: Amounts) -> float:
    """Return by which share of its bound an amount exceeds it, the largest such share; 0 where all are kept."""
    return max((amount / bound - 1 for amount, bound in violations(amounts).values()), default=0.0)


def amount_words(amount: float) -> str:
    """Return "5,130" or "0.0371"."""
    return f"{amount:,.0f}" if amount >= 1000 or amount == int(amount) else f"{amount:.4g}"


def violation_words(amounts: Amounts) -> str:
    """Return "parameters 5,130 above its bound 2,000", for each amount that is."""
    broken = violations(amounts).items()
    return ", ".join(
        f"{n} {amount_words(amount)} above its bound {amount_words(bound)}" for n, (amount, bound) in broken
    )
