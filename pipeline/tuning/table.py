"""All candidates of a study in the order of their places, in memory and in Optuna's database at once.

A row is a trial of Optuna: RUNNING while it trains or is paused, finished when it is complete, stopped or failed. What
a killed process left running stays at its place with its answers, so the same trial goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import Trial, TrialState, create_trial

from pipeline.core.contracts import Candidate, Origin, TrialRecord
from pipeline.core.strict import plain, read
from pipeline.space import Scalar
from pipeline.tuning.jobs import Outcome

_SHOWN = ("quality", "reserve_score", "parameters", "multiply_adds", "epochs", "seconds", "error")
"""Of a record, as attributes that the dashboard shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One candidate and how far it came."""

    place: int
    origin: Origin
    candidate: Candidate
    answers: Mapping[str, Scalar]
    """By name, of all questions with more than one answer."""
    distributions: Mapping[str, BaseDistribution]
    """The ranges of these."""
    skipped: tuple[str, ...] = ()
    """Why draws before it at this place were no candidates."""
    outcome: Outcome | None = None
    repeats: tuple[Outcome, ...] = ()
    """With fresh seeds."""
    pack: tuple[int, int] | None = None
    """Place of the candidate whose shapes it shares and with which it is trained to the first rung, and how many were
    to be trained so."""
    over: bool = False
    """Nothing more will be trained of it."""
    busy: bool = False

    def scores(self, rungs: Sequence[float]) -> list[float]:
        """Return the scores at the rungs reached, lowest rung first; one that was leapt over has the next one's."""
        if self.outcome is None:
            return []
        found: list[float] = []
        for share, score in self.outcome.curve:
            reached = sum(rung <= share + 5e-5 for rung in rungs)  # shares are stored with four places
            found += [score] * (reached - len(found))
        return found

    @property
    def complete(self) -> bool:
        """Whether it was trained to its end."""
        return self.outcome is not None and self.outcome.state == "complete"

    @property
    def failed(self) -> bool:
        """Whether it failed."""
        return self.outcome is not None and self.outcome.state == "failed"

    @property
    def paused(self) -> bool:
        """Whether it could go on."""
        return not self.over and not self.busy and self.outcome is not None

    @property
    def last_score(self) -> float | None:
        """The score where it stands."""
        return self.outcome.curve[-1][1] if self.outcome and self.outcome.curve and not self.failed else None

    def record(self) -> TrialRecord:
        """Return what later stages may know of it."""
        outcome = self.outcome
        assert outcome is not None
        return TrialRecord(
            number=self.place,
            state="complete" if self.complete else "failed" if self.failed else "pruned",
            score=self.last_score,
            standard_error=outcome.standard_error,
            quality=None if self.failed else outcome.quality,
            reserve_score=outcome.reserve_score,
            origin=self.origin,
            candidate=self.candidate,
            parameters=None if self.failed else outcome.parameters,
            multiply_adds=outcome.multiply_adds,
            epochs=outcome.passes,
            seconds=outcome.seconds,
            curve=outcome.curve,
            repeats=tuple((r.curve[-1][1], r.reserve_score) for r in self.repeats if r.state == "complete"),
            error=outcome.error,
            traceback=outcome.traceback,
        )


class Table:
    """The rows of a study."""

    def __init__(self, study: optuna.Study) -> None:
        self.study = study
        self.rows: list[Row] = []
        self._ids: list[int] = []
        attributes = study.user_attrs
        trials = sorted((t for t in study.get_trials(deepcopy=False) if "place" in t.user_attrs),
                        key=lambda t: t.user_attrs["place"])  # fmt: skip
        for trial in trials:
            kept = trial.user_attrs
            repeats = [attributes[name] for k in range(1, 100) if (name := _repeat(kept["place"], k)) in attributes]
            self._ids.append(trial._trial_id)
            self.rows.append(
                Row(
                    place=kept["place"],
                    origin=kept["origin"],
                    candidate=read(Candidate, kept["candidate"], "study"),
                    answers=trial.params,
                    distributions=trial.distributions,
                    skipped=tuple(kept["skipped"]),
                    outcome=read(Outcome, kept["outcome"], "study") if "outcome" in kept else None,
                    repeats=tuple(read(Outcome, repeat, "study") for repeat in repeats),
                    pack=tuple(kept["pack"]) if "pack" in kept else None,
                    over=trial.state.is_finished(),
                )
            )

    def __len__(self) -> int:
        """Places taken."""
        return len(self.rows)

    def add(self, row: Row) -> None:
        """Append a row before its first job."""
        assert row.place == len(self.rows)
        attributes: dict[str, Any] = {
            "place": row.place, "origin": row.origin, "candidate": plain(row.candidate), "skipped": list(row.skipped),
        }  # fmt: skip
        if row.pack is not None:
            attributes["pack"] = list(row.pack)
        self.study.add_trial(
            create_trial(state=TrialState.RUNNING, params=dict(row.answers), distributions=dict(row.distributions),
                         user_attrs=attributes)
        )  # fmt: skip
        self._ids.append(self.study.get_trials(deepcopy=False)[-1]._trial_id)
        self.rows.append(row)

    def start(self, place: int) -> None:
        """Note that a job of this row runs."""
        self.rows[place] = replace(self.rows[place], busy=True)

    def note(self, outcome: Outcome, rungs: Sequence[float]) -> Row:
        """Store what came of a job, and return the row as it stands."""
        row = self.rows[outcome.place]
        if outcome.repeat:
            kept = {r.repeat: r for r in row.repeats} | {outcome.repeat: outcome}
            row = replace(row, busy=False, repeats=tuple(kept[k] for k in sorted(kept)))
            self.study.set_user_attr(_repeat(row.place, outcome.repeat), plain(outcome))
        else:
            before = len(row.scores(rungs))
            row = replace(row, busy=False, outcome=outcome, over=outcome.state != "paused")
            self._store(row, before, rungs)
        self.rows[outcome.place] = row
        return row

    def _store(self, row: Row, before: int, rungs: Sequence[float]) -> None:
        trial = Trial(self.study, self._ids[row.place])
        outcome = row.outcome
        assert outcome is not None
        for rung, score in list(enumerate(row.scores(rungs)))[before:]:
            trial.report(score, rung)
        trial.set_user_attr("outcome", plain(outcome))
        if row.over:
            self._show(row)
            self._tell(row)

    def _show(self, row: Row) -> None:
        trial = Trial(self.study, self._ids[row.place])
        for name, value in plain(row.record()).items():
            if name in _SHOWN and value is not None:
                trial.set_user_attr(name, value)

    def _tell(self, row: Row) -> None:
        state = TrialState.COMPLETE if row.complete else TrialState.FAIL if row.failed else TrialState.PRUNED
        number = self.study._storage.get_trial(self._ids[row.place]).number
        self.study.tell(number, row.last_score if row.complete else None, state=state)

    def stop(self, place: int) -> None:
        """Let a paused row be where it stands."""
        row = self.rows[place] = replace(self.rows[place], over=True)
        self._show(row)
        self._tell(row)

    def close(self) -> None:
        """End the study: what is paused will not go on."""
        for row in self.rows:
            if row.paused:
                self.stop(row.place)


def _repeat(place: int, k: int) -> str:
    return f"repeat-{place}-{k}"
