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
from pipeline.metrics.thresholds import claimed
from pipeline.prediction.block import Block

SUFFIXES = (".csv", ".parquet")
UNLIKE = "unlike_training"
_TEXTS = ("row_id", "predicted", "label", "set", "flag", "refused")


def answers(
    intake: Intake, inputs: Inputs, p: NDArray[np.float64], threshold: float | None = None
) -> dict[str, NDArray[Any]]:
    """Return the columns that answer rows with predictions p (N, K): classes and probabilities, or numbers.

    With a threshold also the one of two classes that it says, beside the likelier one.
    """
    if not intake.classes:
        return {f"predicted_{name}": p[:, k] for k, name in enumerate(number_names(intake, inputs))}
    classes = np.array(intake.classes, dtype=object)
    predicted = joined_names(p >= 0.5, intake) if intake.task == "multilabel" else classes[p.argmax(axis=1)]
    found = {"predicted": predicted} | {f"p_{name}": p[:, k] for k, name in enumerate(intake.classes)}
    if threshold is None:
        return found
    return found | {"label": classes[claimed(p, threshold).astype(int)], "threshold": np.full(len(p), threshold)}


def joined_names(held_NK: NDArray[np.bool_], intake: Intake) -> NDArray[np.object_]:
    """Return the classes or labels that each row holds, as one text (N,)."""
    mark = (intake.data.label_separator if intake.task == "multilabel" else "") or "|"
    different, at = np.unique(np.packbits(held_NK, axis=1), axis=0, return_inverse=True)
    marked = np.unpackbits(different, axis=1, count=len(intake.classes)).astype(bool)
    texts = np.empty(len(marked), dtype=object)
    texts[:] = [mark.join(name for name, held in zip(intake.classes, row, strict=True) if held) for row in marked]
    return np.asarray(texts[at.reshape(-1)])


def number_names(intake: Intake, inputs: Inputs) -> list[str]:
    """Return what the predicted numbers of a row are called: targets, of forecasts with the steps ahead."""
    names = [target.name for target in intake.targets]
    if not isinstance(inputs, ForecastInputs):
        return names
    return [f"{name}_{step + 1}" for step in range(inputs.horizon) for name in names]


def table_of(block: Block, found: Mapping[str, Any]) -> pd.DataFrame:
    """Return one line per row of the block: row_id, what was `found`, null where nothing is, flag and refused."""
    columns = {name: pd.Series(values, dtype=object) if name in _TEXTS else values for name, values in found.items()}
    if any(block.refused):
        kept = np.flatnonzero([why is None for why in block.refused])
        frame = pd.DataFrame(columns, index=range(len(kept))).set_axis(kept, axis=0).reindex(range(len(block.ids)))
        for name in frame.columns.intersection(list(_TEXTS)):
            frame[name] = frame[name].where(frame[name].notna(), None)
        columns = {name: frame[name] for name in columns}
    ends = {"flag": pd.Series(list(block.flags), dtype=object), "refused": pd.Series(list(block.refused), dtype=object)}
    return pd.DataFrame({"row_id": pd.Series(list(block.ids), dtype=object)} | columns | ends)


class Output:
    """A file of predictions under its temporary name."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path, self.kind = path, kind
        self._writer: Any = None

    def write(self, frame: pd.DataFrame) -> None:
        """Add rows: a row group of Parquet, lines of CSV."""
        kinds = dict.fromkeys(_TEXTS, pa.string()) | {UNLIKE: pa.bool_()}
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
