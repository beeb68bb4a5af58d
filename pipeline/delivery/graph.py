"""The whole way from packed rows to predictions as one module that can be written down as a graph.

A graph holds the same steps for all rows. Three parts of the networks take steps that depend on the rows, to be fast or
to save memory while they learn; here stand the same functions without that. Legend as in pipeline/models.
"""

import copy

import torch
from torch import Tensor, nn

from pipeline.core.contracts import Inputs, Target, Task
from pipeline.models import Network
from pipeline.models.rnn import MaskedRecurrent
from pipeline.models.sequence import TextStem, hashed_pairs, pooled, split_mask, with_mask
from pipeline.models.wide import Wide
from pipeline.training.heads import head_for
from pipeline.training.predict import model_input


class Graph(nn.Module):
    """Packed rows, as prepare writes them, to what predict says of them (B, K).

    That are probabilities of classes or labels, numbers in raw units, or forecasts in training deviations of each
    series.
    """

    def __init__(self, network: Network, task: Task, inputs: Inputs, targets: tuple[Target, ...]) -> None:
        super().__init__()
        self.network = same_for_all(network)
        self.head = head_for(task, inputs, targets)

    def forward(self, rows: Tensor) -> Tensor:
        """Return the predictions."""
        return self.head.predict(self.network(model_input(rows)))


def same_for_all(network: Network) -> Network:
    """Return a copy in evaluation mode whose steps do not depend on the rows."""
    plain = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    for name, part in list(plain.named_modules()):
        stand_in: nn.Module
        if isinstance(part, TextStem):
            stand_in = Words(part)
        elif isinstance(part, MaskedRecurrent):
            stand_in = BothWays(part)
        else:
            continue
        plain.set_submodule(name, stand_in.eval().requires_grad_(False))
    return plain


class Words(nn.Module):
    """A TextStem that looks up every place of a text, not every different word of a batch."""

    def __init__(self, stem: TextStem) -> None:
        super().__init__()
        self.embedding, self.pairs = stem.embedding, stem.pairs
        self.wide = None if stem.wide is None else WideWords(stem.wide)

    def forward(self, x_BL: Tensor) -> Tensor:
        """Return the tokens and their mask, (B, L, D + 1)."""
        mask_BL = x_BL > 0
        x_BL = x_BL.long()
        x_BLD = nn.functional.embedding(x_BL, self.embedding.weight)
        if self.pairs is not None:
            both_BL1 = (mask_BL[:, 1:] & mask_BL[:, :-1])[:, :, None]
            at_BL = hashed_pairs(x_BL, self.pairs.num_embeddings)
            x_BLD = x_BLD + nn.functional.pad(
                nn.functional.embedding(at_BL, self.pairs.weight) * both_BL1, (0, 0, 1, 0)
            )
        if self.wide is not None:
            x_BLD = torch.cat([x_BLD, self.wide(x_BL)], dim=2)
        return with_mask(x_BLD, mask_BL)


class WideWords(nn.Module):
    """A Wide whose sums over the letters of each word of the vocabulary are taken once and for all."""

    letters: Tensor
    sizes: Tensor

    def __init__(self, wide: nn.Module) -> None:
        super().__init__()
        assert isinstance(wide, Wide)
        self.wide = wide
        with torch.no_grad():
            letters_VK, size_V = wide.letters(torch.arange(wide.words))
        self.register_buffer("letters", letters_VK)
        self.register_buffer("sizes", size_V)

    def forward(self, x_BL: Tensor) -> Tensor:
        """Return what each word adds, (B, L, K)."""
        rarity, table = self.wide.rarity, self.wide.table.weight
        pairs_BL = self.wide.pair_rows(x_BL)  # 0 where there is none, which weighs nothing
        words_BLK = nn.functional.embedding(x_BL, table) * rarity[x_BL][:, :, None]
        words_BLK = words_BLK + nn.functional.embedding(pairs_BL, table) * rarity[pairs_BL][:, :, None]
        letters_BLK = nn.functional.embedding(x_BL, self.letters)
        size_B = (rarity[x_BL] ** 2 + rarity[pairs_BL] ** 2).sum(1)
        return words_BLK * self.wide.scale(size_B) + letters_BLK * self.wide.scale(self.sizes[x_BL].sum(1))


class BothWays(nn.Module):
    """A MaskedRecurrent over whole rows: each layer runs ahead, and over the row turned round, real steps first.

    So neither direction comes from padding into real steps, and what it makes of padding is not looked at.
    """

    def __init__(self, part: MaskedRecurrent) -> None:
        super().__init__()
        self.ahead = nn.ModuleList(one_way(part.cells, layer, "") for layer in range(part.cells.num_layers))
        self.back = nn.ModuleList(one_way(part.cells, layer, "_reverse") for layer in range(part.cells.num_layers))
        self.norm = part.norm

    def forward(self, x_BTE: Tensor) -> Tensor:
        """Return one vector per row."""
        x_BTD, mask_BT = split_mask(x_BTE)
        steps_T = torch.arange(x_BTE.shape[1], device=x_BTE.device)
        length_B1 = (mask_BT * (steps_T + 1)).amax(1, keepdim=True).long().clamp(min=1)
        turned_BT1 = torch.where(steps_T < length_B1, length_B1 - 1 - steps_T, steps_T)[:, :, None]
        for ahead, back in zip(self.ahead, self.back, strict=True):
            backwards_BTD = x_BTD.gather(1, turned_BT1.expand(-1, -1, x_BTD.shape[2]))
            behind_BTD = back(backwards_BTD)[0]
            behind_BTD = behind_BTD.gather(1, turned_BT1.expand(-1, -1, behind_BTD.shape[2]))
            x_BTD = torch.cat([ahead(x_BTD)[0], behind_BTD], dim=2)
        out: Tensor = self.norm(pooled(x_BTD, mask_BT))
        return out


def one_way(cells: nn.RNNBase, layer: int, suffix: str) -> nn.Module:
    """Return one layer in one direction as a recurrence of its own."""
    weights = {name: getattr(cells, f"{name}_l{layer}{suffix}") for name in
               ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}  # fmt: skip
    kind = nn.LSTM if isinstance(cells, nn.LSTM) else nn.GRU
    alone = kind(weights["weight_ih"].shape[1], cells.hidden_size, batch_first=True)
    alone.load_state_dict({f"{name}_l0": weight for name, weight in weights.items()})
    return alone
