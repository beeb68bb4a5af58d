"""Reader of the idx format (MNIST family): strict about magic numbers, sizes and what is missing."""

import gzip
import hashlib
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return the array of an idx file of unsigned bytes with so many dimensions; .gz is unpacked."""
    data = _bytes(path)
    head = 4 + 4 * dimensions
    if len(data) < head or data[:4] != bytes([0, 0, _UNSIGNED_BYTE, dimensions]):
        raise DataError(
            f"{path}: not an idx file of bytes with {dimensions} dimensions "
            f"(starts with {data[:4].hex() or 'nothing'})",
            fix="check that the images and labels files are not swapped and the download is complete",
        )
    shape = struct.unpack(f">{dimensions}I", data[4:head])
    expected = int(np.prod(shape))
    if len(data) - head != expected:
        raise DataError(
            f"{path}: announces {expected:,} bytes of data, holds {len(data) - head:,}", fix="download the file again"
        )
    return np.frombuffer(data, np.uint8, offset=head).reshape(shape)


def find(folder: Path, name: str) -> Path:
    """Return the file `name` or `name`.gz in the folder."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(f"{folder}: neither {name} nor {name}.gz is there", fix="point data.path at the folder that has it")


def read_pair(folder: Path, prefix: str) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[Path]]:
    """Return images (N, 1, H, W), labels (N,) and the files of "train" or "t10k"."""
    files = [find(folder, f"{prefix}-images-idx3-ubyte"), find(folder, f"{prefix}-labels-idx1-ubyte")]
    images, labels = read_idx(files[0], 3), read_idx(files[1], 1)
    if len(images) != len(labels):
        raise DataError(f"{files[0]}: {len(images):,} images, but {len(labels):,} labels in {files[1].name}")
    if len(images) == 0:
        raise DataError(f"{files[0]}: holds no rows")
    return images[:, None], labels.astype(np.int64), files


def digest_files(files: list[Path]) -> str:
    """Return SHA-256 over names and bytes in name order."""
    whole = hashlib.sha256()
    for path in sorted(files, key=lambda p: p.name):
        whole.update(path.name.encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()


def digest_arrays(*arrays: NDArray[Any]) -> str:
    """Return SHA-256 over shapes and bytes."""
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(f"{array.dtype} {array.shape}\0".encode() + np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()


def _bytes(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as wrong:
        raise DataError(f"{path}: cannot be unpacked ({wrong})", fix="download the file again") from None
