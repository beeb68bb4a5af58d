"""A graph written as model.pt2 and model.onnx, and these files read again and run."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.export import Dim, ExportedProgram

from pipeline.core.contracts import Inputs, SeriesInputs, TextInputs
from pipeline.core.store import write_bytes
from pipeline.delivery.graph import Graph
from pipeline.delivery.operators import STAND_INS
from pipeline.delivery.record import INPUT, OUTPUT

Run = Callable[[NDArray[Any]], NDArray[Any]]
"""Packed rows to predictions."""
_SHORTEST = 8
"""Words or steps a graph takes at least where the length may differ."""
_EXAMPLES = 3
HINDRANCES = (RuntimeError, ValueError, TypeError, AssertionError)
"""What exporters raise of a network that they cannot write; a full disk or a missing package is none of them."""


class Unwritable(Exception):  # noqa: N818  of a network of one's own it may be no error
    """A network cannot be written in a format; the message says why."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A graph of torch's operators."""

    program: ExportedProgram
    length: tuple[int, int] | None
    """Least and most words or steps; None where there is one length only."""


def length_axis(inputs: Inputs) -> int | None:
    """Return the axis of packed rows along which they may be cut: words of texts, steps of labelled series."""
    return 1 if isinstance(inputs, TextInputs) else 2 if isinstance(inputs, SeriesInputs) else None


def captured(graph: Graph, inputs: Inputs, rows: Tensor) -> Captured:
    """Return the graph for any number of rows and, where the network allows, for shorter ones.

    Raises:
        Unwritable: what the network does depends on the rows.
    """
    examples = rows[torch.arange(_EXAMPLES) % len(rows)]
    axis = length_axis(inputs)
    if isinstance(inputs, TextInputs | SeriesInputs) and axis is not None and inputs.length > _SHORTEST:
        length = Dim("length", min=_SHORTEST, max=inputs.length)
        try:
            return Captured(_exported(graph, examples, {0: Dim("batch"), axis: length}), (_SHORTEST, inputs.length))
        except HINDRANCES:  # then there is the one length
            pass
    try:
        return Captured(_exported(graph, examples, {0: Dim("batch")}), None)
    except HINDRANCES as wrong:
        raise Unwritable(f"torch.export: {_first_line(wrong)}") from wrong


def _exported(graph: Graph, rows: Tensor, free: dict[int, Any]) -> ExportedProgram:
    with torch.no_grad(), quiet():
        program = torch.export.export(graph, (rows,), dynamic_shapes=(free,), strict=False)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # which lines of code made each node, with the paths of this machine
    return program


def write_torch(path: Path, graph: Captured) -> None:
    """Write the graph as torch.export does; `torch.export.load(path).module()` runs it."""
    held = io.BytesIO()
    with quiet():
        torch.export.save(graph.program, held)
    write_bytes(path, held.getvalue())


def write_onnx(path: Path, graph: Captured, inputs: Inputs, about: dict[str, str]) -> None:
    """Write the graph with ONNX's own operators alone.

    Raises:
        Unwritable: the graph has an operator that ONNX has no equal of.
    """
    try:
        with torch.no_grad(), quiet():
            program = graph.program.run_decompositions(dict(STAND_INS))
            made = torch.onnx.export(program, dynamo=True, external_data=False, verbose=False, input_names=[INPUT],
                                     output_names=[OUTPUT])  # fmt: skip
    except HINDRANCES as wrong:
        raise Unwritable(f"torch.onnx.export: {_first_line(wrong)}") from wrong
    assert made is not None
    model = made.model_proto
    del model.graph.value_info[:]  # they name the free sizes otherwise, and are found again by who needs them
    for part in (model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]  # whose lines of code made each node, with the paths of this machine
    axis = length_axis(inputs)
    for end in (*model.graph.input, *model.graph.output):
        sizes = end.type.tensor_type.shape.dim
        sizes[0].dim_param = "batch"
        if graph.length and end.name == INPUT and axis is not None:
            sizes[axis].dim_param = "length"
    for key, text in about.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, text
    write_bytes(path, model.SerializeToString())


def run_network(graph: Graph) -> Run:
    """Return the network itself, with the rest of what a graph does."""

    def run(rows: NDArray[Any]) -> NDArray[Any]:
        with torch.no_grad():
            return graph(torch.from_numpy(rows)).numpy()  # type: ignore[no-any-return]

    return run


def run_torch(path: Path) -> Run:
    """Return what runs a model.pt2."""
    with quiet():
        module = torch.export.load(path).module()

    def run(rows: NDArray[Any]) -> NDArray[Any]:
        with torch.no_grad():
            return module(torch.from_numpy(rows)).numpy()  # type: ignore[no-any-return]

    return run


def run_onnx(path: Path) -> Run:
    """Return what runs an ONNX file on one thread of the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(rows: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(session.run([OUTPUT], {INPUT: rows})[0])

    return run


@contextmanager
def quiet() -> Iterator[None]:
    """Keep exporters from telling how they go about it; what goes wrong they raise."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _first_line(wrong: BaseException) -> str:
    """Return the deepest cause in one line: exporters wrap it several times."""
    while wrong.__cause__ is not None:
        wrong = wrong.__cause__
    return f"{type(wrong).__name__}: {str(wrong).strip().partition(chr(10))[0]}"
