"""Nearly equal images on two sides of a split: saved again, or with another brightness or contrast.

Two images are near twins when their difference hashes (64 signs: is each cell of an 8 x 9 grey reduction brighter than
its left neighbour) differ in at most two bits, and the images themselves, at no more than 32 x 32, correlate to at
least 0.985. The hash finds candidates among all pairs at once; alone it takes silhouettes for twins (23 % of the test
images of Fashion-MNIST, 0.5 % with the second look). Images whose neighbouring cells are mostly alike, or all rise or
all fall, have too little structure to be told apart by the hash and are left out, on either side. So a count is a
lower bound; in images below some 200 pixels a side, one that was moved by a single pixel is mostly not seen.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.packed import each

_FAR = 2
"""Most bits in which hashes of twins differ."""
_BRIGHTER = 2.0
"""Grey levels from which a cell counts as brighter: below it, noise of saving decides."""
_CLEAR, _LEAST_CLEAR = 3.0, 44
"""An image has structure when this many of its 64 differences exceed so many grey levels."""
_LEAST_TURNS = 8
"""And at least so many cells are brighter, so many are not: a mere gradient of light has no structure."""
_ALIKE = 0.985
_SIDE = 32
_SMALLEST = 8
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_ONES = np.unpackbits(np.arange(2**16, dtype=np.uint16).view(np.uint8).reshape(-1, 2), axis=1).sum(1, dtype=np.uint8)
"""Bits set in each 16-bit number."""
_FEW = 64
"""Candidates up to which images are compared one by one."""
_ROWS, _PAIRS = 512, 4096

Prints = tuple[NDArray[np.uint64], NDArray[np.uint8]]
"""Hashes (M,) and small grey images (M, P) of the images that have structure."""
Rows = NDArray[np.int64]
Found = NDArray[np.bool_]


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
        keys, wanted = (b[:, one] << np.uint32(16) | b[:, other] for b in (known_bands, asked_bands))
        _look_up(known, asked, keys, wanted, found)
    return int(found.sum())


def fingerprints(images: NDArray[np.uint8]) -> Prints:
    """Return hash and small grey image of those images (N, C, H, W) that have structure."""
    high, wide = images.shape[2:]
    cells = _averages(8, high), _averages(9, wide).T
    small = _averages(min(high, _SIDE), high), _averages(min(wide, _SIDE), wide).T
    size = len(small[0]) * small[1].shape[1]

    def prints(part: NDArray[np.uint8]) -> Prints:
        grey = part[:, 0].astype(np.float32)
        if part.shape[1] == 3:
            grey = grey * _LUMA[0] + part[:, 1] * _LUMA[1] + part[:, 2] * _LUMA[2]
        steps = np.diff(cells[0] @ grey @ cells[1], axis=2).reshape(len(part), 64)
        bits = steps > _BRIGHTER
        risen = bits.sum(axis=1)
        kept = (np.abs(steps) > _CLEAR).sum(axis=1) >= _LEAST_CLEAR
        kept &= (risen >= _LEAST_TURNS) & (risen <= 64 - _LEAST_TURNS)
        hashes = np.packbits(bits[kept], axis=1).view(np.uint64)[:, 0]
        return hashes, np.rint(small[0] @ grey[kept] @ small[1]).astype(np.uint8).reshape(-1, size)

    found = [(np.zeros(0, np.uint64), np.zeros((0, size), np.uint8)), *each(prints, images)]
    return np.concatenate([hashes for hashes, _ in found]), np.concatenate([smalls for _, smalls in found])


def _averages(cells: int, pixels: int) -> NDArray[np.float32]:
    """Return (cells, pixels): each row averages the pixels that its cell covers, in parts where it cuts one."""
    edges = np.linspace(0, pixels, cells + 1)
    at = np.arange(pixels)
    covered = np.minimum(edges[1:, None], at + 1) - np.maximum(edges[:-1, None], at)
    weights: NDArray[np.float64] = np.clip(covered, 0, None)
    shares: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def _look_up(known: Prints, asked: Prints, keys: NDArray[np.uint32], wanted: NDArray[np.uint32], found: Found) -> None:
    """Mark asked images with a twin among the known ones of the same key."""
    order = np.argsort(keys, kind="stable")
    left, right = (np.searchsorted(keys[order], wanted, side) for side in ("left", "right"))
    few = np.flatnonzero((right > left) & (right - left <= _FEW) & ~found)
    for at in range(0, len(few), _ROWS):
        rows = few[at : at + _ROWS]
        places = left[rows, None] + np.arange(_FEW)
        inside = places < right[rows, None]
        _compare_pairs(known, asked, rows[np.nonzero(inside)[0]], order[places[inside]], found)
    many = np.flatnonzero((right - left > _FEW) & ~found)
    many = many[np.argsort(wanted[many], kind="stable")]
    for rows in np.split(many, np.flatnonzero(np.diff(wanted[many])) + 1):
        if len(rows):
            _compare_all(known, asked, rows, order[left[rows[0]] : right[rows[0]]], found)


def _near(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which hashes differ in few bits; the arrays are broadcast against each other."""
    apart = np.ascontiguousarray(a ^ b)
    bits: NDArray[np.uint64] = _ONES[apart.view(np.uint16).reshape(*apart.shape, 4)].sum(axis=-1)
    return np.less_equal(bits, _FAR)


def _compare_pairs(known: Prints, asked: Prints, rows: Rows, others: Rows, found: Found) -> None:
    """Compare image by image."""
    near = _near(asked[0][rows], known[0][others])
    rows, others = rows[near], others[near]
    for at in range(0, len(rows), _PAIRS):
        pair = slice(at, at + _PAIRS)
        alike = np.einsum("ij,ij->i", _unit(asked[1][rows[pair]]), _unit(known[1][others[pair]])) >= _ALIKE
        found[rows[pair][alike]] = True


def _compare_all(known: Prints, asked: Prints, rows: Rows, others: Rows, found: Found) -> None:
    """Compare each of `rows` with each of `others`, as products of matrices; those with a twin drop out on the way."""
    for at in range(0, len(rows), _ROWS):
        block = rows[at : at + _ROWS]
        for start in range(0, len(others), _PAIRS):
            block = block[~found[block]]
            column = others[start : start + _PAIRS]
            near = _near(asked[0][block, None], known[0][column])
            used = near.any(axis=0)
            alike = _unit(asked[1][block]) @ _unit(known[1][column[used]]).T >= _ALIKE
            found[block[(alike & near[:, used]).any(axis=1)]] = True


def _unit(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return each image without its mean and of length 1, so that products are correlations."""
    x = small.astype(np.float32)
    x -= x.mean(axis=1, keepdims=True)
    x /= np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
    return x
