"""Byte-pair pieces: readable names, nothing unknown, the same on every run, learnt from the training texts alone."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from pipeline.core.contracts import TextInputs
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError
from pipeline.datasets import prepare_dataset
from pipeline.datasets.bpe import SPACE, fit_pieces, readable
from pipeline.datasets.texts import OTHER, fit_texts
from tests.conftest import ROOT

TEXTS = [
    f"The {'lowest' if i % 2 else 'newer'} café of Zürich, no. {i % 9}: it{chr(39)}s {'good' if i % 3 else '坏的'}!"
    for i in range(90)
]


def settings(**changes: Any) -> DataSettings:
    base: dict[str, Any] = {"name": "t", "format": "text", "text": ("text",), "target": "label", "tokens": "bpe",
                            "vocabulary": 320, "sensitive": {}, "slices": {}}  # fmt: skip
    return DataSettings(**(base | changes))


FITTED = fit_pieces(TEXTS, settings())


def joined(pieces: list[str]) -> str:
    """Read the pieces back into the text."""
    parts = re.split(r"<0X([0-9A-F]{2})>", "".join(pieces))
    data = [bytes.fromhex(p) if i % 2 else p.replace(SPACE, " ").encode() for i, p in enumerate(parts)]
    return b"".join(data).decode()


@limits(max_examples=200)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_is_cut_into_known_pieces_and_can_be_read_back(text: str) -> None:
    cut = FITTED.cut([text])[0]
    assert set(cut) <= set(FITTED.names)
    assert joined(cut) == "".join(f" {word}" for word in text.lower().split())


@pytest.mark.parametrize("text", ["a ▁b", "<0xe4> x <0X41>", "\u200b\x07 é", "İ ẞ", "😀", ""])
def test_awkward_signs_come_back(text: str) -> None:
    assert joined(FITTED.cut([text])[0]).split() == text.lower().split()


def test_names_are_readable_and_all_different() -> None:
    assert len(FITTED.names) == len(set(FITTED.names)) > 280
    assert {"▁the", "▁it", "'s", "▁café", "é", "坏"} & set(FITTED.names) >= {"▁the", "'s", "▁café"}
    assert FITTED.cut(["The CAFÉ"])[0] == ["▁the", "▁café"]
    assert readable(b" na\xc3\xafve") == "▁naïve"
    assert readable(b"\xc3") == "<0XC3>"
    assert readable("▁\t".encode()) == "<0XE2><0X96><0X81><0X09>"


def test_rare_pairs_stay_apart() -> None:
    pieces = fit_pieces([*TEXTS, "xylophone"], settings(vocabulary=5000, min_word_rows=2))
    assert len(pieces.names) < 5000
    assert "▁lowest" in pieces.names
    assert "▁xylophone" not in pieces.names


def test_a_vocabulary_without_room_for_the_bytes_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.vocabulary: 200 is too small for data\.tokens=bpe"):
        fit_pieces(TEXTS, settings(vocabulary=200))


def test_a_long_list_is_cut_like_its_parts() -> None:
    many = [f"low {i} newest" for i in range(5000)]
    assert FITTED.cut(many) == FITTED.cut(many[:3000]) + FITTED.cut(many[3000:])


CODE = """
import random
from tests.datasets.test_bpe import fit_pieces, settings
words = ["".join(random.Random(i).choices("abcdeé ", k=5)) for i in range(400)]
texts = [" ".join(random.Random(i).choices(words, k=30)) for i in range(300)]
pieces = fit_pieces(texts, settings(vocabulary=2000))
print(pieces.model.to_str(), pieces.names, pieces.cut(texts[:20]))
"""


def test_other_processes_learn_the_same_pieces() -> None:
    def run(**changes: str) -> str:
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | changes
        command = [sys.executable, "-c", CODE]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    alone = run(PYTHONHASHSEED="1", TOKENIZERS_PARALLELISM="false")
    assert len(alone) > 10_000
    assert run(PYTHONHASHSEED="2", TOKENIZERS_PARALLELISM="true", RAYON_NUM_THREADS="4") == alone


@limits(max_examples=5)
@given(order=st.permutations(range(len(TEXTS))))
def test_the_order_of_the_texts_does_not_matter(order: list[int]) -> None:
    assert fit_pieces([TEXTS[i] for i in order], settings()).names == FITTED.names


def prepare(folder: Path, last: str) -> tuple[TextInputs, dict[str, Any], tuple[str, ...]]:
    rows = [f"{text.replace(',', '')},{'pos' if i % 3 else 'neg'}" for i, text in enumerate(TEXTS)]
    (folder / "a.csv").write_text("\n".join(["text,label", *rows]))
    (folder / "b.csv").write_text(f"text,label\n{last},pos\nvery good,neg\n" + f"{last} again,pos\n" * 20)
    given = settings(path=str(folder), train_file="a.csv", test_file="b.csv")
    prepared = prepare_dataset(given, 7)
    assert isinstance(prepared.card.inputs, TextInputs)
    return prepared.card.inputs, {str(s): part.x for s, part in prepared.splits.items()}, prepared.card.notes


def test_prepared_texts_have_no_unknown_piece_and_only_train_teaches(tmp_path: Path) -> None:
    inputs, x, notes = prepare(tmp_path, "zzyzx Ωmega \U0001f600 qqqqq")
    assert all(not (part == OTHER).any() for part in x.values())
    assert max(part.max() for part in x.values()) < len(inputs.vocabulary) + 2
    read = [inputs.vocabulary[i - 2] for i in x["test"][0] if i]
    assert "zzyzx ωmega 😀 qqqqq".startswith(joined(read).strip())
    assert f"texts are cut into pieces of words, {len(inputs.vocabulary)} kinds learnt from the training texts" in notes
    again, other, _ = prepare(tmp_path, "the lowest of all")
    assert again == inputs
    assert np.array_equal(other["train"], x["train"])


def test_the_vocabulary_holds_all_pieces_the_most_used_first() -> None:
    inputs, notes = fit_texts([["b", "a"], ["b", "d"], ["b", "b", "d"]], settings(max_words=2), ("a", "b", "c", "d"))
    assert inputs.vocabulary == ("b", "d", "a", "c")
    assert notes[1] == "1 training texts are cut after 2 pieces (data.max_words)"
