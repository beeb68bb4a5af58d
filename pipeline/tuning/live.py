"""A search seen while it runs: one line in a terminal, and few lines of log."""

import logging
import os
import shutil
import sys
import time
from collections.abc import Sequence
from types import TracebackType

from pipeline.core.bounds import violation_words
from pipeline.tuning.clock import Clock, Phase
from pipeline.tuning.jobs import Outcome, Problem
from pipeline.tuning.row import Row
from pipeline.tuning.standing import Standing, best_row, class_of, line_of, quality_name, standing_of
from pipeline.tuning.table import Table
from pipeline.tuning.view import Continue, Decision, Refine, Repeat, View

log = logging.getLogger("pipeline.search")

_DRAW_EVERY = 0.5
"""Seconds between two drawings of the line in a terminal, …"""
_TELL_EVERY = 30.0
"""… and between two lines of log with the same words elsewhere."""
_SAY_EVERY = 1.0
"""Seconds between two lines about trials that ended, unless one is the best so far."""
_WIPE = "\r\x1b[K"


def phase_of(view: View, decision: Decision) -> Phase:
    """Return what the search is at with a decision; all counts to the default until that has an outcome."""
    if not view.rows or view.rows[0].outcome is None:
        return "default"
    if isinstance(decision, Repeat):
        return "confirm"
    if isinstance(decision, Continue) and decision.place == 0:
        return "default"
    if isinstance(decision, Refine):
        return "refine"
    return "search" if view.open else "finish"


def ended_words(row: Row, outcome: Outcome, rows: Sequence[Row], quality: str) -> str | None:
    """Say what came of a job; None where it only paused."""
    what = f"trial {row.place} ({row.candidate.architecture['kind']}, {row.origin.replace('_', ' ')})"
    if outcome.repeat:
        what += f" again with seed {outcome.repeat}" if outcome.repeat > 0 else f" on fold {-outcome.repeat}"
    if outcome.state == "paused":
        return None
    if outcome.state == "failed":
        return f"{what} failed: {outcome.error}"
    if not outcome.curve:
        return f"{what} had no time left"
    share, score = outcome.curve[-1]
    cut = "" if outcome.state == "complete" else f", out of time at {100 * share:.2g} % of its budget"
    text = f"{what}: {score:.4f}, {quality} {outcome.quality:.4f} on validation{cut}"
    if row.excess:
        text += f", {violation_words(row.amounts)}"
    best = best_row(rows)
    if is_best(row, outcome, rows):
        return f"{text} · best so far"
    if best is None:
        return text
    bound = ", above a bound" if best.excess else ""
    return f"{text} · best {best.last_score:.4f} (trial {best.place}{bound})"


def is_best(row: Row, outcome: Outcome, rows: Sequence[Row]) -> bool:
    """Say whether a job just made its trial the best."""
    best = best_row(rows)
    return not outcome.repeat and outcome.state == "complete" and best is not None and best.place == row.place


class Live:
    """Shows a search on standard output while a `with` block of it runs."""

    def __init__(self, problem: Problem, table: Table, clock: Clock) -> None:
        self.problem, self.table, self.clock = problem, table, clock
        self.workers = 1
        self._terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._drawn = self._told = self._said = time.monotonic()
        self._unsaid = 0
        self._classes: set[str] = set()
        self._handlers: list[logging.Handler] = []

    def __enter__(self) -> "Live":
        """Let every line of log, also of others, start on a line of its own."""
        if self._terminal:
            self._handlers = [h for h in logging.getLogger().handlers if getattr(h, "stream", None) is sys.stdout]
            for handler in self._handlers:
                handler.addFilter(_wiped)
        self.tick(now=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, wrong: BaseException | None, where: TracebackType | None
    ) -> None:
        """Leave no line behind."""
        for handler in self._handlers:
            handler.removeFilter(_wiped)
        if self._terminal:
            _write(_WIPE)

    def tick(self, now: bool = False) -> None:
        """Draw the line anew if it is time to; called as often as anybody likes."""
        moment = time.monotonic()
        if self._terminal and (now or moment - self._drawn >= _DRAW_EVERY):
            self._drawn = moment
            columns = shutil.get_terminal_size().columns
            _write(_WIPE + line_of(self._standing(), columns - 1))
        elif not self._terminal and moment - self._told >= _TELL_EVERY:
            self._told = moment
            log.info("%s", line_of(self._standing()))

    def ended(self, row: Row, outcome: Outcome) -> None:
        """Tell what ended: each new best, each training to its end, each failure; the bulk of many within a second."""
        words = ended_words(row, outcome, self.table.rows, quality_name(self.problem.data.task))
        if words is not None:
            news = is_best(row, outcome, self.table.rows)
            if outcome.state == "failed" and class_of(outcome.error) not in self._classes:
                self._classes.add(class_of(outcome.error))
                news = True
            moment = time.monotonic()
            if news or moment - self._said >= _SAY_EVERY:
                more = f" · {self._unsaid} more ended" if self._unsaid else ""
                log.info("%s%s", words, more)
                self._said, self._unsaid = moment, 0
            else:
                self._unsaid += 1
        self.tick(now=words is not None)

    def _standing(self) -> Standing:
        return standing_of(self.table.rows, self.clock, self.workers, self.problem)


def _wiped(_: logging.LogRecord) -> bool:
    _write(_WIPE)
    return True


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
