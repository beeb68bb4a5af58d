"""What an export says of itself: export.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.core.contracts import ForecastInputs, ImageInputs, Inputs, Intake, Number, SeriesInputs, TextInputs

Kind = Literal["torch", "onnx", "int8"]
FILES: Mapping[Kind, str] = {"torch": "model.pt2", "onnx": "model.onnx", "int8": "model.int8.onnx"}
INPUT, OUTPUT = "rows", "predictions"
"""Names of a graph's ends."""
NETWORK = "network"
"""The trained network in PyTorch, beside its files."""


class Refused(Exception):  # noqa: N818  said in one line, no traceback
    """A file does not say what the network says, or cannot be made; nothing was written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Array:
    """One end of a graph."""

    name: str
    dtype: Literal["uint8", "int32", "float32"]
    shape: tuple[str | int, ...]
    """Words stand for what may differ from call to call."""
    length: tuple[int, int] | None = None
    """Least and most of `length`; None where the shape has none."""
    meaning: str
    names: tuple[str, ...] = ()
    """Output: what each column is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timed:
    """Milliseconds of predicting so many rows, all runtimes in turn on one thread of a CPU."""

    batch: int
    milliseconds: Mapping[str, Number]
    """By file kind, and of the network itself."""
    gain: Mapping[str, Number]
    """By file kind: how many times as fast as the network; `int8_over_onnx`: as the file it was made of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedFile:
    """One way to run the network, or why there is none."""

    kind: Kind
    file: str | None
    """None: not supported for this network, `reason` says why."""
    reason: str = ""
    how: str = ""
    """What it was made by."""
    bytes: int | None = None
    sha256: str | None = None
    difference: float | None = None
    """Largest absolute one to the network on validation rows: of probabilities, or in training deviations."""
    shorter: float | None = None
    """The same for rows cut to half their length and not padded, where the length may differ."""
    before: Mapping[str, Number] | None = None
    """int8: score and quality of the network on these validation rows."""
    after: Mapping[str, Number] | None = None
    """int8: its own."""
    change: Mapping[str, Number] | None = None
    """int8: its own minus those of the network, paired by row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportRecord:
    """export.json: the files beside it, and what was found of each on validation rows."""

    schema: Literal[1] = 1
    family: str
    weights_sha256: str
    """Of the weights that were exported."""
    versions: Mapping[str, str]
    input: Array
    output: Array
    files: tuple[ExportedFile, ...]
    rows: int
    """Validation rows that files and network were compared on."""
    allowed: float
    """Largest difference with which model.onnx and model.pt2 are written."""
    network_bytes: int
    """Of model.safetensors."""
    times: tuple[Timed, ...]
    machine: str
    notes: tuple[str, ...] = ()


def input_of(inputs: Inputs, length: tuple[int, int] | None) -> Array:
    """Return what the graph reads."""
    match inputs:
        case ImageInputs():
            shape: tuple[str | int, ...] = ("batch", inputs.channels, inputs.height, inputs.width)
            meaning = "images as bytes 0 to 255, channels first, upright; scaled and normalised inside"
            return Array(name=INPUT, dtype="uint8", shape=shape, meaning=meaning)
        case TextInputs():
            meaning = (
                "word numbers: 0 pads the end, 1 is any other word, i + 2 is inputs.vocabulary[i] of card.json; words "
                "are cut as `pieces` and `data` of intake.json say"
            )
            shape = ("batch", "length" if length else inputs.length)
            return Array(name=INPUT, dtype="int32", shape=shape, length=length, meaning=meaning)
        case SeriesInputs():
            shape = ("batch", len(inputs.channels), "length" if length else inputs.length)
            meaning = (
                f"raw values of {', '.join(inputs.channels)}; NaN where one is missing or the series has ended; "
                "standardised inside"
            )
            return Array(name=INPUT, dtype="float32", shape=shape, length=length, meaning=meaning)
        case ForecastInputs():
            known = f", then {inputs.horizon} steps of what is known of the future" if inputs.known else ""
            meaning = (
                f"windows of {inputs.window} steps{known}, channels {', '.join(inputs.channels)}; each value less the "
                "mean of its series and channel, over their deviation (`scales` of intake.json); NaN where unknown"
            )
            shape = ("batch", len(inputs.channels), inputs.length)
            return Array(name=INPUT, dtype="float32", shape=shape, meaning=meaning)
        case _:
            meaning = (
                "one place per column of inputs.columns of card.json: a raw number, its median where missing; a "
                "category as its place in the list plus 1, 0 where unknown; then for each number column with `missing` "
                "1 where the value is missing, else 0; encoded inside"
            )
            return Array(name=INPUT, dtype="float32", shape=("batch", inputs.places), meaning=meaning)


def output_of(inputs: Inputs, intake: Intake) -> Array:
    """Return what the graph gives."""
    if isinstance(inputs, ForecastInputs):
        names = tuple(f"{t.name}_{step + 1}" for step in range(inputs.horizon) for t in intake.targets)
        meaning = "forecasts, less the mean over the deviation of each series and target, as the input"
    elif intake.classes:
        names = intake.classes
        meaning = "probability of each " + ("label" if intake.task == "multilabel" else "class")
    else:
        names, meaning = tuple(t.name for t in intake.targets), "values in raw units"
    return Array(name=OUTPUT, dtype="float32", shape=("batch", len(names)), meaning=meaning, names=names)
