"""A trained network that answers raw rows; its folder is all it needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import (
    ForecastInputs,
    ImageInputs,
    Inputs,
    Intake,
    SeriesInputs,
    TableInputs,
    TextInputs,
    ThresholdAim,
)
from pipeline.core.errors import ConfigError
from pipeline.core.store import PREDICTING, code_digest, read_record
from pipeline.models import Network
from pipeline.prediction.block import Block
from pipeline.prediction.cells import rows_about
from pipeline.prediction.forecasts import Windows, forecast_blocks
from pipeline.prediction.images import image_blocks
from pipeline.prediction.output import UNLIKE, answers, table_of
from pipeline.prediction.rows import table_blocks, text_blocks
from pipeline.prediction.series import series_blocks
from pipeline.prediction.sets import Sets, sets_of, threshold_of
from pipeline.training.data import Rows
from pipeline.training.familiarity import free_energy
from pipeline.training.heads import Head, head_for
from pipeline.training.predict import outputs
from pipeline.training.weights import load_model

Source = str | Path | pd.DataFrame | NDArray[Any] | Sequence[str | Path]
"""A file or folder, several of them, or rows in memory: a frame, or images as an array (N, H, W) or (N, H, W, C)."""


@dataclass(frozen=True)
class Model:
    """A network on a device, and how raw rows become its inputs."""

    network: Network
    inputs: Inputs
    intake: Intake
    device: str = "cpu"
    floor: float | None = None
    """Free energy of the outputs below which a row is called unlike training; None: no row is."""
    spread: bool = False
    """Whether all cores decode image files, in processes of their own; a script must then guard its main part."""
    sets: Sets | None = None
    """Sets of classes or intervals of numbers that stand beside the answers."""
    threshold: float | None = None
    """Two classes: from which probability of the second one on it is the `label`; None: there is no such column."""

    def predict(self, source: Source, *, windows: Windows = "last") -> pd.DataFrame:
        """Return one line per row: row_id, what is predicted, `flag` (unusual) and `refused` (no prediction, why).

        Where train kept held-out rows, also `set`, or low and high, which promise to hold the truth; of two classes
        `label` by the `threshold` chosen on them. Classes and labels: `unlike_training` too, whether the network hardly
        reacts to the row.

        Raises:
            DataError: a source of which no row can be read, or none any further.
        """
        return pd.concat(list(self.stream(source, windows=windows)), ignore_index=True)

    def stream(self, source: Source, *, windows: Windows = "last") -> Iterator[pd.DataFrame]:
        """Yield the same some rows at a time, so that a source may be larger than the memory."""
        head = head_for(self.intake.task, self.inputs, self.intake.targets)
        for one in _sources(source):
            for block in self._blocks(one, windows):
                p, unlike = self._values(block, head)
                yield table_of(block, self._said(p, unlike, None if block.scaled is None else block.scaled.scale))

    def with_sets(self, folder: Path, coverage: float, wanted: bool | None) -> "Model":
        """Return the model with sets or intervals that promise `coverage`, or without; see `sets_of`."""
        return replace(self, sets=sets_of(folder, self.inputs, coverage, wanted))

    def with_threshold(self, folder: Path, wanted: float | Literal["auto"], aim: ThresholdAim) -> "Model":
        """Return the model with a threshold between two classes, or without; see `threshold_of`."""
        return replace(self, threshold=threshold_of(folder, self.intake, wanted, aim))

    @property
    def columns(self) -> list[str]:
        """Names of what is said about a row that is not refused, without row_id, flag and refused."""
        scale = np.empty((0, len(self.intake.targets))) if isinstance(self.inputs, ForecastInputs) else None
        return list(self._said(self._nothing(), None if self.floor is None else np.empty(0, bool), scale))

    def rows_about(self, source: Source) -> int | None:
        """Return how many rows there will be, where that is known at a glance."""
        if isinstance(self.inputs, ImageInputs | SeriesInputs | ForecastInputs):
            return None
        counts = [rows_about(one, self.intake.data) for one in _sources(source) if isinstance(one, Path)]
        return sum(n for n in counts if n is not None) if None not in counts else None

    @property
    def notes(self) -> list[str]:
        """What to know before predictions are compared with those of the training machine."""
        if self.intake.code in (None, code_digest(*PREDICTING)):
            return []
        return [f"trained by other code (archline {self.intake.version}): predictions may differ in the last digits"]

    def _blocks(self, source: Path | pd.DataFrame | NDArray[Any], windows: Windows) -> Iterator[Block]:
        match self.inputs:
            case ImageInputs():
                return image_blocks(source, self.intake, self.inputs, spread=self.spread)
            case TableInputs() if not isinstance(source, np.ndarray):
                return table_blocks(source, self.intake, self.inputs)
            case TextInputs() if not isinstance(source, np.ndarray):
                return text_blocks(source, self.intake, self.inputs)
            case SeriesInputs() if not isinstance(source, np.ndarray):
                return series_blocks(source, self.intake, self.inputs)
            case ForecastInputs() if isinstance(source, Path):
                return forecast_blocks(source, self.intake, self.inputs, windows)
        kind = type(source).__name__
        raise ConfigError(f"predict: data of kind {self.inputs.kind} are not read from a {kind}", fix="give a path")

    def _values(self, block: Block, head: Head) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
        """Return probabilities or values in raw units (n, K) of the rows that are not refused, and which are unlike."""
        starts = block.scaled.starts if block.scaled else np.zeros(len(block.x), np.int64)
        if not len(starts):
            return self._nothing(), None if self.floor is None else np.empty(0, bool)
        out = outputs(self.network, Rows(block.x, starts, self.inputs, self.device))
        p = np.asarray(head.predict(out))
        if block.scaled is None:
            return p, None if self.floor is None else free_energy(out, self.intake.task) < self.floor
        cube = p.reshape(len(p), -1, block.scaled.scale.shape[1])
        raw = cube * block.scaled.scale[:, None] + block.scaled.offset[:, None]
        return np.asarray(raw.reshape(len(p), -1)), None

    def _said(
        self, p: NDArray[np.float64], unlike: NDArray[np.bool_] | None, scale_NT: NDArray[np.float64] | None
    ) -> dict[str, Any]:
        """Return the columns of rows with predictions p (N, K), in their order."""
        found: dict[str, Any] = dict(answers(self.intake, self.inputs, p, self.threshold))
        if self.sets is not None:
            found |= self.sets.columns(self.intake, self.inputs, p, scale_NT)
        if unlike is not None:
            found[UNLIKE] = pd.Series(unlike, dtype="boolean")
        return found

    def _nothing(self) -> NDArray[np.float64]:
        steps = self.inputs.horizon if isinstance(self.inputs, ForecastInputs) else 1
        return np.empty((0, len(self.intake.classes) or steps * len(self.intake.targets)))


def load_folder(folder: Path, device: str = "cpu") -> Model:
    """Return the model of a folder that train wrote; weights that do not match its card are refused."""
    network, card = load_model(folder)
    intake = read_record(Intake, folder / "intake.json")
    return Model(network.to(device), card.inputs, intake, device, card.familiarity_floor)


def _sources(source: Source) -> list[Path | pd.DataFrame | NDArray[Any]]:
    if isinstance(source, str | Path):
        return [Path(source)]
    if isinstance(source, pd.DataFrame | np.ndarray):
        return [source]
    return [Path(one) for one in source]
