"""Do probabilities mean what they say? Bins of equal mass, and the error a calibrated model would show by chance."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from scipy.stats import norm, t

from pipeline.core.contracts import Bin, Number
from pipeline.metrics.intervals import from_draws, proportion

_BINS = 15
_TINY = 1e-300
"""Probabilities of 0 have no logarithm."""


def bins_of(confidence: NDArray[np.float64], bins: int) -> list[NDArray[np.int64]]:
    """Return the rows of each bin: at most `bins` of equal mass, each with at least 20 rows where there are as many."""
    count = max(1, min(bins, len(confidence) // 20))
    return np.array_split(np.argsort(confidence, kind="stable"), count)


def reliability(y: NDArray[np.int64], p: NDArray[np.float64], bins: int, level: float) -> tuple[Bin, ...]:
    """Return mean confidence and accuracy (Wilson) per bin of the predicted class's probability."""
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    return tuple(
        Bin(confidence=float(confidence[rows].mean()), accuracy=proportion(int(right[rows].sum()), len(rows), level))
        for rows in bins_of(confidence, bins)
    )


def expected_calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], parts: list[NDArray[np.int64]]
) -> float:
    """Return the mean |accuracy - confidence| over bins, weighted by rows (Naeini et al. 2015)."""
    gaps = [len(rows) * abs(right[rows].mean() - confidence[rows].mean()) for rows in parts if len(rows)]
    return float(sum(gaps) / len(confidence))


def calibration_error(y: NDArray[np.int64], p: NDArray[np.float64]) -> float:
    """Return the expected calibration error of the predicted class, y (N,) and p (N, K), as `ece_numbers` does."""
    confidence = p.max(axis=1)
    return expected_calibration_error(confidence, p.argmax(axis=1) == y, bins_of(confidence, _BINS))


def ece_numbers(
    y: NDArray[np.int64], p: NDArray[np.float64], rng: np.random.Generator, level: float, draws: int = 200
) -> tuple[Number, Number]:
    """Return (ECE, ECE expected of a calibrated model at this n): without the second, the first means little.

    The noise of a bin makes |accuracy - confidence| larger on average, by 2 (s φ(g / s) - g Φ(-g / s)) if the gap g has
    error s (folded normal, Leone et al. 1961). The lower limit is that much below Student's, and 0 where a calibrated
    model shows as much by chance. The bootstrap would add the noise that the estimate already has.
    """
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    order = np.argsort(confidence, kind="stable")
    confidence, right, n = confidence[order], right[order], len(y)
    parts = bins_of(confidence, _BINS)
    value = expected_calibration_error(confidence, right, parts)
    drawn = [expected_calibration_error(confidence, rng.random(n) < confidence, parts) for _ in range(draws)]
    null = from_draws(float(np.mean(drawn)), np.array(drawn), n, level, f"simulated under calibration, {draws} draws")
    if n < 2 * len(parts) or null.ci_high is None:
        return Number(value=value, n=n, reason="fewer than two rows in a bin: no interval"), null
    shares = np.array([len(rows) / n for rows in parts])
    gaps = np.array([abs(float((right[rows] - confidence[rows]).mean())) for rows in parts])
    errors = np.array([float((right[rows] - confidence[rows]).std(ddof=1)) / np.sqrt(len(rows)) for rows in parts])
    safe = np.maximum(errors, 1e-12)
    flattery = float((shares * 2 * (errors * norm.pdf(gaps / safe) - gaps * norm.cdf(-gaps / safe))).sum())
    half = float(t.ppf((1 + level) / 2, n - len(parts)) * np.sqrt((shares**2 * errors**2).sum()))
    ece = Number(
        value=value,
        ci_low=0.0 if value <= null.ci_high else max(0.0, value - flattery - half),
        ci_high=min(1.0, value + half),
        ci_level=level,
        ci_method="t, noise of bins taken off",
        n=n,
    )
    return ece, null


def untempered(p: NDArray[np.float64], temperature: float, *, labels: bool = False) -> NDArray[np.float64]:
    """Return the probabilities (N, K) that the same logits have when they are not divided by the temperature.

    softmax(T · z / T): classes to the power T, made to sum to 1; `labels` do so one by one, each with its absence.
    """
    log_p = temperature * np.log(np.maximum(p, _TINY))
    if labels:
        return np.asarray(expit(log_p - temperature * np.log(np.maximum(1 - p, _TINY))))
    return np.asarray(softmax(log_p, axis=1))
