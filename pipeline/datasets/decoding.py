"""One image file to pixels: what worker processes do, so this module imports little."""

import hashlib
import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.datasets.members import File
from pipeline.datasets.stores import Store

Image.MAX_IMAGE_PIXELS = None  # the limit below is stricter, and names the file
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".avif",
            ".svg", ".heic", ".heif", ".jxl", ".jp2", ".psd", ".dng")  # fmt: skip
"""Files with these endings are images; those that cannot be decoded here are named, not passed over."""
FORMATS = tuple(form for form in ("JPEG", "MPO", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000")
                if form in (Image.init(), Image.OPEN)[1])  # fmt: skip
"""What files may hold, whatever their name: other readers of the library start programs or are hardly tested."""
_MOST_PIXELS = 50_000_000
_MOST_EXTREME = 20


class Photo(NamedTuple):
    """One file: its pixels (H, W, 3) as bytes, or why there are none. A tuple: it passes quickly between processes."""

    name: str
    label: str
    split: str | None
    pixels: NDArray[np.uint8] | None = None
    """None as well where the pixels lie in a store already."""
    grey: bool = False
    failure: str | None = None
    key: bytes = b""
    """Digest of the pixels."""
    shape: tuple[int, ...] = ()
    """(H, W, 3)."""


def decode(file: File, side: int | None) -> Photo:
    """Return the pixels of a file as they are meant to be seen: upright, first frame, on white where transparent."""
    place = file.name, file.label, file.split
    try:
        with Image.open(io.BytesIO(file.data), formats=FORMATS) as opened:
            wide, high = opened.size
            if wide * high > _MOST_PIXELS:
                raise ValueError(f"{wide} x {high} pixels are too many")
            if max(wide, high) > _MOST_EXTREME * min(wide, high):
                raise ValueError(f"{wide} x {high} pixels are too narrow")
            if side is not None and opened.format == "JPEG":
                opened.draft(None, (side, side))  # averages whole blocks of pixels: as clean as resizing, and faster
            ImageOps.exif_transpose(opened, in_place=True)
            image = _plain(opened)
            if side is not None and image.size != (side, side):
                image = ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR)
            grey = image.mode == "L"
            if image.mode != "RGB":
                image = image.convert("RGB")
            shape, data = (image.height, image.width, 3), image.tobytes()
    except Exception as wrong:  # noqa: BLE001 - readers raise anything on damaged bytes; the file is named and counted
        return Photo(*place, failure=_why(wrong))
    pixels = np.frombuffer(data, np.uint8).reshape(shape)
    return Photo(*place, pixels, grey, key=hashlib.blake2b(data, digest_size=16).digest(), shape=shape)


def put(place: int, file: File, side: int | None, shape: tuple[int, ...] | None, store: Store) -> Photo:
    """Write the pixels of a file to its place in the store and return the rest.

    An image of another shape than all should have is not written: it would cover others.
    """
    photo = decode(file, side)
    if photo.pixels is not None and shape in (None, photo.shape):
        store.put(photo.pixels[None], place)
    return photo._replace(pixels=None)


_received: list[Store] = []


def receive(store: Store) -> None:
    """Keep the store that a worker process is started with."""
    _received.append(store)


def put_received(place: int, file: File, side: int | None, shape: tuple[int, ...] | None) -> Photo:
    """Do what `put` does, with the store of this worker process."""
    return put(place, file, side, shape, _received[-1])


def _why(wrong: Exception) -> str:
    if isinstance(wrong, UnidentifiedImageError):
        return "no image"
    return (isinstance(wrong, OSError) and wrong.strerror) or str(wrong).partition("\n")[0] or type(wrong).__name__


def _plain(image: Image.Image) -> Image.Image:
    """Return the image as 8-bit grey or colour."""
    if image.mode in ("I", "I;16", "I;16B", "F"):  # more than 8 bits: the range of the file becomes 0 to 255
        values = np.asarray(image, dtype=np.float64)
        low, high = values.min(), values.max()
        return Image.fromarray(np.round((values - low) * (255 / max(high - low, 1))).astype(np.uint8))
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
