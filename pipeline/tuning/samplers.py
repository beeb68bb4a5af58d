"""Optuna's samplers. Each is asked in a study in memory, which is told the rows anew for every proposal."""

import warnings
from collections.abc import Sequence

import optuna
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from pipeline.space import Chooser
from pipeline.tuning.aims import ALONE, front_rows, point_of
from pipeline.tuning.chooser import TrialChooser
from pipeline.tuning.row import Row

STARTUP = 6
"""TPE needs so many rows at a rung."""
_MOST_TOLD, _BEST_TOLD = 250, 50
"""Rows that it is told, and how many of the best are among them."""
_PARENTS = 3
"""Mutation starts from one of the best so many."""


def best_rung(rows: Sequence[Row], rungs: Sequence[float], least: int) -> int | None:
    """Return the highest rung at which at least so many rows have a score."""
    reached = [len(row.scores(rungs)) for row in rows if not row.failed]
    able = [rung for rung in range(len(rungs)) if sum(n > rung for n in reached) >= least]
    return max(able) if able else None


def best_rows(rows: Sequence[Row], rungs: Sequence[float], names: Sequence[str] = ALONE) -> list[Row]:
    """Return the rows with the lowest scores at the highest rung that has as many as are asked for.

    Rows that are known to break a bound come after all others. With several objectives: the front at that rung.
    """
    rung = best_rung(rows, rungs, _PARENTS)
    if rung is None:
        return []
    here = [row for row in rows if not row.failed and len(row.scores(rungs)) > rung]
    if len(names) > 1 and (ahead := front_rows(here, rung, rungs, names)):
        return ahead
    return sorted(here, key=lambda row: (row.excess, row.scores(rungs)[rung], row.place))[:_PARENTS]


def tpe(rows: Sequence[Row], rungs: Sequence[float], seed: int, names: Sequence[str] = ALONE) -> Chooser:
    """Return the questions of a trial of TPE that knows the scores of one rung: of several it would confuse them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # group=True is what conditions need
        sampler = optuna.samplers.TPESampler(n_startup_trials=0, multivariate=True, group=True, seed=seed)
    rung = best_rung(rows, rungs, 2 * STARTUP)
    rung = best_rung(rows, rungs, STARTUP) if rung is None else rung
    assert rung is not None
    here = [row for row in rows if not row.failed and len(row.scores(rungs)) > rung]
    here = told(here, rung, rungs) if len(names) == 1 else here
    points = [point_of(row, rung, rungs, names) for row in here]
    study = in_memory(sampler, objectives=len(points[0]))
    study.add_trials(
        create_trial(
            params=dict(row.answers),
            distributions=dict(row.distributions),
            values=list(point),
            constraints=_relative(row),
        )
        for row, point in zip(here, points, strict=True)
    )
    return TrialChooser(study.ask())


def told(rows: list[Row], rung: int, rungs: Sequence[float]) -> list[Row]:
    """Return the best and the latest of very many rows, in their order.

    TPE fits the best 25 at most (Optuna's gamma) against all others; of these some two hundred tell as much.
    """
    if len(rows) <= _MOST_TOLD:
        return rows
    best = sorted(rows, key=lambda row: (row.excess, row.scores(rungs)[rung], row.place))[:_BEST_TOLD]
    kept = {row.place for row in (*best, *rows[_BEST_TOLD - _MOST_TOLD :])}
    return [row for row in rows if row.place in kept]


def _relative(row: Row) -> dict[str, float]:
    """Return by which share of its bound each amount exceeds it; Optuna calls 0 and less feasible."""
    return {name: amount / bound - 1 for name, (amount, bound) in row.amounts.items()}


def in_memory(
    sampler: optuna.samplers.BaseSampler | None, pruner: optuna.pruners.BasePruner | None = None, objectives: int = 1
) -> optuna.Study:
    """Return a study that nobody keeps."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    directions = [StudyDirection.MINIMIZE] * objectives
    return optuna.create_study(directions=directions, sampler=sampler, pruner=pruner, study_name="in memory")


def stock_study(rows: Sequence[Row], rungs: Sequence[float], eta: int, seed: int) -> tuple[optuna.Study, bool]:
    """Return the study of Optuna's own TPE and Hyperband that the rows make, and whether it would stop the last one.

    Nothing of it is kept between two decisions: the rows are told to it again, in order.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        pruner = optuna.pruners.HyperbandPruner(
            min_resource=1, max_resource=eta ** (len(rungs) - 1), reduction_factor=eta
        )
    study = in_memory(optuna.samplers.TPESampler(seed=seed), pruner)
    stop = False
    for row in rows:
        study.add_trial(create_trial(state=TrialState.RUNNING, params=dict(row.answers),
                                     distributions=dict(row.distributions)))  # fmt: skip
        trial = optuna.Trial(study, study.get_trials(deepcopy=False)[-1]._trial_id)
        for rung, score in enumerate(row.scores(rungs)):
            trial.report(score, eta**rung)
            stop = trial.should_prune()
        for name, amount in _relative(row).items():
            trial.set_constraint(name, amount)
        if row.over:
            state = TrialState.COMPLETE if row.complete else TrialState.FAIL if row.failed else TrialState.PRUNED
            study.tell(trial.number, row.last_score if row.complete else None, state=state)
    return study, stop
