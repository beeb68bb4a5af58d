"""One network that learns what several say: the winner's candidate, trained on their mean predictions of training rows.

Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network"; of ensembles before them Buciluǎ, Caruana
and Niculescu-Mizil 2006, "Model Compression". It is built where weights cannot be averaged: networks that share no
initialisation have none in common that predict anything between them (Frankle et al. 2020, "Linear Mode Connectivity
and the Lottery Ticket Hypothesis").

Legend: N rows, K classes, labels or values.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import EnsembleRecord
from pipeline.core.errors import ConfigError
from pipeline.models import Network
from pipeline.training.data import Data
from pipeline.training.device import choose_device
from pipeline.training.fit import Fit
from pipeline.training.full import Course
from pipeline.training.heads import head_for
from pipeline.training.members import load_ensemble, predict_ensemble


@dataclass(frozen=True)
class Teacher:
    """Networks and the share that each has in what is learned."""

    networks: Sequence[Network]
    shares: Sequence[float]


def teacher_words(ensemble: EnsembleRecord, seeds: int) -> str:
    """Return whom a network can learn from: the search's ensemble, or where that is one network, the seeds.

    Raises:
        ConfigError: there is one network in all.
    """
    if (count := len(ensemble.members)) > 1:
        return f"the search's ensemble of {count} networks"
    if seeds > 1:
        return f"the {seeds} seeds"
    raise ConfigError(
        "conf.train.distill: true, but the search's ensemble is one network, and so are the seeds",
        fix="train.seeds=3, or train.distill=false",
    )


def teacher_of(folder: Path, data: Data, wanted: int, seeds: Sequence[Fit]) -> Teacher:
    """Return the ensemble that the search wrote to `folder`, or all `wanted` seeds, as they were before a refit.

    Raises:
        FloatingPointError: a seed has failed.
    """
    ensemble, networks = load_ensemble(folder, data.inputs, data.outputs)
    if len(networks) > 1:
        return Teacher(networks, [member.share for member in ensemble.members])
    if len(seeds) < wanted:
        raise FloatingPointError(f"{wanted - len(seeds)} of the {wanted} seeds failed that it would learn from")
    return Teacher([done.unseen or done.network for done in seeds], [1 / wanted] * wanted)


def taught(course: Course, teacher: Teacher) -> Course:
    """Return the course with what the teacher says of all training rows in place of their targets."""
    device = choose_device(course.trainer)[0]
    whole = course.whole and _told(course.whole, teacher, device)
    return replace(course, data=_told(course.data, teacher, device), whole=whole)


def _told(data: Data, teacher: Teacher, device: str) -> Data:
    head, rows = head_for(data.task, data.inputs, data.targets), data.placed("train", device)
    for network in teacher.networks:
        network.to(device)
    said_NK: NDArray[np.float64] = predict_ensemble(teacher.networks, teacher.shares, rows, head)
    for network in teacher.networks:
        network.cpu()
    return replace(data, train=replace(data.train, said=said_NK.astype(np.float32)))
