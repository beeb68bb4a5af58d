"""What is recorded so that raw rows can be read and encoded again without the training rows; see contracts' Intake."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import ForecastInputs, ImageInputs, Inputs, Intake, SeriesInputs, TableInputs, TextInputs
from pipeline.core.data_settings import DataSettings
from pipeline.datasets.packed import Prepared, chunks

OTHER = 1
"""Number of a word that is not in the vocabulary."""
_TEXTS = 0.999
"""Share of the validation texts with at most the unknown words that count as usual; training texts know their own."""

Measures = Mapping[str, NDArray[np.float64]]
"""What is looked at in every row, by name: (N,) or (N, …), NaN where a row has none."""


def intake_of(settings: DataSettings, prepared: Prepared) -> Intake:
    """Return what a network trained on these rows needs to read others."""
    card, train = prepared.card, prepared.splits["train"]
    data = replace(settings, path=None, url=None, sha256=None, train_file=None, val_file=None, test_file=None,
                   side_table=None, side_key=None)  # fmt: skip
    if data.format == "hf":  # its rows came as a table, and so do others like them
        data = replace(data, format="text" if data.text else "csv", layout=None, hf_name=None, hf_config=None)
    columns = [str(c).removeprefix("raw.") for c in train.rows.columns if str(c).startswith("raw.")]
    plain = isinstance(card.inputs, TableInputs | TextInputs)
    return Intake(
        data=data,
        task=card.task,
        classes=card.classes,
        targets=card.targets,
        columns=(*columns, *settings.text) if plain else (),
        usual=_usual((prepared.splits["val"] if isinstance(card.inputs, TextInputs) else train).x, card.inputs),
        pieces=prepared.pieces,
        scales=prepared.scales,
    )


def measured(x: NDArray[Any], inputs: Inputs) -> Measures:
    """Return what is looked at in packed rows x (N, …), to tell rows that training had nothing like."""
    match inputs:
        case ImageInputs():
            pixels = x.reshape(len(x), -1).astype(np.float64) / 255
            return {"brightness": pixels.mean(axis=1), "contrast": pixels.std(axis=1)}
        case TextInputs():
            size = (x > 0).sum(axis=1)
            unknown = np.full(len(x), np.nan)
            np.divide((x == OTHER).sum(axis=1), size, out=unknown, where=size > 0)
            return {"unknown words": unknown}
        case SeriesInputs() | ForecastInputs():
            return {name: x[:, c].astype(np.float64) for c, name in enumerate(inputs.channels)}
        case TableInputs():
            return {}


def _usual(x: NDArray[Any], inputs: Inputs) -> dict[str, tuple[float, float]]:
    """Return least and most of each measure in some rows, read piece by piece."""
    if isinstance(inputs, ForecastInputs):
        x = x[None]  # all steps of the training series, side by side
    parts = [measured(part, inputs) for part in chunks(x, max(1, 2**20 // math.prod(x.shape[1:])))]
    if isinstance(inputs, TextInputs):
        return {name: (0.0, _most(np.concatenate([part[name] for part in parts]))) for name in parts[0]}
    usual = {}
    for name in parts[0]:
        known = [values[~np.isnan(values)] for values in (part[name] for part in parts)]
        if known := [values for values in known if len(values)]:
            usual[name] = float(min(v.min() for v in known)), float(max(v.max() for v in known))
    return usual


def _most(shares: NDArray[np.float64]) -> float:
    known = shares[~np.isnan(shares)]
    return float(np.quantile(known, _TEXTS)) if len(known) else 1.0
