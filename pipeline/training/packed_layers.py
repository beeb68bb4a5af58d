"""Layers of K networks of equal shapes as one: each product of matrices is a batch of K, each look-up K vectors wide.

What a batch of rows says of a table (bins, categories, atoms), and the windows of a forecast, are the same for all K
and are computed once. Legend: K networks, B rows, P packed places, N number columns or targets, Q bins, T columns or
steps, D token width, F features, M members, H horizon, C channels or outputs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline.models import Network
from pipeline.models.dropout import ByteDropout
from pipeline.models.linear_forecast import ResidualNet
from pipeline.models.sequence import DirectForecast
from pipeline.models.table_stem import Periodic, PiecewiseLinear, TableStem
from pipeline.models.tabm import MemberHeads, Members

Layer = Callable[[Tensor], Tensor]
_BYTE = 256


@dataclass(frozen=True, slots=True)
class Layers:
    """The K networks: inputs (B, …) to outputs (K, B, C), or (K, M, B, C) of networks with members."""

    stem: Layer
    rest: tuple[Layer, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the outputs."""
        x = self.stem(x)
        for layer in self.rest:
            x = layer(x)
        return x


class PackedDropout:
    """Dropout with a share for each of the K networks, rounded to a 256th; draws do not depend on the shares."""

    def __init__(self, shares: Sequence[float], device: torch.device) -> None:
        dropped = [round(share * _BYTE) for share in shares]
        self.dropped = torch.tensor(dropped, dtype=torch.uint8, device=device)
        self.scale = torch.tensor([_BYTE / (_BYTE - n) for n in dropped], device=device)
        self.any = any(dropped)

    def __call__(self, x: Tensor) -> Tensor:
        """Return x (K, …) with a share of each network's numbers set to 0 and the rest scaled up."""
        if not self.any:
            return x
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        bytes_ = words.view(torch.uint8)[: x.numel()].view(x.shape)
        own = (-1, *[1] * (x.ndim - 1))
        return x * (bytes_ >= self.dropped.view(own)).to(x.dtype).mul_(self.scale.view(own))


def unpackable(network: nn.Module) -> list[str]:
    """Return the kinds of modules of a network that have no packed form; none where it can be packed."""
    if not isinstance(network, Network):
        return [type(network).__name__]
    if isinstance(network.trunk, DirectForecast) and isinstance(network.trunk.trunk, ResidualNet | None):
        return []
    inner = [m for part in (network.trunk, network.head) for m in part.modules()]
    known = (nn.Sequential, nn.Linear, nn.ReLU, nn.Flatten, ByteDropout, Members, MemberHeads)
    parts = [network.stem, *inner]
    return sorted({type(m).__name__ for m in parts if not isinstance(m, (*known, TableStem))})


def dropouts(network: nn.Module) -> list[nn.Dropout]:
    """Return the dropouts of a network, in the order of its modules."""
    return [m for m in network.modules() if isinstance(m, nn.Dropout)]


def packed_layers(network: Network, weights: Mapping[str, Tensor], shares: Sequence[Sequence[float]] | None) -> Layers:
    """Return K networks like `network`, of `weights` (K, …) by name; without `shares`, one list each, none drops."""
    device = next(iter(weights.values())).device
    drops = [PackedDropout(found, device) for found in zip(*shares or (), strict=True)]
    if isinstance(network.trunk, DirectForecast):
        return Layers(PackedForecast(network.stem, network.trunk, weights, drops), ())
    assert isinstance(network.stem, TableStem)
    names = {id(m): name for name, m in network.named_modules()}
    at = {id(m): i for i, m in enumerate(dropouts(network))}

    def layers(module: nn.Module) -> list[Layer]:
        def own(name: str) -> Tensor:
            return weights[f"{names[id(module)]}.{name}"]

        match module:
            case nn.Sequential():
                return [layer for part in module for layer in layers(part)]
            case nn.Linear():
                return [_linear(own("weight"), own("bias"))]
            case nn.ReLU():
                return [torch.relu_]  # what a matrix product gives is needed by nobody else
            case ByteDropout():
                return [drops[at[id(module)]]] if drops else []
            case Members():
                return [_members(own("scale"))]
            case MemberHeads():
                return [_member_heads(own("weight"), own("bias"))]
        return []  # the stem gives its tokens flat

    stem = PackedStem(network.stem, {n.removeprefix("stem."): w for n, w in weights.items() if n.startswith("stem.")})
    return Layers(stem, (*layers(network.trunk), *layers(network.head)))


def _linear(weight_KOF: Tensor, bias_KO: Tensor) -> Layer:
    def apply(x: Tensor) -> Tensor:
        out = torch.baddbmm(bias_KO[:, None], x.flatten(1, -2), weight_KOF.transpose(1, 2))
        return out.view(*x.shape[:-1], -1)

    return apply


def _members(scale_KMTD: Tensor) -> Layer:
    scale_KM1F = scale_KMTD.flatten(2)[:, :, None]
    return lambda x_KBF: x_KBF[:, None] * scale_KM1F


def _member_heads(weight_KMFC: Tensor, bias_KMC: Tensor) -> Layer:
    def apply(x_KMBF: Tensor) -> Tensor:
        out = torch.bmm(x_KMBF.flatten(0, 1), weight_KMFC.flatten(0, 1)).view(*x_KMBF.shape[:3], -1)
        return out + bias_KMC[:, :, None]

    return apply


class PackedStem:
    """K table stems: packed rows (B, P) to flat tokens (K, B, T · D).

    Tables of vectors lie side by side, (rows, K · D), so that a look-up copies K vectors at once and its gradient adds
    K at once.
    """

    def __init__(self, stem: TableStem, weights: Mapping[str, Tensor]) -> None:
        self.stem, self.weights = stem, weights
        self.K, self.D = next(iter(weights.values())).shape[0], next(iter(weights.values())).shape[-1]
        self.order = stem.order.tolist()

    def __call__(self, x_BP: Tensor) -> Tensor:
        """Return the tokens."""
        columns: list[Tensor] = []
        if len(self.stem.numbers):
            columns += self._numbers(x_BP)
        if len(self.stem.categories):
            code_BC = x_BP[:, self.stem.categories].long() + self.stem.offsets
            columns += self._apart(nn.functional.embedding(code_BC, self._side_by_side("embedding.weight")))
        return torch.cat([columns[i] for i in self.order], dim=2)

    def _numbers(self, x_BP: Tensor) -> list[Tensor]:
        stem, x_BN = self.stem, x_BP[:, self.stem.numbers]
        if isinstance(stem.encoding, Periodic):
            number_BNE = self._periodic(stem.encoding, x_BN)
        else:
            assert isinstance(stem.encoding, PiecewiseLinear)
            number_BNE = self._piecewise(stem.encoding, x_BN)
        if len(stem.flags):
            missing_NE = self._spread(self._side_by_side("missing"), stem.flagged, x_BN.shape[1])
            gone_BN = self._spread(x_BP[:, stem.flags].T, stem.flagged, x_BN.shape[1]).T
            number_BNE = torch.addcmul(number_BNE, gone_BN[:, :, None], missing_NE)
        if stem.atoms is not None:
            code_BN = self._spread(stem.atoms.codes(x_BN).T, stem.atoms.columns, x_BN.shape[1]).T
            table = self._side_by_side("atoms.embedding.weight")
            number_BNE = number_BNE + nn.functional.embedding(code_BN, table, padding_idx=0)
        return self._apart(number_BNE.relu() if stem.rectified else number_BNE)

    def _piecewise(self, encoding: PiecewiseLinear, x_BN: Tensor) -> Tensor:
        N, Q, _ = encoding.shape
        bin_BN, share_BN = encoding.bins(x_BN)
        weight_RE = self._spread(self._side_by_side("encoding.weight"), encoding.places, N * Q)
        weight_NQE = weight_RE.view(N, Q, -1)
        before_NQE = weight_NQE.cumsum(1) - weight_NQE + self._side_by_side("encoding.bias")[:, None]
        at_BN = bin_BN + torch.arange(N, device=x_BN.device) * Q
        start, slope = (nn.functional.embedding(at_BN, table) for table in (before_NQE.flatten(0, 1), weight_RE))
        return torch.addcmul(start, slope, share_BN[:, :, None])

    def _periodic(self, encoding: Periodic, x_BN: Tensor) -> Tensor:
        wave_KNBF = encoding.angles(x_BN).T[:, :, None] * self.weights["encoding.frequencies"][:, :, None]
        waves = torch.cat([wave_KNBF.sin(), wave_KNBF.cos()], dim=3)
        weight, bias = self.weights["encoding.weight"], self.weights["encoding.bias"]
        out_KNBD = torch.bmm(waves.flatten(0, 1), weight.flatten(0, 1)).view(*waves.shape[:3], -1) + bias[:, :, None]
        return out_KNBD.permute(2, 1, 0, 3).flatten(2)

    def _side_by_side(self, name: str) -> Tensor:
        """Return the K tables (K, R, D) as one, (R, K · D)."""
        return self.weights[name].transpose(0, 1).flatten(1)

    def _apart(self, tokens_BTE: Tensor) -> list[Tensor]:
        """Return each column's tokens of all networks, (K, B, D)."""
        return [column.view(-1, self.K, self.D).transpose(0, 1) for column in tokens_BTE.unbind(1)]

    @staticmethod
    def _spread(values: Tensor, at: Tensor, rows: int) -> Tensor:
        """Return `rows` rows that are `values` at the places `at` and 0 elsewhere."""
        return values.new_zeros(rows, *values.shape[1:]).index_copy(0, at, values)


class PackedForecast:
    """K linear forecasts with a small net beside each: windows (B, C, T) to (K, B, H · N).

    All read the same windows, so that their first layers are one matrix product; a map that stays as solved is the same
    for all and is applied once.
    """

    def __init__(
        self, stem: nn.Module, trunk: DirectForecast, weights: Mapping[str, Tensor], drops: Sequence[PackedDropout]
    ) -> None:
        self.stem, self.trunk, self.drops = stem, trunk, drops
        self.weights = {name.removeprefix("trunk."): weight for name, weight in weights.items()}

    def __call__(self, x_BCT: Tensor) -> Tensor:
        """Return the forecasts."""
        x_BTC, _, last_BN = self.trunk.relative(self.stem(x_BCT))
        out_KRH = self._map(self.trunk.read(x_BTC).flatten(0, 1))
        if isinstance(self.trunk.trunk, ResidualNet):
            hidden_KRF = nn.functional.silu(self._wide(self.trunk.trunk.seen(x_BTC).flatten(0, 1), "trunk.first"))
            for drop in self.drops:
                hidden_KRF = drop(hidden_KRF)
            out_KRH = out_KRH + _linear(self.weights["trunk.last.weight"], self.weights["trunk.last.bias"])(hidden_KRF)
        out_KBNH = out_KRH.view(len(out_KRH), *last_BN.shape, -1) + last_BN[:, :, None]
        return out_KBNH.transpose(2, 3).flatten(2)

    def _map(self, x_RF: Tensor) -> Tensor:
        if "linear.weight" in self.weights:
            return self._wide(x_RF, "linear")
        return nn.functional.linear(x_RF, self.trunk.linear.weight) + self.weights["linear.bias"][:, None]

    def _wide(self, x_RF: Tensor, name: str) -> Tensor:
        """Return K linear maps of the same rows, (K, R, …), as one matrix product."""
        weight_KOF, bias_KO = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        out = nn.functional.linear(x_RF, weight_KOF.flatten(0, 1), bias_KO.flatten())
        return out.view(len(x_RF), *bias_KO.shape).transpose(0, 1)
