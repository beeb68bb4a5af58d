"""Where the wall seconds of a study go."""

import time
from typing import Literal

import optuna

Phase = Literal["probe", "default", "search", "finish", "confirm"]
"""Measuring the default's first steps; until the default came to its end; new candidates and promotions; the best
paused ones to their end; fresh seeds."""


class Clock:
    """Wall seconds of a study by phase, over all restarts, kept with it."""

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._phases: dict[Phase, float] = dict(study.user_attrs.get("phases", {}))
        self._before = sum(self._phases.values())
        self._start = self._since = time.monotonic()
        self.phase: Phase = "probe"

    @property
    def used(self) -> float:
        """Seconds so far."""
        return self._before + self.running

    @property
    def running(self) -> float:
        """Seconds of this process."""
        return time.monotonic() - self._start

    @property
    def phases(self) -> tuple[tuple[Phase, float], ...]:
        """Seconds of each phase so far, the first one first."""
        now = self._phases | {self.phase: self._phases.get(self.phase, 0.0) + time.monotonic() - self._since}
        return tuple((name, round(seconds, 3)) for name, seconds in now.items())

    def enter(self, phase: Phase) -> None:
        """Count what follows to this phase."""
        if phase != self.phase:
            now = time.monotonic()
            self._phases[self.phase] = self._phases.get(self.phase, 0.0) + now - self._since
            self.phase, self._since = phase, now

    def moment(self, used: float) -> float:
        """Return when, of time.monotonic(), so many seconds will be used."""
        return self._start + used - self._before

    def keep(self) -> None:
        """Store the seconds, so that a killed search has not forgotten them."""
        self._study.set_user_attr("phases", dict(self.phases))


def kept_phases(study: optuna.Study) -> tuple[tuple[str, float], ...]:
    """Return the seconds of each phase as last stored."""
    return tuple(study.user_attrs.get("phases", {}).items())
