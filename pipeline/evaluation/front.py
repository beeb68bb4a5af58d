"""Speed and accuracy: the single network beside the ensembles of the search, on the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import Alternative, Member, ModelCard, Number, SimpleMember
from pipeline.evaluation.judges import Judge

Values = NDArray[np.float64]


def single_network(card: ModelCard, metrics: Mapping[str, Number]) -> Alternative:
    """Return the network that is handed on."""
    return Alternative(
        name="single network",
        networks=1,
        parameters=card.parameters,
        multiply_adds=card.multiply_adds,
        metrics=metrics,
        gain=None,
        verdict="handed on",
    )


def ensemble(members: Sequence[Member], judge: Judge, p: Values, q: Values) -> Alternative:
    """Return an ensemble of networks (predictions `q`) beside the single network (`p`)."""
    gain = judge.gain(q, p, "ensemble")
    return Alternative(
        name="ensemble",
        networks=len(members),
        parameters=total([member.parameters for member in members]),
        multiply_adds=total([member.multiply_adds for member in members]),
        metrics=judge.metrics(q, "ensemble"),
        gain=gain,
        verdict=ensemble_verdict(gain),
    )


def mixed_ensemble(
    members: Sequence[Member], simple: Sequence[SimpleMember], judge: Judge, p: Values, q: Values
) -> Alternative:
    """Return an ensemble that has simple models as members; its weights and multiply-adds are those of its networks."""
    shares = tuple((member.name, member.share) for member in simple)
    return replace(ensemble(members, judge, p, q), name="mixed ensemble", simple=shares)


def total(counts: Sequence[int | None]) -> int | None:
    """Return the sum, None where one is not known."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def ensemble_verdict(gain: Number, price: str = "if what it costs can be paid") -> str:
    """Say in a sentence what the paired gain of something else over the single network shows."""
    if gain.ci_low is None or gain.ci_high is None:
        return "not compared with the single network: " + str(gain.reason or "too few rows").replace("_", " ")
    if gain.ci_low > 0:
        return f"better than the single network, {price}"
    if gain.ci_high < 0:
        return "worse than the single network"
    return "not shown to be better than the single network"
