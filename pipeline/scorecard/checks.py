"""What was found for each row, of one method → numbers with intervals and the verdict on how far to believe it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import MethodCheck, Number, Verdict
from pipeline.metrics.intervals import mean

Values = NDArray[np.float64]

_LEVEL = 0.95
COMPLETE_ENOUGH = 0.05
_MISSES = 4 * COMPLETE_ENOUGH
_UNLIKE, _ALIKE = 0.3, 0.6
"""Rank correlation with the maps of a network that has learned nothing: up to the first is fine, from the second on a
map shows the input and not the network."""
_STEADY = 0.5
"""Rank correlation with maps towards another baseline."""
_LOOKED = ("randomised", "other_baseline", "sensitivity")
_GRAVITY: Sequence[Verdict] = ("pass", "not_assessed", "warn", "fail")


def check(
    method: str, words: str, promises: bool, evidence: Mapping[str, Values], gone: Mapping[str, str]
) -> MethodCheck:
    """Return the scorecard of a method; `words`: what "absent" means; `promises`: whether contributions add up.

    `evidence`: errors and infidelity (R,), curves (R, k + 1) with random orders and of insertion, and of as many rows
    as there was time for what other weights, another baseline and small changes do; `gone`: why some is not there.
    """
    errors = evidence["errors"]
    low, high = np.quantile(errors, [0.25, 0.75])
    numbers = {
        "completeness": Number(
            value=float(np.median(errors)),
            ci_low=float(low),
            ci_high=float(high),
            ci_level=0.5,
            ci_method="quartiles over rows",
            n=len(errors),
        ),
        "deletion_gain": mean(area_between(evidence["random"], evidence["curves"]), _LEVEL),
        "insertion_gain": mean(area_between(evidence["insertion"], evidence["random"][:, ::-1]), _LEVEL),
        "infidelity": _known(evidence["infidelity"], "nothing changes when input is removed"),
        "infidelity_gain": _known(evidence["random_infidelity"] - evidence["infidelity"],
                                  "nothing changes when input is removed"),
        **{name: _known(evidence[name], "maps are constant") if name in evidence
           else Number(value=None, n=0, reason=gone[name]) for name in _LOOKED},
    }  # fmt: skip
    verdict, reason = judge(numbers, promises)
    return MethodCheck(
        method=method,
        baseline=words,
        promises_completeness=promises,
        deletion_curve=tuple(float(v) for v in evidence["curves"].mean(axis=0)),
        random_curve=tuple(float(v) for v in evidence["random"].mean(axis=0)),
        insertion_curve=tuple(float(v) for v in evidence["insertion"].mean(axis=0)),
        verdict=verdict,
        reason=reason,
        **numbers,
    )


def area_between(upper: Values, lower: Values) -> Values:
    """Return the area between two curves (R, k + 1) of each row, (R,)."""
    return np.asarray(np.trapezoid(upper - lower, dx=1 / (upper.shape[1] - 1), axis=1))


def _known(values: Values, reason: str) -> Number:
    """Return the mean of the rows where it is defined."""
    known = values[np.isfinite(values)]
    return mean(known, _LEVEL) if len(known) else Number(value=None, n=0, reason=reason)


def judge(numbers: Mapping[str, Number], promises: bool) -> tuple[Verdict, str]:
    """Return the worst of the verdicts of all checks, and why; what there was no time for says nothing."""
    said = [
        _gain(numbers["deletion_gain"], "removing what it calls important changes the prediction less than removing"),
        _gain(numbers["insertion_gain"], "showing what it calls important keeps less of the prediction than showing"),
        _infidelity(numbers["infidelity_gain"]),
        _weights(numbers["randomised"]),
        _baseline(numbers["other_baseline"]),
    ]
    if promises:
        said.insert(0, _completeness(numbers["completeness"]))
    worst = max((verdict for verdict, _ in said), key=_GRAVITY.index)
    if worst == "pass":
        return worst, "better than random order" + (", and contributions add up" if promises else "")
    return worst, "; ".join(dict.fromkeys(words for verdict, words in said if verdict == worst))


def _completeness(error: Number) -> tuple[Verdict, str]:
    assert error.value is not None
    if error.value <= COMPLETE_ENOUGH:
        return "pass", ""
    words = f"contributions miss the change of the output by {error.value:.0%} in the median"
    return ("fail" if error.value > _MISSES else "warn"), words


def _gain(gain: Number, wrong: str) -> tuple[Verdict, str]:
    if gain.ci_low is None or gain.ci_high is None:
        return "not_assessed", "too few rows for an interval"
    if gain.ci_high < 0:
        return "fail", f"{wrong} at random"
    return ("warn" if gain.ci_low <= 0 else "pass"), "not shown to be better than random order"


def _infidelity(gain: Number) -> tuple[Verdict, str]:
    if gain.value is None:
        return "pass", ""
    low, high = (gain.value if limit is None else limit for limit in (gain.ci_low, gain.ci_high))  # all rows alike
    if high < 0:
        return "fail", "its sums say less of what removing groups of inputs does than the same map in random places"
    return ("warn" if low <= 0 else "pass"), "its sums are not shown to say more than a map in random places"


def _weights(alike: Number) -> tuple[Verdict, str]:
    if alike.value is None or alike.value <= _UNLIKE:
        return "pass", ""
    words = f"maps of a network that has learned nothing look alike (rank correlation {alike.value:.2f})"
    return ("fail" if alike.value > _ALIKE else "warn"), words


def _baseline(alike: Number) -> tuple[Verdict, str]:
    if alike.value is None or alike.value >= _STEADY:
        return "pass", ""
    return "warn", f"another baseline gives other maps (rank correlation {alike.value:.2f})"
