"""Simple models as members of an ensemble: fitted on training rows alone, and fitted again where they are used.

A fitted model is not stored, because there is no safe file for all kinds of them. What is stored is how it was fitted
and what it said of the rows the ensemble was chosen on: if fitting again gives anything else, that is an error.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.baselines import fitted, name_of, subsample
from pipeline.core.contracts import EnsembleRecord, ImageInputs, SimpleMember
from pipeline.core.errors import ArtifactError, ConfigError
from pipeline.core.settings import SearchSettings, SimpleKind
from pipeline.core.store import missing, sha256_file
from pipeline.training.data import Arrays, Data, rows_at
from pipeline.training.members import MEMBERS

Values = NDArray[np.float64]

_KINDS: tuple[SimpleKind, ...] = ("linear", "ngram_svm", "gradient_boosting", "random_kernels", "seasonal")
_MOST_PIXELS = 20_000_000
_ROUNDING = 1e-6
"""Sums of other lengths round differently on other processors; by more than this share nothing should differ."""


def kinds_for(settings: SearchSettings, data: Data) -> tuple[str, ...]:
    """Return the simple models that a search fits; one that such data do not have is refused.

    auto: the kind that is hard to beat for such data. Images have none, and without kept weights there is no ensemble.
    """
    known = [kind for kind in _KINDS if name_of(kind, data.task, data.inputs, data.outputs)]
    if settings.members == "auto":
        return tuple(kind for kind in _strong(data) if kind in known) if settings.keep else ()
    for kind in settings.members:
        if kind not in known:
            what = f"{data.inputs.kind} inputs and the task {data.task}"
            raise ConfigError(f"search.members: there is no {kind} for {what}", fix=f"one of: {', '.join(known)}")
        if not settings.keep:
            raise ConfigError("search.members: search.keep is 0, so there is no ensemble", fix="search.members=[]")
    return settings.members


def _strong(data: Data) -> tuple[SimpleKind, ...]:
    match data.inputs.kind:
        case "table":
            return ("gradient_boosting",)
        case "text":
            return ("ngram_svm",) if data.task in ("binary", "multiclass") else ("linear",)
        case "series":
            return ("random_kernels",) if data.task in ("binary", "multiclass", "regression") else ("linear",)
        case "forecast":
            return ("linear",)
    return ()


def most_rows(settings: SearchSettings, data: Data) -> int:
    """Return how many training rows a simple model is fitted on at most; of images fewer, by their pixels."""
    inputs = data.inputs
    size = inputs.channels * inputs.height * inputs.width if isinstance(inputs, ImageInputs) else 1
    return min(settings.member_rows, max(200, _MOST_PIXELS // size))


def simple_name(kind: str, data: Data) -> str:
    """Return what the simple model of a kind is called for such data."""
    name = name_of(kind, data.task, data.inputs, data.outputs)
    assert name is not None
    return name


def fitted_words(data: Data, most: int, seed: int) -> str:
    """Say on which rows a simple model is fitted."""
    train = data.train
    picked = subsample(train.y, most, seed, train.weight)
    return f"{len(picked):,} of {len(train.y):,} training rows" + ("" if train.weight is None else ", weighted")


def fit_simple(kind: str, data: Data, most: int, seed: int, asked: Sequence[Arrays]) -> list[Values]:
    """Fit the simple model of a kind on at most `most` training rows; return what it says of each of `asked` (M, K)."""
    train, inputs = data.train, data.inputs
    picked = subsample(train.y, most, seed, train.weight)
    x, y = rows_at(train.x, train.y, inputs, picked)
    weight = None if train.weight is None else train.weight[picked]
    parts = [rows_at(part.x, part.y, inputs, np.arange(len(part.y)))[0] for part in asked]
    about = data.task, inputs, data.outputs
    p = fitted(simple_name(kind, data), about, (x, y, weight), np.concatenate(parts), seed)
    return np.split(p, np.cumsum([len(part) for part in parts])[:-1])


def chosen_on(data: Data) -> tuple[Literal["reserve", "val"], Arrays]:
    """Return the rows an ensemble is chosen on, and the name of their split."""
    return ("val", data.val) if data.reserve is None else ("reserve", data.reserve)


def file_of(name: str) -> str:
    """Return the name of the file with the predictions of a simple model."""
    return f"{name}.npy"


def packed(p: Values) -> bytes:
    """Return predictions as the bytes of a .npy file."""
    out = io.BytesIO()
    np.save(out, p, allow_pickle=False)
    return out.getvalue()


def predict_simple(folder: Path, record: EnsembleRecord, data: Data, test: Arrays) -> list[tuple[SimpleMember, Values]]:
    """Fit the simple members of an ensemble again; return what each says of the test rows (N, K).

    Raises:
        ArtifactError: it says other things of the rows the ensemble was chosen on than in the search.
    """
    found = []
    for member in record.mixed.chosen if record.mixed else ():
        path = folder / MEMBERS / file_of(member.name)
        if not path.exists():
            raise missing(path)
        if sha256_file(path) != member.predictions_sha256:
            raise ArtifactError(f"{path}: not the predictions that ensemble.json describes",
                                fix="run `dvc repro search`")  # fmt: skip
        again, p = fit_simple(member.kind, data, member.rows, member.seed, (chosen_on(data)[1], test))
        _refuse_other(path, member, np.load(path, allow_pickle=False), again)
        found.append((member, p))
    return found


def _refuse_other(path: Path, member: SimpleMember, before: NDArray[Any], again: Values) -> None:
    if before.shape == again.shape:
        away = np.abs(before - again).max(initial=0.0)
        if away <= _ROUNDING * max(1.0, float(np.abs(before).max(initial=0.0))):
            return
        said = f"its predictions differ by up to {away:.3g}"
    else:
        said = f"its predictions are {again.shape}, not {before.shape}"
    raise ArtifactError(
        f"{path}: {member.name} fitted again is another model than in the search: {said}",
        fix="run `dvc repro search`; training rows, code or the library that fits it are no longer the same",
    )


def readable_name(name: str) -> str:
    """Return a simple model's name as people read it, so that nobody takes it for a network."""
    return f"{name.replace('_', ' ')} (not a network)"
