"""Why a search went as it did: trials by state and arm, seconds by phase, the best candidates."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.core.arms import arms_of
from pipeline.core.contracts import SearchRecord
from pipeline.tuning.row import Row
from pipeline.tuning.standing import class_of, counted

_TOP = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What one process of a search had and what it trained, in seconds."""

    wall: float
    workers: int
    training: float
    disk: str = ""
    """What paused trials took of it, in words."""

    @property
    def outside(self) -> float:
        """Share of all workers' time in which none of their trainings went on."""
        return max(0.0, 1 - self.training / max(1e-9, self.wall * self.workers))


def training_seconds(rows: Sequence[Row]) -> float:
    """Return the seconds of all trainings of some rows."""
    outcomes = [outcome for row in rows for outcome in (row.outcome, *row.repeats) if outcome is not None]
    return sum(outcome.seconds for outcome in outcomes)


def summary(record: SearchRecord, quality: str, spent: Spent | None) -> Iterator[str]:
    """Say where the trials, the seconds and the best scores came from.

    `spent`: of this process; None where the study was finished before. `quality`: its name.
    """
    states = Counter(trial.state for trial in record.trials)
    failures = Counter(class_of(trial.error) for trial in record.trials if trial.state == "failed")
    failed = f", {states['failed']} failed ({counted(failures)})" if failures else ""
    yield (
        f"{len(record.trials)} trial{'s' * (len(record.trials) != 1)}: {states['complete']} trained to their end, "
        f"{states['pruned']} stopped early{failed}"
    )
    yield f"  {'proposed by':<12}{'trials':>8}{'promoted':>10}{'to the end':>12}{'best score':>12}"
    for arm in arms_of(record.trials):
        best = "–" if arm.best is None else f"{arm.best:.4f}"
        yield f"  {arm.origin.replace('_', ' '):<12}{arm.trials:>8}{arm.promoted:>10}{arm.complete:>12}{best:>12}"
    whole = sum(seconds for _, seconds in record.phases)
    if whole:
        parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in record.phases)
        yield f"  {whole:.1f} s: {parts}"
    policies = Counter(trial.policy.words for trial in record.trials if trial.policy is not None)
    if policies:
        yield f"  computed in {'; '.join(f'{words} ({count})' for words, count in policies.most_common())}"
    used = "not measured" if record.energy_wh is None else f"{record.energy_wh:.4g} Wh"
    yield f"  energy: {used}" + (f" ({record.energy_of})" if record.energy_of else "")
    if spent is not None:
        of = f"{spent.workers} worker{'s' * (spent.workers != 1)}"
        yield f"  {100 * spent.outside:.1f} % of the time of {of} went elsewhere than into training and scoring"
        if spent.disk:
            yield f"  {spent.disk}"
    complete = [trial for trial in record.trials if trial.state == "complete"]
    for trial in sorted(complete, key=lambda trial: (trial.excess, trial.score or 0.0, trial.number))[:_TOP]:
        size = "" if trial.parameters is None else f", {trial.parameters:,} weights"
        what = f"{trial.candidate.architecture['kind']}, {trial.origin.replace('_', ' ')}{size}"
        bound = ", above a bound" if trial.excess else ""
        yield f"  trial {trial.number:<5}{trial.score:.4f}  {quality} {trial.quality:.4f}  ({what}{bound})"
