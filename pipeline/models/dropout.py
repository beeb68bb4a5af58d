"""Dropout whose draws cost a byte per number."""

import torch
from torch import Tensor, nn


class ByteDropout(nn.Dropout):
    """nn.Dropout with `p` rounded to a 256th.

    On a CPU a quarter of a perceptron's training step goes into torch's Bernoulli draws. Drawing 64 bits at once and
    giving every number one byte of them takes less than half as long.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return x with a share `p` of it set to 0 and the rest scaled up, while training."""
        dropped = round(self.p * 256)
        if not self.training or not dropped or x.device.type != "cpu":
            return super().forward(x)
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        bytes_ = words.view(torch.uint8)[: x.numel()].view(x.shape)
        return x * (bytes_ >= dropped).to(x.dtype).mul_(256 / (256 - dropped))
