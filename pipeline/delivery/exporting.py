"""A trained network to its files, each compared with it on validation rows before any takes its name."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline import __version__
from pipeline.core.contracts import DatasetCard, ForecastInputs, Intake, ModelCard, SplitName
from pipeline.core.errors import ArtifactError
from pipeline.core.store import read_record, sha256_file
from pipeline.datasets import load_split
from pipeline.delivery.formats import (
    Captured,
    Run,
    Unwritable,
    captured,
    length_axis,
    run_network,
    run_onnx,
    run_torch,
    write_onnx,
    write_torch,
)
from pipeline.delivery.graph import Graph
from pipeline.delivery.int8 import write_int8
from pipeline.delivery.measure import Values, change, difference, predictions, timed, worth
from pipeline.delivery.record import FILES, NETWORK, ExportedFile, ExportRecord, Kind, Refused, input_of, output_of
from pipeline.models import Network
from pipeline.training.data import rows_at
from pipeline.training.machine import machine_words
from pipeline.training.weights import load_model

ALLOWED = 1e-4
"""Of probabilities or in training deviations: ten thousand times less than what anybody reads of them."""
_MOST_ROWS = 4096
_CALIBRATION_ROWS = 256


@dataclass(frozen=True)
class Subject:
    """A trained network and packed rows to compare its files on."""

    network: Network
    card: ModelCard
    intake: Intake
    x: NDArray[Any]
    """Validation rows."""
    y: NDArray[Any]
    train_x: NDArray[Any]
    """Some training rows."""
    weights: Path


@dataclass
class Files:
    """What was written so far, and how it is run."""

    folder: Path
    records: list[ExportedFile] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)


def subject(model: Path, data: Path) -> Subject:
    """Read a trained model and rows of the splits it was made with; test rows are not among them."""
    network, card = load_model(model)
    intake = read_record(Intake, model / "intake.json")
    dataset = read_record(DatasetCard, data / "dataset.json")
    if dataset.inputs != card.inputs or dataset.task != intake.task:
        raise ArtifactError(f"{data}: not the data that {model} was trained on", fix="data=<the folder prepare wrote>")
    x, y = _some(data, "val", card, _MOST_ROWS)
    train_x, _ = _some(data, "train", card, _CALIBRATION_ROWS)
    return Subject(network, card, intake, x, y, train_x, model / "model.safetensors")


def _some(data: Path, split: SplitName, card: ModelCard, most: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return packed rows of a split, evenly spread over it, and their targets."""
    part = load_split(data, split)
    at = np.unique(np.linspace(0, len(part.y) - 1, min(most, len(part.y))).round().astype(np.int64))
    x, y = rows_at(part.x, part.y, card.inputs, at)
    return np.ascontiguousarray(x), y


def exported(of: Subject, kinds: Sequence[Kind], folder: Path, batches: Sequence[int]) -> ExportRecord:
    """Write the files of some kinds and return what was found of each.

    Raises:
        Refused: a file differs from the network by more than ALLOWED, or cannot be made.
    """
    inputs, intake = of.card.inputs, of.intake
    graph = Graph(of.network, intake.task, inputs, intake.targets).eval()
    before = predictions(run_network(graph), of.x)
    files = Files(folder, runs={NETWORK: run_network(graph)})
    try:
        whole = captured(graph, inputs, torch.from_numpy(of.x))
        if "torch" in kinds:
            write_torch(folder / FILES["torch"], whole)
            _compare(files, "torch", run_torch(folder / FILES["torch"]), of, before, whole)
        if {"onnx", "int8"} & set(kinds):
            write_onnx(folder / FILES["onnx"], whole, inputs, _about(of))
            _compare(files, "onnx", run_onnx(folder / FILES["onnx"]), of, before, whole)
    except Unwritable as wrong:
        raise Refused(f"{of.card.candidate.architecture['kind']} cannot be exported: {wrong}") from wrong
    if "int8" in kinds:
        _int8(files, of, before)
    times = tuple(timed(files.runs, of.x, batch) for batch in batches)
    if "onnx" not in kinds and "int8" in kinds:
        (folder / FILES["onnx"]).unlink()
        files.records = [one for one in files.records if one.kind != "onnx"]
    return ExportRecord(
        family=str(of.card.candidate.architecture["kind"]),
        weights_sha256=of.card.weights_sha256,
        versions=_versions(kinds),
        input=input_of(inputs, whole.length),
        output=output_of(inputs, intake),
        files=tuple(files.records),
        rows=len(of.x),
        allowed=ALLOWED,
        network_bytes=of.weights.stat().st_size,
        times=times,
        machine=machine_words("cpu"),
        notes=_notes(of, whole),
    )


def _compare(files: Files, kind: Kind, run: Run, of: Subject, before: Values, whole: Captured) -> None:
    """Add a file whose predictions of all rows, of one alone and of shorter ones are those of the network."""
    task, targets = of.intake.task, of.intake.targets
    gap = max(
        difference(predictions(run, of.x), before, task, targets),
        difference(predictions(run, of.x[:1]), before[:1], task, targets),
    )
    shorter = None
    if whole.length is not None:
        cut, padded = halved(of)
        shorter = difference(predictions(run, cut), predictions(files.runs[NETWORK], padded), task, targets)
    for found, which in ((gap, ""), (shorter, " cut to half their length")):
        if found is not None and not found <= ALLOWED:
            raise Refused(f"{FILES[kind]} differs from the network by up to {found:.2g} on {len(of.x):,} validation "
                          f"rows{which}, more than {ALLOWED:g}: not written")  # fmt: skip
    path = files.folder / FILES[kind]
    how = "torch.export" if kind == "torch" else "torch.onnx.export"
    files.records.append(ExportedFile(kind=kind, file=path.name, how=how, bytes=path.stat().st_size,
                                      sha256=sha256_file(path), difference=gap, shorter=shorter))  # fmt: skip
    files.runs[kind] = run


def _int8(files: Files, of: Subject, before: Values) -> None:
    """Add the int8 file with what it changes, or why there is none."""
    path, task, targets = files.folder / FILES["int8"], of.intake.task, of.intake.targets
    try:
        how = write_int8(files.folder / FILES["onnx"], path, of.train_x)
    except Unwritable as wrong:
        files.records.append(ExportedFile(kind="int8", file=None, reason=f"not supported for this network: {wrong}"))
        return
    run = run_onnx(path)
    after = predictions(run, of.x)
    gap = difference(after, before, task, targets)
    if gap == float("inf"):
        path.unlink()
        why = "not supported for this network: its int8 predictions are no numbers"
        files.records.append(ExportedFile(kind="int8", file=None, reason=why))
        return
    block = of.card.inputs.horizon if isinstance(of.card.inputs, ForecastInputs) else 1
    files.runs["int8"] = run
    files.records.append(
        ExportedFile(
            kind="int8",
            file=path.name,
            how=how,
            bytes=path.stat().st_size,
            sha256=sha256_file(path),
            difference=gap,
            before=worth(task, targets, of.y, before, block, of.card.seed),
            after=worth(task, targets, of.y, after, block, of.card.seed),
            change=change(task, targets, of.y, before, after, block, of.card.seed),
        )
    )


def halved(of: Subject) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return rows cut to half their length, and the same padded to the whole."""
    axis = length_axis(of.card.inputs)
    assert axis is not None
    half = max(8, of.x.shape[axis] // 2)
    cut = np.ascontiguousarray(of.x.take(range(half), axis))
    padded = np.full_like(of.x, np.nan if of.x.dtype.kind == "f" else 0)
    padded[(slice(None),) * axis + (slice(half),)] = cut
    return cut, padded


def _about(of: Subject) -> dict[str, str]:
    return {
        "archline": __version__,
        "family": str(of.card.candidate.architecture["kind"]),
        "weights_sha256": of.card.weights_sha256,
        "input": input_of(of.card.inputs, None).meaning,
        "output": output_of(of.card.inputs, of.intake).meaning,
    }


def _versions(kinds: Sequence[Kind]) -> dict[str, str]:
    found = {"archline": __version__, "torch": str(torch.__version__)}
    if {"onnx", "int8"} & set(kinds):
        import onnx
        import onnxruntime

        found |= {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
    return found


def _notes(of: Subject, whole: Captured) -> tuple[str, ...]:
    notes = []
    axis = length_axis(of.card.inputs)
    if axis is not None and whole.length is None:
        notes.append(f"rows must be padded to {of.x.shape[axis]}: this family's graph has one length")
    if of.card.refit_rows:
        notes.append("these weights were trained on the validation rows too: what int8 changes may be more on new rows")
    return tuple(notes)
