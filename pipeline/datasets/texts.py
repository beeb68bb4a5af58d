"""Labelled texts: split, vocabulary of the training rows, packed as word numbers."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import SplitName, TextInputs
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError
from pipeline.datasets.assemble import Part, assemble
from pipeline.datasets.idx import digest_files
from pipeline.datasets.intake import OTHER
from pipeline.datasets.labels import read_labels
from pipeline.datasets.packed import Prepared
from pipeline.datasets.row_weights import read_weights
from pipeline.datasets.tables import read_pool, split_pool

if TYPE_CHECKING:
    from pipeline.datasets.bpe import Pieces

_WORD = re.compile(r"[\w'’]+|[^\w\s]")
Cut = Callable[[Sequence[str]], list[list[str]]]
"""Texts to the words or pieces of each."""


def words(text: str) -> list[str]:
    """Return lower-case words and single marks."""
    return _WORD.findall(text.lower())


def prepare_texts(settings: DataSettings, seed: int) -> Prepared:
    """Read and split labelled texts; several text columns are joined by a line break."""
    if not settings.text:
        raise ConfigError("data.text: not set", fix="name the text column: data.text=[text]")
    pool = read_pool(settings)
    labels = read_labels(settings, pool.frame[list(settings.targets)], pool.given, str(pool.files[0]))
    weight = read_weights(settings, pool.frame, str(pool.files[0]))
    texts = joined(pool.frame, settings)
    keys = [hashlib.blake2b("\0".join(words(text)).encode(), digest_size=16).digest() for text in texts]
    places, notes = split_pool(settings, seed, pool, keys, labels)
    pieces = fitted_pieces([texts[i] for i in places["train"]], settings)
    cut = cutter(pieces)
    split_words = {split: cut([texts[i] for i in rows]) for split, rows in places.items()}
    inputs, fitted_notes = fit_texts(split_words["train"], settings, pieces.names if pieces else ())
    notes += fitted_notes
    parts: dict[SplitName, Part] = {}
    for split, rows in places.items():
        frame = pool.frame.iloc[rows]
        counts = np.array([len(w) for w in split_words[split]], dtype=float)
        if empty := int((counts == 0).sum()):
            notes.append(f"{empty:,} texts of {split} have no words")
        kept = frame[[c for c in frame.columns if c not in (*settings.text, "(split)", "(name)")]]
        paths = list(frame["(name)"]) if "(name)" in frame else []
        x, ids = encode_texts(split_words[split], inputs), [str(i) for i in frame.index]
        own = None if weight is None else weight[rows]
        parts[split] = Part(x, labels.y[rows], ids, {"length": counts}, kept, paths, own)
    prepared = assemble(settings, labels, inputs, parts, digest_files(_raw(pool.files)), notes)
    return replace(prepared, pieces=pieces.fitted if pieces else None)


def joined(frame: pd.DataFrame, settings: DataSettings) -> list[str]:
    """Return one text per row; a missing cell is empty."""
    cells = [frame[column].map(lambda v: "" if v is None else v) for column in settings.text]
    return ["\n".join(parts) for parts in zip(*cells, strict=True)]


def fitted_pieces(train: Sequence[str], settings: DataSettings) -> "Pieces | None":
    """Return the byte-pair pieces that data.tokens asks for, None for words."""
    if settings.tokens == "words":
        return None
    from pipeline.datasets.bpe import fit_pieces

    return fit_pieces(train, settings)


def cutter(pieces: "Pieces | None") -> Cut:
    """Return what cuts texts into pieces, or into words where there are none."""
    return pieces.cut if pieces else lambda texts: [words(text) for text in texts]


def fit_texts(
    train: Sequence[Sequence[str]], settings: DataSettings, pieces: Sequence[str] = ()
) -> tuple[TextInputs, list[str]]:
    """Return vocabulary and length: words of at least two training texts or all pieces, 95 % of the texts in full."""
    rows = Counter(word for text in train for word in set(text))
    known = sorted(pieces or rows, key=lambda word: (-rows[word], word))
    if not pieces:
        known = [w for w in known if rows[w] >= settings.min_word_rows][: settings.vocabulary]
    usual = int(np.quantile([len(text) for text in train], 0.95))
    length = max(1, min(settings.max_words, usual))
    cut = sum(len(text) > length for text in train)
    rare = len(rows) - len(known)
    notes = [f"{rare:,} of {len(rows):,} words are rare and share one number"] if rare else []
    if pieces:
        notes = [f"texts are cut into pieces of words, {len(known):,} kinds learnt from the training texts"]
    if cut:
        unit = "pieces" if pieces else "words"
        notes.append(f"{cut:,} training texts are cut after {length} {unit} (data.max_words)")
    return TextInputs(length=length, vocabulary=tuple(known), pairs=settings.pairs), notes


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
