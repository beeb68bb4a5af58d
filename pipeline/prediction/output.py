"""What is said about each row: the columns, and files of them that are whole or not there at all."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.core.contracts import ForecastInputs, Inputs, Intake
from pipeline.core.errors import ConfigError
from pipeline.prediction.block import Block

SUFFIXES = (".csv", ".parquet")
UNLIKE = "unlike_training"


def answers(intake: Intake, inputs: Inputs, p: NDArray[np.float64]) -> dict[str, Any]:
    """Return the columns that answer rows with predictions p (N, K): classes and probabilities, or numbers."""
    if not intake.classes:
        return {f"predicted_{name}": p[:, k] for k, name in enumerate(number_names(intake, inputs))}
    classes = np.array(intake.classes, dtype=object)
    if intake.task == "multilabel":
        mark = intake.data.label_separator or "|"
        predicted = [mark.join(classes[row >= 0.5]) for row in p]
    else:
        predicted = list(classes[p.argmax(axis=1)])
    return {"predicted": predicted} | {f"p_{name}": p[:, k] for k, name in enumerate(intake.classes)}


def number_names(intake: Intake, inputs: Inputs) -> list[str]:
    """Return what the predicted numbers of a row are called: targets, of forecasts with the steps ahead."""
    names = [target.name for target in intake.targets]
    if not isinstance(inputs, ForecastInputs):
        return names
    return [f"{name}_{step + 1}" for step in range(inputs.horizon) for name in names]


def table_of(block: Block, found: Mapping[str, Any]) -> pd.DataFrame:
    """Return one line per row of the block: row_id, what was `found`, null where nothing is, flag and refused."""
    frame = pd.DataFrame(found)
    if any(block.refused):
        kept = np.flatnonzero([why is None for why in block.refused])
        frame = frame.set_axis(kept, axis=0).reindex(range(len(block.ids)))
        for name in frame.columns.intersection(["predicted", "set"]):
            frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    frame.insert(0, "row_id", pd.Series(list(block.ids), dtype=object))
    frame["flag"] = pd.Series(list(block.flags), dtype=object)
    frame["refused"] = pd.Series(list(block.refused), dtype=object)
    return frame


class Output:
    """A file of predictions under its temporary name."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path, self.kind = path, kind
        self._writer: Any = None

    def write(self, frame: pd.DataFrame) -> None:
        """Add rows: a row group of Parquet, lines of CSV."""
        texts = ("row_id", "predicted", "set", "flag", "refused")
        kinds = dict.fromkeys(texts, pa.string()) | {UNLIKE: pa.bool_()}
        schema = pa.schema([(str(c), kinds.get(str(c), pa.float64())) for c in frame.columns])
        table = pa.Table.from_pandas(frame, schema, preserve_index=False)
        if self._writer is None:
            self._writer = _writer(self.path, self.kind, schema)
        self._writer.write_table(table)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


def _writer(path: Path, kind: str, schema: pa.Schema) -> Any:
    if kind == ".parquet":
        from pyarrow.parquet import ParquetWriter

        return ParquetWriter(path, schema)
    from pyarrow.csv import CSVWriter

    return CSVWriter(path, schema)


@contextmanager
def output_file(path: Path) -> Iterator[Output]:
    """Give a file to write to; it takes its name when all is written, and vanishes otherwise."""
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise ConfigError(
            f"predict: output={path}: what to write is told by the ending", fix="end it in .csv or .parquet"
        )
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(
            f"predict: output={path}: no such folder, or a folder", fix="name a file in a folder that is there"
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    output = Output(temporary, kind)
    try:
        try:
            yield output
        finally:
            output.close()
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
