"""Several candidates of equal shapes train as one: one forward pass, one backward pass, one step for all of them.

A step of a small network is mostly overhead, which is the same for one network and for K. Candidates may differ in
`dropout` and in how their weights are trained (`OWN`); rows and their order are shared. A candidate whose loss is no
longer finite spoils no other. Legend: K candidates, P weights of each, B rows, C outputs, M members.
"""

import copy
import itertools
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.core.contracts import Candidate
from pipeline.core.errors import SpaceError
from pipeline.core.seeds import stream_seed
from pipeline.models import Network, build
from pipeline.training.averaging import averageable, share_of_new
from pipeline.training.batches import Batch, Batches
from pipeline.training.data import Data, Rows
from pipeline.training.heads import ClassHead, Head, LabelSetHead, ValidationScore, ValueHead, head_for, loss_of
from pipeline.training.optimizers import make_optimizer
from pipeline.training.pace import learning_rate_factor
from pipeline.training.packed_layers import dropouts, packed_layers, unpackable
from pipeline.training.predict import model_input

OWN = ("lr", "weight_decay", "clip", "label_smoothing", "schedule", "warm_up", "cool_down")
"""What each candidate of a pack has of its own, beside `dropout` and the seed of its weights."""
_BETAS, _EPS = (0.9, 0.999), 1e-8
_LEAST_GAIN = 1.2
_LEAST_TURNS = 2
_BATCHES = 8
_IN_A_ROW = 4
"""Steps alone of a turn: the first finds the caches full of the pack's numbers."""


def bucket(candidate: Candidate) -> str:
    """Return what candidates must have in common to be packed, as text."""
    shared = {name: value for name, value in asdict(candidate.optimizer).items() if name not in OWN}
    shapes = {name: value for name, value in candidate.architecture.items() if name != "dropout"}
    return json.dumps([shapes, shared], sort_keys=True)


def check_packable(candidates: Sequence[Candidate], network: nn.Module) -> None:
    """Refuse candidates that no pack can train; `network` is that of the first."""
    optimizer, kind = candidates[0].optimizer, candidates[0].architecture.get("kind")
    if len({bucket(c) for c in candidates}) > 1:
        raise SpaceError("space: a pack holds candidates of different shapes",
                         fix=f"they may differ in dropout, {', '.join(OWN)}")  # fmt: skip
    strange = unpackable(network)
    if strange:
        raise SpaceError(f"space.architecture: '{kind}' cannot be packed, its {', '.join(strange)} has no packed form",
                         fix="train such candidates one after the other")  # fmt: skip
    if optimizer.groups != "none":
        raise SpaceError("space.optimizer.groups: a pack counts all rows the same",
                         fix="train such candidates one after the other")  # fmt: skip
    if optimizer.kind != "adamw" or optimizer.ema:
        raise SpaceError("space.optimizer: a pack has neither sgd, muon nor an average of weights",
                         fix="space.optimizer.kind=adamw and space.optimizer.ema=0")  # fmt: skip


def check_rows(data: Data) -> None:
    """Refuse rows that no pack can learn from."""
    if data.train.weight is not None:
        raise SpaceError("data.weight: a pack counts all rows the same",
                         fix="train such candidates one after the other")  # fmt: skip


def check_shared(networks: Sequence[nn.Module]) -> None:
    """Refuse networks that differ in what is not trained: a pack has that once."""
    first, *others = networks
    trained = {name for name, p in first.named_parameters() if p.requires_grad}
    fixed = {name: value for name, value in first.state_dict().items() if name not in trained}
    for other in others:
        differing = [
            name for name, value in other.state_dict().items() if name in fixed and not value.equal(fixed[name])
        ]
        if differing:
            raise SpaceError(f"space: candidates of a pack differ in {differing[0]}, which is not trained",
                             fix="give them the same seed")  # fmt: skip


class Pack:
    """K candidates in training; each starts from the weights that `fit` would give it with its seed."""

    def __init__(self, candidates: Sequence[Candidate], data: Data, rows: Rows, seeds: Sequence[int]) -> None:
        check_rows(data)
        self.candidates = list(candidates)
        self.plain = _network(candidates[0], data, rows, seeds[0])
        check_packable(candidates, self.plain)
        self.head = head_for(data.task, data.inputs, data.targets, candidates[0].optimizer, data.train.y)
        started = {seeds[0]: self.plain}  # weights are of a seed, whatever the candidate
        for candidate, seed in zip(candidates, seeds, strict=True):
            started[seed] = started.get(seed) or _network(candidate, data, rows, seed)
        check_shared(list(started.values()))
        said = {candidate.architecture.get("dropout"): candidate for candidate in candidates}
        shares = {dropout: _shares(candidate, data) for dropout, candidate in said.items()}
        self.shares = [shares[candidate.architecture.get("dropout")] for candidate in candidates]
        trained = [(name, p) for name, p in self.plain.named_parameters() if p.requires_grad]
        trained.sort(key=lambda pair: pair[1].ndim < 2)  # what decays comes first
        self.shapes = {name: p.shape for name, p in trained}
        self.decayed = sum(p.numel() for _, p in trained if p.ndim >= 2)
        with torch.no_grad():
            row_of = {
                seed: torch.cat([network.get_parameter(name).flatten() for name in self.shapes])
                for seed, network in started.items()
            }
        self.weights_KP = torch.stack([row_of[seed] for seed in seeds])
        self.first_KP, self.second_KP = torch.zeros_like(self.weights_KP), torch.zeros_like(self.weights_KP)
        self.average_KP = self.weights_KP.clone()
        """Where `follow` is called after every step. What is not trained stays as it is, so it is its own average."""
        self._averaged_at = 0.0
        self.step_count = torch.zeros((), device=self.weights_KP.device)
        self._lay_out()

    def __len__(self) -> int:
        """K."""
        return len(self.candidates)

    @property
    def steps(self) -> int:
        """Steps so far."""
        return int(self.step_count)

    def _lay_out(self) -> None:
        """Cut the rows of weights into tensors (K, …) that share their memory, and join them to layers."""
        sizes = [shape.numel() for shape in self.shapes.values()]
        parts = torch.split(self.weights_KP, sizes, dim=1)
        self.leaves = {
            name: part.view(len(self), *shape).detach().requires_grad_()
            for part, (name, shape) in zip(parts, self.shapes.items(), strict=True)
        }
        self.training = packed_layers(self.plain, self.leaves, self.shares)
        self.evaluation = packed_layers(self.plain, self.leaves, None)
        self.smoothing_K = self.weights_KP.new_tensor([c.optimizer.label_smoothing for c in self.candidates])
        self.clip_K = self.weights_KP.new_tensor([c.optimizer.clip or torch.inf for c in self.candidates])

    def step(self, batch: Batch, progress: float) -> Tensor:
        """Train all on a batch, at this share of the budget; return their losses before the step, (K,)."""
        loss_K = losses(self.head, self.training(batch.x), batch.y, self.smoothing_K)
        gradients = torch.autograd.grad(loss_K.sum(), list(self.leaves.values()))
        with torch.no_grad():
            gradient_KP = torch.cat([g.flatten(1) for g in gradients], dim=1)
            norm_K = torch.linalg.vector_norm(gradient_KP, dim=1)
            gradient_KP.mul_((self.clip_K / (norm_K + 1e-6)).clamp(max=1)[:, None])
            self._move(gradient_KP, progress)
        return loss_K.detach()

    def _move(self, gradient_KP: Tensor, progress: float) -> None:
        """Take a step of AdamW with each candidate's learning rate and decay.

        torch's own kernel, once per row and decay: it goes through memory once. Written with vectors of learning rates
        over all rows, the step took three to eight times as long on a processor.
        """
        self.step_count += 1
        for k, candidate in enumerate(self.candidates):
            chosen = candidate.optimizer
            row = [table[k] for table in (self.weights_KP, gradient_KP, self.first_KP, self.second_KP)]
            for place, decay in ((slice(self.decayed), chosen.weight_decay), (slice(self.decayed, None), 0.0)):
                weight, gradient, first, second = ([part[place]] for part in row)
                torch._fused_adamw_(
                    weight, gradient, first, second, [], [self.step_count],
                    lr=chosen.lr * learning_rate_factor(progress, chosen), beta1=_BETAS[0], beta2=_BETAS[1],
                    weight_decay=decay, eps=_EPS, amsgrad=False, maximize=False,
                )  # fmt: skip

    @torch.no_grad()
    def follow(self, progress: float, half_life: float) -> None:
        """Move the average towards the weights at this share of the budget, as `Average` does."""
        if progress > self._averaged_at:
            self.average_KP.lerp_(self.weights_KP, share_of_new(self._averaged_at, progress, half_life))
            self._averaged_at = progress

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let all have their averages for a while."""
        with torch.no_grad():
            own_KP = self.weights_KP.clone()
            self.weights_KP.copy_(self.average_KP)
            try:
                yield
            finally:
                self.weights_KP.copy_(own_KP)

    @torch.no_grad()
    def scores(self, rows: Rows, batch: int = 512) -> list[ValidationScore]:
        """Score every candidate on packed rows."""
        found = [(self.evaluation(model_input(x)), y) for x, y in rows.parts(batch)]
        y = torch.cat([y for _, y in found])
        outs = torch.cat([_mean_of_members(out) for out, _ in found], dim=1)
        return [self.head.score(out.double(), y) for out in outs]

    @torch.no_grad()
    def keep(self, at: Sequence[int]) -> None:
        """Go on with these candidates alone, in this order: weights, moments and values of their own."""
        picked = torch.tensor(at, device=self.weights_KP.device)
        self.candidates, self.shares = [self.candidates[k] for k in at], [self.shares[k] for k in at]
        self.weights_KP, self.first_KP, self.second_KP, self.average_KP = (
            table.index_select(0, picked) for table in (self.weights_KP, self.first_KP, self.second_KP, self.average_KP)
        )
        self._lay_out()

    def state_dict(self, k: int) -> dict[str, Tensor]:
        """Return the weights and buffers of one candidate, as its plain network has them."""
        return self._network_state(self.weights_KP[k])

    def average_state(self, k: int) -> dict[str, Any]:
        """Return the average of one candidate's weights, as `Average.state` does."""
        values = self._network_state(self.average_KP[k])
        return {"at": self._averaged_at, "values": {n: v for n, v in values.items() if averageable(v)}}

    def optimizer_state(self, k: int) -> dict[int, dict[str, Tensor]]:
        """Return the moments of one candidate, by the numbers that AdamW gives its weights."""
        first, second = (self._parts(table[k]) for table in (self.first_KP, self.second_KP))
        return {
            i: {"step": self.step_count.clone(), "exp_avg": first[name], "exp_avg_sq": second[name]}
            for i, name in enumerate(self.shapes)
        }

    def _network_state(self, row_P: Tensor) -> dict[str, Tensor]:
        own = self._parts(row_P)
        return {name: own.get(name, value.clone()) for name, value in self.plain.state_dict().items()}

    def _parts(self, row_P: Tensor) -> dict[str, Tensor]:
        """Return one row of a table, cut into tensors of their own by name."""
        parts = torch.split(row_P.detach(), [shape.numel() for shape in self.shapes.values()])
        return {
            name: part.reshape(shape).clone() for part, (name, shape) in zip(parts, self.shapes.items(), strict=True)
        }

    def network(self, k: int) -> Network:
        """Return one candidate as a plain network with its own dropout."""
        network = copy.deepcopy(self.plain)
        network.load_state_dict(self.state_dict(k))
        for module, share in zip(dropouts(network), self.shares[k], strict=True):
            module.p = share
        return network


def train(pack: Pack, batches: Batches, epochs: int) -> Iterator[float]:
    """Train a pack; after every epoch give the share of the budget spent. Scores and `keep` are the caller's."""
    planned = epochs * len(batches)
    while pack.steps < planned:
        epoch = pack.steps // len(batches)
        torch.manual_seed(stream_seed(batches.seed, "dropout", epoch))
        for batch in batches.of(epoch):
            pack.step(batch, pack.steps / planned)
        yield pack.steps / planned


def losses(head: Head, out: Tensor, y: Tensor, smoothing_K: Tensor) -> Tensor:
    """Return the mean loss of each candidate, (K,), over rows and members of outputs (K, B, C) or (K, M, B, C)."""
    out_KMBC = out if out.ndim == 4 else out[:, None]
    K, M, B, _ = out_KMBC.shape
    match head:
        case ClassHead():
            weights_C = out.new_ones(()) if head.weights is None else head.weights.to(out)
            counted = M * (weights_C.expand(out.shape[-1])[y].sum())
            logs_KMBC = out_KMBC.log_softmax(3) * weights_C
            hard_K = -logs_KMBC.gather(3, y.view(1, 1, B, 1).expand(K, M, B, 1)).flatten(1).sum(1) / counted
            if not smoothing_K.any():
                return hard_K
            return torch.lerp(hard_K, -logs_KMBC.mean(3).flatten(1).sum(1) / counted, smoothing_K)
        case LabelSetHead():
            target = torch.lerp(y.to(out.dtype)[None], out.new_tensor(0.5), smoothing_K.view(-1, 1, 1))[:, None]
            weights_BC = None
            if head.weights is not None:
                absent, present = head.weights.to(out).unbind()
                weights_BC = torch.where(y > 0.5, present, absent)
            each = nn.functional.binary_cross_entropy_with_logits(
                out_KMBC, target.expand_as(out_KMBC), weight=weights_BC, reduction="none"
            )
            return each.flatten(1).mean(1)
    assert isinstance(head, ValueHead)
    missed, known = head.missed(out_KMBC, y)
    return loss_of(missed, head.kind, head.quantile).flatten(1).sum(1) / (M * known.sum()).clamp(min=1)


def _network(candidate: Candidate, data: Data, rows: Rows, seed: int) -> Network:
    torch.manual_seed(stream_seed(seed, "weights"))
    network = build(candidate.architecture, data.inputs, data.outputs).to(rows.y.device)
    network.start_from(rows, stream_seed(seed, "start"))
    return network


def _shares(candidate: Candidate, data: Data) -> list[float]:
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        return [part.p for part in dropouts(build(candidate.architecture, data.inputs, data.outputs))]


def _mean_of_members(out: Tensor) -> Tensor:
    return out if out.ndim == 3 else out.mean(1)


class Alone:
    """One candidate in training, step by step without anything around: what a pack is measured against."""

    def __init__(self, candidate: Candidate, data: Data, rows: Rows, seed: int) -> None:
        self.chosen = candidate.optimizer
        self.network = _network(candidate, data, rows, seed)
        self.head = head_for(data.task, data.inputs, data.targets, self.chosen, data.train.y)
        self.optimizer = make_optimizer(self.network, self.chosen)
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]

    def step(self, batch: Batch, progress: float) -> None:
        """Train on a batch, at this share of the budget."""
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * learning_rate_factor(progress, self.chosen)
        self.optimizer.zero_grad()
        out_BMC = self.network.members(batch.x)
        y = batch.y.repeat_interleave(out_BMC.shape[1], dim=0)
        loss = self.head.loss(out_BMC.flatten(0, 1), y, self.chosen.label_smoothing)
        torch.autograd.backward(loss)
        if self.chosen.clip:
            dense = [p for p in self.network.parameters() if p.grad is not None and not p.grad.is_sparse]
            nn.utils.clip_grad_norm_(dense, self.chosen.clip)
        self.optimizer.step()


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain:
    """What packing some candidates brings on this machine."""

    alone: float
    """Seconds of a step of one candidate."""
    packed: float
    """Seconds of a step of all."""
    speed_up: float
    """Samples per second of all together, packed over one after the other."""

    @property
    def pays(self) -> bool:
        """Whether packing is worth it."""
        return self.speed_up > _LEAST_GAIN


def gain_of(candidates: Sequence[Candidate], data: Data, rows: Rows, seconds: float = 0.7) -> Gain:
    """Measure steps of the pack and of its first candidate in turns, for so long and at least two turns.

    The speed-up is the median of the turns', since both sides of a turn meet the same load of the machine. torch's
    generator stays as it was.
    """
    with torch.random.fork_rng(devices=[]):
        pack = Pack(candidates, data, rows, [0] * len(candidates))
        plain = Alone(candidates[0], data, rows, 0)
        batches = itertools.cycle(itertools.islice(Batches(rows, candidates[0].optimizer, 0).of(0), _BATCHES))
        took: list[tuple[float, float]] = []
        start = time.monotonic()
        while len(took) <= _LEAST_TURNS or time.monotonic() - start < seconds:
            batch = next(batches)
            took.append((_seconds(plain, batch, _IN_A_ROW), _seconds(pack, batch, 1)))
    alone, packed = (statistics.median(side) for side in zip(*took[1:], strict=True))  # the first one is slow
    return Gain(alone=alone, packed=packed, speed_up=statistics.median(len(pack) * a / p for a, p in took[1:]))


def _seconds(training: Alone | Pack, batch: Batch, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        training.step(batch, 0.5)
    return (time.perf_counter() - start) / times
