"""Near twins are found however they were made; images without structure raise no alarm."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pipeline.datasets import packed, twins
from pipeline.datasets.twins import fingerprints, near_twins

Pixels = NDArray[np.uint8]


def scenes(n: int, side: int = 48, channels: int = 3, seed: int = 0) -> Pixels:
    """Smooth random pictures with structure everywhere."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 12, 12, 3), dtype=np.uint8)
    large = [np.asarray(Image.fromarray(c).resize((side, side), Image.Resampling.BICUBIC)) for c in coarse]
    return np.stack(large).transpose(0, 3, 1, 2)[:, :channels]


def saved(x: Pixels, quality: int) -> Pixels:
    found = []
    for image in x:
        out = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0)).save(out, "JPEG", quality=quality)
        found.append(np.asarray(Image.open(out)).transpose(2, 0, 1))
    return np.stack(found)


def brighter(x: Pixels) -> Pixels:
    return np.clip(x.astype(int) * 0.85 + 25, 0, 255).astype(np.uint8)


def test_copies_are_counted_and_strangers_are_not() -> None:
    seen, strangers = scenes(300), scenes(200, seed=1)
    assert near_twins([seen], strangers) == 0
    assert near_twins([seen[:100], seen[100:]], np.concatenate([strangers, seen[50:150]])) == 100
    assert near_twins([seen], np.concatenate([strangers, saved(seen[:60], 75)])) >= 57
    assert near_twins([seen], np.concatenate([strangers, brighter(seen[:60])])) >= 57


def test_a_copy_moved_by_one_of_many_pixels_is_found() -> None:
    seen = scenes(60, side=224)
    assert near_twins([seen], np.roll(seen, 1, axis=3)) >= 30


def test_fingerprints_do_not_depend_on_how_many_rows_a_thread_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    x = scenes(50)
    alone = [fingerprints(x[i : i + 1]) for i in range(50)]
    for size in (1, 20_000, 2**24):
        monkeypatch.setattr(packed, "_CACHED", size)
        hashes, smalls = fingerprints(x)
        assert np.array_equal(hashes, np.concatenate([h for h, _ in alone]))
        assert np.array_equal(smalls, np.concatenate([s for _, s in alone]))


def test_what_is_flat_or_only_differs_in_its_silhouette_raises_no_alarm() -> None:
    rng = np.random.default_rng(2)
    grey = rng.integers(0, 256, (200, 1, 1, 1)) + rng.integers(-1, 2, (200, 1, 28, 28))
    flat = np.clip(grey, 0, 255).astype(np.uint8)
    assert near_twins([flat], flat) == 0
    slopes = rng.uniform(1.5, 4.5, (100, 1, 1, 1)) * np.arange(48) + np.zeros((100, 1, 48, 1))
    assert near_twins([slopes.astype(np.uint8)], slopes.astype(np.uint8)) == 0
    bars = np.zeros((100, 1, 28, 28), np.uint8)
    bars[:, :, 4:24, 10:18] = rng.integers(100, 256, (100, 1, 20, 8))
    assert near_twins([bars[:50]], bars[50:]) == 0


def test_equal_hashes_of_unlike_images_are_no_twins() -> None:
    cells = [0, 30, 60, 90, 120, 90, 60, 30, 0], [0, 5, 10, 15, 250, 245, 240, 235, 230]
    ridge, cliff = (np.tile(np.repeat(c, 5), (1, 1, 45, 1)).astype(np.uint8) for c in cells)
    assert fingerprints(ridge)[0].tolist() == fingerprints(cliff)[0].tolist()
    assert near_twins([ridge], cliff) == 0
    assert near_twins([ridge], ridge) == 1


@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_to_compare_counts_nothing(channels: int) -> None:
    x = scenes(4, channels=channels)
    assert near_twins([], x) == near_twins([x[:0]], x) == near_twins([x], x[:0]) == 0
    assert near_twins([x[:, :, :7, :7]], x[:, :, :7, :7]) == 0
    assert near_twins([x], x) == 4


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_the_look_up_finds_what_comparing_all_pairs_finds(seed: int, few: int) -> None:
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 2**63, 8, dtype=np.uint64)
    flips = np.array([0, 1, 3, 7, 1 << 20, (1 << 20) | (1 << 50), (1 << 3) | (1 << 30) | (1 << 60)], np.uint64)
    known, asked = (rng.choice(base, n) ^ rng.choice(flips, n) for n in (120, 40))
    same = np.tile(np.arange(4, dtype=np.uint8), (120, 1))
    apart = np.array([[bin(int(a) ^ int(k)).count("1") for k in known] for a in asked])
    with pytest.MonkeyPatch.context() as patch:
        prints = iter([(known, same), (asked, same[:40])])
        patch.setattr(twins, "fingerprints", lambda _: next(prints))
        patch.setattr(twins, "_FEW", few)
        patch.setattr(twins, "_ROWS", 7)
        patch.setattr(twins, "_PAIRS", 11)
        some = np.zeros((1, 1, 8, 8), np.uint8)
        assert near_twins([some], some) == int((apart.min(axis=1) <= 2).sum())
