"""Arm refine: all but the numbers of the best candidate is settled, and a Gaussian process proposes these.

Learning rate, weight decay, dropout and what else is a range of floats in the space: few enough to be learned from tens
of trainings, which pays where one takes long. The process knows the scores of one rung, for of several it would confuse
them, and only those of candidates that share all other answers.
"""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from pipeline.core.seeds import stream, stream_seed
from pipeline.space import Chooser, FloatRange, RandomChooser, Scalar, near_number
from pipeline.tuning.chooser import Like, TrialChooser
from pipeline.tuning.row import Row
from pipeline.tuning.samplers import in_memory

_STARTUP = 4
"""So many scores are needed by a process; before, numbers are drawn near the best ones."""


def numbers(row: Row) -> dict[str, FloatDistribution]:
    """Return the ranges of a candidate's numbers, by name."""
    return {name: it for name, it in row.distributions.items() if isinstance(it, FloatDistribution) and not it.single()}


def settled_by(rows: Sequence[Row]) -> Row | None:
    """Return the row that settles the rest: the best one, and once the arm is at work always the same candidate's."""
    if rows and rows[-1].origin == "refine":
        return rows[-1]
    complete = [row for row in rows if row.complete and not row.excess and numbers(row)]
    return min(complete, key=lambda row: (row.last_score or 0.0, row.place), default=None)


def alike(rows: Sequence[Row], given: Row) -> list[Row]:
    """Return the rows that differ from a given one in numbers at most, itself among them."""
    ranges = numbers(given)
    rest = {name: answer for name, answer in given.answers.items() if name not in ranges}
    return [
        row
        for row in rows
        if not row.failed
        and numbers(row) == ranges
        and {name: answer for name, answer in row.answers.items() if name not in ranges} == rest
    ]


def refined(rows: Sequence[Row], rungs: Sequence[float], rung: int, seed: int, attempt: int) -> Chooser | None:
    """Return who answers for the next candidate; None where no candidate has numbers to refine."""
    given = settled_by(rows)
    if given is None:
        return None
    place, ranges = len(rows), numbers(given)
    kin = alike(rows, given)
    scored = [row for row in kin if len(row.scores(rungs)) > rung]
    asked: Chooser
    if len(scored) < _STARTUP:
        best = min(scored, key=lambda row: (row.scores(rungs)[rung], row.place), default=given)
        asked = Near(best.answers, stream(seed, "refine", place, attempt))
    else:
        scores = [(row.answers, row.scores(rungs)[rung]) for row in scored]
        waiting = [row.answers for row in kin if row.busy and len(row.scores(rungs)) <= rung]
        asked = process(scores, waiting, ranges, stream_seed(seed, "sampler", place, attempt))
    return Like(asked, given.answers, lambda name: name in ranges)


class Near(RandomChooser):
    """Draws each number near a given one."""

    def __init__(self, centre: Mapping[str, Scalar], rng: np.random.Generator) -> None:
        super().__init__(rng)
        self._centre = centre

    def number(self, name: str, node: FloatRange) -> float:
        """Draw on the line or on the logarithm."""
        return near_number(node, float(self._centre[name]), "high", self._rng)


def process(
    scored: Sequence[tuple[Mapping[str, Scalar], float]],
    waiting: Sequence[Mapping[str, Scalar]],
    ranges: Mapping[str, FloatDistribution],
    seed: int,
) -> Chooser:
    """Return the questions of a trial that expects the largest improvement over (answers, score) so far.

    `waiting`: answers whose scores are not known yet, so that the next ones are not the same.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=1, warn_independent_sampling=False)
    study = in_memory(sampler)
    known = [({name: answers[name] for name in ranges}, score) for answers, score in scored]
    study.add_trials(create_trial(params=params, distributions=dict(ranges), value=score) for params, score in known)
    study.add_trials(
        create_trial(
            state=TrialState.RUNNING, params={name: answers[name] for name in ranges}, distributions=dict(ranges)
        )
        for answers in waiting
    )
    return TrialChooser(study.ask())
