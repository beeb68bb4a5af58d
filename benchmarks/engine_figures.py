"""What engine_throughput.py makes of its visits: samples per second, ratio and its range. No files, no clocks."""

from collections.abc import Mapping, Sequence
from typing import Any

SIDES = ("ours", "theirs")


def order(rounds: int) -> tuple[str, ...]:
    """Return whose turn it is: A B B A in each round, so that a machine that slows down steadily favours nobody."""
    ours, theirs = SIDES
    return (ours, theirs, theirs, ours) * rounds


def rate(visits: Sequence[Mapping[str, Any]], per: str = "seconds") -> float:
    """Return rows per second of all visits together; `per` cpu_seconds: per second of a working core."""
    return float(sum(v["rows"] for v in visits) / sum(v[per] for v in visits))


def compared(visits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the rates of both sides, their ratio, and the range of the ratios of visits next to each other."""
    of = {side: [v for v in visits if v["side"] == side] for side in SIDES}
    ratios = []
    for first, second in zip(visits[::2], visits[1::2], strict=True):
        a, b = (first, second) if first["side"] == SIDES[0] else (second, first)
        if (a["side"], b["side"]) != SIDES:
            raise ValueError("each pair of visits needs one of either side")
        ratios.append(rate([a]) / rate([b]))
    return {
        "ratio": rate(of["ours"]) / rate(of["theirs"]),
        "cpu_ratio": rate(of["ours"], "cpu_seconds") / rate(of["theirs"], "cpu_seconds"),
        "pair_ratios": ratios,
        "ratio_range": [min(ratios), max(ratios)],
        **{f"{side}_per_second": rate(of[side]) for side in SIDES},
        **{f"{side}_range": [f(rate([v]) for v in of[side]) for f in (min, max)] for side in SIDES},
        **{f"{side}_trials": sum(v["trials"] for v in of[side]) for side in SIDES},
    }
