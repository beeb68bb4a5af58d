"""Where the wall seconds of a study go, and its energy."""

import logging
import math
import time
from typing import Literal

import optuna

from pipeline.core.energy import JOULES, Meter, Unmeasurable, open_meter
from pipeline.core.errors import ConfigError
from pipeline.core.settings import SearchSettings, TrainerSettings
from pipeline.core.usage import processor_seconds

log = logging.getLogger("pipeline.search")

Phase = Literal["start", "probe", "default", "search", "refine", "finish", "confirm"]
"""Loading libraries and rows; measuring the default's first steps; until the default came to its end; new candidates
and promotions; numbers of the best candidate; the best paused ones to their end; fresh seeds."""
_START_SHARE = 0.5
"""Of the seconds of a search; a slower start does not count beyond it, so that something is trained."""
_LOOK_EVERY = 1.0
"""Seconds between two looks at the meter: a counter that went round twice in between would lose a turn."""


class Clock:
    """Wall seconds of a study by phase and energy, over all restarts, kept with it."""

    def __init__(self, study: optuna.Study, meter: Meter | str = "nobody looked", began: float | None = None) -> None:
        """`meter`: or why there is none. `began`: when, of time.monotonic(), this process did; now where None."""
        self._study = study
        self._phases: dict[Phase, float] = dict(study.user_attrs.get("phases", {}))
        self._before = sum(self._phases.values())
        self._looked = time.monotonic()
        self._start = self._since = self._looked if began is None else began
        self.phase: Phase = "start"
        self._meter = meter
        had: dict[str, float | str | None] = study.user_attrs.get("energy", {} if self._phases else {"joules": 0.0})
        self._joules = joules if isinstance(joules := had.get("joules"), float) else None
        """Of earlier processes; None if one of them was not measured."""
        self._running_joules = 0.0
        spent: dict[str, float | None] = study.user_attrs.get("processor", {} if self._phases else {"seconds": 0.0})
        self._processor = spent.get("seconds")
        """Of earlier processes; None if one of them was interrupted, with workers nobody waited for."""
        self._processor_start = processor_seconds()

    @property
    def used(self) -> float:
        """Seconds so far."""
        return self._before + self.running

    @property
    def running(self) -> float:
        """Seconds of this process."""
        return time.monotonic() - self._start

    @property
    def energy_wh(self) -> float | None:
        """Watt-hours so far, as last looked at; None where not all was measured."""
        if self._joules is None or isinstance(self._meter, str):
            return None
        return (self._joules + self._running_joules) / JOULES

    @property
    def energy_words(self) -> str:
        """What is measured, or why nothing is."""
        if isinstance(self._meter, str):
            return self._meter
        return self._meter.words if self._joules is not None else "not measured in an earlier run of this study"

    def look(self, now: bool = False) -> None:
        """Look at the meter if it is time to; called as often as anybody likes."""
        moment = time.monotonic()
        if isinstance(self._meter, str) or not (now or moment - self._looked >= _LOOK_EVERY):
            return
        self._looked = moment
        try:
            self._running_joules = self._meter.joules()
        except Unmeasurable as wrong:
            self._meter = str(wrong)
            log.warning("energy is not measured any more: %s", wrong)

    def total(self, settings: SearchSettings) -> float | None:
        """Return the seconds that the budget comes to; None where only trials count.

        Energy lasts as long as it does at the average power so far, all restarts together.
        """
        limits = [] if settings.seconds is None else [settings.seconds]
        if settings.energy_wh is not None:
            self.look(now=True)
            used = self.energy_wh
            if used is None:
                raise _unmeasured(self.energy_words, "run the same command where it is measured: the study goes on")
            limits.append(self.used * settings.energy_wh / used if used else math.inf)
        return min(limits, default=None)

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

    def keep(self, *, ended: bool = False) -> None:
        """Store seconds and energy, so that a killed search has not forgotten them.

        What processors took is known when all workers have `ended`.
        """
        self.look(now=True)
        self._study.set_user_attr("phases", dict(self.phases))
        joules = None if self.energy_wh is None else self.energy_wh * JOULES
        self._study.set_user_attr("energy", {"joules": joules, "of": self.energy_words})
        whole = self._processor
        if ended and whole is not None:
            whole += processor_seconds() - self._processor_start
        self._study.set_user_attr("processor", {"seconds": whole if ended else None})


def start_of(began: float | None, seconds: float | None) -> float:
    """Return from when, of time.monotonic(), the seconds of a search count; `began`: when its process did."""
    now = time.monotonic()
    return now if began is None else max(began, now - _START_SHARE * (math.inf if seconds is None else seconds))


def kept_phases(study: optuna.Study) -> tuple[tuple[str, float], ...]:
    """Return the seconds of each phase as last stored."""
    return tuple(study.user_attrs.get("phases", {}).items())


def kept_energy(study: optuna.Study) -> tuple[float | None, str]:
    """Return the watt-hours as last stored and what they are of, or None and why."""
    kept = study.user_attrs.get("energy", {"joules": None, "of": "nobody looked"})
    return None if kept["joules"] is None else round(kept["joules"] / JOULES, 6), kept["of"]


def kept_processor(study: optuna.Study) -> float | None:
    """Return the processor seconds as last stored; None where not all were counted."""
    seconds: float | None = study.user_attrs.get("processor", {}).get("seconds")
    return None if seconds is None else round(seconds, 3)


def meter_of(trainer: TrainerSettings) -> Meter | str:
    """Return the meter of the device that trains, or why there is none."""
    from pipeline.training.device import choose_device, gpu_name

    try:
        return open_meter(gpu_name() if choose_device(trainer)[0] == "cuda" else None)
    except Unmeasurable as wrong:
        return f"{wrong}; {wrong.fix}"


def refuse_unmeasured(settings: SearchSettings, clock: Clock) -> None:
    """Refuse a bound on energy where that is not measured, or was not from the start."""
    if settings.energy_wh is not None and clock.energy_wh is None:
        raise _unmeasured(clock.energy_words, "bound search.seconds instead, or search with search.energy_wh=null")


def _unmeasured(why: str, fix: str) -> ConfigError:
    return ConfigError(f"conf.search.energy_wh: energy is not measured ({why})", fix=fix)
