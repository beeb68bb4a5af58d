"""A number that a report may show."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A reported number. Undefined is `value: null` with a reason, never 0 or NaN."""

    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_level: float | None = None
    ci_method: str | None = None
    n: int
    unit: str | None = None
    reason: str | None = None
    """Why the value is undefined."""
