"""What a process takes of a machine while it works: seconds of its processors, and energy."""

import os

from pipeline.core.energy import JOULES, Meter, Unmeasurable, open_meter

CONTINUED = "went on where an earlier process stopped, whose share nobody counted"
SHARED = "several processes trained together, and each knows its own share alone"


def processor_seconds() -> float:
    """Return the seconds that processors worked for this process and for those it started that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class Usage:
    """Counts from when it was made."""

    def __init__(self, gpu: str | None = None) -> None:
        """`gpu`: UUID of the GPU that works."""
        self._start = processor_seconds()
        self._joules = 0.0
        try:
            self._meter: Meter | str = open_meter(gpu)
        except Unmeasurable as wrong:
            self._meter = f"{wrong}; {wrong.fix}"

    @property
    def processor_seconds(self) -> float:
        """So far."""
        return round(processor_seconds() - self._start, 3)

    @property
    def energy_wh(self) -> float | None:
        """Watt-hours as last looked at; None where they are not measured."""
        return None if isinstance(self._meter, str) else round(self._joules / JOULES, 6)

    @property
    def energy_words(self) -> str:
        """What is measured, or why nothing is."""
        return self._meter if isinstance(self._meter, str) else self._meter.words

    def look(self) -> None:
        """Look at the meter; its counters go round within minutes, so it has to be looked at more often."""
        if isinstance(self._meter, str):
            return
        try:
            self._joules = self._meter.joules()
        except Unmeasurable as wrong:
            self._meter = str(wrong)
