"""The search: ask, train, tell, until the budget is spent; then the export."""

import logging
from collections.abc import Sequence
from functools import partial

import optuna

from pipeline.core.contracts import TASKS, Origin, SearchRecord, TrialRecord
from pipeline.core.errors import SpaceError
from pipeline.space import Space, first_answers, sample
from pipeline.tuning.chooser import TrialChooser
from pipeline.tuning.objective import Problem, Proposal, run_trial
from pipeline.tuning.study import ask, records, spent, tell

log = logging.getLogger("pipeline.search")

_QUIET_SECONDS = 15
"""A trial that takes longer says something at its rungs."""
_OF_CANDIDATES = ("SpaceError", "FloatingPointError")
"""Failures that the space can cause; any other is a mistake of ours and keeps its traceback."""
_LEADERS = 5
"""So many trials with the lowest scores are compared on the reserve."""
_LEAST_SHARE = 0.02
"""With less than this share of the seconds left no trial is started."""


def search(problem: Problem, space: Space, study: optuna.Study) -> None:
    """Run trials until `n_trials` count or `seconds` are spent, both over all restarts."""
    first = first_answers(space)
    settings = problem.settings
    while True:
        done, used = records(study), spent(study)
        left = None if settings.seconds is None else settings.seconds - used
        if len(done) >= settings.n_trials or (left is not None and left < _LEAST_SHARE * (settings.seconds or 0)):
            return
        refuse_hopeless(done)
        place = len(done)
        origin: Origin = first[place][0] if place < len(first) else "sampler"
        trial = ask(study, problem.seed, place, dict(first[place][1]) if place < len(first) else None)
        proposal = Proposal(place, origin, sample(space, TrialChooser(trial)))
        record = run_trial(problem, proposal, left, partial(note_rung, study, trial))
        tell(study, trial, record)
        log.info(progress_line(record, [*done, record], used + record.seconds, problem))


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
