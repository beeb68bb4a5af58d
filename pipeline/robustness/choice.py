"""What evaluate.robustness asks for, held against what such data can have."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.core.contracts import DatasetCard, ImageInputs, Intake, TableInputs, TextInputs
from pipeline.core.errors import ConfigError
from pipeline.core.seeds import stream
from pipeline.core.settings import EvaluateSettings
from pipeline.core.store import read_record
from pipeline.core.strict import nearest
from pipeline.datasets import load_split
from pipeline.datasets.bpe import read_pieces
from pipeline.robustness.attacks import ATTACKS, Attack
from pipeline.robustness.corruptions import Corruption, Packed
from pipeline.robustness.images import image_corruptions
from pipeline.robustness.outside import Outside, outside_rows
from pipeline.robustness.series import series_corruptions
from pipeline.robustness.tables import spread_of, table_corruptions
from pipeline.robustness.texts import TextCode, text_corruptions


@dataclass(frozen=True, slots=True)
class Choice:
    """What is tried."""

    corruptions: tuple[Corruption, ...]
    attacks: tuple[Attack, ...]
    code: TextCode | None = None
    """Texts: how they are spelt."""
    outside: Outside | None = None
    """Rows of another data set."""


def chosen_in(folder: Path, settings: EvaluateSettings, card: DatasetCard, seed: int) -> Choice:
    """Return what `settings` ask for, of a data set prepared in `folder`; mistakes are found before any work."""
    intake = read_record(Intake, folder / "intake.json")
    choice = chosen(settings.robustness, card, load_split(folder, "train").x, intake.pieces)
    if settings.ood is None:
        return choice
    rng = stream(seed, "robustness", "outside")
    outside = outside_rows(Path(settings.ood), card, choice.code, settings.robustness_rows, rng)
    return replace(choice, outside=outside)


def chosen(asked: str | Sequence[str], card: DatasetCard, train_x: Packed, pieces: str | None) -> Choice:
    """Return the corruptions and attacks that are asked for; auto: all that such data can have.

    Raises:
        ConfigError: a name that these data have nothing for.
    """
    code = (
        TextCode(card.inputs, read_pieces(pieces) if pieces else None) if isinstance(card.inputs, TextInputs) else None
    )
    corruptions = _corruptions(card, train_x, code)
    attacks = ATTACKS if can_be_attacked(card) else ()
    if isinstance(asked, str):
        return Choice(corruptions, attacks, code)
    known = [*(c.name for c in corruptions), *attacks]
    for name in asked:
        if name not in known:
            near = nearest(name, known)
            fix = f"did you mean '{near}'?" if near else f"auto, or some of: {', '.join(known)}"
            raise ConfigError(f"evaluate.robustness: data of kind {card.inputs.kind} have no '{name}'", fix=fix)
    kept = tuple(c for c in corruptions if c.name in asked)
    return Choice(kept, tuple(a for a in attacks if a in asked), code)


def can_be_attacked(card: DatasetCard) -> bool:
    """Say whether there is a gradient to pixels and a class to lose."""
    return isinstance(card.inputs, ImageInputs) and card.task in ("binary", "multiclass")


def _corruptions(card: DatasetCard, train_x: Packed, code: TextCode | None) -> tuple[Corruption, ...]:
    match card.inputs:
        case ImageInputs():
            return image_corruptions(card.inputs)
        case TableInputs():
            return table_corruptions(card.inputs, spread_of(train_x, card.inputs))
        case TextInputs():
            assert code is not None
            return text_corruptions(code)
        case _:
            return series_corruptions(card.inputs)
