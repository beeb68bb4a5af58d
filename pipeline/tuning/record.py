"""The record of a whole search: search.json, from the rows of its table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna

from pipeline.core.bounds import GAPS, violation_words
from pipeline.core.contracts import TASKS, SearchRecord, TrialRecord
from pipeline.core.errors import SpaceError
from pipeline.core.settings import SearchSettings
from pipeline.metrics.fronts import front
from pipeline.training.folds import fold_rows
from pipeline.tuning.choice import against_default_of, best_of, choice_note, chosen_of
from pipeline.tuning.clock import kept_energy, kept_phases
from pipeline.tuning.constraints import MARK
from pipeline.tuning.jobs import Problem
from pipeline.tuning.proposals import TRIED
from pipeline.tuning.row import Row

NO_FEASIBLE_MODEL = "no feasible model"
"""Starts the note of a search none of whose complete trials keeps all bounds."""


def _bound_notes(
    done: Sequence[TrialRecord], best: TrialRecord, skipped: Sequence[str], passed_over: Sequence[str]
) -> Iterator[str]:
    """Say what the bounds of the search did to it; `best` is handed on where no trial keeps them."""
    if best.violations:
        yield f"{NO_FEASIBLE_MODEL}: the closest, trial {best.number}, has {violation_words(best.amounts)}"
    elif broken := [r for r in done if r.violations]:
        last = violation_words(broken[-1].amounts)
        yield f"{len(broken)} trials broke a bound at their end and come after the others; the last has {last}"
    yield from passed_over
    if skipped:
        last = skipped[-1].removeprefix(MARK)
        yield f"{len(skipped)} draws broke a bound before training and did not count; the last had {last}"


def _first_limit(
    settings: SearchSettings, phases: tuple[tuple[str, float], ...], energy_wh: float | None
) -> str | None:
    """Return the budget, other than of trials, of which the larger share is used."""
    shares = {}
    if settings.seconds is not None:
        shares["search.seconds"] = sum(seconds for _, seconds in phases) / settings.seconds
    if settings.energy_wh is not None:
        shares["search.energy_wh"] = (energy_wh or 0.0) / settings.energy_wh
    return max(shares, key=lambda name: shares[name], default=None)


def gap_fronts(trials: Sequence[TrialRecord]) -> dict[str, tuple[int, ...]]:
    """Return by gap the complete trials that no other betters in score and gap at once, lowest score first."""
    found = {}
    for name in GAPS:
        points = {t.number: (t.score, t.gaps[name].value) for t in trials if t.score is not None and name in t.gaps}
        known = {number: (score, gap) for number, (score, gap) in points.items() if gap is not None}
        if known:
            numbers = list(known)
            ahead = [numbers[i] for i in front(list(known.values()))]
            found[name] = tuple(sorted(ahead, key=lambda number: (known[number], number)))
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What is known of a study beside its trials."""

    name: str
    storage: str
    folder: Path
    """Of its files."""
    passed_over: Sequence[str] = ()
    """What an earlier study offered; why defaults, and draws after the last row, broke a bound."""
    phases: tuple[tuple[str, float], ...] = ()
    energy_wh: float | None = None
    energy_of: str = ""


def kept_of(study: optuna.Study, storage: str, folder: Path, passed_over: Sequence[str] = ()) -> Kept:
    """Return it; see Kept for the arguments."""
    energy_wh, energy_of = kept_energy(study)
    return Kept(name=study.study_name, storage=storage, folder=folder, passed_over=passed_over,
                phases=kept_phases(study), energy_wh=energy_wh, energy_of=energy_of)  # fmt: skip


def export(problem: Problem, rows: Sequence[Row], kept: Kept) -> SearchRecord:
    """Return the first `n_trials` trials as a record; the same study gives the same bytes."""
    settings = problem.settings
    rows = [row for row in rows[: settings.n_trials] if row.outcome is not None]
    done = [row.record() for row in rows]
    names = problem.objective.minimise
    against, share = against_default_of(problem, rows, done, kept.folder), problem.data.reserve_share
    best, chosen = best_of(done), chosen_of(done, names, against, share)
    if best is None or chosen is None:
        failed = [r for r in done if r.state == "failed"]
        why = failed[-1].error if failed else "none came to a score"
        raise SpaceError(f"search: no trial was completed ({why})", fix="raise search.seconds or mend the space")
    notes = []
    if failed_count := sum(r.state == "failed" for r in done):
        notes.append(f"{failed_count} of {len(done)} trials failed; see trials.parquet for class and traceback")
    skipped = [reason for row in rows for reason in row.skipped if reason != TRIED]
    if forbidden := [reason for reason in skipped if not reason.startswith(MARK)]:
        notes.append(f"{len(forbidden)} draws were no candidates and did not count; the last: {forbidden[-1]}")
    notes += _bound_notes(done, best, [reason for reason in skipped if reason.startswith(MARK)], kept.passed_over)
    if (limit := _first_limit(settings, kept.phases, kept.energy_wh)) is not None and len(done) < settings.n_trials:
        notes.append(f"{limit} ended the study after {len(done)} of {settings.n_trials} trials")
    if best.state != "complete":
        share = 100 * best.curve[-1][0]
        notes.append(f"no trial came to its end; trial {best.number}, handed on, spent {share:.0f} % of its budget")
    if chosen is not best:
        notes.append(choice_note(best, chosen, names, against, share))
    return SearchRecord(
        study=kept.name,
        storage=kept.storage,
        constraints=settings.constraints.given(),
        latency_batch=settings.latency_batch,
        metric=TASKS[problem.data.task].score,
        objectives=names,
        trials=tuple(done),
        best=chosen.number,
        seconds=round(sum(r.seconds for r in done) + sum(x.seconds for row in rows for x in row.repeats), 3),
        phases=kept.phases,
        energy_wh=kept.energy_wh,
        energy_of=kept.energy_of,
        against_default=against,
        reserve_share=share,
        fold_rows=fold_rows(len(problem.data.train.y), len(problem.data.val.y)) if any(r.folds for r in done) else 0,
        gap_fronts=gap_fronts(done),
        notes=tuple(notes),
    )
