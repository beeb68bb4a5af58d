"""The Optuna database behind a search, under state/; never an artifact."""

import fcntl
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import (
    StudySystemAttributeModel,
    StudyUserAttributeModel,
    TrialIntermediateValueModel,
    TrialModel,
    TrialParamModel,
    TrialSystemAttributeModel,
    TrialUserAttributeModel,
    TrialValueModel,
)
from optuna.trial import TrialState
from sqlalchemy import Connection, delete, event, insert, update
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import scoped_session, sessionmaker

from pipeline.core.errors import ConfigError
from pipeline.core.provenance import without_passwords
from pipeline.core.settings import SearchSettings
from pipeline.tuning.refusals import refused_by

log = logging.getLogger("pipeline.search")

_PATIENCE, _QUIET = 60, 5
"""Seconds for which a database that another program has locked is waited for; after the second it is said."""
_UNSEEN = {"synchronize_session": False}
"""For changes in a session of its own, which holds no objects that they would have to reach."""


def storage_url(declared: str | None, state: Path) -> str:
    """Return the declared URL, or SQLite under the state folder."""
    return declared or f"sqlite:///{state / 'optuna.db'}"


def shown_url(declared: str | None) -> str:
    """Return the storage as records may show it: relative, without a password."""
    return without_passwords(declared) if declared else "sqlite:///state/optuna.db"


@contextmanager
def only_one(state: Path, name: str) -> Iterator[bool]:
    """Let one process at a time work on a study; say whether this one had to wait. A dead process frees the place."""
    with (state / f"{name}.lock").open("w") as lock:
        waited = False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("another process works on study %s; waiting for it", name)
            fcntl.flock(lock, fcntl.LOCK_EX)
            waited = True
        yield waited


def open_study(name: str, url: str, objectives: int = 1) -> optuna.Study:
    """Create the study or continue it; all of its so many objectives are minimised."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        patient = {"connect_args": {"timeout": _PATIENCE}} if url.startswith("sqlite") else None
        storage = RDBStorage(url, engine_kwargs=patient)
        _make_light(storage)
        study = optuna.create_study(
            storage=storage, study_name=name, load_if_exists=True, directions=["minimize"] * objectives
        )
    except (SQLAlchemyError, StorageInternalError, ImportError, ValueError) as wrong:
        reason, fix = refused_by(wrong) or (str(wrong).splitlines()[0], "check the URL")
        raise ConfigError(f"conf.search.storage: cannot open the study ({reason})", fix=fix) from None
    except RuntimeError as wrong:
        if "table schema" not in str(wrong):  # made by another version of Optuna
            raise
        fix = "move the database away for a new one, or run `optuna storage upgrade`"
        raise ConfigError(f"conf.search.storage: {str(wrong).partition('. ')[0]}", fix=fix) from None
    return study


def _make_light(storage: RDBStorage) -> None:
    """Let SQLite write ahead and not wait for the disk at every commit: a killed process loses nothing by that.

    Only a power cut may lose the last moments; the file stays whole. A commit takes 0.3 instead of 13 ms.
    """
    if storage.engine.dialect.name != "sqlite":
        return

    def on_connect(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    event.listen(storage.engine, "connect", on_connect)
    storage.engine.dispose()


@contextmanager
def together(study: optuna.Study) -> Iterator[None]:
    """Make one commit of all that is stored inside: sessions cost more than writing, and a kill leaves all or nothing.

    Sessions join a transaction that is committed outside of them ("Joining a Session into an External Transaction" in
    the manual of SQLAlchemy).
    """
    storage = _database(study)
    usual = storage.scoped_session
    with storage.engine.begin() as connection:
        if storage.engine.dialect.name == "sqlite":
            _hold(connection)
        storage.scoped_session = scoped_session(sessionmaker(bind=connection, join_transaction_mode="rollback_only"))
        try:
            yield
        finally:
            storage.scoped_session = usual


def _hold(connection: Connection) -> None:
    """Take the right to write before anything is written: who waits for it in between has to undo what it wrote."""
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(1000 * _QUIET)}")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as wrong:
        if "locked" not in str(wrong):
            raise
        log.warning("another program has locked the study's database; waiting for it up to %d s", _PATIENCE)
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(1000 * (_PATIENCE - _QUIET))}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(1000 * _PATIENCE)}")


def add_running(
    study: optuna.Study,
    answers: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
    shown: Mapping[str, Any],
    kept: Mapping[str, Any],
) -> int:
    """Add a trial that runs; return its id in the database.

    `shown`, `kept`: user attributes and system attributes.
    """
    trial = int(study._storage.create_new_trial(study._study_id))
    asked = [
        {
            "param_name": name,
            "param_value": distributions[name].to_internal_repr(value),
            "distribution_json": distribution_to_json(distributions[name]),
        }
        for name, value in answers.items()
    ]
    with _at_once(study) as session:
        _insert(session, TrialParamModel, "trial_id", trial, asked)
        _insert(session, TrialUserAttributeModel, "trial_id", trial, _attributes(shown))
        _insert(session, TrialSystemAttributeModel, "trial_id", trial, _attributes(kept))
    return trial


def keep_scores(study: optuna.Study, trial: int, scores: Mapping[int, float]) -> None:
    """Keep intermediate values of steps that have none yet."""
    stored = TrialIntermediateValueModel.intermediate_value_to_stored_repr
    rows = []
    for step, score in scores.items():
        value, kind = stored(score)
        rows.append({"step": step, "intermediate_value": value, "intermediate_value_type": kind})
    with _at_once(study) as session:
        _insert(session, TrialIntermediateValueModel, "trial_id", trial, rows)


def keep_attributes(
    study: optuna.Study, trial: int | None, *, shown: Mapping[str, Any] | None = None, kept: Mapping[str, Any]
) -> None:
    """Set user attributes and system attributes of a trial, or of the study; what they had is replaced."""
    of_study = trial is None
    owner = ("study_id", study._study_id) if trial is None else ("trial_id", trial)
    with _at_once(study) as session:
        for model, attributes in (
            (StudyUserAttributeModel if of_study else TrialUserAttributeModel, shown or {}),
            (StudySystemAttributeModel if of_study else TrialSystemAttributeModel, kept),
        ):
            if attributes:
                mine = (getattr(model, owner[0]) == owner[1], model.key.in_(list(attributes)))
                session.execute(delete(model).where(*mine), execution_options=_UNSEEN)
            _insert(session, model, *owner, _attributes(attributes))


@contextmanager
def _at_once(study: optuna.Study) -> Iterator[Any]:
    """Give a session for statements of many rows: Optuna asks the database twice for each, three times as slow."""
    session = _database(study).scoped_session()
    try:
        yield session
        session.commit()
    finally:
        session.close()


def _insert(session: Any, model: Any, owner: str, number: int, rows: Iterable[Mapping[str, Any]]) -> None:
    if every := [{owner: number, **row} for row in rows]:
        session.execute(insert(model), every)


def _attributes(given: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"key": key, "value_json": json.dumps(value)} for key, value in given.items()]


def reopen(study: optuna.Study, trial: int) -> None:
    """Let a finished trial, by its id in the database, run again: Optuna has no way back from an end.

    Who has the study open, a dashboard, say, and saw the end may show it until opening the study anew.
    """
    running = {"state": TrialState.RUNNING, "datetime_complete": None}
    with _at_once(study) as session:
        for change in (
            delete(TrialValueModel).where(TrialValueModel.trial_id == trial),
            update(TrialModel).where(TrialModel.trial_id == trial).values(running),
        ):
            session.execute(change, execution_options=_UNSEEN)


def _database(study: optuna.Study) -> RDBStorage:
    """Return what lies behind Optuna's cache."""
    found = getattr(study._storage, "_backend", study._storage)
    assert isinstance(found, RDBStorage)
    return found


def extent(settings: SearchSettings) -> dict[str, float | int | None]:
    """Return what a study may spend in all."""
    return {"n_trials": settings.n_trials, "seconds": settings.seconds, "energy_wh": settings.energy_wh,
            "repeats": settings.repeats}  # fmt: skip


def is_over(study: optuna.Study, settings: SearchSettings) -> bool:
    """Say whether the study was ended with this budget or a larger one."""
    over = study.user_attrs.get("over")
    if over is None:
        return False
    return all(
        had is None or (wanted is not None and wanted <= had)
        for had, wanted in ((over[name], wanted) for name, wanted in extent(settings).items())
    )
