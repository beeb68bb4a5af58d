"""What engine_throughput.py makes of its visits: samples per second, ratio and its range. No files, no clocks."""

from collections.abc import Mapping, Sequence
from statistics import geometric_mean
from typing import Any

SIDES = ("ours", "theirs")


def order(rounds: int) -> tuple[str, ...]:
    """Return whose turn it is: A B B A in each round, so that a machine that slows down steadily favours nobody."""
    ours, theirs = SIDES
    return (ours, theirs, theirs, ours) * rounds


def rate(visits: Sequence[Mapping[str, Any]], per: str = "seconds") -> float:
    """Return rows per second of all visits together; `per` cpu_seconds: per second of a working core."""
    return float(sum(v["rows"] for v in visits) / sum(v[per] for v in visits))


def core_share(visits: Sequence[Mapping[str, Any]]) -> float:
    """Return the least share of a core that our visits had: about 1 for one busy process on a machine of its own."""
    return min(float(v["cpu_seconds"] / v["seconds"]) for v in visits if v["side"] == SIDES[0])


def compared(visits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the rates of both sides, and their ratio: geometric mean and range over pairs of neighbouring visits."""
    of = {side: [v for v in visits if v["side"] == side] for side in SIDES}
    pairs = []
    for pair in zip(visits[::2], visits[1::2], strict=True):
        by_side = {v["side"]: v for v in pair}
        if set(by_side) != set(SIDES):
            raise ValueError("each pair of visits needs one of either side")
        pairs.append([by_side[side] for side in SIDES])
    ratios = [rate([ours]) / rate([theirs]) for ours, theirs in pairs]
    return {
        "ratio": geometric_mean(ratios),
        "ratio_range": [min(ratios), max(ratios)],
        "core_share": core_share(visits),
        "cpu_ratio": geometric_mean(
            rate([ours], "cpu_seconds") / rate([theirs], "cpu_seconds") for ours, theirs in pairs
        ),
        **{f"{side}_per_second": rate(of[side]) for side in SIDES},
        **{f"{side}_range": [f(rate([v]) for v in of[side]) for f in (min, max)] for side in SIDES},
        **{f"{side}_trials": sum(v["trials"] for v in of[side]) for side in SIDES},
    }
