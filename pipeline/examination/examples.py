"""Examples of concepts, as a person gave them: pictures or phrases of each, encoded as the network's rows are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import DatasetCard, ImageInputs, Intake, TextInputs
from pipeline.core.errors import ConfigError
from pipeline.core.store import TRAIN, read_record
from pipeline.datasets.bpe import read_pieces
from pipeline.datasets.decoding import SUFFIXES, decode
from pipeline.datasets.intake import OTHER
from pipeline.datasets.members import OnDisk
from pipeline.datasets.photos import unlike
from pipeline.datasets.texts import cutter, encode_texts

FEWEST = 10
"""Examples of a concept, below which none is looked for."""
_PICTURES = "one sub-folder of pictures per concept"
_PHRASES = "one .txt file per concept, with one phrase per line"


@dataclass(frozen=True)
class Concept:
    """A name and its examples, packed: images (E, C, H, W) as bytes, texts (E, L) as word numbers."""

    name: str
    examples: NDArray[Any]


def read_concepts(folder: str, card: DatasetCard) -> list[Concept]:
    """Return the concepts that lie in a folder, in the order of their names.

    Raises:
        ConfigError: rows of another kind, no such folder, none in it, fewer than ten examples of one, examples that
            cannot be read or are the same to the network.
    """
    where, inputs = f"interpret.concepts: {folder}", card.inputs
    if not isinstance(inputs, ImageInputs | TextInputs):
        raise ConfigError(f"interpret.concepts: rows of kind {inputs.kind} have no concepts, images and texts have",
                          fix="interpret.concepts=null")  # fmt: skip
    wanted = _PICTURES if isinstance(inputs, ImageInputs) else _PHRASES
    if not Path(folder).is_dir():
        raise ConfigError(f"{where}: no such folder", fix=f"give a folder with {wanted}")
    intake = read_record(Intake, TRAIN / "intake.json")
    if isinstance(inputs, ImageInputs):
        found = list(_pictures(Path(folder), where, intake, inputs))
    else:
        found = list(_phrases(Path(folder), where, intake, inputs))
    if not found:
        raise ConfigError(f"{where}: holds no concept", fix=f"put {wanted} there")
    return found


def _pictures(folder: Path, where: str, intake: Intake, inputs: ImageInputs) -> Iterator[Concept]:
    for part in _visible(folder, Path.is_dir):
        files = _visible(part, lambda path: path.suffix.lower() in SUFFIXES)
        _enough(f"{where}: {part.name}", len(files), "pictures")
        rows = [_picture(file, f"{where}: {part.name}/{file.name}", intake, inputs) for file in files]
        yield _concept(where, part.name, [file.name for file in files], np.stack(rows))


def _picture(file: Path, where: str, intake: Intake, inputs: ImageInputs) -> NDArray[np.uint8]:
    photo = decode(OnDisk(file.name, str(file)), intake.data.side)
    if (wrong := unlike(photo, inputs)) or photo.pixels is None:
        raise ConfigError(f"{where}: {wrong}", fix="give pictures like those it was trained on, or remove this one")
    return photo.pixels[..., : inputs.channels].transpose(2, 0, 1)


def _phrases(folder: Path, where: str, intake: Intake, inputs: TextInputs) -> Iterator[Concept]:
    cut = cutter(read_pieces(intake.pieces) if intake.pieces else None)
    for file in _visible(folder, lambda path: path.suffix.lower() == ".txt"):
        try:
            lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as wrong:
            why = wrong.strerror if isinstance(wrong, OSError) else "not UTF-8"
            raise ConfigError(f"{where}: {file.name}: cannot be read: {why}", fix="write it as UTF-8 text") from None
        numbered = [(i, line) for i, line in enumerate(lines, 1) if line]
        _enough(f"{where}: {file.name}", len(numbered), "phrases")
        x = encode_texts(cut([line for _, line in numbered]), inputs)
        for (i, _), row in zip(numbered, x, strict=True):
            if not (row > OTHER).any():
                raise ConfigError(f"{where}: {file.name}: line {i}: the network knows none of its words",
                                  fix="use words of the training texts, or remove the line")  # fmt: skip
        yield _concept(where, file.stem, [f"line {i}" for i, _ in numbered], x)


def _visible(folder: Path, kind: Callable[[Path], bool]) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and kind(path))


def _enough(where: str, count: int, what: str) -> None:
    if count < FEWEST:
        said = f"no {what}" if count == 0 else f"{count} {what[:-1] if count == 1 else what}"
        raise ConfigError(f"{where}: {said}, a direction needs {FEWEST}", fix=f"add {what}, or remove the concept")


def _concept(where: str, name: str, names: list[str], rows: NDArray[Any]) -> Concept:
    """Return the concept; the same example twice would count as two."""
    seen: dict[bytes, str] = {}
    for row, own in zip(rows, names, strict=True):
        if (other := seen.setdefault(row.tobytes(), own)) != own:
            raise ConfigError(f"{where}: {name}: {other} and {own} are the same to the network", fix="remove one")
    return Concept(name, rows)
