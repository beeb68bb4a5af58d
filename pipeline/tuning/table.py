"""All candidates of a study in the order of their places, in memory and in Optuna's database at once.

A row is a trial of Optuna: RUNNING while it trains or is paused, finished when it is complete, stopped or failed. What
a killed process left running stays at its place with its answers, so the same trial goes on. What only the end of the
budget stopped is finished there too, and runs again if a larger budget lets it go on.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import optuna
from optuna.trial import Trial, TrialState

from pipeline.core.contracts import Candidate, Policy, Task
from pipeline.core.strict import plain, read
from pipeline.tuning.jobs import Outcome
from pipeline.tuning.notes import save_note, trial_note
from pipeline.tuning.row import Row
from pipeline.tuning.study import add_running, keep_attributes, keep_scores, reopen

_SHOWN = ("quality", "reserve_score", "parameters", "multiply_adds", "epochs", "seconds", "error")
"""Of a record, as attributes that the dashboard has columns for; what only a search reads are system attributes."""


class Table:
    """The rows of a study. What becomes of them is seen at once and stored by `flush`, while others train."""

    def __init__(self, study: optuna.Study, task: Task, others: tuple[str, ...] = ()) -> None:
        """`others`: objectives beside the score."""
        self.study, self.task, self.others = study, task, others
        self.rows: list[Row] = []
        self._storage = study._storage
        self._ids: list[int] = []
        self._told: set[int] = set()
        """Places of rows that are finished in the database."""
        self._waiting: list[Callable[[], None]] = []
        attributes = self._storage.get_study_system_attrs(study._study_id)
        trials = sorted((t for t in study.get_trials(deepcopy=False) if "place" in t.system_attrs),
                        key=lambda t: t.system_attrs["place"])  # fmt: skip
        for trial in trials:
            kept = trial.system_attrs
            named = (_repeat(kept["place"], k) for k in (*range(1, 100), *range(-1, -10, -1)))
            repeats = [read(Outcome, attributes[name], "study") for name in named if name in attributes]
            outcome = read(Outcome, kept["outcome"], "study") if "outcome" in kept else None
            self._ids.append(trial._trial_id)
            finished = trial.state.is_finished()
            if finished:
                self._told.add(kept["place"])
            self.rows.append(
                Row(
                    place=kept["place"],
                    origin=trial.user_attrs["origin"],
                    candidate=read(Candidate, kept["candidate"], "study"),
                    answers=trial.params,
                    distributions=trial.distributions,
                    skipped=tuple(kept["skipped"]),
                    gauged={name: (amount, bound) for name, (amount, bound) in kept["gauged"].items()},
                    aimed=kept.get("aimed", {}),
                    policy=_as_trained(read(Policy, kept["policy"], "study") if kept["policy"] else None, outcome),
                    outcome=outcome,
                    repeats=tuple(repeat for repeat in repeats if repeat.state != "stopped"),
                    pack=tuple(kept["pack"]) if "pack" in kept else None,
                    over=finished and not _may_go_on(outcome, kept.get("closed", False)),
                )
            )

    def __len__(self) -> int:
        """Places taken."""
        return len(self.rows)

    def add(self, row: Row) -> None:
        """Append a row before its first job."""
        assert row.place == len(self.rows)
        self.rows.append(row)
        self._waiting.append(partial(self._create, row))

    def start(self, place: int, repeat: int = 0) -> None:
        """Note that a job of this row runs."""
        row = self.rows[place]
        if repeat:
            self.rows[place] = replace(row, repeating=row.repeating | {repeat})
            return
        row = self.rows[place] = replace(row, busy=True)
        if place in self._told and not row.over:
            self._told.remove(place)
            self._waiting.append(partial(reopen, self.study, self._ids[place]))

    def note(self, outcome: Outcome, rungs: Sequence[float]) -> Row:
        """Take in what came of a job, and return the row as it stands."""
        row = self.rows[outcome.place]
        if outcome.repeat:
            kept = {r.repeat: r for r in row.repeats} | {outcome.repeat: outcome}
            left = row.repeating - {outcome.repeat}
            order = sorted(kept, key=lambda k: (k < 0, abs(k)))
            row = replace(row, repeating=left, repeats=tuple(kept[k] for k in order))
            self._waiting.append(partial(self._store_repeat, row, outcome))
        else:
            before = len(row.scores(rungs))
            row = replace(row, busy=False, outcome=outcome, over=outcome.state != "paused",
                          policy=_as_trained(row.policy, outcome))  # fmt: skip
            self._waiting.append(partial(self._store, row, before, rungs))
        self.rows[outcome.place] = row
        return row

    def stop(self, place: int) -> None:
        """Let a paused row be where it stands."""
        row = self.rows[place] = replace(self.rows[place], over=True)
        self._waiting.append(partial(self._tell, row, closed=False))

    def close(self) -> None:
        """End the study; what is paused goes on if it is continued with a larger budget."""
        for row in self.rows:
            if row.paused and row.place not in self._told:
                self._waiting.append(partial(self._tell, row, closed=True))
        self.flush()

    def flush(self) -> None:
        """Store what is not stored yet.

        A process killed before it has merely repeats the last piece of a trial, from the file where that one paused.
        """
        while self._waiting:
            self._waiting[0]()
            del self._waiting[0]

    def _create(self, row: Row) -> None:
        kept = {
            "place": row.place, "candidate": plain(row.candidate), "skipped": list(row.skipped),
            "gauged": plain(row.gauged), "policy": None if row.policy is None else plain(row.policy),
        }  # fmt: skip
        if row.aimed:
            kept["aimed"] = dict(row.aimed)
        if row.pack is not None:
            kept["pack"] = list(row.pack)
        self._ids.append(add_running(self.study, row.answers, row.distributions, {"origin": row.origin}, kept))

    def _store(self, row: Row, before: int, rungs: Sequence[float]) -> None:
        trial, scores = self._ids[row.place], dict(enumerate(row.scores(rungs)))
        keep_scores(self.study, trial, {rung: score for rung, score in scores.items() if rung >= before})
        keep_attributes(self.study, trial, kept={"outcome": plain(row.outcome)})
        if row.over:
            self._tell(row)

    def _store_repeat(self, row: Row, outcome: Outcome) -> None:
        keep_attributes(self.study, None, kept={_repeat(row.place, outcome.repeat): plain(outcome)})
        if row.outcome is not None:
            note = trial_note(row, self.task)
            save_note(self.study, self._ids[row.place], note, version=1 + len(row.repeats))

    def _tell(self, row: Row, closed: bool | None = None) -> None:
        """End the trial in the database, with what the dashboard shows of it.

        `closed`: whether a larger budget may let it go on, of a paused one.
        """
        trial = self._ids[row.place]
        self._told.add(row.place)
        known = plain(row.record())
        shown = {name: known[name] for name in _SHOWN if known[name] is not None}
        kept: dict[str, Any] = {} if closed is None else {"closed": closed}
        if row.amounts:
            # optuna-dashboard knows no other form: without it every trial looks feasible
            kept["constraints"] = [amount / bound - 1 for amount, bound in row.amounts.values()]
        keep_attributes(self.study, trial, shown=shown, kept=kept)
        save_note(self.study, trial, trial_note(row, self.task))
        if row.amounts:
            told = Trial(self.study, trial)
            had = self._storage.get_trial(trial).constraints  # if it ended before
            for name, (amount, bound) in row.amounts.items():
                if name not in had:
                    told.set_constraint(name, amount / bound - 1)
        state = TrialState.COMPLETE if row.complete else TrialState.FAIL if row.failed else TrialState.PRUNED
        found = (row.last_score, *(row.objectives.get(name) for name in self.others))
        values = [value for value in found if value is not None]  # of a stopped one the score is where it stood
        self._storage.set_trial_state_values(trial, state, values if len(values) == len(found) else None)


def _as_trained(policy: Policy | None, outcome: Outcome | None) -> Policy | None:
    """Return the policy of a row with the parts that its training came to need."""
    if policy is None or outcome is None:
        return policy
    return replace(policy, parts=max(policy.parts, outcome.parts))


def _may_go_on(outcome: Outcome | None, closed: bool) -> bool:
    """Say whether nothing but the budget ended a trial."""
    return outcome is not None and (outcome.state == "stopped" or (outcome.state == "paused" and closed))


def _repeat(place: int, k: int) -> str:
    return f"repeat-{place}-{k}" if k > 0 else f"fold-{place}-{-k}"
