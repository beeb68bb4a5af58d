"""What a study before this one found: its best candidates are tried early where the space or the data changed since.

A study is named by all its inputs, so another space or other rows begin a new one. What the old one learned is not
lost: of the latest study of the same data set, seed and objective, those of the best candidates that the present space
still holds are trained anew, after the defaults. Scores are never carried over. Rows that decided then and may be
tested on now would let a test row choose a candidate: who has more than a few of these is left alone.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from pipeline.core.contracts import Candidate
from pipeline.core.errors import PipelineError
from pipeline.core.store import write_bytes
from pipeline.core.strict import plain, read
from pipeline.space import DefaultChooser, Scalar, Space, first_answers
from pipeline.tuning.proposals import feasible

MOST = 3
"""So many candidates of an earlier study are tried, …"""
_LOOKED_AT = 10
"""… of so many of its best."""
_MOST_MOVED = 0.01
"""Of the rows that decided in an earlier study, so many may not be here any more: a row that is added moves others."""
_ABOUT, _EARLIER = "about", "earlier"
"""User attributes of a study."""


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What a study is of. Studies that differ in nothing but `space` and `rows` are of the same task."""

    data: str
    """Name of the data set."""
    task: str
    objectives: tuple[str, ...]
    seed: int
    space: str
    """Digest."""
    rows: str
    """Digest of the prepared rows."""

    def relation(self, other: Mapping[str, Any]) -> str | None:
        """Say what differs in an earlier study of the same task; None if it is of another one, or nothing does."""
        mine = asdict(self) | {"objectives": list(self.objectives)}
        differs = {name for name, value in mine.items() if other.get(name) != value}
        if not differs or not differs <= {"space", "rows"}:
            return None
        return " and ".join(f"{'an' if name == 'space' else ''}other {name}" for name in sorted(differs, reverse=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """Candidates of an earlier study."""

    answers: tuple[Mapping[str, Scalar], ...] = ()
    words: str | None = None
    """Where they come from, or why none do."""


def look_back(study: optuna.Study, about: About, space: Space, fit: Path, state: Path, *, wanted: bool) -> None:
    """Keep with a study what an earlier one in the same database offers it; decided once, before its first trial.

    `fit`, `state`: folders of the prepared rows and of what studies keep beside the database. `wanted`: else nothing is
    looked for, and what this one is of is kept for later ones.
    """
    if _EARLIER in study.user_attrs:
        return
    found = _found(study, about, space, fit, state) if wanted else Earlier()
    _keep(_rows(fit, "val", "reserve"), _path(state, study.study_name))
    study.set_user_attr(_ABOUT, asdict(about))
    study.set_user_attr(_EARLIER, {"answers": [dict(a) for a in found.answers], "words": found.words})


def kept_earlier(study: optuna.Study) -> Earlier:
    """Return what was found when the study began."""
    kept = study.user_attrs.get(_EARLIER)
    return Earlier() if kept is None else Earlier(answers=tuple(kept["answers"]), words=kept["words"])


def _found(study: optuna.Study, about: About, space: Space, fit: Path, state: Path) -> Earlier:
    """Look for the latest study of the same task that has something to offer."""
    every = optuna.get_all_study_summaries(storage=study._storage)
    every.sort(key=lambda one: one._study_id, reverse=True)
    refused = None
    for one in every:
        if _ABOUT not in one.user_attrs or (how := about.relation(one.user_attrs[_ABOUT])) is None:
            continue
        done = _best_trials(optuna.load_study(study_name=one.study_name, storage=study._storage))
        if not done:
            continue
        if "rows" in how and (why := _moved(_path(state, one.study_name), fit)) is not None:
            refused = refused or f"study {one.study_name}, of {how}, is not drawn on: {why}"
            continue
        found = _held(space, done)
        if not found:
            refused = refused or f"study {one.study_name}, of {how}, has no candidate that helps among its best"
            continue
        numbers = ", ".join(str(number) for number in found)
        words = f"study {one.study_name}, of {how}, found candidates that are tried early: its trials {numbers}"
        return Earlier(answers=tuple(found.values()), words=words)
    return Earlier(words=refused)


def _best_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return trials that came to their end and broke no bound, the best first."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    able = [trial for trial in done if all(c <= 0 for c in trial.system_attrs.get("constraints", ()))]
    return sorted(able, key=lambda trial: (trial.values[0], trial.number))[:_LOOKED_AT]


def _held(space: Space, trials: list[FrozenTrial]) -> dict[int, Mapping[str, Scalar]]:
    """Return {number: answers} of the first few whose very candidate the space holds, and does not try anyway."""
    tried = [answers for _, answers in first_answers(space)]
    found: dict[int, Mapping[str, Scalar]] = {}
    for trial in trials:
        chooser = DefaultChooser(trial.params)
        try:
            candidate = feasible(space, chooser)
            same = plain(candidate) == plain(read(Candidate, trial.system_attrs["candidate"], "study"))
        except PipelineError:  # an option, a range or a field is gone, or the combination is forbidden now
            continue
        if same and chooser.answers not in (*tried, *found.values()):
            found[trial.system_attrs["place"]] = chooser.answers
        if len(found) == MOST:
            break
    return found


def _moved(path: Path, fit: Path) -> str | None:
    """Say why rows that decided in an earlier study may be tested on now; `path`: of what it kept of them."""
    try:
        deciding = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        return "which rows decided there is not known"
    here = _rows(fit, "train", "val", "reserve")
    gone = int((~np.isin(deciding, here)).sum())
    if gone <= _MOST_MOVED * len(deciding):
        return None
    return f"{gone:,} of the {len(deciding):,} rows that decided there are for tests now, or gone"


def _keep(rows: NDArray[np.uint64], path: Path) -> None:
    data = io.BytesIO()
    np.save(data, rows, allow_pickle=False)
    write_bytes(path, data.getvalue())


def _rows(fit: Path, *splits: str) -> NDArray[np.uint64]:
    """Return a number for each row of splits that are there, by its name."""
    return np.concatenate(list(_numbers(fit, splits)))


def _numbers(fit: Path, splits: tuple[str, ...]) -> Iterator[NDArray[np.uint64]]:
    for split in splits:
        if (path := fit / f"{split}_rows.parquet").exists():
            names = pd.read_parquet(path, columns=["row_id"])["row_id"]
            yield np.asarray(pd.util.hash_pandas_object(names, index=False), np.uint64)


def _path(state: Path, name: str) -> Path:
    return state / f"{name}.rows.npy"
