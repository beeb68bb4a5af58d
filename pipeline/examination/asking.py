"""What is asked: the question about test rows, and training rows to compare with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.attribution import Subject, Task, baseline_for
from pipeline.core.contracts import DatasetCard, ImageInputs, TextInputs
from pipeline.core.seeds import stream
from pipeline.core.store import FIT
from pipeline.datasets import load_split
from pipeline.training.data import Rows, rows_at
from pipeline.training.predict import model_input

Picked = list[tuple[int, str]]
"""Rows and why they were picked."""


@dataclass(frozen=True)
class Asked:
    """What is explained: a network, all test rows, and what is asked of each."""

    card: DatasetCard
    network: nn.Module
    rows: Rows
    y: NDArray[Any]
    subject: Subject
    says: Callable[[Tensor], NDArray[np.float64]]
    """Probabilities or values of rows as the network reads them."""

    def x(self, at: Tensor) -> Tensor:
        """Return some test rows as the network reads them."""
        return model_input(self.rows.take(at)[0])

    def task(self, picked: Picked) -> Task:
        """Return the question about rows that were picked."""
        at = [i for i, _ in picked]
        x, target = self.x(torch.tensor(at)), torch.tensor(self.subject.outputs[at])
        return Task(self.network, self.card.inputs, x, target, baseline_for(self.card.inputs, x)[0], self.card.task)


def drawn_rows(card: DatasetCard, count: int, seed: int) -> Tensor:
    """Return training rows, drawn at random, as a network reads them; texts and images need none."""
    if isinstance(card.inputs, ImageInputs | TextInputs):
        return torch.zeros(0)
    train = load_split(FIT, "train")
    picked = stream(seed, "interpret", "baseline").integers(len(train.y), size=count)
    return torch.tensor(rows_at(train.x, train.y, card.inputs, picked)[0])
