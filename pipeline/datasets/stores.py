"""One open file of equally large images that processes and threads fill at once, each in its own places."""

import errno
import os
from multiprocessing import reduction
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Store:
    """An open file by its number; it needs no name, because worker processes receive it as they start."""

    def __init__(self, number: int) -> None:
        """Take a file that the caller holds open."""
        self.number = number

    def __getstate__(self) -> Any:
        """Hand the file on to a process that is being started."""
        return reduction.DupFd(self.number)

    def __setstate__(self, handed: Any) -> None:
        """Take the file; it may have another number here."""
        self.number = handed.detach()

    def put(self, images: NDArray[np.uint8], place: int) -> None:
        """Write images (N, …), the first as image `place` of the file; a place that is never written reads as zeros."""
        written = os.pwrite(self.number, images.data, place * images[0].nbytes)
        if written < images.nbytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def get(self, place: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Read one image of this shape."""
        size = int(np.prod(shape))
        return np.frombuffer(os.pread(self.number, size, place * size), np.uint8).reshape(shape)
