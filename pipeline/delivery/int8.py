"""model.onnx with whole numbers of 8 bits for its weights, a quarter of the bytes.

Networks without convolutions: products alone, the numbers between layers are measured in every call (dynamic).
With convolutions: these as well, ranges between layers are those of some training rows (static, as onnxruntime has no
fast dynamic convolution). Recurrent cells stay as they are, because onnxruntime has no int8 GRU.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.delivery.formats import HINDRANCES, Unwritable, quiet
from pipeline.delivery.record import INPUT

_PRODUCTS = {"MatMul", "Gemm", "Conv", "Gather"}
_CELLS = {"GRU", "LSTM"}
_LEAST_SAVED = 0.05
"""Of the bytes; below that it is not worth a file."""
_BATCH = 32


def write_int8(source: Path, target: Path, rows: NDArray[Any]) -> str:
    """Write the file and return how; `rows` are packed training rows.

    Raises:
        Unwritable: nothing in this network becomes smaller by it.
    """
    import onnx
    from onnx.shape_inference import InferenceError
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, RuntimeException
    from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NoKernel

    hindrances = (*HINDRANCES, LookupError, InferenceError, Fail, InvalidGraph, NoKernel, RuntimeException)
    kinds = {node.op_type for node in onnx.load(source, load_external_data=False).graph.node}
    try:
        with quiet():
            how = _static(source, target, rows) if "Conv" in kinds else _dynamic(source, target)
    except hindrances as wrong:
        target.unlink(missing_ok=True)
        raise Unwritable(f"onnxruntime: {type(wrong).__name__}: {str(wrong).partition(chr(10))[0]}") from wrong
    before, after = source.stat().st_size, target.stat().st_size
    if after > (1 - _LEAST_SAVED) * before:
        target.unlink()
        cells = " ".join(sorted(kinds & _CELLS))
        why = f"its weights are in {cells} cells, which stay as they are" if cells else "it has hardly any weights"
        raise Unwritable(f"{why}: {after:,} bytes instead of {before:,}")
    return how


def _dynamic(source: Path, target: Path) -> str:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, weight_type=QuantType.QInt8, per_channel=True)
    return "dynamic int8 of products and look-ups"


def _static(source: Path, target: Path, rows: NDArray[Any]) -> str:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Rows(CalibrationDataReader):  # type: ignore[misc]
        """Some training rows at a time."""

        def __init__(self) -> None:
            self.parts = iter(np.array_split(rows, -(-len(rows) // _BATCH)))

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            part = next(self.parts, None)
            return None if part is None else {INPUT: part}

    quantize_static(source, target, Rows(), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                    op_types_to_quantize=sorted(_PRODUCTS))  # fmt: skip
    return f"static int8 of convolutions and products, ranges of {len(rows):,} training rows"
