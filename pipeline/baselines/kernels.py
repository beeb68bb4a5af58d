"""Random convolution kernels and a ridge regression for labelled series: strong on few rows, and not a network.

Hydra (Dempster, Schmidt and Webb 2023): at every step the best of a group of random kernels wins, and wins are counted.
Written without the code of the network family of the same idea, so that each is a check of the other.

Legend: N rows, C channels, T steps, G groups, K kernels of a group, F features, O columns of targets.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import SeriesInputs
from pipeline.core.seeds import stream

Values = NDArray[np.float64]
Weight = NDArray[Any] | None
"""How much each row counts (N,), above 0; none: all count the same."""

MOST_ROWS = 2000
"""Rows the ridge is solved for; the cost grows with their cube."""
_TAPS = 9
_GROUPS, _KERNELS = 32, 8
_MOST_CHANNELS = 8
_SHARES = np.logspace(-5, 2, 15)
"""Penalties tried, as shares of the mean squared length of a row."""
_CELLS = 20_000_000
"""Numbers held at once for the answers of all kernels."""


def kernel_probabilities(
    inputs: SeriesInputs,
    x: NDArray[Any],
    y: NDArray[np.int64],
    test_x: NDArray[Any],
    classes: int,
    seed: int,
    weight: Weight = None,
) -> Values:
    """Return class probabilities (M, O) of a ridge on targets of -1 and 1.

    Answers are scaled so that those for rows left out have the least log loss.
    """
    from scipy.special import log_softmax

    picked = _picked(len(y), seed)
    y, w = y[picked], _weight_of(weight, picked)
    left_out, scores = _ridge(*_both(inputs, x[picked], test_x, seed), 2.0 * np.eye(classes)[y] - 1, w)
    scale = min(_SCALES, key=lambda s: -w @ log_softmax(s * left_out, axis=1)[np.arange(len(y)), y])
    return np.asarray(np.exp(log_softmax(scale * scores, axis=1)))


def kernel_label_sets(
    inputs: SeriesInputs,
    x: NDArray[Any],
    y: NDArray[np.int64],
    test_x: NDArray[Any],
    seed: int,
    weight: Weight = None,
) -> Values:
    """Return the probability of each label (M, O), scaled in the same way."""
    picked = _picked(len(y), seed)
    w = _weight_of(weight, picked)
    signs = np.asarray(2.0 * y[picked] - 1, dtype=np.float64)
    left_out, scores = _ridge(*_both(inputs, x[picked], test_x, seed), signs, w)
    scale = min(_SCALES, key=lambda s: w @ np.logaddexp(0, -s * left_out * signs).mean(axis=1))
    return np.asarray(1 / (1 + np.exp(-scale * scores)))


def kernel_values(
    inputs: SeriesInputs, x: NDArray[Any], y: Values, test_x: NDArray[Any], seed: int, weight: Weight = None
) -> Values:
    """Return numbers (M, O); columns are standardised, so that one penalty suits them all."""
    picked = _picked(len(y), seed)
    mean, spread = y[picked].mean(axis=0), y[picked].std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    targets = np.asarray((y[picked] - mean) / spread, dtype=np.float64)
    _, found = _ridge(*_both(inputs, x[picked], test_x, seed), targets, _weight_of(weight, picked))
    return np.asarray(found * spread + mean)


_SCALES = 2.0 ** np.arange(0, 6.5, 0.5)


def _picked(rows: int, seed: int) -> NDArray[np.int64]:
    return np.sort(stream(seed, "kernel-rows").permutation(rows)[:MOST_ROWS])


def _weight_of(weight: Weight, picked: NDArray[np.int64]) -> Values:
    return np.ones(len(picked)) if weight is None else np.asarray(weight[picked], dtype=np.float64)


def _both(inputs: SeriesInputs, x: NDArray[Any], test_x: NDArray[Any], seed: int) -> tuple[Values, Values]:
    """Return features of training and test rows, standardised by the training rows; what never won is 0."""
    raw, test_raw = (kernel_features(inputs, part, seed) for part in (x, test_x))
    mean, spread = raw.mean(axis=0), raw.std(axis=0) + (raw == 0).mean(axis=0) ** 4 + 1e-8
    return (raw - mean) * (raw > 0) / spread, (test_raw - mean) * (test_raw > 0) / spread


def kernel_features(inputs: SeriesInputs, x: NDArray[Any], seed: int) -> Values:
    """Return (N, F): square roots of the sums of best answers and of the numbers of lowest ones, for every kernel."""
    known = np.isfinite(x)
    mean, std = (np.array(v)[None, :, None] for v in (inputs.mean, inputs.std))
    steps = np.where(known, (np.where(known, x, 0) - mean) / std, 0.0)
    seen = known.any(axis=1)
    rng, channels = stream(seed, "kernels"), x.shape[1]
    features = []
    dilation = 1
    while dilation == 1 or dilation * (_TAPS - 1) <= x.shape[2] - 1:
        for series, real in ((steps, seen), (np.diff(steps, axis=2) * seen[:, None, 1:], seen[:, 1:])):
            kernels = rng.normal(size=(_GROUPS, _KERNELS, _TAPS))
            kernels -= kernels.mean(axis=2, keepdims=True)
            kernels /= np.abs(kernels).sum(axis=2, keepdims=True)
            views = np.argsort(rng.random((_GROUPS, channels)))[:, : max(1, min(_MOST_CHANNELS, channels // 2))]
            features.append(_wins(series, real, kernels, views, dilation))
        dilation *= 2
    return np.sqrt(np.concatenate(features, axis=1))


def _wins(series: Values, real: NDArray[np.bool_], kernels: Values, views: NDArray[np.int64], dilation: int) -> Values:
    """Return the sums and counts (N, 2 · G · K) of one dilation, some rows at a time."""
    reach = dilation * (_TAPS // 2)
    found = np.empty((len(series), 2, _GROUPS, _KERNELS))
    size = max(1, _CELLS // (_GROUPS * _KERNELS * series.shape[2]))
    for start in range(0, len(series), size):
        rows = slice(start, start + size)
        wide = np.pad(series[rows], ((0, 0), (0, 0), (reach, reach)))
        taps = np.stack([wide[:, :, i * dilation : i * dilation + series.shape[2]] for i in range(_TAPS)], axis=3)
        grouped = np.stack([taps[:, view].sum(axis=1) for view in views], axis=1)
        answers = grouped @ kernels.transpose(0, 2, 1)
        best, winner, lowest = answers.max(axis=3), answers.argmax(axis=3), answers.argmin(axis=3)
        told = real[rows, None] & (best > answers.min(axis=3))  # where all answer the same, nobody wins
        best = np.maximum(best, 0) * told
        for k in range(_KERNELS):
            found[rows, 0, :, k] = (best * (winner == k)).sum(axis=2)
            found[rows, 1, :, k] = ((lowest == k) & told).sum(axis=2)
    return found.reshape(len(series), -1)


def _ridge(x: Values, test_x: Values, y: Values, w: Values) -> tuple[Values, Values]:
    """Return what a ridge says of each training row when that row is left out, and of the test rows.

    The penalty is the one of least squared leave-one-out error (Allen 1974), found from one decomposition. Rows count
    by w (N,): they are scaled by its root, and means and errors are weighted.
    """
    root, total = np.sqrt(w)[:, None], w.sum()
    middle, mean = w @ x / total, w @ y / total
    left, values, right = np.linalg.svd(root * (x - middle), full_matrices=False)
    scaled = root * (y - mean)
    turned = left.T @ scaled
    best: tuple[float, Values, Values] | None = None
    for penalty in _SHARES * max((values**2).sum() / total, 1e-12):
        kept = values**2 / (values**2 + penalty)
        spare = 1 - (left**2) @ kept - w / total
        missed = (scaled - left @ (kept[:, None] * turned)) / root / np.maximum(spare, 1e-9)[:, None]
        error = float((w @ missed**2).mean() / total)
        if best is None or error < best[0]:
            weights = right.T @ ((values / (values**2 + penalty))[:, None] * turned)
            best = error, y - missed, weights
    assert best is not None
    return best[1], (test_x - middle) @ best[2] + mean
