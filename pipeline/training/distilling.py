"""One network that learns what several say: the winner's candidate, trained on their mean predictions of training rows.

Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network"; of ensembles before them Buciluǎ, Caruana
and Niculescu-Mizil 2006, "Model Compression". It is built where weights cannot be averaged: networks that share no
initialisation have none in common that predict anything between them (Frankle et al. 2020, "Linear Mode Connectivity
and the Lottery Ticket Hypothesis").

Legend: N rows, K classes, labels or values.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import EnsembleRecord
from pipeline.core.errors import ConfigError
from pipeline.models import Network
from pipeline.training.ablation import losses_of
from pipeline.training.data import Data, Rows
from pipeline.training.device import choose_device
from pipeline.training.fit import Fit
from pipeline.training.full import Course
from pipeline.training.heads import head_for
from pipeline.training.members import load_ensemble, predict_ensemble
from pipeline.training.predict import targets_of

log = logging.getLogger("pipeline.train")


@dataclass(frozen=True)
class Teacher:
    """Networks and the share that each has in what is learned."""

    words: str
    """Who they are."""
    networks: Sequence[Network]
    shares: Sequence[float]

    def says(self, data: Data, rows: Rows, device: str) -> NDArray[np.float64]:
        """Return the mean predictions (N, K) of rows that lie on a device."""
        for network in self.networks:
            network.to(device)
        said_NK = predict_ensemble(self.networks, self.shares, rows, head_for(data.task, data.inputs, data.targets))
        for network in self.networks:
            network.cpu()
        return said_NK


def refuse_without_teacher(ensemble: EnsembleRecord, seeds: int) -> None:
    """Refuse to distil where there is one network in all."""
    if max(len(ensemble.members), seeds) < 2:
        raise ConfigError(
            "conf.train.distill: true, but the search's ensemble is one network, and so are the seeds",
            fix="train.seeds=3, or train.distill=false",
        )


def teacher_of(folder: Path, course: Course, seeds: Sequence[Fit]) -> Teacher:
    """Return the better one on validation rows: the ensemble that the search wrote to `folder`, or the seeds.

    Of seeds what they were before a refit. Without a reserve to be chosen on, the ensemble is a little flattered.

    Raises:
        FloatingPointError: there is one network in all, since seeds have failed.
    """
    data, device = course.data, choose_device(course.trainer)[0]
    record, networks = load_ensemble(folder, data.inputs, data.outputs)
    found = []
    if len(networks) > 1:
        words = f"the search's ensemble of {len(networks)} networks"
        found.append(Teacher(words, networks, [member.share for member in record.members]))
    if (count := len(seeds)) > 1:
        found.append(
            Teacher(f"the {count} seeds", [done.unseen or done.network for done in seeds], [1 / count] * count)
        )
    if not found:
        raise FloatingPointError("one network is left that it could learn from")
    rows = data.placed("val", device)
    losses = [float(losses_of(one.says(data, rows, device), targets_of(rows), data).mean()) for one in found]
    for one, loss in zip(found, losses, strict=True):
        log.info("distilling: %s, %.4f on validation rows", one.words, loss)
    return found[int(np.argmin(losses))]


def taught(course: Course, teacher: Teacher) -> Course:
    """Return the course with what the teacher says of all training rows in place of their targets."""
    device = choose_device(course.trainer)[0]
    whole = course.whole and _told(course.whole, teacher, device)
    return replace(course, data=_told(course.data, teacher, device), whole=whole)


def _told(data: Data, teacher: Teacher, device: str) -> Data:
    said_NK = teacher.says(data, data.placed("train", device), device)
    return replace(data, train=replace(data.train, said=said_NK.astype(np.float32)))
