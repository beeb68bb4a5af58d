"""Where a search stands, in one line that fits a terminal, and whether it is hopeless."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.core.contracts import TASKS, Task
from pipeline.core.errors import SpaceError
from pipeline.tuning.clock import Clock, Phase
from pipeline.tuning.jobs import Problem
from pipeline.tuning.row import Row

_HOPELESS = 3
"""After so many failures and nothing else a search stops."""
_OF_CANDIDATES = ("SpaceError", "FloatingPointError")
"""Failures that the space can cause; any other is a mistake of ours and keeps its traceback."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where a search stands."""

    phase: Phase
    candidates: int
    used: float
    """Seconds so far."""
    left: float | None = None
    """Of search.seconds, or of what search.energy_wh comes to."""
    most: int | None = None
    """Candidates in all, where they and not the seconds are the budget."""
    score: float | None = None
    """Of the best complete trial, on validation rows."""
    quality: float | None = None
    quality_name: str
    beyond: bool = False
    """Whether even the best exceeds a bound."""
    failures: Mapping[str, int]
    """Trials by class of failure."""
    busy: int
    workers: int


def standing_of(rows: Sequence[Row], clock: Clock, workers: int, problem: Problem) -> Standing:
    """Return where the search stands."""
    settings, best, total = problem.settings, best_row(rows), clock.total(problem.settings)
    outcome = best.outcome if best is not None else None
    return Standing(
        phase=clock.phase,
        candidates=len(rows),
        used=clock.used,
        left=None if total in (None, math.inf) else max(0.0, total - clock.used),
        most=settings.n_trials if total is None else None,
        score=best.last_score if best is not None else None,
        quality=outcome.quality if outcome is not None else None,
        beyond=best is not None and best.excess > 0,
        quality_name=quality_name(problem.data.task),
        failures=Counter(class_of(row.outcome.error) for row in rows if row.failed and row.outcome is not None),
        busy=sum(row.running for row in rows),
        workers=max(1, workers),
    )


def best_row(rows: Sequence[Row]) -> Row | None:
    """Return the complete row with the lowest score within all bounds, or closest to them; the earlier one on a tie."""
    return min((r for r in rows if r.complete), key=lambda r: (r.excess, r.last_score or 0.0, r.place), default=None)


def line_of(standing: Standing, width: int | None = None) -> str:
    """Return where the search stands, in at most `width` characters.

    What does not fit is said shorter and then left out: first who works, then failures; the numbers stay whole.
    """
    s = standing
    count = f"{s.candidates}" if s.most is None else f"{s.candidates} of {s.most}"
    pace = 60 * s.candidates / max(s.used, 1e-9)
    rate = f"{pace:.0f}/min" if pace >= 10 else f"{pace:.1f}/min"
    forms: dict[str, list[str]] = {
        "phase": [s.phase],
        "count": [f"{count} candidate{'s' * (count != '1')}, {rate}", f"{count} tried, {rate}", f"{count}, {rate}"],
        "best": _best_forms(s),
        "failures": _failure_forms(s.failures),
        "busy": [f"{s.busy} of {s.workers} worker{'s' * (s.workers != 1)} busy", f"{s.busy}/{s.workers} busy", ""],
        "time": [f"{_minutes(s.used)} gone" if s.left is None else f"{_minutes(s.left)} left"],
    }
    shorten = ["busy", "count", "failures", "best", "best", "busy", "count", "failures"]
    text = _joined(forms)
    while width is not None and len(text) > width and shorten:
        named = forms[shorten.pop(0)]
        if len(named) > 1:
            named.pop(0)
        text = _joined(forms)
    return text if width is None else text[:width]


def _joined(forms: Mapping[str, Sequence[str]]) -> str:
    return " · ".join(found[0] for found in forms.values() if found[0])


def _best_forms(s: Standing) -> list[str]:
    if s.score is None or s.quality is None:
        return [""]
    bound = ", above a bound" if s.beyond else ""
    return [
        f"best {s.score:.4f}, {s.quality_name} {s.quality:.4f} on validation{bound}",
        f"best {s.score:.4f}, {s.quality_name} {s.quality:.4f} on val{bound}",
        f"val {s.score:.4f}, {s.quality_name} {s.quality:.3f}{bound}",
    ]


def _failure_forms(failures: Mapping[str, int]) -> list[str]:
    if not failures:
        return [""]
    return [f"{sum(failures.values())} failed: {counted(failures)}", f"{sum(failures.values())} failed", ""]


def counted(failures: Mapping[str, int]) -> str:
    """Return "FloatingPointError", or with several classes "2 FloatingPointError, 1 WorkerDied"."""
    if len(failures) == 1:
        return next(iter(failures))
    ranked = sorted(failures.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {name}" for name, count in ranked)


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def class_of(error: str | None) -> str:
    """Return the class of a failure that is kept as "Class: words"."""
    return str(error).partition(":")[0]


def quality_name(task: Task) -> str:
    """Return what people call what they read beside the score."""
    name = TASKS[task].quality
    return "R²" if name == "r2" else name.replace("_", " ")


def refuse_hopeless(rows: Sequence[Row]) -> None:
    """Stop when the first candidates all fail: more of them would only spend the budget."""
    done = [row.outcome for row in rows if row.outcome is not None]
    if len(done) >= _HOPELESS and all(outcome.state == "failed" for outcome in done):
        last = done[-1]
        if not str(last.error).startswith(_OF_CANDIDATES):
            raise RuntimeError(f"the first {len(done)} trials all failed; the last one:\n{last.traceback}")
        raise SpaceError(
            f"search: the first {len(done)} trials all failed, the last with {last.error}",
            fix="check the space and search.max_parameters",
        )
