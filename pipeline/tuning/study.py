"""The study behind a search: an Optuna database under state/, never an artifact.

A trial counts when it is finished: complete, pruned or failed. One that was interrupted does not count and is run
again under the same place in the order, and so is a draw that is no candidate. Place i draws from a sampler seeded by
(seed, i) and the number of draws passed over there, and sees the counted trials before it, so an interrupted search
proposes what an uninterrupted one would have.
"""

import fcntl
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from pipeline.core.contracts import TrialRecord
from pipeline.core.errors import ConfigError
from pipeline.core.seeds import stream_seed
from pipeline.core.strict import plain, read

log = logging.getLogger("pipeline.search")

STARTUP = 6
"""So many trials are drawn before the sampler has seen enough to propose."""
_COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def storage_url(declared: str | None, state: Path) -> str:
    """Return the declared URL, or SQLite under the state folder."""
    return declared or f"sqlite:///{state / 'optuna.db'}"


def shown_url(declared: str | None) -> str:
    """Return the storage as records may show it: relative, without a password."""
    return re.sub(r"://([^:/@]+):[^@]*@", r"://\1:***@", declared) if declared else "sqlite:///state/optuna.db"


@contextmanager
def only_one(state: Path, name: str) -> Iterator[None]:
    """Let one process at a time work on a study; the kernel gives the place free when a process dies."""
    with (state / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("another process works on study %s; waiting for it", name)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def open_study(name: str, url: str) -> optuna.Study:
    """Create the study or continue it; what a killed process left running becomes "interrupted"."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        storage = optuna.storages.RDBStorage(
            url, engine_kwargs={"connect_args": {"timeout": 60}} if url.startswith("sqlite") else None
        )
        study = optuna.create_study(storage=storage, study_name=name, load_if_exists=True, direction="minimize")
    except (SQLAlchemyError, ImportError, ValueError) as wrong:
        reason = str(wrong).splitlines()[0]
        raise ConfigError(f"conf.search.storage: cannot open the study ({reason})", fix="check the URL") from None
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def records(study: optuna.Study) -> list[TrialRecord]:
    """Return the counted trials in order."""
    trials = study.get_trials(deepcopy=False, states=_COUNTED)
    return [read(TrialRecord, t.user_attrs["record"], "study") for t in trials if "record" in t.user_attrs]


def spent(study: optuna.Study) -> float:
    """Return the seconds of all trials, those of interrupted ones as far as they were noted."""
    return float(sum(t.user_attrs.get("seconds", 0.0) for t in study.get_trials(deepcopy=False)))


def passed_over(study: optuna.Study, place: int) -> list[str]:
    """Return the reasons of the draws of this place that were no candidates."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    return [
        t.user_attrs["infeasible"] for t in trials if "infeasible" in t.user_attrs and t.user_attrs["place"] == place
    ]


def pass_over(study: optuna.Study, trial: optuna.Trial, place: int, reason: str) -> None:
    """Note a draw that is no candidate; it does not count."""
    trial.set_user_attr("infeasible", reason)
    trial.set_user_attr("place", place)
    study.tell(trial, state=TrialState.FAIL)


def draw_names(name: str, place: int, attempt: int) -> tuple[str | int, ...]:
    """Return the name of the random stream of an attempt at a place."""
    return (name, place, attempt) if attempt else (name, place)


def ask(
    study: optuna.Study, seed: int, place: int, attempt: int, answers: dict[str, bool | int | float | str] | None
) -> optuna.Trial:
    """Return the trial of this place: with given answers, or from the sampler."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # group=True is what conditions need
        study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=STARTUP,
            multivariate=True,
            group=True,
            seed=stream_seed(seed, *draw_names("sampler", place, attempt)),
        )
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    if answers is not None and not waiting:
        study.enqueue_trial(answers)
    return study.ask()


def tell(study: optuna.Study, trial: optuna.Trial, record: TrialRecord) -> FrozenTrial:
    """Store the outcome; the dashboard shows the flat attributes, the record is what is exported."""
    trial.set_user_attr("seconds", record.seconds)
    trial.set_user_attr("origin", record.origin)
    for name in ("quality", "reserve_score", "parameters", "multiply_adds", "epochs", "error"):
        if getattr(record, name) is not None:
            trial.set_user_attr(name, getattr(record, name))
    trial.set_user_attr("record", plain(record))
    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    value = record.score if record.state == "complete" else None
    return study.tell(trial, value, state=states[record.state])
