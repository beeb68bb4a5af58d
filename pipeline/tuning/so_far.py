"""A study that is still searched, or was killed, as a record; nothing in the database changes."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import optuna
from optuna.storages import RDBStorage

from pipeline.core.contracts import SearchRecord
from pipeline.core.errors import SpaceError
from pipeline.tuning.earlier import kept_earlier
from pipeline.tuning.jobs import Problem
from pipeline.tuning.plan import kept_raised
from pipeline.tuning.record import export, kept_of
from pipeline.tuning.study import shown_url, storage_url
from pipeline.tuning.table import Table


def record_so_far(problems: Mapping[str, Problem], state: Path) -> SearchRecord | None:
    """Return the trials that came to a score, of the study in which one began last; `problems`: by name of the study.

    None where there is none of these studies, or no such trial.
    """
    found = [began for name, problem in problems.items() if (began := _opened(name, problem, state)) is not None]
    if not found:
        return None
    _, study, problem = max(found, key=lambda one: one[0])
    rows = Table(study, problem.data.task, problem.objective.others).rows
    earlier = kept_earlier(study).words
    kept = kept_of(study, shown_url(problem.settings.storage), state / study.study_name, [earlier] if earlier else [])
    try:
        record = export(problem, rows, kept)
    except SpaceError:
        return None  # no trial has come to a score yet
    return replace(record, raised=kept_raised(study, rows))


def _opened(name: str, problem: Problem, state: Path) -> tuple[datetime, optuna.Study, Problem] | None:
    """Return when the study's last trial began, and the study; it is not created, and neither is the database."""
    declared = problem.settings.storage
    if declared is None and not (state / "optuna.db").exists():
        return None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = storage_url(declared, state)
    storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}} if url.startswith("sqlite") else None)
    if name not in optuna.get_all_study_names(storage):
        return None
    study = optuna.load_study(study_name=name, storage=storage)
    begun = [t.datetime_start for t in study.get_trials(deepcopy=False) if t.datetime_start is not None]
    return (max(begun), study, problem) if begun else None
