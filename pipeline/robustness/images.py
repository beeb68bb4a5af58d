"""Corruptions of images: on pixels of [0, 1] before the network normalises them, rounded to bytes as a file holds them.

After Hendrycks and Dietterich 2019 ("Benchmarking Neural Network Robustness to Common Corruptions"), with lengths that
follow the shorter side, because severities made for 224 pixels destroy 32.

Legend: N rows, C channels, H height, W width.
"""

import io
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

from pipeline.core.contracts import ImageInputs
from pipeline.robustness.corruptions import Apply, Corruption, Packed

Pixels = NDArray[np.float32]
Change = Callable[[Pixels, float, np.random.Generator], NDArray[np.floating]]


def image_corruptions(inputs: ImageInputs) -> tuple[Corruption, ...]:
    """Return all corruptions of such images."""
    side = min(inputs.height, inputs.width)
    cover = partial(occlusion, mean=np.array(inputs.mean, np.float32))
    moved = partial(shift, side=side)
    return (
        Corruption(name="gaussian_noise", words="x + a ε, ε standard normal for each pixel and channel",
                   amounts=(0.04, 0.08, 0.12, 0.18, 0.26), apply=on_pixels(gaussian_noise)),
        Corruption(name="blur", words="Gaussian blur, its standard deviation a times the root of the shorter side",
                   amounts=(0.1, 0.15, 0.2, 0.3, 0.4), apply=on_pixels(partial(blur, side=side))),
        Corruption(name="brightness", words="x + a",
                   amounts=(0.1, 0.2, 0.3, 0.4, 0.5), apply=on_pixels(brightness)),
        Corruption(name="contrast", words="m + (1 - a)(x - m), m the mean of each channel of the image",
                   amounts=(0.3, 0.5, 0.7, 0.85, 0.95), apply=on_pixels(contrast)),
        Corruption(name="pixelate", words="means over a grid of 1 - a times as many pixels on each side",
                   amounts=(0.4, 0.5, 0.6, 0.7, 0.8), apply=on_pixels(pixelate)),
        Corruption(name="jpeg", words="written as JPEG of quality a, and read again",
                   amounts=(80, 50, 25, 15, 7), apply=jpeg),
        Corruption(name="occlusion", words="a box of a times each side, at a random place, has the training mean",
                   amounts=(0.2, 0.3, 0.4, 0.5, 0.6), apply=on_pixels(cover)),
        Corruption(name="shift", words="moved by a times the shorter side in a random direction, edges repeated",
                   amounts=(0.02, 0.05, 0.1, 0.15, 0.2), apply=on_pixels(moved)),
        Corruption(name="rotation", words="turned by a degrees to either side, edges repeated",
                   amounts=(3, 7, 12, 20, 30), apply=on_pixels(rotation)),
    )  # fmt: skip


def on_pixels(change: Change) -> Apply:
    """Return what applies a change of pixels (N, C, H, W) in [0, 1] to bytes."""

    def apply(x: Packed, amount: float, rng: np.random.Generator) -> Packed:
        changed = change(x.astype(np.float32) / np.float32(255), amount, rng)
        return np.rint(np.clip(changed, 0, 1) * 255).astype(np.uint8)

    return apply


def gaussian_noise(x: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Return x + a ε."""
    return x + np.float32(amount) * rng.standard_normal(x.shape, dtype=np.float32)


def blur(x: Pixels, amount: float, rng: np.random.Generator, *, side: int) -> Pixels:
    """Return the convolution with a Gaussian, edges repeated."""
    sigma = amount * side**0.5
    return np.asarray(gaussian_filter(x, (0, 0, sigma, sigma), mode="nearest"))


def brightness(x: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Return x + a."""
    return x + np.float32(amount)


def contrast(x: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Return pixels nearer to the mean of their channel."""
    mean = x.mean(axis=(2, 3), keepdims=True)
    return np.asarray(mean + np.float32(1 - amount) * (x - mean))


def pixelate(x: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Return the mean of each cell of a coarser grid; with a = 1 it has one cell."""
    for axis in (2, 3):
        size = x.shape[axis]
        cells = max(1, round((1 - amount) * size))
        cell = np.arange(size) * cells // size
        first = np.searchsorted(cell, np.arange(cells))
        shape = [1, 1, 1, 1]
        shape[axis] = cells
        counts = np.bincount(cell, minlength=cells).astype(np.float32).reshape(shape)
        x = np.take(np.add.reduceat(x, first, axis=axis) / counts, cell, axis=axis)
    return x


def jpeg(x: Packed, amount: float, rng: np.random.Generator) -> Packed:
    """Return bytes after JPEG; one and three channels are a picture, others are written one by one."""
    n, channels, height, width = x.shape
    whole = channels == 3
    pictures = x.transpose(0, 2, 3, 1) if whole else x.reshape(n * channels, height, width)
    found = np.stack([_through_jpeg(np.ascontiguousarray(one), round(amount)) for one in pictures])
    return found.transpose(0, 3, 1, 2) if whole else found.reshape(x.shape)


def _through_jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "JPEG", quality=quality)
    return np.asarray(Image.open(written))


def occlusion(x: Pixels, amount: float, rng: np.random.Generator, *, mean: NDArray[np.float32]) -> Pixels:
    """Return images with a covered box; a larger one holds the smaller one, with a = 1 nothing is left."""
    n, _, height, width = x.shape
    place = rng.random((n, 2))
    covered = [_stretch(size, amount, place[:, i]) for i, size in enumerate((height, width))]
    box = covered[0][:, None, :, None] & covered[1][:, None, None, :]
    return np.where(box, mean[:, None, None], x)


def _stretch(size: int, amount: float, place: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return a stretch of a times the size for each place in [0, 1], as a mask (N, size)."""
    length = round(amount * size)
    start = np.floor(place * (size - length + 1)).clip(0, size - length)[:, None]
    at = np.arange(size)
    return np.asarray((at >= start) & (at < start + length))


def shift(x: Pixels, amount: float, rng: np.random.Generator, *, side: int) -> Pixels:
    """Return images moved by a times the shorter side, interpolated linearly."""
    n, _, height, width = x.shape
    angle = torch.tensor(rng.uniform(0, 2 * np.pi, n))
    pixels = amount * side
    map_N23 = torch.eye(2, 3, dtype=torch.float64).repeat(n, 1, 1)
    map_N23[:, 0, 2], map_N23[:, 1, 2] = 2 * pixels * angle.cos() / width, 2 * pixels * angle.sin() / height
    return _mapped(x, map_N23)


def rotation(x: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Return images turned around their centre, interpolated linearly."""
    n, _, height, width = x.shape
    angle = torch.tensor(np.deg2rad(amount) * rng.choice([-1.0, 1.0], n))
    map_N23 = torch.zeros(n, 2, 3, dtype=torch.float64)
    map_N23[:, 0, 0] = map_N23[:, 1, 1] = angle.cos()
    # The grid's sides are -1 to 1 whatever their pixels, so a turn of an oblong is no turn there.
    map_N23[:, 0, 1], map_N23[:, 1, 0] = -angle.sin() * height / width, angle.sin() * width / height
    return _mapped(x, map_N23)


def _mapped(x: Pixels, map_N23: Tensor) -> Pixels:
    """Return images read at mapped places (x, y) of their own grid."""
    grid = torch.nn.functional.affine_grid(map_N23.float(), list(x.shape), align_corners=False)
    read = torch.nn.functional.grid_sample(torch.tensor(x), grid, padding_mode="border", align_corners=False)
    return np.asarray(read)
