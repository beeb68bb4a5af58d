"""An export as a table for the terminal."""

from collections.abc import Iterator

from pipeline.core.contracts import Number
from pipeline.delivery.record import NETWORK, Array, ExportedFile, ExportRecord

_NETWORK_FILE = "model.safetensors"


def export_lines(record: ExportRecord) -> Iterator[str]:
    """Say what was written, how close it is to the network, how large and how fast."""
    batches = [timed.batch for timed in record.times]
    heads = [f"ms for {batch} row{'s' * (batch != 1)}" for batch in batches]
    yield f"{'file':<19}{'kB':>9}  {'differs by':>10}" + "".join(f"  {head:>26}" for head in heads)
    yield _line(record, NETWORK, _NETWORK_FILE, record.network_bytes, "–")
    for one in record.files:
        if one.file is not None and one.bytes is not None:
            yield _line(record, one.kind, one.file, one.bytes, f"{one.difference:.1e}")
    for one in record.files:
        yield from _remarks(record, one)
    yield f"compared on {record.rows:,} validation rows; milliseconds are medians on one CPU thread with 95 % intervals"
    yield f"input  {shape_words(record.input)}: {record.input.meaning}"
    yield f"output {shape_words(record.output)}: {record.output.meaning}"
    for note in record.notes:
        yield f"note: {note}"


def _line(record: ExportRecord, kind: str, name: str, size: int, gap: str) -> str:
    times = "".join(f"  {interval_words(timed.milliseconds[kind]):>26}" for timed in record.times)
    return f"{name:<19}{size / 1000:>9,.1f}  {gap:>10}{times}"


def _remarks(record: ExportRecord, one: ExportedFile) -> Iterator[str]:
    if one.file is None:
        yield f"{one.kind}: {one.reason}"
    elif one.kind == "int8" and one.change and one.before and one.after:
        changes = ", ".join(f"{name.replace('_', ' ')} {interval_words(gap, signed=True)} from "
                            f"{one.before[name].value:.4f} to {one.after[name].value:.4f}"
                            for name, gap in one.change.items())  # fmt: skip
        yield f"int8 ({one.how}) changes {changes}"
        for timed in record.times:
            if "int8_over_onnx" in timed.gain:
                gain = interval_words(timed.gain["int8_over_onnx"])
                yield f"int8 is {gain} times as fast as model.onnx for {timed.batch} row{'s' * (timed.batch != 1)}"


def interval_words(number: Number, *, signed: bool = False) -> str:
    """Return a value with its interval, or without where there is none."""
    assert number.value is not None
    form = "+.4f" if signed else ".3f"
    if number.ci_low is None or number.ci_high is None:
        return f"{number.value:{form}}" + (f" ({number.reason})" if number.reason else "")
    return f"{number.value:{form}} [{number.ci_low:{form}}, {number.ci_high:{form}}]"


def shape_words(array: Array) -> str:
    """Return the name, kind and shape of one end of a graph."""
    sizes = " × ".join(str(size) for size in array.shape)
    free = f", length {array.length[0]} to {array.length[1]}" if array.length else ""
    return f"{array.name} {array.dtype} ({sizes}{free})"
