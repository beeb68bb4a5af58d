"""Defaults that rise as time allows: a larger network is worth more than passes beyond those that it needs.

The first candidate alone is raised, before anything is trained and once for a study; what others have stays.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.core.contracts import Candidate, Policy, RaisedDefault, TriedDefault
from pipeline.core.errors import SpaceError
from pipeline.space import DefaultChooser, Forbidden, Rising, Scalar, Space, rising, values_above
from pipeline.tuning.constraints import Gauge, OutOfBounds
from pipeline.tuning.jobs import Problem, refuse_size
from pipeline.tuning.proposals import First, feasible
from pipeline.tuning.speed import Speed, speed_of

log = logging.getLogger("pipeline.search")

RISING_SHARE = 0.03
"""Of the seconds of a search, for all these measurements together."""
LEAST_STEPS = 250
"""Wanted beside the passes, which few rows make short: a wider network would learn too little in them."""
_EACH_SHARE, _EACH_SECONDS = 0.01, 1.5
"""Of one, beside its start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A candidate's speed, and how it was computed then."""

    speed: Speed
    policy: Policy


Measure = Callable[[Candidate, Policy], Measured | str]
"""What a candidate takes, computed as that policy says where no better is known; or why that is not measured."""


Rise = Callable[[Measured, float], tuple[tuple[RaisedDefault, ...], Measured]]
"""From what the default takes and the seconds of one training to the defaults that may rise, and what they take."""


def raised_defaults(
    space: Space, known: Mapping[str, Scalar], at: Measured, seconds: float, measure: Measure
) -> tuple[tuple[RaisedDefault, ...], Measured]:
    """Return the defaults that may rise, each raised as far as it pays, and what the last one that pays takes.

    Several rise one after the other as they are written, the later ones beside what the earlier ones have by then.

    Args:
        space: what the names are of.
        known: every answer of the default.
        at: what that takes.
        seconds: of one training.
        measure: asked of the lowest value first, and of none above one that does not pay.
    """
    found = []
    for name, node in rising(space.root):
        if name in known:
            one, known, at = _raised(space, (name, node), known, at, seconds, measure)
            found.append(one)
    return tuple(found), at


def _raised(
    space: Space,
    which: tuple[str, Rising],
    known: Mapping[str, Scalar],
    at: Measured,
    seconds: float,
    measure: Measure,
) -> tuple[RaisedDefault, Mapping[str, Scalar], Measured]:
    name, node = which
    least = least_passes(node, at.speed)
    value = declared = _number(known[name])
    tried = [_tried(declared, at, seconds)]
    for higher in values_above(node) if at.speed.passes(seconds) >= least else ():
        chooser = DefaultChooser({**known, name: higher})
        try:
            candidate = feasible(space, chooser)
        except Forbidden as wrong:
            tried.append(TriedDefault(value=higher, pass_seconds=None, passes=None, reason=wrong.message))
            continue
        measured = measure(candidate, at.policy)
        if isinstance(measured, str):
            tried.append(TriedDefault(value=higher, pass_seconds=None, passes=None, reason=measured))
            break
        tried.append(_tried(higher, measured, seconds))
        if measured.speed.passes(seconds) < least:
            break
        value, known, at = higher, chooser.answers, measured
    one = RaisedDefault(name=name, declared=declared, value=value, least_passes=least, seconds=round(seconds, 3),
                        policy=at.policy, tried=tuple(tried))  # fmt: skip
    return one, known, at


def least_passes(node: Rising, speed: Speed) -> float:
    """Return the passes that one training has to pay for: those declared, more where they are too few steps."""
    assert node.passes is not None
    return max(node.passes, round(LEAST_STEPS / speed.steps, 1) if speed.steps else 0.0)


def _number(answer: Scalar) -> int | float:
    assert not isinstance(answer, str)
    return answer


def _tried(value: int | float, measured: Measured, seconds: float) -> TriedDefault:
    speed = measured.speed
    return TriedDefault(value=value, pass_seconds=round(speed.each, 4), passes=speed.passes(seconds))


class Timing:
    """Measures one candidate after the other on this machine, until its share of the search's seconds is spent."""

    def __init__(
        self, problem: Problem, policy_of: Callable[[Candidate, Policy], Policy], gauge: Gauge | None = None
    ) -> None:
        """`policy_of`: how a candidate is computed, the given policy where nothing better is known.

        `gauge`: of the bounds that are known before training.
        """
        self.problem, self._policy_of, self._gauge = problem, policy_of, gauge
        whole = problem.settings.seconds
        self.limit = math.inf if whole is None else RISING_SHARE * whole
        self.most = _EACH_SECONDS if whole is None else min(_EACH_SECONDS, _EACH_SHARE * whole)
        self._spent = 0.0
        self._last = self.most
        """Seconds of the last measurement: the next one takes no less."""

    def __call__(self, candidate: Candidate, like: Policy) -> Measured | str:
        """Return what a candidate takes, or why that is not measured."""
        if self._spent + self._last > self.limit:
            return f"the {100 * RISING_SHARE:g} % of the seconds that go into measuring were spent"
        began = time.monotonic()
        try:
            return self._measured(candidate, like)
        except OutOfBounds as wrong:
            return wrong.words
        except SpaceError as wrong:
            return wrong.message
        except Exception as wrong:  # noqa: BLE001  what cannot be trained is not risen to; no search ends of it
            return f"{type(wrong).__name__}: {str(wrong).partition(chr(10))[0]}"
        finally:
            self._last = time.monotonic() - began
            self._spent += self._last

    def _measured(self, candidate: Candidate, like: Policy) -> Measured:
        if self._gauge is not None:
            self._gauge.kept(candidate)
        refuse_size(candidate, self.problem)
        policy = self._policy_of(candidate, like)
        return Measured(speed=speed_of(self.problem, candidate, policy, self.most), policy=policy)


def rise_of(
    problem: Problem, space: Space, first: First, gauge: Gauge, policy_of: Callable[[Candidate, Policy], Policy]
) -> Rise | None:
    """Return what raises the default that goes first; None where none does, or nobody counts the seconds."""
    settings = problem.settings
    begins = settings.strategy in ("engine", "default_only") and bool(first) and first[0][0] == "default"
    if settings.seconds is None or not begins:
        return None

    def rise(at: Measured, seconds: float) -> tuple[tuple[RaisedDefault, ...], Measured]:
        chooser = DefaultChooser(first[0][1])
        feasible(space, chooser)
        return raised_defaults(space, chooser.answers, at, seconds, Timing(problem, policy_of, gauge))

    return rise


def risen(first: First, raised: Sequence[RaisedDefault]) -> First:
    """Return what goes first with the first of all raised."""
    if not raised:
        return first
    (origin, known), *others = first
    return [(origin, {**known, **{one.name: one.value for one in raised}}), *others]


def raised_words(one: RaisedDefault) -> str:
    """Say how far a default rose, and what the next value would have cost."""
    said = one.name.removeprefix("architecture.").replace(".", " ")
    passes = {tried.value: tried.passes for tried in one.tried}
    found = f"{said} {one.value:g}: {passes[one.value]:g} passes in {one.seconds:.3g} s"
    last = one.tried[-1]
    if passes[one.declared] < one.least_passes:  # type: ignore[operator]
        return f"{found}; it rises from {one.least_passes:g} on"
    if last.value == one.value:
        return f"{found}, the largest value"
    if last.passes is None:
        return f"{found}; {last.value:g} was not measured: {last.reason}"
    return f"{found}; {last.value:g} would have {last.passes:g}"
