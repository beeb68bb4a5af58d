"""Which trial is handed on, and the record of the whole search."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean as mean

import optuna

from pipeline.core.bounds import GAPS, amount_words, violation_words
from pipeline.core.contracts import TASKS, AgainstDefault, SearchRecord, TrialRecord
from pipeline.core.errors import SpaceError
from pipeline.core.settings import SearchSettings
from pipeline.metrics.fronts import front
from pipeline.training.folds import fold_rows
from pipeline.tuning.aims import ALONE
from pipeline.tuning.clock import kept_energy, kept_phases
from pipeline.tuning.constraints import MARK
from pipeline.tuning.front import members_of
from pipeline.tuning.jobs import Problem
from pipeline.tuning.paired import losses_in, row_by_row
from pipeline.tuning.proposals import TRIED
from pipeline.tuning.table import Row

NO_FEASIBLE_MODEL = "no feasible model"
"""Starts the note of a search none of whose complete trials keeps all bounds."""
LEADERS = 5
"""So many trials with the lowest scores are compared on the reserve and over seeds."""


def best_of(done: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the complete trial with the lowest score that keeps all bounds, the earlier one on a tie.

    Where none keeps them, the one that is closest to it, as a share of the bound.
    Where none came to its end, the one that came furthest, and of these the one with the lowest score.
    """
    complete = [r for r in done if r.state == "complete" and r.score is not None]
    if complete:
        return min(complete, key=lambda r: (r.excess, r.score or 0.0, r.number))
    partly = [r for r in done if r.state == "pruned" and r.score is not None]
    return min(partly, key=lambda r: (-r.curve[-1][0], r.score or 0.0, r.number)) if partly else None


def chosen_of(
    done: Sequence[TrialRecord], names: Sequence[str] = ALONE, against: Sequence[AgainstDefault] = ()
) -> TrialRecord | None:
    """Return the trial to hand on: the best, or the default that is worse by no more than a standard error.

    The lowest of many noisy scores is partly luck. The best few are compared where no proposal and no early stop ever
    looked: on the rows kept in reserve, and over fresh seeds, or on folds of few training rows; what was good before
    any search is the safer bet among equals (one-standard-error rule, Breiman et al. 1984). The error is that of the
    difference on the same rows, where `against` tells it, else the larger one of the two scores. Who is behind a
    default on validation, where being chosen flatters, has only luck on the reserve to be better by. With several
    objectives the same rule leads to the cheapest: of the front's trials whose score is within a standard error of the
    best, the one with the least of the second objective. A knee would need weights between objectives; this needs what
    the score itself is unsure of.
    """
    complete = [r for r in done if r.state == "complete" and r.score is not None and not r.violations]
    if not complete:
        return best_of(done)
    if len(names) > 1:
        ahead = members_of(complete, names)
        best = _leader(ahead)
        near = [r for r in ahead if final_score(r) - final_score(best) <= (best.standard_error or 0.0)]
        return min(near, key=lambda r: (*(r.objectives[name] for name in names[1:]), final_score(r), r.number))
    best = _leader(complete)
    default = _default_of(complete)
    return default if default is not None and _is_kept(default, best, against) else best


def _default_of(complete: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the space's default, or of those of other families the first that came to its end in its place.

    The others compete like any candidate: they differ more from the leader, so that an error of the difference wide
    enough for any of them would be found too easily.
    """
    return next((r for r in complete if r.origin == "default"), None)


def _leader(complete: Sequence[TrialRecord]) -> TrialRecord:
    """Return the best of the few with the lowest scores, by what decides; of those trained again if there are any."""
    leaders = sorted(complete, key=lambda r: (r.score or 0.0, r.number))[:LEADERS]
    if folded := [r for r in leaders if r.folds]:
        shared = min(len(r.folds) for r in folded)  # folds differ in how hard they are
        return min(folded, key=lambda r: (mean(r.folds[:shared]), r.number))
    return min([r for r in leaders if r.repeats] or leaders, key=lambda r: (final_score(r), r.number))


def final_score(record: TrialRecord) -> float:
    """Return what decides: the mean over folds where there are any, else over seeds, on the reserve or validation."""
    assert record.score is not None
    if record.folds:
        return mean(record.folds)
    pairs = [(record.score, record.reserve_score), *record.repeats]
    return sum(score if reserve is None else reserve for score, reserve in pairs) / len(pairs)


def _is_kept(default: TrialRecord, best: TrialRecord, against: Sequence[AgainstDefault]) -> bool:
    """Say whether the reserve does not tell a default from the best, or validation rows contradict it."""
    shared = min(len(default.folds), len(best.folds))
    return _within_error(default, best, against) or _validation(default, shared) <= _validation(best, shared)


def _validation(record: TrialRecord, folds: int) -> float:
    """Return the mean score over seeds on validation rows, and over so many folds."""
    assert record.score is not None
    scores = [record.score, *(score for score, _ in record.repeats), *record.folds[:folds]]
    return sum(scores) / len(scores)


def _within_error(default: TrialRecord, best: TrialRecord, against: Sequence[AgainstDefault]) -> bool:
    gap = _gap(default, best)
    if default is best or (found := _paired(default, best, against)) is None:
        return gap <= max(default.standard_error or 0.0, best.standard_error or 0.0)
    return gap <= found.standard_error


def _gap(default: TrialRecord, best: TrialRecord) -> float:
    """Return how much worse a default is, by what both have: folds are other rows than those of validation."""
    if shared := min(len(default.folds), len(best.folds)):
        return mean(default.folds[:shared]) - mean(best.folds[:shared])
    if default.folds or best.folds:
        return (default.score or 0.0) - (best.score or 0.0)
    return final_score(default) - final_score(best)


def _paired(default: TrialRecord, best: TrialRecord, against: Sequence[AgainstDefault]) -> AgainstDefault | None:
    return next((b for b in against if (b.default, b.trial) == (default.number, best.number)), None)


def against_default_of(
    problem: Problem, rows: Sequence[Row], done: Sequence[TrialRecord], folder: Path
) -> tuple[AgainstDefault, ...]:
    """Return the default beside the leader, on rows that did not choose it: those in reserve, or of shared folds.

    None for forecasts: their rows overlap and tell less than their number.
    """
    complete = [r for r in done if r.state == "complete" and r.score is not None and not r.violations]
    alone = len(problem.objective.minimise) == 1
    if not complete or not alone or problem.data.task == "forecast":
        return ()
    best, default = _leader(complete), _default_of(complete)
    if default is None or default is best:
        return ()
    if folds := min(len(default.folds), len(best.folds)):
        seeds = {place: (place, tuple(range(-1, -1 - folds, -1))) for place in (default.number, best.number)}
    elif problem.data.reserve is None:
        return ()
    else:
        seeds = {row.place: (row.place, row.seeds) for row in rows}
    losses = losses_in(folder, seeds[default.number], seeds[best.number])
    found = row_by_row(seeds[default.number], seeds[best.number], losses)
    return () if found is None else (found,)


def choice_note(
    best: TrialRecord, chosen: TrialRecord, names: Sequence[str] = ALONE, against: Sequence[AgainstDefault] = ()
) -> str:
    """Say why the trial with the lowest score is not the one handed on."""
    if differing := next((name for name in names[1:] if best.objectives[name] != chosen.objectives[name]), None):
        less, more = chosen.objectives[differing], best.objectives[differing]
        if less < more:
            return (
                f"trial {best.number} scored {best.score:.4f}, trial {chosen.number} {chosen.score:.4f}: of the front "
                f"within a standard error of the best score, the trial with the least {differing.replace('_', ' ')} is "
                f"handed on, {amount_words(less)} against {amount_words(more)}"
            )
    shown = f"trial {best.number} scored {best.score:.4f}, trial {chosen.number} {chosen.score:.4f}"
    led = chosen.reserve_score is not None and final_score(chosen) <= final_score(best)
    if chosen.origin == "default" and len(names) == 1 and not led:
        told = next((b for b in against if b.default == chosen.number), None)
        kept = "no more than a standard error apart, so the default was kept"
        if told is None:
            return f"{shown}: {kept}"
        apart = f"trial {told.trial} is {abs(told.difference):.4f} ± {told.standard_error:.4f}"
        if told.difference > told.standard_error:
            kept = "but behind on validation over all seeds, so the default was kept"
        elif told.difference < -told.standard_error:
            kept = "so the default was kept"
        way = "behind" if told.difference < 0 else "ahead"
        return f"{shown}; on the same {told.rows:,} rows {apart} {way}: {kept}"
    where = "over fresh seeds" if chosen.reserve_score is None else "on the reserve"
    if chosen.folds and best.folds:
        where = "on folds of the training rows"
    if chosen.reserve_score is not None and chosen.repeats:
        where = "on the reserve, over fresh seeds,"
    return f"{shown}; {where} {final_score(best):.4f} and {final_score(chosen):.4f}, which decided"


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
    """Why defaults, and draws after the last row, broke a bound."""
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
    against = against_default_of(problem, rows, done, kept.folder)
    best, chosen = best_of(done), chosen_of(done, names, against)
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
        notes.append(choice_note(best, chosen, names, against))
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
        fold_rows=fold_rows(len(problem.data.train.y), len(problem.data.val.y)) if any(r.folds for r in done) else 0,
        gap_fronts=gap_fronts(done),
        notes=tuple(notes),
    )
