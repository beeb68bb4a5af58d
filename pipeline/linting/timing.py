"""Seconds of training on this machine: a few real steps on random rows, through the function that trains trials."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import Budget, Candidate, ForecastInputs, ImageInputs, TextInputs
from pipeline.core.settings import TrainerSettings
from pipeline.linting.subjects import Subject
from pipeline.models.cost import example_rows
from pipeline.training.budgets import batch_of, settled
from pipeline.training.data import Arrays, Data
from pipeline.training.fit import fit

_FIRST = 2
_SECONDS = 0.4
_MOST = 20


def seconds_per_step(candidate: Candidate, subject: Subject, trainer: TrainerSettings) -> float:
    """Return the seconds of one step: what more steps take than two, so that starting is not counted.

    As many steps as fit into 0.4 seconds, 20 at most; two that take longer are taken as they are.
    """
    _seconds(candidate, subject, trainer, _FIRST)  # the first of all is slower
    few = _seconds(candidate, subject, trainer, _FIRST)
    if few >= 2 * _SECONDS:
        return few / _FIRST
    steps = min(_MOST, max(2 * _FIRST, int(_SECONDS * _FIRST / few)))
    many = _seconds(candidate, subject, trainer, steps)
    return (many - few) / (steps - _FIRST) if many > few else many / steps


def _seconds(candidate: Candidate, subject: Subject, trainer: TrainerSettings, steps: int) -> float:
    candidate = settled(candidate, subject.inputs, subject.rows or 1000)
    candidate = replace(candidate, optimizer=replace(candidate.optimizer, groups="none"))  # random rows have none
    rows = steps * batch_of(candidate.optimizer, subject.inputs, subject.rows or 1000)
    data = Data(subject.inputs, subject.outputs, random_rows(subject, rows), random_rows(subject, 8), None,
                subject.task, subject.targets)  # fmt: skip
    done = fit(candidate, data, Budget(epochs=1), seed=0, trainer=trainer)
    return done.seconds - done.start_seconds


def random_rows(subject: Subject, n: int) -> Arrays:
    """Return packed rows of a subject, random in inputs and targets."""
    rng = np.random.default_rng(0)
    inputs = subject.inputs
    if isinstance(inputs, ForecastInputs):
        steps = n + inputs.window + inputs.horizon
        series = rng.standard_normal((len(inputs.channels), steps)).astype(np.float32)
        return Arrays(series, np.arange(inputs.window, inputs.window + n))
    x: NDArray[Any] = example_rows(inputs, n, gaps=False).numpy()
    if isinstance(inputs, ImageInputs):
        x = (255 * x).astype(np.uint8)
    if isinstance(inputs, TextInputs):
        x = x.astype(np.int32)
    return Arrays(x, _targets(subject, n, rng))


def _targets(subject: Subject, n: int, rng: np.random.Generator) -> NDArray[Any]:
    match subject.task:
        case "multilabel":
            return rng.integers(2, size=(n, subject.outputs)).astype(np.float32)
        case "regression":
            return rng.standard_normal((n, subject.outputs)).astype(np.float32)
        case _:
            return rng.integers(subject.outputs, size=n)
