"""How long prepare will take and what it will write, roughly."""

from pipeline.sniffing.found import Found

_START = 1.5
"""Seconds for starting Python, reading conf/ and loading libraries."""
_RATES = {
    "table cells": 400_000.0,
    "text words": 500_000.0,
    "series values": 1_000_000.0,
    "forecast values": 1_000_000.0,
    "image files": 1_500.0,
    "image bytes": 10_000_000.0,
}
"""PLACEHOLDER."""


def seconds(found: Found) -> float:
    """Return seconds of prepare."""
    return _START + found.amount / _RATES[found.work]


def cost_line(found: Found) -> str:
    """Return time and size of prepare in words."""
    time = seconds(found)
    size = max(found.packed / 1024**2, 1)
    return f"preparing takes about {max(2, round(time)):,} s and {size:,.0f} MB"
