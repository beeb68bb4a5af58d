"""Texts to byte-pair pieces learnt from the training texts (Sennrich et al. 2016, on bytes): nothing is unknown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPACE = "\u2581"
"""Stands for the space before a word in the names of pieces."""
_BYTES = 256
_AT_ONCE = 2048
"""Texts that are cut together; bounds the memory."""


@dataclass(frozen=True)
class Pieces:
    """A fitted cutter."""

    model: "Tokenizer"
    names: tuple[str, ...]
    """The pieces as people read them, all different: see `readable`."""

    def cut(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the names of the pieces of each text, in order; a text without letters or marks has none."""
        found = []
        for start in range(0, len(texts), _AT_ONCE):
            plain = [_plain(text) for text in texts[start : start + _AT_ONCE]]
            for cut in self.model.encode_batch_fast(plain, add_special_tokens=False):
                found.append([self.names[i] for i in cut.ids])
        return found

    @property
    def fitted(self) -> str:
        """The cutter in the library's own JSON."""
        return str(self.model.to_str())


def fit_pieces(train: Sequence[str], settings: DataSettings) -> Pieces:
    """Learn at most data.vocabulary pieces; the same texts give the same pieces, on every machine.

    All single bytes are pieces; two that stand side by side at least data.min_word_rows times may become one.

    Raises:
        ConfigError: data.vocabulary has no room for the single bytes.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    if settings.vocabulary < _BYTES:
        raise ConfigError(f"data.vocabulary: {settings.vocabulary} is too small for data.tokens=bpe",
                          fix=f"at least {_BYTES}, which are the single bytes; 8000 is usual")  # fmt: skip
    model = Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocabulary,
        min_frequency=settings.min_word_rows,
        initial_alphabet=sorted(_byte_signs()),
        show_progress=False,
    )
    model.train_from_iterator((_plain(text) for text in train), trainer)
    return _named(model)


def read_pieces(fitted: str) -> Pieces:
    """Return the cutter that `Pieces.fitted` wrote."""
    from tokenizers import Tokenizer

    return _named(Tokenizer.from_str(fitted))


def _named(model: "Tokenizer") -> Pieces:
    byte, numbers = _byte_signs(), model.get_vocab()
    signs = sorted(numbers, key=lambda piece: numbers[piece])
    return Pieces(model, tuple(readable(bytes(byte[sign] for sign in piece)) for piece in signs))


def readable(piece: bytes) -> str:
    """Return the text of a piece; bytes that are no whole visible character are written <0X9F>.

    Different pieces have different names: lower-cased texts hold no capital X, and a sign that looks like SPACE is
    written in bytes.
    """
    return "".join(_shown(sign) for sign in piece.decode("utf-8", "surrogateescape"))


def _shown(sign: str) -> str:
    if sign == " ":
        return SPACE
    if sign.isprintable() and sign != SPACE:
        return sign
    return "".join(f"<0X{byte:02X}>" for byte in sign.encode("utf-8", "surrogateescape"))


def _plain(text: str) -> str:
    """Return the lower-case text with one space before each word, so that the first word is like any other."""
    return "".join(f" {word}" for word in text.lower().split())


def _byte_signs() -> dict[str, int]:
    """Return the byte behind each of the 256 visible signs the library writes bytes with."""
    return dict(_pairs())


def _pairs() -> Iterator[tuple[str, int]]:
    shown = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = 0
    for byte in range(_BYTES):
        yield chr(byte if byte in shown else _BYTES + others), byte
        others += byte not in shown
