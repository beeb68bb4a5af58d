"""The search: ask, train, tell, until the budget is spent; then the export."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial

import optuna

from pipeline.core.contracts import TASKS, Candidate, Origin, SearchRecord, TrialRecord
from pipeline.core.errors import SpaceError
from pipeline.core.seeds import stream
from pipeline.models import read_architecture
from pipeline.space import (
    Chooser,
    DefaultChooser,
    Forbidden,
    PriorChooser,
    Scalar,
    Space,
    answers,
    first_answers,
    sample,
)
from pipeline.tuning.chooser import TrialChooser
from pipeline.tuning.keeper import Keeper
from pipeline.tuning.objective import Problem, Proposal, run_trial
from pipeline.tuning.study import STARTUP, ask, draw_names, pass_over, passed_over, records, spent, tell

log = logging.getLogger("pipeline.search")

_QUIET_SECONDS = 15
"""A trial that takes longer says something at its rungs."""
_OF_CANDIDATES = ("SpaceError", "FloatingPointError")
"""Failures that the space can cause; any other is a mistake of ours and keeps its traceback."""
_LEADERS = 5
"""So many trials with the lowest scores are compared on the reserve."""
_LEAST_SHARE = 0.02
"""With less than this share of the seconds left no trial is started."""
_MOST_INFEASIBLE = 100
"""After so many draws in a row that are no candidates there is hardly one."""

First = Sequence[tuple[Origin, Mapping[str, Scalar]]]


def search(problem: Problem, space: Space, study: optuna.Study, keeper: Keeper | None = None) -> None:
    """Run trials until `n_trials` count or `seconds` are spent, both over all restarts; the keeper gets weights."""
    first, settings = first_answers(space), problem.settings
    for _, known in first:
        read_architecture(sample(space, DefaultChooser(known)).architecture)
    while True:
        done, used = records(study), spent(study)
        left = None if settings.seconds is None else settings.seconds - used
        if len(done) >= settings.n_trials or (left is not None and left < _LEAST_SHARE * (settings.seconds or 0)):
            return
        refuse_hopeless(done)
        place = len(done)
        attempt = attempt_at(study, place)
        origin, given = answers_at(place, attempt, space, first, problem.seed)
        trial = ask(study, problem.seed, place, attempt, given)
        try:
            candidate = feasible(space, TrialChooser(trial))
        except Forbidden as wrong:
            pass_over(study, trial, place, wrong.message)
            continue
        proposal = Proposal(place, origin, candidate)
        record = run_trial(problem, proposal, left, partial(note_rung, study, trial), keeper)
        tell(study, trial, record)
        log.info(progress_line(record, [*done, record], used + record.seconds, problem))


def attempt_at(study: optuna.Study, place: int) -> int:
    """Return how many draws of this place were no candidates; too many end the search."""
    reasons = passed_over(study, place)
    if len(reasons) >= _MOST_INFEASIBLE:
        raise SpaceError(
            f"search: every draw is infeasible ({len(reasons)} in a row), the last with: {reasons[-1]}",
            fix="forbid less, or narrow the ranges to what can be built",
        )
    return len(reasons)


def answers_at(
    place: int, attempt: int, space: Space, first: First, seed: int
) -> tuple[Origin, dict[str, Scalar] | None]:
    """Return who proposes at this place, and the answers unless Optuna's sampler gives them.

    Where it would still draw blindly, draws around the defaults take its place, if the space says how sure they are.
    """
    if place < len(first):
        origin, given = first[place]
        return origin, dict(given)
    if space.has_prior and place < len(first) + STARTUP:
        return "sampler", answers(space, PriorChooser(stream(seed, *draw_names("prior", place, attempt))))
    return "sampler", None


def feasible(space: Space, chooser: Chooser) -> Candidate:
    """Return a candidate; Forbidden if its values are each right but do not go together."""
    candidate = None
    try:
        candidate = sample(space, chooser)
        read_architecture(candidate.architecture)
    except SpaceError as wrong:
        if isinstance(wrong.__cause__, ValueError):  # a dataclass refused the combination
            raise Forbidden(wrong.message) from wrong
        if candidate is None:
            raise
        # A field that no architecture has stays one failed trial.
    return candidate


def note_rung(study: optuna.Study, trial: optuna.Trial, rung: int, score: float, seconds: float) -> Sequence[float]:
    """Store the score of this trial at a rung; return those of all trials before it."""
    others = [
        t.intermediate_values[rung]
        for t in study.get_trials(deepcopy=False)
        if rung in t.intermediate_values and t.number != trial.number and "record" in t.user_attrs
    ]
    trial.report(score, rung)
    trial.set_user_attr("seconds", seconds)
    if seconds > _QUIET_SECONDS:
        log.info("… rung %d: score %.4f after %.0f s", rung + 1, score, seconds)
    return others


def refuse_hopeless(done: Sequence[TrialRecord]) -> None:
    """Stop when the first candidates all fail: more of them would only spend the budget."""
    if len(done) >= 3 and all(record.state == "failed" for record in done):
        if not str(done[-1].error).startswith(_OF_CANDIDATES):
            raise RuntimeError(f"the first {len(done)} trials all failed; the last one:\n{done[-1].traceback}")
        raise SpaceError(
            f"search: the first {len(done)} trials all failed, the last with {done[-1].error}",
            fix="check the space and search.max_parameters",
        )


def progress_line(record: TrialRecord, done: Sequence[TrialRecord], used: float, problem: Problem) -> str:
    """Return "trial 12 (cnn) score … accuracy … · best … · rate · time left"."""
    what = f"trial {record.number} ({record.candidate.architecture['kind']})"
    if record.state == "failed":
        text = f"{what} failed: {record.error}"
    elif record.score is None:
        text = f"{what} had no time left"
    else:
        word = ", stopped early" if record.state == "pruned" else ""
        quality = TASKS[problem.data.task].quality.replace("_", " ")
        text = f"{what} score {record.score:.4f} {quality} {record.quality:.4f}{word}"
    best = best_of(done)
    if best is not None:
        text += f" · best {best.score:.4f} (trial {best.number})"
    rate = 60 * len(done) / max(used, 1e-9)
    return f"{text} · {record.seconds:.1f} s · {rate:.1f} trials/min · {_left(done, used, problem)}"


def _left(done: Sequence[TrialRecord], used: float, problem: Problem) -> str:
    settings = problem.settings
    seconds = (settings.n_trials - len(done)) * used / len(done)
    if settings.seconds is not None:
        seconds = min(seconds, settings.seconds - used)
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{len(done)}/{settings.n_trials}, left at most {minutes}:{rest:02d}"


def best_of(done: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the complete trial with the lowest score, the earlier one on a tie."""
    complete = [r for r in done if r.state == "complete" and r.score is not None]
    return min(complete, key=lambda r: (r.score or 0.0, r.number)) if complete else None


def chosen_of(done: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the trial to hand on: the best, or the first default that is worse by no more than a standard error.

    The lowest of many noisy scores is partly luck. Where rows were kept in reserve, the best few are compared there
    first; what was good before any search is the safer bet among equals (one-standard-error rule, Breiman et al. 1984).
    """
    complete = [r for r in done if r.state == "complete" and r.score is not None]
    leaders = sorted(complete, key=lambda r: (r.score or 0.0, r.number))[:_LEADERS]
    if not leaders:
        return None
    best = min(leaders, key=_final_score)
    near = [r for r in complete if r.origin == "default" and _within_error(r, best)]
    return near[0] if near else best


def _final_score(record: TrialRecord) -> tuple[float, int]:
    score = record.score if record.reserve_score is None else record.reserve_score
    return score or 0.0, record.number


def _within_error(default: TrialRecord, best: TrialRecord) -> bool:
    gap = _final_score(default)[0] - _final_score(best)[0]
    return gap <= max(default.standard_error or 0.0, best.standard_error or 0.0)


def choice_note(best: TrialRecord, chosen: TrialRecord) -> str:
    """Say why the trial with the lowest score is not the one handed on."""
    shown = f"trial {best.number} scored {best.score:.4f}, trial {chosen.number} {chosen.score:.4f}"
    if chosen.origin == "default":
        return f"{shown}: no more than a standard error apart, so the default was kept"
    return f"{shown}; on the reserve {best.reserve_score:.4f} and {chosen.reserve_score:.4f}, which decided"


def export(problem: Problem, study: optuna.Study, storage: str) -> SearchRecord:
    """Return the first `n_trials` counted trials as a record; the same study gives the same bytes."""
    done = records(study)[: problem.settings.n_trials]
    best, chosen = best_of(done), chosen_of(done)
    if best is None or chosen is None:
        failed = [r for r in done if r.state == "failed"]
        why = failed[-1].error if failed else "no trial was completed"
        raise SpaceError(f"search: no trial was completed ({why})", fix="raise search.seconds or mend the space")
    notes = []
    if failed_count := sum(r.state == "failed" for r in done):
        notes.append(f"{failed_count} of {len(done)} trials failed; see trials.parquet for class and traceback")
    if skipped := [reason for place in range(len(done)) for reason in passed_over(study, place)]:
        notes.append(f"{len(skipped)} draws were no candidates and did not count; the last: {skipped[-1]}")
    if problem.settings.seconds is not None and len(done) < problem.settings.n_trials:
        notes.append(f"search.seconds ended the study after {len(done)} of {problem.settings.n_trials} trials")
    if chosen is not best:
        notes.append(choice_note(best, chosen))
    return SearchRecord(
        study=study.study_name,
        storage=storage,
        metric=TASKS[problem.data.task].score,
        trials=tuple(done),
        best=chosen.number,
        seconds=round(sum(r.seconds for r in done), 3),
        notes=tuple(notes),
    )
