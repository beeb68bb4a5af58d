"""What a network learns from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pipeline.core.contracts import DatasetCard, Inputs
from pipeline.datasets import load_split


@dataclass(frozen=True)
class Arrays:
    """Packed rows: x uint8 (N, C, H, W) or float32 (N, P), y int64 (N,)."""

    x: NDArray[Any]
    y: NDArray[Any]


@dataclass(frozen=True)
class Data:
    """The description of a network's inputs, the number of classes, and rows of two splits."""

    inputs: Inputs
    outputs: int
    train: Arrays
    val: Arrays


def load_data(card: DatasetCard, folder: Path) -> Data:
    """Return the training and validation rows that prepare wrote to `folder`."""
    train, val = load_split(folder, "train"), load_split(folder, "val")
    return Data(card.inputs, len(card.classes), Arrays(train.x, train.y), Arrays(val.x, val.y))
