"""Batches from arrays that lie on the device as a whole: no loader processes, no copy per step.

The order of an epoch and its augmentation depend on (seed, epoch) alone, so a resumed training sees the same batches.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from pipeline.core.contracts import Optimizer
from pipeline.core.seeds import stream_seed
from pipeline.training.data import Rows
from pipeline.training.predict import model_input


class Batches:
    """Iterable of (x, y); `epoch` says which pass comes next. Sizes differ by one row at most."""

    def __init__(self, rows: Rows, optimizer: Optimizer, seed: int) -> None:
        self.rows = rows
        self.optimizer = optimizer
        self.seed = seed
        self.epoch = 0
        self.steps = max(1, round(len(rows) / optimizer.batch_size))

    def __len__(self) -> int:
        """Steps of one epoch."""
        return self.steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Shuffle by (seed, epoch) and go through all rows once."""
        rng = torch.Generator().manual_seed(stream_seed(self.seed, "order", self.epoch))
        order = torch.randperm(len(self.rows), generator=rng)
        for at in order.tensor_split(self.steps):
            x, y = self.rows.take(at)
            if x.ndim == 4:
                x = augment(x, self.optimizer.shift, self.optimizer.flip, rng)
            yield model_input(x), y


def augment(x_BCHW: Tensor, shift: int, flip: bool, rng: torch.Generator) -> Tensor:
    """Shift each image by up to `shift` pixels (edges are repeated) and mirror half of them."""
    B, _, H, W = x_BCHW.shape
    device = x_BCHW.device
    if shift:
        move = torch.randint(-shift, shift + 1, (2, B, 1), generator=rng).to(device)
        down = (torch.arange(H, device=device) + move[0]).clamp(0, H - 1)
        along = (torch.arange(W, device=device) + move[1]).clamp(0, W - 1)
        rows = torch.arange(B, device=device)[:, None, None]
        x_BCHW = x_BCHW[rows, :, down[:, :, None], along[:, None, :]].permute(0, 3, 1, 2)
    if flip:
        mirrored = (torch.rand(B, generator=rng) < 0.5).to(device)[:, None, None, None]
        x_BCHW = torch.where(mirrored, x_BCHW.flip(-1), x_BCHW)
    return x_BCHW
