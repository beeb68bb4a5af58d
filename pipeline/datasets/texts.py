"""Labelled texts: split, vocabulary of the training rows, packed as word numbers."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import SplitName, TextInputs
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError
from pipeline.datasets.assemble import Part, assemble
from pipeline.datasets.idx import digest_files
from pipeline.datasets.packed import Prepared
from pipeline.datasets.splits import check_classes, shared_rows
from pipeline.datasets.tables import class_names, codes, read_frames

_WORD = re.compile(r"[\w'’]+|[^\w\s]")
OTHER = 1


def words(text: str) -> list[str]:
    """Return lower-case words and single marks."""
    return _WORD.findall(text.lower())


def prepare_texts(settings: DataSettings, seed: int) -> Prepared:
    """Read and split labelled texts; several text columns are joined by a line break."""
    if not settings.text:
        raise ConfigError("data.text: not set", fix="name the text column: data.text=[text]")
    frames, files = read_frames(settings, seed)
    classes = class_names(settings, frames, str(files[0]))
    labels = {s: codes(frame[str(settings.target)], classes, str(files[-1])) for s, frame in frames.items()}
    check_classes(np.concatenate(list(labels.values())), classes, str(files[0]))
    split_words = {s: [words(text) for text in joined(frame, settings)] for s, frame in frames.items()}
    inputs, notes = fit_texts(split_words["train"], settings)
    parts: dict[SplitName, Part] = {}
    for split, frame in frames.items():
        counts = np.array([len(w) for w in split_words[split]], dtype=float)
        if empty := int((counts == 0).sum()):
            notes.append(f"{empty:,} texts of {split} have no words")
        kept = [c for c in frame.columns if c not in (*settings.text, "(split)", "(name)")]
        x = encode_texts(split_words[split], inputs)
        parts[split] = Part(x, labels[split], list(frame.index), {"length": counts}, frame[kept])
    if same := shared_rows([parts["train"].x, parts["val"].x], parts["test"].x):
        notes.append(f"{same:,} test texts ({same / len(parts['test'].y):.1%}) equal some training text, word by word")
    return assemble(settings, classes, inputs, parts, digest_files(_raw(files)), notes)


def joined(frame: pd.DataFrame, settings: DataSettings) -> list[str]:
    """Return one text per row; a missing cell is empty."""
    cells = [frame[column].map(lambda v: "" if v is None else v) for column in settings.text]
    return ["\n".join(parts) for parts in zip(*cells, strict=True)]


def fit_texts(train: Sequence[Sequence[str]], settings: DataSettings) -> tuple[TextInputs, list[str]]:
    """Return vocabulary and length: words of at least two training texts, 95 % of the texts in full."""
    rows = Counter(word for text in train for word in set(text))
    known = [w for w, n in sorted(rows.items(), key=lambda item: (-item[1], item[0])) if n >= settings.min_word_rows]
    known = known[: settings.vocabulary]
    usual = int(np.quantile([len(text) for text in train], 0.95))
    length = max(1, min(settings.max_words, usual))
    cut = sum(len(text) > length for text in train)
    notes = [f"{len(rows) - len(known):,} of {len(rows):,} words are rare and share one number"]
    if cut:
        notes.append(f"{cut:,} training texts are cut after {length} words (data.max_words)")
    return TextInputs(length=length, vocabulary=tuple(known)), notes


def encode_texts(texts: Sequence[Sequence[str]], inputs: TextInputs) -> NDArray[np.int32]:
    """Return word numbers (N, L), 0 after the end."""
    number = {word: i + 2 for i, word in enumerate(inputs.vocabulary)}
    x = np.zeros((len(texts), inputs.length), np.int32)
    for row, text in enumerate(texts):
        found: list[Any] = [number.get(word, OTHER) for word in text[: inputs.length]]
        x[row, : len(found)] = found
    return x


def _raw(files: Sequence[Path]) -> list[Path]:
    """Return the files behind the given paths: a folder stands for the texts in it."""
    return [file for path in files for file in (sorted(path.rglob("*.txt")) if path.is_dir() else [path])]
