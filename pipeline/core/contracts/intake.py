"""What a trained network needs beside its weights to read raw rows again, far from the rows it learnt from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.core.contracts.data import Target, Task
from pipeline.core.data_settings import DataSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesScale:
    """Forecasts: mean and standard deviation of the training steps of a series, one of each per channel."""

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """intake.json in artifacts/prepare/fit and artifacts/train: how raw rows become what the network reads.

    The fitted statistics are the inputs of the model's card; here stands what they do not say.
    """

    schema: Literal[1] = 1
    data: DataSettings
    """As declared, without the places where the training rows lay."""
    task: Task
    classes: tuple[str, ...]
    targets: tuple[Target, ...] = ()
    columns: tuple[str, ...] = ()
    """Tables, texts: all columns of the training file, so that others are noticed."""
    usual: Mapping[str, tuple[float, float]]
    """Least and most of what is looked at in every row, by name, in the training rows.

    Texts: the share of unknown words, in 99.9 % of the validation texts, because the training ones made the vocabulary.

    Tables have none here: the range of a number column is that of its bin edges.
    """
    pieces: str | None = None
    """data.tokens=bpe: the fitted cutter, in the library's own JSON."""
    scales: tuple[SeriesScale, ...] = ()
    """Forecasts: one per training series."""
    version: str | None = None
    """Of archline, when the network was trained; None before."""
    code: str | None = None
    """Digest of the code it was trained by; None before."""
