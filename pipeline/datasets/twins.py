"""Nearly equal images on two sides of a split: saved again, or with another brightness or contrast.

Two images are near twins when their difference hashes (64 signs: is each cell of an 8 x 9 grey reduction brighter than
its left neighbour) differ in at most two bits, and the images themselves, at no more than 32 x 32, correlate to at
least 0.985. The hash finds candidates among all pairs at once; alone it takes silhouettes for twins (16 % of the test
images of Fashion-MNIST). Images whose neighbouring cells are mostly alike have too little structure to be told apart
by the hash and are left out, on either side. So a count is a lower bound; in images below some 200 pixels a side, one
that was moved by a single pixel is mostly not seen.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.packed import chunks

_FAR = 2
"""Most bits in which hashes of twins differ."""
_BRIGHTER = 2.0
"""Grey levels from which a cell counts as brighter: below it, noise of saving decides."""
_CLEAR, _LEAST_CLEAR = 3.0, 44
"""An image has structure when this many of its 64 differences exceed so many grey levels."""
_ALIKE = 0.985
_SIDE = 32
_SMALLEST = 8
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_ONES = np.unpackbits(np.arange(2**16, dtype=np.uint16).view(np.uint8).reshape(-1, 2), axis=1).sum(1, dtype=np.uint8)
"""Bits set in each 16-bit number."""
_ROWS, _WINDOW = 512, 256
_PAIRS = 4096

Prints = tuple[NDArray[np.uint64], NDArray[np.uint8]]
"""Hashes (M,) and small grey images (M, P) of the images that have structure."""


def near_twins(seen: Sequence[NDArray[np.uint8]], later: NDArray[np.uint8]) -> int:
    """Return how many images of `later` (N, C, H, W) are nearly equal, or equal, to an image in one of `seen`.

    Every pair whose hashes are near is compared. Memory is that of the small images, at most 1 kB each; images of
    fewer than 8 pixels a side are not compared.
    """
    if min(later.shape[2:]) < _SMALLEST:
        return 0
    prints = [fingerprints(images) for images in seen if len(images)]
    if not prints or not len(later):
        return 0
    known = np.concatenate([p[0] for p in prints]), np.concatenate([p[1] for p in prints])
    asked = fingerprints(later)
    found = np.zeros(len(asked[0]), bool)
    known_bands, asked_bands = (p[0].view(np.uint16).reshape(-1, 4).astype(np.uint32) for p in (known, asked))
    # Two bits lie in at most two of four bands, so that hashes this near have two whole bands in common.
    for one, other in combinations(range(4), 2):
        keys = known_bands[:, one] << 16 | known_bands[:, other]
        wanted = asked_bands[:, one] << 16 | asked_bands[:, other]
        order = np.argsort(keys, kind="stable")
        ends = [np.searchsorted(keys[order], wanted, side) for side in ("left", "right")]
        _look_up(known, asked, order, (ends[0], ends[1]), found)
    return int(found.sum())


def fingerprints(images: NDArray[np.uint8]) -> Prints:
    """Return hash and small grey image of those images (N, C, H, W) that have structure."""
    high, wide = images.shape[2:]
    cells = _averages(8, high), _averages(9, wide).T
    small = _averages(min(high, _SIDE), high), _averages(min(wide, _SIDE), wide).T
    size = len(small[0]) * small[1].shape[1]
    hashes, smalls = [np.zeros(0, np.uint64)], [np.zeros((0, size), np.uint8)]
    for part in chunks(images, max(1, 2**23 // (high * wide))):
        grey = part[:, 0].astype(np.float32)
        if part.shape[1] == 3:
            grey = grey * _LUMA[0] + part[:, 1] * _LUMA[1] + part[:, 2] * _LUMA[2]
        steps = np.diff(cells[0] @ grey @ cells[1], axis=2).reshape(len(part), 64)
        kept = (np.abs(steps) > _CLEAR).sum(axis=1) >= _LEAST_CLEAR
        hashes.append(np.packbits(steps[kept] > _BRIGHTER, axis=1).view(np.uint64)[:, 0])
        smalls.append(np.rint(small[0] @ grey[kept] @ small[1]).astype(np.uint8).reshape(-1, size))
    return np.concatenate(hashes), np.concatenate(smalls)


def _averages(cells: int, pixels: int) -> NDArray[np.float32]:
    """Return (cells, pixels): each row averages the pixels that its cell covers, in parts where it cuts one."""
    edges = np.linspace(0, pixels, cells + 1)
    at = np.arange(pixels)
    covered = np.minimum(edges[1:, None], at + 1) - np.maximum(edges[:-1, None], at)
    weights: NDArray[np.float64] = np.clip(covered, 0, None)
    shares: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def _look_up(
    known: Prints,
    asked: Prints,
    order: NDArray[np.int64],
    ends: tuple[NDArray[np.int64], NDArray[np.int64]],
    found: NDArray[np.bool_],
) -> None:
    """Mark asked images with a twin among their candidates order[left:right]; a few at a time, for most end early."""
    left, right = ends
    start = 0
    while len(rows := np.flatnonzero((right - left > start) & ~found)):
        for at in range(0, len(rows), _ROWS):
            block = rows[at : at + _ROWS]
            places = left[block, None] + start + np.arange(_WINDOW)
            inside = places < right[block, None]
            row, candidate = block[np.nonzero(inside)[0]], order[places[inside]]
            apart = (asked[0][row] ^ known[0][candidate]).view(np.uint16).reshape(-1, 4)
            near = _ONES[apart].sum(axis=1) <= _FAR
            _compare(known[1], asked[1], row[near], candidate[near], found)
        start += _WINDOW


def _compare(
    known: NDArray[np.uint8],
    asked: NDArray[np.uint8],
    row: NDArray[np.int64],
    candidate: NDArray[np.int64],
    found: NDArray[np.bool_],
) -> None:
    for at in range(0, len(row), _PAIRS):
        pair = slice(at, at + _PAIRS)
        a, b = (x[of[pair]].astype(np.float32) for x, of in ((asked, row), (known, candidate)))
        a -= a.mean(axis=1, keepdims=True)
        b -= b.mean(axis=1, keepdims=True)
        product = np.einsum("ij,ij->i", a, b)
        alike = product >= _ALIKE * np.sqrt(np.einsum("ij,ij->i", a, a) * np.einsum("ij,ij->i", b, b))
        found[row[pair][alike]] = True
