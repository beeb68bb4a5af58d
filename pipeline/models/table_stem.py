"""Tables as tokens, one per column: encoded numbers, with their frequent values and missing marks, and categories.

Legend: B rows, P packed places, N number columns, Q bins, T columns, D token width.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.core.contracts import NumericColumn, TableInputs

Embedding = Literal["ple", "periodic"]
"""How a number becomes a vector: piecewise linear, or by waves of learned frequencies."""
_DEVIATION = 0.1
"""Of embeddings at the start: about that of the encodings, so that no column drowns the others."""


class TableStem(nn.Module):
    """Packed rows (B, P) to tokens (B, T, D), T in the order of the columns.

    A number's token is its encoding plus what a missing value or an atom (an exact, frequent value) adds. `rectified`
    bends it by ReLU, for trunks that begin with a linear map.
    """

    numbers: Tensor
    flags: Tensor
    flagged: Tensor
    flagged_of: Tensor
    categories: Tensor
    offsets: Tensor
    order: Tensor

    def __init__(
        self,
        inputs: TableInputs,
        width: int,
        *,
        rectified: bool = False,
        embedding: Embedding = "ple",
        sigma: float = 1.0,
    ) -> None:
        super().__init__()
        numeric = [(i, c) for i, c in enumerate(inputs.columns) if c.kind == "numeric"]
        categorical = [(i, c) for i, c in enumerate(inputs.columns) if c.kind == "categorical"]
        flagged = [row for row, (_, c) in enumerate(numeric) if c.missing]
        sizes = [len(c.categories) + 1 for _, c in categorical]
        self.rectified = rectified
        self.register_buffer("numbers", _places([i for i, _ in numeric]))
        self.register_buffer("flagged", _places(flagged))
        self.register_buffer("flagged_of", _place_of(flagged, len(numeric)), persistent=False)
        self.register_buffer("flags", _places([len(inputs.columns) + i for i in range(len(flagged))]))
        self.register_buffer("categories", _places([i for i, _ in categorical]))
        self.register_buffer("offsets", _places([sum(sizes[:i]) for i in range(len(sizes))]))
        self.register_buffer("order", _places([i for i, _ in numeric] + [i for i, _ in categorical]).argsort())
        columns = [c for _, c in numeric]
        if numeric and embedding == "ple":
            self.encoding: nn.Module = PiecewiseLinear(columns, width)
        elif numeric:
            self.encoding = Periodic(columns, width, sigma)
        if flagged:
            self.missing = nn.Parameter(torch.randn(len(flagged), width) * _DEVIATION)
        self.atoms = Atoms(columns, width) if any(c.atoms for c in columns) else None
        if categorical:
            self.embedding = nn.Embedding(sum(sizes), width)
            nn.init.normal_(self.embedding.weight, std=_DEVIATION)

    def forward(self, x_BP: Tensor) -> Tensor:
        """Return the tokens."""
        assert x_BP.ndim == 2
        tokens = []
        if len(self.numbers):
            x_BN = x_BP[:, self.numbers]
            number_BND = self.encoding(x_BN)
            if len(self.flags):
                number_BND = number_BND + spread(x_BP[:, self.flags, None] * self.missing, self.flagged_of)
            if self.atoms is not None:
                number_BND = number_BND + spread(self.atoms(x_BN), self.atoms.place_of)
            tokens.append(number_BND.relu() if self.rectified else number_BND)
        if len(self.categories):
            tokens.append(self.embedding(x_BP[:, self.categories].long() + self.offsets))
        return torch.cat(tokens, dim=1).index_select(1, self.order)


class PiecewiseLinear(nn.Module):
    """Numbers (B, N) to (B, N, D): a linear map of their piecewise-linear encoding, one per column.

    Gorishniy et al. 2022, "On Embeddings for Numerical Features", section 3.2: bin q contributes its weights times the
    share of the bin below the number. All bins before the number's own contribute fully, so the sum is taken once per
    step over the weights, and a number costs one look-up however many bins there are.
    """

    places: Tensor

    def __init__(self, columns: list[NumericColumn], width: int) -> None:
        super().__init__()
        self.bins = Bins(columns)
        counts = [max(1, len(c.edges) - 1) for c in columns]
        most = max(counts)
        self.shape = (len(columns), most, width)
        places = [n * most + q for n, count in enumerate(counts) for q in range(count)]
        self.register_buffer("places", _places(places))
        scale = torch.tensor([count**-0.5 for count in counts for _ in range(count)])[:, None]
        self.weight = nn.Parameter((torch.rand(len(places), width) * 2 - 1) * scale)
        self.bias = nn.Parameter((torch.rand(len(columns), width) * 2 - 1) * width**-0.5)

    def forward(self, x_BN: Tensor) -> Tensor:
        """Return the encodings."""
        N, Q, D = self.shape
        bin_BN, share_BN = self.bins(x_BN)
        weight_ND = self.weight.new_zeros(N * Q, D).index_copy(0, self.places, self.weight)
        before_NQD = weight_ND.view(N, Q, D).cumsum(1) - weight_ND.view(N, Q, D) + self.bias[:, None]
        at = (bin_BN + torch.arange(N, device=x_BN.device) * Q).flatten()
        start, slope = before_NQD.flatten(0, 1).index_select(0, at), weight_ND.index_select(0, at)
        return torch.addcmul(start, slope, share_BN.reshape(-1, 1)).view(-1, N, D)


class Bins(nn.Module):
    """Numbers (B, N) to their bin (B, N) and how far they are within it, 0 to 1; no weights."""

    inner: Tensor
    low: Tensor
    width: Tensor

    def __init__(self, columns: list[NumericColumn]) -> None:
        super().__init__()
        most = max(2, *(len(c.edges) for c in columns))
        inner = torch.full((len(columns), most - 2), torch.inf)
        low, width = torch.zeros(len(columns), most - 1), torch.full((len(columns), most - 1), torch.inf)
        for row, column in enumerate(columns):
            edges = torch.tensor(column.edges)
            bins = len(edges) - 1
            inner[row, : max(0, bins - 1)] = edges[1:-1]
            low[row, :bins], width[row, :bins] = edges[:-1], edges.diff()
        self.register_buffer("inner", inner)
        self.register_buffer("low", low)
        self.register_buffer("width", width)

    def forward(self, x_BN: Tensor) -> tuple[Tensor, Tensor]:
        """Return bins and shares; numbers beyond the edges are at the ends."""
        x_NB = x_BN.T.contiguous()
        bin_NB = torch.searchsorted(self.inner, x_NB.detach())
        share_NB = ((x_NB - self.low.gather(1, bin_NB)) / self.width.gather(1, bin_NB)).clamp(0, 1)
        return bin_NB.T, share_NB.T


class Periodic(nn.Module):
    """Numbers (B, N) to (B, N, D): a linear map of sine and cosine of learned frequencies, one per column.

    Gorishniy et al. 2022, section 3.3; `sigma` is the deviation of the frequencies at the start. Numbers are first
    brought to a normal distribution by their place among the bin edges.
    """

    counts: Tensor

    def __init__(self, columns: list[NumericColumn], width: int, sigma: float) -> None:
        super().__init__()
        self.bins = Bins(columns)
        counts = torch.tensor([float(max(1, len(c.edges) - 1)) for c in columns])
        self.register_buffer("counts", counts)
        self.frequencies = nn.Parameter(torch.randn(len(columns), width) * sigma)
        self.weight = nn.Parameter((torch.rand(len(columns), 2 * width, width) * 2 - 1) * (2 * width) ** -0.5)
        self.bias = nn.Parameter((torch.rand(len(columns), width) * 2 - 1) * width**-0.5)

    def forward(self, x_BN: Tensor) -> Tensor:
        """Return the encodings."""
        wave_BNF = self.angles(x_BN)[:, :, None] * self.frequencies
        waves = torch.cat([wave_BNF.sin(), wave_BNF.cos()], dim=2)
        return torch.einsum("bnf,nfd->bnd", waves, self.weight) + self.bias

    def angles(self, x_BN: Tensor) -> Tensor:
        """Return the angle of each number at frequency 1, (B, N)."""
        bin_BN, share_BN = self.bins(x_BN)
        place_BN = (bin_BN + share_BN + 0.5) / (self.counts + 1)
        angle_BN: Tensor = 2 * torch.pi * torch.special.ndtri(place_BN)
        return angle_BN


class Atoms(nn.Module):
    """Numbers (B, N) to (B, A, D), for the A columns that have atoms: the vector of the atom they equal, else 0."""

    columns: Tensor
    place_of: Tensor
    values: Tensor
    offsets: Tensor

    def __init__(self, columns: list[NumericColumn], width: int) -> None:
        super().__init__()
        rows = [row for row, c in enumerate(columns) if c.atoms]
        counts = [len(columns[row].atoms) for row in rows]
        values = torch.full((len(rows), max(counts)), torch.inf)
        for place, row in enumerate(rows):
            values[place, : counts[place]] = torch.tensor(columns[row].atoms)
        self.register_buffer("columns", _places(rows))
        self.register_buffer("place_of", _place_of(rows, len(columns)), persistent=False)
        self.register_buffer("values", values)
        self.register_buffer("offsets", _places([1 + sum(counts[:i]) for i in range(len(rows))])[:, None])
        self.embedding = nn.Embedding(1 + sum(counts), width, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=_DEVIATION)
        with torch.no_grad():
            self.embedding.weight[0].zero_()

    def forward(self, x_BN: Tensor) -> Tensor:
        """Return the atoms' vectors."""
        vectors: Tensor = self.embedding(self.codes(x_BN))
        return vectors

    def codes(self, x_BN: Tensor) -> Tensor:
        """Return the row of each number's vector, 0 where it is no atom, (B, A)."""
        x_AB = x_BN[:, self.columns].T.contiguous()
        nearest = torch.searchsorted(self.values, x_AB).clamp(max=self.values.shape[1] - 1)
        return torch.where(self.values.gather(1, nearest) == x_AB, nearest + self.offsets, 0).T


def spread(some_BFD: Tensor, place_of_N: Tensor) -> Tensor:
    """Return (B, N, D) from F columns: each of N finds its own at its place there, or zeros where that is F.

    It is looked up, not added to: exported to ONNX, `index_add` gives other numbers.
    """
    return nn.functional.pad(some_BFD, (0, 0, 0, 1)).index_select(1, place_of_N)


def _places(places: list[int]) -> Tensor:
    return torch.tensor(places, dtype=torch.long)


def _place_of(some: list[int], count: int) -> Tensor:
    """Return where each of `count` columns stands among some of them; behind the last where it does not."""
    return _places([some.index(n) if n in some else len(some) for n in range(count)])
