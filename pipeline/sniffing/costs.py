"""How long prepare will take and what it will write, roughly."""

from pipeline.sniffing.found import Found

_START, _START_TABLE = 1.5, 2.5
"""Seconds for starting Python, reading conf/ and loading libraries; the checks of tables load more."""
_RATES = {
    "table cells": 80_000.0,
    "text words": 400_000.0,
    "series values": 1_000_000.0,
    "forecast values": 200_000.0,
    "image files": 1_500.0,
    "image bytes": 12_000_000.0,
}
"""Units a second by what `Found.amount` counts, on one core of a shared two-core machine.

Measured as wall seconds of prepare_dataset and write_split, without loading libraries: tables of 20,000 to 460,000
cells 60,000 to 97,000; texts of 90,000 to 1,500,000 words 180,000 to 740,000; series of 30,000 to 120,000 values
1.0 to 1.4 million; forecasts of 120,000 and 370,000 values 150,000 and 270,000; JPEG files 800 (256 pixels, one core)
and 1,850 (32 pixels, two); 70,000 images in idx files 12 million bytes. Expect a factor of two either way.
"""


def seconds(found: Found) -> float:
    """Return the estimated seconds of prepare."""
    start = _START_TABLE if found.format == "csv" else _START
    return start + found.amount / _RATES[found.work]


def cost_line(found: Found) -> str:
    """Return time and size of prepare in words."""
    size = max(1, round(found.packed / 1e6))
    return f"preparing takes about {max(2, round(seconds(found))):,} s and {size:,} MB"
