"""The other trainings of train on the test rows: further seeds, their mean, the default, and the distilled network.

Legend: N rows, K classes, labels or values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import (
    Alternative,
    BaselineScores,
    FullTraining,
    ModelCard,
    Number,
    SearchRecord,
    SeedScore,
    SeedSpread,
)
from pipeline.evaluation import Judge, ensemble_verdict
from pipeline.metrics.intervals import deviation, small_mean
from pipeline.training.data import Rows
from pipeline.training.heads import Head
from pipeline.training.predict import predict
from pipeline.training.weights import load_training

Values = NDArray[np.float64]

DEFAULT_NAME, DISTILLED_NAME = "default_candidate", "distilled"


@dataclass(frozen=True, kw_only=True)
class Retrained:
    """What networks beside the one handed on predict of the test rows, each (N, K)."""

    seeds: tuple[tuple[FullTraining, Values], ...]
    """The network that is handed on first."""
    default: Values | None
    distilled: Values | None = None

    def said(self) -> dict[str, Values]:
        """Return what is stored of the test rows, by name; the network that is handed on has a table of its own."""
        found = {of.name: q for of, q in self.seeds[1:]}
        beside = ((DEFAULT_NAME, self.default), (DISTILLED_NAME, self.distilled))
        return found | {name: q for name, q in beside if q is not None}


def retrained(folder: Path, model: ModelCard, search: SearchRecord, rows: Rows, head: Head, p: Values) -> Retrained:
    """Return the predictions of all trainings that lie beside the network, whose own are `p`."""
    others = [(of, predict(load_training(folder, model, of, model.candidate), rows, head)) for of in model.seeds[1:]]
    default = None
    if model.default is not None and model.default_trial is not None:
        trial = search.trial(model.default_trial)
        default = predict(load_training(folder, model, model.default, trial.candidate), rows, head)
    distilled = None
    if model.distilled is not None:
        distilled = predict(load_training(folder, model, model.distilled, model.candidate), rows, head)
    return Retrained(seeds=(*((of, p) for of in model.seeds[:1]), *others), default=default, distilled=distilled)


def retold(model: ModelCard, p: Values, others: Mapping[str, Values]) -> Retrained:
    """Return the same of what is stored; KeyError where a training's predictions are not there."""
    seeds = tuple((of, others[of.name] if i else p) for i, of in enumerate(model.seeds))
    default = None if model.default is None else others[DEFAULT_NAME]
    return Retrained(seeds=seeds, default=default,
                     distilled=None if model.distilled is None else others[DISTILLED_NAME])  # fmt: skip


def spread_of(found: Retrained, judge: Judge, headline: str, level: float) -> SeedSpread | None:
    """Return how far the seeds agree on the test rows; None of one alone."""
    if len(found.seeds) < 2:
        return None
    scores = [
        SeedScore(name=of.name, seed=of.seed, headline=judge.metrics(q, of.name if i else "")[headline])
        for i, (of, q) in enumerate(found.seeds)
    ]
    known = np.array([score.headline.value for score in scores if score.headline.value is not None])
    if len(known) < 2:
        gone = Number(value=None, n=len(known), reason="undefined for too many seeds")
        return SeedSpread(scores=tuple(scores), mean=gone, deviation=gone, lowest=gone, highest=gone)
    return SeedSpread(
        scores=tuple(scores),
        mean=small_mean(known, level),
        deviation=deviation(known, level),
        lowest=Number(value=float(known.min()), n=len(known)),
        highest=Number(value=float(known.max()), n=len(known)),
    )


def averaged(found: Retrained, model: ModelCard, judge: Judge, p: Values) -> tuple[Alternative, ...]:
    """Return the mean of the seeds' predictions beside the single network's `p`; nothing where there is one seed."""
    count = len(found.seeds)
    if count < 2:
        return ()
    q = np.mean([q for _, q in found.seeds], axis=0)
    gain = judge.gain(q, p, "averaged seeds")
    mean = Alternative(
        name="averaged seeds",
        networks=count,
        parameters=count * model.parameters,
        multiply_adds=None if model.multiply_adds is None else count * model.multiply_adds,
        metrics=judge.metrics(q, "averaged seeds"),
        gain=gain,
        verdict=ensemble_verdict(gain),
    )
    return (mean,)


def distilled(found: Retrained, model: ModelCard, judge: Judge, p: Values) -> tuple[Alternative, ...]:
    """Return the network that learned from others beside the single network's `p`; nothing where none did."""
    if found.distilled is None:
        return ()
    gain = judge.gain(found.distilled, p, DISTILLED_NAME)
    one = Alternative(
        name="distilled",
        networks=1,
        parameters=model.parameters,
        multiply_adds=model.multiply_adds,
        metrics=judge.metrics(found.distilled, DISTILLED_NAME),
        gain=gain,
        verdict=ensemble_verdict(gain, "at the same cost"),
    )
    return (one,)


def default_scores(found: Retrained, judge: Judge, p: Values) -> BaselineScores | None:
    """Return the default candidate as one more thing to compare with; it is a network."""
    if found.default is None:
        return None
    q = found.default
    return BaselineScores(
        name=DEFAULT_NAME,
        fitted_on="a network, trained as the winner was",
        metrics=judge.metrics(q, DEFAULT_NAME),
        gain=judge.gain(p, q, DEFAULT_NAME),
    )
