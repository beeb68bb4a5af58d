"""Which trial is handed on, and why."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean as mean

from pipeline.core.bounds import amount_words
from pipeline.core.contracts import AgainstDefault, TrialRecord
from pipeline.tuning.aims import ALONE
from pipeline.tuning.front import members_of
from pipeline.tuning.jobs import Problem
from pipeline.tuning.paired import losses_in, row_by_row
from pipeline.tuning.row import Row

LEADERS = 5
"""So many trials with the lowest scores are compared where none was trained again."""


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
    done: Sequence[TrialRecord],
    names: Sequence[str] = ALONE,
    against: Sequence[AgainstDefault] = (),
    share: float = 1.0,
) -> TrialRecord | None:
    """Return the trial to hand on: the best, or the default that is worse by no more than a standard error.

    The lowest of many noisy scores is partly luck. The best few are compared over fresh seeds on validation rows and on
    those in reserve, where no proposal and no early stop ever looked, or on folds of few training rows; what was good
    before any search is the safer bet among equals (one-standard-error rule, Breiman et al. 1984). A default gives way
    to who is ahead of it on validation and on the reserve, and on all of these rows by more than the error of the
    difference, where `against` tells it, else by more than the larger error of the two scores: a reserve alone is too
    small to tell most gains, and validation alone flatters who was chosen by it. `share`: of the reserve in these rows;
    with 1 it decides alone. With several objectives the same rule leads to the cheapest: of the front's trials whose
    score is within a standard error of the best, the one with the least of the second objective. A knee would need
    weights between objectives; this needs what the score itself is unsure of.
    """
    complete = [r for r in done if r.state == "complete" and r.score is not None and not r.violations]
    if not complete:
        return best_of(done)
    if len(names) > 1:
        ahead = members_of(complete, names)
        best = _leader(ahead, share)
        near = [r for r in ahead if final_score(r, share) - final_score(best, share) <= (best.standard_error or 0.0)]
        return min(near, key=lambda r: (*(r.objectives[name] for name in names[1:]), final_score(r, share), r.number))
    best = _leader(complete, share)
    default = _default_of(complete)
    return default if default is not None and _is_kept(default, best, against, share) else best


def _default_of(complete: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the space's default, or of those of other families the first that came to its end in its place.

    The others compete like any candidate: they differ more from the leader, so that an error of the difference wide
    enough for any of them would be found too easily.
    """
    return next((r for r in complete if r.origin == "default"), None)


def _leader(complete: Sequence[TrialRecord], share: float) -> TrialRecord:
    """Return the best by what decides: of those trained again, or else of the few with the lowest scores."""
    leaders = sorted(complete, key=lambda r: (r.score or 0.0, r.number))[:LEADERS]
    if folded := [r for r in leaders if r.folds]:
        shared = min(len(r.folds) for r in folded)  # folds differ in how hard they are
        return min(folded, key=lambda r: (mean(r.folds[:shared]), r.number))
    again = [r for r in complete if r.repeats]
    return min(again or leaders, key=lambda r: (final_score(r, share), r.number))


def final_score(record: TrialRecord, share: float = 1.0) -> float:
    """Return what decides: the mean over folds where there are any, else over seeds and all held-out rows.

    `share`: of the reserve in these.
    """
    assert record.score is not None
    if record.folds:
        return mean(record.folds)
    pairs = [(record.score, record.reserve_score), *record.repeats]
    return mean(pooled_score(score, reserve, share) for score, reserve in pairs)


def pooled_score(score: float, reserve: float | None, share: float) -> float:
    """Return the mean over validation rows and those in reserve, if there are any; `share`: of these in all."""
    return score if reserve is None else (1 - share) * score + share * reserve


def _is_kept(default: TrialRecord, best: TrialRecord, against: Sequence[AgainstDefault], share: float) -> bool:
    """Say whether held-out rows do not tell a default from the best, or one kind of them contradicts it."""
    shared = min(len(default.folds), len(best.folds))
    return (
        default is best
        or _reserve(default, best) < 0
        or _validation(default, shared) <= _validation(best, shared)
        or _within_error(default, best, against, share)
    )


def _reserve(default: TrialRecord, best: TrialRecord) -> float:
    """Return how much worse a default is on the reserve, over seeds; 0 where there is none."""
    if default.reserve_score is None or best.reserve_score is None or default.folds or best.folds:
        return 0.0
    return final_score(default) - final_score(best)


def _validation(record: TrialRecord, folds: int) -> float:
    """Return the mean score over seeds on validation rows, and over so many folds."""
    assert record.score is not None
    scores = [record.score, *(score for score, _ in record.repeats), *record.folds[:folds]]
    return sum(scores) / len(scores)


def _within_error(default: TrialRecord, best: TrialRecord, against: Sequence[AgainstDefault], share: float) -> bool:
    if (found := _paired(default, best, against)) is None:
        return _gap(default, best, share) <= max(default.standard_error or 0.0, best.standard_error or 0.0)
    return found.difference <= found.standard_error


def _gap(default: TrialRecord, best: TrialRecord, share: float) -> float:
    """Return how much worse a default is, by what both have: folds are other rows than those of validation."""
    if shared := min(len(default.folds), len(best.folds)):
        return mean(default.folds[:shared]) - mean(best.folds[:shared])
    if default.folds or best.folds:
        return (default.score or 0.0) - (best.score or 0.0)
    return final_score(default, share) - final_score(best, share)


def _paired(default: TrialRecord, best: TrialRecord, against: Sequence[AgainstDefault]) -> AgainstDefault | None:
    return next((b for b in against if (b.default, b.trial) == (default.number, best.number)), None)


def against_default_of(
    problem: Problem, rows: Sequence[Row], done: Sequence[TrialRecord], folder: Path
) -> tuple[AgainstDefault, ...]:
    """Return the default beside the leader, on the same rows: of validation and reserve, or of shared folds.

    None for forecasts: their rows overlap and tell less than their number.
    """
    complete = [r for r in done if r.state == "complete" and r.score is not None and not r.violations]
    alone = len(problem.objective.minimise) == 1
    if not complete or not alone or problem.data.task == "forecast":
        return ()
    best, default = _leader(complete, problem.data.reserve_share), _default_of(complete)
    if default is None or default is best:
        return ()
    reserve = 0
    if folds := min(len(default.folds), len(best.folds)):
        seeds = {place: (place, tuple(range(-1, -1 - folds, -1))) for place in (default.number, best.number)}
    elif problem.data.reserve is None:
        return ()
    else:
        seeds = {row.place: (row.place, row.seeds) for row in rows}
        reserve = len(problem.data.reserve.y)
    losses = losses_in(folder, seeds[default.number], seeds[best.number])
    found = row_by_row(seeds[default.number], seeds[best.number], losses, reserve)
    return () if found is None else (found,)


def choice_note(
    best: TrialRecord,
    chosen: TrialRecord,
    names: Sequence[str] = ALONE,
    against: Sequence[AgainstDefault] = (),
    share: float = 1.0,
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
    led = chosen.reserve_score is not None and final_score(chosen, share) <= final_score(best, share)
    if chosen.origin == "default" and len(names) == 1 and not led:
        told = next((b for b in against if b.default == chosen.number), None)
        kept = "no more than a standard error apart, so the default was kept"
        if told is None:
            return f"{shown}: {kept}"
        apart = f"trial {told.trial} is {abs(told.difference):.4f} ± {told.standard_error:.4f}"
        if told.difference > told.standard_error:
            where = "not on validation and reserve alike" if told.reserve_rows else "behind on validation rows"
            kept = f"but {where}, so the default was kept"
        elif told.difference < -told.standard_error:
            kept = "so the default was kept"
        way = "behind" if told.difference < 0 else "ahead"
        return f"{shown}; on the same {told.rows:,} rows {apart} {way}: {kept}"
    rows = "on the reserve" if share == 1 else "on validation and reserve"
    where = "over fresh seeds" if chosen.reserve_score is None else rows
    if chosen.folds and best.folds:
        where = "on folds of the training rows"
    if chosen.reserve_score is not None and chosen.repeats:
        where = f"{rows}, over fresh seeds,"
    return f"{shown}; {where} {final_score(best, share):.4f} and {final_score(chosen, share):.4f}, which decided"
