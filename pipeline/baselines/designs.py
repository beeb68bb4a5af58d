"""Packed inputs as the matrices that simple models take."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import ImageInputs, Inputs, SeriesInputs, TableInputs, TextInputs

_TREE_WORDS = 256
_TREE_SIDE = 16


def design(inputs: Inputs, x: NDArray[Any]) -> NDArray[np.float32]:
    """Return (N, F) for linear models: pixels / 255, standardised steps, numbers with one-hot categories and flags."""
    match inputs:
        case ImageInputs():
            return np.asarray(x.reshape(len(x), -1) / 255, dtype=np.float32)
        case SeriesInputs():
            mean, std = (np.array(v)[None, :, None] for v in (inputs.mean, inputs.std))
            return np.asarray(np.nan_to_num((x - mean) / std).reshape(len(x), -1), dtype=np.float32)
        case TableInputs():
            parts = []
            for place, column in enumerate(inputs.columns):
                if column.kind == "numeric":
                    parts.append(x[:, place : place + 1])
                else:
                    parts.append(np.eye(len(column.categories) + 1, dtype=np.float32)[x[:, place].astype(int)])
            return np.concatenate([*parts, x[:, len(inputs.columns) :]], axis=1).astype(np.float32)
    raise TypeError(f"no linear design for {inputs.kind}")


def word_counts(inputs: TextInputs, x: NDArray[Any]) -> Any:
    """Return a sparse matrix (N, V + 2) of how often each word number occurs; padding is not counted."""
    from scipy.sparse import csr_matrix

    rows, places = np.nonzero(x)
    return csr_matrix((np.ones(len(rows)), (rows, x[rows, places])), shape=(len(x), len(inputs.vocabulary) + 2))


def may_hold_out(y: NDArray[np.int64]) -> bool:
    """Say whether a tenth of rows of classes y (N,) can be held out to stop boosting early, some of every class."""
    rows = np.unique(y, return_counts=True)[1]
    return bool(rows.min() >= 2 and len(rows) <= -(-len(y) // 10))


def flat(inputs: Inputs, x: NDArray[Any]) -> NDArray[Any]:
    """Return (N, F) for trees; of texts the counts of the most frequent words, images averaged to 16 pixels a side."""
    if isinstance(inputs, TextInputs):
        return np.asarray(word_counts(inputs, x)[:, 2 : 2 + _TREE_WORDS].todense())
    if isinstance(inputs, ImageInputs):
        return averaged(x, -(-max(inputs.height, inputs.width) // _TREE_SIDE)).reshape(len(x), -1)
    return x.reshape(len(x), -1)


def averaged(x_NCHW: NDArray[np.uint8], block: int) -> NDArray[np.uint8]:
    """Return images whose pixels are the means of blocks; what is left over at the lower and right edge is dropped."""
    n, c, h, w = x_NCHW.shape
    if block == 1 or min(h, w) < block:
        return x_NCHW
    kept = x_NCHW[:, :, : h // block * block, : w // block * block]
    blocks = kept.reshape(n, c, h // block, block, w // block, block)
    return np.asarray(blocks.sum(axis=(3, 5), dtype=np.uint32) // block**2, dtype=np.uint8)
