"""Raw series that go on to windows: the last one of each series, or all.

A series of the training file is scaled as there; one that training did not have by its own steps, which is flagged.
Legend: C channels, S steps, W window, H horizon.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import ForecastInputs, Intake, SeriesScale
from pipeline.core.errors import DataError
from pipeline.datasets.forecast_tables import OneSeries, read_long, read_wide
from pipeline.datasets.forecasts import scale_of, scaled
from pipeline.prediction.block import Block, Remarks, Scaled

log = logging.getLogger("pipeline.predict")

Windows = Literal["last", "all"]
_WINDOWS = 256
"""Windows predicted together."""


def forecast_blocks(source: Path, intake: Intake, inputs: ForecastInputs, windows: Windows) -> Iterator[Block]:
    """Yield the windows of every series of a file, which is read as a whole."""
    settings = intake.data
    if not source.exists():
        raise DataError(f"{source}: not found", fix="check the path")
    wide = settings.series_layout == "wide"
    series, notes = read_wide({"train": source}, settings) if wide else read_long(source, settings)
    for note in notes:
        log.info("note: %s", note)
    scales = {scale.name: scale for scale in intake.scales}
    for one in series:
        yield from _series(one, scales.get(one.name), intake, inputs, windows, str(source))


def _series(
    one: OneSeries, scale: SeriesScale | None, intake: Intake, inputs: ForecastInputs, windows: Windows, where: str
) -> Iterator[Block]:
    steps = one.values.shape[1]
    end = steps - (inputs.horizon if inputs.known else 0)  # what is known of the future stands in the last lines
    if end < inputs.window:
        future = f" and {inputs.horizon} for what is known of the future" if inputs.known else ""
        why = f"{steps:,} steps, the network needs {inputs.window:,} of the past{future}"
        yield _refused(one, why, inputs)
        return
    flag = None
    if scale is None:
        flag = f"no series of training: scaled by its own {end:,} steps"
        try:
            scale = scale_of(one.values[:, :end], one.name, inputs, where)
        except DataError as wrong:
            yield _refused(one, wrong.message, inputs)
            return
    x = np.pad(scaled(one.values, scale), ((0, 0), (0, inputs.horizon)), constant_values=np.nan)
    starts = np.arange(inputs.window, end + 1) if windows == "all" else np.array([end])
    for first in range(0, len(starts), _WINDOWS):
        yield _block(one, x, starts[first : first + _WINDOWS], flag, scale, intake, inputs)


def _block(
    one: OneSeries, x: NDArray[np.float32], starts: NDArray[np.int64], flag: str | None, scale: SeriesScale,
    intake: Intake, inputs: ForecastInputs,
) -> Block:  # fmt: skip
    remarks = Remarks(len(starts))
    if flag:
        remarks.add(np.ones(len(starts), bool), flag)
    for c, name in enumerate(inputs.channels):
        low, high = intake.usual.get(name, (-np.inf, np.inf))
        outside = _some(~np.isnan(x[c]) & ((x[c] < low) | (x[c] > high)), starts, inputs)
        remarks.add(outside, f"{name} beyond what it was in training")
    for t, name in enumerate(inputs.channels[: inputs.targets]):
        remarks.add(~_some(~np.isnan(x[t]), starts, inputs), f"{name} missing in the whole window")
    named = [f"{one.name} @ {one.steps[s] if s < len(one.steps) else f'after {one.steps[-1]}'}" for s in starts]
    facts = (np.tile(np.array(values[: inputs.targets]), (len(starts), 1)) for values in (scale.mean, scale.std))
    offset, spread = facts
    held = Scaled(starts=starts, offset=offset, scale=spread)
    return Block(ids=named, x=x, flags=remarks.listed(), refused=[None] * len(starts), scaled=held)


def _some(steps: NDArray[np.bool_], starts: NDArray[np.int64], inputs: ForecastInputs) -> NDArray[np.bool_]:
    """Say of each window whether some of its past steps are marked."""
    before = np.concatenate([[0], steps.cumsum()])
    return np.asarray(before[starts] > before[starts - inputs.window])


def _refused(one: OneSeries, why: str, inputs: ForecastInputs) -> Block:
    nothing = np.empty((0, inputs.targets))
    held = Scaled(starts=np.empty(0, np.int64), offset=nothing, scale=nothing)
    x = np.empty((len(inputs.channels), 0), np.float32)
    return Block(ids=[one.name], x=x, flags=[None], refused=[why], scaled=held)
