"""Influence of training rows → which rows an explained one rests on, which stand alone, and whether that holds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import DatasetCard, Influences, RowInfluence, Suspect, Verdict
from pipeline.metrics.intervals import mean

Values = NDArray[np.float64]

_SHOWN = 5
_SUSPECTS = 10


def influences(
    card: DatasetCard,
    ids: Sequence[str],
    known: tuple[NDArray[Any], NDArray[np.int64]],
    explained: tuple[Sequence[int], Values],
    tried: tuple[Values, Values],
) -> Influences:
    """Return the record of training rows `ids` (N,).

    `known`: labels and what the network says of them (N,); `explained`: numbers of the explained test rows and scores
    (R, N); `tried`: what a training row does to its own loss (N,), and what explained rows lose without those that
    help most, more than without others (R,).
    """
    (y, said), (at, scores), (own, gains) = known, explained, tried
    gain = mean(gains)
    verdict, reason = _judge(gain.ci_low, gain.ci_high)
    return Influences(
        how=f"{len(ids):,} training rows, last layer, final weights (TracIn)",
        gain=gain,
        verdict=verdict,
        reason=reason,
        suspects=tuple(
            Suspect(row_id=ids[i], label=card.classes[int(y[i])], said=card.classes[int(said[i])], own=float(own[i]))
            for i in np.argsort(-own, kind="stable")[:_SUSPECTS]
        ),
        rows=tuple(
            RowInfluence(index=int(i), helps=_best(ids, score), hurts=_best(ids, -score))
            for i, score in zip(at, scores, strict=True)
        ),
    )


def _best(ids: Sequence[str], score: Values) -> tuple[str, ...]:
    return tuple(ids[i] for i in np.argsort(-score, kind="stable")[:_SHOWN] if score[i] > 0)


def _judge(low: float | None, high: float | None) -> tuple[Verdict, str]:
    if low is None or high is None:
        return "not_assessed", "too few rows for an interval"
    if high < 0:
        return "fail", "without the rows that are said to help, predictions get better than without others"
    if low <= 0:
        return "warn", "rows that are said to help are not shown to matter more than others of their class"
    return "pass", "without the rows that are said to help, predictions get worse than without others of their class"
