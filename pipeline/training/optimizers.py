"""The optimisers of a training, by name, as one: AdamW, Nesterov momentum, Muon for hidden matrices, lazy Adam."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.core.contracts import Optimizer

_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz iteration; chosen by Jordan et al. 2024 for its slope at zero."""
_ITERATIONS = 5
_SMALLEST_SCALE = 0.1


def make_optimizer(network: nn.Module, chosen: Optimizer) -> torch.optim.Optimizer:
    """Return the optimiser of all trainable weights.

    Matrices and filters decay; norms, biases and other vectors are left alone. Weights of modules that say
    `sparse = True` get Adam that touches the rows of a batch only, without decay.
    """
    trained = [p for p in network.parameters() if p.requires_grad]
    lazy = {id(p) for m in network.modules() if getattr(m, "sparse", False) is True for p in m.parameters(False)}
    hidden = {id(p) for p in hidden_matrices(network)} if chosen.kind == "muon" else set()
    sparse = [p for p in trained if id(p) in lazy]
    turned = [p for p in trained if id(p) in hidden and id(p) not in lazy]
    rest = [p for p in trained if id(p) not in lazy and id(p) not in hidden]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": chosen.weight_decay},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    parts: list[torch.optim.Optimizer] = []
    if rest and chosen.kind == "sgd":
        parts.append(torch.optim.SGD(groups, lr=chosen.lr, momentum=chosen.momentum, nesterov=chosen.momentum > 0))
    elif rest:
        parts.append(torch.optim.AdamW(groups, lr=chosen.lr, fused=True))
    if turned:
        parts.append(Muon(turned, chosen.muon_lr, chosen.momentum, chosen.weight_decay))
    if sparse:
        parts.append(torch.optim.SparseAdam(sparse, lr=chosen.lr))
    return parts[0] if len(parts) == 1 else Together(parts)


def hidden_matrices(network: nn.Module) -> list[nn.Parameter]:
    """Return the weights of linear layers and ungrouped convolutions of the trunk: what Muon is made for."""
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d)
    layers = [m for m in network.get_submodule("trunk").modules() if isinstance(m, kinds)]
    weights = [m.weight for m in layers if getattr(m, "groups", 1) == 1]
    return [w for w in weights if isinstance(w, nn.Parameter) and w.requires_grad]


class Together(torch.optim.Optimizer):
    """Several optimisers, each with weights of its own, that step as one; their groups are shared, not copied."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self.parts = list(parts)
        super().__init__([p for part in parts for group in part.param_groups for p in group["params"]], {})
        self._join()

    def _join(self) -> None:
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step with each part."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all parts."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Give every part its state back."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._join()


class Muon(torch.optim.Optimizer):
    """Momentum whose every step is made orthogonal (Jordan et al. 2024, "Muon").

    A filter (O, I, …) counts as the matrix (O, I · …). The step is scaled to `lr` times the norm the weight has
    already, so that one learning rate serves layers of any size and initialisation; for filters of unit rows, which
    normalised networks keep, that is the rule of the CIFAR-10 speed records.
    """

    def __init__(self, weights: Iterable[Tensor], lr: float, momentum: float, weight_decay: float) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._turn(weight, group)
        return loss

    def _turn(self, weight: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        moved = state["momentum"].mul_(group["momentum"]).add_(weight.grad)
        ahead = (weight.grad + group["momentum"] * moved).flatten(1)
        full = min(ahead.shape) ** 0.5  # the norm of an orthogonal matrix of this shape
        scale = max(float(weight.norm()) / full, _SMALLEST_SCALE)  # weights that start at zero must move as well
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(orthogonal(ahead).view_as(weight), alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return the nearest orthogonal matrix (O, I), singular values between about 0.7 and 1.2: five Newton-Schulz steps.

    On a GPU in bfloat16, which is precise enough and much faster.
    """
    a, b, c = _POLYNOMIAL
    x = matrix.bfloat16() if matrix.is_cuda else matrix
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    near: Tensor = (x.T if tall else x).to(matrix.dtype)
    return near
