"""Every corruption: more of it with severity, the same from the same seed; and closed forms of what each does."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from pipeline.core.contracts import (
    CategoricalColumn,
    ForecastInputs,
    ImageInputs,
    NumericColumn,
    SeriesInputs,
    TableInputs,
    TextInputs,
)
from pipeline.core.data_settings import DataSettings
from pipeline.core.seeds import stream
from pipeline.datasets.bpe import fit_pieces
from pipeline.datasets.table_encoding import encode_table
from pipeline.datasets.texts import encode_texts, words
from pipeline.robustness import SEVERITIES, Corruption
from pipeline.robustness import images as of_images
from pipeline.robustness.images import image_corruptions, on_pixels
from pipeline.robustness.series import series_corruptions
from pipeline.robustness.tables import spread_of, table_corruptions
from pipeline.robustness.texts import TextCode, joined, text_corruptions, typos

RNG = np.random.default_rng(0)
GREY = ImageInputs(channels=1, height=16, width=16, mean=(0.25,), std=(0.2,))
COLOUR = ImageInputs(channels=3, height=24, width=18, mean=(0.25, 0.5, 0.75), std=(0.2, 0.2, 0.2))
TABLE = TableInputs(
    columns=(
        NumericColumn(name="age", edges=(0.0, 100.0), median=40.0, missing=True),
        CategoricalColumn(name="colour", categories=("(missing)", "blue", "red"), mode=2),
        NumericColumn(name="size", edges=(0.0, 1.0), median=0.5, missing=False),
        CategoricalColumn(name="shape", categories=("round",), mode=1),
    )
)
SERIES = SeriesInputs(channels=("a", "b"), length=60, mean=(1.0, -2.0), std=(0.5, 3.0))
FORECAST = ForecastInputs(channels=("y", "z", "known"), targets=1, known=1, window=40, horizon=5, season=None)


def pictures(inputs: ImageInputs, rows: int = 40) -> np.ndarray:
    """Return smooth random pictures as bytes."""
    noise = RNG.normal(size=(rows, inputs.channels, inputs.height, inputs.width))
    smooth = gaussian_filter(noise, (0, 0, 1.5, 1.5))
    return np.rint(np.clip(0.5 + smooth, 0.1, 0.9) * 255).astype(np.uint8)


def frame(rows: int = 300) -> pd.DataFrame:
    """Return a raw table as text cells."""
    values = {
        "age": np.where(RNG.random(rows) < 0.1, None, RNG.integers(20, 80, rows).astype(str)),
        "colour": RNG.choice(["blue", "red", "green"], rows),
        "size": RNG.random(rows).round(3).astype(str),
        "shape": np.full(rows, "round"),
    }
    return pd.DataFrame(values, dtype=object)


SENTENCES = [" ".join(RNG.choice(["don't", "stop", "the", "Music", "plays", "on,", "café", "night", "日本", "!"], n))
             for n in RNG.integers(20, 40, 60)]  # fmt: skip


def spelt(tokens: str) -> tuple[TextCode, np.ndarray]:
    """Return the spelling of some sentences, and them packed; the word "night" is in no vocabulary of words."""
    if tokens == "bpe":
        settings = DataSettings(name="t", format="text", sensitive={}, slices={}, tokens="bpe", vocabulary=300)
        pieces = fit_pieces(SENTENCES, settings)
        code = TextCode(TextInputs(length=200, vocabulary=pieces.names), pieces)
        return code, encode_texts(pieces.cut(SENTENCES), code.inputs)
    cut = [words(sentence) for sentence in SENTENCES]
    known = sorted({word for sentence in cut for word in sentence} - {"night"})
    code = TextCode(TextInputs(length=60, vocabulary=tuple(known)))
    return code, encode_texts(cut, code.inputs)


def waves(channels: int, steps: int) -> np.ndarray:
    """Return series (50, C, T), a third of which end early."""
    x = np.sin(np.arange(steps) * RNG.uniform(0.1, 0.5, (50, channels, 1))).astype(np.float32)
    x[::3, :, steps - 9 :] = np.nan
    return x


@dataclass(frozen=True)
class Case:
    """Rows, their corruptions, and how far two sets of rows lie apart."""

    x: np.ndarray
    corruptions: tuple[Corruption, ...]
    apart: Callable[[np.ndarray, np.ndarray], float]


def cells_apart(x: np.ndarray, y: np.ndarray) -> float:
    """Return the mean distance of numbers; a value in place of a gap is 100 away."""
    away = np.abs(x.astype(float) - y.astype(float))
    away[np.isnan(x) & np.isnan(y)] = 0
    return float(np.nan_to_num(away, nan=100).mean())


def pairs_apart(x: np.ndarray, y: np.ndarray) -> float:
    """Return the share of neighbouring words that are no longer neighbours."""
    lost = 0
    for row, other in zip(x, y, strict=True):
        before, after = (list(zip(r[r > 0], r[r > 0][1:], strict=False)) for r in (row, other))
        lost += sum(pair not in after for pair in before)
    return lost / (x > 0).sum()


TABLE_X = encode_table(frame(), TABLE, "rows")
CASES: dict[str, Case] = {}
for label, inputs in (("grey", GREY), ("colour", COLOUR)):
    CASES[label] = Case(pictures(inputs), image_corruptions(inputs), cells_apart)
CASES["table"] = Case(TABLE_X, table_corruptions(TABLE, spread_of(TABLE_X, TABLE)), cells_apart)
for label in ("words", "bpe"):
    CODE, PACKED = spelt(label)
    CASES[label] = Case(PACKED, text_corruptions(CODE), pairs_apart)
CASES["series"] = Case(waves(2, 60), series_corruptions(SERIES), cells_apart)
CASES["forecast"] = Case(waves(3, 45), series_corruptions(FORECAST), cells_apart)
EACH = [pytest.param(case, c, id=f"{name}-{c.name}") for name, case in CASES.items() for c in case.corruptions]


@pytest.mark.parametrize(("case", "corruption"), EACH)
def test_more_of_it_with_severity_and_none_at_0(case: Case, corruption: Corruption) -> None:
    before = case.x.copy()
    assert np.array_equal(corruption.at(case.x, 0, seed=7), before, equal_nan=before.dtype.kind == "f")
    changed = [corruption.at(case.x, severity, seed=7) for severity in SEVERITIES]
    assert all((y.shape, y.dtype) == (before.shape, before.dtype) for y in changed)
    assert np.array_equal(case.x, before, equal_nan=before.dtype.kind == "f")
    distances = [0.0, *(case.apart(before, y) for y in changed)]
    assert distances == sorted(distances)
    assert distances[-1] > distances[2] > 0


@pytest.mark.parametrize(("case", "corruption"), EACH)
def test_the_same_seed_gives_the_same_bytes(case: Case, corruption: Corruption) -> None:
    first = corruption.at(case.x, 5, seed=7).tobytes()
    assert corruption.at(case.x, 5, seed=7).tobytes() == first
    drawn = corruption.name not in ("blur", "brightness", "contrast", "pixelate", "jpeg", "truncation")
    assert (corruption.at(case.x, 5, seed=8).tobytes() != first) == drawn
    assert (corruption.at(case.x, 5, seed=7, part=1).tobytes() != first) == drawn


def of(name: str, case: str) -> Corruption:
    return next(c for c in CASES[case].corruptions if c.name == name)


def test_changes_of_pixels_are_what_their_words_say() -> None:
    x = CASES["grey"].x
    pixels = x / 255
    brighter = of("brightness", "grey").apply(x, 0.3, stream(1))
    assert np.abs(brighter - np.minimum(pixels + 0.3, 1) * 255).max() <= 0.51
    mean = pixels.mean(axis=(2, 3), keepdims=True)
    flatter = of("contrast", "grey").apply(x, 0.7, stream(1))
    assert np.abs(flatter - 255 * (mean + 0.3 * (pixels - mean))).max() <= 0.51
    grey = np.full((20, 1, 16, 16), 128, np.uint8)
    noisy = of("gaussian_noise", "grey").apply(grey, 0.1, stream(1)) / 255
    assert noisy.std() == pytest.approx(0.1, rel=0.03)
    one_cell = of("pixelate", "grey").apply(x, 1.0, stream(1)) / 255
    assert np.abs(one_cell - mean).max() < 0.003
    quarters = of("pixelate", "grey").apply(x, 0.75, stream(1)) / 255
    assert (
        np.abs(quarters - np.kron(pixels.reshape(-1, 1, 4, 4, 4, 4).mean(axis=(3, 5)), np.ones((4, 4)))).max() < 0.003
    )


def test_a_box_covers_its_share_and_all_of_it_leaves_the_mean_alone() -> None:
    x = np.full((30, 3, 24, 18), 255, np.uint8)
    box = of("occlusion", "colour").apply(x, 0.5, stream(1))
    assert ((box[:, 0] != 255).sum(axis=(1, 2)) == 12 * 9).all()
    assert len({tuple(np.argwhere(one[0] != 255)[0]) for one in box}) > 5
    gone = of("occlusion", "colour").apply(CASES["colour"].x, 1.0, stream(1))
    assert np.array_equal(gone, np.broadcast_to(np.rint(np.array([0.25, 0.5, 0.75]) * 255)[:, None, None], gone.shape))


def test_pictures_turn_and_move_by_what_is_asked() -> None:
    x = CASES["grey"].x
    turned = on_pixels(of_images.rotation)(x, 90, stream(1))
    ways = [np.rot90(x, k, axes=(2, 3)).astype(int) for k in (1, -1)]
    away = np.array([np.abs(turned.astype(int) - way).max(axis=(1, 2, 3)) for way in ways])
    assert (away.min(axis=0) <= 1).all()
    assert (away.argmin(axis=0) == 0).any()
    assert (away.argmin(axis=0) == 1).any()
    oblong = CASES["colour"].x
    half = on_pixels(of_images.rotation)(oblong, 180, stream(1))
    assert np.abs(half.astype(int) - oblong[:, :, ::-1, ::-1]).max() <= 1
    # A ramp along x that moves by d pixels towards phi has lost d cos(phi) steps of it away from the edges.
    ramp = np.tile(np.arange(16, dtype=np.float32) / 32 + 0.2, (50, 1, 16, 1))
    moved = of_images.shift(ramp, 0.125, stream(1), side=16)[:, 0, 5:11, 5:11]
    steps = (moved - ramp[:, 0, 5:11, 5:11]) * 32
    assert np.allclose(steps, 2 * np.cos(stream(1).uniform(0, 2 * np.pi, 50))[:, None, None], atol=1e-4)


def test_a_missing_cell_is_encoded_as_prediction_encodes_it() -> None:
    raw, seed = frame(200), 3
    x = encode_table(raw, TABLE, "rows")
    gone = stream(seed).random((200, 4)) < 0.4
    holes = raw.mask(pd.DataFrame(gone, columns=raw.columns), None)
    holes = holes.astype(object).where(holes.notna(), None)
    assert np.array_equal(of("missing", "table").apply(x, 0.4, stream(seed)), encode_table(holes, TABLE, "rows"))
    nothing = of("missing", "table").apply(x, 1.0, stream(seed))
    assert (nothing == nothing[0]).all()


def test_categories_become_others_that_are_known_or_unknown_ones() -> None:
    swapped = of("category_swap", "table").apply(TABLE_X, 1.0, stream(1))
    assert ((swapped[:, 1] >= 1) & (swapped[:, 1] <= 3) & (swapped[:, 1] != TABLE_X[:, 1])).all()
    assert set(swapped[TABLE_X[:, 1] == 2, 1]) == {1, 3}
    assert np.array_equal(swapped[:, [0, 2, 3, 4]], TABLE_X[:, [0, 2, 3, 4]])
    assert (of("unknown_category", "table").apply(TABLE_X, 1.0, stream(1))[:, [1, 3]] == 0).all()


def test_noise_of_numbers_is_relative_to_their_spread_and_fills_no_gap() -> None:
    noisy = of("noise", "table").apply(TABLE_X, 0.5, stream(1))
    gaps = TABLE_X[:, 4] == 1
    assert gaps.any()
    assert np.array_equal(noisy[gaps, 0], TABLE_X[gaps, 0])
    for place, known in ((0, ~gaps), (2, np.ones(300, bool))):
        assert (noisy - TABLE_X)[known, place].std() == pytest.approx(0.5 * TABLE_X[:, place].std(), rel=0.15)
    alone = replace(TABLE, columns=(TABLE.columns[1],))
    assert [c.name for c in table_corruptions(alone, np.ones(1))] == ["missing", "category_swap", "unknown_category"]


@pytest.mark.parametrize("tokens", ["words", "bpe"])
def test_texts_come_back_as_they_were(tokens: str) -> None:
    code, x = spelt(tokens)
    assert np.array_equal(code.packed(code.words(x)), x)
    if tokens == "bpe":
        assert [" ".join(text) for text in code.words(x)] == [sentence.lower() for sentence in SENTENCES]


def test_pieces_that_end_within_a_letter_are_joined_with_a_question_mark() -> None:
    assert joined(("\u2581caf", "<0XC3>", "<0XA9>", "\u2581x<0XC3>")) == " café x?"


def test_a_typo_is_the_one_that_the_raw_text_would_have() -> None:
    code, x = spelt("words")
    slips = typos([word for sentence in SENTENCES for word in words(sentence)], 1.0, stream(1))
    cut = [word for sentence in SENTENCES for word in words(sentence)]
    assert all(slip == word for slip, word in zip(slips, cut, strict=True) if len(word) == 1)
    kinds = {len(slip) - len(word) for slip, word in zip(slips, cut, strict=True)}
    assert kinds == {-1, 0}
    assert sum(slip != word for slip, word in zip(slips, cut, strict=True)) > 0.8 * sum(len(word) > 1 for word in cut)
    text = SENTENCES[0]
    raw = typos(words(text), 0.3, stream(2))
    row = of("typos", "words").apply(x[:1], 0.3, stream(2))
    known = [word != "night" for word in words(text)]
    assert np.array_equal(row[0, : len(raw)][known], encode_texts([raw], code.inputs)[0, : len(raw)][known])
    assert (row[0, : len(raw)][~np.array(known)] == 1).all()


def test_truncation_and_dropout_of_all_words_leave_none() -> None:
    for case in ("words", "bpe"):
        for name in ("truncation", "word_dropout"):
            assert not of(name, case).apply(CASES[case].x, 1.0, stream(1)).any()


def test_series_keep_their_end_and_forecasts_their_future() -> None:
    for case, past in (("series", 60), ("forecast", 40)):
        x = CASES[case].x
        for corruption in CASES[case].corruptions:
            y = corruption.at(x, 5, seed=7)
            assert np.isnan(y[:, :, :past][::3, :, past - 1]).all() == np.isnan(x[::3, :, past - 1]).all()
            assert np.array_equal(y[:, :, past:], x[:, :, past:], equal_nan=True)


def test_changes_of_series_are_what_their_words_say() -> None:
    flat = np.broadcast_to(np.array([[1.0], [-2.0]], np.float32), (400, 2, 60)).copy()
    noisy = of("noise", "series").apply(flat, 0.5, stream(1))
    assert np.allclose((noisy - flat).std(axis=(0, 2)), [0.25, 1.5], rtol=0.02)
    away = of("drift", "series").apply(flat, 0.5, stream(1)) - flat
    assert np.allclose(np.abs(away), 0.5 * np.array([0.5, 3.0])[:, None] * np.arange(1, 61) / 60, atol=1e-5)
    assert {1, -1} == set(np.sign(away[:, 0, -1]).astype(int))
    x = waves(2, 60)[1:2]
    mean = np.array([1.0, -2.0])[:, None]
    scaled = of("scale", "series").apply(x, 0.2, stream(1))
    more, less = (np.abs(scaled - mean - factor * (x - mean)).max(axis=2) for factor in (1.2, 0.8))
    assert (np.minimum(more, less) < 1e-5).all()
    gap = of("missing_block", "series").apply(flat, 0.25, stream(1))
    lost = np.isnan(gap).all(axis=1)
    assert (lost.sum(axis=1) == 15).all()
    assert (np.abs(np.diff(lost.astype(int), axis=1)).sum(axis=1) <= 2).all()
    assert np.isnan(of("missing_block", "series").apply(flat, 1.0, stream(1))).all()
    clock = np.broadcast_to(np.arange(60, dtype=np.float32), (50, 2, 60)).copy()
    unsteady = of("jitter", "series").apply(clock, 0.05, stream(1))
    assert np.array_equal(unsteady[:, 0], unsteady[:, 1])
    assert (unsteady - clock)[:, 0, 15:45].std() == pytest.approx(3, rel=0.1)
