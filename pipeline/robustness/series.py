"""Corruptions of series and of what forecasts look back on; what is known of the future stays as it is.

Legend: N rows, C channels, T steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import ForecastInputs, SeriesInputs
from pipeline.robustness.corruptions import Apply, Corruption, Packed

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Channels:
    """Mean and standard deviation of each channel in training, (C, 1)."""

    mean: Values
    std: Values


Change = Callable[[Values, float, np.random.Generator, Channels], Values]


def series_corruptions(inputs: SeriesInputs | ForecastInputs) -> tuple[Corruption, ...]:
    """Return all corruptions of such series; s is a channel's standard deviation in training, m its mean."""
    on_steps = partial(on_past, inputs)
    return (
        Corruption(name="noise", words="x + a s ε, ε standard normal for each step and channel",
                   amounts=(0.05, 0.1, 0.25, 0.5, 1.0), apply=on_steps(noise)),
        Corruption(name="missing_block", words="a share a of the steps in a row is missing, in all channels",
                   amounts=(0.05, 0.1, 0.2, 0.35, 0.5), apply=on_steps(missing_block)),
        Corruption(name="jitter", words="each step has the values of another one, a T ε steps away, ε standard normal",
                   amounts=(0.005, 0.01, 0.02, 0.04, 0.08), apply=on_steps(jitter)),
        Corruption(name="drift", words="x ± a s t / T, the sign drawn for each row and channel",
                   amounts=(0.1, 0.25, 0.5, 1.0, 2.0), apply=on_steps(drift)),
        Corruption(name="scale", words="m + (1 ± a)(x - m), the sign drawn for each row and channel",
                   amounts=(0.05, 0.1, 0.2, 0.35, 0.5), apply=on_steps(scale)),
    )  # fmt: skip


def on_past(inputs: SeriesInputs | ForecastInputs, change: Change) -> Apply:
    """Return what applies a change of values (N, C, T) to packed series, NaN where missing or ended."""
    if isinstance(inputs, ForecastInputs):  # packed in deviations of each series
        past, mean, std = inputs.window, [0.0] * len(inputs.channels), [1.0] * len(inputs.channels)
    else:
        past, mean, std = inputs.length, list(inputs.mean), list(inputs.std)
    channels = Channels(np.array(mean)[:, None], np.array(std)[:, None])

    def apply(x: Packed, amount: float, rng: np.random.Generator) -> Packed:
        found = x.copy()
        found[:, :, :past] = change(x[:, :, :past].astype(np.float64), amount, rng, channels)
        return found

    return apply


def ends(x: Values) -> NDArray[np.int64]:
    """Return how many steps each row has up to the last one with a known value, (N,)."""
    known: NDArray[np.bool_] = np.asarray((~np.isnan(x)).any(axis=1))
    return np.where(known.any(axis=1), x.shape[2] - known[:, ::-1].argmax(axis=1), 0)


def noise(x: Values, amount: float, rng: np.random.Generator, channels: Channels) -> Values:
    """Return x + a s ε."""
    return np.asarray(x + amount * channels.std * rng.standard_normal(x.shape))


def missing_block(x: Values, amount: float, rng: np.random.Generator, channels: Channels) -> Values:
    """Return series with a gap; a longer one holds the shorter one, with a = 1 nothing is left."""
    size = ends(x)
    length = np.rint(amount * size)
    start = np.floor(rng.random(len(x)) * (size - length + 1)).clip(0, size - length)
    at = np.arange(x.shape[2])
    gone = (at >= start[:, None]) & (at < (start + length)[:, None])
    return np.where(gone[:, None], np.nan, x)


def jitter(x: Values, amount: float, rng: np.random.Generator, channels: Channels) -> Values:
    """Return series whose clock is unsteady, by the same steps in all channels."""
    size = ends(x)[:, None]
    at = np.arange(x.shape[2])
    moved = at + np.rint(amount * size * rng.standard_normal((len(x), x.shape[2]))).astype(np.int64)
    read = np.where(at < size, np.clip(moved, 0, np.maximum(size - 1, 0)), at)
    return np.take_along_axis(x, read[:, None], axis=2)


def drift(x: Values, amount: float, rng: np.random.Generator, channels: Channels) -> Values:
    """Return series that move off by a standard deviations until their end."""
    share = (np.arange(x.shape[2]) + 1) / np.maximum(ends(x), 1)[:, None]
    return np.asarray(x + amount * channels.std * _signs(x, rng) * share[:, None])


def scale(x: Values, amount: float, rng: np.random.Generator, channels: Channels) -> Values:
    """Return series that swing more, or less, around the mean."""
    return np.asarray(channels.mean + (1 + amount * _signs(x, rng)) * (x - channels.mean))


def _signs(x: Values, rng: np.random.Generator) -> Values:
    return rng.choice([-1.0, 1.0], (*x.shape[:2], 1))
