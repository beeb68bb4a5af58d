"""Search, and write down where the wall seconds of the process and of its workers went.

    python -m where [setting …]

Writes where.json. Parts of the work are timed by wrapping the functions that do them; workers are forked afterwards and
add to the same counters. `start` is what passed from the start of the process to the first line of the search itself.
"""

import functools
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.core.process import settle
from pipeline.core.settings import SearchSlice
from pipeline.stage import compose, prepare_terminal, slice_for

_TICKS = os.sysconf("SC_CLK_TCK")
IN_JOBS = ("steps", "scores", "networks, made or read", "at the end", "checkpoints written")
IN_SEARCH = ("probe", "decisions and proposals", "storing", "notes and terminal", "waiting for workers")
AROUND = ("rows read", "export", "ensemble")
_PARTS = ("jobs", *IN_JOBS, *IN_SEARCH, *AROUND)


class Counters:
    """Seconds and calls by part, shared with processes forked later."""

    def __init__(self) -> None:
        self.seconds = multiprocessing.Array("d", len(_PARTS))
        self.calls = multiprocessing.Array("q", len(_PARTS))
        self._in_job = False

    def timed(self, part: str, holder: Any, name: str) -> None:
        """Let calls of holder.name count to a part; what jobs do counts within jobs alone, not in the probe."""
        inner: Callable[..., Any] = getattr(holder, name)
        at = _PARTS.index(part)

        @functools.wraps(inner)
        def timing(*given: Any, **named: Any) -> Any:
            if part in IN_JOBS and not self._in_job:
                return inner(*given, **named)
            self._in_job |= part == "jobs"
            start = time.perf_counter()
            try:
                return inner(*given, **named)
            finally:
                took = time.perf_counter() - start
                self._in_job &= part != "jobs"
                with self.seconds.get_lock():
                    self.seconds[at] += took
                    self.calls[at] += 1

        setattr(holder, name, timing)


def age() -> float:
    """Return the seconds since this process was started."""
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / _TICKS
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def main() -> None:
    """Run the search of the arguments."""
    settle()  # as a stage does it, before the libraries are loaded
    import pipeline.search
    from pipeline import tuning
    from pipeline.training import data
    from pipeline.training.training import Training
    from pipeline.tuning import dispatch, jobs, loop, packs, workers

    prepare_terminal("search")
    settings = slice_for("search", SearchSlice, compose(sys.argv[1:]))

    counters = Counters()
    marks: dict[str, float] = {}
    for part, holder, name in (
        ("jobs", packs, "run_job"),
        ("steps", Training, "advance"),
        ("scores", Training, "record"),
        ("networks, made or read", jobs, "_continued"),
        ("at the end", jobs, "finished"),
        ("at the end", jobs, "cost_of"),
        ("checkpoints written", jobs, "pause"),
        ("probe", loop, "plan_for"),
        ("decisions and proposals", dispatch.Dispatch, "next_job"),
        ("storing", loop.Search, "_store"),
        ("notes and terminal", loop.Search, "_note"),
        ("waiting for workers", workers.Team, "take"),
        ("rows read", data, "load_data"),
        ("export", loop.Search, "export"),
        ("ensemble", tuning, "hand_over"),
    ):
        counters.timed(part, holder, name)
    crew_of = loop.crew_of

    @functools.wraps(crew_of)
    def watched(*given: Any, **named: Any) -> Any:
        marks["workers"] = given[1]
        return crew_of(*given, **named)

    loop.crew_of = watched
    run = loop.Search.run

    @functools.wraps(run)
    def marked(*given: Any, **named: Any) -> Any:
        marks["start"] = age()
        result = run(*given, **named)
        marks["searched"] = age()
        return result

    loop.Search.run = marked  # type: ignore[method-assign]
    pipeline.search.run(settings)
    marks["end"] = age()
    parts = {p: [round(counters.seconds[i], 3), counters.calls[i]] for i, p in enumerate(_PARTS)}
    Path("where.json").write_text(json.dumps({"marks": marks, "parts": parts}))


if __name__ == "__main__":
    main()
